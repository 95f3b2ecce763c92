// SPDX-License-Identifier: MIT
/*
 * Tracing, 2: the stops of a tracee.  kernel/ptrace.c has the theory.
 */
#include "abi/errno.h"
#include "abi/ptrace.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "kernel/thread.h"

struct stop {
    int code; /* what wait reports: a signal, | 0x80 for a call, | an event << 8 */
    int why;  /* ABI_CLD_TRAPPED, or ABI_CLD_STOPPED: with the group */
    unsigned long message;
    struct abi_siginfo *info;
    bool is_last; /* at the thread's end, which nothing but the tracer makes go on */
};

/* SIGKILL ends any stop, and so does the end of the process. */
static bool must_leave(const struct thread *thread)
{
    uint64_t pending =
        READ_ONCE(thread->signals.pending.set) | READ_ONCE(thread->process->signals.pending.set);
    return READ_ONCE(thread->work) & THREAD_WORK_EXIT || pending & SIGNAL_BIT(ABI_SIGKILL);
}

static bool is_over(const struct thread *thread, const struct stop *stop)
{
    return !READ_ONCE(thread->trace.is_stopped) || (!stop->is_last && must_leave(thread));
}

/* False: there is no tracer any more, or no time for it. */
static bool stop_begin(struct thread *thread, const struct stop *stop)
{
    struct thread_trace *trace = &thread->trace;
    struct signal_shared *shared = &thread->process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    bool is_stopping = trace->tracer && (stop->is_last || !must_leave(thread));
    if (is_stopping) {
        trace->code = stop->code;
        trace->is_answered = false;
        trace->message = stop->message;
        trace->info = stop->info;
        trace->must_trap = false; /* this one will do */
        if (stop->info && stop->info->si_code >> 8 == ABI_PTRACE_EVENT_STOP)
            trace->must_notify = false;
        WRITE_ONCE(trace->is_stopped, true);
    } else {
        trace->must_trap = trace->must_notify = false;
    }
    spin_unlock_irq(&shared->lock, flags);
    return is_stopping;
}

static int stop_end(struct thread *thread)
{
    struct thread_trace *trace = &thread->trace;
    struct signal_shared *shared = &thread->process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    int code = trace->code;
    trace->code = 0;
    trace->info = NULL;
    trace->is_listening = false;
    WRITE_ONCE(trace->is_stopped, false);
    spin_unlock_irq(&shared->lock, flags);
    return code;
}

/* Stops the running thread until its tracer resumes it; the signal to go on with.  -1: it need not stop. */
static int trace_stop(const struct stop *stop)
{
    struct thread *thread = thread_current();
    struct signal_shared *shared = &thread->process->signals;
    int status = stop->why == ABI_CLD_STOPPED ? shared->stop_signal : stop->code;

    arch_trace_begin(thread);
    if (!stop_begin(thread, stop))
        return -1;
    read_lock(&process_table_lock);
    ptrace_tell_tracer(thread, stop->why, status & 0x7f);
    read_unlock(&process_table_lock);

    (void)wait_on_always(&shared->resumed, is_over(thread, stop), DEADLINE_NONE);

    int code = stop_end(thread);
    arch_trace_end(thread);
    /* The registers may be others than those that the short way back from a call keeps.  THREAD_WORK_SIGNAL would do,
     * but a call that sleeps after its stop would take it for a signal. */
    __atomic_fetch_or(&thread->work, THREAD_WORK_MASK, __ATOMIC_RELAXED);
    return code;
}

/* A stop that is not about a signal: its siginfo says what it is. */
static int trace_notify(int signo, int code, int why, unsigned long message, bool is_last)
{
    const struct thread *thread = thread_current();
    struct abi_siginfo info = { .si_signo = signo, .si_code = code };
    info.si_pid = thread->tid;
    info.si_uid = thread->process->creds.uid;
    return trace_stop(&(struct stop){
        .code = code, .why = why, .message = message, .info = &info, .is_last = is_last });
}

/* ---- Signals ----------------------------------------------------------------------- */

int ptrace_signal(struct abi_siginfo *info)
{
    struct thread *thread = thread_current();
    struct signal_shared *shared = &thread->process->signals;
    int signo = info->si_signo;

    unsigned long flags = spin_lock_irq(&shared->lock);
    shared->is_stop_taken = true; /* the tracer may make a stop signal of it */
    spin_unlock_irq(&shared->lock, flags);
    signo = trace_stop(&(struct stop){ .code = signo, .why = ABI_CLD_TRAPPED, .info = info });
    if (signo == 0)
        return 0;
    if (signo < 0)
        signo = info->si_signo;
    if (signo != info->si_signo) {
        *info = (struct abi_siginfo){ .si_signo = signo, .si_code = ABI_SI_USER };
        info->si_pid = ptrace_tracer_tid(thread);
    }
    if (!(thread->signals.blocked & SIGNAL_BIT(signo)) && !must_leave(thread))
        return signo;
    (void)signal_send_thread(thread, signo, info);
    return 0;
}

void ptrace_group_stop(int signo)
{
    const struct thread *thread = thread_current();
    if (!thread->trace.is_seized) {
        (void)trace_stop(
            &(struct stop){ .code = signo ? signo : ABI_SIGSTOP, .why = ABI_CLD_STOPPED });
        return;
    }
    int shown = signo ? signo : ABI_SIGTRAP;
    (void)trace_notify(shown, shown | ABI_PTRACE_EVENT_STOP << 8, ABI_CLD_STOPPED, 0, false);
}

void ptrace_handler_step(void)
{
    (void)trace_notify(ABI_SIGTRAP, ABI_SIGTRAP, ABI_CLD_TRAPPED, 0, false);
}

/* ---- Events --------------------------------------------------------------------------- */

static void event_stop(int event, unsigned long message, bool is_last)
{
    (void)trace_notify(ABI_SIGTRAP, ABI_SIGTRAP | event << 8, ABI_CLD_TRAPPED, message, is_last);
}

void ptrace_event(int event, unsigned long message)
{
    if (ptrace_event_is_wanted(&thread_current()->trace, event))
        event_stop(event, message, false);
}

void ptrace_exec(int old_tid)
{
    struct thread *thread = thread_current();
    if (!thread_is_traced(&thread->trace))
        return;
    if (ptrace_event_is_wanted(&thread->trace, ABI_PTRACE_EVENT_EXEC))
        event_stop(ABI_PTRACE_EVENT_EXEC, (unsigned long)old_tid, false);
    else if (!thread->trace.is_seized)
        (void)signal_send_thread(
            thread, ABI_SIGTRAP,
            &(struct abi_siginfo){ .si_code = ABI_SI_USER, .si_pid = thread->process->pid });
}

void ptrace_exit(int wait_status)
{
    if (ptrace_event_is_wanted(&thread_current()->trace, ABI_PTRACE_EVENT_EXIT))
        event_stop(ABI_PTRACE_EVENT_EXIT, (unsigned long)wait_status, true);
}

/* ---- System calls ------------------------------------------------------------------------ */

static void call_stop(unsigned long message)
{
    struct thread *thread = thread_current();
    bool is_good = thread->trace.options & ABI_PTRACE_O_TRACESYSGOOD;
    int code = ABI_SIGTRAP | (is_good ? 0x80 : 0);
    int signo = trace_notify(ABI_SIGTRAP, code, ABI_CLD_TRAPPED, message, false);
    struct abi_siginfo info = { .si_code = ABI_SI_KERNEL };
    if (signo > 0 && READ_ONCE(thread->trace.is_answered))
        (void)signal_send_thread(thread, signo, &info);
}

static bool call_stops_are_wanted(const struct thread *thread)
{
    return thread_is_traced(&thread->trace) && !arch_trace_is_stepping(thread);
}

bool ptrace_syscall_enter(void)
{
    struct thread *thread = thread_current();
    struct regs *regs = arch_thread_regs(thread);
    bool must_skip = READ_ONCE(thread->trace.must_skip_calls);
    arch_regs_set_result(regs, -ENOSYS);
    if (call_stops_are_wanted(thread) || must_skip)
        call_stop(ABI_PTRACE_EVENTMSG_SYSCALL_ENTRY);
    return !must_skip && !must_leave(thread) && (int)arch_regs_syscall(regs) >= 0;
}

long ptrace_syscall_leave(long result)
{
    struct thread *thread = thread_current();
    struct regs *regs = arch_thread_regs(thread);
    arch_regs_set_result(regs, result);
    if (READ_ONCE(thread->trace.must_skip_calls))
        return result;
    if (arch_trace_is_stepping(thread))
        signal_force_fault(ABI_SIGTRAP, ABI_TRAP_BRKPT, arch_regs_pc(regs));
    else if (READ_ONCE(thread->flags) & THREAD_CALL_STOPS)
        call_stop(ABI_PTRACE_EVENTMSG_SYSCALL_EXIT);
    return arch_regs_result(regs);
}

/* ---- Going on -------------------------------------------------------------------------------- */

void ptrace_resume_locked(struct thread *thread, int signo)
{
    thread->trace.code = signo;
    WRITE_ONCE(thread->trace.is_stopped, false);
    wake_all(&thread->process->signals.resumed);
}

void ptrace_notify_locked(struct thread *thread)
{
    struct thread_trace *trace = &thread->trace;
    if (!trace->tracer || !trace->is_seized)
        return;
    trace->must_notify = true;
    if (trace->is_listening)
        ptrace_resume_locked(thread, 0);
    signal_kick(thread, THREAD_WORK_SIGNAL);
}
