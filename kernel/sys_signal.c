// SPDX-License-Identifier: MIT
/*
 * System calls about signals.  All of them take the size of a signal set, which must be 8.
 */
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define SET_SIZE    8
#define UNBLOCKABLE (SIGNAL_BIT(ABI_SIGKILL) | SIGNAL_BIT(ABI_SIGSTOP))

/* What the kernel keeps of sa_flags; unknown ones are cleared so that programs can ask for them. */
#define KNOWN_FLAGS                                                                                \
    (ABI_SA_NOCLDSTOP | ABI_SA_NOCLDWAIT | ABI_SA_SIGINFO | ABI_SA_RESTORER | ABI_SA_ONSTACK |     \
     ABI_SA_RESTART | ABI_SA_NODEFER | ABI_SA_RESETHAND)

/* ---- Handlers and masks ---------------------------------------------------------- */

static struct abi_sigaction action_exchange(struct process *process, int signo,
                                            const struct abi_sigaction *new)
{
    struct signal_handlers *handlers = process->handlers;
    unsigned long flags = spin_lock_irq(&handlers->lock);
    struct abi_sigaction old = handlers->action[signo - 1];
    if (new)
        handlers->action[signo - 1] = *new;
    spin_unlock_irq(&handlers->lock, flags);
    return old;
}

/* A pending signal that is ignored from now on is discarded (POSIX 3.3.1.3). */
static void pending_discard(struct process *process, int signo)
{
    struct list dead = LIST_INIT(dead);
    struct thread *thread;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    signal_queue_flush(&process->signals.pending, SIGNAL_BIT(signo), &dead);
    list_for_each (thread, &process->threads, process_node)
        signal_queue_flush(&thread->signals.pending, SIGNAL_BIT(signo), &dead);
    spin_unlock_irq(&process->signals.lock, flags);
    signal_queue_free(&dead);
}

long sys_rt_sigaction(int signo, const void __app *new_app, void __app *old_app, size_t size)
{
    struct process *process = process_current();
    struct abi_sigaction new;
    if (size != SET_SIZE)
        return -EINVAL;
    if (new_app && copy_from_app(&new, new_app, sizeof(new)))
        return -EFAULT;
    if (signo < 1 || signo > ABI_NSIG || (new_app && (SIGNAL_BIT(signo) & UNBLOCKABLE)))
        return -EINVAL;
    if (new_app) {
        new.flags &= KNOWN_FLAGS;
        new.mask &= ~UNBLOCKABLE;
    }
    struct abi_sigaction old = action_exchange(process, signo, new_app ? &new : NULL);
    if (new_app && (new.handler == ABI_SIG_IGN ||
                    (new.handler == ABI_SIG_DFL &&signal_default_action(signo) == SIGNAL_IGNORE)))
        pending_discard(process, signo);
    return old_app ? copy_to_app(old_app, &old, sizeof(old)) : 0;
}

static int set_from_app(uint64_t *set, const void __app *from, size_t size)
{
    if (size != SET_SIZE)
        return -EINVAL;
    return copy_from_app(set, from, sizeof(*set));
}

long sys_rt_sigprocmask(int how, const void __app *new_app, void __app *old_app, size_t size)
{
    uint64_t old = thread_current()->signals.blocked;
    uint64_t set;
    if (size != SET_SIZE)
        return -EINVAL;
    if (new_app) {
        if (copy_from_app(&set, new_app, sizeof(set)))
            return -EFAULT;
        if (how == ABI_SIG_BLOCK)
            set = old | set;
        else if (how == ABI_SIG_UNBLOCK)
            set = old & ~set;
        else if (how != ABI_SIG_SETMASK)
            return -EINVAL;
        signal_set_blocked(set);
    }
    return old_app ? copy_to_app(old_app, &old, sizeof(old)) : 0;
}

long sys_rt_sigpending(void __app *to, size_t size)
{
    struct thread *thread = thread_current();
    struct signal_shared *shared = &thread->process->signals;
    if (size > SET_SIZE)
        return -EINVAL;
    unsigned long flags = spin_lock_irq(&shared->lock);
    uint64_t set = thread->signals.pending.set | shared->pending.set;
    spin_unlock_irq(&shared->lock, flags);
    set &= thread->signals.blocked;
    return copy_to_app(to, &set, size);
}

/* ---- Waiting ----------------------------------------------------------------------- */

static long wait_for_signal(void)
{
    struct wait_queue nobody = WAIT_QUEUE_INIT(nobody);
    (void)wait_on(&nobody, false, DEADLINE_NONE);
    return -ERESTARTNOHAND;
}

long sys_pause(void)
{
    return wait_for_signal();
}

int signal_mask_begin(const void __app *mask, size_t size)
{
    uint64_t blocked;
    if (!mask)
        return 0;
    if (size != sizeof(blocked))
        return -EINVAL;
    if (copy_from_app(&blocked, mask, sizeof(blocked)) != 0)
        return -EFAULT;
    signal_set_temporary_blocked(blocked);
    return 0;
}

void signal_mask_end(const void __app *mask, bool was_interrupted)
{
    if (mask && !was_interrupted)
        signal_restore_blocked();
}

long sys_rt_sigsuspend(const void __app *from, size_t size)
{
    uint64_t set;
    int err = set_from_app(&set, from, size);
    if (err)
        return err;
    signal_set_temporary_blocked(set);
    return wait_for_signal();
}

struct timed_wait {
    uint64_t set;
    int signo;
    struct abi_siginfo info;
};

/* A condition for wait_on(), which may ask again after it was true: one signal is taken. */
static bool take_waited(struct timed_wait *wait)
{
    if (!wait->signo)
        wait->signo = signal_dequeue(wait->set, &wait->info);
    return wait->signo != 0;
}

static void waiting_set(uint64_t set)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    uint64_t no_longer = thread->signals.waiting & ~set & thread->signals.blocked;
    thread->signals.waiting = set;
    /* Of what this thread was woken for it has taken one; others may be waiting for the rest. */
    signal_retarget(process, thread, no_longer);
    spin_unlock_irq(&process->signals.lock, flags);
}

static int wait_until(struct timed_wait *wait, nsec_t deadline)
{
    struct wait_queue nobody = WAIT_QUEUE_INIT(nobody);
    int err;
    waiting_set(wait->set);
    do {
        err = wait_on(&nobody, take_waited(wait), deadline);
        /* Another thread may have taken what this one was woken for. */
        signal_update_work(thread_current());
    } while (err == -EINTR && !signal_is_pending());
    waiting_set(0);
    return err;
}

long sys_rt_sigtimedwait(const void __app *from, void __app *info, const void __app *timeout,
                         size_t size)
{
    struct timed_wait wait = { 0 };
    nsec_t deadline;
    int err = set_from_app(&wait.set, from, size);
    if (!err)
        err = deadline_from_app(timeout, &deadline);
    if (err)
        return err;
    wait.set &= ~UNBLOCKABLE;
    if (!take_waited(&wait)) {
        err = wait_until(&wait, deadline);
        if (err)
            return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
    }
    if (info && copy_to_app(info, &wait.info, sizeof(wait.info)))
        return -EFAULT;
    return wait.signo;
}

/* ---- Sending -------------------------------------------------------------------------- */

static bool may_signal(const struct process *target, int signo)
{
    const struct credentials *mine = &process_current()->creds;
    const struct credentials *theirs = &target->creds;
    if (target == process_current() || process_is_capable(ABI_CAP_KILL))
        return true;
    if (mine->euid == theirs->suid || mine->euid == theirs->uid || mine->uid == theirs->suid ||
        mine->uid == theirs->uid)
        return true;
    return signo == ABI_SIGCONT && target->sid == process_current()->sid;
}

static struct abi_siginfo info_of_kill(int signo, int code)
{
    struct abi_siginfo info = { .si_signo = signo, .si_code = code };
    info.si_pid = process_current()->pid;
    info.si_uid = process_current()->creds.uid;
    return info;
}

/* Signal 0 only asks whether it could be sent. */
static int process_signal(struct process *process, int signo, const struct abi_siginfo *info)
{
    if (!may_signal(process, signo))
        return -EPERM;
    if (signo == 0)
        return 0;
    int err = signal_send_process(process, signo, info);
    return err == -ESRCH ? 0 : err; /* a zombie exists, and takes no notice */
}

struct kill_many {
    int pgid; /* 0: every process but pid 1 and the caller */
    int signo;
    const struct abi_siginfo *info;
    unsigned nfound, nsent;
    int err;
};

static bool kill_visit(struct process *process, void *arg)
{
    struct kill_many *request = arg;
    if (request->pgid ? process->pgid != request->pgid
                      : process == process_first || process == process_current())
        return true;
    request->nfound++;
    int err = process_signal(process, request->signo, request->info);
    if (!err)
        request->nsent++;
    else
        request->err = err;
    return true;
}

static long kill_many(int pgid, int signo, const struct abi_siginfo *info)
{
    struct kill_many request = { .pgid = pgid, .signo = signo, .info = info };
    process_for_each(kill_visit, &request);
    if (!request.nfound)
        return -ESRCH;
    return request.nsent ? 0 : request.err;
}

static long kill_one(int pid, int signo, const struct abi_siginfo *info)
{
    struct process *process = process_of_tid(pid);
    if (!process)
        return -ESRCH;
    int err = process_signal(process, signo, info);
    process_put(process);
    return err;
}

long sys_kill(int pid, int signo)
{
    struct abi_siginfo info = info_of_kill(signo, ABI_SI_USER);
    if (signo < 0 || signo > ABI_NSIG)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid > 0)
        return kill_one(pid, signo, &info);
    if (pid == -1)
        return kill_many(0, signo, &info);
    return kill_many(pid ? -pid : process_current()->pgid, signo, &info);
}

static long thread_signal(int tgid, int tid, int signo, const struct abi_siginfo *info)
{
    struct thread *thread = thread_find(tid);
    if (!thread)
        return -ESRCH;
    int err = -ESRCH;
    if (tgid <= 0 || thread->process->pid == tgid)
        err = may_signal(thread->process, signo) ? 0 : -EPERM;
    if (!err && signo)
        err = signal_send_thread(thread, signo, info);
    thread_put(thread);
    return err;
}

long sys_tgkill(int tgid, int tid, int signo)
{
    struct abi_siginfo info = info_of_kill(signo, ABI_SI_TKILL);
    if (tgid <= 0 || tid <= 0 || signo < 0 || signo > ABI_NSIG)
        return -EINVAL;
    return thread_signal(tgid, tid, signo, &info);
}

long sys_tkill(int tid, int signo)
{
    struct abi_siginfo info = info_of_kill(signo, ABI_SI_TKILL);
    if (tid <= 0 || signo < 0 || signo > ABI_NSIG)
        return -EINVAL;
    return thread_signal(0, tid, signo, &info);
}

/* Nobody may pretend to be the kernel or kill() towards others. */
static int info_from_app(struct abi_siginfo *info, const void __app *from, int signo, bool is_self)
{
    if (copy_from_app(info, from, sizeof(*info)))
        return -EFAULT;
    info->si_signo = signo;
    if ((info->si_code >= 0 || info->si_code == ABI_SI_TKILL) && !is_self)
        return -EPERM;
    return signo < 0 || signo > ABI_NSIG ? -EINVAL : 0;
}

long sys_rt_sigqueueinfo(int pid, int signo, const void __app *from)
{
    struct abi_siginfo info;
    int err = info_from_app(&info, from, signo, pid == process_current()->pid);
    return err ? err : kill_one(pid, signo, &info);
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int signo, const void __app *from)
{
    struct abi_siginfo info;
    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    int err = info_from_app(&info, from, signo, tgid == process_current()->pid);
    return err ? err : thread_signal(tgid, tid, signo, &info);
}

/* ---- The alternate stack, and the way back ------------------------------------------------- */

static bool is_on_altstack(const struct abi_stack *stack)
{
    uintptr_t sp = arch_regs_sp(arch_thread_regs(thread_current()));
    if ((uint32_t)stack->ss_flags & ABI_SS_AUTODISARM)
        return false;
    return sp > stack->ss_sp && sp - stack->ss_sp <= stack->ss_size;
}

static int altstack_set(struct abi_stack *stack, const struct abi_stack *new)
{
    uint32_t mode = (uint32_t) new->ss_flags & ~ABI_SS_AUTODISARM;
    if (is_on_altstack(stack))
        return -EPERM;
    if (mode != ABI_SS_DISABLE && mode != ABI_SS_ONSTACK && mode != 0)
        return -EINVAL;
    /* No change is never refused, as on Linux: not even that of no stack to no stack. */
    if (stack->ss_sp == new->ss_sp && stack->ss_size == new->ss_size &&
        stack->ss_flags == new->ss_flags)
        return 0;
    if (mode == ABI_SS_DISABLE) {
        *stack = (struct abi_stack){ .ss_flags = new->ss_flags };
        return 0;
    }
    if (new->ss_size < ABI_MINSIGSTKSZ)
        return -ENOMEM;
    *stack = (struct abi_stack){ .ss_sp = new->ss_sp,
                                 .ss_flags = new->ss_flags,
                                 .ss_size = new->ss_size };
    return 0;
}

long sys_sigaltstack(const void __app *new_app, void __app *old_app)
{
    struct abi_stack *stack = &thread_current()->signals.altstack;
    struct abi_stack new;
    if (new_app && copy_from_app(&new, new_app, sizeof(new)))
        return -EFAULT;
    struct abi_stack old = *stack;
    uint32_t autodisarm = (uint32_t)old.ss_flags & ABI_SS_AUTODISARM;
    old.ss_flags = (int32_t)(autodisarm | (!old.ss_size            ? ABI_SS_DISABLE
                                           : is_on_altstack(stack) ? ABI_SS_ONSTACK
                                                                   : 0U));
    if (new_app) {
        int err = altstack_set(stack, &new);
        if (err)
            return err;
    }
    return old_app ? copy_to_app(old_app, &old, sizeof(old)) : 0;
}

long sys_rt_sigreturn(void)
{
    struct thread *thread = thread_current();
    struct regs *regs = arch_thread_regs(thread);
    struct abi_stack stack;
    uint64_t blocked;
    if (arch_signal_pop(regs, &blocked, &stack)) {
        struct abi_siginfo info = { .si_signo = ABI_SIGSEGV, .si_code = ABI_SI_KERNEL };
        signal_force(ABI_SIGSEGV, &info);
        return 0;
    }
    arch_regs_forget_syscall(regs);
    signal_set_blocked(blocked);
    (void)altstack_set(&thread->signals.altstack, &stack);
    return arch_regs_result(regs);
}
