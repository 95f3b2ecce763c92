// SPDX-License-Identifier: MIT
/*
 * io_uring: finding and cancelling requests.
 *
 * Cancelling marks a request and kicks it; it completes in its own pool, soon.
 */
#include "abi/errno.h"
#include "fs/uring/uring.h"

static bool is_meant(const struct uring_request *request, const struct uring_match *match)
{
    if (match->flags & ABI_URING_CANCEL_ANY)
        return true;
    if (match->flags & ABI_URING_CANCEL_FD)
        return request->call.file == match->file;
    return request->sqe.user_data == match->user_data;
}

/* A linked timeout can be found while what it guards is under way: before that it is not armed. */
static bool is_armed(const struct uring_request *request)
{
    return request->sqe.opcode != ABI_URING_LINK_TIMEOUT ||
           (request->guarded && request->has_started);
}

static bool matches(const struct uring_request *request, const struct uring_match *match)
{
    if (request == match->except || request->is_cancelled || !is_armed(request))
        return false;
    return is_meant(request, match);
}

bool uring_is_running(struct uring *ring, const struct uring_match *match)
{
    struct uring_request *request;
    bool is_running = false;
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_for_each (request, &ring->requests, ring_node)
        is_running |= request->runner && is_meant(request, match);
    spin_unlock_irq(&uring_lock, flags);
    return is_running;
}

long uring_cancel(struct uring *ring, const struct uring_match *match)
{
    const unsigned many = ABI_URING_CANCEL_ALL | ABI_URING_CANCEL_ANY;
    struct uring_request *request;
    long found = 0, err = 0;
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_for_each (request, &ring->requests, ring_node) {
        if (!matches(request, match))
            continue;
        if (request->runner)
            err = -EALREADY;
        uring_request_cancel_locked(request);
        found++;
        if (!(match->flags & many))
            break;
    }
    spin_unlock_irq(&uring_lock, flags);
    if (match->flags & many)
        return found;
    return found ? err : -ENOENT;
}

struct uring_request *uring_find_locked(struct uring *ring, uint64_t user_data, unsigned opcode)
{
    struct uring_request *request;

    list_for_each (request, &ring->requests, ring_node) {
        if (request->sqe.user_data == user_data && request->sqe.opcode == opcode &&
            !request->is_cancelled && is_armed(request))
            return request;
    }
    return NULL;
}

void uring_cancel_ring(struct uring *ring)
{
    struct uring_request *request;
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_for_each (request, &ring->requests, ring_node)
        uring_request_cancel_locked(request);
    uring_release_deferred_locked(ring);
    spin_unlock_irq(&uring_lock, flags);
}

void uring_cancel_pool(struct uring_pool *pool)
{
    struct uring_request *request;
    struct uring *ring;
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_for_each (request, &pool->requests, pool_node)
        uring_request_cancel_locked(request);
    list_for_each (request, &pool->requests, pool_node)
        uring_release_deferred_locked(request->ring);
    list_for_each (ring, &pool->pollers, pool_node)
        wake_all(&ring->sq_wait);
    spin_unlock_irq(&uring_lock, flags);
}
