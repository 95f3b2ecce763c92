// SPDX-License-Identifier: MIT
#pragma once
/*
 * ptrace(2): a thread that another one watches, stops and changes.  kernel/ptrace.c has the theory.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"

struct abi_siginfo;
struct process;
struct thread;
struct vmspace;

/* In struct thread, about it as a tracee.  [t] process table lock  [s] signals.lock  [ts] changed with both held */
struct thread_trace {
    struct thread *tracer;    /* [ts] NULL: nobody traces it */
    struct list node;         /* [t] tracer->process->tracees */
    unsigned options;         /* [s] ABI_PTRACE_O_* */
    bool is_seized;           /* [ts] */
    bool is_stopped;          /* [s] until the tracer resumes it; its registers are the tracer's */
    bool is_listening;        /* [s] PTRACE_LISTEN: stopped, but not the tracer's */
    bool must_trap;           /* [s] it is to stop once: PTRACE_INTERRUPT, attached while stopped */
    bool must_notify;         /* [s] seized: job control did something; it stops to tell */
    bool must_skip_calls;     /* [s] PTRACE_SYSEMU */
    bool is_privileged;       /* [ts] who began it had CAP_SYS_PTRACE: execve may gain */
    bool is_answered;         /* [s] code is the tracer's signal, not what the stop had to say */
    bool is_dead;             /* [t] a thread (not the leader) that ended and was not waited for */
    int code;                 /* [s] stopped: what wait reports, then the signal to go on with */
    unsigned long message;    /* [s] PTRACE_GETEVENTMSG */
    struct abi_siginfo *info; /* [s] of the stop; NULL: it has none */
};

/* How a tracee goes on. */
enum trace_resume { TRACE_CONT, TRACE_CALLS, TRACE_STEP, TRACE_EMULATE, TRACE_EMULATE_STEP };

static inline bool ptrace_event_is_wanted(const struct thread_trace *trace, int event)
{
    return trace->options >> event & 1;
}

/* Whether the running process may look into another: all of its user and group numbers are ours, or CAP_SYS_PTRACE. */
bool ptrace_may_access(const struct process *process);
/* The memory of a process that the running one may look into, as it is now: held (vmspace_hold()), or NULL if there is
 * none.  -EACCES. */
int ptrace_hold_memory(struct process *process, struct vmspace **out) __must_check;

/* ---- Who traces whom: kernel/ptrace.c ---- */

int ptrace_attach(struct thread *thread, bool seize, unsigned options) __must_check;
int ptrace_traceme(void) __must_check;
/* [t] held for writing. */
void ptrace_unlink(struct thread *thread);
/* A new thread or process, not yet started, gets the running thread's tracer if event or flags say so. */
void ptrace_inherit(struct thread *child, int event, uint64_t clone_flags);
/* PTRACE_EVENT_FORK, VFORK or CLONE if the running thread's tracer wants to hear of such a clone, or 0. */
int ptrace_clone_event(uint64_t clone_flags, int exit_signal);
/* The running thread ends: its tracees go on without it.  [t] held for writing; processes that nobody waits for
 * go to reaped, dead threads to threads (by trace.node). */
void ptrace_tracer_exit(struct thread *tracer, struct list *reaped, struct list *threads);
/* The running thread, not the leader, has ended: its tracer waits for it.  [t] held for writing. */
void ptrace_thread_died(struct thread *thread);
/* Its tracer's thread number, or 0. */
int ptrace_tracer_tid(struct thread *thread);
/* SIGCHLD about the tracee to its tracer's process, whose waiters look again.  [t] held. */
void ptrace_tell_tracer(struct thread *thread, int code, int status);

/* ---- Stops of the running thread: kernel/ptrace_stop.c ---- */

static inline bool thread_is_traced(const struct thread_trace *trace)
{
    return __atomic_load_n(&trace->tracer, __ATOMIC_RELAXED);
}

/* A signal is about to be delivered: what the tracer leaves of it, 0 for nothing. */
int ptrace_signal(struct abi_siginfo *info);
/* Job control, or must_trap: signo is the group's stop signal or 0. */
void ptrace_group_stop(int signo);
void ptrace_event(int event, unsigned long message);
void ptrace_exec(int old_tid);
void ptrace_exit(int wait_status);
/* A handler's frame was built under a single step. */
void ptrace_handler_step(void);
/* Before a call: false if it is not to be made. */
bool ptrace_syscall_enter(void) __must_check;
/* After it: the result, which the tracer may have changed. */
long ptrace_syscall_leave(long result);
/* Lets the tracee go on.  signals.lock held. */
void ptrace_resume_locked(struct thread *thread, int signo);
/* Job control did something to a seized tracee.  signals.lock held. */
void ptrace_notify_locked(struct thread *thread);
