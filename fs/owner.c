// SPDX-License-Identifier: MIT
/*
 * Owners of files: see fs/owner.h.
 *
 * owner_lock covers who it is while signals are sent, so that the process stays.  Signals for groups wait in a queue
 * for a thread that is made with the first owner which is a group.
 */
#include "fs/owner.h"

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* What is sent to one. */
struct notice {
    struct list node; /* [o] group_notices */
    struct file_owner owner;
    int signo, plain;
    bool has_info;
    struct abi_siginfo info;
};

static struct spinlock owner_lock = SPINLOCK_INIT(RANK_FILE_OWNER); /* [o] */
static struct list group_notices = LIST_INIT(group_notices);        /* [o] */
static struct wait_queue group_wait = WAIT_QUEUE_INIT(group_wait);

/* As sigio_perm() of Linux. */
static bool may_signal(const struct file_owner *owner, const struct process *process)
{
    const struct credentials *creds = &process->creds;

    return owner->euid == 0 || owner->euid == creds->suid || owner->euid == creds->uid ||
           owner->uid == creds->suid || owner->uid == creds->uid;
}

/* thread NULL: the process. */
static void send(const struct notice *notice, struct process *process, struct thread *thread)
{
    const struct abi_siginfo *info = notice->has_info ? &notice->info : NULL;
    int err = -EAGAIN;

    if (!may_signal(&notice->owner, process))
        return;
    if (notice->signo)
        err = thread ? signal_send_thread(thread, notice->signo, info)
                     : signal_send_process(process, notice->signo, info);
    if (err != -EAGAIN)
        return;
    (void)(thread ? signal_send_thread(thread, notice->plain, NULL)
                  : signal_send_process(process, notice->plain, NULL));
}

/* ---- Groups --------------------------------------------------------------------------- */

static bool send_to_member(struct process *process, void *arg)
{
    const struct notice *notice = arg;

    if (process->pgid == -notice->owner.pid)
        send(notice, process, NULL);
    return true;
}

static struct notice *take_group_notice(void)
{
    struct notice *notice = NULL;
    unsigned long flags = spin_lock_irq(&owner_lock);
    if (!list_is_empty(&group_notices)) {
        notice = list_first(&group_notices, struct notice, node);
        list_remove(&notice->node);
    }
    spin_unlock_irq(&owner_lock, flags);
    return notice;
}

static void groups_run(void *arg)
{
    struct notice *notice;

    for (;;) {
        (void)wait_on_always(&group_wait, !list_is_empty(&group_notices), DEADLINE_NONE);
        while ((notice = take_group_notice()) != NULL) {
            process_for_each(send_to_member, notice);
            kfree(notice);
        }
    }
}

static int groups_start(void)
{
    static struct mutex lock = MUTEX_INIT(lock, RANK_OBJECT);
    static bool is_started;

    mutex_lock(&lock);
    struct thread *thread = is_started ? NULL : thread_create_kernel("sigio", groups_run, NULL);
    if (thread) {
        thread_start(thread);
        is_started = true;
    }
    int err = is_started ? 0 : -ENOMEM;
    mutex_unlock(&lock);
    return err;
}

/* owner_lock held. */
static void queue_for_group(const struct notice *notice)
{
    struct notice *copy = kmalloc(sizeof(*copy), ALLOC_ATOMIC);

    if (!copy)
        return; /* as a signal that finds no memory */
    *copy = *notice;
    list_push_back(&group_notices, &copy->node);
    wake_all(&group_wait);
}

/* ---- Telling ---------------------------------------------------------------------------- */

/* owner_lock held. */
static void tell_thread(const struct notice *notice)
{
    struct thread *thread = thread_find(notice->owner.pid);

    if (!thread)
        return;
    if (thread->process)
        send(notice, thread->process, thread);
    thread_put(thread);
}

void file_owner_tell(const struct file_owner *owner, int signo, const struct abi_siginfo *info,
                     int plain)
{
    unsigned long flags = spin_lock_irq(&owner_lock);
    if (owner->pid) {
        struct notice notice = {
            .owner = *owner, .signo = signo, .plain = plain, .has_info = info
        };
        if (info)
            notice.info = *info;
        if (owner->pid < 0)
            queue_for_group(&notice);
        else if (owner->is_thread)
            tell_thread(&notice);
        else
            send(&notice, owner->process, NULL);
    }
    spin_unlock_irq(&owner_lock, flags);
}

/* ---- Who it is ----------------------------------------------------------------------------- */

struct group_search {
    int pgid;
    bool was_found;
};

static bool find_member(struct process *process, void *arg)
{
    struct group_search *search = arg;

    search->was_found = process->pgid == search->pgid;
    return !search->was_found;
}

static bool group_exists(int pgid)
{
    struct group_search search = { .pgid = pgid };

    process_for_each(find_member, &search);
    return search.was_found;
}

static struct process *find_process(int pid, bool is_thread)
{
    struct process *process = process_of_tid(pid);

    if (process && !is_thread && process->pid != pid) {
        process_put(process);
        return NULL;
    }
    return process;
}

/* Fills new but for its signo. */
static int find_owner(struct file_owner *new)
{
    if (new->pid == INT32_MIN)
        return -EINVAL;
    if (new->pid < 0)
        return group_exists(-new->pid) ? groups_start() : -ESRCH;
    if (!new->pid)
        return 0;
    new->process = find_process(new->pid, new->is_thread);
    if (!new->process)
        return -ESRCH;
    if (new->is_thread) {
        process_put(new->process);
        new->process = NULL;
    }
    return 0;
}

static int set(struct file_owner *owner, int pid, bool is_thread, bool is_default)
{
    const struct credentials *creds = &process_current()->creds;
    struct file_owner new = {
        .pid = pid, .is_thread = is_thread, .uid = creds->uid, .euid = creds->euid
    };
    int err = find_owner(&new);
    if (err)
        return err;
    struct process *unused = new.process;
    unsigned long flags = spin_lock_irq(&owner_lock);
    if (!is_default || !owner->pid) {
        unused = owner->process;
        new.signo = owner->signo;
        *owner = new;
    }
    spin_unlock_irq(&owner_lock, flags);
    if (unused)
        process_put(unused);
    return 0;
}

int file_owner_set(struct file_owner *owner, int pid, bool is_thread)
{
    return set(owner, pid, is_thread, false);
}

int file_owner_set_default(struct file_owner *owner, int pid)
{
    return set(owner, pid, false, true);
}

void file_owner_fini(struct file_owner *owner)
{
    if (owner->process)
        process_put(owner->process);
    owner->process = NULL;
}

int file_owner_pid(const struct file_owner *owner)
{
    int pid = READ_ONCE(owner->pid);

    if (pid < 0)
        return group_exists(-pid) ? pid : 0;
    struct process *process = pid ? find_process(pid, READ_ONCE(owner->is_thread)) : NULL;
    if (!process)
        return 0;
    process_put(process);
    return pid;
}
