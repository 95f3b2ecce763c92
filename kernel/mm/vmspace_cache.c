// SPDX-License-Identifier: MIT
/*
 * The way back from a page cache to the page tables that map its pages (reverse map).
 *
 * All of it runs with cache->lock held and without any vmspace's lock: being on cache->mappings keeps a
 * mapping and its vmspace alive, and its range cannot change without cache->lock.
 */
#include "kernel/mm/pagecache.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/sched.h"

#define BATCH 64

/* The part of mapping that shows pages [first, end) of its cache; false: none. */
static bool mapping_part(const struct mapping *mapping, uint64_t first, uint64_t end,
                         uintptr_t *start, uintptr_t *stop)
{
    uint64_t low = mapping->offset >> PAGE_SHIFT;
    uint64_t high = low + ((mapping->end - mapping->start) >> PAGE_SHIFT);

    first = MAX(first, low);
    end = MIN(end, high);
    if (first >= end)
        return false;
    *start = mapping->start + ((first - low) << PAGE_SHIFT);
    *stop = mapping->start + ((end - low) << PAGE_SHIFT);
    return true;
}

static bool is_of_cache(struct arch_pte pte, const struct pagecache *cache)
{
    return pte.size != 0 && !(pte.prot & PT_SPECIAL) && frame_of(pte.paddr)->cache == cache;
}

/* Clears the next up to BATCH entries from *at on; the frames are the caller's to put. */
static unsigned clear_some(struct mapping *mapping, uintptr_t *at, uintptr_t end, bool copies_too,
                           struct frame *frames[BATCH])
{
    struct vmspace *vm = mapping->vmspace;
    struct arch_pt_page page;
    unsigned n = 0;

    while (n < BATCH && arch_pt_scan(&vm->table, at, end, PT_SCAN_LOOK, &page, 1)) {
        struct frame *frame = page.pte.prot & PT_SPECIAL ? NULL : frame_of(page.pte.paddr);
        if (frame && (copies_too || frame->cache == mapping->cache)) {
            arch_pt_clear(&vm->table, page.address);
            frames[n++] = frame;
        }
    }
    return n;
}

static void unmap_part(struct mapping *mapping, uintptr_t start, uintptr_t end, bool copies_too)
{
    struct vmspace *vm = mapping->vmspace;
    struct frame *frames[BATCH];
    uintptr_t at = start;

    while (at < end) {
        uintptr_t from = at;
        mutex_lock(&vm->table_lock);
        unsigned n = clear_some(mapping, &at, end, copies_too, frames);
        mutex_unlock(&vm->table_lock);
        if (n == 0)
            continue;
        vmspace_flush(vm, from, MIN(at, end));
        vmspace_count_resident(vm, -(int64_t)n);
        for (unsigned i = 0; i < n; i++)
            frame_put(frames[i]);
        sched_check();
    }
}

void vmspace_unmap_cache(struct pagecache *cache, uint64_t first, uint64_t end, bool copies_too)
{
    assert_held(&cache->lock);
    struct mapping *mapping;
    uintptr_t start, stop;

    list_for_each (mapping, &cache->mappings, cache_node)
        if (mapping_part(mapping, first, end, &start, &stop))
            unmap_part(mapping, start, stop, copies_too);
}

bool vmspace_try_unmap_page(struct pagecache *cache, uint64_t index)
{
    assert_held(&cache->lock);
    struct mapping *mapping;
    uintptr_t at, stop;

    list_for_each (mapping, &cache->mappings, cache_node) {
        struct vmspace *vm = mapping->vmspace;
        struct frame *frames[BATCH];
        if (!mapping_part(mapping, index, index + 1, &at, &stop))
            continue;
        if (!mutex_try_lock(&vm->table_lock))
            return false;
        unsigned n = clear_some(mapping, &at, stop, false, frames);
        mutex_unlock(&vm->table_lock);
        if (n == 0)
            continue;
        vmspace_flush(vm, stop - PAGE_SIZE, stop);
        vmspace_count_resident(vm, -1);
        frame_put(frames[0]);
    }
    return true;
}

bool vmspace_test_young_page(struct pagecache *cache, uint64_t index, uint64_t *cpus)
{
    assert_held(&cache->lock);
    struct mapping *mapping;
    uintptr_t at, stop;
    bool is_young = false;

    list_for_each (mapping, &cache->mappings, cache_node) {
        struct vmspace *vm = mapping->vmspace;
        if (!mapping_part(mapping, index, index + 1, &at, &stop))
            continue;
        if (!mutex_try_lock(&vm->table_lock))
            return true;
        struct arch_pte pte = arch_pt_lookup(&vm->table, at);
        if (is_of_cache(pte, cache) && pte.is_accessed) {
            arch_pt_clear_flags(&vm->table, at, true, false);
            *cpus |= __atomic_load_n(&vm->active_cpus, __ATOMIC_RELAXED);
            is_young = true;
        }
        mutex_unlock(&vm->table_lock);
    }
    return is_young;
}

void vmspace_clean_cache(struct pagecache *cache, uint64_t index)
{
    assert_held(&cache->lock);
    struct mapping *mapping;
    uintptr_t at, stop;

    list_for_each (mapping, &cache->mappings, cache_node) {
        struct vmspace *vm = mapping->vmspace;
        if (!(mapping->flags & ABI_MAP_SHARED) ||
            !mapping_part(mapping, index, index + 1, &at, &stop))
            continue;
        mutex_lock(&vm->table_lock);
        struct arch_pte pte = arch_pt_lookup(&vm->table, at);
        bool is_writable = pte.size != 0 && pte.prot & PT_WRITE;
        if (is_writable)
            arch_pt_protect(&vm->table, at, pte.prot & ~PT_WRITE);
        mutex_unlock(&vm->table_lock);
        if (is_writable)
            vmspace_flush(vm, at, stop);
    }
}
