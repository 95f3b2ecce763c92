// SPDX-License-Identifier: MIT
/*
 * Reader-writer locks.
 *
 * All state is under the spinlock.  A release hands the lock over: to the writer that waits longest, or
 * to all waiting readers if no writer waits.  New readers queue behind waiting writers, so a stream of
 * readers cannot starve a writer.  A waiter that is_granted holds the lock already when it wakes.
 *
 * The spinlock has the lock's own address, so the lock checker is given that of rank.
 */
#include "kernel/rwlock.h"

#include "kernel/lockcheck.h"
#include "kernel/panic.h"
#include "kernel/thread.h"

struct rwlock_waiter {
    struct list node;
    struct thread *thread;
    bool is_writer;
    bool is_granted;
};

void rwlock_init(struct rwlock *lock, enum lock_rank rank)
{
    *lock = (struct rwlock){ .lock = SPINLOCK_INIT(RANK_WAIT), .rank = (uint16_t)rank };
    list_init(&lock->waiters);
}

static void grant(struct rwlock *lock, struct rwlock_waiter *waiter)
{
    list_remove(&waiter->node);
    if (waiter->is_writer) {
        lock->writer = waiter->thread;
        lock->nwaiting_writers--;
    } else {
        lock->nreaders++;
    }
    waiter->is_granted = true;
    thread_wake(waiter->thread); /* it needs lock->lock before it can go away */
}

/* Gives a lock that has become free, or is held by readers, to whoever may have it. */
static void grant_next(struct rwlock *lock)
{
    struct rwlock_waiter *waiter, *following;

    if (lock->writer)
        return;
    if (lock->nwaiting_writers == 0) {
        list_for_each_safe (waiter, following, &lock->waiters, node)
            grant(lock, waiter);
        return;
    }
    if (lock->nreaders > 0)
        return;
    list_for_each (waiter, &lock->waiters, node) {
        if (waiter->is_writer) {
            grant(lock, waiter);
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
        lock->nwaiting_writers++;
    while (!waiter.is_granted) {
        sched_prepare_sleep();
        spin_unlock_irq(&lock->lock, flags);
        sched_sleep(DEADLINE_NONE);
        flags = spin_lock_irq(&lock->lock);
    }
    spin_unlock_irq(&lock->lock, flags);
}

void read_lock(struct rwlock *lock)
{
    lockcheck_sleeping(&lock->rank, lock->rank, false);
    unsigned long flags = spin_lock_irq(&lock->lock);
    if (lock->writer || lock->nwaiting_writers > 0) {
        wait_for_grant(lock, false, flags);
        return;
    }
    lock->nreaders++;
    spin_unlock_irq(&lock->lock, flags);
}

void read_unlock(struct rwlock *lock)
{
    lockcheck_sleeping_unlock(&lock->rank);
    unsigned long flags = spin_lock_irq(&lock->lock);
    assert(lock->nreaders > 0);
    if (--lock->nreaders == 0)
        grant_next(lock);
    spin_unlock_irq(&lock->lock, flags);
}

void write_lock(struct rwlock *lock)
{
    lockcheck_sleeping(&lock->rank, lock->rank, false);
    unsigned long flags = spin_lock_irq(&lock->lock);
    if (lock->writer || lock->nreaders > 0) {
        wait_for_grant(lock, true, flags);
        return;
    }
    lock->writer = thread_current();
    spin_unlock_irq(&lock->lock, flags);
}

void write_unlock(struct rwlock *lock)
{
    lockcheck_sleeping_unlock(&lock->rank);
    unsigned long flags = spin_lock_irq(&lock->lock);
    assert(lock->writer == thread_current());
    lock->writer = NULL;
    grant_next(lock);
    spin_unlock_irq(&lock->lock, flags);
}

void write_downgrade(struct rwlock *lock)
{
    unsigned long flags = spin_lock_irq(&lock->lock);
    assert(lock->writer == thread_current());
    lock->writer = NULL;
    lock->nreaders++;
    grant_next(lock);
    spin_unlock_irq(&lock->lock, flags);
}

bool rwlock_is_written(const struct rwlock *lock)
{
    return __atomic_load_n(&lock->writer, __ATOMIC_RELAXED) == thread_current();
}
