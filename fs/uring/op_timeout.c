// SPDX-License-Identifier: MIT
/*
 * io_uring: timeouts, linked timeouts, polls, and the operations that cancel.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "abi/time.h"
#include "fs/uring/ops.h"
#include "kernel/clock.h"
#include "kernel/usercopy.h"

/* ---- Timeouts ---------------------------------------------------------------------------- */

static int deadline_of(uint64_t from, unsigned flags, nsec_t *deadline)
{
    struct abi_timespec time;
    nsec_t nsec;

    if (copy_from_app(&time, app_pointer(from), sizeof(time)))
        return -EFAULT;
    int err = nsec_from_timespec(&time, &nsec);
    if (err)
        return err;
    if (!(flags & ABI_URING_TIMEOUT_ABS))
        *deadline = deadline_after(nsec);
    else
        *deadline = flags & ABI_URING_TIMEOUT_REALTIME ? clock_realtime_to_deadline(nsec) : nsec;
    return 0;
}

int uring_timeout_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const unsigned known = ABI_URING_TIMEOUT_ABS | ABI_URING_TIMEOUT_BOOTTIME |
                           ABI_URING_TIMEOUT_REALTIME | ABI_URING_TIMEOUT_ETIME_SUCCESS;
    bool is_linked = sqe->opcode == ABI_URING_LINK_TIMEOUT;

    if (sqe->len != 1 || sqe->buf_index || sqe->file_index || (is_linked && sqe->off) ||
        sqe->op_flags & ~known ||
        (sqe->op_flags & ABI_URING_TIMEOUT_BOOTTIME && sqe->op_flags & ABI_URING_TIMEOUT_REALTIME))
        return -EINVAL;
    return deadline_of(sqe->addr, sqe->op_flags, &request->deadline);
}

/* Whether as many completions have come as it waits for. */
static bool is_counted(const struct uring_request *request)
{
    return request->is_counting && (int)(READ_ONCE(request->ring->nposted) - request->target) >= 0;
}

long uring_timeout_issue(struct uring_request *request)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    bool is_expired = request->is_expired;
    if (request->sqe.off && !request->is_counting) {
        request->target = READ_ONCE(request->ring->nposted) + (unsigned)request->sqe.off;
        request->is_counting = true;
        request->ring->ncounting++;
    }
    nsec_t deadline = request->deadline;
    spin_unlock_irq(&uring_lock, flags);
    if (is_counted(request))
        return 0;
    if (is_expired) {
        request->keeps_chain = request->sqe.op_flags & ABI_URING_TIMEOUT_ETIME_SUCCESS;
        return -ETIME;
    }
    timer_set(&request->timer, deadline);
    return URING_WAIT;
}

void uring_timeouts_count(struct uring *ring)
{
    struct uring_request *request;
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_for_each (request, &ring->requests, ring_node) {
        if (is_counted(request))
            uring_request_kick_locked(request);
    }
    spin_unlock_irq(&uring_lock, flags);
}

long uring_link_timeout_issue(struct uring_request *request)
{
    long result = URING_WAIT;
    unsigned long flags = spin_lock_irq(&uring_lock);
    bool is_expired = request->is_expired;
    nsec_t deadline = request->deadline;
    if (is_expired) {
        struct uring_request *guarded = request->guarded;
        result = -ETIME;
        if (guarded) {
            guarded->timeout = NULL;
            request->guarded = NULL;
            uring_request_cancel_locked(guarded);
        }
    }
    spin_unlock_irq(&uring_lock, flags);
    if (!is_expired)
        timer_set(&request->timer, deadline);
    return result;
}

int uring_timeout_remove_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const unsigned update = ABI_URING_TIMEOUT_UPDATE | ABI_URING_LINK_TIMEOUT_UPDATE;
    const unsigned clocks = ABI_URING_TIMEOUT_BOOTTIME | ABI_URING_TIMEOUT_REALTIME;

    if (sqe->buf_index || sqe->len || sqe->file_index ||
        sqe->flags & (ABI_SQE_FIXED_FILE | ABI_SQE_BUFFER_SELECT))
        return -EINVAL;
    if (!(sqe->op_flags & update))
        return sqe->op_flags ? -EINVAL : 0;
    if ((sqe->op_flags & clocks) == clocks ||
        sqe->op_flags & ~(update | clocks | ABI_URING_TIMEOUT_ABS))
        return -EINVAL;
    return deadline_of(sqe->off, sqe->op_flags, &request->deadline);
}

long uring_timeout_remove_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    bool is_update = sqe->op_flags & (ABI_URING_TIMEOUT_UPDATE | ABI_URING_LINK_TIMEOUT_UPDATE);
    unsigned opcode =
        sqe->op_flags & ABI_URING_LINK_TIMEOUT_UPDATE ? ABI_URING_LINK_TIMEOUT : ABI_URING_TIMEOUT;
    unsigned long flags = spin_lock_irq(&uring_lock);
    struct uring_request *found = uring_find_locked(request->ring, sqe->addr, opcode);
    long result = !found ? -ENOENT : found->is_expired ? -EALREADY : 0;
    if (!result && is_update) {
        found->deadline = request->deadline;
        uring_request_kick_locked(found); /* it sets its timer anew */
    } else if (!result) {
        uring_request_cancel_locked(found);
    }
    spin_unlock_irq(&uring_lock, flags);
    return result;
}

/* ---- Poll ---------------------------------------------------------------------------------- */

#define POLL_ALWAYS (ABI_POLLERR | ABI_POLLHUP)
/* EPOLLEXCLUSIVE, ONESHOT and ET may stand above the events. */
#define POLL_EVENTS 0xffffu

int uring_poll_prepare(struct uring_request *request)
{
    struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->buf_index || sqe->off || sqe->addr)
        return -EINVAL;
    if (sqe->len & ~(ABI_URING_POLL_MULTI | ABI_URING_POLL_LEVEL))
        return -EINVAL;
    if (sqe->len & ABI_URING_POLL_MULTI && sqe->flags & ABI_SQE_CQE_SKIP_SUCCESS)
        return -EINVAL;
    sqe->op_flags = (sqe->op_flags & POLL_EVENTS) | POLL_ALWAYS;
    return 0;
}

long uring_poll_issue(struct uring_request *request)
{
    unsigned wanted = READ_ONCE(request->sqe.op_flags);
    unsigned found = file_poll(request->call.file) & wanted;

    if (!found)
        return URING_WAIT;
    if (!(request->sqe.len & ABI_URING_POLL_MULTI))
        return found;
    return uring_request_post_more(request, found) ? URING_WAIT : -ECANCELED;
}

int uring_poll_remove_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const unsigned update = ABI_URING_POLL_UPDATE_EVENTS | ABI_URING_POLL_UPDATE_USER_DATA;

    if (sqe->buf_index || sqe->file_index || sqe->len & ~(update | ABI_URING_POLL_MULTI) ||
        sqe->len == ABI_URING_POLL_MULTI)
        return -EINVAL;
    if (!(sqe->len & ABI_URING_POLL_UPDATE_USER_DATA) && sqe->off)
        return -EINVAL;
    return !(sqe->len & ABI_URING_POLL_UPDATE_EVENTS) && sqe->op_flags ? -EINVAL : 0;
}

long uring_poll_remove_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    unsigned long flags = spin_lock_irq(&uring_lock);
    struct uring_request *found = uring_find_locked(request->ring, sqe->addr, ABI_URING_POLL_ADD);
    long result = found ? 0 : -ENOENT;
    if (found && !sqe->len) {
        uring_request_cancel_locked(found);
    } else if (found) {
        if (sqe->len & ABI_URING_POLL_UPDATE_EVENTS) {
            found->sqe.op_flags = (sqe->op_flags & POLL_EVENTS) | POLL_ALWAYS;
            found->sqe.len = sqe->len & ABI_URING_POLL_MULTI;
        }
        if (sqe->len & ABI_URING_POLL_UPDATE_USER_DATA)
            found->sqe.user_data = sqe->off;
        uring_request_kick_locked(found);
    }
    spin_unlock_irq(&uring_lock, flags);
    return result;
}

/* ---- Cancelling -------------------------------------------------------------------------------- */

int uring_cancel_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const unsigned known = ABI_URING_CANCEL_ALL | ABI_URING_CANCEL_FD | ABI_URING_CANCEL_ANY |
                           ABI_URING_CANCEL_FD_FIXED;

    if (sqe->flags & ABI_SQE_BUFFER_SELECT || sqe->off || sqe->len || sqe->file_index ||
        sqe->op_flags & ~known)
        return -EINVAL;
    return sqe->op_flags & ABI_URING_CANCEL_FD && sqe->op_flags & ABI_URING_CANCEL_ANY ? -EINVAL
                                                                                       : 0;
}

long uring_cancel_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    struct uring_match match = { .user_data = sqe->addr,
                                 .flags = sqe->op_flags,
                                 .except = request };
    struct uring_resource *resource = NULL;

    if (sqe->op_flags & ABI_URING_CANCEL_FD) {
        if (sqe->flags & ABI_SQE_FIXED_FILE || sqe->op_flags & ABI_URING_CANCEL_FD_FIXED) {
            resource = uring_table_get(request->ring, &request->ring->files, (unsigned)sqe->fd);
            match.file = resource ? file_get(resource->file) : NULL;
        } else {
            match.file = fd_get(sqe->fd);
        }
        if (!match.file)
            return -EBADF;
    }
    long result = uring_cancel(request->ring, &match);
    if (match.file)
        file_put(match.file);
    if (resource)
        uring_resource_put(resource);
    return result;
}
