// SPDX-License-Identifier: MIT
/*
 * Test-and-test-and-set locks.  Waiters read until the lock looks free, so that the line is
 * not torn between caches; there is no queue, for the critical sections are short and CPUs few.
 *
 * They pause seldom: for a pause an emulator leaves its loop and takes a lock of its own, which the holder of ours
 * needs to get anything from a device.
 */
#include "kernel/spinlock.h"

#include "kernel/lockcheck.h"
#include "kernel/percpu.h"

#define LOOKS 32 /* between two pauses */

static bool take(struct spinlock *lock)
{
    if (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
        return false;
#ifdef SPINLOCK_HAS_OWNER
    __atomic_store_n(&lock->cpu, (uint16_t)(cpu_current() + 1), __ATOMIC_RELAXED);
#endif
    return true;
}

#ifdef SPINLOCK_HAS_OWNER
void spin_lock(struct spinlock *lock)
{
    lockcheck_spin(lock, false);
    spin_wait(lock);
}

void spin_unlock(struct spinlock *lock)
{
    lockcheck_spin_unlock(lock);
    __atomic_store_n(&lock->cpu, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}
#endif

void spin_wait(struct spinlock *lock)
{
    unsigned nlooks = 0;

    while (unlikely(!take(lock)))
        while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
            if (++nlooks % LOOKS == 0)
                arch_pause();
}

bool spin_try_lock(struct spinlock *lock)
{
    if (__atomic_load_n(&lock->held, __ATOMIC_RELAXED) || !take(lock))
        return false;
    lockcheck_spin(lock, true);
    return true;
}

bool spin_is_held(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->cpu, __ATOMIC_RELAXED) == cpu_current() + 1;
}
