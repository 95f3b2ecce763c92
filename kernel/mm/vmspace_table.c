// SPDX-License-Identifier: MIT
/*
 * Page-table entries of address spaces: clearing, protecting, splitting and moving ranges.
 *
 * All entries change under vm->table_lock.  An entry that is cleared or restricted is flushed from the TLBs
 * of all CPUs that have the address space loaded before its frame is given back, so frames
 * are collected in a batch, flushed once, then put (vmspace_flush(), vmspace_rest()).  arch_pt_scan() jumps
 * over holes, which makes terabytes of reserved space cheap.
 *
 * Fork shares a large page as it is.  It is split, in one page table at a time, before it is used in part.
 */
#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/sched.h"

#define BATCH     32  /* frames that others use too */
#define CHAIN_MAX 512 /* frames that nobody else uses: linked through themselves */
#define TRIM_MIN  LARGE_PAGE_SIZE

struct zap_batch {
    struct vmspace *vm;
    uintptr_t start, end; /* to be flushed */
    int64_t npages;
    unsigned nframes;
    unsigned nchained;
    struct {
        struct frame *frame;
        bool is_large;
    } shared[BATCH];
    struct list chain;
};

void vmspace_count_resident(struct vmspace *vm, int64_t npages)
{
    uint64_t now = __atomic_add_fetch(&vm->resident_pages, npages, __ATOMIC_RELAXED);

    /* A peak that two CPUs reach at once may be missed by a page. */
    if (npages > 0 && now > READ_ONCE(vm->peak_resident_pages))
        WRITE_ONCE(vm->peak_resident_pages, now);
}

void vmspace_flush(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    __atomic_fetch_add(&vm->flushes_begun, 1, __ATOMIC_SEQ_CST);
    uint64_t cpus = __atomic_load_n(&vm->active_cpus, __ATOMIC_SEQ_CST);
    if (cpus)
        arch_tlb_flush(cpus, start, end);
    __atomic_fetch_add(&vm->flushes_done, 1, __ATOMIC_SEQ_CST);
}

static void batch_init(struct zap_batch *batch, struct vmspace *vm)
{
    batch->vm = vm;
    batch->start = UINTPTR_MAX;
    batch->end = 0;
    batch->npages = 0;
    batch->nframes = 0;
    batch->nchained = 0;
    list_init(&batch->chain);
}

static void batch_flush(struct zap_batch *batch)
{
    if (batch->start < batch->end)
        vmspace_flush(batch->vm, batch->start, batch->end);
    vmspace_count_resident(batch->vm, -batch->npages);
    for (unsigned i = 0; i < batch->nframes; i++) {
        if (batch->shared[i].is_large)
            frame_large_put(batch->shared[i].frame);
        else
            frame_put(batch->shared[i].frame);
    }
    while (!list_is_empty(&batch->chain)) {
        struct frame *frame = list_first(&batch->chain, struct frame, node);
        list_remove(&frame->node);
        frame_put(frame);
    }
    batch_init(batch, batch->vm);
}

static void batch_add(struct zap_batch *batch, uintptr_t address, struct arch_pte pte)
{
    struct frame *frame = pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);
    bool is_large = pte.size == LARGE_PAGE_SIZE;

    debug_assert(address % pte.size == 0);
    batch->start = MIN(batch->start, address);
    batch->end = MAX(batch->end, address + pte.size);
    batch->npages += (int64_t)(pte.size >> PAGE_SHIFT);
    if (frame && !is_large && !frame->cache &&
        __atomic_load_n(&frame->refcount, __ATOMIC_ACQUIRE) == 1) {
        list_push_back(&batch->chain, &frame->node);
        batch->nchained++;
    } else if (frame) {
        batch->shared[batch->nframes].frame = frame;
        batch->shared[batch->nframes++].is_large = is_large;
    }
}

int vmspace_zap(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct arch_pt_page page[BATCH];
    struct zap_batch batch;
    struct arch_pte pte;
    int err = 0;

    batch_init(&batch, vm);
    mutex_lock(&vm->table_lock);
    while (start < end && !err) {
        unsigned room = MIN(BATCH - batch.nframes, CHAIN_MAX - batch.nchained);
        unsigned n = arch_pt_scan(&vm->table, &start, end, PT_SCAN_CLEAR, page, room);
        for (unsigned i = 0; i < n; i++)
            batch_add(&batch, page[i].address, page[i].pte);
        if (start < end && n < room)
            err = vmspace_split_locked(vm, start, &pte);
        if (batch.nframes == BATCH || batch.nchained == CHAIN_MAX) {
            mutex_unlock(&vm->table_lock);
            batch_flush(&batch);
            sched_check();
            mutex_lock(&vm->table_lock);
        }
    }
    mutex_unlock(&vm->table_lock);
    batch_flush(&batch);
    return err;
}

void vmspace_trim(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct mapping *above = mapping_find(vm, start), *below = NULL;
    uintptr_t gap_start = 0, gap_end = APP_MAX;

    /* An empty table left here is used again by the next mapping; freeing it would interrupt all CPUs. */
    if (end - start < TRIM_MIN)
        return;
    if (above) {
        below = mapping_prev(above);
        gap_end = above->start;
    } else if (rb_last(&vm->mappings)) {
        below = rb_entry(rb_last(&vm->mappings), struct mapping, node);
    }
    if (below)
        gap_start = below->end;
    /* Only tables that lie in the gap as a whole. */
    start = MAX(ALIGN_DOWN(start, LARGE_PAGE_SIZE), ALIGN_UP(gap_start, LARGE_PAGE_SIZE));
    end = MIN(ALIGN_UP(end, LARGE_PAGE_SIZE), ALIGN_DOWN(gap_end, LARGE_PAGE_SIZE));
    if (start >= end)
        return;
    mutex_lock(&vm->table_lock);
    arch_pt_trim(&vm->table, start, end);
    mutex_unlock(&vm->table_lock);
}

int vmspace_split_locked(struct vmspace *vm, uintptr_t address, struct arch_pte *pte)
{
    assert_held(&vm->table_lock);
    *pte = arch_pt_lookup(&vm->table, address);
    if (pte->size != LARGE_PAGE_SIZE)
        return 0;
    struct frame *frame = frame_of(pte->paddr);
    int err = arch_pt_split(&vm->table, address);
    if (err)
        return err;
    frame_split(frame);
    *pte = arch_pt_lookup(&vm->table, address);
    return 0;
}

int vmspace_split_large(struct vmspace *vm, uintptr_t address)
{
    struct arch_pte pte;

    if (address % LARGE_PAGE_SIZE == 0)
        return 0;
    mutex_lock(&vm->table_lock);
    int err = vmspace_split_locked(vm, address, &pte);
    mutex_unlock(&vm->table_lock);
    return err;
}

bool pte_is_exclusive(struct arch_pte pte)
{
    struct frame *frame = pte.size == 0 || pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);

    if (!frame || frame->cache)
        return false;
    if (pte.size == LARGE_PAGE_SIZE)
        return frame_large_is_exclusive(frame);
    return __atomic_load_n(&frame->refcount, __ATOMIC_ACQUIRE) == 1;
}

static unsigned new_prot(const struct mapping *mapping, struct arch_pte pte)
{
    unsigned prot = mapping_pt_prot(mapping);

    if (prot & PT_WRITE && !(pte.prot & PT_WRITE)) {
        bool may_write = mapping->flags & ABI_MAP_SHARED ? !pagecache_tracks_writes(mapping->cache)
                                                         : pte_is_exclusive(pte);
        if (!may_write)
            prot &= ~PT_WRITE; /* left to the page fault */
    }
    return prot | (pte.prot & PT_SPECIAL);
}

void vmspace_reprotect(struct mapping *mapping, uintptr_t start, uintptr_t end)
{
    struct vmspace *vm = mapping->vmspace;
    uintptr_t flush_start = UINTPTR_MAX, flush_end = 0;
    struct arch_pt_page page;

    mutex_lock(&vm->table_lock);
    while (arch_pt_scan(&vm->table, &start, end, PT_SCAN_LOOK, &page, 1)) {
        unsigned prot = new_prot(mapping, page.pte);
        if (prot != page.pte.prot)
            arch_pt_protect(&vm->table, page.address, prot);
        if (page.pte.prot & ~prot) {
            flush_start = MIN(flush_start, page.address);
            flush_end = page.address + page.pte.size;
        }
    }
    mutex_unlock(&vm->table_lock);
    if (flush_start < flush_end)
        vmspace_flush(vm, flush_start, flush_end);
}

/* Enters all of [from, from + length) at to, or as far as memory for tables goes: where that was. */
static int copy_entries(struct vmspace *vm, uintptr_t from, uintptr_t to, size_t length,
                        uintptr_t *done)
{
    bool same_alignment = (from ^ to) % LARGE_PAGE_SIZE == 0;
    uintptr_t next = from;
    struct arch_pt_page page;
    int err = 0;

    while (!err && arch_pt_scan(&vm->table, &next, from + length, PT_SCAN_LOOK, &page, 1)) {
        *done = page.address;
        if (page.pte.size == LARGE_PAGE_SIZE && !same_alignment) {
            err = vmspace_split_locked(vm, page.address, &page.pte);
            next = page.address;
            continue;
        }
        err = arch_pt_map(&vm->table, page.address - from + to, page.pte.paddr, page.pte.size,
                          page.pte.prot);
    }
    return err;
}

static void clear_entries(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct arch_pt_page page;

    while (arch_pt_scan(&vm->table, &start, end, PT_SCAN_CLEAR, &page, 1))
        ;
}

int vmspace_move_pages(struct vmspace *vm, uintptr_t from, uintptr_t to, size_t length,
                       size_t *reached)
{
    uintptr_t done = from;

    mutex_lock(&vm->table_lock);
    int err = copy_entries(vm, from, to, length, &done);
    if (err)
        clear_entries(vm, to, done - from + to);
    else
        clear_entries(vm, from, from + length);
    mutex_unlock(&vm->table_lock);
    uintptr_t start = err ? to : from;
    vmspace_flush(vm, start, start + length);
    *reached = err ? done - from : length;
    return err;
}
