// SPDX-License-Identifier: MIT
#pragma once
/*
 * Signals.  A signal set is a uint64_t, signal n at bit n - 1.
 *
 * Locking: struct signal_shared's lock (RANK_SIGNAL, irq: timers send signals) covers the
 * pending queues of the process and of all its threads; struct signal_handlers' lock the
 * table, which CLONE_SIGHAND processes share.
 */
#include "abi/signal.h"
#include "kernel/poll.h"
#include "kernel/spinlock.h"
#include "kernel/wait.h"
#include "lib/list.h"

struct thread;
struct process;
struct regs;

#define SIGNAL_BIT(signo) (1ULL << ((signo)-1))

struct signal_queue {
    uint64_t set;        /* which are pending */
    struct list entries; /* their siginfo, oldest first; a lost one still has its bit */
};

/* In struct thread.  [o] the thread itself  [s] process->signals.lock */
struct thread_signals {
    uint64_t blocked;            /* [o] changed under [s] */
    uint64_t saved_blocked;      /* [o] sigsuspend, ppoll, pselect: restored after the handler */
    bool has_saved_blocked;      /* [o] */
    struct signal_queue pending; /* [s] */
    struct abi_stack altstack;   /* [o] */
    uint64_t waiting;            /* [s] set sigtimedwait is waiting for */
    unsigned parked_for;         /* [s] the last stop it is counted for in nparked */
    nsec_t cpu_time_told;        /* [s] CPU time that signal_send_computing() chose it for */
};

/* CLONE_SIGHAND shares it. */
struct signal_handlers {
    unsigned refcount;
    struct spinlock lock;
    struct abi_sigaction action[ABI_NSIG];
};

/* In struct process. */
struct signal_shared {
    struct spinlock lock;
    struct signal_queue pending;
    struct poll_head poll;     /* signalfd: POLLIN when something arrives */
    struct wait_queue arrived; /* signalfd readers */

    bool is_stopping; /* [s, read anywhere] job control: every thread parks */
    unsigned
        nstops; /* [s] counts the stops; a traced process may begin one while it is in another */
    unsigned nparked;          /* [s] threads that have parked for stop number nstops */
    int stop_signal;           /* [s] */
    bool is_stop_taken;        /* [s] a stop signal was dequeued and no SIGCONT came since */
    bool is_killed;            /* [s] by SIGKILL: no stop begins any more */
    bool is_stop_reported;     /* [s] the stop is complete and its parent was told */
    bool has_stop_event;       /* [s] for wait4 with WUNTRACED */
    bool has_continue_event;   /* [s] for wait4 with WCONTINUED */
    bool must_tell_continue;   /* [s] the next thread to go on tells the parent */
    struct wait_queue resumed; /* parked threads */
};

/* Sends; 0, -ESRCH (it is dying), -EAGAIN (queue limit, real-time only).  Any context.
 * info NULL: from the kernel.  A signal that is ignored is dropped here. */
int signal_send_thread(struct thread *thread, int signo, const struct abi_siginfo *info);
int signal_send_process(struct process *process, int signo, const struct abi_siginfo *info);
/* The same, about CPU time: a thread that computes takes it if one can, each by what it used. */
int signal_send_computing(struct process *process, int signo, const struct abi_siginfo *info);
/* To each process of a group (tty job control).  Threads only: it takes the process table lock. -ESRCH. */
int signal_send_group(int pgid, int signo, const struct abi_siginfo *info);
/* A fault of the running thread: cannot be blocked or ignored (then it kills). */
void signal_force_fault(int signo, int code, uintptr_t address);
void signal_force(int signo, const struct abi_siginfo *info);

/* True if the running thread should leave an interruptible sleep. */
bool signal_is_pending(void);
bool signal_is_fatal_pending(void);
/* Recomputes THREAD_WORK_SIGNAL after a change of mask or queue. */
void signal_update_work(struct thread *thread);
/* Replaces the running thread's mask (SIGKILL and SIGSTOP are left out). */
void signal_set_blocked(uint64_t blocked);
/* sigsuspend, ppoll, ...: mask for the duration of the call; the old one comes back after the
 * handler has run, or by signal_restore_blocked() if the call ends without one. */
void signal_set_temporary_blocked(uint64_t blocked);
void signal_restore_blocked(void);
/* The same for a call with a sigset in application memory, NULL: none.  0, -EINVAL, -EFAULT. */
int signal_mask_begin(const void __app *mask, size_t size) __must_check;
/* was_interrupted: the handler runs under the temporary mask first. */
void signal_mask_end(const void __app *mask, bool was_interrupted);

/* The next deliverable signal out of set for the running thread, or 0; fills info. */
int signal_dequeue(uint64_t set, struct abi_siginfo *info);

/* Called by arch on the way to the application when THREAD_WORK_SIGNAL is set, interrupts on:
 * takes what is pending, runs default actions, builds handler frames, and settles
 * ERESTART* results of the call that regs are inside of. */
void signal_deliver(struct regs *regs);

/* ---- Between the files of kernel/signal*.c and process*.c ---- */

void signal_queue_init(struct signal_queue *queue);
/* Drops what is pending in queue out of mask.  signals.lock held; the entries go to dead. */
void signal_queue_flush(struct signal_queue *queue, uint64_t mask, struct list *dead);
void signal_queue_free(struct list *dead); /* no lock held */
/* Appends; 0, -EAGAIN.  signals.lock held. */
int signal_queue_add(struct process *process, struct signal_queue *queue, int signo,
                     const struct abi_siginfo *info);
/* Takes the oldest entry of signo; *dead is what to kfree after the lock is dropped. */
void signal_queue_take(struct signal_queue *queue, int signo, struct abi_siginfo *info,
                       void **dead);
/* A copy of the entry that so many are before; false: there is none.  signals.lock held. */
bool signal_queue_peek(const struct signal_queue *queue, uint64_t index, struct abi_siginfo *info);
/* What a signal does when nobody handles it. */
enum signal_default { SIGNAL_IGNORE, SIGNAL_TERMINATE, SIGNAL_CORE, SIGNAL_STOP };
enum signal_default signal_default_action(int signo);
/* The running thread leaves: what was meant for it goes to the others. [ts] locks held */
void signal_retarget(struct process *process, struct thread *leaving, uint64_t set);
/* Makes thread look at its work, wherever it is.  signals.lock held or the thread cannot go away. */
void signal_kick(struct thread *thread, uint32_t work);
/* A stop signal was taken: all threads park until SIGCONT or the end. */
void signal_stop(int signo);
/* Parks the running thread while its process is stopping; true if it did. */
bool signal_park(void);
/* A thread left while others are parked: is the stop complete now?  [ts] held; true: tell the parent */
bool signal_stop_is_complete(struct process *process);
/* SIGCHLD about a stop of a child or tracee, unless process has SA_NOCLDSTOP; wakes its waiters.  [t] held. */
void signal_send_child_event(struct process *process, const struct abi_siginfo *info);
/* SIGCHLD for a stop (CLD_STOPPED) or a continuation (CLD_CONTINUED) of process. */
void signal_tell_parent_stopped(struct process *process, int code);
/* "node[1]: segfault at 0 ip ..." with registers and modules, to the log. */
void signal_report_crash(int signo, const struct abi_siginfo *info, const struct regs *regs);

int signal_handlers_create(struct signal_handlers **out) __must_check;
int signal_handlers_copy(struct signal_handlers *from, struct signal_handlers **out) __must_check;
struct signal_handlers *signal_handlers_get(struct signal_handlers *handlers);
void signal_handlers_put(struct signal_handlers *handlers);
void signal_handlers_reset(struct signal_handlers *handlers); /* execve */
void signal_shared_init(struct signal_shared *shared);
void thread_signals_init(struct thread_signals *signals);
/* The thread is being freed: nobody can send to it any more.  Drops its reference on its process. */
void thread_signals_fini(struct thread *thread);
