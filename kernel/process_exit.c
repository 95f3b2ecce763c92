// SPDX-License-Identifier: MIT
/*
 * The end of threads and of processes.
 *
 * A thread always ends itself: exit_group, execve and fatal signals mark the others with
 * THREAD_WORK_EXIT and kick them out of their sleeps, and each leaves by thread_exit() on its way
 * back to the application.  A thread that leaves first does what needs the address space (robust
 * futexes, the word at clear_child_tid), then takes itself off the process.  The last one gives
 * back what the process owns, makes it a zombie and tells the parent.
 *
 * When pid 1 has ended, so has the machine.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "abi/timer.h"
#include "arch/arch.h"
#include "kernel/archive_use.h"
#include "kernel/console.h"
#include "kernel/futex.h"
#include "kernel/ipc/sem_thread.h"
#include "kernel/mm/vmspace.h"
#include "kernel/posix_timer.h"
#include "kernel/process.h"
#include "kernel/profile.h"
#include "kernel/strace.h"
#include "kernel/syscall_count.h"
#include "kernel/thread.h"
#include "kernel/thread_files.h"
#include "kernel/thread_fs.h"

/* ---- Reports to parents ---------------------------------------------------- */

static void siginfo_of_exit(const struct process *process, struct abi_siginfo *info)
{
    int status = process->exit_status;
    nsec_t tick = NSEC_PER_SEC / ABI_CLK_TCK;
    *info = (struct abi_siginfo){ .si_signo = process->exit_signal };
    info->si_code =
        status & 0x7f ? (status & 0x80 ? ABI_CLD_DUMPED : ABI_CLD_KILLED) : ABI_CLD_EXITED;
    info->chld.pid = process->pid;
    info->chld.uid = process->creds.uid;
    info->chld.si_status = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
    info->chld.si_utime = process->dead.time.user / tick;
    info->chld.si_stime = process->dead.time.system / tick;
}

/* Whether the parent does not want to hear of dead children (POSIX.1-2001 SA_NOCLDWAIT, SIG_IGN). */
static bool parent_ignores(struct process *parent, int exit_signal, bool *is_silent)
{
    bool ignores = false;
    *is_silent = exit_signal == 0;
    unsigned long flags = spin_lock_irq(&parent->signals.lock);
    if (parent->handlers && exit_signal == ABI_SIGCHLD) {
        const struct abi_sigaction *action = &parent->handlers->action[ABI_SIGCHLD - 1];
        *is_silent = READ_ONCE(action->handler) == ABI_SIG_IGN;
        ignores = *is_silent || (READ_ONCE(action->flags) & ABI_SA_NOCLDWAIT);
    }
    spin_unlock_irq(&parent->signals.lock, flags);
    return ignores;
}

bool process_tell_parent_exit(struct process *process)
{
    struct process *parent = process->parent;
    struct abi_siginfo info;
    bool is_silent;
    if (!parent)
        return false;
    bool ignores = parent_ignores(parent, process->exit_signal, &is_silent);
    siginfo_of_exit(process, &info);
    if (process->leader->trace.tracer && process->leader->trace.tracer->process != parent) {
        info.si_signo = ABI_SIGCHLD; /* its tracer first */
        (void)signal_send_process(process->leader->trace.tracer->process, ABI_SIGCHLD, &info);
        wake_all(&process->leader->trace.tracer->process->child_event);
        return false;
    }
    if (process->leader->trace.tracer)
        ignores = is_silent = false; /* whoever traces waits */
    if (!is_silent)
        (void)signal_send_process(parent, process->exit_signal, &info);
    wake_all(&parent->child_event);
    return ignores;
}

/* ---- Orphans ----------------------------------------------------------------- */

static struct process *reaper_find(const struct process *process)
{
    for (struct process *up = process->parent; up; up = up->parent) {
        if (up->is_subreaper && up->state == PROCESS_ALIVE && !up->is_exiting)
            return up;
    }
    return process_first;
}

/*
 * POSIX: when a group with stopped members becomes orphaned, its members get SIGHUP and SIGCONT, or
 * nobody could ever continue them.  parent is the one whose link to process has just been cut.
 */
static void group_release(const struct process *process, const struct process *parent)
{
    int pgid = process->pgid;
    if (parent && parent->pgid != pgid && parent->sid == process->sid &&
        process_group_is_orphaned(pgid))
        process_group_continue(pgid);
}

static void child_adopt(struct process *child, struct process *reaper, struct list *reaped)
{
    list_remove(&child->sibling_node);
    list_push_back(&reaper->children, &child->sibling_node);
    child->parent = reaper;
    child->exit_signal = ABI_SIGCHLD;
    if (child->state == PROCESS_ALIVE) {
        if (child->pdeath_signal)
            (void)signal_send_process(child, child->pdeath_signal, NULL);
    } else if (process_tell_parent_exit(child)) {
        process_unlink(child);
        list_push_back(reaped, &child->sibling_node);
    }
}

/* All children get another parent; those that nobody waits for are put on reaped.  [t] held. */
static void children_reparent(struct process *process, struct list *reaped)
{
    struct process *child, *following;
    if (list_is_empty(&process->children))
        return;
    struct process *reaper = reaper_find(process); /* walks up all ancestors */
    list_for_each_safe (child, following, &process->children, sibling_node) {
        bool is_alive = child->state == PROCESS_ALIVE;
        child_adopt(child, reaper, reaped);
        if (is_alive)
            group_release(child, process);
    }
}

/* ---- The process's end --------------------------------------------------------- */

void process_end_machine(int wait_status)
{
    int code = wait_status & 0x7f ? 128 + (wait_status & 0x7f) : wait_status >> 8 & 0xff;
    profile_finish();
    console_drain(); /* the program's last words come before its status */
    syscall_count_report();
    archive_use_report();
    console_control("exit %d", code);
    console_drain();
    arch_power_off(code);
}

/* This CPU forgets the address space before its last reference goes. */
static void vmspace_leave(struct process *process)
{
    struct vmspace *vm = process->vmspace;
    unsigned long flags = arch_irq_save();
    vmspace_activate(NULL);
    arch_irq_restore(flags);

    mutex_lock(&process->lock);
    process->vmspace = NULL;
    if (vm)
        process->peak_resident_pages = MAX(process->peak_resident_pages, vm->peak_resident_pages);
    mutex_unlock(&process->lock);
    if (vm)
        vmspace_put(vm);
    process_end_vfork(process);
}

static void files_leave(struct process *process)
{
    mutex_lock(&process->lock);
    struct fdtable *files = process->files;
    struct fs_context *fs = process->fs;
    struct file *exe = process->exe;
    process->files = NULL;
    process->fs = NULL;
    process->exe = NULL;
    mutex_unlock(&process->lock);
    if (files)
        fdtable_put(files);
    if (fs)
        fs_context_put(fs);
    if (exe)
        file_put(exe);
}

static void signals_leave(struct process *process)
{
    struct list dead = LIST_INIT(dead);
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    struct signal_handlers *handlers = process->handlers;
    process->handlers = NULL;
    signal_queue_flush(&process->signals.pending, ~0ULL, &dead);
    spin_unlock_irq(&process->signals.lock, flags);
    signal_queue_free(&dead);
    if (handlers)
        signal_handlers_put(handlers);
    poll_head_fini(&process->signals.poll); /* epolls of others may watch it: fs/signalfd.c */
}

/* Processes that nobody waits for, and threads that a tracer should have waited for. */
static void release_all(struct list *processes, struct list *threads)
{
    while (!list_is_empty(processes)) {
        struct process *dead = list_first(processes, struct process, sibling_node);
        list_remove(&dead->sibling_node);
        process_release(dead);
    }
    while (threads && !list_is_empty(threads)) {
        struct thread *dead = list_first(threads, struct thread, trace.node);
        list_remove(&dead->trace.node);
        thread_put(dead);
    }
}

static void process_become_zombie(struct process *process)
{
    struct list reaped = LIST_INIT(reaped);
    write_lock(&process_table_lock);
    process->state = PROCESS_ZOMBIE;
    children_reparent(process, &reaped);
    group_release(process, process->parent);
    if (process_tell_parent_exit(process)) {
        process_unlink(process);
        list_push_back(&reaped, &process->sibling_node);
    }
    write_unlock(&process_table_lock);
    poll_wake(&process->exit_poll, ABI_POLLIN | ABI_POLLRDNORM);

    release_all(&reaped, NULL);
}

void process_release_attachments(struct process *process)
{
    struct process_attachment *uring = process->uring;

    if (!uring)
        return;
    uring->release(uring);
    __atomic_store_n(&process->uring, NULL, __ATOMIC_RELEASE);
}

void thread_release_attachments(struct thread *thread)
{
    struct thread_attachment *fds = thread->ring_fds;

    thread->ring_fds = NULL;
    if (fds)
        fds->release(fds);
}

static void process_finish(struct process *process)
{
    strace_exit(process->exit_status);
    posix_timers_exit(process);
    if (process == process_first) {
        files_leave(process); /* what is still in pipes and sockets goes out */
        files_sync();
        process_end_machine(process->exit_status);
    }
    profile_flush();
    process_release_attachments(process);
    vmspace_leave(process);
    files_leave(process);
    if (process->pid == process->sid)
        tty_session_ended(process);
    signals_leave(process);
    process_become_zombie(process);
}

/* ---- Threads ------------------------------------------------------------------- */

static void thread_account(struct process *process, struct thread *thread)
{
    struct usage usage;
    thread_usage_locked(thread, &usage);
    usage_add(&process->dead, &usage);
}

/* Takes the running thread off its process; true if it was the last. */
static bool thread_detach(struct process *process, struct thread *thread)
{
    struct list dead = LIST_INIT(dead), reaped = LIST_INIT(reaped), threads = LIST_INIT(threads);
    write_lock(&process_table_lock);
    ptrace_tracer_exit(thread, &reaped, &threads);
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    __atomic_fetch_or(&thread->flags, THREAD_EXITING, __ATOMIC_SEQ_CST);
    list_remove(&thread->process_node);
    process_thread_gone(process, thread);
    thread_account(process, thread);
    signal_queue_flush(&thread->signals.pending, ~0ULL, &dead);
    signal_retarget(process, thread, ~thread->signals.blocked);
    bool is_last = process->nthreads == 0;
    if (process->signals.is_stopping && thread->signals.parked_for == process->signals.nstops)
        process->signals.nparked--;
    bool must_tell = !is_last && signal_stop_is_complete(process);
    if (is_last && !process->is_exiting)
        process->exit_status = thread->exit_status;
    if (process->is_exiting)
        thread->exit_status = process->exit_status;
    if (is_last)
        process->is_exiting = true;
    spin_unlock_irq(&process->signals.lock, flags);
    ptrace_thread_died(thread);
    write_unlock(&process_table_lock);

    signal_queue_free(&dead);
    release_all(&reaped, &threads);
    seccomp_leave(thread);
    if (must_tell)
        signal_tell_parent_stopped(process, ABI_CLD_STOPPED);
    wake_all(&process->thread_event);
    return is_last;
}

static __noreturn void thread_end(int wait_status)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    thread->exit_status = wait_status;
    if (thread_is_traced(&thread->trace))
        ptrace_exit(READ_ONCE(process->is_exiting) ? process->exit_status : thread->exit_status);
    futex_thread_exit(thread);
    thread_release_attachments(thread);
    thread_fs_leave(thread);
    thread_files_leave();
    thread->rseq_area = 0;
    sem_undo_leave(thread);
    thread->vmspace = NULL; /* a kernel thread from here on; the process keeps the vmspace */
    if (thread_detach(process, thread))
        process_finish(process);
    sched_exit();
}

void thread_exit(int code)
{
    thread_end((code & 0xff) << 8);
}

void thread_exit_by(int signo)
{
    thread_end(signo);
}

/* Sends all threads but the running one on their way out.  signals.lock held. */
static void threads_kick_out(struct process *process)
{
    struct thread *thread;
    process->signals.is_stopping = false;
    list_for_each (thread, &process->threads, process_node) {
        if (thread != thread_current())
            signal_kick(thread, THREAD_WORK_EXIT);
    }
}

void process_exit(int wait_status)
{
    struct process *process = process_current();
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    /* A thread that is in execve goes on alone, unless it was a signal: for the others this is just the end. */
    bool is_execing = process->exec_thread && process->exec_thread != thread_current();
    bool is_signal = wait_status & 0x7f;
    if ((!is_execing || is_signal) && !process->is_exiting) {
        process->is_exiting = true;
        process->exit_status = wait_status;
        threads_kick_out(process);
    }
    spin_unlock_irq(&process->signals.lock, flags);
    wake_all(&process->signals.resumed);
    wake_all(&process->thread_event);
    thread_exit(0);
}

int process_kill_other_threads(void)
{
    struct thread *self = thread_current();
    struct process *process = self->process;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    int err = process->is_exiting || process->exec_thread ? -EINTR : 0;
    if (!err) {
        __atomic_store_n(&process->exec_thread, self, __ATOMIC_RELEASE);
        threads_kick_out(process);
    }
    spin_unlock_irq(&process->signals.lock, flags);
    if (err)
        return err;
    wake_all(&process->signals.resumed);
    (void)wait_on_always(&process->thread_event, READ_ONCE(process->nthreads) == 1, DEADLINE_NONE);

    err = READ_ONCE(process->is_exiting) ? -EINTR : 0; /* one of them took a fatal signal */
    if (!err && process->leader != self) {
        /* The survivor takes over the process's number; the old leader keeps the other one to its grave. */
        struct thread *old = process->leader;
        thread_exchange_tid(self, old);
        write_lock(&process_table_lock);
        ptrace_unlink(old); /* its tracer is not told: the number lives on */
        flags = spin_lock_irq(&process->signals.lock);
        process->leader = thread_get(self);
        spin_unlock_irq(&process->signals.lock, flags);
        write_unlock(&process_table_lock);
        thread_put(old);
    }
    __atomic_store_n(&process->exec_thread, NULL, __ATOMIC_RELEASE);
    return err;
}
