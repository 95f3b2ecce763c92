// SPDX-License-Identifier: MIT
/*
 * The page cache.
 *
 * A cache owns one reference on each of its frames; every page-table entry that maps one has its own.
 * A frame leaves the cache (truncation, reclaim) only after vmspace_unmap_cache() took it out of
 * all page tables, and a page fault holds cache->lock from the look-up until the entry is made: so a page
 * that was cut off can never come back into a mapping.
 *
 * Copies to and from the application are made without cache->lock, with a reference on the frame: they may
 * fault on a page of this very cache.
 *
 * Frames of caches that can be filled again (ops->fill) are on a global list in the order of their
 * arrival; reclaim goes along it from the oldest and gives frames that were used since it last came by a second
 * chance (the clock algorithm): what was read says so by FRAME_REFERENCED, what is mapped by the accessed flag of its
 * page-table entries.  What the fault of another page mapped beside it has neither until it is used.
 *
 * Locking: cache->lock; reclaim_lock (irq spinlock, RANK_RECLAIM) for the global list.
 */
#include "kernel/mm/pagecache.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/arch.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/usercopy.h"

static struct spinlock reclaim_lock = SPINLOCK_INIT(RANK_RECLAIM);
static struct list reclaimable = LIST_INIT(reclaimable); /* struct frame, oldest first */
static size_t nreclaimable;
static size_t pagecache_shrink(size_t npages);

static bool can_refill(const struct pagecache *cache)
{
    return cache->ops && cache->ops->fill;
}

int pagecache_create(const struct pagecache_ops *ops, void *owner, struct pagecache **out)
{
    static struct shrinker shrinker = { .name = "page cache",
                                        .has_files = true,
                                        .shrink = pagecache_shrink };
    static bool is_registered;
    struct pagecache *cache = kzalloc(sizeof(*cache), ALLOC_WAIT);

    if (!cache)
        return -ENOMEM;
    if (ops && ops->fill && !__atomic_exchange_n(&is_registered, true, __ATOMIC_RELAXED))
        shrinker_register(&shrinker);
    cache->refcount = 1;
    mutex_init(&cache->lock, RANK_PAGECACHE);
    cache->ops = ops;
    cache->owner = owner;
    list_init(&cache->mappings);
    *out = cache;
    return 0;
}

struct pagecache *pagecache_get(struct pagecache *cache)
{
    __atomic_fetch_add(&cache->refcount, 1, __ATOMIC_RELAXED);
    return cache;
}

static void reclaim_list_add(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&reclaim_lock);
    list_push_back(&reclaimable, &frame->node);
    nreclaimable++;
    spin_unlock_irq(&reclaim_lock, irq);
}

static void reclaim_list_remove(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&reclaim_lock);
    list_remove(&frame->node);
    nreclaimable--;
    spin_unlock_irq(&reclaim_lock, irq);
}

/* The frame, already out of the tree and all page tables, is no longer the cache's. */
static void frame_detach(struct pagecache *cache, struct frame *frame)
{
    if (can_refill(cache))
        reclaim_list_remove(frame);
    frame->flags &= ~(FRAME_DIRTY | FRAME_REFERENCED);
    frame_set_kind(frame, FRAME_APP);
    frame->cache = NULL;
    cache->npages--;
    frame_put(frame);
}

static void drop_pages(struct pagecache *cache, uint64_t first, uint64_t end)
{
    struct frame *frame;

    for (uint64_t index = first; (frame = pagetree_next(&cache->pages, &index)) && index < end;) {
        pagetree_remove(&cache->pages, index);
        frame_detach(cache, frame);
    }
}

void pagecache_put(struct pagecache *cache)
{
    if (!cache || __atomic_sub_fetch(&cache->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    debug_assert(list_is_empty(&cache->mappings));
    /* A file system that cares about the result has called pagecache_write_back() itself. */
    if (cache->ops && cache->ops->write_back)
        (void)!pagecache_write_back(cache, 0, UINT64_MAX);
    mutex_lock(&cache->lock);
    drop_pages(cache, 0, UINT64_MAX);
    mutex_unlock(&cache->lock);
    if (cache->ops && cache->ops->release)
        cache->ops->release(cache);
    kfree(cache);
}

/* ---- Pages --------------------------------------------------------------------- */

static int insert_locked(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    int err = pagetree_set(&cache->pages, index, frame);
    if (err)
        return err;
    frame->cache = cache;
    frame->index = index;
    frame_set_kind(frame, can_refill(cache) ? FRAME_CACHE : FRAME_SHMEM);
    cache->npages++;
    if (can_refill(cache))
        reclaim_list_add(frame);
    return 0;
}

int pagecache_insert(struct pagecache *cache, uint64_t index, struct frame *frames, size_t npages)
{
    size_t n = 0;
    int err = 0;

    mutex_lock(&cache->lock);
    for (; n < npages && !err; n++)
        err = pagetree_get(&cache->pages, index + n) ? -EEXIST
                                                     : insert_locked(cache, index + n, &frames[n]);
    mutex_unlock(&cache->lock);
    for (n -= err != 0; n < npages; n++)
        frame_put(&frames[n]);
    return err;
}

struct frame *pagecache_present_locked(struct pagecache *cache, uint64_t index)
{
    assert_held(&cache->lock);
    struct frame *frame = pagetree_get(&cache->pages, index);
    return frame ? frame_get(frame) : NULL;
}

int pagecache_page_locked(struct pagecache *cache, uint64_t index, bool create, struct frame **out)
{
    struct frame *frame = pagecache_present_locked(cache, index);

    *out = frame;
    if (frame) {
        frame->flags |= can_refill(cache) ? FRAME_REFERENCED : 0;
        return 0;
    }
    if (!create && !can_refill(cache))
        return -ENOENT;
    frame = frame_alloc(0, ALLOC_WAIT | ALLOC_ZERO | ALLOC_APP);
    if (!frame)
        return -ENOMEM;
    int err = can_refill(cache) ? cache->ops->fill(cache, index, frame) : 0;
    if (!err)
        err = insert_locked(cache, index, frame);
    if (err) {
        frame_put(frame);
        return err;
    }
    *out = frame_get(frame);
    return 0;
}

void pagecache_offer_locked(struct pagecache *cache, uint64_t index, const void *data, size_t n)
{
    assert_held(&cache->lock);
    if (pagetree_get(&cache->pages, index))
        return;
    struct frame *frame = frame_alloc(0, ALLOC_APP | ALLOC_NORECLAIM);
    if (!frame)
        return;
    memcpy(frame_address(frame), data, n);
    memset((char *)frame_address(frame) + n, 0, PAGE_SIZE - n);
    if (insert_locked(cache, index, frame))
        frame_put(frame);
}

int pagecache_page(struct pagecache *cache, uint64_t index, bool create, struct frame **out)
{
    mutex_lock(&cache->lock);
    int err = pagecache_page_locked(cache, index, create, out);
    mutex_unlock(&cache->lock);
    return err;
}

int pagecache_dirty_locked(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    assert_held(&cache->lock);
    if (!pagecache_tracks_writes(cache))
        return 0;
    int err = cache->ops->make_writable ? cache->ops->make_writable(cache, index, frame) : 0;
    if (!err)
        frame->flags |= FRAME_DIRTY;
    return err;
}

uint64_t pagecache_next_present(struct pagecache *cache, uint64_t index)
{
    mutex_lock(&cache->lock);
    bool found = pagetree_next(&cache->pages, &index) != NULL;
    mutex_unlock(&cache->lock);
    return found ? index : UINT64_MAX;
}

/* ---- Size ------------------------------------------------------------------------ */

/* Zeroes bytes [from, to) of page index if the page is there. */
static void zero_part(struct pagecache *cache, uint64_t index, size_t from, size_t to)
{
    struct frame *frame = pagetree_get(&cache->pages, index);

    if (frame && from < to) {
        memset((char *)frame_address(frame) + from, 0, to - from);
        if (pagecache_tracks_writes(cache))
            frame->flags |= FRAME_DIRTY;
    }
}

void pagecache_set_size(struct pagecache *cache, uint64_t size_bytes)
{
    uint64_t first = (size_bytes >> PAGE_SHIFT) + (size_bytes % PAGE_SIZE != 0);

    mutex_lock(&cache->lock);
    bool is_cut = size_bytes < cache->size_bytes;
    bool is_grown = size_bytes > cache->size_bytes;
    cache->size_bytes = size_bytes;
    if (is_cut)
        vmspace_unmap_cache(cache, first, UINT64_MAX, true);
    if (!is_grown) /* there may be pages behind the old end, which nobody can map */
        drop_pages(cache, first, UINT64_MAX);
    if (is_cut) {
        if (size_bytes % PAGE_SIZE != 0)
            zero_part(cache, size_bytes >> PAGE_SHIFT, size_bytes % PAGE_SIZE, PAGE_SIZE);
        if (cache->ops && cache->ops->cut)
            cache->ops->cut(cache, size_bytes);
    }
    mutex_unlock(&cache->lock);
}

/* The pages of [first, end) hold nothing but zeros from now on, and are never filled again. */
static int zero_pages(struct pagecache *cache, uint64_t first, uint64_t end)
{
    int err = 0;

    for (uint64_t index = first; index < end && !err; index++) {
        struct frame *frame;
        err = pagecache_page_locked(cache, index, true, &frame);
        if (err)
            break;
        err = pagecache_dirty_locked(cache, index, frame);
        if (!err)
            memset(frame_address(frame), 0, PAGE_SIZE);
        frame_put(frame);
    }
    return err;
}

/* All of [first, end) or, if it can be filled again and the file has so much, zeros instead. */
static int punch_pages(struct pagecache *cache, uint64_t first, uint64_t end)
{
    if (can_refill(cache))
        return zero_pages(cache, first,
                          MIN(end, ALIGN_UP(cache->size_bytes, PAGE_SIZE) >> PAGE_SHIFT));
    vmspace_unmap_cache(cache, first, end, false);
    drop_pages(cache, first, end);
    return 0;
}

/* As zero_part(), of a page that may have to be filled first. */
static int punch_part(struct pagecache *cache, uint64_t index, size_t from, size_t to)
{
    struct frame *frame;

    if (from >= to || index << PAGE_SHIFT >= cache->size_bytes)
        return 0;
    int err = pagecache_page_locked(cache, index, false, &frame);
    if (err)
        return err == -ENOENT ? 0 : err;
    err = pagecache_dirty_locked(cache, index, frame);
    if (!err)
        memset((char *)frame_address(frame) + from, 0, to - from);
    frame_put(frame);
    return err;
}

int pagecache_punch(struct pagecache *cache, uint64_t start, uint64_t end)
{
    uint64_t first = (start >> PAGE_SHIFT) + (start % PAGE_SIZE != 0), last = end >> PAGE_SHIFT;

    int err = 0;

    mutex_lock(&cache->lock);
    if (first > last) { /* within one page */
        err = punch_part(cache, last, start % PAGE_SIZE, end % PAGE_SIZE);
    } else {
        if (start % PAGE_SIZE != 0)
            err = punch_part(cache, first - 1, start % PAGE_SIZE, PAGE_SIZE);
        if (!err)
            err = punch_part(cache, last, 0, end % PAGE_SIZE);
        if (!err && first < last)
            err = punch_pages(cache, first, last);
    }
    mutex_unlock(&cache->lock);
    return err;
}

static void invalidate_locked(struct pagecache *cache, uint64_t start, uint64_t end)
{
    uint64_t first = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
    struct frame *frame;

    last += end % PAGE_SIZE != 0;
    vmspace_unmap_cache(cache, first, last, false);
    for (uint64_t i = first; (frame = pagetree_next(&cache->pages, &i)) && i < last; i++) {
        if (frame->flags & FRAME_DIRTY)
            continue;
        pagetree_remove(&cache->pages, i);
        frame_detach(cache, frame);
    }
}

static bool holds_zeros(const struct frame *frame)
{
    const uint64_t *words = frame_address(frame);
    size_t i = 0;

    while (i < PAGE_SIZE / sizeof(*words) && words[i] == 0)
        i++;
    return i == PAGE_SIZE / sizeof(*words);
}

void pagecache_drop_zeros(struct pagecache *cache, uint64_t first, uint64_t end)
{
    struct frame *frame;

    mutex_lock(&cache->lock);
    for (uint64_t i = first; (frame = pagetree_next(&cache->pages, &i)) && i < end; i++) {
        if (READ_ONCE(frame->refcount) != 1 || frame->flags & FRAME_DIRTY || !holds_zeros(frame))
            continue;
        pagetree_remove(&cache->pages, i);
        frame_detach(cache, frame);
    }
    mutex_unlock(&cache->lock);
}

void pagecache_invalidate(struct pagecache *cache, uint64_t start, uint64_t end)
{
    if (READ_ONCE(cache->npages) == 0)
        return;
    mutex_lock(&cache->lock);
    invalidate_locked(cache, start, end);
    mutex_unlock(&cache->lock);
}

void pagecache_written_locked(struct pagecache *cache, uint64_t pos, const void *data, size_t n)
{
    uint64_t end = pos + n;
    struct frame *frame;

    assert_held(&cache->lock);
    cache->size_bytes = MAX(cache->size_bytes, end);
    if (cache->npages == 0)
        return;
    invalidate_locked(cache, pos, end);
    for (uint64_t i = pos >> PAGE_SHIFT; (frame = pagetree_next(&cache->pages, &i)); i++) {
        uint64_t from = MAX(pos, i << PAGE_SHIFT), to = MIN(end, (i + 1) << PAGE_SHIFT);
        if (from >= end)
            break;
        memcpy((char *)frame_address(frame) + from % PAGE_SIZE, (const char *)data + (from - pos),
               to - from);
    }
}

/* ---- Bytes ------------------------------------------------------------------------ */

/* Bytes that could not be copied. */
static size_t copy_out(void *to, const void *from, size_t n, bool is_app)
{
    if (is_app)
        return copy_to_app_partial((void __app *)to, from, n);
    memcpy(to, from, n);
    return 0;
}

static size_t copy_in(void *to, const void *from, size_t n, bool is_app)
{
    if (is_app)
        return copy_from_app_partial(to, (const void __app *)from, n);
    memcpy(to, from, n);
    return 0;
}

static size_t zero_out(void *to, size_t n, bool is_app)
{
    if (is_app)
        return zero_app((void __app *)to, n) ? n : 0;
    memset(to, 0, n);
    return 0;
}

long pagecache_read(struct pagecache *cache, uint64_t pos, void *buf, size_t len, bool is_app)
{
    size_t done = 0, left = 0;

    while (done < len && left == 0) {
        size_t offset = (pos + done) % PAGE_SIZE, n = MIN(len - done, PAGE_SIZE - offset);
        struct frame *frame;
        int err = pagecache_page(cache, (pos + done) >> PAGE_SHIFT, false, &frame);

        if (err && err != -ENOENT)
            return done > 0 ? (long)done : err;
        char *to = (char *)buf + done;
        if (err) {
            left = zero_out(to, n, is_app);
        } else {
            left = copy_out(to, (char *)frame_address(frame) + offset, n, is_app);
            frame_put(frame);
        }
        done += n - left;
        sched_check();
    }
    return done == 0 && left > 0 ? -EFAULT : (long)done;
}

/* The page for a write, marked dirty. */
static int page_for_write(struct pagecache *cache, uint64_t index, struct frame **out)
{
    mutex_lock(&cache->lock);
    int err = pagecache_page_locked(cache, index, true, out);
    if (!err) {
        err = pagecache_dirty_locked(cache, index, *out);
        if (err)
            frame_put(*out);
    }
    mutex_unlock(&cache->lock);
    return err;
}

/* A write-back may have come between the mark and the end of the copy. */
static void mark_written(struct pagecache *cache, struct frame *frame)
{
    if (!pagecache_tracks_writes(cache))
        return;
    mutex_lock(&cache->lock);
    if (frame->cache == cache)
        frame->flags |= FRAME_DIRTY;
    mutex_unlock(&cache->lock);
}

long pagecache_write(struct pagecache *cache, uint64_t pos, const void *buf, size_t len,
                     bool is_app)
{
    size_t done = 0, left = 0;

    while (done < len && left == 0) {
        size_t offset = (pos + done) % PAGE_SIZE, n = MIN(len - done, PAGE_SIZE - offset);
        struct frame *frame;
        int err = page_for_write(cache, (pos + done) >> PAGE_SHIFT, &frame);

        if (err)
            return done > 0 ? (long)done : err;
        left = copy_in((char *)frame_address(frame) + offset, (const char *)buf + done, n, is_app);
        mark_written(cache, frame);
        frame_put(frame);
        done += n - left;
        sched_check();
    }
    return done == 0 && left > 0 ? -EFAULT : (long)done;
}

/* ---- Write-back and reclaim ------------------------------------------------------------ */

static bool must_write_back(const struct pagecache *cache, const struct frame *frame)
{
    return frame->flags & FRAME_DIRTY && !cache->is_retired;
}

static int write_back_page(struct pagecache *cache, struct frame *frame)
{
    uint64_t index = frame->index;

    /* Read-only from here on: a later store faults and marks the page again. */
    frame_get(frame);
    frame->flags &= ~FRAME_DIRTY;
    vmspace_clean_cache(cache, index);
    int err = cache->ops->write_back(cache, index, frame);
    if (err)
        frame->flags |= FRAME_DIRTY;
    frame_put(frame);
    return err;
}

int pagecache_write_back(struct pagecache *cache, uint64_t start, uint64_t end)
{
    uint64_t last = end >> PAGE_SHIFT;
    int result = 0;
    struct frame *frame;

    if (!cache->ops || !cache->ops->write_back)
        return 0;
    mutex_lock(&cache->lock);
    for (uint64_t i = start >> PAGE_SHIFT; (frame = pagetree_next(&cache->pages, &i)); i++) {
        if (i > last || (i == last && end % PAGE_SIZE == 0))
            break;
        if (!must_write_back(cache, frame))
            continue;
        int err = write_back_page(cache, frame);
        result = result ? result : err;
        mutex_unlock(&cache->lock);
        sched_check();
        mutex_lock(&cache->lock);
    }
    mutex_unlock(&cache->lock);
    return result;
}

void pagecache_retire(struct pagecache *cache)
{
    (void)!pagecache_write_back(cache, 0, UINT64_MAX);
    mutex_lock(&cache->lock);
    cache->is_retired = true;
    mutex_unlock(&cache->lock);
}

/* The oldest frame's cache with a reference, or NULL; the frame goes to the end of the list.  Whether it is dirty may
 * have changed since. */
static struct pagecache *reclaim_candidate(uint64_t *index, bool *is_dirty)
{
    struct pagecache *cache = NULL;
    unsigned long irq = spin_lock_irq(&reclaim_lock);

    if (!list_is_empty(&reclaimable)) {
        struct frame *frame = list_first(&reclaimable, struct frame, node);
        list_remove(&frame->node);
        list_push_back(&reclaimable, &frame->node);
        cache = frame->cache;
        *index = frame->index;
        *is_dirty = READ_ONCE(frame->flags) & FRAME_DIRTY;
        /* A cache whose last reference is gone waits in frame_detach() for this lock. */
        unsigned count = __atomic_load_n(&cache->refcount, __ATOMIC_RELAXED);
        while (count > 0 && !__atomic_compare_exchange_n(&cache->refcount, &count, count + 1, true,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        if (count == 0)
            cache = NULL;
    }
    spin_unlock_irq(&reclaim_lock, irq);
    return cache;
}

/* *cpus as in vmspace_test_young_page(). */
static bool has_second_chance(struct pagecache *cache, struct frame *frame, uint64_t *cpus)
{
    bool is_referenced = frame->flags & FRAME_REFERENCED;
    frame->flags &= ~FRAME_REFERENCED;
    return vmspace_test_young_page(cache, frame->index, cpus) || is_referenced;
}

static bool reclaim_page(struct pagecache *cache, uint64_t index, bool is_forced, uint64_t *cpus)
{
    struct frame *frame = pagetree_get(&cache->pages, index);

    if (!frame || frame->flags & FRAME_DIRTY)
        return false;
    if (!is_forced && has_second_chance(cache, frame, cpus))
        return false;
    if (!vmspace_try_unmap_page(cache, index) || READ_ONCE(frame->refcount) != 1)
        return false;
    pagetree_remove(&cache->pages, index);
    frame_detach(cache, frame);
    return true;
}

static bool clean_page(struct pagecache *cache, uint64_t index)
{
    if (!cache->ops->write_back)
        return false;
    mutex_lock(&cache->lock);
    struct frame *frame = pagetree_get(&cache->pages, index);
    bool is_cleaned = frame && must_write_back(cache, frame) && write_back_page(cache, frame) == 0;
    mutex_unlock(&cache->lock);
    return is_cleaned;
}

size_t pagecache_clean(size_t npages)
{
    size_t cleaned = 0;

    for (size_t tries = READ_ONCE(nreclaimable); cleaned < npages && tries > 0; tries--) {
        uint64_t index = 0;
        bool is_dirty = false;
        struct pagecache *cache = reclaim_candidate(&index, &is_dirty);

        if (!cache)
            continue;
        cleaned += is_dirty && clean_page(cache, index);
        pagecache_put(cache);
        sched_check();
    }
    return cleaned;
}

static size_t pagecache_shrink(size_t npages)
{
    /* Twice around, so that each has its second chance; then whatever other processors use meanwhile. */
    size_t freed = 0, round = READ_ONCE(nreclaimable), tries = 3 * round;
    uint64_t cpus = 0;

    while (freed < npages && tries-- > 0) {
        uint64_t index = 0;
        bool is_dirty = false;
        struct pagecache *cache = reclaim_candidate(&index, &is_dirty);

        if (!cache)
            continue;
        /* The allocation may come from under this very lock, but never in the middle of a change of
         * the tree (pagetree_set() does not reclaim), and frames in use there have references. */
        bool is_ours = mutex_is_held(&cache->lock);
        if (is_ours || mutex_try_lock(&cache->lock)) {
            freed += reclaim_page(cache, index, tries < round, &cpus);
            if (!is_ours)
                mutex_unlock(&cache->lock);
        }
        pagecache_put(cache);
    }
    if (cpus)
        arch_tlb_flush(cpus, 0, UINTPTR_MAX);
    return freed;
}
