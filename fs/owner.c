// SPDX-License-Identifier: MIT
/*
 * Owners of files: see fs/owner.h.
 */
#include "fs/owner.h"

#include "abi/errno.h"
#include "kernel/process.h"
#include "kernel/thread.h"

struct group_visit {
    const struct file_owner *owner;
    int signo; /* 0: only look whether there is a member */
    bool was_found;
};

/* As sigio_perm() of Linux. */
static bool may_signal(const struct file_owner *owner, const struct process *process)
{
    const struct credentials *creds = &process->creds;

    return owner->euid == 0 || owner->euid == creds->suid || owner->euid == creds->uid ||
           owner->uid == creds->suid || owner->uid == creds->uid;
}

static bool visit_member(struct process *process, void *arg)
{
    struct group_visit *visit = arg;

    if (process->pgid != -visit->owner->pid)
        return true;
    visit->was_found = true;
    if (visit->signo && may_signal(visit->owner, process))
        (void)signal_send_process(process, visit->signo, NULL);
    return true;
}

static void signal_thread(const struct file_owner *owner, int signo)
{
    struct thread *thread = thread_find(owner->pid);

    if (!thread)
        return;
    if (may_signal(owner, thread->process))
        (void)signal_send_thread(thread, signo, NULL);
    thread_put(thread);
}

static void signal_process(const struct file_owner *owner, int signo)
{
    struct process *process = process_find(owner->pid);

    if (!process)
        return;
    if (may_signal(owner, process))
        (void)signal_send_process(process, signo, NULL);
    process_put(process);
}

void file_owner_signal(const struct file_owner *owner, int signo)
{
    struct group_visit visit = { .owner = owner, .signo = signo };

    if (owner->pid < 0)
        process_for_each(visit_member, &visit);
    else if (owner->is_thread)
        signal_thread(owner, signo);
    else if (owner->pid > 0)
        signal_process(owner, signo);
}

static bool exists(const struct file_owner *owner)
{
    struct group_visit visit = { .owner = owner };

    if (owner->pid < 0) {
        process_for_each(visit_member, &visit);
        return visit.was_found;
    }
    struct process *process = process_of_tid(owner->pid);
    bool is_there = process && (owner->is_thread || process->pid == owner->pid);
    if (process)
        process_put(process);
    return is_there;
}

int file_owner_set(struct file_owner *owner, int pid, bool is_thread)
{
    const struct credentials *creds = &process_current()->creds;
    struct file_owner new = {
        .pid = pid, .is_thread = is_thread, .uid = creds->uid, .euid = creds->euid
    };

    if (pid == INT32_MIN)
        return -EINVAL;
    if (pid && !exists(&new))
        return -ESRCH;
    *owner = new;
    return 0;
}

int file_owner_pid(const struct file_owner *owner)
{
    return owner->pid && exists(owner) ? owner->pid : 0;
}
