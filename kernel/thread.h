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
#include "kernel/process_time.h"
#include "kernel/ptrace.h"
#include "kernel/sched.h"
#include "kernel/seccomp.h"
#include "kernel/signal.h"
#include "kernel/timer.h"
#include "lib/list.h"

#define KERNEL_STACK_SIZE 16384UL

struct call_context;
struct fdtable;
struct fs_context;
struct futex_pi;
struct process;
struct restart;
struct sem_undo_list;
struct vmspace;

/*
 * How restart_syscall(2) goes on with a call that a signal interrupted (-ERESTART_RESTARTBLOCK).  The call
 * fills it in before it returns; function gets it back, and may return -ERESTART_RESTARTBLOCK again.
 */
struct restart {
    long (*function)(struct restart *restart); /* NULL: nothing to go on with, -EINTR */
    uintptr_t address; /* of the application: a futex word, or where the remaining time goes */
    nsec_t deadline;   /* on the clock of the call */
    int clock;
    unsigned flags;
    uint32_t value, bitset;
};

#define THREAD_LOCKS_MAX 12

/* Something of a higher layer that ends with a thread, or with its execve. */
struct thread_attachment {
    void (*release)(struct thread_attachment *attachment);
};

struct thread {
    /* The entry code knows these first fields by offset. */
    uintptr_t kernel_sp;           /* saved by arch_switch() */
    uintptr_t kernel_stack_bottom; /* [i] */
    uintptr_t kernel_stack_top;    /* [i] */
    uint32_t work;           /* [a] THREAD_WORK_*: why not to go straight back to the application */
    uint32_t flags;          /* [a] THREAD_* */
    struct process *process; /* [i] NULL for kernel threads */
    int tid;                 /* [i] but see thread_exchange_tid(); 0 in kernel threads */
    struct arch_thread arch;

    unsigned refcount;       /* [a] */
    enum thread_state state; /* [a] see kernel/sched.h */
    struct sched_entity sched;
    struct timer sleep_timer;
    void (*start_function)(void *); /* [i] where it begins: thread_set_entry() */
    void *start_arg;
    struct list free_node; /* waits for its memory to be freed: kernel/thread.c */

    char name[16];            /* comm */
    struct vmspace *vmspace;  /* the process's; execve replaces it.  NULL for kernel threads */
    struct fs_context *fs;    /* [o] under process->lock: kernel/thread_fs.h; NULL: the process's */
    struct fdtable *files;    /* [o] likewise: kernel/thread_files.h */
    bool has_own_files;       /* [s] counted in process->nown_files */
    struct list process_node; /* [t] process->threads */
    struct rb_node tid_node;  /* [t] all threads by tid */

    struct thread_signals signals;   /* kernel/signal.h */
    struct thread_trace trace;       /* kernel/ptrace.h */
    struct thread_seccomp seccomp;   /* kernel/seccomp.h */
    uintptr_t clear_child_tid;       /* [o] set_tid_address */
    uintptr_t robust_list;           /* [o] */
    struct list pi_held;             /* futex: contended PI locks this thread owns */
    struct futex_pi *pi_waits_for;   /* futex: the PI lock it sleeps for */
    struct restart restart;          /* [o] */
    struct sem_undo_list *sem_undos; /* [o] kernel/ipc/sem_undo.c; NULL until used */
    int exit_status;
    uintptr_t rseq_area; /* [o] */
    uint32_t rseq_signature;
    uint32_t rseq_len;
    unsigned rseq_cpu;                 /* the number that rseq_area shows */
    uint16_t mempolicy;                /* [o] set_mempolicy(2), kernel/mm/sys_mempolicy.c */
    bool has_mce_kill, mce_kill_early; /* [o] prctl(2): PR_MCE_KILL */
    uint64_t timer_slack_ns, default_timer_slack_ns; /* [o] prctl(2): only kept, timers are exact */
    struct call_context *call; /* [o] a call that the kernel makes for the application, or NULL */
    struct thread_attachment *ring_fds; /* [o] fs/uring/sys_uring.c */
    unsigned
        nevents_left; /* [o] of epoll_wait()'s last answer, beyond the one at work: net/net.c */
    nsec_t start_time;
    struct cpu_account cpu_account;      /* settled under [s] */
    uint64_t minor_faults, major_faults; /* [o] */
    struct io_counts io;                 /* [o] */
    uint8_t nlocks; /* [o] debug builds: sleeping locks held, outermost first */
    const void *locks[THREAD_LOCKS_MAX];
    uint8_t lock_ranks[THREAD_LOCKS_MAX];
};

/* thread->work: kernel_exit_work() is called before the return to the application. */
#define THREAD_WORK_SIGNAL  1u /* a signal may be deliverable */
#define THREAD_WORK_RESCHED 2u
#define THREAD_WORK_RSEQ    4u
#define THREAD_WORK_EXIT    8u  /* the process is dying: leave */
#define THREAD_WORK_CANCEL  16u /* kernel threads: what it does is not wanted any more */
#define THREAD_WORK_MASK    32u /* signal_deliver() looks, though no signal came */

#define THREAD_EXITING    2u
#define THREAD_LISTED     4u     /* thread_find() finds it */
#define THREAD_OWNS_NO_PI 8u     /* futex: on its way out, it gave its PI locks away */
#define THREAD_TRACED     0x200u /* strace lines; the entry code compares it with call numbers */
#define THREAD_CALL_STOPS                                                                          \
    0x400u /* ptrace: its tracer is told of calls, or steps; compared likewise */
#define THREAD_FILTERED   0x800u  /* seccomp; compared likewise */
#define THREAD_COUNTED    0x1000u /* its calls are counted; compared likewise */
/* Why a call does not go straight to its function. */
#define THREAD_SLOW_CALLS (THREAD_TRACED | THREAD_CALL_STOPS | THREAD_FILTERED | THREAD_COUNTED)

static inline struct thread *thread_current(void)
{
    return arch_current();
}

/* A kernel thread, not yet started.  NULL: no memory. */
struct thread *thread_create_kernel(const char *name, void (*function)(void *), void *arg);
/* A thread for process, of which it holds a reference until it is freed, with a tid of its own, not yet
 * started and not yet listed; tid as for tid_alloc().  What it runs is set by thread_set_entry().  -ENOMEM, -EAGAIN,
 * -EEXIST. */
int thread_create_app(struct process *process, const char *name, int tid,
                      struct thread **out) __must_check;
/* The thread will begin in function(arg) with interrupts on; function must not return (it ends in
 * arch_enter_app() or sched_exit()).  Use this and not arch_thread_init(), whose function would
 * begin in the middle of a switch. */
void thread_set_entry(struct thread *thread, void (*function)(void *), void *arg);
/* A created thread has one reference, which sched_exit() drops; to keep hold of a started thread take
 * another.  Puts are allowed in any context; the memory is freed later, and the tid with it. */
struct thread *thread_get(struct thread *thread);
void thread_put(struct thread *thread);
/* The thread of an application with this tid, started and not yet ended, with a reference; or NULL. */
struct thread *thread_find(int tid);
void thread_set_name(struct thread *thread, const char *name);
/* execve by a thread that is not the leader: both are started or both are not listed any more. */
void thread_exchange_tid(struct thread *a, struct thread *b);
/* Called by sched_exit(); from then on thread_find() does not find it. */
void thread_unlist(struct thread *thread);

/* The one number space of threads and processes: 1 to TID_MAX, ascending, reused late.  -EAGAIN: thread_limit(). */
#define TID_MAX 32768
/* How many there can be at a time, zombies too, root's too: /proc/sys/kernel/threads-max. */
unsigned thread_limit(void);
/* This number, or with 0 the next that is free; -EEXIST, -EAGAIN. */
int tid_alloc(int wanted) __must_check;
void tid_free(int tid);
int tid_last(void); /* the one given out last */
