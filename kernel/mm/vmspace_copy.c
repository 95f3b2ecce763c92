// SPDX-License-Identifier: MIT
/*
 * Reaching into address spaces, the running one's or another: read, write, pin; and copying
 * one (fork).
 *
 * Fork shares every private page read-only between parent and child; the first store of either copies it
 * (fault.c).  Pages that the page cache has anyway are left to the child's own faults.  The child is seen by
 * nobody until it is complete, except through the lists of page caches, so its table_lock is not needed
 * while the cache's lock is held.
 */
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/sched.h"

#define ATTEMPTS         16 /* a page may be taken away between the fault and the look */
#define BATCH            32
#define BATCHES_IN_A_ROW 32 /* with a lock that faults may wait for */

/* ---- Read, write, pin ------------------------------------------------------------------- */

/* The frame of the page at address if it is there and may be used so, with a reference. */
static struct frame *present_frame(struct vmspace *vm, uintptr_t address, unsigned access, int *err)
{
    struct frame *frame = NULL;
    struct arch_pte pte;

    mutex_lock(&vm->table_lock);
    *err = vmspace_split_locked(vm, address, &pte);
    if (!*err && pte.size != 0 && (pte.prot & (access | PT_READ)) == (access | PT_READ))
        frame = pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);
    if (frame)
        frame_get(frame);
    mutex_unlock(&vm->table_lock);
    return frame;
}

int vmspace_pin(struct vmspace *vm, uintptr_t address, bool write, struct frame **out)
{
    unsigned access = write ? PT_WRITE : PT_READ;
    struct fault_result result;

    if (address < APP_MIN || address >= APP_MAX)
        return -EFAULT;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        int err = 0;
        *out = present_frame(vm, address, access, &err);
        if (*out)
            return 0;
        if (!err)
            err = vmspace_fault(vm, address, access, &result);
        if (err)
            return err;
    }
    return -EFAULT;
}

/* As much as lies in the page of address; bytes or -errno. */
static long copy_within_page(struct vmspace *vm, uintptr_t address, void *buf, size_t len,
                             bool write)
{
    size_t offset = address % PAGE_SIZE, n = MIN(len, PAGE_SIZE - offset);
    struct frame *frame;

    int err = vmspace_pin(vm, address, write, &frame);
    if (err)
        return err;
    char *data = (char *)frame_address(frame) + offset;
    memcpy(write ? data : buf, write ? buf : data, n);
    frame_put(frame);
    return (long)n;
}

static long vmspace_copy(struct vmspace *vm, uintptr_t address, void *buf, size_t len, bool write)
{
    size_t done = 0;

    while (done < len) {
        long n = copy_within_page(vm, address + done, (char *)buf + done, len - done, write);
        if (n < 0)
            return done > 0 ? (long)done : -EFAULT;
        done += (size_t)n;
        sched_check();
    }
    return (long)done;
}

long vmspace_read(struct vmspace *vm, uintptr_t address, void *buf, size_t len)
{
    return vmspace_copy(vm, address, buf, len, false);
}

long vmspace_write(struct vmspace *vm, uintptr_t address, const void *buf, size_t len)
{
    return vmspace_copy(vm, address, (void *)(uintptr_t)buf, len, true);
}

int vmspace_shared_key(struct vmspace *vm, uintptr_t address, struct pagecache **cache,
                       uint64_t *index)
{
    *cache = NULL;
    read_lock(&vm->lock);
    struct mapping *mapping = mapping_at(vm, address);
    if (mapping && mapping->flags & ABI_MAP_SHARED && mapping->cache) {
        *cache = pagecache_get(mapping->cache);
        *index = mapping_page(mapping, address);
    }
    read_unlock(&vm->lock);
    return mapping ? 0 : -EFAULT;
}

/* ---- Fork ---------------------------------------------------------------------------------- */

static void share_get(struct arch_pte pte, struct frame *frame)
{
    if (pte.size == LARGE_PAGE_SIZE)
        frame_large_get(frame);
    else
        frame_get(frame);
}

static void share_put(struct arch_pte pte)
{
    struct frame *frame = pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);

    if (frame && pte.size == LARGE_PAGE_SIZE)
        frame_large_put(frame);
    else if (frame)
        frame_put(frame);
}

/* Enters pages of the parent, read-only there already, into the child.  -ENOMEM: *next is the first that is not. */
static int share_batch(struct vmspace *child, struct arch_pt_page *pages, unsigned npages,
                       bool *was_writable, uintptr_t *next)
{
    unsigned n = 0;
    int64_t size = 0;

    for (unsigned i = 0; i < npages; i++) {
        struct arch_pte pte = pages[i].pte;
        struct frame *frame = pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);
        *was_writable |= pte.prot & PT_WRITE;
        if (frame && frame->cache)
            continue; /* an unmodified page of a file: the child finds it there */
        if (frame)
            share_get(pte, frame);
        pte.prot &= ~PT_WRITE;
        pages[n++] = (struct arch_pt_page){ pages[i].address, pte };
    }
    unsigned done = arch_pt_map_pages(&child->table, pages, n);
    for (unsigned i = 0; i < n; i++) {
        if (i < done)
            size += (int64_t)pages[i].pte.size;
        else
            share_put(pages[i].pte);
    }
    vmspace_count_resident(child, size >> PAGE_SHIFT);
    if (done == n)
        return 0;
    *next = pages[done].address;
    return -ENOMEM;
}

/* from->table_lock is held; given up now and then, and to reclaim what page tables are made of. */
static int share_pages(struct vmspace *from, struct vmspace *child, uintptr_t start, uintptr_t end,
                       bool *was_writable)
{
    struct arch_pt_page pages[BATCH];
    uintptr_t failed_at = end;
    bool has_more = true; /* to reclaim */

    for (unsigned turn = 1; start < end; turn++) {
        unsigned n = arch_pt_scan(&from->table, &start, end, PT_SCAN_PROTECT, pages, BATCH);
        int err = share_batch(child, pages, n, was_writable, &start);
        bool is_short = err || (has_more && frame_reserve_is_used());
        if (!is_short && turn % BATCHES_IN_A_ROW != 0)
            continue;
        mutex_unlock(&from->table_lock);
        if (is_short)
            has_more = frame_replenish();
        sched_check();
        mutex_lock(&from->table_lock);
        if (err && (!has_more || start == failed_at))
            return err;
        failed_at = err ? start : end;
    }
    return 0;
}

static int fork_mapping(struct mapping *mapping, struct vmspace *child, bool *was_writable)
{
    struct vmspace *from = mapping->vmspace;
    struct mapping *copy = mapping_clone(mapping, mapping->start, mapping->end);
    int err = 0;

    if (!copy)
        return -ENOMEM;
    copy->flags &= ~ABI_MAP_LOCKED; /* mlock(2): not inherited */
    /* Listed before its pages are there: a truncation in between misses neither. */
    mapping_insert(child, copy);
    if (mapping->flags & (ABI_MAP_SHARED | MAPPING_WIPEFORK))
        return 0;
    if (mapping->cache)
        mutex_lock(&mapping->cache->lock);
    mutex_lock(&from->table_lock);
    err = share_pages(from, child, mapping->start, mapping->end, was_writable);
    mutex_unlock(&from->table_lock);
    if (mapping->cache)
        mutex_unlock(&mapping->cache->lock);
    return err;
}

static void copy_layout(const struct vmspace *from, struct vmspace *child)
{
    child->mmap_top = from->mmap_top;
    child->search_from = from->search_from;
    child->search_skipped = from->search_skipped;
    child->brk_start = from->brk_start;
    child->brk_end = from->brk_end;
    child->membarrier = from->membarrier;
    arch_vmspace_copy(from, child);
}

int vmspace_fork(struct vmspace *from, struct vmspace **out)
{
    struct vmspace *child;
    bool was_writable = false;
    int err = vmspace_create(false, &child);

    if (err)
        return err;
    write_lock(&from->lock);
    copy_layout(from, child);
    for (struct mapping *m = mapping_find(from, 0); m && !err; m = mapping_next(m))
        if (!(m->flags & MAPPING_DONTFORK))
            err = fork_mapping(m, child, &was_writable);
    /* Everything that was made read-only, before the parent's threads go on. */
    if (was_writable)
        vmspace_flush(from, 0, APP_MAX);
    write_unlock(&from->lock);
    if (err) {
        vmspace_put(child);
        return err;
    }
    *out = child;
    return 0;
}
