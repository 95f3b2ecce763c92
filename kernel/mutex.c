// SPDX-License-Identifier: MIT
/*
 * Mutexes.
 *
 * The owner field is the whole lock while nobody waits: one compare-and-exchange takes it, one gives
 * it back.  Its lowest bit says that somebody waits, which sends the owner's unlock to the slow path.
 *
 * A running thread may take a lock that was just released before the waiter that was woken for it
 * gets there: that keeps a busy lock from costing a context switch for each owner.  A waiter that lost
 * once so is given the lock directly the next time, so nobody starves.
 */
#include "kernel/mutex.h"

#include "kernel/lockcheck.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

#define HAS_WAITERS 1UL
/* Looks before sleeping, when another CPU may be about to release the lock. */
#define SPIN_LOOKS  64

/* [l] mutex->lock */
struct mutex_waiter {
    struct list node; /* [l] */
    struct thread *thread;
    bool has_lost; /* [l] */
    bool is_owner; /* [a] the lock was handed over; the node is out of the list */
};

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
    mutex->owner = NULL;
    spin_init(&mutex->lock, RANK_WAIT);
    list_init(&mutex->waiters);
    mutex->rank = (uint16_t)rank;
}

static uintptr_t owner_word(const struct mutex *mutex)
{
    return (uintptr_t)__atomic_load_n(&mutex->owner, __ATOMIC_RELAXED);
}

static void owner_set(struct mutex *mutex, struct thread *owner)
{
    uintptr_t word = (uintptr_t)owner | (list_is_empty(&mutex->waiters) ? 0 : HAS_WAITERS);

    __atomic_store_n(&mutex->owner, (struct thread *)word, __ATOMIC_RELEASE);
}

static bool take_free(struct mutex *mutex, struct thread *self)
{
    struct thread *expected = NULL;

    return __atomic_compare_exchange_n(&mutex->owner, &expected, self, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static bool take_soon(struct mutex *mutex, struct thread *self)
{
    if (arch_cpu_count() < 2)
        return false;
    for (int i = 0; i < SPIN_LOOKS; i++) {
        if (owner_word(mutex) == 0 && take_free(mutex, self))
            return true;
        if (owner_word(mutex) & HAS_WAITERS)
            return false;
        arch_pause();
    }
    return false;
}

/* With mutex->lock held: takes the lock if it is free; else the owner's unlock will see the bit. */
static bool take_or_mark(struct mutex *mutex, struct thread *self, uintptr_t waiters)
{
    uintptr_t word = owner_word(mutex);

    for (;;) {
        uintptr_t wanted = word & ~HAS_WAITERS ? word | HAS_WAITERS : (uintptr_t)self | waiters;
        if (__atomic_compare_exchange_n((uintptr_t *)&mutex->owner, &word, wanted, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return (word & ~HAS_WAITERS) == 0;
    }
}

static bool others_wait(const struct mutex *mutex, const struct mutex_waiter *waiter)
{
    return mutex->waiters.next != &waiter->node || mutex->waiters.prev != &waiter->node;
}

/* Woken, or for the first time: true when the lock is ours and the waiter off the list. */
static bool waiter_try(struct mutex *mutex, struct mutex_waiter *waiter)
{
    if (waiter->is_owner)
        return true;
    uintptr_t waiters = others_wait(mutex, waiter) ? HAS_WAITERS : 0;
    if (!take_or_mark(mutex, waiter->thread, waiters))
        return false;
    list_remove(&waiter->node);
    return true;
}

static void sleep_for(struct mutex *mutex, struct thread *self)
{
    struct mutex_waiter waiter = { .thread = self };
    unsigned long flags = spin_lock_irq(&mutex->lock);

    list_push_back(&mutex->waiters, &waiter.node);
    while (!waiter_try(mutex, &waiter)) {
        sched_prepare_sleep();
        spin_unlock_irq(&mutex->lock, flags);
        sched_sleep(DEADLINE_NONE);
        flags = spin_lock_irq(&mutex->lock);
        waiter.has_lost = true;
    }
    spin_unlock_irq(&mutex->lock, flags);
}

static __attribute__((noinline)) void lock_slowly(struct mutex *mutex, struct thread *self)
{
    if (!take_soon(mutex, self))
        sleep_for(mutex, self);
}

void mutex_lock(struct mutex *mutex)
{
    struct thread *self = thread_current();

    lockcheck_sleeping(mutex, mutex->rank, false);
    if (unlikely(!take_free(mutex, self)))
        lock_slowly(mutex, self);
}

bool mutex_try_lock(struct mutex *mutex)
{
    if (!take_free(mutex, thread_current()))
        return false;
    lockcheck_sleeping(mutex, mutex->rank, true);
    return true;
}

/* Wakes without mutex->lock, for which the woken thread would spin while the interrupt is being sent. */
static void unlock_slowly(struct mutex *mutex)
{
    struct thread *thread = NULL;
    unsigned long flags = spin_lock_irq(&mutex->lock);

    if (list_is_empty(&mutex->waiters)) {
        owner_set(mutex, NULL);
    } else {
        struct mutex_waiter *first = list_first(&mutex->waiters, struct mutex_waiter, node);
        thread = first->thread;
        if (first->has_lost) {
            list_remove(&first->node);
            owner_set(mutex, thread);
            first->is_owner = true;
        } else {
            owner_set(mutex, NULL);
        }
        thread_get(thread); /* it may have the lock, and end, before it is woken */
    }
    spin_unlock_irq(&mutex->lock, flags);
    if (thread) {
        thread_wake(thread);
        thread_put(thread);
    }
}

void mutex_unlock(struct mutex *mutex)
{
    struct thread *expected = thread_current();

    lockcheck_sleeping_unlock(mutex);
    debug_assert(mutex_is_held(mutex));
    if (__atomic_compare_exchange_n(&mutex->owner, &expected, NULL, false, __ATOMIC_RELEASE,
                                    __ATOMIC_RELAXED))
        return;
    unlock_slowly(mutex);
}

bool mutex_is_held(const struct mutex *mutex)
{
    return (owner_word(mutex) & ~HAS_WAITERS) == (uintptr_t)thread_current();
}
