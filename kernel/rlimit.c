// SPDX-License-Identifier: MIT
/*
 * Resource limits.  Each limit is enforced where the resource is handed out, through
 * rlimit_current(); this file only keeps the numbers.  Readers take no lock: a limit is one
 * aligned word.  Writers hold process->lock.
 */
#include "kernel/rlimit.h"

#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define DESCRIPTORS_MAX 1048576 /* as containers have it; fs.nr_open */

void rlimit_table_init(struct rlimit_table *table)
{
    for (int i = 0; i < RLIMIT_COUNT; i++)
        table->limit[i] = (struct abi_rlimit){ LIMIT_INFINITY, LIMIT_INFINITY };
    unsigned most = thread_limit() / 2; /* as Linux's fork_init() */
    table->limit[LIMIT_STACK].cur = 8 << 20;
    table->limit[LIMIT_CORE].cur = 0;
    table->limit[LIMIT_NPROC] = (struct abi_rlimit){ most, most };
    table->limit[LIMIT_NOFILE] = (struct abi_rlimit){ DESCRIPTORS_MAX, DESCRIPTORS_MAX };
    table->limit[LIMIT_MEMLOCK] = (struct abi_rlimit){ 8 << 20, 8 << 20 };
    table->limit[LIMIT_SIGPENDING] = (struct abi_rlimit){ most, most };
    table->limit[LIMIT_MSGQUEUE] = (struct abi_rlimit){ 819200, 819200 };
    table->limit[LIMIT_NICE] = (struct abi_rlimit){ 0, 0 };
    table->limit[LIMIT_RTPRIO] = (struct abi_rlimit){ 0, 0 };
}

uint64_t rlimit_current(int resource)
{
    struct process *process = process_current();
    if (!process)
        return LIMIT_INFINITY;
    return READ_ONCE(process->limits.limit[resource].cur);
}

static int limit_check(const struct abi_rlimit *old, const struct abi_rlimit *new, int resource)
{
    if (new->cur > new->max)
        return -EINVAL;
    if (resource == LIMIT_NOFILE && new->max > DESCRIPTORS_MAX)
        return -EPERM;
    if (new->max > old->max && !process_is_capable(ABI_CAP_SYS_RESOURCE))
        return -EPERM;
    return 0;
}

static int limit_exchange(struct process *process, int resource, const struct abi_rlimit *new,
                          struct abi_rlimit *old)
{
    int err = 0;
    mutex_lock(&process->lock);
    struct abi_rlimit *limit = &process->limits.limit[resource];
    *old = *limit;
    if (new)
        err = limit_check(limit, new, resource);
    if (new && !err) {
        WRITE_ONCE(limit->cur, new->cur);
        WRITE_ONCE(limit->max, new->max);
    }
    mutex_unlock(&process->lock);
    return err;
}

void rlimit_set(int resource, const struct abi_rlimit *limit)
{
    struct process *process = process_current();
    uint64_t max = resource == LIMIT_NOFILE ? DESCRIPTORS_MAX : LIMIT_INFINITY;
    mutex_lock(&process->lock);
    process->limits.limit[resource] =
        (struct abi_rlimit){ MIN(limit->cur, max), MIN(limit->max, max) };
    mutex_unlock(&process->lock);
}

long sys_getrlimit(unsigned resource, void __app *limit)
{
    struct abi_rlimit old;
    if (resource >= RLIMIT_COUNT)
        return -EINVAL;
    int err = limit_exchange(process_current(), (int)resource, NULL, &old);
    return err ? err : copy_to_app(limit, &old, sizeof(old));
}

long sys_setrlimit(unsigned resource, const void __app *limit)
{
    struct abi_rlimit old, new;
    if (copy_from_app(&new, limit, sizeof(new)))
        return -EFAULT;
    if (resource >= RLIMIT_COUNT)
        return -EINVAL;
    return limit_exchange(process_current(), (int)resource, &new, &old);
}

/* The ids must match all the way round, as Linux's check_prlimit_permission() has it. */
static bool may_change_limits(const struct process *target)
{
    const struct credentials *mine = &process_current()->creds;
    const struct credentials *theirs = &target->creds;
    if (target == process_current())
        return true;
    if (mine->uid == theirs->euid && mine->uid == theirs->suid && mine->uid == theirs->uid &&
        mine->gid == theirs->egid && mine->gid == theirs->sgid && mine->gid == theirs->gid)
        return true;
    return process_is_capable(ABI_CAP_SYS_RESOURCE);
}

long sys_prlimit64(int pid, unsigned resource, const void __app *new_limit, void __app *old_limit)
{
    struct abi_rlimit old, new;
    if (resource >= RLIMIT_COUNT)
        return -EINVAL;
    if (new_limit && copy_from_app(&new, new_limit, sizeof(new)))
        return -EFAULT;

    struct process *process = process_of_tid(pid);
    if (!process)
        return -ESRCH;
    int err = -EPERM;
    if (may_change_limits(process))
        err = limit_exchange(process, (int)resource, new_limit ? &new : NULL, &old);
    process_put(process);
    if (!err && old_limit)
        err = copy_to_app(old_limit, &old, sizeof(old));
    return err;
}
