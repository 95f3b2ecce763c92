// SPDX-License-Identifier: MIT
/*
 * Taking signals: on the way back to the application.
 *
 * signal_deliver() runs what is pending until a handler has to run, of which it builds one frame; the
 * return path looks again and comes back for the next.  A system call that a signal interrupted has
 * left an -ERESTART* result, which is settled here and nowhere else:
 *
 *     result                   no handler ran       handler with SA_RESTART   handler without
 *     -ERESTARTSYS             restart              restart                   -EINTR
 *     -ERESTARTNOINTR          restart              restart                   restart
 *     -ERESTARTNOHAND          restart              -EINTR                    -EINTR
 *     -ERESTART_RESTARTBLOCK   restart_syscall()    -EINTR                    -EINTR
 */
#include "abi/errno.h"
#include "abi/syscall_nr.h"
#include "kernel/process.h"
#include "kernel/rseq.h"
#include "kernel/signal.h"
#include "kernel/strace.h"
#include "kernel/thread.h"

#define RED_ZONE 128

static void settle_without_handler(struct regs *regs)
{
    if (arch_regs_syscall(regs) < 0)
        return;
    switch (arch_regs_result(regs)) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
        arch_regs_restart_syscall(regs, -1);
        break;
    case -ERESTART_RESTARTBLOCK:
        arch_regs_restart_syscall(regs, SYS_restart_syscall);
        break;
    default:
        break;
    }
    arch_regs_forget_syscall(regs);
}

static void settle_with_handler(struct regs *regs, const struct abi_sigaction *action)
{
    if (arch_regs_syscall(regs) < 0)
        return;
    switch (arch_regs_result(regs)) {
    case -ERESTARTSYS:
        if (action->flags & ABI_SA_RESTART)
            arch_regs_restart_syscall(regs, -1);
        else
            arch_regs_set_result(regs, -EINTR);
        break;
    case -ERESTARTNOINTR:
        arch_regs_restart_syscall(regs, -1);
        break;
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        arch_regs_set_result(regs, -EINTR);
        break;
    default:
        break;
    }
    arch_regs_forget_syscall(regs);
}

/* ---- Which signal ------------------------------------------------------------- */

static struct abi_sigaction action_take(struct process *process, int signo)
{
    struct signal_handlers *handlers = process->handlers;
    unsigned long flags = spin_lock_irq(&handlers->lock);
    struct abi_sigaction *entry = &handlers->action[signo - 1];
    struct abi_sigaction action = *entry;
    if ((action.flags & ABI_SA_RESETHAND) && action.handler > ABI_SIG_IGN)
        entry->handler = ABI_SIG_DFL;
    spin_unlock_irq(&handlers->lock, flags);
    return action;
}

static bool stop_is_allowed(struct process *process, int signo)
{
    if (signo == ABI_SIGSTOP)
        return true;
    read_lock(&process_table_lock);
    bool is_orphaned = process_group_is_orphaned(process->pgid);
    read_unlock(&process_table_lock);
    return !is_orphaned;
}

/* Ends the process, stops it, or does nothing. */
static void default_action_run(struct process *process, const struct abi_siginfo *info,
                               const struct regs *regs)
{
    int signo = info->si_signo;
    switch (signal_default_action(signo)) {
    case SIGNAL_IGNORE:
        return;
    case SIGNAL_STOP:
        if (stop_is_allowed(process, signo))
            signal_stop(signo);
        return;
    case SIGNAL_CORE:
        signal_report_crash(signo, info, regs);
        process_exit(signo);
    case SIGNAL_TERMINATE:
        process_exit(signo);
    }
}

/* The next signal with a handler; false: there is none. */
static bool handled_signal_take(struct process *process, const struct regs *regs,
                                struct abi_siginfo *info, struct abi_sigaction *action)
{
    for (;;) {
        if (signal_park())
            continue;
        if (READ_ONCE(thread_current()->work) & THREAD_WORK_EXIT)
            thread_exit(0);
        int signo = signal_dequeue(~thread_current()->signals.blocked, info);
        if (!signo)
            return false;
        strace_signal(info);
        if (thread_is_traced(&thread_current()->trace) && signo != ABI_SIGKILL) {
            signo = ptrace_signal(info);
            if (!signo)
                continue;
        }
        *action = action_take(process, signo);
        if (action->handler > ABI_SIG_IGN)
            return true;
        if (action->handler == ABI_SIG_DFL)
            default_action_run(process, info, regs);
    }
}

/* ---- Running a handler ------------------------------------------------------------ */

static bool is_on_altstack(const struct abi_stack *stack, uintptr_t sp)
{
    if ((uint32_t)stack->ss_flags & ABI_SS_AUTODISARM)
        return false;
    return sp > stack->ss_sp && sp - stack->ss_sp <= stack->ss_size;
}

/* Where the frame begins: 0 for below the red zone.  -EFAULT if the alternate stack is too small for it. */
static int stack_choose(const struct thread *thread, const struct regs *regs,
                        const struct abi_sigaction *action, uintptr_t *top)
{
    const struct abi_stack *stack = &thread->signals.altstack;
    uintptr_t sp = arch_regs_sp(regs);
    bool is_inside = is_on_altstack(stack, sp);
    *top = 0;
    if ((action->flags & ABI_SA_ONSTACK) && stack->ss_size && !is_inside) {
        *top = stack->ss_sp + stack->ss_size;
        is_inside = true;
    }
    if (!is_inside)
        return 0;
    uintptr_t start = *top ? *top : sp - RED_ZONE;
    return start - stack->ss_sp >= arch_signal_frame_size() && start > stack->ss_sp ? 0 : -EFAULT;
}

/* The frame could not be built: SIGSEGV, which for a SIGSEGV handler means the end. */
static void frame_failed(int signo)
{
    struct abi_siginfo info = { .si_signo = ABI_SIGSEGV, .si_code = ABI_SI_KERNEL };
    struct signal_handlers *handlers = process_current()->handlers;
    if (signo == ABI_SIGSEGV) {
        unsigned long flags = spin_lock_irq(&handlers->lock);
        handlers->action[ABI_SIGSEGV - 1].handler = ABI_SIG_DFL;
        spin_unlock_irq(&handlers->lock, flags);
    }
    signal_force(ABI_SIGSEGV, &info);
}

static void handler_run(struct regs *regs, const struct abi_siginfo *info,
                        const struct abi_sigaction *action)
{
    struct thread *thread = thread_current();
    struct thread_signals *signals = &thread->signals;
    uintptr_t top;

    bool was_stepping = arch_trace_is_stepping(thread);
    arch_trace_step(thread, false);
    settle_with_handler(regs, action);
    if (thread->rseq_area)
        rseq_update(regs);
    uint64_t old = signals->has_saved_blocked ? signals->saved_blocked : signals->blocked;
    int err = stack_choose(thread, regs, action, &top);
    if (!err)
        err = arch_signal_push(regs, info, action, old, &signals->altstack, top);
    if (err) {
        frame_failed(info->si_signo);
        return;
    }
    if ((uint32_t)signals->altstack.ss_flags & ABI_SS_AUTODISARM)
        signals->altstack = (struct abi_stack){ .ss_flags = ABI_SS_DISABLE };
    signals->has_saved_blocked = false;
    uint64_t blocked = signals->blocked | action->mask;
    if (!(action->flags & ABI_SA_NODEFER))
        blocked |= SIGNAL_BIT(info->si_signo);
    signal_set_blocked(blocked);
    if (was_stepping && thread_is_traced(&thread->trace))
        ptrace_handler_step(); /* the step was into the handler */
}

void signal_deliver(struct regs *regs)
{
    struct process *process = process_current();
    struct abi_siginfo info;
    struct abi_sigaction action;

    if (handled_signal_take(process, regs, &info, &action)) {
        handler_run(regs, &info, &action);
    } else {
        settle_without_handler(regs);
        signal_restore_blocked();
    }
    signal_update_work(thread_current());
}
