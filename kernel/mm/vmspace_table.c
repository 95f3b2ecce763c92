// SPDX-License-Identifier: MIT
/*
 * Page-table entries of address spaces: clearing, protecting, splitting and moving ranges.
 *
 * All entries change under vm->table_lock.  An entry that is cleared or restricted is flushed from the TLBs
 * of all CPUs that have the address space loaded before its frame is given back, so frames
 * are collected in a batch, flushed once, then put (vmspace_flush(), vmspace_rest()).  Empty ranges are
 * skipped by the size of the hole, which makes terabytes of reserved space cheap.
 *
 * A large page has one reference, that of its entry: it is split into single frames before it is
 * shared or used in part.
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
    unsigned nframes;
    unsigned nchained;
    struct frame *frame[BATCH];
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
    batch->nframes = 0;
    batch->nchained = 0;
    list_init(&batch->chain);
}

static void batch_flush(struct zap_batch *batch)
{
    if (batch->start < batch->end)
        vmspace_flush(batch->vm, batch->start, batch->end);
    for (unsigned i = 0; i < batch->nframes; i++)
        frame_put(batch->frame[i]);
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

    batch->start = MIN(batch->start, address);
    batch->end = MAX(batch->end, address + pte.size);
    if (frame && !frame->cache && __atomic_load_n(&frame->refcount, __ATOMIC_ACQUIRE) == 1) {
        list_push_back(&batch->chain, &frame->node);
        batch->nchained++;
    } else if (frame) {
        batch->frame[batch->nframes++] = frame;
    }
    vmspace_count_resident(batch->vm, -(int64_t)(pte.size >> PAGE_SHIFT));
}

/* Where the next entry after the hole at address can be. */
static uintptr_t hole_end(uintptr_t address, size_t hole)
{
    return ALIGN_DOWN(address, hole) + hole;
}

void vmspace_zap(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct zap_batch batch;

    batch_init(&batch, vm);
    mutex_lock(&vm->table_lock);
    for (uintptr_t at = start; at < end;) {
        struct arch_pte pte = arch_pt_clear(&vm->table, at);
        if (pte.size == 0) {
            size_t hole = PAGE_SIZE;
            (void)arch_pt_lookup(&vm->table, at, &hole);
            at = hole_end(at, hole);
            continue;
        }
        debug_assert(at % pte.size == 0 && at + pte.size <= end);
        batch_add(&batch, at, pte);
        at += pte.size;
        if (batch.nframes == BATCH || batch.nchained == CHAIN_MAX) {
            mutex_unlock(&vm->table_lock);
            batch_flush(&batch);
            sched_check();
            mutex_lock(&vm->table_lock);
        }
    }
    mutex_unlock(&vm->table_lock);
    batch_flush(&batch);
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

int vmspace_split_large(struct vmspace *vm, uintptr_t address)
{
    int err = 0;

    if (address % LARGE_PAGE_SIZE == 0)
        return 0;
    mutex_lock(&vm->table_lock);
    struct arch_pte pte = arch_pt_lookup(&vm->table, address, NULL);
    if (pte.size == LARGE_PAGE_SIZE) {
        err = arch_pt_split(&vm->table, address);
        if (!err)
            frame_split(frame_of(ALIGN_DOWN(pte.paddr, LARGE_PAGE_SIZE)));
    }
    mutex_unlock(&vm->table_lock);
    return err;
}

/* Whether a private page may be written without a copy: nobody else has it. */
static bool is_exclusive(struct arch_pte pte)
{
    struct frame *frame = pte.prot & PT_SPECIAL ? NULL : frame_of(pte.paddr);

    return frame && !frame->cache && __atomic_load_n(&frame->refcount, __ATOMIC_ACQUIRE) == 1;
}

static unsigned new_prot(const struct mapping *mapping, struct arch_pte pte)
{
    unsigned prot = mapping_pt_prot(mapping);

    if (prot & PT_WRITE && !(pte.prot & PT_WRITE)) {
        bool may_write = mapping->flags & ABI_MAP_SHARED ? !pagecache_tracks_writes(mapping->cache)
                                                         : is_exclusive(pte);
        if (!may_write)
            prot &= ~PT_WRITE; /* left to the page fault */
    }
    return prot | (pte.prot & PT_SPECIAL);
}

void vmspace_reprotect(struct mapping *mapping, uintptr_t start, uintptr_t end)
{
    struct vmspace *vm = mapping->vmspace;
    uintptr_t flush_start = UINTPTR_MAX, flush_end = 0;

    mutex_lock(&vm->table_lock);
    for (uintptr_t at = start; at < end;) {
        size_t hole = PAGE_SIZE;
        struct arch_pte pte = arch_pt_lookup(&vm->table, at, &hole);
        if (pte.size == 0) {
            at = hole_end(at, hole);
            continue;
        }
        unsigned prot = new_prot(mapping, pte);
        if (prot != pte.prot)
            arch_pt_protect(&vm->table, at, prot);
        if (pte.prot & ~prot) {
            flush_start = MIN(flush_start, at);
            flush_end = at + pte.size;
        }
        at += pte.size;
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
    int err = 0;

    for (*done = from; !err && *done < from + length;) {
        size_t hole = PAGE_SIZE;
        struct arch_pte pte = arch_pt_lookup(&vm->table, *done, &hole);
        if (pte.size == 0) {
            *done = hole_end(*done, hole);
            continue;
        }
        if (pte.size == LARGE_PAGE_SIZE && !same_alignment) {
            err = arch_pt_split(&vm->table, *done);
            if (!err)
                frame_split(frame_of(ALIGN_DOWN(pte.paddr, LARGE_PAGE_SIZE)));
            continue;
        }
        err = arch_pt_map(&vm->table, *done - from + to, pte.paddr, pte.size, pte.prot);
        if (!err)
            *done += pte.size;
    }
    return err;
}

static void clear_entries(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    for (uintptr_t at = start; at < end;) {
        size_t hole = PAGE_SIZE;
        struct arch_pte pte = arch_pt_lookup(&vm->table, at, &hole);
        if (pte.size != 0)
            arch_pt_clear(&vm->table, at);
        at = pte.size != 0 ? at + pte.size : hole_end(at, hole);
    }
}

int vmspace_move_pages(struct vmspace *vm, uintptr_t from, uintptr_t to, size_t length)
{
    uintptr_t done;

    mutex_lock(&vm->table_lock);
    int err = copy_entries(vm, from, to, length, &done);
    if (err)
        clear_entries(vm, to, MIN(done, from + length) - from + to);
    else
        clear_entries(vm, from, from + length);
    mutex_unlock(&vm->table_lock);
    uintptr_t start = err ? to : from;
    vmspace_flush(vm, start, start + length);
    return err;
}
