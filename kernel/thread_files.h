// SPDX-License-Identifier: MIT
#pragma once
/*
 * Whose descriptors a thread uses: those of its process, or its own after unshare(CLONE_FILES), or
 * clone(CLONE_THREAD) without CLONE_FILES.
 */
#include "kernel/process.h"
#include "kernel/thread.h"

/* Of the running thread, which belongs to a process; stays while only it could change it. */
static inline struct fdtable *files_current(void)
{
    struct fdtable *own = thread_current()->files;
    return own ? own : thread_current()->process->files;
}

/* Somebody beside the running thread will use what it uses; to be kept for them where the thread has its own, with a
 * reference, or NULL. */
static inline struct fdtable *files_take_share(void)
{
    struct fdtable *own = thread_current()->files;

    if (own)
        return fdtable_share(own);
    fdtable_add_user(process_current()->files);
    return NULL;
}

/* Those of the thread, or of the process if thread is NULL, with a reference; NULL: the process is dead. */
struct fdtable *files_of_thread(struct process *process, struct thread *thread);

/* Gives the running thread its own, unless nobody else uses what it has.  -ENOMEM. */
int thread_files_unshare(void) __must_check;
/* What a thread that the running one makes in its own process begins with.  -ENOMEM. */
int thread_files_inherit(struct thread *child, bool is_shared) __must_check;
/* The running thread ends. */
void thread_files_leave(void);
/* The thread was never started. */
void thread_files_discard(struct thread *thread);
/* execve: the running thread is the only one left, and what it has is its process's. */
void thread_files_to_process(void);
