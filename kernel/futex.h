// SPDX-License-Identifier: MIT
#pragma once
/*
 * Futexes (futex(2)): the operations behind kernel/sys_futex.c.
 *
 * flags: FUTEX_SHARED unless the application said that the word is private to its process, and
 * FUTEX_REALTIME if the deadline is a time of CLOCK_REALTIME.  Deadlines are absolute; a signal gives
 * -EINTR, and the system call decides how it restarts.
 */
#include "kernel/thread.h"
#include "lib/compiler.h"

#define FUTEX_SHARED   1u
#define FUTEX_REALTIME 2u

#define FUTEX_BITSET_ANY 0xffffffffu

/* 0: woken; -EAGAIN: *address is not expected; -ETIMEDOUT, -EINTR, -EFAULT, -EINVAL. */
long futex_wait(uintptr_t address, unsigned flags, uint32_t expected, nsec_t deadline,
                uint32_t bitset);
/* How many were woken; at most count, at least one if somebody waits. */
long futex_wake(uintptr_t address, unsigned flags, int count, uint32_t bitset);
/* Wakes nwake, moves nrequeue to address2; expected NULL: unconditionally.  How many of both. */
long futex_requeue(uintptr_t address, uintptr_t address2, unsigned flags, int nwake, int nrequeue,
                   const uint32_t *expected);
/* FUTEX_WAKE_OP: operation is its val3. */
long futex_wake_op(uintptr_t address, uintptr_t address2, unsigned flags, int nwake, int nwake2,
                   uint32_t operation);

struct futex_wait_entry {
    uintptr_t address;
    uint32_t expected;
    unsigned flags;
};
/* Sleeps until one of n words is woken; its index, or as futex_wait(), or -ENOMEM. */
long futex_wait_any(const struct futex_wait_entry *entries, unsigned n, unsigned flags,
                    nsec_t deadline);

/* Priority-inheriting locks (futex_pi.c). */
long futex_lock_pi(uintptr_t address, unsigned flags, nsec_t deadline, bool try_only);
long futex_unlock_pi(uintptr_t address, unsigned flags);
long futex_wait_requeue_pi(uintptr_t address, unsigned flags, uint32_t expected, nsec_t deadline,
                           uint32_t bitset, uintptr_t address2);
long futex_requeue_pi(uintptr_t address, uintptr_t address2, unsigned flags, int nwake,
                      int nrequeue, const uint32_t *expected);

/* The running thread leaves: walks its robust list, passes on its PI locks, clears clear_child_tid
 * and wakes who waits there.  Its vmspace must still be there. */
void futex_thread_exit(struct thread *thread);
/* The same before execve leaves the old vmspace; the thread goes on. */
void futex_thread_exec(struct thread *thread);
