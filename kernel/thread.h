// SPDX-License-Identifier: MIT
#pragma once
/*
 * Threads.  Every thread is a kernel thread with its own wired, guarded kernel stack; one that
 * belongs to a process also runs application code.
 *
 * [i] set at creation  [o] only the thread itself  [a] atomic  [s] signals->lock
 * [t] process table lock
 */
#include "arch/arch.h"
#include "kernel/sched.h"
#include "kernel/signal.h"
#include "kernel/timer.h"
#include "lib/list.h"

#define KERNEL_STACK_SIZE 16384

struct process;
struct vmspace;

struct thread {
    /* The entry code knows these first fields by offset. */
    uintptr_t kernel_sp;           /* saved by arch_switch() */
    uintptr_t kernel_stack_bottom; /* [i] */
    uintptr_t kernel_stack_top;    /* [i] */
    uint32_t work;                 /* [a] THREAD_WORK_*: why not to go straight back to the application */
    uint32_t flags;                /* [a] THREAD_* */
    struct arch_thread arch;

    unsigned refcount;             /* [a] */
    enum thread_state state;       /* [a] see kernel/sched.h */
    struct sched_entity sched;
    struct timer sleep_timer;
    int sleep_result;

    int tid;                       /* [i] */
    char name[16];                 /* comm */
    struct process *process;       /* [i] NULL for kernel threads */
    struct vmspace *vmspace;       /* the process's; execve replaces it.  NULL for kernel threads */
    struct list process_node;      /* [t] process->threads */
    struct rb_node tid_node;       /* [t] all threads by tid */

    struct thread_signals signals; /* kernel/signal.h */
    uintptr_t clear_child_tid;     /* [o] set_tid_address */
    uintptr_t robust_list;         /* [o] */
    struct list pi_held;           /* futex: PI locks this thread owns */
    int exit_status;
    uintptr_t rseq_area;           /* [o] */
    uint32_t rseq_signature;
    uint32_t rseq_len;
    bool is_in_syscall;            /* [o] tracing, /proc/PID/syscall */
    long syscall_nr;
    nsec_t start_time;
};

/* thread->work: kernel_exit_work() is called before the return to the application. */
#define THREAD_WORK_SIGNAL  1u /* a signal may be deliverable */
#define THREAD_WORK_RESCHED 2u
#define THREAD_WORK_RSEQ    4u
#define THREAD_WORK_EXIT    8u /* the process is dying: leave */

#define THREAD_TRACED  1u /* strace lines */
#define THREAD_EXITING 2u

static inline struct thread *thread_current(void)
{
    return arch_current();
}

/* A kernel thread, not yet started.  NULL: no memory. */
struct thread *thread_create_kernel(const char *name, void (*function)(void *), void *arg);
/* A thread for process, not yet started and not yet listed; registers are set by
 * arch_thread_init + arch_enter_app.  NULL: no memory. */
struct thread *thread_create_app(struct process *process, const char *name);
struct thread *thread_get(struct thread *thread);
void thread_put(struct thread *thread);
/* The thread with this tid with a reference, or NULL. */
struct thread *thread_find(int tid);
void thread_set_name(struct thread *thread, const char *name);
