// SPDX-License-Identifier: MIT
/*
 * Lock checking of debug builds; kernel/CMakeLists.txt leaves this file out of the others.
 *
 * A CPU remembers the spinlocks it holds, a thread the sleeping locks.  A new lock must rank below
 * (later in the enum than) all of them.  At interrupt level only the locks that the
 * interrupt itself took count: what it interrupted holds no irq lock, and handlers take no other.
 * A try_lock cannot deadlock, so its order is free; but it is remembered.
 */
#include "kernel/lockrank.h"

#include "kernel/lockcheck.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

/* Two of these may be held together; which first is said in lockrank.h or where it is done. */
static bool rank_may_repeat(unsigned rank)
{
    switch (rank) {
    case RANK_EPOLL:
    case RANK_SOCKET:
    case RANK_INODE:
    case RANK_PIPE:
    case RANK_OBJECT:
    case RANK_VMSPACE:
    case RANK_VMSPACE_TABLE:
    case RANK_PAGECACHE:
    case RANK_FDTABLE:
    case RANK_POLL:
    case RANK_EPOLL_READY:
    case RANK_FUTEX:
    case RANK_SIGNAL:
    case RANK_SCHED:
        return true;
    default:
        return false;
    }
}

static void check_order(const void *lock, unsigned rank, const void *held, unsigned held_rank)
{
    if (lock == held)
        panic("lock of rank %u is taken twice", rank);
    if (rank < held_rank || (rank == held_rank && !rank_may_repeat(rank)))
        panic("lock of rank %u is taken under one of rank %u", rank, held_rank);
}

static void check_against_spinlocks(const struct percpu *percpu, const void *lock, unsigned rank)
{
    for (unsigned i = 0; i < percpu->lock_depth; i++) {
        const struct held_spinlock *held = &percpu->held[i];
        if (held->in_interrupt == percpu->in_interrupt)
            check_order(lock, rank, held->lock, held->lock->rank);
    }
}

static void check_against_sleeping(const struct percpu *percpu, const void *lock, unsigned rank)
{
    const struct thread *thread = percpu->current;

    if (percpu->in_interrupt)
        return;
    for (unsigned i = 0; i < thread->nlocks; i++)
        check_order(lock, rank, thread->locks[i], thread->lock_ranks[i]);
}

void lockcheck_spin(const struct spinlock *lock, bool is_try)
{
    unsigned long flags = arch_irq_save();
    struct percpu *percpu = arch_percpu();

    if (!is_try) {
        check_against_spinlocks(percpu, lock, lock->rank);
        check_against_sleeping(percpu, lock, lock->rank);
    }
    if (percpu->lock_depth == HELD_SPINLOCKS_MAX)
        panic("more than %d spinlocks held", HELD_SPINLOCKS_MAX);
    percpu->held[percpu->lock_depth++] =
        (struct held_spinlock){ .lock = lock, .in_interrupt = percpu->in_interrupt };
    arch_irq_restore(flags);
}

void lockcheck_spin_unlock(const struct spinlock *lock)
{
    unsigned long flags = arch_irq_save();
    struct percpu *percpu = arch_percpu();
    unsigned i = percpu->lock_depth;

    while (i > 0 && percpu->held[i - 1].lock != lock)
        i--;
    if (i == 0)
        panic("spinlock of rank %u is released by who does not hold it", lock->rank);
    for (; i < percpu->lock_depth; i++)
        percpu->held[i - 1] = percpu->held[i];
    percpu->lock_depth--;
    arch_irq_restore(flags);
}

void lockcheck_may_sleep(void)
{
    const struct percpu *percpu = arch_percpu();

    if (percpu->in_interrupt)
        panic("sleep at interrupt level");
    if (percpu->lock_depth > 0)
        panic("sleep under a spinlock of rank %u", percpu->held[percpu->lock_depth - 1].lock->rank);
}

void lockcheck_sleeping(const void *lock, unsigned rank, bool is_try)
{
    struct thread *thread = thread_current();

    if (!is_try) {
        lockcheck_may_sleep();
        check_against_sleeping(arch_percpu(), lock, rank);
    }
    if (thread->nlocks == THREAD_LOCKS_MAX)
        panic("%s holds more than %d locks", thread->name, THREAD_LOCKS_MAX);
    thread->locks[thread->nlocks] = lock;
    thread->lock_ranks[thread->nlocks++] = (uint8_t)rank;
}

void lockcheck_sleeping_unlock(const void *lock)
{
    struct thread *thread = thread_current();
    unsigned i = thread->nlocks;

    while (i > 0 && thread->locks[i - 1] != lock)
        i--;
    if (i == 0)
        panic("%s releases a lock that it does not hold", thread->name);
    for (; i < thread->nlocks; i++) {
        thread->locks[i - 1] = thread->locks[i];
        thread->lock_ranks[i - 1] = thread->lock_ranks[i];
    }
    thread->nlocks--;
}
