// SPDX-License-Identifier: MIT
/*
 * Reader-writer locks.
 *
 * All state is under the spinlock.  A release hands the lock over: to the writer that waits longest, or
 * to all waiting readers if no writer waits.  New readers queue behind waiting writers, so a stream of
 * readers cannot starve a writer.  A waiter that is_granted holds the lock already when it wakes.
 *
 * Waiters are woken after the spinlock is released: to interrupt another CPU can take long, in a virtual
 * machine above all, and everyone who only wants to look at the lock would spin for that time.  A waiter may go
 * away as soon as is_granted is set, its thread not before the waker's reference.
 *
 * Before it queues a thread looks at the lock for a moment: most are held for less than a sleep costs.
 *
 * The spinlock has the lock's own address, so the lock checker is given that of rank.
 */
#include "kernel/rwlock.h"

#include "kernel/lockcheck.h"
#include "kernel/panic.h"
#include "kernel/thread.h"

/* Looks before sleeping, when another CPU may be about to release the lock. */
#define SPIN_LOOKS 256

struct rwlock_waiter {
    struct list node;
    struct thread *thread;
    bool is_writer;
    bool is_granted; /* [a] the node is in no list that others look at */
};

void rwlock_init(struct rwlock *lock, enum lock_rank rank)
{
    *lock = (struct rwlock){ .lock = SPINLOCK_INIT(RANK_WAIT), .rank = (uint16_t)rank };
    list_init(&lock->waiters);
}

/* The waiter gets the lock, and goes to granted for granted_wake(). */
static void grant(struct rwlock *lock, struct rwlock_waiter *waiter, struct list *granted)
{
    list_remove(&waiter->node);
    list_push_back(granted, &waiter->node);
    if (waiter->is_writer) {
        WRITE_ONCE(lock->writer, waiter->thread);
        WRITE_ONCE(lock->nwaiting_writers, lock->nwaiting_writers - 1);
    } else {
        WRITE_ONCE(lock->nreaders, lock->nreaders + 1);
    }
}

/* Without lock->lock. */
static void granted_wake(struct list *granted)
{
    struct rwlock_waiter *waiter, *following;

    list_for_each_safe (waiter, following, granted, node) {
        struct thread *thread = thread_get(waiter->thread);
        __atomic_store_n(&waiter->is_granted, true, __ATOMIC_SEQ_CST);
        thread_wake(thread);
        thread_put(thread);
    }
}

/* Gives a lock that has become free, or is held by readers, to whoever may have it. */
static void grant_next(struct rwlock *lock, struct list *granted)
{
    struct rwlock_waiter *waiter, *following;

    if (lock->writer)
        return;
    if (lock->nwaiting_writers == 0) {
        list_for_each_safe (waiter, following, &lock->waiters, node)
            grant(lock, waiter, granted);
        return;
    }
    if (lock->nreaders > 0)
        return;
    list_for_each (waiter, &lock->waiters, node) {
        if (waiter->is_writer) {
            grant(lock, waiter, granted);
            return;
        }
    }
}

/* With lock->lock held and flags of it; returns with it released. */
static void wait_for_grant(struct rwlock *lock, bool is_writer, unsigned long flags)
{
    struct rwlock_waiter waiter = { .thread = thread_current(), .is_writer = is_writer };

    list_push_back(&lock->waiters, &waiter.node);
    if (is_writer)
        WRITE_ONCE(lock->nwaiting_writers, lock->nwaiting_writers + 1);
    spin_unlock_irq(&lock->lock, flags);
    for (;;) {
        sched_prepare_sleep();
        if (__atomic_load_n(&waiter.is_granted, __ATOMIC_SEQ_CST))
            break;
        sched_sleep(DEADLINE_NONE);
    }
    sched_cancel_sleep();
}

/* Whether the lock could be had now: a guess without lock->lock, or the truth with it. */
static bool is_free(const struct rwlock *lock, bool for_writer)
{
    if (READ_ONCE(lock->writer))
        return false;
    return (for_writer ? READ_ONCE(lock->nreaders) : READ_ONCE(lock->nwaiting_writers)) == 0;
}

/* Returns flags of lock->lock, which it takes, when the lock looks free or a moment has passed. */
static unsigned long spin_for(struct rwlock *lock, bool for_writer)
{
    if (arch_cpu_count() > 1)
        for (int i = 0; i < SPIN_LOOKS && !is_free(lock, for_writer); i++)
            arch_pause();
    return spin_lock_irq(&lock->lock);
}

void read_lock(struct rwlock *lock)
{
    lockcheck_sleeping(&lock->rank, lock->rank, false);
    unsigned long flags = spin_for(lock, false);
    if (!is_free(lock, false)) {
        wait_for_grant(lock, false, flags);
        return;
    }
    WRITE_ONCE(lock->nreaders, lock->nreaders + 1);
    spin_unlock_irq(&lock->lock, flags);
}

void read_unlock(struct rwlock *lock)
{
    lockcheck_sleeping_unlock(&lock->rank);
    struct list granted = LIST_INIT(granted);
    unsigned long flags = spin_lock_irq(&lock->lock);
    assert(lock->nreaders > 0);
    WRITE_ONCE(lock->nreaders, lock->nreaders - 1);
    if (lock->nreaders == 0)
        grant_next(lock, &granted);
    spin_unlock_irq(&lock->lock, flags);
    granted_wake(&granted);
}

void write_lock(struct rwlock *lock)
{
    lockcheck_sleeping(&lock->rank, lock->rank, false);
    unsigned long flags = spin_for(lock, true);
    if (!is_free(lock, true)) {
        wait_for_grant(lock, true, flags);
        return;
    }
    WRITE_ONCE(lock->writer, thread_current());
    spin_unlock_irq(&lock->lock, flags);
}

void write_unlock(struct rwlock *lock)
{
    lockcheck_sleeping_unlock(&lock->rank);
    struct list granted = LIST_INIT(granted);
    unsigned long flags = spin_lock_irq(&lock->lock);
    assert(lock->writer == thread_current());
    WRITE_ONCE(lock->writer, NULL);
    grant_next(lock, &granted);
    spin_unlock_irq(&lock->lock, flags);
    granted_wake(&granted);
}

void write_downgrade(struct rwlock *lock)
{
    struct list granted = LIST_INIT(granted);
    unsigned long flags = spin_lock_irq(&lock->lock);
    assert(lock->writer == thread_current());
    WRITE_ONCE(lock->writer, NULL);
    WRITE_ONCE(lock->nreaders, lock->nreaders + 1);
    grant_next(lock, &granted);
    spin_unlock_irq(&lock->lock, flags);
    granted_wake(&granted);
}

bool rwlock_is_written(const struct rwlock *lock)
{
    return __atomic_load_n(&lock->writer, __ATOMIC_RELAXED) == thread_current();
}
