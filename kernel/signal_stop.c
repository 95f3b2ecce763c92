// SPDX-License-Identifier: MIT
/*
 * Job control: stopping and continuing whole processes.
 *
 * The thread that takes a stop signal sets is_stopping and kicks all others; each thread parks on
 * its way back to the application (so a system call that was interrupted for it simply restarts).
 * When the last one has parked the stop is complete and the parent is told.  SIGCONT and
 * SIGKILL take is_stopping back when they are sent, from any context; the first thread that goes on tells
 * the parent of the continuation, since that takes the process table's lock.
 *
 * A thread that is traced does not park but stops for its tracer, who may let it run in a stopped process.  So
 * a stop has a number, and a thread takes part in each once (parked_for).
 */
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"

void signal_stop(int signo)
{
    struct process *process = process_current();
    struct signal_shared *shared = &process->signals;
    struct thread *thread;

    unsigned long flags = spin_lock_irq(&shared->lock);
    bool is_new = !shared->is_stopping;
    /* A SIGCONT that came after the signal was taken wins. */
    if (shared->is_stop_taken && !shared->is_killed && !process->is_exiting &&
        (is_new || thread_current()->trace.tracer)) {
        shared->is_stopping = true;
        shared->nstops++;
        shared->nparked = 0;
        if (is_new) {
            shared->is_stop_reported = false;
            shared->has_continue_event = false;
            shared->must_tell_continue = false;
            shared->stop_signal = signo;
        }
        list_for_each (thread, &process->threads, process_node) {
            ptrace_notify_locked(thread);
            signal_kick(thread, THREAD_WORK_SIGNAL);
        }
        wake_all(&shared->resumed); /* who is parked takes part in this one, too */
    }
    shared->is_stop_taken = false;
    spin_unlock_irq(&shared->lock, flags);
}

bool signal_stop_is_complete(struct process *process)
{
    struct signal_shared *shared = &process->signals;
    if (!shared->is_stopping || shared->is_stop_reported || shared->nparked != process->nthreads)
        return false;
    shared->is_stop_reported = true;
    shared->has_stop_event = true;
    return true;
}

/* The running thread takes part in the stop; true if that made it complete.  signals.lock held. */
static bool take_part(struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    if (!shared->is_stopping || thread->signals.parked_for == shared->nstops)
        return false;
    thread->signals.parked_for = shared->nstops;
    shared->nparked++;
    return signal_stop_is_complete(thread->process);
}

static bool may_go_on(const struct thread *thread, unsigned nstop)
{
    const struct signal_shared *shared = &thread->process->signals;
    return !READ_ONCE(shared->is_stopping) || READ_ONCE(shared->nstops) != nstop ||
           thread_is_traced(&thread->trace);
}

static void continuation_tell(struct process *process)
{
    struct signal_shared *shared = &process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    bool must_tell = shared->must_tell_continue;
    shared->must_tell_continue = false;
    spin_unlock_irq(&shared->lock, flags);
    if (must_tell)
        signal_tell_parent_stopped(process, ABI_CLD_CONTINUED);
}

bool signal_park(void)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    struct signal_shared *shared = &process->signals;
    struct thread_trace *trace = &thread->trace;
    if (!READ_ONCE(shared->is_stopping) && !READ_ONCE(trace->must_trap) &&
        !READ_ONCE(trace->must_notify))
        return false;

    unsigned long flags = spin_lock_irq(&shared->lock);
    bool is_traced = trace->tracer;
    bool must_stop =
        shared->is_stopping && (!is_traced || thread->signals.parked_for != shared->nstops);
    must_stop |= is_traced && (trace->must_trap || trace->must_notify);
    unsigned nstop = shared->nstops;
    int signo = shared->is_stopping ? shared->stop_signal : 0;
    bool is_complete = must_stop && take_part(thread);
    spin_unlock_irq(&shared->lock, flags);
    if (is_complete)
        signal_tell_parent_stopped(process, ABI_CLD_STOPPED);
    if (must_stop && is_traced)
        ptrace_group_stop(signo);
    else if (must_stop)
        (void)wait_on_always(&shared->resumed, may_go_on(thread, nstop), DEADLINE_NONE);
    continuation_tell(process);
    return must_stop;
}

static bool parent_wants_stops(struct process *parent)
{
    unsigned long flags = spin_lock_irq(&parent->signals.lock);
    const struct signal_handlers *handlers = parent->handlers;
    bool wants =
        handlers && !(READ_ONCE(handlers->action[ABI_SIGCHLD - 1].flags) & ABI_SA_NOCLDSTOP);
    spin_unlock_irq(&parent->signals.lock, flags);
    return wants;
}

void signal_send_child_event(struct process *process, const struct abi_siginfo *info)
{
    if (parent_wants_stops(process))
        (void)signal_send_process(process, ABI_SIGCHLD, info);
    wake_all(&process->child_event);
}

void signal_tell_parent_stopped(struct process *process, int code)
{
    struct abi_siginfo info = { .si_signo = ABI_SIGCHLD, .si_code = code };
    info.chld.pid = process->pid;
    info.chld.uid = process->creds.uid;
    info.chld.si_status = code == ABI_CLD_STOPPED ? process->signals.stop_signal : ABI_SIGCONT;

    read_lock(&process_table_lock);
    struct process *parent = process->parent;
    if (parent)
        signal_send_child_event(parent, &info);
    read_unlock(&process_table_lock);
}
