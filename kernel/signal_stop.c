// SPDX-License-Identifier: MIT
/*
 * Job control: stopping and continuing whole processes.
 *
 * The thread that takes a stop signal sets is_stopping and kicks all others; each thread parks on
 * its way back to the application (so a system call that was interrupted for it simply restarts).
 * When the last one has parked the stop is complete and the parent is told.  SIGCONT and
 * SIGKILL take is_stopping back when they are sent, from any context; the first thread that goes on tells
 * the parent of the continuation, since that takes the process table's lock.
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
    /* A SIGCONT that came after the signal was taken wins. */
    if (shared->is_stop_taken && !shared->is_stopping && !process->is_exiting) {
        shared->is_stopping = true;
        shared->is_stop_reported = false;
        shared->has_continue_event = false;
        shared->must_tell_continue = false;
        shared->stop_signal = signo;
        list_for_each (thread, &process->threads, process_node)
            signal_kick(thread, THREAD_WORK_SIGNAL);
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

bool signal_park(void)
{
    struct process *process = process_current();
    struct signal_shared *shared = &process->signals;
    if (!READ_ONCE(shared->is_stopping))
        return false;

    unsigned long flags = spin_lock_irq(&shared->lock);
    shared->nparked++;
    bool is_complete = signal_stop_is_complete(process);
    spin_unlock_irq(&shared->lock, flags);
    if (is_complete)
        signal_tell_parent_stopped(process, ABI_CLD_STOPPED);

    (void)wait_on_always(&shared->resumed, !READ_ONCE(shared->is_stopping), DEADLINE_NONE);

    flags = spin_lock_irq(&shared->lock);
    shared->nparked--;
    bool must_tell = shared->must_tell_continue;
    shared->must_tell_continue = false;
    spin_unlock_irq(&shared->lock, flags);
    if (must_tell)
        signal_tell_parent_stopped(process, ABI_CLD_CONTINUED);
    return true;
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

void signal_tell_parent_stopped(struct process *process, int code)
{
    struct abi_siginfo info = { .si_signo = ABI_SIGCHLD, .si_code = code };
    info.chld.pid = process->pid;
    info.chld.uid = process->creds.uid;
    info.chld.si_status = code == ABI_CLD_STOPPED ? process->signals.stop_signal : ABI_SIGCONT;

    read_lock(&process_table_lock);
    struct process *parent = process->parent;
    if (parent) {
        if (parent_wants_stops(parent))
            (void)signal_send_process(parent, ABI_SIGCHLD, &info);
        wake_all(&parent->child_event);
    }
    read_unlock(&process_table_lock);
}
