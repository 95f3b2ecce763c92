// SPDX-License-Identifier: MIT
/*
 * io_uring: the completion queue.
 *
 * Completions are posted by threads only.  What does not fit is kept on a list, in order, until the
 * application enters the kernel with room in the queue (IORING_FEAT_NODROP); the application sees that by a
 * bit in the submission queue's flags.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "fs/event_objects.h"
#include "fs/uring/uring.h"
#include "kernel/mm/heap.h"

struct overflow {
    struct list node;
    struct abi_uring_cqe cqe;
};

unsigned uring_cq_count(const struct uring *ring)
{
    return READ_ONCE(ring->cq_tail) - __atomic_load_n(&ring->shared->cq_head, __ATOMIC_ACQUIRE);
}

/* cq_lock held, and there is room. */
static void put(struct uring *ring, const struct abi_uring_cqe *cqe)
{
    unsigned index = ring->cq_tail & (ring->cq_entries - 1);
    struct abi_uring_cqe *slot = (void *)(ring->shared->cqes + ((size_t)index << ring->cqe_shift));

    slot[0] = *cqe;
    if (ring->cqe_shift > 4)
        slot[1] = (struct abi_uring_cqe){ 0 };
    WRITE_ONCE(ring->cq_tail, ring->cq_tail + 1);
    __atomic_store_n(&ring->shared->cq_tail, ring->cq_tail, __ATOMIC_RELEASE);
}

static void put_aside(struct uring *ring, const struct abi_uring_cqe *cqe)
{
    struct overflow *overflow = kmalloc(sizeof(*overflow), ALLOC_ATOMIC);

    if (!overflow) {
        ring->shared->cq_overflow++;
        return;
    }
    overflow->cqe = *cqe;
    list_push_back(&ring->overflow, &overflow->node);
    __atomic_fetch_or(&ring->shared->sq_flags, ABI_URING_SQ_CQ_OVERFLOW, __ATOMIC_SEQ_CST);
}

void uring_wake_locked(struct uring *ring)
{
    struct uring_waiter *waiter;

    list_for_each (waiter, &ring->waiters, ring_node)
        wake_all(&waiter->queue);
}

static void tell(struct uring *ring)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    uring_wake_locked(ring);
    spin_unlock_irq(&uring_lock, flags);
    poll_wake(&ring->poll, ABI_POLLIN | ABI_POLLRDNORM);
    if (!READ_ONCE(ring->eventfd))
        return;
    struct file *eventfd = NULL;
    mutex_lock(&ring->tables_lock);
    if (ring->eventfd && !(READ_ONCE(ring->shared->cq_flags) & ABI_URING_CQ_EVENTFD_DISABLED))
        eventfd = file_get(ring->eventfd);
    mutex_unlock(&ring->tables_lock);
    if (!eventfd)
        return;
    eventfd_signal(eventfd);
    file_put(eventfd);
}

/* False: it does not fit, and may not be put aside. */
static bool post(struct uring *ring, const struct abi_uring_cqe *cqe, bool may_overflow)
{
    spin_lock(&ring->cq_lock);
    bool fits = list_is_empty(&ring->overflow) && uring_cq_count(ring) < ring->cq_entries;
    if (fits)
        put(ring, cqe);
    else if (may_overflow)
        put_aside(ring, cqe);
    ring->nposted += fits || may_overflow;
    spin_unlock(&ring->cq_lock);
    if (!fits && !may_overflow)
        return false;
    if (READ_ONCE(ring->ncounting) > 0)
        uring_timeouts_count(ring);
    tell(ring);
    return true;
}

void uring_post(struct uring *ring, uint64_t user_data, int res, unsigned flags)
{
    struct abi_uring_cqe cqe = { .user_data = user_data, .res = res, .flags = flags };

    (void)post(ring, &cqe, true);
}

bool uring_try_post(struct uring *ring, uint64_t user_data, int res, unsigned flags)
{
    struct abi_uring_cqe cqe = { .user_data = user_data, .res = res, .flags = flags };

    return post(ring, &cqe, false);
}

void uring_flush_overflow(struct uring *ring)
{
    struct list sent = LIST_INIT(sent);

    if (!(READ_ONCE(ring->shared->sq_flags) & ABI_URING_SQ_CQ_OVERFLOW))
        return;
    spin_lock(&ring->cq_lock);
    while (!list_is_empty(&ring->overflow) && uring_cq_count(ring) < ring->cq_entries) {
        struct overflow *overflow = list_first(&ring->overflow, struct overflow, node);
        put(ring, &overflow->cqe);
        list_remove(&overflow->node);
        list_push_back(&sent, &overflow->node);
    }
    if (list_is_empty(&ring->overflow))
        __atomic_fetch_and(&ring->shared->sq_flags, ~ABI_URING_SQ_CQ_OVERFLOW, __ATOMIC_SEQ_CST);
    spin_unlock(&ring->cq_lock);
    if (list_is_empty(&sent))
        return;
    tell(ring);
    while (!list_is_empty(&sent)) {
        struct overflow *overflow = list_first(&sent, struct overflow, node);
        list_remove(&overflow->node);
        kfree(overflow);
    }
}

/* Runs what is ready; true: there are enough completions. */
static bool is_enough(struct uring *ring, struct uring_pool *pool, unsigned min)
{
    uring_flush_overflow(ring);
    if (uring_cq_count(ring) >= min)
        return true;
    uring_pool_run_ready(pool);
    uring_flush_overflow(ring);
    return uring_cq_count(ring) >= min;
}

int uring_wait(struct uring *ring, struct uring_pool *pool, unsigned min, nsec_t deadline)
{
    struct uring_waiter waiter;
    int err = 0;

    min = MIN(min, ring->cq_entries);
    if (is_enough(ring, pool, min))
        return 0;
    uring_pool_wait_begin(pool, ring, &waiter);
    err = wait_on(&waiter.queue, is_enough(ring, pool, min), deadline);
    uring_pool_wait_end(pool, &waiter);
    if (err && uring_cq_count(ring) > 0)
        return 0;
    return err == -ETIMEDOUT ? -ETIME : err;
}
