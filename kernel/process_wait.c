// SPDX-License-Identifier: MIT
/*
 * wait4(2) and waitid(2): what children have done.
 *
 * One scan of the children decides everything, under the table's lock: it reports the first child
 * that has something to say (and takes that away, unless WNOWAIT), or tells that there are children
 * which may yet, or that there are none.  The waiting is wait_on() with the scan as its condition.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/process.h"
#include "kernel/process_time.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

struct wait_request {
    int kind; /* ABI_P_* */
    int id;
    unsigned options;
    /* The answer. */
    int result; /* pid, 0 or -ECHILD */
    int pid;
    int status; /* as wait4 reports it */
    int code;   /* ABI_CLD_* */
    int detail; /* si_status */
    uint32_t uid;
    struct abi_rusage usage;
    struct process *reaped; /* to be released without the lock */
};

/* A clone child: one that does not send SIGCHLD when it ends. */
static bool kind_matches(const struct wait_request *request, const struct process *child)
{
    if (request->options & ABI_WALL)
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
    return kind_matches(request, child);
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

static void child_account(struct process *parent, const struct process *child)
{
    usage_add(&parent->children_usage, &child->dead);
    usage_add(&parent->children_usage, &child->children_usage);
    uint64_t peak = MAX(child->peak_resident_pages, child->children_peak_pages);
    parent->children_peak_pages = MAX(parent->children_peak_pages, peak);
}

static bool zombie_take(struct wait_request *request, struct process *parent, struct process *child)
{
    int status = child->exit_status;
    int signo = status & 0x7f;
    if (child->state != PROCESS_ZOMBIE || !(request->options & ABI_WEXITED))
        return false;
    answer_fill(request, child, status,
                !signo          ? ABI_CLD_EXITED
                : status & 0x80 ? ABI_CLD_DUMPED
                                : ABI_CLD_KILLED,
                signo ? signo : status >> 8 & 0xff);
    if (request->options & ABI_WNOWAIT)
        return true;
    child_account(parent, child);
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
        (request->options & ABI_WSTOPPED)) {
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
        request->kind = ABI_P_PID;
        request->id = pidfd_pid(id);
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
    long result = wait_for_child(&request);
    if (result < 0)
        return result;
    if (result > 0 && usage && copy_to_app(usage, &request.usage, sizeof(request.usage)))
        return -EFAULT;
    return info && waitid_info(info, &request, result > 0) ? -EFAULT : 0;
}
