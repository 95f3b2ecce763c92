// SPDX-License-Identifier: MIT
#pragma once
/*
 * The rules of locks, checked in debug builds: rank order, recursion, release by the owner, no sleep
 * under a spinlock.  Each violation is our bug and panics.  Only the lock implementations call this.
 */
#include "kernel/spinlock.h"

#ifdef STOUT_DEBUG
void lockcheck_spin(const struct spinlock *lock, bool is_try);
void lockcheck_spin_unlock(const struct spinlock *lock);
/* A lock that sleeps, before it is taken; a try_lock after it succeeded. */
void lockcheck_sleeping(const void *lock, unsigned rank, bool is_try);
void lockcheck_sleeping_unlock(const void *lock);
void lockcheck_may_sleep(void);
#else
static inline void lockcheck_spin(const struct spinlock *lock, bool is_try)
{
    (void)lock, (void)is_try;
}

static inline void lockcheck_spin_unlock(const struct spinlock *lock)
{
    (void)lock;
}

static inline void lockcheck_sleeping(const void *lock, unsigned rank, bool is_try)
{
    (void)lock, (void)rank, (void)is_try;
}

static inline void lockcheck_sleeping_unlock(const void *lock)
{
    (void)lock;
}

static inline void lockcheck_may_sleep(void)
{
}
#endif
