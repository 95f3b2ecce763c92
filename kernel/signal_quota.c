// SPDX-License-Identifier: MIT
/*
 * A count per user, in a small hash table.  A count that has come down to zero stays and is given to the
 * next user who needs one in its bucket, so that nothing has to be freed with interrupts off, and there are never
 * more than users ever had signals queued at a time.
 *
 * Who gives back holds a pointer: the user that it counts for does not change while the count is not zero.
 */
#include "kernel/signal_quota.h"

#include "kernel/mm/heap.h"
#include "kernel/spinlock.h"

#define NBUCKETS 16

struct signal_quota {
    struct signal_quota *next; /* [b] */
    uint32_t uid;              /* [b] */
    unsigned count;            /* [b] */
};

static struct bucket {
    struct spinlock lock; /* [b] */
    struct signal_quota *first;
} buckets[NBUCKETS] = {
    [0 ... NBUCKETS - 1] = { .lock = SPINLOCK_INIT(RANK_SIGNAL_QUOTA) },
};

static struct bucket *bucket_of(uint32_t uid)
{
    return &buckets[uid % NBUCKETS];
}

static struct signal_quota *find(const struct bucket *bucket, uint32_t uid)
{
    for (struct signal_quota *quota = bucket->first; quota; quota = quota->next)
        if (quota->count && quota->uid == uid)
            return quota;
    return NULL;
}

/* With the count 0; NULL: no memory. */
static struct signal_quota *make(struct bucket *bucket, uint32_t uid)
{
    struct signal_quota *quota = bucket->first;

    while (quota && quota->count)
        quota = quota->next;
    if (!quota) {
        quota = kzalloc(sizeof(*quota), ALLOC_ATOMIC);
        if (!quota)
            return NULL;
        quota->next = bucket->first;
        bucket->first = quota;
    }
    quota->uid = uid;
    return quota;
}

struct signal_quota *signal_quota_take(uint32_t uid, uint64_t limit)
{
    struct bucket *bucket = bucket_of(uid);
    unsigned long flags = spin_lock_irq(&bucket->lock);
    struct signal_quota *quota = find(bucket, uid);

    if ((quota ? quota->count : 0) >= limit)
        quota = NULL;
    else if (!quota)
        quota = make(bucket, uid);
    if (quota)
        quota->count++;
    spin_unlock_irq(&bucket->lock, flags);
    return quota;
}

void signal_quota_give(struct signal_quota *quota)
{
    struct bucket *bucket = bucket_of(READ_ONCE(quota->uid));
    unsigned long flags = spin_lock_irq(&bucket->lock);

    quota->count--;
    spin_unlock_irq(&bucket->lock, flags);
}

unsigned signal_quota_count(uint32_t uid)
{
    struct bucket *bucket = bucket_of(uid);
    unsigned long flags = spin_lock_irq(&bucket->lock);
    const struct signal_quota *quota = find(bucket, uid);
    unsigned count = quota ? quota->count : 0;

    spin_unlock_irq(&bucket->lock, flags);
    return count;
}
