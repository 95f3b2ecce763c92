// SPDX-License-Identifier: MIT
#pragma once
/*
 * Mutexes sleep: threads only, interrupts on, no spinlock held.  The sleep is not
 * interruptible.  The holder may sleep, allocate and touch application memory as its
 * rank allows (application memory can fault and take RANK_VMSPACE).
 */
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "lib/list.h"

struct thread;

struct mutex {
    struct thread *owner; /* [a] NULL: free */
    struct spinlock lock; /* guards waiters */
    struct list waiters;
    uint16_t rank;
};

void mutex_init(struct mutex *mutex, enum lock_rank rank);
#define MUTEX_INIT(name, rank_)                                                                    \
    {                                                                                              \
        .lock = SPINLOCK_INIT(RANK_WAIT), .waiters = LIST_INIT((name).waiters), .rank = (rank_)    \
    }

void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex) __must_check;
void mutex_unlock(struct mutex *mutex);
bool mutex_is_held(const struct mutex *mutex); /* by the running thread */

/* assert_held(&lock) opens every function that needs a lock held. */
#define assert_held(lock)                                                                          \
    debug_assert(_Generic((lock), struct spinlock *: spin_is_held, const struct spinlock *: \
                          spin_is_held, struct mutex *: mutex_is_held,          \
                          const struct mutex *: mutex_is_held)(lock))
