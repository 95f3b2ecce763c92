// SPDX-License-Identifier: MIT
#pragma once
/*
 * Spinlocks.  Plain ones are for data that interrupt handlers never touch; the irq
 * forms turn interrupts off as well.  The holder must not sleep or touch application
 * memory.  Kernel code is not preempted, so a holder is never switched away.
 *
 * Debug builds check rank order, recursion, and release by the owner.  In the others taking a
 * free lock is one exchange where it is called.
 */
#include "arch/arch.h"
#include "kernel/lockrank.h"

struct spinlock {
    uint32_t held;
    uint16_t rank;
    uint16_t cpu; /* owner + 1 while held, in debug builds */
};

/* Where nobody checks ranks a free lock is all zeros: arrays of them take no room in the image. */
#if defined(STOUT_DEBUG) || defined(STOUT_HOST)
#define SPINLOCK_HAS_OWNER
#define SPINLOCK_INIT(rank_)                                                                       \
    {                                                                                              \
        .rank = (rank_)                                                                            \
    }
#else
#define SPINLOCK_INIT(rank_)                                                                       \
    {                                                                                              \
        .rank = 0 * (rank_)                                                                        \
    }
#endif

static inline void spin_init(struct spinlock *lock, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK_INIT(rank);
}

void spin_wait(struct spinlock *lock); /* takes it, free or not; for spin_lock() */
#ifdef SPINLOCK_HAS_OWNER
void spin_lock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock);
#else
static inline void spin_lock(struct spinlock *lock)
{
    if (__builtin_expect(__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE), 0))
        spin_wait(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}
#endif
bool spin_try_lock(struct spinlock *lock) __must_check;

/* Interrupts off as well; the result goes to spin_unlock_irq. */
static inline unsigned long spin_lock_irq(struct spinlock *lock)
{
    unsigned long flags = arch_irq_save();
    spin_lock(lock);
    return flags;
}

static inline void spin_unlock_irq(struct spinlock *lock, unsigned long flags)
{
    spin_unlock(lock);
    arch_irq_restore(flags);
}

/* By this CPU; for assertions: only debug builds know. */
bool spin_is_held(const struct spinlock *lock);
