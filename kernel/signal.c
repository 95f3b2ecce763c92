// SPDX-License-Identifier: MIT
/*
 * Sending signals, masks, and handler tables.
 *
 * A signal for a thread goes to its own queue, one for a process to the shared one; whoever takes it
 * (kernel/signal_deliver.c, signalfd, sigtimedwait) does so later.  Sending ends by choosing a
 * thread that may take it and kicking it: THREAD_WORK_SIGNAL, out of its sleep, or an
 * interrupt if it is running the application elsewhere.
 *
 * THREAD_WORK_SIGNAL is a hint to look.  Only the thread itself clears it, with the lock held and
 * after a look at both queues, so it is never lost; another thread may have taken the shared signal first.
 *
 * Handlers are read here without their own lock: a sender holds signals.lock, which keeps
 * process->handlers in place, and a handler is one word.
 */
#include "kernel/signal.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/poll.h"
#include "kernel/mm/heap.h"
#include "kernel/percpu.h"
#include "kernel/posix_timer.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define UNBLOCKABLE (SIGNAL_BIT(ABI_SIGKILL) | SIGNAL_BIT(ABI_SIGSTOP))
#define STOPS                                                                                      \
    (SIGNAL_BIT(ABI_SIGSTOP) | SIGNAL_BIT(ABI_SIGTSTP) | SIGNAL_BIT(ABI_SIGTTIN) |                 \
     SIGNAL_BIT(ABI_SIGTTOU))
/* Those that a fault of the thread itself raises are taken first, so that the frame shows the fault. */
#define SYNCHRONOUS                                                                                \
    (SIGNAL_BIT(ABI_SIGSEGV) | SIGNAL_BIT(ABI_SIGBUS) | SIGNAL_BIT(ABI_SIGILL) |                   \
     SIGNAL_BIT(ABI_SIGTRAP) | SIGNAL_BIT(ABI_SIGFPE) | SIGNAL_BIT(ABI_SIGSYS))

/* Which thread is woken to take a signal for the process. */
enum signal_target { TARGET_ANY, TARGET_COMPUTING };

enum signal_default signal_default_action(int signo)
{
    switch (signo) {
    case ABI_SIGCHLD:
    case ABI_SIGCONT:
    case ABI_SIGURG:
    case ABI_SIGWINCH:
        return SIGNAL_IGNORE;
    case ABI_SIGSTOP:
    case ABI_SIGTSTP:
    case ABI_SIGTTIN:
    case ABI_SIGTTOU:
        return SIGNAL_STOP;
    case ABI_SIGQUIT:
    case ABI_SIGILL:
    case ABI_SIGTRAP:
    case ABI_SIGABRT:
    case ABI_SIGBUS:
    case ABI_SIGFPE:
    case ABI_SIGSEGV:
    case ABI_SIGXCPU:
    case ABI_SIGXFSZ:
    case ABI_SIGSYS:
        return SIGNAL_CORE;
    default:
        return SIGNAL_TERMINATE;
    }
}

/* ---- Waking ------------------------------------------------------------------- */

void signal_kick(struct thread *thread, uint32_t work)
{
    __atomic_fetch_or(&thread->work, work, __ATOMIC_SEQ_CST);
    /* The running thread, too: a timer's interrupt may come between its last look for signals and its sleep. */
    if (!thread_wake(thread) && thread != thread_current() && READ_ONCE(thread->sched.on_cpu))
        arch_send_reschedule((unsigned)READ_ONCE(thread->sched.cpu));
}

static bool thread_wants(const struct thread *thread, int signo)
{
    if (READ_ONCE(thread->flags) & THREAD_EXITING)
        return false;
    uint64_t blocked = thread->signals.blocked & ~thread->signals.waiting;
    return !(blocked & SIGNAL_BIT(signo));
}

/* Of the threads that compute the one that has used most since it was chosen last; NULL: none does. */
static struct thread *thread_choose_computing(struct process *process, int signo)
{
    struct thread *thread, *chosen = NULL;
    nsec_t most = -1;
    list_for_each (thread, &process->threads, process_node) {
        enum thread_state state = __atomic_load_n(&thread->state, __ATOMIC_RELAXED);
        if ((state != THREAD_RUNNING && state != THREAD_READY) || !thread_wants(thread, signo))
            continue;
        nsec_t used = sched_cpu_time(thread) - thread->signals.cpu_time_told;
        if (used > most) {
            most = used;
            chosen = thread;
        }
    }
    if (chosen)
        chosen->signals.cpu_time_told += most;
    return chosen;
}

static struct thread *thread_choose(struct process *process, int signo, enum signal_target target)
{
    struct thread *thread = NULL;
    if (target == TARGET_COMPUTING)
        thread = thread_choose_computing(process, signo);
    if (thread)
        return thread;
    if (thread_wants(process->leader, signo))
        return process->leader;
    list_for_each (thread, &process->threads, process_node) {
        if (thread_wants(thread, signo))
            return thread;
    }
    return NULL;
}

static void threads_kick_all(struct process *process)
{
    struct thread *thread;
    list_for_each (thread, &process->threads, process_node)
        signal_kick(thread, THREAD_WORK_SIGNAL);
}

void signal_retarget(struct process *process, struct thread *leaving, uint64_t set)
{
    struct thread *thread;
    set &= process->signals.pending.set;
    if (!set)
        return;
    list_for_each (thread, &process->threads, process_node) {
        uint64_t wants = set & ~(thread->signals.blocked & ~thread->signals.waiting);
        if (thread == leaving || !wants || (READ_ONCE(thread->flags) & THREAD_EXITING))
            continue;
        signal_kick(thread, THREAD_WORK_SIGNAL);
        set &= ~wants;
        if (!set)
            return;
    }
}

/* ---- Sending ------------------------------------------------------------------- */

static void queues_flush(struct process *process, uint64_t mask, struct list *dead)
{
    struct thread *thread;
    signal_queue_flush(&process->signals.pending, mask, dead);
    list_for_each (thread, &process->threads, process_node)
        signal_queue_flush(&thread->signals.pending, mask, dead);
}

/* What stopping and continuing do at once, before anybody takes the signal (POSIX 2.4.1). */
static void job_control_prepare(struct process *process, int signo, struct list *dead)
{
    struct signal_shared *shared = &process->signals;
    if (SIGNAL_BIT(signo) & STOPS) {
        queues_flush(process, SIGNAL_BIT(ABI_SIGCONT), dead);
    } else if (signo == ABI_SIGCONT) {
        queues_flush(process, STOPS, dead);
        shared->is_stop_taken = false;
        struct thread *thread;
        list_for_each (thread, &process->threads, process_node)
            ptrace_notify_locked(thread);
        if (!shared->is_stopping)
            return;
        shared->is_stopping = false;
        shared->has_stop_event = false;
        shared->has_continue_event = shared->is_stop_reported;
        shared->must_tell_continue = shared->is_stop_reported;
    } else if (signo == ABI_SIGKILL) {
        /* Threads may be on their way to signal_stop(), or have stop signals of their own, which they take first. */
        shared->is_killed = true;
        shared->is_stopping = false;
    }
}

static bool is_ignored(const struct process *process, const struct thread *thread, int signo)
{
    if (thread && ((thread->signals.blocked | thread->signals.waiting) & SIGNAL_BIT(signo)))
        return false;
    if (thread && thread->trace.tracer && signo != ABI_SIGKILL)
        return false; /* its tracer may want to know */
    uint64_t handler = READ_ONCE(process->handlers->action[signo - 1].handler);
    return handler == ABI_SIG_IGN ||
           (handler == ABI_SIG_DFL && signal_default_action(signo) == SIGNAL_IGNORE);
}

/* thread NULL: to the process.  signals.lock held.  Positive: it was queued. */
static int send_locked(struct process *process, struct thread *thread, int signo,
                       const struct abi_siginfo *info, enum signal_target kind, struct list *dead)
{
    if (!process->handlers || (thread && (READ_ONCE(thread->flags) & THREAD_EXITING)))
        return -ESRCH;
    if (process->is_exiting)
        return 0;
    job_control_prepare(process, signo, dead);
    struct thread *example = thread ? thread : process->leader;
    if (is_ignored(process, example, signo))
        return 0;
    struct signal_queue *queue = thread ? &thread->signals.pending : &process->signals.pending;
    int err = signal_queue_add(process, queue, signo, info);
    if (err)
        return err;

    if (signo == ABI_SIGKILL) {
        threads_kick_all(process);
    } else {
        struct thread *target = thread ? thread : thread_choose(process, signo, kind);
        if (target && thread_wants(target, signo))
            signal_kick(target, THREAD_WORK_SIGNAL);
    }
    return 1;
}

static int send(struct process *process, struct thread *thread, int signo,
                const struct abi_siginfo *info, enum signal_target target)
{
    static const struct abi_siginfo from_kernel = { .si_code = ABI_SI_KERNEL };
    struct signal_shared *shared = &process->signals;
    struct list dead = LIST_INIT(dead);

    unsigned long flags = spin_lock_irq(&shared->lock);
    int result = send_locked(process, thread, signo, info ? info : &from_kernel, target, &dead);
    spin_unlock_irq(&shared->lock, flags);

    signal_queue_free(&dead);
    if (signo == ABI_SIGCONT || signo == ABI_SIGKILL)
        wake_all(&shared->resumed);
    if (result <= 0)
        return result;
    wake_all(&shared->arrived);
    poll_wake(&shared->poll, ABI_POLLIN | ABI_POLLRDNORM);
    return 0;
}

int signal_send_thread(struct thread *thread, int signo, const struct abi_siginfo *info)
{
    if (!thread->process)
        return -ESRCH;
    return send(thread->process, thread, signo, info, TARGET_ANY);
}

int signal_send_process(struct process *process, int signo, const struct abi_siginfo *info)
{
    return send(process, NULL, signo, info, TARGET_ANY);
}

int signal_send_computing(struct process *process, int signo, const struct abi_siginfo *info)
{
    return send(process, NULL, signo, info, TARGET_COMPUTING);
}

struct group_send {
    int pgid, signo;
    const struct abi_siginfo *info;
    bool was_found;
};

static bool group_send_visit(struct process *process, void *arg)
{
    struct group_send *request = arg;
    if (process->pgid == request->pgid && process->state == PROCESS_ALIVE) {
        request->was_found = true;
        (void)signal_send_process(process, request->signo, request->info);
    }
    return true;
}

int signal_send_group(int pgid, int signo, const struct abi_siginfo *info)
{
    struct group_send request = { .pgid = pgid, .signo = signo, .info = info };
    process_for_each(group_send_visit, &request);
    return request.was_found ? 0 : -ESRCH;
}

void signal_force(int signo, const struct abi_siginfo *info)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    struct signal_handlers *handlers = process->handlers; /* our own: it cannot go away */
    struct abi_sigaction *action = &handlers->action[signo - 1];

    unsigned long flags = spin_lock_irq(&handlers->lock);
    bool is_blocked = thread->signals.blocked & SIGNAL_BIT(signo);
    if (is_blocked || action->handler == ABI_SIG_IGN)
        action->handler = ABI_SIG_DFL;
    spin_unlock_irq(&handlers->lock, flags);

    flags = spin_lock_irq(&process->signals.lock);
    thread->signals.blocked &= ~SIGNAL_BIT(signo);
    (void)signal_queue_add(process, &thread->signals.pending, signo, info);
    signal_kick(thread, THREAD_WORK_SIGNAL);
    spin_unlock_irq(&process->signals.lock, flags);
}

void signal_force_fault(int signo, int code, uintptr_t address)
{
    struct abi_siginfo info = { .si_signo = signo, .si_code = code };
    if (code != ABI_SI_KERNEL)
        info.fault.si_addr = address;
    signal_force(signo, &info);
}

/* ---- The running thread's own signals --------------------------------------------- */

bool signal_is_pending(void)
{
    return READ_ONCE(thread_current()->work) &
           (THREAD_WORK_SIGNAL | THREAD_WORK_EXIT | THREAD_WORK_CANCEL);
}

static int set_first(uint64_t set)
{
    return __builtin_ctzll(set) + 1;
}

/* Signals that end the process without a core dump count at once, as in Linux; those with one when they are taken. */
static bool set_has_fatal(const struct signal_handlers *handlers, uint64_t set)
{
    for (; set != 0; set &= set - 1) {
        int signo = set_first(set);
        if (signal_default_action(signo) == SIGNAL_TERMINATE &&
            READ_ONCE(handlers->action[signo - 1].handler) == ABI_SIG_DFL)
            return true;
    }
    return false;
}

bool signal_is_fatal_pending(void)
{
    struct thread *thread = thread_current();
    if (READ_ONCE(thread->work) & THREAD_WORK_EXIT)
        return true;
    if (!thread->process || !(READ_ONCE(thread->work) & THREAD_WORK_SIGNAL))
        return false;
    uint64_t set =
        READ_ONCE(thread->signals.pending.set) | READ_ONCE(thread->process->signals.pending.set);
    const struct signal_handlers *handlers = thread->process->handlers; /* only we exchange it */
    if (thread_is_traced(&thread->trace))
        set &= SIGNAL_BIT(ABI_SIGKILL); /* of the others its tracer decides */
    return handlers && set_has_fatal(handlers, set & ~thread->signals.blocked);
}

static void update_work_locked(struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    uint64_t set = (thread->signals.pending.set | shared->pending.set) & ~thread->signals.blocked;
    bool must_stop = shared->is_stopping &&
                     (!thread->trace.tracer || thread->signals.parked_for != shared->nstops);
    if (set || must_stop || thread->trace.must_trap || thread->trace.must_notify)
        __atomic_fetch_or(&thread->work, THREAD_WORK_SIGNAL, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&thread->work, ~THREAD_WORK_SIGNAL, __ATOMIC_RELAXED);
}

void signal_update_work(struct thread *thread)
{
    if (!thread->process)
        return;
    struct signal_shared *shared = &thread->process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    update_work_locked(thread);
    spin_unlock_irq(&shared->lock, flags);
}

void signal_set_blocked(uint64_t blocked)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    blocked &= ~UNBLOCKABLE;
    if (blocked == thread->signals.blocked)
        return;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    uint64_t newly = blocked & ~thread->signals.blocked;
    thread->signals.blocked = blocked;
    /* What was meant for this thread must not stay behind while others would take it. */
    signal_retarget(process, thread, newly);
    update_work_locked(thread);
    spin_unlock_irq(&process->signals.lock, flags);
}

void signal_set_temporary_blocked(uint64_t blocked)
{
    struct thread_signals *signals = &thread_current()->signals;
    signals->saved_blocked = signals->blocked;
    signals->has_saved_blocked = true;
    __atomic_fetch_or(&thread_current()->work, THREAD_WORK_MASK, __ATOMIC_RELAXED);
    signal_set_blocked(blocked);
}

void signal_restore_blocked(void)
{
    struct thread_signals *signals = &thread_current()->signals;
    if (!signals->has_saved_blocked)
        return;
    signals->has_saved_blocked = false;
    signal_set_blocked(signals->saved_blocked);
}

int signal_dequeue(uint64_t set, struct abi_siginfo *info)
{
    struct thread *thread = thread_current();
    struct signal_shared *shared = &thread->process->signals;
    struct signal_queue *own = &thread->signals.pending;
    void *dead = NULL;
    int signo = 0;

    unsigned long flags = spin_lock_irq(&shared->lock);
    uint64_t mine = own->set & set, all = shared->pending.set & set;
    if (mine)
        signo = set_first(mine & SYNCHRONOUS ? mine & SYNCHRONOUS : mine);
    else if (all)
        signo = set_first(all);
    if (signo) {
        signal_queue_take(mine ? own : &shared->pending, signo, info, &dead);
        if (SIGNAL_BIT(signo) & STOPS)
            shared->is_stop_taken = true;
        update_work_locked(thread);
    }
    spin_unlock_irq(&shared->lock, flags);
    kfree(dead);
    if (signo && info->si_code == ABI_SI_TIMER)
        posix_timer_signal_taken(info);
    return signo;
}

/* ---- Tables and queues: their lives -------------------------------------------------- */

int signal_handlers_create(struct signal_handlers **out)
{
    struct signal_handlers *handlers = kzalloc(sizeof(*handlers), ALLOC_WAIT);
    if (!handlers)
        return -ENOMEM;
    handlers->refcount = 1;
    spin_init(&handlers->lock, RANK_SIGNAL);
    *out = handlers;
    return 0;
}

int signal_handlers_copy(struct signal_handlers *from, struct signal_handlers **out)
{
    int err = signal_handlers_create(out);
    if (err)
        return err;
    unsigned long flags = spin_lock_irq(&from->lock);
    memcpy((*out)->action, from->action, sizeof(from->action));
    spin_unlock_irq(&from->lock, flags);
    return 0;
}

struct signal_handlers *signal_handlers_get(struct signal_handlers *handlers)
{
    __atomic_fetch_add(&handlers->refcount, 1, __ATOMIC_RELAXED);
    return handlers;
}

void signal_handlers_put(struct signal_handlers *handlers)
{
    if (__atomic_fetch_sub(&handlers->refcount, 1, __ATOMIC_ACQ_REL) == 1)
        kfree(handlers);
}

void signal_handlers_reset(struct signal_handlers *handlers)
{
    unsigned long flags = spin_lock_irq(&handlers->lock);
    for (int i = 0; i < ABI_NSIG; i++) {
        uint64_t handler = handlers->action[i].handler;
        handlers->action[i] =
            (struct abi_sigaction){ .handler = handler == ABI_SIG_IGN ? ABI_SIG_IGN : ABI_SIG_DFL };
    }
    spin_unlock_irq(&handlers->lock, flags);
}

void signal_shared_init(struct signal_shared *shared)
{
    memset(shared, 0, sizeof(*shared));
    spin_init(&shared->lock, RANK_SIGNAL);
    signal_queue_init(&shared->pending);
    poll_head_init(&shared->poll);
    spin_init(&shared->poll.lock, RANK_POLL_SIGNAL);
    wait_queue_init(&shared->arrived);
    wait_queue_init(&shared->resumed);
}

void thread_signals_init(struct thread_signals *signals)
{
    memset(signals, 0, sizeof(*signals));
    signal_queue_init(&signals->pending);
    signals->altstack.ss_flags = ABI_SS_DISABLE;
}

void thread_signals_fini(struct thread *thread)
{
    signal_queue_free(&thread->signals.pending.entries);
    thread->signals.pending.set = 0;
    if (thread->process)
        process_put(thread->process);
}
