// SPDX-License-Identifier: MIT
#pragma once
/*
 * Whose root, current directory and umask a thread uses: those of its process, or its own after
 * unshare(CLONE_FS), or clone(CLONE_THREAD) without CLONE_FS.
 */
#include "kernel/process.h"
#include "kernel/thread.h"

/* Of the running thread, which belongs to a process; stays while only it could change it. */
static inline struct fs_context *fs_current(void)
{
    struct fs_context *own = thread_current()->fs;
    return own ? own : process_current()->fs;
}

/* Those of the thread, or of the process if thread is NULL, with a reference; NULL: the process is dead. */
struct fs_context *fs_of_thread(struct process *process, struct thread *thread);

/* Gives the running thread its own.  -ENOMEM. */
int thread_fs_unshare(void) __must_check;
/* What a thread that the running one makes in its own process begins with.  -ENOMEM. */
int thread_fs_inherit(struct thread *child, bool is_shared) __must_check;
/* The thread ends, or was never started. */
void thread_fs_leave(struct thread *thread);
/* execve: the running thread is the only one left, and what it has is its process's. */
void thread_fs_to_process(void);
