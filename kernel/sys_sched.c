// SPDX-License-Identifier: MIT
/*
 * sched_*(2), getpriority(2), getcpu(2).  A pid here is a thread's number, 0 the running thread.
 */
#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/sched.h"
#include "abi/time.h"
#include "kernel/clock.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/runqueue.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

#define NICE_MIN        (-20)
#define NICE_MAX        19
#define RT_PRIORITY_MAX 99

static struct thread *target_get(int pid)
{
    if (pid < 0)
        return NULL;
    return pid ? thread_find(pid) : thread_get(thread_current());
}

/* Its owner may change a thread, and who may change all. */
static bool may_change(const struct thread *thread)
{
    const struct credentials *mine = &process_current()->creds, *its = &thread->process->creds;

    return mine->euid == its->uid || mine->euid == its->euid ||
           process_is_capable(ABI_CAP_SYS_NICE);
}

long sys_sched_yield(void)
{
    sched_yield();
    return 0;
}

long sys_getcpu(void __app *cpu_to, void __app *node_to, void __app *unused)
{
    const uint32_t cpu = cpu_current(), node = 0;
    int err = cpu_to ? copy_to_app(cpu_to, &cpu, sizeof(cpu)) : 0;

    (void)unused;
    if (!err && node_to)
        err = copy_to_app(node_to, &node, sizeof(node));
    return err;
}

/* ---- Affinity ------------------------------------------------------------------------- */

long sys_sched_setaffinity(int pid, size_t len, const void __app *mask_from)
{
    uint64_t mask = 0;
    int err = copy_from_app(&mask, mask_from, MIN(len, sizeof(mask)));
    if (err)
        return err;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    err = may_change(thread) ? sched_set_affinity(thread, mask) : -EPERM;
    thread_put(thread);
    return err;
}

long sys_sched_getaffinity(int pid, size_t len, void __app *mask_to)
{
    if (len * 8 < arch_cpu_count() || len % sizeof(uint64_t) != 0)
        return -EINVAL;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    uint64_t mask = READ_ONCE(thread->sched.affinity) & cpus_online();
    thread_put(thread);
    int err = copy_to_app(mask_to, &mask, sizeof(mask));
    return err ? err : (long)sizeof(mask);
}

/* ---- Policies ------------------------------------------------------------------------- */

/* What a call wants a thread to have. */
struct policy_change {
    int policy;
    int rt_priority;
    int nice;
    bool sets_nice;
    bool reset_on_fork;
};

static bool policy_is_rt(int policy)
{
    return policy == ABI_SCHED_FIFO || policy == ABI_SCHED_RR;
}

static int policy_check(const struct policy_change *change)
{
    switch (change->policy) {
    case ABI_SCHED_FIFO:
    case ABI_SCHED_RR:
        return change->rt_priority >= 1 && change->rt_priority <= RT_PRIORITY_MAX ? 0 : -EINVAL;
    case ABI_SCHED_OTHER:
    case ABI_SCHED_BATCH:
    case ABI_SCHED_IDLE:
        return change->rt_priority == 0 ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

static bool may_raise_nice(const struct thread *thread, int nice)
{
    uint64_t limit = thread->process->limits.limit[LIMIT_NICE].cur;

    return nice >= thread->sched.nice || (uint64_t)(20 - nice) <= limit ||
           process_is_capable(ABI_CAP_SYS_NICE);
}

static int policy_permit(const struct thread *thread, const struct policy_change *change)
{
    uint64_t limit = thread->process->limits.limit[LIMIT_RTPRIO].cur;

    if (process_is_capable(ABI_CAP_SYS_NICE))
        return 0;
    if (!may_change(thread))
        return -EPERM;
    if (policy_is_rt(change->policy)) {
        if (change->policy != thread->sched.policy && limit == 0)
            return -EPERM;
        if (change->rt_priority > thread->sched.rt_priority &&
            (uint64_t)change->rt_priority > limit)
            return -EPERM;
    }
    if (change->sets_nice && !may_raise_nice(thread, change->nice))
        return -EPERM;
    return thread->sched.reset_on_fork && !change->reset_on_fork ? -EPERM : 0;
}

static long policy_apply(int pid, const struct policy_change *change)
{
    int err = pid < 0 ? -EINVAL : policy_check(change);
    if (err)
        return err;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    err = policy_permit(thread, change);
    if (!err) {
        thread->sched.reset_on_fork = change->reset_on_fork;
        sched_set_policy(thread, change->policy, change->rt_priority);
        if (change->sets_nice)
            sched_set_nice(thread, change->nice);
    }
    thread_put(thread);
    if (!err)
        sched_check();
    return err;
}

long sys_sched_setscheduler(int pid, int policy, const void __app *param_from)
{
    struct abi_sched_param param;

    if (policy < 0 || pid < 0 || !param_from)
        return -EINVAL;
    int err = copy_from_app(&param, param_from, sizeof(param));
    if (err)
        return err;
    struct policy_change change = { .policy = policy & ~ABI_SCHED_RESET_ON_FORK,
                                    .rt_priority = param.sched_priority,
                                    .reset_on_fork = policy & ABI_SCHED_RESET_ON_FORK };
    return policy_apply(pid, &change);
}

long sys_sched_setparam(int pid, const void __app *param_from)
{
    struct abi_sched_param param;

    if (pid < 0 || !param_from)
        return -EINVAL;
    int err = copy_from_app(&param, param_from, sizeof(param));
    if (err)
        return err;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    struct policy_change change = { .policy = thread->sched.policy,
                                    .rt_priority = param.sched_priority,
                                    .reset_on_fork = thread->sched.reset_on_fork };
    thread_put(thread);
    return policy_apply(pid, &change);
}

long sys_sched_getscheduler(int pid)
{
    if (pid < 0)
        return -EINVAL;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    long policy = thread->sched.policy;
    if (thread->sched.reset_on_fork)
        policy |= ABI_SCHED_RESET_ON_FORK;
    thread_put(thread);
    return policy;
}

long sys_sched_getparam(int pid, void __app *param_to)
{
    if (pid < 0 || !param_to)
        return -EINVAL;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    struct abi_sched_param param = { .sched_priority = thread->sched.rt_priority };
    thread_put(thread);
    return copy_to_app(param_to, &param, sizeof(param));
}

/* The structure may be older than ours, or newer if what we do not know is 0. */
static int read_attr(struct abi_sched_attr *attr, void __app *from)
{
    uint32_t size;
    const uint32_t ours = sizeof(*attr);
    int err = copy_from_app(&size, from, sizeof(size));

    if (err)
        return err;
    if (size == 0)
        size = ABI_SCHED_ATTR_SIZE_VER0;
    if (size < ABI_SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
        goto too_big;
    *attr = (struct abi_sched_attr){ 0 };
    err = copy_from_app(attr, from, MIN(size, ours));
    for (uint32_t at = ours; !err && at < size; at++) {
        char byte;
        err = copy_from_app(&byte, (const char __app *)from + at, 1);
        if (!err && byte)
            goto too_big;
    }
    return err;
too_big:
    return copy_to_app(from, &ours, sizeof(ours)) ? -EFAULT : -E2BIG;
}

long sys_sched_setattr(int pid, void __app *attr_from, unsigned flags)
{
    struct abi_sched_attr attr;

    if (pid < 0 || !attr_from || flags)
        return -EINVAL;
    int err = read_attr(&attr, attr_from);
    if (err)
        return err;
    if ((int32_t)attr.sched_policy < 0 || attr.sched_flags & ~(uint64_t)ABI_SCHED_FLAG_ALL)
        return -EINVAL;
    if (attr.sched_flags & (ABI_SCHED_FLAG_UTIL_CLAMP_MIN | ABI_SCHED_FLAG_UTIL_CLAMP_MAX))
        return -EOPNOTSUPP;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    struct policy_change change = {
        .policy = (int)attr.sched_policy,
        .rt_priority = (int)MIN(attr.sched_priority, (uint32_t)INT32_MAX),
        .nice = MAX(MIN(attr.sched_nice, NICE_MAX), NICE_MIN),
        .reset_on_fork = attr.sched_flags & ABI_SCHED_FLAG_RESET_ON_FORK,
    };
    if (attr.sched_flags & ABI_SCHED_FLAG_KEEP_POLICY)
        change.policy = thread->sched.policy;
    if (attr.sched_flags & ABI_SCHED_FLAG_KEEP_PARAMS) {
        change.rt_priority = thread->sched.rt_priority;
        change.nice = thread->sched.nice;
    }
    change.sets_nice = !policy_is_rt(change.policy);
    thread_put(thread);
    return policy_apply(pid, &change);
}

long sys_sched_getattr(int pid, void __app *attr_to, unsigned size, unsigned flags)
{
    if (pid < 0 || !attr_to || size < ABI_SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || flags)
        return -EINVAL;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    struct abi_sched_attr attr = {
        .size = MIN(size, (unsigned)sizeof(attr)),
        .sched_policy = (uint32_t)thread->sched.policy,
        .sched_flags = thread->sched.reset_on_fork ? ABI_SCHED_FLAG_RESET_ON_FORK : 0,
        .sched_nice = policy_is_rt(thread->sched.policy) ? 0 : thread->sched.nice,
        .sched_priority = (uint32_t)thread->sched.rt_priority,
        .sched_util_max = 1024,
    };
    thread_put(thread);
    return copy_to_app(attr_to, &attr, attr.size);
}

long sys_sched_get_priority_max(int policy)
{
    switch (policy) {
    case ABI_SCHED_FIFO:
    case ABI_SCHED_RR:
        return RT_PRIORITY_MAX;
    case ABI_SCHED_OTHER:
    case ABI_SCHED_BATCH:
    case ABI_SCHED_IDLE:
    case ABI_SCHED_DEADLINE:
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_sched_get_priority_min(int policy)
{
    return policy_is_rt(policy) ? 1 : sys_sched_get_priority_max(policy);
}

long sys_sched_rr_get_interval(int pid, void __app *ts_to)
{
    if (pid < 0)
        return -EINVAL;
    struct thread *thread = target_get(pid);
    if (!thread)
        return -ESRCH;
    nsec_t interval = thread->sched.policy == ABI_SCHED_FIFO ? 0
                      : thread->sched.policy == ABI_SCHED_RR ? RR_SLICE_NS
                                                             : sched_slice();
    thread_put(thread);
    struct abi_timespec ts = timespec_from_nsec(interval);
    return copy_to_app(ts_to, &ts, sizeof(ts));
}

/* ---- Nice ------------------------------------------------------------------------------- */

/* getpriority and setpriority, over the threads that which and who name. */
struct nice_walk {
    int which, who;
    bool sets;
    int nice;   /* to set */
    int lowest; /* found */
    int result; /* -ESRCH until one is found; then 0, or an error of one of them */
};

static void nice_visit(struct nice_walk *walk, struct thread *thread)
{
    if (walk->result == -ESRCH)
        walk->result = 0;
    if (!walk->sets) {
        walk->lowest = MIN(walk->lowest, thread->sched.nice);
        return;
    }
    if (!may_change(thread))
        walk->result = -EPERM;
    else if (!may_raise_nice(thread, walk->nice))
        walk->result = -EACCES;
    else
        sched_set_nice(thread, walk->nice);
}

static bool nice_visit_process(struct process *process, void *arg)
{
    struct nice_walk *walk = arg;
    struct thread *thread;
    bool matches = walk->which == ABI_PRIO_PGRP ? process->pgid == walk->who
                                                : (int)process->creds.uid == walk->who;

    if (matches)
        list_for_each (thread, &process->threads, process_node)
            nice_visit(walk, thread);
    return true;
}

static int nice_walk_run(struct nice_walk *walk)
{
    walk->result = -ESRCH;
    walk->lowest = NICE_MAX;
    switch (walk->which) {
    case ABI_PRIO_PROCESS: {
        struct thread *thread = target_get(walk->who);
        if (!thread)
            return -ESRCH;
        nice_visit(walk, thread);
        thread_put(thread);
        return walk->result;
    }
    case ABI_PRIO_PGRP:
        if (walk->who == 0)
            walk->who = process_current()->pgid;
        break;
    case ABI_PRIO_USER:
        if (walk->who == 0)
            walk->who = (int)process_current()->creds.uid;
        break;
    default:
        return -EINVAL;
    }
    process_for_each(nice_visit_process, walk);
    return walk->result;
}

/* The result is 20 - nice, so that it is never negative; the C library turns it back. */
long sys_getpriority(int which, int who)
{
    struct nice_walk walk = { .which = which, .who = who };
    int err = nice_walk_run(&walk);

    return err ? err : 20 - walk.lowest;
}

long sys_setpriority(int which, int who, int nice)
{
    struct nice_walk walk = { .which = which, .who = who, .sets = true };

    walk.nice = MAX(MIN(nice, NICE_MAX), NICE_MIN);
    int err = nice_walk_run(&walk);
    if (!err)
        sched_check();
    return err;
}
