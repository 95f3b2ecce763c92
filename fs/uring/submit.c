// SPDX-License-Identifier: MIT
/*
 * io_uring: taking entries off the submission queue, chains and drains.
 *
 * A chain is started when its last member is known, so that a member which is wrong fails the whole.  A
 * request with IOSQE_IO_DRAIN, and everything submitted behind it, waits on ring->deferred
 * until what was started before is complete.
 */
#include "abi/errno.h"
#include "fs/uring/uring.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

/* A chain in the making. */
struct chain {
    struct uring_request *head, *last;
    bool has_error;
};

/* The linked timeout behind a request is started with it, not after it; until then the request owns it. */
static void detach_timeouts(struct uring_request *head)
{
    for (struct uring_request *request = head; request; request = request->next) {
        struct uring_request *timeout = request->next;
        if (!timeout || timeout->sqe.opcode != ABI_URING_LINK_TIMEOUT)
            continue;
        request->next = timeout->next;
        timeout->next = NULL;
        timeout->guarded = request;
        request->timeout = timeout;
    }
}

static unsigned chain_length(const struct uring_request *head)
{
    unsigned n = 0;

    for (; head; head = head->next)
        n += 1 + (head->timeout != NULL);
    return n;
}

/* True: it has to wait behind a drain, or is one. */
static bool defer(struct uring_request *head)
{
    struct uring *ring = head->ring;
    unsigned n = chain_length(head);
    bool drains = ring->drain_next;

    ring->drain_next = false;
    for (struct uring_request *each = head; each; each = each->next) {
        drains |= each->sqe.flags & ABI_SQE_IO_DRAIN;
        ring->drain_next |= each != head && each->sqe.flags & ABI_SQE_IO_DRAIN;
    }
    unsigned long flags = spin_lock_irq(&uring_lock);
    bool waits = !list_is_empty(&ring->deferred) || (drains && ring->nactive > 0);
    if (waits) {
        head->sqe.flags |= drains ? ABI_SQE_IO_DRAIN : 0;
        list_push_back(&ring->deferred, &head->queue_node);
    } else {
        ring->nactive += n;
    }
    spin_unlock_irq(&uring_lock, flags);
    return waits;
}

static void chain_start(struct chain *chain)
{
    struct uring_request *head = chain->head;

    if (!head)
        return;
    *chain = (struct chain){ .head = NULL };
    bool has_error = false;
    for (struct uring_request *each = head; each; each = each->next)
        has_error |= each->error != 0;
    if (head->sqe.opcode == ABI_URING_LINK_TIMEOUT && !has_error) {
        head->error = -EINVAL; /* nothing before it */
        has_error = true;
    }
    if (has_error) {
        unsigned long flags = spin_lock_irq(&uring_lock);
        head->ring->nactive += chain_length(head);
        spin_unlock_irq(&uring_lock, flags);
        uring_chain_fail(head);
        return;
    }
    detach_timeouts(head);
    if (!defer(head))
        uring_request_start(head);
}

static bool take_entry(struct uring *ring, struct abi_uring_sqe *sqe)
{
    struct uring_shared *shared = ring->shared;
    unsigned mask = ring->sq_entries - 1;

    if (ring->sq_head == __atomic_load_n(&shared->sq_tail, __ATOMIC_ACQUIRE))
        return false;
    unsigned index = READ_ONCE(ring->sq_array[ring->sq_head & mask]);
    ring->sq_head++;
    bool is_valid = index < ring->sq_entries;
    if (is_valid)
        *sqe = *(const struct abi_uring_sqe *)(ring->sqes + ((size_t)index << ring->sqe_shift));
    else
        WRITE_ONCE(shared->sq_dropped, shared->sq_dropped + 1);
    __atomic_store_n(&shared->sq_head, ring->sq_head, __ATOMIC_RELEASE);
    return is_valid;
}

static void chain_add(struct chain *chain, struct uring_request *request)
{
    if (chain->head)
        chain->last->next = request;
    else
        chain->head = request;
    chain->last = request;
    if (!(request->sqe.flags & (ABI_SQE_IO_LINK | ABI_SQE_IO_HARDLINK)))
        chain_start(chain);
}

long uring_submit(struct uring *ring, struct uring_pool *pool, unsigned count)
{
    struct chain chain = { .head = NULL };
    struct abi_uring_sqe sqe;
    unsigned waiting = __atomic_load_n(&ring->shared->sq_tail, __ATOMIC_ACQUIRE) - ring->sq_head;
    long done = 0, err = 0;

    assert_held(&ring->submit_lock);
    count = MIN(MIN(count, waiting), ring->sq_entries);
    while (done < (long)count) {
        struct uring_request *request;
        if (!take_entry(ring, &sqe))
            break;
        err = uring_request_create(ring, pool, &sqe, &request);
        if (err) { /* the entry stays for the next call */
            ring->sq_head--;
            __atomic_store_n(&ring->shared->sq_head, ring->sq_head, __ATOMIC_RELEASE);
            break;
        }
        request->error = uring_request_prepare(request);
        bool was_wrong = request->error;
        chain_add(&chain, request);
        done++;
        if (was_wrong && !(ring->flags & ABI_URING_SETUP_SUBMIT_ALL))
            break;
    }
    chain_start(&chain);
    uring_pool_run_ready(pool);
    return done ? done : err;
}

/* ---- SQPOLL ----------------------------------------------------------------------------------------- */

static bool has_entries(struct uring *ring)
{
    return ring->sq_head != __atomic_load_n(&ring->shared->sq_tail, __ATOMIC_ACQUIRE) &&
           !(READ_ONCE(ring->flags) & ABI_URING_SETUP_R_DISABLED);
}

static bool must_end(struct uring *ring, struct uring_pool *pool)
{
    return READ_ONCE(ring->is_dead) || READ_ONCE(pool->is_ending);
}

static void sqpoll_sleep(struct uring *ring, struct uring_pool *pool)
{
    uint32_t *flags = &ring->shared->sq_flags;

    __atomic_fetch_or(flags, ABI_URING_SQ_NEED_WAKEUP, __ATOMIC_SEQ_CST);
    (void)wait_on_always(&ring->sq_wait, has_entries(ring) || must_end(ring, pool), DEADLINE_NONE);
    __atomic_fetch_and(flags, ~ABI_URING_SQ_NEED_WAKEUP, __ATOMIC_SEQ_CST);
}

/* The thread polls the queue: the application tells nobody that it put something there. */
#define SQPOLL_PAUSE (50 * NSEC_PER_USEC)

static void sqpoll_pause(struct uring *ring, struct uring_pool *pool)
{
    nsec_t until = deadline_after(SQPOLL_PAUSE);
    (void)wait_on_always(&ring->sq_wait, has_entries(ring) || must_end(ring, pool), until);
}

static void sqpoll_run(void *arg)
{
    struct uring *ring = arg;
    struct uring_pool *pool = ring->sq_pool;
    nsec_t idle_at = clock_monotonic() + ring->sq_idle;

    unsigned long flags = spin_lock_irq(&uring_lock);
    list_push_back(&pool->pollers, &ring->pool_node);
    spin_unlock_irq(&uring_lock, flags);
    while (!must_end(ring, pool)) {
        if (has_entries(ring)) {
            mutex_lock(&ring->submit_lock);
            (void)uring_submit(ring, pool, ring->sq_entries);
            mutex_unlock(&ring->submit_lock);
            wake_all(&ring->sq_room_wait);
            idle_at = clock_monotonic() + ring->sq_idle;
        } else if (clock_monotonic() < idle_at) {
            sqpoll_pause(ring, pool);
        } else {
            sqpoll_sleep(ring, pool);
            idle_at = clock_monotonic() + ring->sq_idle;
        }
    }
    flags = spin_lock_irq(&uring_lock);
    list_remove(&ring->pool_node);
    ring->sq_pool = NULL;
    spin_unlock_irq(&uring_lock, flags);
    __atomic_fetch_or(&ring->shared->sq_flags, ABI_URING_SQ_NEED_WAKEUP, __ATOMIC_SEQ_CST);
    wake_all(&ring->sq_room_wait);
    uring_put(ring);
}

int uring_start_sqpoll(struct uring *ring)
{
    int err = uring_pool_get(&ring->sq_pool);

    if (err)
        return err;
    uring_get(ring);
    err = uring_pool_thread(ring->sq_pool, "iou-sqp", sqpoll_run, ring, true);
    if (err)
        uring_put(ring);
    return err;
}
