// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between kernel/futex.c, futex_pi.c and futex_exit.c only.
 */
#include "kernel/futex.h"
#include "kernel/spinlock.h"
#include "lib/list.h"

struct pagecache;

/* What a futex word is: a place in an address space, or in shared memory. */
struct futex_key {
    const void *object; /* the vmspace or the page cache; compared, not followed */
    uint64_t offset;
    struct pagecache *cache; /* with a reference; NULL: private */
};

struct futex_bucket {
    struct spinlock lock;  /* RANK_FUTEX */
    bool is_ready;         /* [a] the lists are made */
    uint32_t generation;   /* [a] every change of the lists and every wake-up counts it up */
    struct list waiters;   /* struct futex_waiter, real time first, then by age */
    struct list pi_states; /* struct futex_pi */
} __aligned(64);

/* On the sleeper's stack.  [b] bucket->lock */
struct futex_waiter {
    struct list node;            /* [b] */
    struct futex_bucket *bucket; /* [a] changes only with both buckets locked */
    struct futex_key key;        /* [b] */
    struct thread *thread;
    uint32_t bitset;
    int priority;
    bool is_queued;                 /* [b] written under it; false: woken */
    bool is_requeued;               /* [b] FUTEX_CMP_REQUEUE_PI chose it */
    const struct futex_key *pi_key; /* FUTEX_WAIT_REQUEUE_PI: where to; else NULL */
};

/* -EINVAL: not aligned; -EFAULT. */
int futex_key_get(uintptr_t address, unsigned flags, struct futex_key *key) __must_check;
void futex_key_put(struct futex_key *key);
struct futex_bucket *futex_bucket_of(const struct futex_key *key);

static inline bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->object == b->object && a->offset == b->offset;
}

static inline uint32_t bucket_generation(const struct futex_bucket *bucket)
{
    return __atomic_load_n(&bucket->generation, __ATOMIC_SEQ_CST);
}

static inline void bucket_changed(struct futex_bucket *bucket)
{
    __atomic_fetch_add(&bucket->generation, 1, __ATOMIC_SEQ_CST);
}

void bucket_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void bucket_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* Locks both, which may be the same, and counts the change, if the word at address is expected; NULL: whatever it is.
 * The word's bucket is from: who changes it and wakes comes before both, the look and the lock, or after.
 * -EAGAIN, -EFAULT. */
int bucket_lock_if(struct futex_bucket *from, struct futex_bucket *to, uintptr_t address,
                   const uint32_t *expected) __must_check;

void futex_waiter_init(struct futex_waiter *waiter, uint32_t bitset);
/* Queues the waiter, whose key is set, if the word is expected.  -EAGAIN, -EFAULT. */
int futex_waiter_queue(struct futex_waiter *waiter, uintptr_t address,
                       uint32_t expected) __must_check;
/* True if it was still queued, so nobody woke it. */
bool futex_waiter_unqueue(struct futex_waiter *waiter);
/* Takes it off its bucket, which is locked, and wakes its thread. */
void futex_waiter_wake(struct futex_waiter *waiter);

/* sleep_until() by the clock that flags name. */
int futex_sleep(bool (*is_over)(void *arg), void *arg, unsigned flags, nsec_t deadline);

/* The PI locks that the running thread owns go to their waiters; it can own none from now on. */
void futex_pi_exit(struct thread *thread);
