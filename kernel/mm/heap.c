// SPDX-License-Identifier: MIT
/*
 * Small objects: slabs with per-CPU magazines (Bonwick and Adams, "Magazines and Vmem", 2001).
 *
 * A slab is a block of frames cut into objects of one size; free objects are linked through their
 * first word, and the block's first struct frame holds the list's head and the count.  A CPU's
 * magazine is a stack of free objects, so that most allocations take no lock and share no cache line.
 * Half a magazine moves to or from the slabs at a time.
 *
 * kmalloc is a row of caches; from CLASS_MAX on it is the frame allocator itself.  kfree tells them apart
 * by FRAME_SLAB in the frame of the address.
 *
 * Locking: cache->lock (irq, RANK_HEAP) covers its slabs; it is never held over the frame allocator.
 * Magazines are used with interrupts off by their own CPU only.
 */
#include "kernel/mm/heap.h"

#include <string.h>

#include "kernel/mm/frame.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

#define CLASS_MAX      2048 /* larger blocks are whole frames */
#define MAGAZINE_MAX   30
#define MAGAZINE_BYTES 8192 /* what one magazine may hold back, about */
#define SLAB_ORDER_MAX 3

struct magazine {
    unsigned count;
    void *object[MAGAZINE_MAX];
};

/* [i] set at creation  [c] cache->lock  [m] interrupts off, own CPU only */
struct slab_cache {
    const char *name;  /* [i] */
    uint32_t size;     /* [i] with alignment */
    uint16_t per_slab; /* [i] objects */
    uint8_t order;     /* [i] of a slab */
    uint8_t depth;     /* [i] objects a magazine may hold; 0: no magazines */
    struct spinlock lock;
    struct list partial;                 /* [c] slabs with a free object */
    struct frame *spare;                 /* [c] one empty slab is kept */
    uint64_t nslabs;                     /* [c] */
    uint64_t ntaken;                     /* [c] objects that are not in slabs */
    struct list node;                    /* all caches: cache_list_lock */
    struct magazine *magazine[CPUS_MAX]; /* [m] NULL until used */
};

static const uint16_t class_size[] = { 16,  32,  48,  64,  96,   128,  192,
                                       256, 384, 512, 768, 1024, 1536, CLASS_MAX };
static struct slab_cache class_cache[ARRAY_SIZE(class_size)];
static uint8_t class_of[CLASS_MAX / 16 + 1]; /* by size in units of 16, rounded up */
static struct slab_cache magazine_cache;     /* has no magazines itself */
static struct list all_caches = LIST_INIT(all_caches);
static struct spinlock all_caches_lock = SPINLOCK_INIT(RANK_HEAP);

/* ---- Slabs ------------------------------------------------------------------------ */

static void cache_init(struct slab_cache *cache, const char *name, size_t size, size_t align)
{
    size = ALIGN_UP(MAX(size, sizeof(void *)), MAX(align, sizeof(void *)));
    unsigned order = 0;
    while ((PAGE_SIZE << order) < size ||
           (order < SLAB_ORDER_MAX && (PAGE_SIZE << order) % size * 8 > PAGE_SIZE << order))
        order++;

    *cache = (struct slab_cache){
        .name = name,
        .size = size,
        .per_slab = (PAGE_SIZE << order) / size,
        .order = order,
        .depth = MAX(2, MIN(MAGAZINE_MAX, MAGAZINE_BYTES / size)),
        .lock = SPINLOCK_INIT(RANK_HEAP),
    };
    list_init(&cache->partial);
    unsigned long irq = spin_lock_irq(&all_caches_lock);
    list_push_back(&all_caches, &cache->node);
    spin_unlock_irq(&all_caches_lock, irq);
}

static struct frame *slab_of(const void *object)
{
    struct frame *frame = frame_of(arch_direct_paddr(object));

    return frame - (frame->pfn & ((1u << frame->order) - 1));
}

static struct frame *slab_create(struct slab_cache *cache, unsigned flags)
{
    struct frame *slab = frame_alloc(cache->order, flags & ~(ALLOC_ZERO | ALLOC_APP));
    if (!slab)
        return NULL;

    frame_set_kind(slab, FRAME_SLABS);
    for (unsigned i = 0; i < 1u << cache->order; i++) {
        slab[i].flags |= FRAME_SLAB;
        slab[i].order = cache->order;
    }
    slab->slab = cache;
    slab->nused = 0;
    slab->free_object = NULL;
    char *base = frame_address(slab);
    for (unsigned i = cache->per_slab; i-- > 0;) {
        void **object = (void **)(base + (size_t)i * cache->size);
        *object = slab->free_object;
        slab->free_object = object;
    }
    return slab;
}

static void slab_destroy(struct slab_cache *cache, struct frame *slab)
{
    for (unsigned i = 0; i < 1u << cache->order; i++)
        slab[i].flags = 0;
    slab->slab = NULL;
    frame_put(slab);
}

/* An object out of the slabs there are; NULL: all full. */
static void *slab_take(struct slab_cache *cache)
{
    assert_held(&cache->lock);
    if (list_is_empty(&cache->partial)) {
        if (!cache->spare)
            return NULL;
        list_push_front(&cache->partial, &cache->spare->node);
        cache->spare = NULL;
    }
    struct frame *slab = list_first(&cache->partial, struct frame, node);
    void **object = slab->free_object;

    slab->free_object = *object;
    cache->ntaken++;
    if (++slab->nused == cache->per_slab)
        list_remove(&slab->node);
    return object;
}

/* Returns a slab that is to be destroyed once the lock is released, or NULL. */
static struct frame *slab_give(struct slab_cache *cache, void *object)
{
    assert_held(&cache->lock);
    struct frame *slab = slab_of(object);

    debug_assert(slab->slab == cache && slab->nused > 0);
    if (slab->nused-- == cache->per_slab)
        list_push_front(&cache->partial, &slab->node);
    *(void **)object = slab->free_object;
    slab->free_object = object;
    cache->ntaken--;
    if (slab->nused > 0)
        return NULL;
    list_remove(&slab->node);
    struct frame *surplus = cache->spare;
    cache->spare = slab;
    if (surplus)
        cache->nslabs--;
    return surplus;
}

/* ---- Magazines ---------------------------------------------------------------------- */

static void *cache_alloc_slow(struct slab_cache *cache, unsigned flags)
{
    unsigned long irq = spin_lock_irq(&cache->lock);
    void *object = slab_take(cache);
    spin_unlock_irq(&cache->lock, irq);
    if (object)
        return object;

    struct frame *slab = slab_create(cache, flags);
    if (!slab)
        return NULL;
    irq = spin_lock_irq(&cache->lock);
    cache->nslabs++;
    list_push_front(&cache->partial, &slab->node);
    object = slab_take(cache);
    spin_unlock_irq(&cache->lock, irq);
    return object;
}

static void cache_free_slow(struct slab_cache *cache, void *object)
{
    unsigned long irq = spin_lock_irq(&cache->lock);
    struct frame *surplus = slab_give(cache, object);
    spin_unlock_irq(&cache->lock, irq);
    if (surplus)
        slab_destroy(cache, surplus);
}

/* Fills half a magazine from slabs that exist.  Interrupts off. */
static void magazine_fill(struct slab_cache *cache, struct magazine *magazine)
{
    void *object;

    spin_lock(&cache->lock);
    while (magazine->count < (cache->depth + 1u) / 2 && (object = slab_take(cache)) != NULL)
        magazine->object[magazine->count++] = object;
    spin_unlock(&cache->lock);
}

/* Leaves `keep` objects in the magazine.  Interrupts off. */
static void magazine_drain(struct slab_cache *cache, struct magazine *magazine, unsigned keep)
{
    struct list surplus = LIST_INIT(surplus);

    spin_lock(&cache->lock);
    while (magazine->count > keep) {
        struct frame *slab = slab_give(cache, magazine->object[--magazine->count]);
        if (slab)
            list_push_back(&surplus, &slab->node);
    }
    spin_unlock(&cache->lock);
    while (!list_is_empty(&surplus)) {
        struct frame *slab = list_first(&surplus, struct frame, node);
        list_remove(&slab->node);
        slab_destroy(cache, slab);
    }
}

/* This CPU's magazine, made if it has none yet; NULL: do without.  Interrupts off. */
static struct magazine *magazine_here(struct slab_cache *cache)
{
    struct magazine **magazine = &cache->magazine[cpu_current()];

    if (unlikely(!*magazine) && cache->depth > 0) {
        *magazine = cache_alloc_slow(&magazine_cache, ALLOC_ATOMIC);
        if (*magazine)
            (*magazine)->count = 0;
    }
    return *magazine;
}

/* What a magazine that is there and not empty need not do; out of line, so that the others save no registers for it. */
static __attribute__((noinline)) void *alloc_without(struct slab_cache *cache, unsigned flags)
{
    void *object = NULL;
    unsigned long irq = arch_irq_save();
    struct magazine *magazine = magazine_here(cache);

    if (magazine) {
        if (magazine->count == 0)
            magazine_fill(cache, magazine);
        if (magazine->count > 0)
            object = magazine->object[--magazine->count];
    }
    arch_irq_restore(irq);
    if (!object)
        object = cache_alloc_slow(cache, flags);
    if (object && flags & ALLOC_ZERO)
        memset(object, 0, cache->size);
    return object;
}

void *slab_alloc(struct slab_cache *cache, unsigned flags)
{
    unsigned long irq = arch_irq_save();
    struct magazine *magazine = cache->magazine[cpu_current()];

    if (unlikely(!magazine || magazine->count == 0)) {
        arch_irq_restore(irq);
        return alloc_without(cache, flags);
    }
    void *object = magazine->object[--magazine->count];
    arch_irq_restore(irq);
    return flags & ALLOC_ZERO ? memset(object, 0, cache->size) : object;
}

static __attribute__((noinline)) void free_without(struct slab_cache *cache, void *object)
{
    unsigned long irq = arch_irq_save();
    struct magazine *magazine = magazine_here(cache);

    if (magazine) {
        if (magazine->count == cache->depth)
            magazine_drain(cache, magazine, cache->depth / 2);
        magazine->object[magazine->count++] = object;
        object = NULL;
    }
    arch_irq_restore(irq);
    if (object)
        cache_free_slow(cache, object);
}

void slab_free(struct slab_cache *cache, void *object)
{
    if (!object)
        return;
    debug_assert(slab_of(object)->slab == cache);
    unsigned long irq = arch_irq_save();
    struct magazine *magazine = cache->magazine[cpu_current()];

    if (unlikely(!magazine || magazine->count == cache->depth)) {
        arch_irq_restore(irq);
        free_without(cache, object);
        return;
    }
    magazine->object[magazine->count++] = object;
    arch_irq_restore(irq);
}

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align)
{
    struct slab_cache *cache = kmalloc(sizeof(*cache), ALLOC_WAIT);

    if (cache)
        cache_init(cache, name, size, align);
    return cache;
}

/* What lies in magazines is free; other CPUs move it while it is counted. */
static uint64_t active_objects(const struct slab_cache *cache)
{
    uint64_t taken = READ_ONCE(cache->ntaken);
    uint64_t idle = 0;

    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
        const struct magazine *magazine = READ_ONCE(cache->magazine[cpu]);
        if (magazine)
            idle += READ_ONCE(magazine->count);
    }
    return taken - MIN(idle, taken);
}

size_t slab_get_stats(struct slab_stats *out, size_t room)
{
    const struct slab_cache *cache;
    size_t count = 0;

    unsigned long irq = spin_lock_irq(&all_caches_lock);
    list_for_each (cache, &all_caches, node) {
        if (count < room)
            out[count] = (struct slab_stats){
                .name = cache->name,
                .size = cache->size,
                .per_slab = cache->per_slab,
                .pages_per_slab = 1u << cache->order,
                .active = active_objects(cache),
                .slabs = READ_ONCE(cache->nslabs),
            };
        count++;
    }
    spin_unlock_irq(&all_caches_lock, irq);
    return count;
}

/* ---- kmalloc ------------------------------------------------------------------------- */

void *kmalloc(size_t size, unsigned flags)
{
    if (size <= CLASS_MAX)
        return slab_alloc(&class_cache[class_of[(size + 15) / 16]], flags);

    unsigned order = 0;
    while (order <= FRAME_ORDER_MAX && PAGE_SIZE << order < size)
        order++;
    struct frame *frame = frame_alloc(order, flags & ~ALLOC_APP);
    return frame ? frame_address(frame) : NULL;
}

void kfree(void *pointer)
{
    if (!pointer)
        return;
    struct frame *frame = frame_of(arch_direct_paddr(pointer));

    assert(frame && frame->refcount + frame->flags > 0);
    if (frame->flags & FRAME_SLAB)
        slab_free(slab_of(pointer)->slab, pointer);
    else
        frame_put(frame);
}

static size_t block_size(const void *pointer)
{
    const struct frame *frame = frame_of(arch_direct_paddr(pointer));

    return frame->flags & FRAME_SLAB ? slab_of(pointer)->slab->size : PAGE_SIZE << frame->order;
}

void *krealloc(void *pointer, size_t size, unsigned flags)
{
    size_t old_size = pointer ? block_size(pointer) : 0;

    if (pointer && size <= old_size && size > old_size / 2)
        return pointer;
    void *block = kmalloc(size, flags & ~ALLOC_ZERO);
    if (!block)
        return NULL;
    if (pointer)
        memcpy(block, pointer, MIN(size, old_size));
    kfree(pointer);
    return block;
}

/* Gives the empty slabs back: all that is in this CPU's magazines, and the spares. */
static size_t heap_shrink(size_t npages)
{
    size_t freed = 0;
    struct slab_cache *cache;

    /* Caches are never destroyed, and the list only grows at its end. */
    list_for_each (cache, &all_caches, node) {
        unsigned long irq = arch_irq_save();
        if (cache->magazine[cpu_current()])
            magazine_drain(cache, cache->magazine[cpu_current()], 0);
        spin_lock(&cache->lock);
        struct frame *spare = cache->spare;
        cache->spare = NULL;
        spin_unlock(&cache->lock);
        arch_irq_restore(irq);
        if (spare) {
            slab_destroy(cache, spare);
            freed += 1UL << cache->order;
        }
    }
    return freed;
}

void heap_init(void)
{
    static struct shrinker shrinker = { .name = "slabs", .shrink = heap_shrink };

    for (unsigned i = 0; i < ARRAY_SIZE(class_size); i++)
        cache_init(&class_cache[i], "kmalloc", class_size[i], 16);
    for (unsigned unit = 0, class = 0; unit <= CLASS_MAX / 16; unit++) {
        while (class_size[class] < unit * 16)
            class ++;
        class_of[unit] = class;
    }
    cache_init(&magazine_cache, "magazine", sizeof(struct magazine), 16);
    magazine_cache.depth = 0;
    shrinker_register(&shrinker);
}
