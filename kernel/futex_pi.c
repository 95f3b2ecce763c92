// SPDX-License-Identifier: MIT
/*
 * Priority-inheriting futexes.
 *
 * The word holds the owner's tid, FUTEX_WAITERS when an unlock must come here, and FUTEX_OWNER_DIED.  While
 * threads wait there is a struct futex_pi, linked from its bucket and from its owner, whose priority is raised to
 * that of the most urgent waiter, through chains of owners that wait themselves.
 *
 * A lock is handed over, not thrown open: the unlock picks the most urgent waiter, marks it PI_GRANTING, writes its
 * tid into the word (that may fault, so no lock is held) and then makes it PI_OWNER.  A waiter that is being
 * granted the lock cannot give up.  FUTEX_WAITERS is always set in the new word: somebody may have queued
 * while it was written, and a needless call at unlock is cheap.
 *
 * Word and queue agree by the bucket's generation, as in kernel/futex.c.  An unlock that found no waiter
 * clears the word and then looks again; who queued in between is sent to try anew (PI_RETRY).
 *
 * An owner that dies cannot write the words, which it may not even have mapped: the next waiter is told
 * PI_DIED and does it itself.
 *
 * Locks: bucket->lock, then pi_lock, which covers all futex_pi, thread->pi_held and pi_waits_for.
 */
#include "abi/errno.h"
#include "abi/futex.h"
#include "kernel/futex_internal.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"

#define CHAIN_MAX 1024

enum pi_status { PI_WAITING, PI_GRANTING, PI_OWNER, PI_DIED, PI_RETRY };

struct futex_pi {
    struct list node;       /* bucket->pi_states */
    struct list owner_node; /* owner->pi_held */
    struct futex_bucket *bucket;
    struct futex_key key; /* without a reference: every waiter has one */
    struct thread *owner;
    struct list waiters; /* oldest first */
};

struct pi_waiter {
    struct list node;
    struct thread *thread;
    struct futex_pi *pi;   /* NULL: not in its list any more */
    enum pi_status status; /* [a] written under both locks */
};

static struct spinlock pi_lock = SPINLOCK_INIT(RANK_FUTEX_PI);

/* ---- States: the bucket and pi_lock are held ---------------------------------------- */

static void pi_lock_both(struct futex_bucket *bucket)
{
    spin_lock(&bucket->lock);
    spin_lock(&pi_lock);
}

static void pi_unlock_both(struct futex_bucket *bucket)
{
    spin_unlock(&pi_lock);
    spin_unlock(&bucket->lock);
}

static struct futex_pi *pi_find(struct futex_bucket *bucket, const struct futex_key *key)
{
    struct futex_pi *pi;

    list_for_each (pi, &bucket->pi_states, node)
        if (futex_key_equal(&pi->key, key))
            return pi;
    return NULL;
}

static struct pi_waiter *pi_most_urgent(const struct futex_pi *pi)
{
    struct pi_waiter *waiter, *best = NULL;

    list_for_each (waiter, &pi->waiters, node)
        if (!best || sched_priority(waiter->thread) < sched_priority(best->thread))
            best = waiter;
    return best;
}

static bool pi_is_granting(const struct futex_pi *pi)
{
    struct pi_waiter *waiter;

    list_for_each (waiter, &pi->waiters, node)
        if (waiter->status == PI_GRANTING)
            return true;
    return false;
}

/* Lends thread what its waiters have, and on along the chain of owners. */
static void pi_propagate(struct thread *thread)
{
    for (int i = 0; thread && i < CHAIN_MAX; i++) {
        struct futex_pi *pi;
        int priority = PRIORITY_NONE;
        list_for_each (pi, &thread->pi_held, owner_node)
            priority = MIN(priority, sched_priority(pi_most_urgent(pi)->thread));
        sched_set_inherited(thread, priority);
        thread = thread->pi_waits_for ? thread->pi_waits_for->owner : NULL;
    }
}

static bool pi_chain_leads_to(const struct thread *owner, const struct thread *self)
{
    for (int i = 0; owner && i < CHAIN_MAX; i++) {
        if (owner == self)
            return true;
        owner = owner->pi_waits_for ? owner->pi_waits_for->owner : NULL;
    }
    return owner != NULL; /* too long to tell: refuse */
}

/* Takes the waiter off; a state without waiters is freed.  Afterwards pi may be gone. */
static void pi_remove_waiter(struct pi_waiter *waiter)
{
    struct futex_pi *pi = waiter->pi;

    list_remove(&waiter->node);
    waiter->pi = NULL;
    waiter->thread->pi_waits_for = NULL;
    if (!list_is_empty(&pi->waiters)) {
        pi_propagate(pi->owner);
        return;
    }
    list_remove(&pi->node);
    list_remove(&pi->owner_node);
    pi_propagate(pi->owner);
    kfree(pi);
}

/* The waiter is the new owner. */
static void pi_pass_to(struct pi_waiter *waiter, enum pi_status status)
{
    struct futex_pi *pi = waiter->pi;
    struct thread *old = pi->owner, *thread = waiter->thread;

    list_remove(&pi->owner_node);
    list_push_back(&thread->pi_held, &pi->owner_node);
    pi->owner = thread;
    pi_remove_waiter(waiter);
    pi_propagate(old);
    __atomic_store_n(&waiter->status, status, __ATOMIC_SEQ_CST);
    thread_wake(thread);
}

static void pi_send_away(struct futex_pi *pi)
{
    bool is_last;

    do {
        struct pi_waiter *waiter = list_first(&pi->waiters, struct pi_waiter, node);
        struct thread *thread = waiter->thread;
        is_last = waiter->node.next == &pi->waiters;
        pi_remove_waiter(waiter);
        __atomic_store_n(&waiter->status, PI_RETRY, __ATOMIC_SEQ_CST);
        thread_wake(thread);
    } while (!is_last);
}

/* ---- Lock --------------------------------------------------------------------------- */

struct pi_attempt {
    uint32_t __app *word;
    struct futex_key key;
    struct futex_bucket *bucket;
    struct futex_pi *spare; /* for pi_enqueue(), which cannot sleep */
};

/* 0: changed as wanted; -EAGAIN: it is not old any more; -EFAULT. */
static int word_change(uint32_t __app *word, uint32_t old, uint32_t new)
{
    uint32_t seen;
    int err = cmpxchg_app32(word, old, new, &seen);

    if (!err && seen != old)
        err = -EAGAIN;
    return err;
}

/* Enters the running thread as a waiter for owner.  -EAGAIN: look at the word again. */
static int pi_enqueue(struct pi_attempt *attempt, struct pi_waiter *waiter, struct thread *owner,
                      uint32_t generation)
{
    if (bucket_generation(attempt->bucket) != generation)
        return -EAGAIN;
    if (READ_ONCE(owner->flags) & THREAD_OWNS_NO_PI)
        return -ESRCH;
    if (pi_chain_leads_to(owner, waiter->thread))
        return -EDEADLK;
    struct futex_pi *pi = pi_find(attempt->bucket, &attempt->key);
    if (pi && pi->owner != owner)
        return pi_is_granting(pi) ? -EAGAIN : -EINVAL;
    if (!pi) {
        pi = attempt->spare;
        attempt->spare = NULL;
        *pi = (struct futex_pi){ .bucket = attempt->bucket, .key = attempt->key, .owner = owner };
        list_init(&pi->waiters);
        list_push_back(&attempt->bucket->pi_states, &pi->node);
        list_push_back(&owner->pi_held, &pi->owner_node);
    }
    waiter->pi = pi;
    waiter->status = PI_WAITING;
    list_push_back(&pi->waiters, &waiter->node);
    waiter->thread->pi_waits_for = pi;
    pi_propagate(owner);
    bucket_changed(attempt->bucket);
    return 0;
}

/* The owner named in the word does not exist (any more).  -EAGAIN: the word has changed meanwhile,
 * or the next owner is about to write its own name into it. */
static int owner_is_missing(struct pi_attempt *attempt, uint32_t seen)
{
    uint32_t value;
    int err = load_app32(&value, attempt->word);

    if (err)
        return err;
    if (value != seen)
        return -EAGAIN;
    pi_lock_both(attempt->bucket);
    bool has_waiters = pi_find(attempt->bucket, &attempt->key) != NULL;
    pi_unlock_both(attempt->bucket);
    if (!has_waiters)
        return -ESRCH;
    sched_yield();
    return -EAGAIN;
}

/* One try: 1, the lock is ours; 0, queued; 2, not free and try_only; -EAGAIN, try again; else the error. */
static int lock_attempt(struct pi_attempt *attempt, struct pi_waiter *waiter, bool try_only)
{
    uint32_t generation = bucket_generation(attempt->bucket), value;
    uint32_t tid = (uint32_t)waiter->thread->tid;
    int err = load_app32(&value, attempt->word);

    if (err)
        return err;
    if ((value & ABI_FUTEX_TID_MASK) == tid)
        return -EDEADLK;
    if ((value & ABI_FUTEX_TID_MASK) == 0) {
        err = word_change(attempt->word, value, value | tid);
        return err ? err : 1;
    }
    if (try_only)
        return 2;
    if (!(value & ABI_FUTEX_WAITERS)) {
        err = word_change(attempt->word, value, value | ABI_FUTEX_WAITERS);
        if (err)
            return err;
    }
    struct thread *owner = thread_find((int)(value & ABI_FUTEX_TID_MASK));
    if (!owner)
        return owner_is_missing(attempt, value | ABI_FUTEX_WAITERS);
    pi_lock_both(attempt->bucket);
    err = pi_enqueue(attempt, waiter, owner, generation);
    pi_unlock_both(attempt->bucket);
    thread_put(owner);
    return err == -ESRCH ? owner_is_missing(attempt, value | ABI_FUTEX_WAITERS) : err;
}

static bool waiter_has_result(void *arg)
{
    const struct pi_waiter *waiter = arg;
    enum pi_status status = __atomic_load_n(&waiter->status, __ATOMIC_SEQ_CST);

    return status != PI_WAITING && status != PI_GRANTING;
}

/* After the time was up or a signal came.  True: it was off the queue, or still is being granted. */
static bool waiter_give_up(struct futex_bucket *bucket, struct pi_waiter *waiter)
{
    pi_lock_both(bucket);
    bool has_result = waiter->status != PI_WAITING;
    if (!has_result)
        pi_remove_waiter(waiter);
    pi_unlock_both(bucket);
    return has_result;
}

/* Waits for the unlock that is writing our tid, which takes no longer than a page fault. */
static void waiter_await_result(struct pi_waiter *waiter)
{
    for (;;) {
        sched_prepare_sleep();
        if (waiter_has_result(waiter))
            break;
        sched_sleep(DEADLINE_NONE);
    }
    sched_cancel_sleep();
}

/* The lock is ours, but the word still names the one that died. */
static int take_from_dead(const struct pi_attempt *attempt, const struct thread *self)
{
    uint32_t ours = (uint32_t)self->tid | ABI_FUTEX_WAITERS | ABI_FUTEX_OWNER_DIED;
    uint32_t value, seen;
    int err = load_app32(&value, attempt->word);

    while (!err) {
        err = cmpxchg_app32(attempt->word, value, ours, &seen);
        if (!err && seen == value)
            return 0;
        value = seen;
    }
    return err;
}

/* Queued: until the lock is ours (0), it must be tried anew (-EAGAIN), or an error. */
static int wait_for_lock(struct pi_attempt *attempt, struct pi_waiter *waiter, unsigned flags,
                         nsec_t deadline)
{
    int err = futex_sleep(waiter_has_result, waiter, flags, deadline);

    if (err && !waiter_give_up(attempt->bucket, waiter))
        return err;
    waiter_await_result(waiter);
    pi_lock_both(attempt->bucket); /* whoever set the status is done with the waiter */
    enum pi_status status = waiter->status;
    pi_unlock_both(attempt->bucket);
    switch (status) {
    case PI_OWNER:
        return 0;
    case PI_DIED:
        return take_from_dead(attempt, waiter->thread);
    default:
        return err ? err : -EAGAIN;
    }
}

static long lock_loop(struct pi_attempt *attempt, unsigned flags, nsec_t deadline, bool try_only)
{
    struct pi_waiter waiter = { .thread = thread_current() };

    for (;;) {
        if (!attempt->spare && !try_only)
            attempt->spare = kmalloc(sizeof(*attempt->spare), ALLOC_WAIT);
        if (!attempt->spare && !try_only)
            return -ENOMEM;
        int result = lock_attempt(attempt, &waiter, try_only);
        if (result == 0)
            result = wait_for_lock(attempt, &waiter, flags, deadline);
        if (result == 2)
            return -EWOULDBLOCK;
        if (result != -EAGAIN)
            return MIN(result, 0);
    }
}

long futex_lock_pi(uintptr_t address, unsigned flags, nsec_t deadline, bool try_only)
{
    struct pi_attempt attempt = { .word = (uint32_t __app *)address };
    int err = futex_key_get(address, flags, &attempt.key);
    if (err)
        return err;

    attempt.bucket = futex_bucket_of(&attempt.key);
    long result = lock_loop(&attempt, flags, deadline, try_only);
    kfree(attempt.spare);
    futex_key_put(&attempt.key);
    return result;
}

/* ---- Unlock ------------------------------------------------------------------------- */

/* Nobody waits: the word becomes free. */
static int unlock_free(uint32_t __app *word, uint32_t value, struct futex_bucket *bucket,
                       const struct futex_key *key)
{
    int err = word_change(word, value, 0);
    if (err)
        return err;
    bucket_changed(bucket);
    pi_lock_both(bucket);
    struct futex_pi *pi = pi_find(bucket, key);
    if (pi && pi->owner == thread_current() && !pi_is_granting(pi))
        pi_send_away(pi); /* queued before the word was free */
    pi_unlock_both(bucket);
    return 0;
}

/* Gives the lock to waiter, which is PI_GRANTING. */
static int unlock_grant(uint32_t __app *word, uint32_t value, struct futex_bucket *bucket,
                        struct pi_waiter *waiter)
{
    int err = word_change(word, value, (uint32_t)waiter->thread->tid | ABI_FUTEX_WAITERS);

    pi_lock_both(bucket);
    bucket_changed(bucket);
    if (err) {
        /* It may have wanted to give up: it looks again. */
        __atomic_store_n(&waiter->status, PI_RETRY, __ATOMIC_SEQ_CST);
        struct thread *thread = waiter->thread;
        pi_remove_waiter(waiter);
        thread_wake(thread);
    } else {
        pi_pass_to(waiter, PI_OWNER);
    }
    pi_unlock_both(bucket);
    return err;
}

static int unlock_attempt(uint32_t __app *word, struct futex_bucket *bucket,
                          const struct futex_key *key)
{
    struct thread *self = thread_current();
    struct pi_waiter *waiter = NULL;
    uint32_t value;
    int err = load_app32(&value, word);

    if (err)
        return err;
    if ((value & ABI_FUTEX_TID_MASK) != (uint32_t)self->tid)
        return -EPERM;
    pi_lock_both(bucket);
    struct futex_pi *pi = pi_find(bucket, key);
    if (pi && (pi->owner != self || pi_is_granting(pi))) {
        err = pi->owner != self ? -EINVAL : -EAGAIN;
    } else if (pi) {
        waiter = pi_most_urgent(pi);
        WRITE_ONCE(waiter->status, PI_GRANTING);
        bucket_changed(bucket);
    }
    pi_unlock_both(bucket);
    if (err)
        return err;
    return waiter ? unlock_grant(word, value, bucket, waiter)
                  : unlock_free(word, value, bucket, key);
}

long futex_unlock_pi(uintptr_t address, unsigned flags)
{
    struct futex_key key;
    int err = futex_key_get(address, flags, &key);
    if (err)
        return err;

    struct futex_bucket *bucket = futex_bucket_of(&key);
    while ((err = unlock_attempt((uint32_t __app *)address, bucket, &key)) == -EAGAIN)
        sched_check();
    futex_key_put(&key);
    return err;
}

/* One of the thread's states, if it has one: its next waiter takes over. */
static bool exit_one(struct thread *thread)
{
    spin_lock(&pi_lock);
    __atomic_fetch_or(&thread->flags, THREAD_OWNS_NO_PI, __ATOMIC_SEQ_CST);
    struct futex_pi *pi = list_is_empty(&thread->pi_held)
                              ? NULL
                              : list_first(&thread->pi_held, struct futex_pi, owner_node);
    struct futex_bucket *bucket = pi ? pi->bucket : NULL;
    spin_unlock(&pi_lock);
    if (!pi)
        return false;

    pi_lock_both(bucket);
    struct futex_pi *held;
    list_for_each (held, &thread->pi_held, owner_node) {
        if (held == pi && pi->bucket == bucket) { /* else its waiters have left meanwhile */
            pi_pass_to(pi_most_urgent(pi), PI_DIED);
            bucket_changed(bucket);
            break;
        }
    }
    pi_unlock_both(bucket);
    return true;
}

void futex_pi_exit(struct thread *thread)
{
    while (exit_one(thread))
        ;
}

/* ---- Requeueing to a PI lock -------------------------------------------------------- */

/*
 * FUTEX_CMP_REQUEUE_PI names the threads that go on, and each of them queues for the lock itself.  That is
 * what the operation promises; it does not promise that they sleep through it.
 */

static bool requeue_waiter_is_woken(void *arg)
{
    const struct futex_waiter *waiter = arg;

    return !__atomic_load_n(&waiter->is_queued, __ATOMIC_SEQ_CST);
}

long futex_wait_requeue_pi(uintptr_t address, unsigned flags, uint32_t expected, nsec_t deadline,
                           uint32_t bitset, uintptr_t address2)
{
    struct futex_waiter waiter;
    struct futex_key key2;

    if (address == address2 || bitset == 0)
        return -EINVAL;
    futex_waiter_init(&waiter, bitset);
    int err = futex_key_get(address2, flags, &key2);
    if (err)
        return err;
    err = futex_key_get(address, flags, &waiter.key);
    if (err)
        goto put_key2;
    waiter.pi_key = &key2;
    err = futex_key_equal(&waiter.key, &key2) ? -EINVAL
                                              : futex_waiter_queue(&waiter, address, expected);
    if (err)
        goto put_key;
    err = futex_sleep(requeue_waiter_is_woken, &waiter, flags, deadline);
    if (!futex_waiter_unqueue(&waiter))
        err = waiter.is_requeued ? 0 : -EWOULDBLOCK;
    else if (err == -EINTR)
        err = -ERESTARTNOINTR;
    if (!err) {
        err = (int)futex_lock_pi(address2, flags, deadline, false);
        err = err == -EINTR ? -EWOULDBLOCK : err; /* the word has moved on: no restart */
    }
put_key:
    futex_key_put(&waiter.key);
put_key2:
    futex_key_put(&key2);
    return err;
}

/* Bucket locked. */
static long bucket_requeue_pi(struct futex_bucket *bucket, const struct futex_key *key,
                              const struct futex_key *key2, int count)
{
    struct futex_waiter *waiter, *following;
    long chosen = 0;

    list_for_each_safe (waiter, following, &bucket->waiters, node) {
        if (!futex_key_equal(&waiter->key, key))
            continue;
        if (!waiter->pi_key || !futex_key_equal(waiter->pi_key, key2))
            return chosen ? chosen : -EINVAL;
        if (chosen >= count)
            break;
        waiter->is_requeued = true;
        futex_waiter_wake(waiter);
        chosen++;
    }
    return chosen;
}

static long requeue_pi_keys(uintptr_t address, const struct futex_key *key,
                            const struct futex_key *key2, int count, uint32_t expected)
{
    struct futex_bucket *bucket = futex_bucket_of(key);
    int err = bucket_lock_if(bucket, bucket, address, &expected);

    if (err)
        return err;
    long result = bucket_requeue_pi(bucket, key, key2, count);
    spin_unlock(&bucket->lock);
    return result;
}

long futex_requeue_pi(uintptr_t address, uintptr_t address2, unsigned flags, int nwake,
                      int nrequeue, const uint32_t *expected)
{
    struct futex_key key, key2;

    if (address == address2 || nwake != 1 || nrequeue < 0)
        return -EINVAL;
    int err = futex_key_get(address, flags, &key);
    if (err)
        return err;
    long result = futex_key_get(address2, flags, &key2);
    if (!result) {
        int count = nrequeue == INT32_MAX ? nrequeue : nrequeue + nwake;
        result = futex_key_equal(&key, &key2)
                     ? -EINVAL
                     : requeue_pi_keys(address, &key, &key2, count, *expected);
        futex_key_put(&key2);
    }
    futex_key_put(&key);
    return result;
}
