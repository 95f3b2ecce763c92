// SPDX-License-Identifier: MIT
/*
 * Futexes.
 *
 * Waiters are in a hash table by the key of their word.  FUTEX_WAIT must compare the word and queue itself
 * as one step as seen by the other operations; but reading the word may fault and sleep, and a
 * bucket's lock is a spinlock.  So each bucket has a generation that every wake-up, even one that finds nobody, and
 * every queueing counts up:
 *
 *     read the generation; read the word; lock; if the generation is the same, queue
 *
 * A waker changes the word first and then calls us.  If it counted before our check, we read the word again; if it
 * comes later, it finds us queued.  What compares a word before it requeues does the same.
 *
 * A waiter stands on its thread's stack.  It is taken off its list under the bucket's lock, and takes that lock before
 * it returns, so whoever looks at it never outlives it.  FUTEX_WAKE wakes its thread only when it has given the lock
 * back: on another CPU the thread would else wait for the lock at once, for as long as an interrupt takes to be sent.
 */
#include "kernel/futex.h"

#include "abi/errno.h"
#include "abi/futex.h"
#include "kernel/futex_internal.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/sleep.h"
#include "kernel/usercopy.h"
#include "lib/hash.h"

#define NBUCKETS       256
#define WAKE_LATER_MAX 16

static struct futex_bucket buckets[NBUCKETS] = {
    [0 ... NBUCKETS - 1] = { .lock = SPINLOCK_INIT(RANK_FUTEX) },
};

/* ---- Keys and buckets ------------------------------------------------------------ */

int futex_key_get(uintptr_t address, unsigned flags, struct futex_key *key)
{
    struct vmspace *vm = thread_current()->vmspace;
    uint64_t index;

    if (address % sizeof(uint32_t) != 0)
        return -EINVAL;
    if (!app_range_ok((const void __app *)address, sizeof(uint32_t)))
        return -EFAULT;
    *key = (struct futex_key){ .object = vm, .offset = address };
    if (!(flags & FUTEX_SHARED))
        return 0;
    int err = vmspace_shared_key(vm, address, &key->cache, &index);
    if (err || !key->cache)
        return err;
    key->object = key->cache;
    key->offset = index * PAGE_SIZE + address % PAGE_SIZE;
    return 0;
}

void futex_key_put(struct futex_key *key)
{
    if (key->cache)
        pagecache_put(key->cache);
}

/* Empty lists are made at first use, which is always here. */
struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
    struct futex_bucket *bucket =
        &buckets[hash_pair((uintptr_t)key->object, key->offset) % NBUCKETS];

    if (unlikely(!__atomic_load_n(&bucket->is_ready, __ATOMIC_ACQUIRE))) {
        spin_lock(&bucket->lock);
        if (!bucket->is_ready) {
            list_init(&bucket->waiters);
            list_init(&bucket->pi_states);
            __atomic_store_n(&bucket->is_ready, true, __ATOMIC_RELEASE);
        }
        spin_unlock(&bucket->lock);
    }
    return bucket;
}

void bucket_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b)
        spin_lock(a < b ? &b->lock : &a->lock);
}

void bucket_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

int bucket_lock_if(struct futex_bucket *from, struct futex_bucket *to, uintptr_t address,
                   const uint32_t *expected)
{
    for (;;) {
        uint32_t generation = bucket_generation(from), value;
        if (expected) {
            int err = load_app32(&value, (const uint32_t __app *)address);
            if (err)
                return err;
            if (value != *expected)
                return -EAGAIN;
        }
        bucket_lock_two(from, to);
        if (!expected || bucket_generation(from) == generation)
            break;
        bucket_unlock_two(from, to);
    }
    bucket_changed(from);
    if (from != to)
        bucket_changed(to);
    return 0;
}

/* ---- Waiters ------------------------------------------------------------------- */

void futex_waiter_init(struct futex_waiter *waiter, uint32_t bitset)
{
    *waiter = (struct futex_waiter){ .thread = thread_current(), .bitset = bitset };
    /* Real-time threads are woken in the order of their priority, all others in turn. */
    waiter->priority = MIN(sched_priority(waiter->thread), 100);
}

static void bucket_insert(struct futex_bucket *bucket, struct futex_waiter *waiter)
{
    struct list *after = bucket->waiters.prev;

    while (after != &bucket->waiters &&
           list_entry(after, struct futex_waiter, node)->priority > waiter->priority)
        after = after->prev;
    list_insert_after(after, &waiter->node);
    __atomic_store_n(&waiter->bucket, bucket, __ATOMIC_RELEASE);
}

int futex_waiter_queue(struct futex_waiter *waiter, uintptr_t address, uint32_t expected)
{
    struct futex_bucket *bucket = futex_bucket_of(&waiter->key);
    int err = bucket_lock_if(bucket, bucket, address, &expected);

    if (err)
        return err;
    bucket_insert(bucket, waiter);
    waiter->is_queued = true;
    spin_unlock(&bucket->lock);
    return 0;
}

bool futex_waiter_unqueue(struct futex_waiter *waiter)
{
    for (;;) {
        struct futex_bucket *bucket = __atomic_load_n(&waiter->bucket, __ATOMIC_ACQUIRE);
        spin_lock(&bucket->lock);
        if (bucket == READ_ONCE(waiter->bucket)) {
            bool was_queued = waiter->is_queued;
            if (was_queued)
                list_remove(&waiter->node);
            waiter->is_queued = false;
            spin_unlock(&bucket->lock);
            return was_queued;
        }
        spin_unlock(&bucket->lock);
    }
}

void futex_waiter_wake(struct futex_waiter *waiter)
{
    list_remove(&waiter->node);
    __atomic_store_n(&waiter->is_queued, false, __ATOMIC_SEQ_CST);
    thread_wake(waiter->thread);
}

int futex_sleep(bool (*is_over)(void *arg), void *arg, unsigned flags, nsec_t deadline)
{
    return sleep_until(is_over, arg, flags & FUTEX_REALTIME, deadline);
}

/* Threads to be woken without the lock, with references. */
struct wake_list {
    struct thread *thread[WAKE_LATER_MAX];
    unsigned n;
};

/* Bucket locked; afterwards the waiter is not ours to look at.  What finds no room is woken at once. */
static void waiter_wake_later(struct futex_waiter *waiter, struct wake_list *list)
{
    if (list->n == WAKE_LATER_MAX) {
        futex_waiter_wake(waiter);
        return;
    }
    list->thread[list->n++] = thread_get(waiter->thread);
    list_remove(&waiter->node);
    __atomic_store_n(&waiter->is_queued, false, __ATOMIC_SEQ_CST);
}

static void wake_list_run(struct wake_list *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        thread_wake(list->thread[i]);
        thread_put(list->thread[i]);
    }
}

static bool waiter_is_woken(void *arg)
{
    const struct futex_waiter *waiter = arg;

    return !__atomic_load_n(&waiter->is_queued, __ATOMIC_SEQ_CST);
}

/* ---- Operations ------------------------------------------------------------------- */

long futex_wait(uintptr_t address, unsigned flags, uint32_t expected, nsec_t deadline,
                uint32_t bitset)
{
    struct futex_waiter waiter;

    futex_waiter_init(&waiter, bitset);
    int err = futex_key_get(address, flags, &waiter.key);
    if (err)
        return err;
    err = futex_waiter_queue(&waiter, address, expected);
    if (!err) {
        err = futex_sleep(waiter_is_woken, &waiter, flags, deadline);
        if (!futex_waiter_unqueue(&waiter))
            err = 0; /* woken after all */
    }
    futex_key_put(&waiter.key);
    return err;
}

/* Bucket locked.  -EINVAL: somebody waits there for a PI lock. */
static long bucket_wake(struct futex_bucket *bucket, const struct futex_key *key, int count,
                        uint32_t bitset, struct wake_list *list)
{
    struct futex_waiter *waiter, *following;
    long woken = 0;

    list_for_each_safe (waiter, following, &bucket->waiters, node) {
        if (!futex_key_equal(&waiter->key, key) || !(waiter->bitset & bitset))
            continue;
        if (waiter->pi_key)
            return -EINVAL;
        waiter_wake_later(waiter, list);
        if (++woken >= count)
            break;
    }
    return woken;
}

long futex_wake(uintptr_t address, unsigned flags, int count, uint32_t bitset)
{
    struct futex_key key;
    struct wake_list list;
    int err = futex_key_get(address, flags, &key);
    if (err)
        return err;

    struct futex_bucket *bucket = futex_bucket_of(&key);
    list.n = 0;
    bucket_changed(bucket);
    /* Who queued before the count is in the list by now or finds the count changed. */
    spin_lock(&bucket->lock);
    long woken = bucket_wake(bucket, &key, count, bitset, &list);
    spin_unlock(&bucket->lock);
    wake_list_run(&list);
    futex_key_put(&key);
    return woken;
}

static void waiter_move(struct futex_waiter *waiter, struct futex_bucket *to,
                        const struct futex_key *key)
{
    struct pagecache *old = waiter->key.cache;

    list_remove(&waiter->node);
    waiter->key = *key;
    if (key->cache)
        pagecache_get(key->cache);
    bucket_insert(to, waiter);
    if (old)
        pagecache_put(old); /* never the last reference: the caller's key has one */
}

/* Both buckets locked. */
static long bucket_requeue(struct futex_bucket *from, const struct futex_key *key,
                           struct futex_bucket *to, const struct futex_key *key2, int nwake,
                           int nrequeue)
{
    struct futex_waiter *waiter, *following;
    bool is_same = futex_key_equal(key, key2);
    int woken = 0, moved = 0;

    list_for_each_safe (waiter, following, &from->waiters, node) {
        if (!futex_key_equal(&waiter->key, key))
            continue;
        if (woken >= nwake && moved >= nrequeue)
            break;
        if (waiter->pi_key)
            return -EINVAL;
        if (woken < nwake) {
            futex_waiter_wake(waiter);
            woken++;
        } else {
            if (!is_same)
                waiter_move(waiter, to, key2);
            moved++;
        }
    }
    return (long)woken + moved;
}

static long requeue_keys(uintptr_t address, const struct futex_key *key,
                         const struct futex_key *key2, int nwake, int nrequeue,
                         const uint32_t *expected)
{
    struct futex_bucket *from = futex_bucket_of(key), *to = futex_bucket_of(key2);
    int err = bucket_lock_if(from, to, address, expected);

    if (err)
        return err;
    long result = bucket_requeue(from, key, to, key2, nwake, nrequeue);
    bucket_unlock_two(from, to);
    return result;
}

long futex_requeue(uintptr_t address, uintptr_t address2, unsigned flags, int nwake, int nrequeue,
                   const uint32_t *expected)
{
    struct futex_key key, key2;

    if (nwake < 0 || nrequeue < 0)
        return -EINVAL;
    int err = futex_key_get(address, flags, &key);
    if (err)
        return err;
    long result = futex_key_get(address2, flags, &key2);
    if (!result) {
        result = requeue_keys(address, &key, &key2, nwake, nrequeue, expected);
        futex_key_put(&key2);
    }
    futex_key_put(&key);
    return result;
}

/* ---- FUTEX_WAKE_OP ------------------------------------------------------------------ */

struct wake_operation {
    unsigned operation, comparison;
    int argument, compare_with;
};

static int sign_extend12(uint32_t value)
{
    return (int)((value & 0xfff) ^ 0x800) - 0x800;
}

static struct wake_operation wake_operation_decode(uint32_t code)
{
    struct wake_operation op = {
        .operation = code >> 28 & 7,
        .comparison = code >> 24 & 15,
        .argument = sign_extend12(code >> 12),
        .compare_with = sign_extend12(code),
    };
    if (code >> 28 & ABI_FUTEX_OP_ARG_SHIFT)
        op.argument = (int)(1u << (op.argument & 31));
    return op;
}

static uint32_t wake_operation_apply(const struct wake_operation *op, uint32_t value)
{
    uint32_t argument = (uint32_t)op->argument;

    switch (op->operation) {
    case ABI_FUTEX_OP_SET:
        return argument;
    case ABI_FUTEX_OP_ADD:
        return value + argument;
    case ABI_FUTEX_OP_OR:
        return value | argument;
    case ABI_FUTEX_OP_ANDN:
        return value & ~argument;
    default:
        return value ^ argument;
    }
}

static int wake_operation_compare(const struct wake_operation *op, uint32_t value)
{
    int old = (int)value;

    switch (op->comparison) {
    case ABI_FUTEX_OP_CMP_EQ:
        return old == op->compare_with;
    case ABI_FUTEX_OP_CMP_NE:
        return old != op->compare_with;
    case ABI_FUTEX_OP_CMP_LT:
        return old < op->compare_with;
    case ABI_FUTEX_OP_CMP_LE:
        return old <= op->compare_with;
    case ABI_FUTEX_OP_CMP_GT:
        return old > op->compare_with;
    case ABI_FUTEX_OP_CMP_GE:
        return old >= op->compare_with;
    default:
        return -ENOSYS;
    }
}

/* Changes the word; whether the old value passes the comparison, or -errno. */
static int wake_operation_run(uintptr_t address, uint32_t code)
{
    struct wake_operation op = wake_operation_decode(code);
    uint32_t __app *word = (uint32_t __app *)address;
    uint32_t old, seen;

    if (op.operation > ABI_FUTEX_OP_XOR)
        return -ENOSYS;
    int err = load_app32(&old, word);
    while (!err) {
        err = cmpxchg_app32(word, old, wake_operation_apply(&op, old), &seen);
        if (!err && seen == old)
            return wake_operation_compare(&op, old);
        old = seen;
    }
    return err;
}

long futex_wake_op(uintptr_t address, uintptr_t address2, unsigned flags, int nwake, int nwake2,
                   uint32_t operation)
{
    struct futex_key key, key2;
    struct wake_list list;
    int err = futex_key_get(address, flags, &key);
    if (err)
        return err;
    long result = futex_key_get(address2, flags, &key2);
    if (result)
        goto put_key;
    int passes = wake_operation_run(address2, operation);
    result = passes;
    if (passes < 0)
        goto put_key2;

    struct futex_bucket *bucket = futex_bucket_of(&key), *bucket2 = futex_bucket_of(&key2);
    list.n = 0;
    bucket_changed(bucket);
    bucket_changed(bucket2);
    bucket_lock_two(bucket, bucket2);
    result = bucket_wake(bucket, &key, nwake, FUTEX_BITSET_ANY, &list);
    if (passes && result >= 0) {
        long more = bucket_wake(bucket2, &key2, nwake2, FUTEX_BITSET_ANY, &list);
        result = more < 0 ? more : result + more;
    }
    bucket_unlock_two(bucket, bucket2);
    wake_list_run(&list);
put_key2:
    futex_key_put(&key2);
put_key:
    futex_key_put(&key);
    return result;
}

/* ---- futex_waitv -------------------------------------------------------------------- */

struct waiter_array {
    struct futex_waiter *waiter;
    unsigned n; /* queued ones */
};

static bool any_is_woken(void *arg)
{
    struct waiter_array *array = arg;

    for (unsigned i = 0; i < array->n; i++)
        if (waiter_is_woken(&array->waiter[i]))
            return true;
    return false;
}

/* The index of the first one that was woken, or -1. */
static long array_unqueue(struct waiter_array *array)
{
    long woken = -1;

    for (unsigned i = 0; i < array->n; i++) {
        if (!futex_waiter_unqueue(&array->waiter[i]) && woken < 0)
            woken = i;
        futex_key_put(&array->waiter[i].key);
    }
    return woken;
}

static int array_queue(struct waiter_array *array, const struct futex_wait_entry *entries,
                       unsigned n)
{
    for (; array->n < n; array->n++) {
        const struct futex_wait_entry *entry = &entries[array->n];
        struct futex_waiter *waiter = &array->waiter[array->n];
        futex_waiter_init(waiter, FUTEX_BITSET_ANY);
        int err = futex_key_get(entry->address, entry->flags, &waiter->key);
        if (err)
            return err;
        err = futex_waiter_queue(waiter, entry->address, entry->expected);
        if (err) {
            futex_key_put(&waiter->key);
            return err;
        }
    }
    return 0;
}

long futex_wait_any(const struct futex_wait_entry *entries, unsigned n, unsigned flags,
                    nsec_t deadline)
{
    struct waiter_array array = { .waiter = kcalloc(n, sizeof(struct futex_waiter), ALLOC_WAIT) };
    if (!array.waiter)
        return -ENOMEM;
    int err = array_queue(&array, entries, n);
    if (!err)
        err = futex_sleep(any_is_woken, &array, flags, deadline);
    long woken = array_unqueue(&array);
    kfree(array.waiter);
    return woken >= 0 ? woken : err;
}
