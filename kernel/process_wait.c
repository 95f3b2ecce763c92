// SPDX-License-Identifier: MIT
/*
 * wait4(2) and waitid(2): what children have done.
 *
 * One scan of the children decides everything, under the table's lock: it reports the first child
 * that has something to say (and takes that away, unless WNOWAIT), or tells that there are children
 * which may yet, or that there are none.  Then come the threads that the process traces (kernel/ptrace.c).  A child
 * that another process traces has ended for its parent when its tracer has waited for it.
 * The waiting is wait_on() with the scan as its condition.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/process.h"
#include "kernel/process_time.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

struct wait_request {
    int kind; /* ABI_P_* */
    int id;
    unsigned options;
    bool is_nonblocking; /* the pidfd: -EAGAIN instead of a wait */
    /* The answer. */
    int result; /* pid, 0 or -ECHILD */
    int pid;
    int status; /* as wait4 reports it */
    int code;   /* ABI_CLD_* */
    int detail; /* si_status */
    uint32_t uid;
    struct abi_rusage usage;
    struct process *reaped; /* to be released without the lock */
    struct thread *reaped_thread;
};

/* The process whose thread traces the leader of child, or NULL.  [t] held. */
static const struct process *tracer_of(const struct process *child)
{
    const struct thread *tracer = child->leader->trace.tracer;
    return tracer ? tracer->process : NULL;
}

static bool kind_matches(const struct wait_request *request, const struct process *child)
{
    if (request->options & ABI_WALL || tracer_of(child) == process_current())
        return true;
    bool is_clone = child->exit_signal != ABI_SIGCHLD;
    return is_clone == !!(request->options & ABI_WCLONE);
}

static bool child_matches(const struct wait_request *request, const struct process *child)
{
    switch (request->kind) {
    case ABI_P_PID:
        if (child->pid != request->id)
            return false;
        break;
    case ABI_P_PGID:
        if (child->pgid != request->id)
            return false;
        break;
    default:
        break;
    }
    return kind_matches(request, child) &&
           (!(request->options & ABI_WNOTHREAD) || process_creator(child) == thread_current());
}

static void answer_fill(struct wait_request *request, struct process *child, int status, int code,
                        int detail)
{
    request->pid = child->pid;
    request->uid = child->creds.uid;
    request->status = status;
    request->code = code;
    request->detail = detail;
    process_rusage_with_children(child, &request->usage);
}

static void answer_fill_exit(struct wait_request *request, struct process *process, int status)
{
    int signo = status & 0x7f;
    answer_fill(request, process, status,
                !signo          ? ABI_CLD_EXITED
                : status & 0x80 ? ABI_CLD_DUMPED
                                : ABI_CLD_KILLED,
                signo ? signo : status >> 8 & 0xff);
}

static void child_account(struct process *parent, const struct process *child)
{
    usage_add(&parent->children_usage, &child->dead);
    usage_add(&parent->children_usage, &child->children_usage);
    uint64_t peak = MAX(child->peak_resident_pages, child->children_peak_pages);
    parent->children_peak_pages = MAX(parent->children_peak_pages, peak);
}

static bool zombie_take(struct wait_request *request, struct process *parent, struct process *child)
{
    const struct process *tracer = tracer_of(child);
    if (child->state != PROCESS_ZOMBIE || !(request->options & ABI_WEXITED) ||
        (tracer && tracer != parent))
        return false;
    answer_fill_exit(request, child, child->exit_status);
    if (request->options & ABI_WNOWAIT)
        return true;
    child_account(parent, child);
    ptrace_unlink(child->leader);
    process_unlink(child);
    request->reaped = child;
    return true;
}

/* A stop of a child that lives; a continuation also of one that has ended since, so that a waiter for it
 * does not depend on being faster than the child. */
static bool stop_take(struct wait_request *request, struct process *child)
{
    struct signal_shared *shared = &child->signals;
    bool is_taken = false, was_stop = false;
    unsigned long flags = spin_lock_irq(&shared->lock);
    bool keep = request->options & ABI_WNOWAIT;
    if (shared->has_stop_event && child->state == PROCESS_ALIVE &&
        tracer_of(child) != process_current() && (request->options & ABI_WSTOPPED)) {
        is_taken = was_stop = true;
        shared->has_stop_event = keep;
    } else if (shared->has_continue_event && (request->options & ABI_WCONTINUED)) {
        is_taken = true;
        shared->has_continue_event = keep;
    }
    int signo = shared->stop_signal;
    spin_unlock_irq(&shared->lock, flags);
    if (is_taken && was_stop)
        answer_fill(request, child, signo << 8 | 0x7f, ABI_CLD_STOPPED, signo);
    else if (is_taken)
        answer_fill(request, child, 0xffff, ABI_CLD_CONTINUED, ABI_SIGCONT);
    return is_taken;
}

/* ---- Tracees --------------------------------------------------------------------- */

static bool tracee_matches(const struct wait_request *request, const struct thread *thread)
{
    if (request->options & ABI_WNOTHREAD && thread->trace.tracer != thread_current())
        return false;
    if (request->kind == ABI_P_PID)
        return thread->tid == request->id;
    return request->kind != ABI_P_PGID || thread->process->pgid == request->id;
}

/* A tracee that ended: a thread, or a process that is not our child, whose parent is told now. */
static bool dead_tracee_take(struct wait_request *request, struct thread *thread)
{
    struct process *process = thread->process;
    bool is_zombie = process->state == PROCESS_ZOMBIE && thread == process->leader &&
                     process->parent != process_current();
    if (!(request->options & ABI_WEXITED) || (!thread->trace.is_dead && !is_zombie))
        return false;
    answer_fill_exit(request, process,
                     thread->trace.is_dead ? thread->exit_status : process->exit_status);
    if (request->options & ABI_WNOWAIT)
        return true;
    ptrace_unlink(thread);
    if (thread->trace.is_dead) {
        request->reaped_thread = thread;
    } else if (process_tell_parent_exit(process)) {
        process_unlink(process);
        request->reaped = process;
    }
    return true;
}

static bool trace_stop_take(struct wait_request *request, struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    struct thread_trace *trace = &thread->trace;
    unsigned long flags = spin_lock_irq(&shared->lock);
    int code = trace->is_stopped && !trace->is_listening ? trace->code : 0;
    if (!(request->options & ABI_WNOWAIT) && code)
        trace->code = 0;
    spin_unlock_irq(&shared->lock, flags);
    if (code)
        answer_fill(request, thread->process, code << 8 | 0x7f, ABI_CLD_TRAPPED, code);
    return code != 0;
}

/* As children_scan(). */
static int tracees_scan(struct wait_request *request, struct process *tracer)
{
    struct thread *thread;
    int result = -ECHILD;
    list_for_each (thread, &tracer->tracees, trace.node) {
        if (!tracee_matches(request, thread))
            continue;
        result = 0;
        if (trace_stop_take(request, thread) || dead_tracee_take(request, thread)) {
            request->pid = thread->tid;
            return request->pid;
        }
    }
    return result;
}

/* The pid of a child that has something to report, 0 if none has yet, -ECHILD. */
static int children_scan(struct wait_request *request)
{
    struct process *parent = process_current();
    struct process *child;
    int result = -ECHILD;

    write_lock(&process_table_lock);
    list_for_each (child, &parent->children, sibling_node) {
        if (!child_matches(request, child))
            continue;
        result = 0;
        if (stop_take(request, child) || zombie_take(request, parent, child)) {
            result = request->pid;
            break;
        }
    }
    if (result <= 0 && !list_is_empty(&parent->tracees)) {
        int traced = tracees_scan(request, parent);
        result = traced == -ECHILD ? result : traced;
    }
    write_unlock(&process_table_lock);
    return result;
}

/* A condition for wait_on(), which may ask again after it was true: a child is taken once. */
static bool has_result(struct wait_request *request)
{
    if (request->result == 0)
        request->result = children_scan(request);
    return request->result != 0;
}

static long wait_for_child(struct wait_request *request)
{
    if (!has_result(request) && !(request->options & ABI_WNOHANG)) {
        int err = wait_on(&process_current()->child_event, has_result(request), DEADLINE_NONE);
        if (err)
            return -ERESTARTSYS;
    }
    if (request->reaped)
        process_release(request->reaped);
    if (request->reaped_thread)
        thread_put(request->reaped_thread);
    return request->result;
}

long sys_wait4(int pid, void __app *status, unsigned options, void __app *usage)
{
    unsigned known =
        ABI_WNOHANG | ABI_WUNTRACED | ABI_WCONTINUED | ABI_WNOTHREAD | ABI_WCLONE | ABI_WALL;
    struct wait_request request = { .options = options | ABI_WEXITED };
    if (options & ~known)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid == -1) {
        request.kind = ABI_P_ALL;
    } else if (pid <= 0) {
        request.kind = ABI_P_PGID;
        request.id = pid ? -pid : process_current()->pgid;
    } else {
        request.kind = ABI_P_PID;
        request.id = pid;
    }
    long result = wait_for_child(&request);
    if (result <= 0)
        return result;
    if (status && copy_to_app(status, &request.status, sizeof(request.status)))
        return -EFAULT;
    if (usage && copy_to_app(usage, &request.usage, sizeof(request.usage)))
        return -EFAULT;
    return result;
}

static int waitid_target(int kind, int id, struct wait_request *request)
{
    request->kind = kind;
    request->id = id;
    switch (kind) {
    case ABI_P_ALL:
        return 0;
    case ABI_P_PID:
        return id > 0 ? 0 : -EINVAL;
    case ABI_P_PGID:
        if (id < 0)
            return -EINVAL;
        if (id == 0)
            request->id = process_current()->pgid;
        return 0;
    case ABI_P_PIDFD:
        if (id < 0)
            return -EINVAL;
        request->kind = ABI_P_PID;
        request->id = pidfd_pid(id, &request->is_nonblocking);
        return request->id < 0 ? request->id : 0;
    default:
        return -EINVAL;
    }
}

static int waitid_info(void __app *to, const struct wait_request *request, bool has_child)
{
    struct abi_siginfo info;
    memset(&info, 0, sizeof(info));
    if (has_child) {
        info.si_signo = ABI_SIGCHLD;
        info.si_code = request->code;
        info.chld.pid = request->pid;
        info.chld.uid = request->uid;
        info.chld.si_status = request->detail;
    }
    /* As Linux: only the fields that mean something are written. */
    return copy_to_app(to, &info, offsetof(struct abi_siginfo, chld.si_utime));
}

long sys_waitid(int kind, int id, void __app *info, unsigned options, void __app *usage)
{
    unsigned events = ABI_WEXITED | ABI_WSTOPPED | ABI_WCONTINUED;
    unsigned known = events | ABI_WNOHANG | ABI_WNOWAIT | ABI_WNOTHREAD | ABI_WCLONE | ABI_WALL;
    struct wait_request request = { .options = options };
    if ((options & ~known) || !(options & events))
        return -EINVAL;
    int err = waitid_target(kind, id, &request);
    if (err)
        return err;
    if (request.is_nonblocking)
        request.options |= ABI_WNOHANG;
    long result = wait_for_child(&request);
    if (result == 0 && !(options & ABI_WNOHANG))
        return -EAGAIN;
    if (result < 0)
        return result;
    if (result > 0 && usage && copy_to_app(usage, &request.usage, sizeof(request.usage)))
        return -EFAULT;
    return info && waitid_info(info, &request, result > 0) ? -EFAULT : 0;
}
