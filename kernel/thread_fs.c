// SPDX-License-Identifier: MIT
/*
 * A thread without root, directory and umask of its own (thread->fs is NULL) uses its process's.  Nearly all
 * do, so that creating and ending a thread costs nothing here.  Only the thread itself sets its pointer, under
 * process->lock because /proc/PID/task/TID reads it.
 */
#include "kernel/thread_fs.h"

#include "abi/errno.h"

struct fs_context *fs_of_thread(struct process *process, struct thread *thread)
{
    mutex_lock(&process->lock);
    struct fs_context *fs = thread && thread->fs ? thread->fs : process->fs;
    if (fs)
        fs = fs_context_get(fs);
    mutex_unlock(&process->lock);
    return fs;
}

/* The new one's reference is taken over; returns the old one. */
static struct fs_context *exchange(struct process *process, struct fs_context **place,
                                   struct fs_context *new)
{
    mutex_lock(&process->lock);
    struct fs_context *old = *place;
    *place = new;
    mutex_unlock(&process->lock);
    return old;
}

int thread_fs_unshare(void)
{
    struct thread *self = thread_current();
    struct process *process = self->process;
    struct fs_context *copy;
    int err = fs_context_copy(fs_current(), &copy);
    if (err)
        return err;
    bool is_alone = READ_ONCE(process->nthreads) == 1;
    struct fs_context *old =
        exchange(process, is_alone && !self->fs ? &process->fs : &self->fs, copy);
    if (old)
        fs_context_put(old);
    return 0;
}

int thread_fs_inherit(struct thread *child, bool is_shared)
{
    struct thread *self = thread_current();
    if (!is_shared)
        return fs_context_copy(fs_current(), &child->fs);
    if (self->fs)
        child->fs = fs_context_get(self->fs);
    return 0;
}

void thread_fs_leave(struct thread *thread)
{
    if (!thread->fs)
        return;
    fs_context_put(exchange(thread->process, &thread->fs, NULL));
}

void thread_fs_to_process(void)
{
    struct thread *self = thread_current();
    struct process *process = self->process;
    if (!self->fs)
        return;
    mutex_lock(&process->lock);
    struct fs_context *old = process->fs;
    process->fs = self->fs;
    self->fs = NULL;
    mutex_unlock(&process->lock);
    fs_context_put(old);
}
