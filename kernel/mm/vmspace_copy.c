// SPDX-License-Identifier: MIT
/*
 * Reaching into address spaces, the running one's or another: read, write, pin; and copying
 * one (fork).
 *
 * Fork shares every private page read-only between parent and child; the first store of either copies it
 * (fault.c).  Pages that the page cache has anyway are left to the child's own faults.  Large
 * pages are split first, since a large page has only one reference.  The child is seen by nobody until it
 * is complete, except through the lists of page caches, so its table_lock is not needed while the
 * cache's lock is held.
 */
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/sched.h"

#define ATTEMPTS 16 /* a page may be taken away between the fault and the look */

/* ---- Read, write, pin ------------------------------------------------------------------- */

/* The frame of the page at address if it is there and may be used so, with a reference. */
static struct frame *present_frame(struct vmspace *vm, uintptr_t address, unsigned access, int *err)
{
    struct frame *frame = NULL;

    mutex_lock(&vm->table_lock);
    struct arch_pte pte = arch_pt_lookup(&vm->table, address, NULL);
    if (pte.size == LARGE_PAGE_SIZE) {
        *err = arch_pt_split(&vm->table, address);
        if (!*err)
            frame_split(frame_of(ALIGN_DOWN(pte.paddr, LARGE_PAGE_SIZE)));
        pte = *err ? (struct arch_pte){ 0 } : arch_pt_lookup(&vm->table, address, NULL);
    }
    if (pte.size != 0 && (pte.prot & (access | PT_READ)) == (access | PT_READ))
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

/* Enters the parent's private page at `at` into the child, read-only in both. */
static int share_page(struct vmspace *from, struct vmspace *child, uintptr_t at,
                      struct arch_pte pte)
{
    struct frame *frame = pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);
    unsigned prot = pte.prot & ~PT_WRITE;

    if (frame && frame->cache)
        return 0; /* an unmodified page of a file: the child finds it there */
    int err = arch_pt_map(&child->table, at, pte.paddr, PAGE_SIZE, prot);
    if (err)
        return err;
    if (pte.prot & PT_WRITE)
        arch_pt_protect(&from->table, at, prot);
    if (frame)
        frame_get(frame);
    vmspace_count_resident(child, 1);
    return 0;
}

/* from->table_lock is held; given up now and then. */
static int share_pages(struct vmspace *from, struct vmspace *child, uintptr_t start, uintptr_t end)
{
    unsigned npages = 0;
    int err = 0;

    for (uintptr_t at = start; !err && at < end;) {
        size_t hole = PAGE_SIZE;
        struct arch_pte pte = arch_pt_lookup(&from->table, at, &hole);
        if (pte.size == 0) {
            at = ALIGN_DOWN(at, hole) + hole;
        } else if (pte.size == LARGE_PAGE_SIZE) {
            err = arch_pt_split(&from->table, at);
            if (!err)
                frame_split(frame_of(ALIGN_DOWN(pte.paddr, LARGE_PAGE_SIZE)));
        } else {
            err = share_page(from, child, at, pte);
            at += PAGE_SIZE;
        }
        if (++npages % 1024 == 0) {
            mutex_unlock(&from->table_lock);
            sched_check();
            mutex_lock(&from->table_lock);
        }
    }
    return err;
}

static int fork_mapping(struct mapping *mapping, struct vmspace *child)
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
    err = share_pages(from, child, mapping->start, mapping->end);
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
}

int vmspace_fork(struct vmspace *from, struct vmspace **out)
{
    struct vmspace *child;
    int err = vmspace_create(&child);

    if (err)
        return err;
    write_lock(&from->lock);
    copy_layout(from, child);
    for (struct mapping *m = mapping_find(from, 0); m && !err; m = mapping_next(m))
        if (!(m->flags & MAPPING_DONTFORK))
            err = fork_mapping(m, child);
    /* Everything that was made read-only, before the parent's threads go on. */
    vmspace_flush(from, 0, APP_MAX);
    write_unlock(&from->lock);
    if (err) {
        vmspace_put(child);
        return err;
    }
    *out = child;
    return 0;
}
