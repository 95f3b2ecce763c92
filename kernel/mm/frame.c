// SPDX-License-Identifier: MIT
/*
 * The frame allocator.
 *
 * Blocks of 2^order frames are kept in one free list for each order and merged with their buddies
 * when freed (Knuth, 2.5).  Only a block's first frame is marked (FRAME_FREE, order), so that
 * neither splitting nor merging touches the others.  Single frames go through a cache on each CPU,
 * refilled and drained in batches.  RAM that was never used is not in the lists: frame_section_grow()
 * brings it in, 4 MiB at a time.
 *
 * Reserves: the application's pages leave reserve_app pages to the kernel, and what may
 * sleep leaves reserve_kernel pages to what may not (page tables, interrupt handlers), so that running
 * out shows as a failed page fault and not as a kernel that cannot work.  Who may not sleep cannot reclaim either, so
 * somebody else has to fill the reserve again: see frame_replenish().
 *
 * One thread reclaims at a time.  Who meets another at it waits for its end, which comes soon since shrinkers only try
 * locks, looks again and then reclaims itself: what the other has found may be in its CPU's cache or taken.
 *
 * Locking: frame_lock covers lists, counts and untouched RAM; a CPU's cache is used with interrupts
 * off by that CPU only.  Reference counts are atomic.
 */
#include "kernel/mm/frame.h"

#include <string.h>

#include "kernel/boot_info.h"
#include "kernel/mm/frame_section.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "kernel/wait.h"

#define ORDERS        (FRAME_ORDER_MAX + 1)
#define CACHE_BATCH   16
#define CACHE_MAX     64
#define RECLAIM_TRIES 4
#define RECLAIM_PAGES 32 /* at least, each time */
#define LARGE_FRAMES  (1UL << FRAME_ORDER_LARGE)

struct frame_cache {
    struct list frames;
    unsigned count;
} __aligned(64);

struct spinlock frame_lock = SPINLOCK_INIT(RANK_FRAME);
static struct list free_lists[ORDERS];
static uint64_t free_pages;   /* in free_lists */
static uint64_t handed_pages; /* all that ever were put on them, or adopted */
static uint64_t reserve_app, reserve_kernel;
static bool is_reserve_used; /* [a] an atomic allocation left less than half of reserve_app */
static uint64_t kind_pages[FRAME_KINDS]; /* [a] */
static struct frame_cache caches[CPUS_MAX];
static uint64_t fail_countdown; /* [a] */

paddr_t frame_paddr(const struct frame *frame)
{
    return (paddr_t)frame->pfn << PAGE_SHIFT;
}

void *frame_address(const struct frame *frame)
{
    return arch_direct_map(frame_paddr(frame));
}

/* ---- The buddy ------------------------------------------------------------------ */

static void buddy_free(struct frame *frame, unsigned order)
{
    free_pages += 1UL << order;
    for (; order < FRAME_ORDER_MAX; order++) {
        /* Within the same chunk, whose frames are all initialised. */
        struct frame *buddy = frame + ((int64_t)(frame->pfn ^ (1u << order)) - frame->pfn);
        if (!(buddy->flags & FRAME_FREE) || buddy->order != order)
            break;
        list_remove(&buddy->node);
        buddy->flags = 0;
        if (buddy < frame)
            frame = buddy;
    }
    frame->flags = FRAME_FREE;
    frame->order = order;
    list_push_front(&free_lists[order], &frame->node);
}

void buddy_add_range(struct frame *first, size_t npages)
{
    assert_held(&frame_lock);
    handed_pages += npages;
    for (size_t i = 0; i < npages; i++)
        first[i].flags = 0;
    while (npages > 0) {
        unsigned order = 0;
        while (order < FRAME_ORDER_MAX && !(first->pfn & (1u << order)) && 2UL << order <= npages)
            order++;
        buddy_free(first, order);
        first += 1UL << order;
        npages -= 1UL << order;
    }
}

static uint64_t reserve_for(unsigned flags)
{
    if (flags & ALLOC_ATOMIC)
        return 0;
    return flags & ALLOC_APP ? reserve_app : reserve_kernel;
}

/* A block out of the lists, or NULL. */
static struct frame *buddy_take(unsigned order, unsigned flags)
{
    unsigned from = order;

    uint64_t left = free_pages + frame_section_pending();
    if (flags & ALLOC_ATOMIC && left < (1UL << order) + reserve_app / 2)
        WRITE_ONCE(is_reserve_used, true);
    if (left < (1UL << order) + reserve_for(flags))
        return NULL;
    while (from < ORDERS && list_is_empty(&free_lists[from]))
        from++;
    while (from == ORDERS) {
        if (!frame_section_grow())
            return NULL;
        for (from = order; from < ORDERS && list_is_empty(&free_lists[from]);)
            from++;
    }

    struct frame *frame = list_first(&free_lists[from], struct frame, node);
    list_remove(&frame->node);
    while (from > order) {
        struct frame *upper = frame + (1UL << --from);
        upper->flags = FRAME_FREE;
        upper->order = from;
        list_push_front(&free_lists[from], &upper->node);
    }
    frame->flags = 0;
    free_pages -= 1UL << order;
    return frame;
}

/* ---- Per-CPU caches -------------------------------------------------------------- */

static struct frame *cache_take(unsigned flags)
{
    unsigned long irq = arch_irq_save();
    struct frame_cache *cache = &caches[cpu_current()];
    struct frame *frame = NULL;

    if (cache->count == 0) {
        spin_lock(&frame_lock);
        while (cache->count < CACHE_BATCH && (frame = buddy_take(0, flags)) != NULL) {
            list_push_front(&cache->frames, &frame->node);
            cache->count++;
        }
        spin_unlock(&frame_lock);
        frame = NULL;
    }
    if (cache->count > 0) {
        frame = list_first(&cache->frames, struct frame, node);
        list_remove(&frame->node);
        cache->count--;
    }
    arch_irq_restore(irq);
    return frame;
}

/* Leaves `keep` frames in this CPU's cache.  Interrupts off. */
static void cache_drain(struct frame_cache *cache, unsigned keep)
{
    spin_lock(&frame_lock);
    while (cache->count > keep) {
        struct frame *frame = list_last(&cache->frames, struct frame, node);
        list_remove(&frame->node);
        cache->count--;
        buddy_free(frame, 0);
    }
    spin_unlock(&frame_lock);
}

static void cache_give(struct frame *frame)
{
    unsigned long irq = arch_irq_save();
    struct frame_cache *cache = &caches[cpu_current()];

    frame->flags = 0;
    list_push_front(&cache->frames, &frame->node);
    if (++cache->count > CACHE_MAX)
        cache_drain(cache, CACHE_MAX / 2);
    arch_irq_restore(irq);
}

static void cache_drain_here(void *arg)
{
    unsigned long irq = arch_irq_save();
    cache_drain(&caches[cpu_current()], 0);
    arch_irq_restore(irq);
}

/* ---- Reclaim ---------------------------------------------------------------------- */

static struct list shrinkers = LIST_INIT(shrinkers);
static struct thread *shrinking; /* [a] who is at it: one at a time, and never from inside */
static struct wait_queue shrunk = WAIT_QUEUE_INIT(shrunk); /* for the end of that */

enum reclaimed { RECLAIMED_NOTHING, RECLAIMED_SOME, RECLAIMED_BY_OTHER };

void shrinker_register(struct shrinker *shrinker)
{
    unsigned long irq = spin_lock_irq(&frame_lock);
    list_push_back(&shrinkers, &shrinker->node);
    spin_unlock_irq(&frame_lock, irq);
}

/* False: another was at it, and has come to its end. */
static bool shrink_begin(struct thread *self)
{
    struct thread *nobody = NULL;

    if (!__atomic_compare_exchange_n(&shrinking, &nobody, self, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        (void)wait_on_always(&shrunk, !__atomic_load_n(&shrinking, __ATOMIC_SEQ_CST),
                             DEADLINE_NONE);
        return false;
    }
    arch_call_on_cpus(~0ULL >> (64 - MAX(1, MIN(64, arch_cpu_count()))), cache_drain_here, NULL);
    return true;
}

/* How many pages. */
static size_t shrink(size_t wanted, bool files, bool rest)
{
    size_t freed = 0;
    struct shrinker *shrinker;

    /* Shrinkers are never taken off the list. */
    list_for_each (shrinker, &shrinkers, node) {
        if (freed >= wanted)
            break;
        if (shrinker->has_files ? files : rest)
            freed += shrinker->shrink(wanted - freed);
    }
    __atomic_store_n(&shrinking, NULL, __ATOMIC_SEQ_CST);
    wake_all(&shrunk);
    return freed;
}

/* A look for free memory makes sense after each result: the CPUs' caches have been drained. */
static enum reclaimed frame_reclaim(size_t npages)
{
    struct thread *self = arch_current();

    if (!self || !arch_irq_enabled() || __atomic_load_n(&shrinking, __ATOMIC_RELAXED) == self)
        return RECLAIMED_NOTHING;
    if (!shrink_begin(self))
        return RECLAIMED_BY_OTHER;
    return shrink(MAX(npages, RECLAIM_PAGES), true, true) > 0 ? RECLAIMED_SOME : RECLAIMED_NOTHING;
}

static uint64_t tries_left(uint64_t tries, enum reclaimed reclaimed)
{
    if (reclaimed == RECLAIMED_NOTHING)
        return 0;
    return reclaimed == RECLAIMED_SOME ? tries - 1 : tries;
}

bool frame_reserve_is_used(void)
{
    return READ_ONCE(is_reserve_used);
}

bool frame_replenish(void)
{
    WRITE_ONCE(is_reserve_used, false);
    /* Others may take what is given back. */
    uint64_t tries = reserve_app / RECLAIM_PAGES + RECLAIM_TRIES;
    while (READ_ONCE(free_pages) + frame_section_pending() < reserve_app) {
        if (tries == 0)
            return false;
        tries = tries_left(tries, frame_reclaim(RECLAIM_PAGES));
        sched_check();
    }
    return true;
}

void frame_drop_caches(bool files, bool rest)
{
    while (!shrink_begin(arch_current()))
        ;
    (void)shrink(SIZE_MAX, files, rest);
}

/* ---- The interface ------------------------------------------------------------------ */

void frame_init(const struct boot_info *boot)
{
    for (unsigned i = 0; i < ORDERS; i++)
        list_init(&free_lists[i]);
    for (unsigned i = 0; i < CPUS_MAX; i++)
        list_init(&caches[i].frames);
    uint64_t npages = frame_section_init(boot);
    reserve_app = MAX(32, MIN(npages / 64, 2048));
    reserve_kernel = MAX(8, MIN(npages / 256, 512));
}

static struct frame *frame_take(unsigned order, unsigned flags)
{
    if (order == 0)
        return cache_take(flags);
    unsigned long irq = spin_lock_irq(&frame_lock);
    struct frame *frame = buddy_take(order, flags);
    spin_unlock_irq(&frame_lock, irq);
    return frame;
}

static bool is_failing(void)
{
    uint64_t left = __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED);
    if (likely(left == 0))
        return false;
    return left == 1 || __atomic_sub_fetch(&fail_countdown, 1, __ATOMIC_RELAXED) == 0;
}

struct frame *frame_alloc(unsigned order, unsigned flags)
{
    uint64_t tries = flags & (ALLOC_ATOMIC | ALLOC_NORECLAIM) ? 0 : RECLAIM_TRIES;
    struct frame *frame;

    if (order > FRAME_ORDER_MAX || is_failing())
        return NULL;
    while (!(frame = frame_take(order, flags))) {
        if (tries == 0)
            return NULL;
        tries = tries_left(tries, frame_reclaim(1UL << order));
    }
    frame->order = order;
    frame->kind = flags & ALLOC_APP ? FRAME_APP : FRAME_KERNEL;
    frame->cache = NULL;
    frame->index = 0;
    __atomic_store_n(&frame->refcount, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&kind_pages[frame->kind], 1UL << order, __ATOMIC_RELAXED);
    if (flags & ALLOC_ZERO)
        memset(frame_address(frame), 0, PAGE_SIZE << order);
    return frame;
}

struct frame *frame_get(struct frame *frame)
{
    uint32_t before = __atomic_fetch_add(&frame->refcount, 1, __ATOMIC_RELAXED);
    debug_assert(before > 0);
    (void)before;
    return frame;
}

static void frame_free(struct frame *frame)
{
    debug_assert(!(frame->flags & (FRAME_FREE | FRAME_RESERVED | FRAME_SLAB)));
    __atomic_fetch_sub(&kind_pages[frame->kind], 1UL << frame->order, __ATOMIC_RELAXED);
    if (frame->order == 0) {
        cache_give(frame);
        return;
    }
    unsigned long irq = spin_lock_irq(&frame_lock);
    buddy_free(frame, frame->order);
    spin_unlock_irq(&frame_lock, irq);
}

void frame_put(struct frame *frame)
{
    debug_assert(READ_ONCE(frame->refcount) > 0);
    if (__atomic_sub_fetch(&frame->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        frame_free(frame);
}

/* ---- Large pages -------------------------------------------------------------------- */

/* What is counted may change from the block to its frames at any time; both happens under frame_lock. */

void frame_split(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&frame_lock);
    uint32_t refcount = __atomic_load_n(&frame->refcount, __ATOMIC_RELAXED);

    for (size_t i = 1; i < 1UL << frame->order; i++) {
        frame[i].flags = frame->flags;
        frame[i].order = 0;
        frame[i].kind = frame->kind;
        frame[i].cache = NULL;
        frame[i].index = 0;
        __atomic_store_n(&frame[i].refcount, refcount, __ATOMIC_RELAXED);
    }
    frame->order = 0;
    spin_unlock_irq(&frame_lock, irq);
}

static bool is_whole(const struct frame *frame)
{
    assert_held(&frame_lock);
    return frame->order == FRAME_ORDER_LARGE;
}

void frame_large_get(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&frame_lock);
    size_t n = is_whole(frame) ? 1 : LARGE_FRAMES;

    for (size_t i = 0; i < n; i++)
        frame_get(&frame[i]);
    spin_unlock_irq(&frame_lock, irq);
}

void frame_large_put(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&frame_lock);
    bool was_whole = is_whole(frame);
    bool is_last = was_whole && __atomic_sub_fetch(&frame->refcount, 1, __ATOMIC_ACQ_REL) == 0;

    spin_unlock_irq(&frame_lock, irq);
    if (is_last)
        frame_free(frame);
    for (size_t i = 0; i < LARGE_FRAMES && !was_whole; i++)
        frame_put(&frame[i]);
}

/* Frames that only one has left become a block again: its owner goes on with the large page. */
bool frame_large_is_exclusive(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&frame_lock);
    size_t i = 0, n = is_whole(frame) ? 1 : LARGE_FRAMES;

    while (i < n && __atomic_load_n(&frame[i].refcount, __ATOMIC_ACQUIRE) == 1)
        i++;
    if (i == n)
        frame->order = FRAME_ORDER_LARGE;
    spin_unlock_irq(&frame_lock, irq);
    return i == n;
}

void frame_set_kind(struct frame *frame, enum frame_kind kind)
{
    uint64_t npages = 1UL << frame->order;

    __atomic_fetch_sub(&kind_pages[frame->kind], npages, __ATOMIC_RELAXED);
    __atomic_fetch_add(&kind_pages[kind], npages, __ATOMIC_RELAXED);
    frame->kind = kind;
}

size_t frame_adopt(paddr_t paddr, size_t npages, struct frame **first)
{
    size_t n = 0, nmax = MIN(npages, CHUNK_PAGES - (paddr >> PAGE_SHIFT) % CHUNK_PAGES);
    unsigned long irq = spin_lock_irq(&frame_lock);
    struct frame *frames = frame_section_open(paddr);

    for (; frames && n < nmax && frames[n].flags & FRAME_RESERVED; n++) {
        frames[n].flags = FRAME_ADOPTED;
        frames[n].order = 0;
        frames[n].kind = FRAME_KERNEL;
        frames[n].refcount = 1;
    }
    handed_pages += n;
    spin_unlock_irq(&frame_lock, irq);
    __atomic_fetch_add(&kind_pages[FRAME_KERNEL], n, __ATOMIC_RELAXED);
    *first = frames;
    return n;
}

void frame_release_range(paddr_t start, paddr_t end)
{
    start = ALIGN_UP(start, PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    while (start < end) {
        paddr_t stop = MIN(end, ALIGN_DOWN(start, CHUNK_SIZE) + CHUNK_SIZE);
        size_t npages = (stop - start) >> PAGE_SHIFT, first = 0;
        unsigned long irq = spin_lock_irq(&frame_lock);
        struct frame *frames = frame_section_open(start);

        while (frames && first < npages) {
            size_t run = 0;
            while (first + run < npages && frames[first + run].flags & FRAME_RESERVED)
                run++;
            buddy_add_range(&frames[first], run);
            first += MAX(run, 1);
        }
        spin_unlock_irq(&frame_lock, irq);
        start = stop;
    }
}

void frame_get_stats(struct frame_stats *stats)
{
    unsigned long irq = spin_lock_irq(&frame_lock);
    stats->free_pages = free_pages + frame_section_pending();
    stats->total_pages = handed_pages + frame_section_pending();
    spin_unlock_irq(&frame_lock, irq);

    for (unsigned i = 0; i < CPUS_MAX; i++)
        stats->free_pages += READ_ONCE(caches[i].count);
    stats->shmem_pages = __atomic_load_n(&kind_pages[FRAME_SHMEM], __ATOMIC_RELAXED);
    stats->cache_pages =
        __atomic_load_n(&kind_pages[FRAME_CACHE], __ATOMIC_RELAXED) + stats->shmem_pages;
    stats->app_pages = __atomic_load_n(&kind_pages[FRAME_APP], __ATOMIC_RELAXED);
    stats->slab_pages = __atomic_load_n(&kind_pages[FRAME_SLABS], __ATOMIC_RELAXED);
    stats->kernel_pages = __atomic_load_n(&kind_pages[FRAME_KERNEL], __ATOMIC_RELAXED);
}

uint64_t frame_free_bytes(void)
{
    uint64_t npages = READ_ONCE(free_pages) + frame_section_pending();

    for (unsigned i = 0; i < arch_cpu_count() && i < CPUS_MAX; i++)
        npages += READ_ONCE(caches[i].count);
    return npages << PAGE_SHIFT;
}

void frame_fail_from(uint64_t n)
{
    __atomic_store_n(&fail_countdown, n, __ATOMIC_RELAXED);
}
