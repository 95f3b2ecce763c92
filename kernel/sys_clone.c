// SPDX-License-Identifier: MIT
/*
 * clone(2), clone3(2), fork(2), vfork(2): new threads and new processes.
 *
 * Everything a child needs is made while it is still invisible; then it is entered into the table and
 * started.  It begins in child_begin(), which writes its own tid where CLONE_CHILD_SETTID asks (in the
 * child's address space, so the child does it) and goes to the application with the parent's
 * registers and the result 0.
 */
#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/process.h"
#include "abi/ptrace.h"
#include "kernel/ipc/sem_thread.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/thread_files.h"
#include "kernel/thread_fs.h"
#include "kernel/usercopy.h"

#define NAMESPACES                                                                                 \
    (ABI_CLONE_NEWNS | ABI_CLONE_NEWCGROUP | ABI_CLONE_NEWUTS | ABI_CLONE_NEWIPC |                 \
     ABI_CLONE_NEWUSER | ABI_CLONE_NEWPID | ABI_CLONE_NEWNET | ABI_CLONE_NEWTIME)

struct clone_request {
    uint64_t flags; /* without the exit signal */
    int exit_signal;
    uintptr_t stack; /* the child's stack pointer, or 0: the parent's */
    uintptr_t parent_tid, child_tid, pidfd;
    uintptr_t tls;
    int tid;    /* that the child shall have; 0: any */
    int cgroup; /* with ABI_CLONE_INTO_CGROUP: a descriptor */
};

/* What child_begin() gets; freed by it. */
struct child_start {
    struct regs regs;
    uintptr_t set_tid;
};

static void child_begin(void *arg)
{
    struct child_start *start = arg;
    struct regs regs = start->regs;
    uintptr_t set_tid = start->set_tid;
    int tid = thread_current()->tid;
    kfree(start);
    if (set_tid)
        (void)!copy_to_app((void __app *)set_tid, &tid, sizeof(tid));
    arch_enter_app(&regs);
}

/* ---- The child's thread ----------------------------------------------------------- */

static void signals_inherit(struct thread *child, const struct thread *parent, uint64_t flags)
{
    child->signals.blocked = parent->signals.blocked;
    if ((flags & (ABI_CLONE_VM | ABI_CLONE_VFORK)) != ABI_CLONE_VM)
        child->signals.altstack = parent->signals.altstack;
}

static void rseq_inherit(struct thread *child, const struct thread *parent, uint64_t flags)
{
    if (flags & ABI_CLONE_VM)
        return;
    child->rseq_area = parent->rseq_area;
    child->rseq_len = parent->rseq_len;
    child->rseq_signature = parent->rseq_signature;
    if (child->rseq_area)
        __atomic_fetch_or(&child->work, THREAD_WORK_RSEQ, __ATOMIC_RELAXED);
}

/* Registers, vector state, TLS and signals of a new thread; it can be started afterwards. */
static int child_thread_init(struct thread *child, const struct clone_request *request)
{
    struct thread *parent = thread_current();
    struct child_start *start = kmalloc(sizeof(*start), ALLOC_WAIT);
    if (!start)
        return -ENOMEM;
    int err = request->flags & ABI_CLONE_SYSVSEM ? sem_undo_share(child) : 0;
    if (!err)
        err = arch_thread_init_app(child, parent);
    if (err) {
        kfree(start);
        return err;
    }
    start->regs = *arch_thread_regs(parent);
    start->set_tid = request->flags & ABI_CLONE_CHILD_SETTID ? request->child_tid : 0;
    arch_regs_set_result(&start->regs, 0);
    arch_regs_forget_syscall(&start->regs);
    if (request->stack)
        arch_regs_set_sp(&start->regs, request->stack);
    if (request->flags & ABI_CLONE_SETTLS)
        arch_tls_set(child, request->tls);
    if (request->flags & ABI_CLONE_CHILD_CLEARTID)
        child->clear_child_tid = request->child_tid;
    signals_inherit(child, parent, request->flags);
    rseq_inherit(child, parent, request->flags);
    child->timer_slack_ns = child->default_timer_slack_ns = parent->timer_slack_ns;
    child->has_mce_kill = parent->has_mce_kill;
    child->mce_kill_early = parent->mce_kill_early;
    child->flags |= parent->flags & (THREAD_TRACED | THREAD_COUNTED);
    thread_set_entry(child, child_begin, start);
    return 0;
}

static void child_thread_discard(struct thread *child)
{
    thread_files_discard(child);
    thread_fs_leave(child);
    sem_undo_leave(child);
    kfree(child->start_arg); /* NULL if child_thread_init() failed */
    child->start_arg = NULL;
}

static int tid_to_parent(const struct clone_request *request, int tid)
{
    if (!(request->flags & ABI_CLONE_PARENT_SETTID))
        return 0;
    return copy_to_app((void __app *)request->parent_tid, &tid, sizeof(tid));
}

static long thread_clone(const struct clone_request *request)
{
    struct process *process = process_current();
    struct thread *child;
    int err = process_create_thread(process, request->tid, &child);
    if (err)
        return err;
    thread_set_name(child, thread_current()->name);
    child->vmspace = process->vmspace;
    err = thread_fs_inherit(child, request->flags & ABI_CLONE_FS);
    if (!err)
        err = thread_files_inherit(child, request->flags & ABI_CLONE_FILES);
    if (!err)
        err = child_thread_init(child, request);
    if (err)
        goto put_child;
    int tid = child->tid;
    (void)!tid_to_parent(request, tid); /* as Linux: a bad pointer is the caller's problem */
    err = process_add_thread(process, child);
    if (err)
        goto put_child;
    int event = ptrace_clone_event(request->flags, 0);
    ptrace_inherit(child, event, request->flags);
    seccomp_inherit(child);
    thread_start(child);
    if (event)
        ptrace_event(event, (unsigned long)tid);
    return tid;

put_child:
    child_thread_discard(child);
    thread_put(child);
    return err;
}

/* ---- The child process ----------------------------------------------------------------- */

static int vmspace_share(struct process *child, struct process *parent, uint64_t flags)
{
    if (!(flags & ABI_CLONE_VM))
        return vmspace_fork(parent->vmspace, &child->vmspace);
    child->vmspace = vmspace_get(parent->vmspace);
    return 0;
}

static int files_share(struct process *child, uint64_t flags)
{
    if (!(flags & ABI_CLONE_FILES))
        return fdtable_copy(files_current(), &child->files);
    child->files = fdtable_share(files_current());
    return 0;
}

static int fs_share(struct process *child, uint64_t flags)
{
    if (!(flags & ABI_CLONE_FS))
        return fs_context_copy(fs_current(), &child->fs);
    child->fs = fs_context_get(fs_current());
    return 0;
}

static int handlers_share(struct process *child, struct process *parent, uint64_t flags)
{
    if (flags & ABI_CLONE_SIGHAND) {
        child->handlers = signal_handlers_get(parent->handlers);
        return 0;
    }
    int err = signal_handlers_copy(parent->handlers, &child->handlers);
    if (!err && (flags & ABI_CLONE_CLEAR_SIGHAND))
        signal_handlers_reset(child->handlers);
    return err;
}

static int process_share(struct process *child, struct process *parent, uint64_t flags)
{
    int err = vmspace_share(child, parent, flags);
    if (!err)
        err = files_share(child, flags);
    if (!err)
        err = fs_share(child, flags);
    if (!err)
        err = handlers_share(child, parent, flags);
    return err;
}

/* The parent sleeps until the child has an address space of its own, or only a fatal signal. */
static void vfork_wait(struct process *child)
{
    (void)wait_on_killable(&child->thread_event, !READ_ONCE(child->is_vfork_child), DEADLINE_NONE);
}

/* Makes the pidfd if one is asked for and writes its number; -1 in *fd if none is. */
static int pidfd_make(const struct clone_request *request, struct process *child, int *fd)
{
    *fd = -1;
    if (!(request->flags & ABI_CLONE_PIDFD))
        return 0;
    *fd = pidfd_install(child);
    if (*fd < 0)
        return *fd;
    if (copy_to_app((void __app *)request->pidfd, fd, sizeof(*fd))) {
        pidfd_uninstall(*fd);
        return -EFAULT;
    }
    return 0;
}

static struct process *clone_parent(const struct clone_request *request)
{
    struct process *process = process_current();
    return request->flags & ABI_CLONE_PARENT && process->parent ? process->parent : process;
}

static long process_clone(const struct clone_request *request)
{
    struct process *parent = process_current();
    struct process *child;
    int pidfd;
    int err = process_create(parent, request->tid, &child);
    if (err)
        return err;
    /* Another's parent is told as it was to be told of that other: one cannot choose the signal. */
    child->exit_signal =
        request->flags & ABI_CLONE_PARENT ? parent->exit_signal : request->exit_signal;
    child->creator_tid =
        request->flags & ABI_CLONE_PARENT ? parent->creator_tid : thread_current()->tid;
    struct thread *thread = child->leader;
    thread_set_name(thread, thread_current()->name);
    err = process_share(child, parent, request->flags);
    if (err)
        goto discard;
    thread->vmspace = child->vmspace;
    err = child_thread_init(thread, request);
    if (err)
        goto discard;
    err = pidfd_make(request, child, &pidfd);
    if (err)
        goto discard;

    int pid = child->pid;
    bool is_vfork = request->flags & ABI_CLONE_VFORK;
    child->is_vfork_child = is_vfork;
    (void)!tid_to_parent(request, pid);
    process_get(child); /* it may be gone before vfork_wait() looks */
    err = process_publish(child, clone_parent(request));
    if (err)
        goto uninstall;
    int event = ptrace_clone_event(request->flags, request->exit_signal);
    ptrace_inherit(thread, event, request->flags);
    seccomp_inherit(thread);
    thread_start(thread);
    if (event)
        ptrace_event(event, (unsigned long)pid);
    if (is_vfork) {
        vfork_wait(child);
        ptrace_event(ABI_PTRACE_EVENT_VFORK_DONE, (unsigned long)pid);
    }
    process_put(child);
    return pid;

uninstall:
    process_put(child);
    if (pidfd >= 0)
        pidfd_uninstall(pidfd);
discard:
    child_thread_discard(thread);
    process_discard(child);
    return err;
}

/* ---- Arguments ------------------------------------------------------------------------------ */

static int flags_check(uint64_t flags, int exit_signal)
{
    if ((flags & ABI_CLONE_THREAD) && !(flags & ABI_CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & ABI_CLONE_SIGHAND) && !(flags & ABI_CLONE_VM))
        return -EINVAL;
    if ((flags & ABI_CLONE_SIGHAND) && (flags & ABI_CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & ABI_CLONE_PIDFD) && (flags & (ABI_CLONE_DETACHED | ABI_CLONE_THREAD)))
        return -EINVAL;
    if ((flags & ABI_CLONE_PARENT) && process_current() == process_first)
        return -EINVAL;
    if (flags & NAMESPACES) {
        log_warning_once("clone with namespaces (flags %lx) is refused: there are none here",
                         (unsigned long)flags);
        return -EINVAL;
    }
    return exit_signal >= 0 && exit_signal <= ABI_NSIG ? 0 : -EINVAL;
}

static long clone_run(struct clone_request *request)
{
    const uint64_t both = ABI_CLONE_PIDFD | ABI_CLONE_PARENT_SETTID;
    int err = flags_check(request->flags, request->exit_signal);
    if (err)
        return err;
    if ((request->flags & both) == both && request->pidfd == request->parent_tid)
        return -EINVAL; /* two answers in one place */
    if (signal_is_fatal_pending())
        return -ERESTARTNOINTR;
    /* There is one group, which the child is in anyway. */
    if ((request->flags & ABI_CLONE_INTO_CGROUP) && !cgroup_is_open(request->cgroup))
        return -EBADF;
    if (request->flags & ABI_CLONE_THREAD)
        return thread_clone(request);
    return process_clone(request);
}

long sys_clone(unsigned long flags, unsigned long stack, void __app *parent_tid,
               void __app *child_tid, unsigned long tls)
{
    struct clone_request request = {
        .flags = flags & 0xffffff00UL,
        .exit_signal = (int)(flags & ABI_CSIGNAL),
        .stack = stack,
        .parent_tid = (uintptr_t)parent_tid,
        .pidfd = (uintptr_t)parent_tid, /* one argument, two uses */
        .child_tid = (uintptr_t)child_tid,
        .tls = tls,
    };
    /* Bit 7 is CLONE_NEWTIME in clone3 only; here it is part of the exit signal. */
    return clone_run(&request);
}

long sys_fork(void)
{
    struct clone_request request = { .exit_signal = ABI_SIGCHLD };
    return clone_run(&request);
}

long sys_vfork(void)
{
    struct clone_request request = { .flags = ABI_CLONE_VFORK | ABI_CLONE_VM,
                                     .exit_signal = ABI_SIGCHLD };
    return clone_run(&request);
}

/* Copies the caller's version of the structure; a longer one must be zero where we know nothing. */
static int clone_args_read(struct abi_clone_args *args, const void __app *from, size_t size)
{
    static const uint64_t none;
    if (size < ABI_CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    *args = (struct abi_clone_args){ 0 };
    if (copy_from_app(args, from, MIN(size, sizeof(*args))))
        return -EFAULT;
    for (size_t at = sizeof(*args); at < size; at += sizeof(none)) {
        uint64_t more = 0;
        size_t len = MIN(size - at, sizeof(more));
        if (copy_from_app(&more, (const void __app *)((uintptr_t)from + at), len))
            return -EFAULT;
        if (more)
            return -E2BIG;
    }
    return 0;
}

static int clone_args_check(const struct abi_clone_args *args, size_t size)
{
    uint64_t known = 0xffffff00ULL | ABI_CLONE_CLEAR_SIGHAND | ABI_CLONE_INTO_CGROUP;
    if (args->flags & ~known)
        return -EINVAL;
    if (args->flags & ABI_CLONE_DETACHED)
        return -EINVAL;
    if (args->exit_signal & ~ABI_CSIGNAL)
        return -EINVAL;
    if ((args->flags & (ABI_CLONE_THREAD | ABI_CLONE_PARENT)) && args->exit_signal)
        return -EINVAL;
    if (!args->stack != !args->stack_size)
        return -EINVAL;
    if (args->stack && !app_range_ok((const void __app *)args->stack, args->stack_size))
        return -EINVAL;
    if (!args->set_tid != !args->set_tid_size || args->set_tid_size > 32)
        return -EINVAL;
    if ((args->flags & ABI_CLONE_INTO_CGROUP) && (args->cgroup > INT32_MAX || size < sizeof(*args)))
        return -EINVAL;
    return 0;
}

/* Of the numbers, one for each namespace, the first: there is but one namespace. */
static int tid_read(const struct abi_clone_args *args, int *tid)
{
    if (copy_from_app(tid, (const void __app *)args->set_tid, sizeof(*tid)))
        return -EFAULT;
    if (args->set_tid_size > 1 || *tid < 1 || *tid >= TID_MAX)
        return -EINVAL;
    return process_is_capable(ABI_CAP_CHECKPOINT_RESTORE) || process_is_capable(ABI_CAP_SYS_ADMIN)
               ? 0
               : -EPERM;
}

long sys_clone3(const void __app *from, size_t size)
{
    struct abi_clone_args args;
    int err = clone_args_read(&args, from, size);
    if (!err)
        err = clone_args_check(&args, size);
    if (err)
        return err;
    struct clone_request request = {
        .flags = args.flags,
        .exit_signal = (int)args.exit_signal,
        .stack = args.stack ? args.stack + args.stack_size : 0,
        .parent_tid = args.parent_tid,
        .child_tid = args.child_tid,
        .pidfd = args.pidfd,
        .tls = args.tls,
        .cgroup = (int)args.cgroup,
    };
    if (args.set_tid)
        err = tid_read(&args, &request.tid);
    return err ? err : clone_run(&request);
}

/* ---- unshare, setns ----------------------------------------------------------------------------- */

long sys_unshare(unsigned flags)
{
    struct process *process = process_current();
    uint64_t threads = ABI_CLONE_THREAD | ABI_CLONE_SIGHAND | ABI_CLONE_VM;
    uint64_t known = threads | ABI_CLONE_FS | ABI_CLONE_FILES | ABI_CLONE_SYSVSEM | NAMESPACES;
    if (flags & ~known)
        return -EINVAL;
    if (flags & NAMESPACES) {
        log_warning_once("unshare of namespaces (%x) is refused: there are none here", flags);
        return -EINVAL;
    }
    if (READ_ONCE(process->nthreads) > 1 && (flags & threads))
        return -EINVAL;
    int err = 0;
    if (flags & ABI_CLONE_SYSVSEM)
        sem_undo_leave(thread_current());
    if (flags & ABI_CLONE_FILES)
        err = thread_files_unshare();
    if (!err && (flags & ABI_CLONE_FS))
        err = thread_fs_unshare();
    return err;
}
