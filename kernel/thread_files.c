// SPDX-License-Identifier: MIT
/*
 * A thread without a descriptor table of its own (thread->files is NULL) uses its process's, as nearly all do.  Only
 * the thread itself sets its pointer, under process->lock because /proc/PID/task/TID/fd reads it.
 *
 * A table holds files open, so the process's goes when its last user takes another or ends, and that is before the
 * process does if other threads have their own.  Threads that do not use it any more are counted as they are
 * listed, under signals.lock: process->nthreads less process->nown_files are its users.  Only a user can make
 * another one, so that who is the last one stays the last.  The threads of a pool of io_uring use it too, uncounted.
 */
#include "kernel/thread_files.h"

#include "abi/errno.h"

struct fdtable *files_of_thread(struct process *process, struct thread *thread)
{
    mutex_lock(&process->lock);
    struct fdtable *files = thread && thread->files ? thread->files : process->files;
    if (files)
        files = fdtable_get(files);
    mutex_unlock(&process->lock);
    return files;
}

/* signals.lock held.  The running thread is the only user of the process's table. */
static bool is_last_user(const struct process *process, const struct thread *self)
{
    return !self->has_own_files && process->nthreads - process->nown_files == 1 &&
           !READ_ONCE(process->uring);
}

/* signals.lock held. */
static void count_own(struct process *process, struct thread *self)
{
    process->nown_files += !self->has_own_files;
    self->has_own_files = true;
}

/* copy becomes the running thread's; what it used before and nobody uses now, or NULL. */
static struct fdtable *exchange(struct fdtable *copy)
{
    struct thread *self = thread_current();
    struct process *process = self->process;

    mutex_lock(&process->lock);
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    struct fdtable **place = is_last_user(process, self) ? &process->files : &self->files;
    if (place == &self->files)
        count_own(process, self);
    struct fdtable *old = *place;
    *place = copy;
    spin_unlock_irq(&process->signals.lock, flags);
    mutex_unlock(&process->lock);
    return old;
}

static bool is_shared(void)
{
    struct thread *self = thread_current();
    struct process *process = self->process;

    unsigned long flags = spin_lock_irq(&process->signals.lock);
    bool has_others = !self->files && !is_last_user(process, self);
    spin_unlock_irq(&process->signals.lock, flags);
    return has_others || fdtable_is_shared(files_current());
}

int thread_files_unshare(void)
{
    struct fdtable *copy;

    if (!is_shared())
        return 0;
    int err = fdtable_copy(files_current(), &copy);
    if (err)
        return err;
    struct fdtable *old = exchange(copy);
    if (old)
        fdtable_put(old);
    return 0;
}

int thread_files_inherit(struct thread *child, bool is_shared)
{
    int err = 0;

    if (!is_shared)
        err = fdtable_copy(files_current(), &child->files);
    else
        child->files = files_take_share();
    child->has_own_files = child->files;
    return err;
}

void thread_files_leave(void)
{
    struct thread *self = thread_current();
    struct process *process = self->process;
    struct fdtable *own = self->files, *unused = NULL;

    unsigned long flags = spin_lock_irq(&process->signals.lock);
    /* The last thread of all leaves it to the end of its process. */
    bool takes_all = is_last_user(process, self) && process->nthreads > 1;
    count_own(process, self);
    spin_unlock_irq(&process->signals.lock, flags);
    if (!own && !takes_all)
        return;
    mutex_lock(&process->lock);
    if (own) {
        self->files = NULL;
    } else {
        unused = process->files;
        process->files = NULL;
    }
    mutex_unlock(&process->lock);
    fdtable_put(own ? own : unused);
}

void thread_files_discard(struct thread *thread)
{
    if (thread->files)
        fdtable_put(thread->files);
    thread->files = NULL;
}

void thread_files_to_process(void)
{
    struct thread *self = thread_current();
    struct process *process = self->process;

    if (!self->files)
        return;
    mutex_lock(&process->lock);
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    struct fdtable *old = process->files;
    process->files = self->files;
    self->files = NULL;
    self->has_own_files = false;
    process->nown_files = 0;
    spin_unlock_irq(&process->signals.lock, flags);
    mutex_unlock(&process->lock);
    if (old)
        fdtable_put(old);
}
