// SPDX-License-Identifier: MIT
/*
 * Wait queues.  A waiter stands on its own stack, in the queue from wait_begin() to wait_end(); who wakes it
 * holds the queue's lock while it touches it, and wait_end() takes that lock, so it cannot go away in
 * between.  is_woken stays set while the condition of WAIT_LOOP sleeps on a lock of its own: then
 * wait_sleep() returns at once and the condition is looked at again.
 *
 * Mostly nobody waits, and then a wake-up takes no lock.  A waiter counts itself before it looks at the condition, a
 * waker changes the condition before it looks at the count, and both steps are full barriers: one sees the other.
 */
#include "kernel/wait.h"

#include "kernel/signal.h"
#include "kernel/thread.h"

void (*wait_before_sleep)(const bool *is_woken, nsec_t deadline);

void wait_queue_init(struct wait_queue *queue)
{
    spin_init(&queue->lock, RANK_WAIT);
    list_init(&queue->waiters);
    queue->nwaiters = 0;
}

/* Adding nothing: what the caller stored before is visible to who counts itself after. */
static bool has_waiters(struct wait_queue *queue)
{
    return __atomic_fetch_add(&queue->nwaiters, 0, __ATOMIC_SEQ_CST) != 0;
}

/* The queue's lock is held.  False: it was woken before and has not looked yet. */
static bool waiter_wake(struct waiter *waiter)
{
    if (__atomic_exchange_n(&waiter->is_woken, true, __ATOMIC_SEQ_CST))
        return false;
    thread_wake(waiter->thread);
    return true;
}

void wake_all(struct wait_queue *queue)
{
    struct waiter *waiter;

    if (likely(!has_waiters(queue)))
        return;
    unsigned long flags = spin_lock_irq(&queue->lock);
    list_for_each (waiter, &queue->waiters, node)
        waiter_wake(waiter);
    spin_unlock_irq(&queue->lock, flags);
}

void wake_one(struct wait_queue *queue)
{
    struct waiter *waiter;

    if (likely(!has_waiters(queue)))
        return;
    unsigned long flags = spin_lock_irq(&queue->lock);
    list_for_each (waiter, &queue->waiters, node)
        if (waiter_wake(waiter))
            break;
    spin_unlock_irq(&queue->lock, flags);
}

void wait_begin(struct wait_queue *queue, struct waiter *waiter)
{
    waiter->thread = thread_current();
    waiter->is_woken = false;
    unsigned long flags = spin_lock_irq(&queue->lock);
    list_push_back(&queue->waiters, &waiter->node);
    (void)__atomic_fetch_add(&queue->nwaiters, 1, __ATOMIC_SEQ_CST);
    spin_unlock_irq(&queue->lock, flags);
}

static bool is_ended(enum wait_ends ends)
{
    if (ends == WAIT_ALWAYS)
        return false;
    return ends == WAIT_INTERRUPTIBLE ? signal_is_pending() : signal_is_fatal_pending();
}

int wait_sleep(struct waiter *waiter, nsec_t deadline, enum wait_ends ends)
{
    if (ends == WAIT_INTERRUPTIBLE && wait_before_sleep)
        wait_before_sleep(&waiter->is_woken, deadline);
    sched_prepare_sleep();
    if (__atomic_load_n(&waiter->is_woken, __ATOMIC_SEQ_CST)) {
        sched_cancel_sleep();
        return 0;
    }
    /* From here on a signal wakes the thread. */
    if (is_ended(ends)) {
        sched_cancel_sleep();
        return -EINTR;
    }
    int err = sched_sleep(deadline);
    if (err)
        return err;
    return is_ended(ends) ? -EINTR : 0;
}

void wait_end(struct wait_queue *queue, struct waiter *waiter)
{
    unsigned long flags = spin_lock_irq(&queue->lock);
    list_remove(&waiter->node);
    (void)__atomic_fetch_sub(&queue->nwaiters, 1, __ATOMIC_RELAXED);
    spin_unlock_irq(&queue->lock, flags);
}
