// SPDX-License-Identifier: MIT
/*
 * Tracing, 1: who traces whom.
 *
 * A thread is traced by one thread at most, its tracer.  A tracee stops itself, always: in the delivery of a signal
 * (kernel/signal_deliver.c), at a system call (kernel/syscall.c), for an event (clone, exec, exit), or with the group
 * (kernel/signal_stop.c).  All of these are one kind of stop, trace_stop() of kernel/ptrace_stop.c: it leaves the
 * registers where the tracer finds them, tells the tracer, and sleeps on signals.resumed, as the stops of job control
 * do, until the tracer resumes it or SIGKILL comes.  What a stopped tracee has on its kernel stack and in its
 * signals is its tracer's to read and change (kernel/sys_ptrace.c).
 *
 * `code` is what the stop has to say.  wait4 reports it, and takes it to 0; the tracer puts there the signal that the
 * tracee is to go on with.  So one whose tracer dies goes on with the signal if nobody had heard of it yet.
 *
 * Locks.  The relation changes with the process table's lock (for writing) and the tracee's signals.lock held, so
 * either keeps it; the state of a stop is under the tracee's signals.lock.  The link to the tracer needs no reference:
 * a thread that ends lets go of its tracees (thread_detach()) and a tracee that is waited for leaves the list.  A
 * thread that ends while it is traced stays on the list as a zombie of its own, with a reference; the leader is one
 * with its process.
 */
#include "kernel/ptrace.h"

#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/process.h"
#include "abi/ptrace.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* Nobody gets by tracing what he could not do himself. */
static bool is_as_capable(const struct credentials *own, const struct credentials *other)
{
    return !(other->cap_permitted & ~own->cap_permitted);
}

bool ptrace_may_access(const struct process *process)
{
    const struct credentials *own = &process_current()->creds, *other = &process->creds;

    if (process == process_current() || process_is_capable(ABI_CAP_SYS_PTRACE))
        return true;
    bool is_same = is_as_capable(own, other) && own->fsuid == other->uid &&
                   own->fsuid == other->euid && own->fsuid == other->suid &&
                   own->fsgid == other->gid && own->fsgid == other->egid &&
                   own->fsgid == other->sgid;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* process_set_creds() */
    return is_same && READ_ONCE(process->is_dumpable);
}

int ptrace_hold_memory(struct process *process, struct vmspace **out)
{
    struct vmspace *vm = process_vmspace(process);
    bool may = !vm || vm == process_current()->vmspace || ptrace_may_access(process);

    *out = vm && may ? vmspace_hold(vm) : NULL;
    vmspace_put(vm);
    return may ? 0 : -EACCES;
}

int ptrace_tracer_tid(struct thread *thread)
{
    unsigned long flags = spin_lock_irq(&thread->process->signals.lock);
    const struct thread *tracer = thread->trace.tracer;
    int tid = tracer ? tracer->tid : 0;
    spin_unlock_irq(&thread->process->signals.lock, flags);
    return tid;
}

void ptrace_tell_tracer(struct thread *thread, int code, int status)
{
    struct abi_siginfo info = { .si_signo = ABI_SIGCHLD, .si_code = code };
    info.chld.pid = thread->tid;
    info.chld.uid = thread->process->creds.uid;
    info.chld.si_status = status;
    if (thread->trace.tracer)
        signal_send_child_event(thread->trace.tracer->process, &info);
}

/* ---- Beginning ---------------------------------------------------------------- */

/* [ts] held. */
static void link_locked(struct thread *thread, struct thread *tracer, bool seize, unsigned options,
                        bool is_privileged)
{
    struct thread_trace *trace = &thread->trace;
    WRITE_ONCE(trace->tracer, tracer);
    trace->is_seized = seize;
    trace->options = options;
    trace->is_privileged = is_privileged;
    list_push_back(&tracer->process->tracees, &trace->node);
}

/* What attaching does to a thread that is stopped already, or seized.  [ts] held; true: it will stop at once. */
static bool begin_stopped(struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    bool is_parked = shared->is_stopping && thread->signals.parked_for == shared->nstops;
    if (!is_parked)
        return false;
    thread->trace.must_trap = true;
    wake_all(&shared->resumed);
    return true;
}

static bool has_stopped_or_gone(struct thread *thread)
{
    unsigned long flags = spin_lock_irq(&thread->process->signals.lock);
    bool is_so = thread->trace.is_stopped || !thread->trace.must_trap;
    spin_unlock_irq(&thread->process->signals.lock, flags);
    return is_so || READ_ONCE(thread->flags) & THREAD_EXITING;
}

int ptrace_attach(struct thread *thread, bool seize, unsigned options)
{
    struct thread *self = thread_current();
    struct process *process = thread->process;
    bool is_waited_for = false;
    if (process == self->process || !ptrace_may_access(process))
        return -EPERM;

    write_lock(&process_table_lock);
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    int err = thread->trace.tracer || READ_ONCE(thread->flags) & THREAD_EXITING ? -EPERM : 0;
    if (!err) {
        link_locked(thread, self, seize, options, process_is_capable(ABI_CAP_SYS_PTRACE));
        is_waited_for = begin_stopped(thread);
    }
    spin_unlock_irq(&process->signals.lock, flags);
    if (!err && !seize)
        (void)signal_send_thread(thread, ABI_SIGSTOP, NULL);
    write_unlock(&process_table_lock);
    /* One that was stopped before is so in the eyes of wait4 too, at once. */
    if (is_waited_for)
        (void)wait_on(&self->process->child_event, has_stopped_or_gone(thread), DEADLINE_NONE);
    return err;
}

struct thread *process_creator(const struct process *process)
{
    const struct process *parent = process->parent;
    struct thread *thread, *any = NULL;
    if (!parent)
        return NULL;
    list_for_each (thread, &parent->threads, process_node) {
        if (READ_ONCE(thread->flags) & THREAD_EXITING)
            continue;
        if (thread->tid == process->creator_tid)
            return thread;
        any = any ? any : thread;
    }
    return any;
}

static bool may_be_tracer(const struct thread *tracer)
{
    const struct credentials *own = &tracer->process->creds;
    return own->cap_effective >> ABI_CAP_SYS_PTRACE & 1 ||
           is_as_capable(own, &process_current()->creds);
}

int ptrace_traceme(void)
{
    struct thread *self = thread_current();
    struct signal_shared *shared = &self->process->signals;
    int err = 0;

    write_lock(&process_table_lock);
    struct thread *tracer = process_creator(self->process);
    unsigned long flags = spin_lock_irq(&shared->lock);
    if (self->trace.tracer || (tracer && !may_be_tracer(tracer)))
        err = -EPERM;
    else if (tracer)
        link_locked(self, tracer, false, 0, process_is_capable(ABI_CAP_SYS_PTRACE));
    spin_unlock_irq(&shared->lock, flags);
    write_unlock(&process_table_lock);
    return err;
}

int ptrace_clone_event(uint64_t clone_flags, int exit_signal)
{
    const struct thread_trace *trace = &thread_current()->trace;
    int event = ABI_PTRACE_EVENT_FORK;
    if (!thread_is_traced(trace) || clone_flags & ABI_CLONE_UNTRACED)
        return 0;
    if (clone_flags & ABI_CLONE_VFORK)
        event = ABI_PTRACE_EVENT_VFORK;
    else if (exit_signal != ABI_SIGCHLD)
        event = ABI_PTRACE_EVENT_CLONE;
    return ptrace_event_is_wanted(trace, event) ? event : 0;
}

void ptrace_inherit(struct thread *child, int event, uint64_t clone_flags)
{
    const struct thread_trace *own = &thread_current()->trace;
    struct signal_shared *shared = &child->process->signals;
    if (!thread_is_traced(own) || !(event || clone_flags & ABI_CLONE_PTRACE))
        return;
    write_lock(&process_table_lock);
    struct thread *tracer = own->tracer;
    unsigned long flags = spin_lock_irq(&shared->lock);
    if (tracer && !child->trace.tracer) {
        link_locked(child, tracer, own->is_seized, own->options, own->is_privileged);
        if (own->is_seized)
            child->trace.must_trap = true;
        else
            child->signals.pending.set |= SIGNAL_BIT(ABI_SIGSTOP);
        __atomic_fetch_or(&child->work, THREAD_WORK_SIGNAL, __ATOMIC_RELAXED);
    }
    spin_unlock_irq(&shared->lock, flags);
    write_unlock(&process_table_lock);
}

/* ---- The end ------------------------------------------------------------------- */

void ptrace_unlink(struct thread *thread)
{
    struct thread_trace *trace = &thread->trace;
    struct signal_shared *shared = &thread->process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    if (trace->tracer) {
        WRITE_ONCE(trace->tracer, NULL);
        list_remove(&trace->node);
        trace->options = 0;
        trace->must_trap = trace->must_notify = false;
        __atomic_fetch_and(&thread->flags, ~THREAD_CALL_STOPS, __ATOMIC_RELAXED);
        if (trace->is_stopped)
            ptrace_resume_locked(thread, trace->code & 0xff);
        else if (shared->is_stopping)
            signal_kick(thread, THREAD_WORK_SIGNAL); /* it parks like the others */
    }
    spin_unlock_irq(&shared->lock, flags);
}

void ptrace_tracer_exit(struct thread *tracer, struct list *reaped, struct list *threads)
{
    struct thread *thread, *following;
    list_for_each_safe (thread, following, &tracer->process->tracees, trace.node) {
        struct process *process = thread->process;
        if (thread->trace.tracer != tracer)
            continue;
        bool must_kill = thread->trace.options & ABI_PTRACE_O_EXITKILL;
        bool is_child = process->parent == tracer->process;
        ptrace_unlink(thread);
        if (must_kill)
            (void)signal_send_process(process, ABI_SIGKILL, NULL);
        if (thread->trace.is_dead) {
            list_push_back(threads, &thread->trace.node);
        } else if (process->state == PROCESS_ZOMBIE && thread == process->leader && !is_child &&
                   process_tell_parent_exit(process)) {
            process_unlink(process);
            list_push_back(reaped, &process->sibling_node);
        }
    }
}

void ptrace_thread_died(struct thread *thread)
{
    if (!thread->trace.tracer || thread == thread->process->leader)
        return;
    thread_get(thread); /* wait4's */
    thread->trace.is_dead = true;
    int signo = thread->exit_status & 0x7f;
    ptrace_tell_tracer(thread, signo ? ABI_CLD_KILLED : ABI_CLD_EXITED,
                       signo ? signo : thread->exit_status >> 8 & 0xff);
}
