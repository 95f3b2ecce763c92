// SPDX-License-Identifier: MIT
/*
 * Page faults: what is behind an address comes into being when it is first touched.
 *
 * Anonymous memory gets a zeroed page, or a zeroed large page where that is wise (large_is_wise()).
 * A private file mapping shares the page cache's frames read-only and copies one when it is written; a
 * shared one maps them as they are.  A read fault on a file also maps the neighbours that are
 * in the page cache already (fault_around()).
 *
 * Locking: vm->lock for reading throughout, so the mapping stays; faults of several threads meet at
 * vm->table_lock, under which the entry is looked at again before it is made.  For a file mapping
 * cache->lock is held from the look at the page to the end (see pagecache.c).  Memory is allocated
 * without table_lock.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/mm/oom.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

#define AROUND_PAGES     16
#define AROUND_SIZE      (AROUND_PAGES * PAGE_SIZE)
#define LARGE_MIN_FAULTS 4 /* a mapping's touches before it gets large pages unasked */
#define LARGE_MIN_SIZE   (2 * LARGE_PAGE_SIZE)

/* ---- Entries ------------------------------------------------------------------------ */

static struct arch_pte entry_at(struct vmspace *vm, uintptr_t page)
{
    mutex_lock(&vm->table_lock);
    struct arch_pte pte = arch_pt_lookup(&vm->table, page);
    mutex_unlock(&vm->table_lock);
    return pte;
}

/* Maps frame, whose reference is taken over, unless somebody was faster. */
static int install(struct vmspace *vm, uintptr_t page, struct frame *frame, size_t size,
                   unsigned prot)
{
    mutex_lock(&vm->table_lock);
    bool was_there = arch_pt_lookup(&vm->table, page).size != 0;
    int err = was_there ? 0 : arch_pt_map(&vm->table, page, frame_paddr(frame), size, prot);
    mutex_unlock(&vm->table_lock);

    if (err || was_there)
        frame_put(frame);
    else
        vmspace_count_resident(vm, (int64_t)(size >> PAGE_SHIFT));
    return err;
}

/* Brings an entry up to date with its mapping; more rights need no flush. */
static void refresh(struct mapping *mapping, uintptr_t page, bool writable)
{
    struct vmspace *vm = mapping->vmspace;

    mutex_lock(&vm->table_lock);
    struct arch_pte pte = arch_pt_lookup(&vm->table, page);
    unsigned prot = mapping_pt_prot(mapping) | (pte.prot & PT_SPECIAL);
    if (!writable && !(pte.prot & PT_WRITE))
        prot &= ~PT_WRITE;
    if (pte.size != 0 && pte.prot != prot)
        arch_pt_protect(&vm->table, page, prot);
    mutex_unlock(&vm->table_lock);
}

/* ---- Copy on write ------------------------------------------------------------------- */

/* Replaces the entry by frame, which it takes over. */
static int replace_page(struct mapping *mapping, uintptr_t page, struct arch_pte old,
                        struct frame *frame)
{
    struct vmspace *vm = mapping->vmspace;
    struct frame *shared = old.prot & PT_SPECIAL ? NULL : frame_of(old.paddr);

    mutex_lock(&vm->table_lock);
    struct arch_pte now = arch_pt_lookup(&vm->table, page);
    bool is_same = now.size == PAGE_SIZE && now.paddr == old.paddr && !(now.prot & PT_WRITE);
    int err = !is_same ? 0
                       : arch_pt_map(&vm->table, page, frame_paddr(frame), PAGE_SIZE,
                                     mapping_pt_prot(mapping));
    mutex_unlock(&vm->table_lock);
    if (!is_same || err) {
        frame_put(frame);
        return err;
    }
    /* Other CPUs must not go on reading the old page after this store. */
    vmspace_flush(vm, page, page + PAGE_SIZE);
    if (shared)
        frame_put(shared);
    return 0;
}

int mapping_copy_page(struct mapping *mapping, uintptr_t address, struct arch_pte old,
                      const void *bytes, size_t n)
{
    struct frame *copy = frame_alloc(0, ALLOC_WAIT | ALLOC_APP);
    if (!copy)
        return -ENOMEM;
    char *data = frame_address(copy);
    memcpy(data, arch_direct_map(old.paddr), PAGE_SIZE);
    if (n)
        memcpy(data + address % PAGE_SIZE, bytes, n);
    return replace_page(mapping, ALIGN_DOWN(address, PAGE_SIZE), old, copy);
}

/* The entry of a page that is to be written: what is left to copy, with a reference on its frame, or size 0
 * if nothing is. */
static int make_writable(struct mapping *mapping, uintptr_t page, struct arch_pte *pte)
{
    struct vmspace *vm = mapping->vmspace;

    *pte = arch_pt_lookup(&vm->table, page);
    bool is_done = pte->size == 0 || pte->prot & PT_WRITE;
    if (!is_done && pte_is_exclusive(*pte)) {
        arch_pt_protect(&vm->table, page, mapping_pt_prot(mapping));
        is_done = true;
    }
    int err = is_done ? 0 : vmspace_split_locked(vm, page, pte);
    if (is_done || err)
        pte->size = 0;
    else if (!(pte->prot & PT_SPECIAL))
        frame_get(frame_of(pte->paddr)); /* for the time of the copy */
    return err;
}

/* A store to a private page that is mapped read-only. */
static int copy_on_write(struct mapping *mapping, uintptr_t page)
{
    struct vmspace *vm = mapping->vmspace;
    struct arch_pte pte;

    mutex_lock(&vm->table_lock);
    int err = make_writable(mapping, page, &pte);
    mutex_unlock(&vm->table_lock);
    if (err || pte.size == 0)
        return err;

    err = mapping_copy_page(mapping, page, pte, NULL, 0);
    if (!(pte.prot & PT_SPECIAL))
        frame_put(frame_of(pte.paddr));
    return err;
}

/* Something is there: a stale TLB entry, rights that mprotect added, or copy-on-write. */
static int fault_present(struct mapping *mapping, uintptr_t page, unsigned access,
                         struct arch_pte pte)
{
    if (access == PT_WRITE && !(pte.prot & PT_WRITE))
        return copy_on_write(mapping, page);
    refresh(mapping, page, false);
    return 0;
}

/* ---- Anonymous memory ------------------------------------------------------------------ */

/*
 * A large page saves 511 faults but costs 2 MiB and the time to zero them.  It is worth it where the
 * program walks through its memory (the page before is there), or where a big mapping has been touched
 * several times; never for stacks, and only while a good part of all memory is free.
 */
static bool large_is_wise(struct mapping *mapping, uintptr_t page)
{
    uintptr_t block = ALIGN_DOWN(page, LARGE_PAGE_SIZE);
    struct frame_stats stats;

    if (block < mapping->start || mapping->end - block < LARGE_PAGE_SIZE ||
        mapping->flags & (MAPPING_NOHUGE | ABI_MAP_STACK | ABI_MAP_GROWSDOWN))
        return false;
    bool is_walked = block > mapping->start && entry_at(mapping->vmspace, block - PAGE_SIZE).size;
    bool is_big = mapping->end - mapping->start >= LARGE_MIN_SIZE &&
                  READ_ONCE(mapping->nfaults) >= LARGE_MIN_FAULTS;
    if (!is_walked && !is_big)
        return false;
    frame_get_stats(&stats);
    return stats.free_pages > stats.total_pages / 4 + 2 * (LARGE_PAGE_SIZE >> PAGE_SHIFT);
}

/* Whether nothing is mapped in the 2 MiB around page. */
static bool block_is_empty(struct vmspace *vm, uintptr_t page)
{
    uintptr_t block = ALIGN_DOWN(page, LARGE_PAGE_SIZE);

    return !vmspace_has_resident(vm, block, block + LARGE_PAGE_SIZE);
}

/* 0: there is a large page now; else not, whatever the reason. */
static int fault_large(struct mapping *mapping, uintptr_t page)
{
    if (!large_is_wise(mapping, page) || !block_is_empty(mapping->vmspace, page))
        return -ENOENT;
    struct frame *frame = frame_alloc(FRAME_ORDER_LARGE, ALLOC_APP | ALLOC_ZERO | ALLOC_NORECLAIM);
    if (!frame)
        return -ENOMEM;
    uintptr_t block = ALIGN_DOWN(page, LARGE_PAGE_SIZE);
    int err = install(mapping->vmspace, block, frame, LARGE_PAGE_SIZE, mapping_pt_prot(mapping));
    /* install() looked at the first page only; another one may have come in between: -EEXIST. */
    return err ? err : entry_at(mapping->vmspace, page).size ? 0 : -EEXIST;
}

static int fault_anonymous(struct mapping *mapping, uintptr_t page, unsigned access)
{
    struct vmspace *vm = mapping->vmspace;
    struct arch_pte pte = entry_at(vm, page);

    if (pte.size != 0)
        return fault_present(mapping, page, access, pte);
    if (fault_large(mapping, page) == 0)
        return 0;
    struct frame *frame = frame_alloc(0, ALLOC_WAIT | ALLOC_APP | ALLOC_ZERO);
    if (!frame)
        return -ENOMEM;
    return install(vm, page, frame, PAGE_SIZE, mapping_pt_prot(mapping));
}

/* ---- Files --------------------------------------------------------------------------- */

static struct arch_pt_page page_entry(uintptr_t address, struct frame *frame, unsigned prot)
{
    return (struct arch_pt_page){
        .address = address,
        .pte = { .paddr = frame_paddr(frame), .size = PAGE_SIZE, .prot = prot },
    };
}

/* Maps what the page cache has of the 16 pages around page, as a read fault would.  cache->lock is held. */
static void fault_around(struct mapping *mapping, uintptr_t page, unsigned prot)
{
    struct vmspace *vm = mapping->vmspace;
    struct pagecache *cache = mapping->cache;
    uintptr_t start = MAX(mapping->start, ALIGN_DOWN(page, AROUND_SIZE));
    uintptr_t end = MIN(mapping->end, ALIGN_DOWN(page, AROUND_SIZE) + AROUND_SIZE);
    struct arch_pt_page there[AROUND_PAGES], more[AROUND_PAGES];
    uintptr_t next = start;

    mutex_lock(&vm->table_lock);
    unsigned nthere = arch_pt_scan(&vm->table, &next, end, PT_SCAN_LOOK, there, AROUND_PAGES);
    unsigned nmore = 0, seen = 0;
    for (uintptr_t at = start; at < end; at += PAGE_SIZE) {
        if (seen < nthere && there[seen].address == at) {
            seen++;
            continue;
        }
        uint64_t index = mapping_page(mapping, at);
        if (index << PAGE_SHIFT >= cache->size_bytes)
            break;
        struct frame *frame = pagecache_present_locked(cache, index);
        if (frame)
            more[nmore++] = page_entry(at, frame, prot);
    }
    unsigned n = arch_pt_map_pages(&vm->table, more, nmore);
    mutex_unlock(&vm->table_lock);
    vmspace_count_resident(vm, n);
    for (; n < nmore; n++)
        frame_put(frame_of(more[n].pte.paddr));
}

static int fault_shared(struct mapping *mapping, uintptr_t page, unsigned access,
                        struct arch_pte pte)
{
    struct pagecache *cache = mapping->cache;
    unsigned prot = mapping_pt_prot(mapping);
    uint64_t index = mapping_page(mapping, page);
    struct frame *frame;

    if (pte.size != 0 && (access != PT_WRITE || pte.prot & PT_WRITE)) {
        refresh(mapping, page, false);
        return 0;
    }
    int err = pagecache_page_locked(cache, index, true, &frame);
    if (!err && access == PT_WRITE) {
        err = pagecache_dirty_locked(cache, index, frame);
        if (err)
            frame_put(frame);
    }
    if (err)
        return err;
    if (pte.size != 0) {
        frame_put(frame);
        refresh(mapping, page, true);
        return 0;
    }
    /* Where stores must be noticed, the entry is read-only until the first one. */
    if (access != PT_WRITE && pagecache_tracks_writes(cache))
        prot &= ~PT_WRITE;
    err = install(mapping->vmspace, page, frame, PAGE_SIZE, prot);
    if (!err && access != PT_WRITE)
        fault_around(mapping, page, prot);
    return err;
}

static int fault_private(struct mapping *mapping, uintptr_t page, unsigned access)
{
    unsigned prot = mapping_pt_prot(mapping);
    struct frame *frame;

    int err = pagecache_page_locked(mapping->cache, mapping_page(mapping, page), true, &frame);
    if (err)
        return err;
    if (access != PT_WRITE) {
        err = install(mapping->vmspace, page, frame, PAGE_SIZE, prot & ~PT_WRITE);
        if (!err)
            fault_around(mapping, page, prot & ~PT_WRITE);
        return err;
    }
    struct frame *copy = frame_alloc(0, ALLOC_WAIT | ALLOC_APP);
    if (copy)
        memcpy(frame_address(copy), frame_address(frame), PAGE_SIZE);
    frame_put(frame);
    return copy ? install(mapping->vmspace, page, copy, PAGE_SIZE, prot) : -ENOMEM;
}

static int fault_cached(struct mapping *mapping, uintptr_t page, unsigned access)
{
    struct pagecache *cache = mapping->cache;
    int err;

    mutex_lock(&cache->lock);
    struct arch_pte pte = entry_at(mapping->vmspace, page);
    bool is_private = !(mapping->flags & ABI_MAP_SHARED);
    if (is_private && pte.size != 0)
        err = fault_present(mapping, page, access, pte);
    else if (mapping_page(mapping, page) << PAGE_SHIFT >= cache->size_bytes)
        err = -EIO; /* behind the end of the file */
    else if (is_private)
        err = fault_private(mapping, page, access);
    else
        err = fault_shared(mapping, page, access, pte);
    mutex_unlock(&cache->lock);
    return err;
}

int mapping_fault(struct mapping *mapping, uintptr_t page, unsigned access)
{
    WRITE_ONCE(mapping->nfaults, READ_ONCE(mapping->nfaults) + 1);
    return mapping->cache ? fault_cached(mapping, page, access)
                          : fault_anonymous(mapping, page, access);
}

/* ---- The door ------------------------------------------------------------------------ */

static bool access_is_allowed(const struct mapping *mapping, unsigned access)
{
    if (access == PT_WRITE)
        return mapping->prot & ABI_PROT_WRITE;
    if (access == PT_EXEC)
        return mapping->prot & ABI_PROT_EXEC;
    return mapping->prot & (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC);
}

static int failed(struct fault_result *result, int signo, int code)
{
    *result = (struct fault_result){ .signo = signo, .code = code };
    return -EFAULT;
}

/* Extends the stack that lies above address down to it.  -EFAULT: there is none, or it must not. */
static int stack_grow(struct vmspace *vm, uintptr_t address)
{
    uintptr_t start = ALIGN_DOWN(address, PAGE_SIZE);
    int err = -EFAULT;

    write_lock(&vm->lock);
    struct mapping *stack = mapping_find(vm, address), *below = stack ? mapping_prev(stack) : NULL;
    if (stack && stack->start <= address) {
        err = 0; /* another thread was faster */
    } else if (stack && stack->flags & ABI_MAP_GROWSDOWN && start >= MMAP_LOW) {
        uint64_t limit = rlimit_current(LIMIT_STACK);
        bool is_close = below && below->prot != ABI_PROT_NONE &&
                        !(below->flags & ABI_MAP_GROWSDOWN) &&
                        start - below->end < STACK_GUARD_SIZE;
        size_t more = stack->start - start;
        if (!is_close && stack->end - start <= limit && !vmspace_may_grow(vm, more, 0, more)) {
            mapping_resize(stack, start, stack->end);
            err = 0;
        }
    }
    write_unlock(&vm->lock);
    return err;
}

/* -EAGAIN: address is in no mapping, but a stack above it might grow. */
static int fault_locked(struct vmspace *vm, uintptr_t address, unsigned access,
                        struct fault_result *result)
{
    struct mapping *mapping = mapping_find(vm, address);

    if (!mapping || address < mapping->start)
        return mapping && mapping->flags & ABI_MAP_GROWSDOWN
                   ? -EAGAIN
                   : failed(result, ABI_SIGSEGV, ABI_SEGV_MAPERR);
    if (!access_is_allowed(mapping, access))
        return failed(result, ABI_SIGSEGV, ABI_SEGV_ACCERR);
    int err = mapping_fault(mapping, ALIGN_DOWN(address, PAGE_SIZE), access);
    if (err == 0 || err == -ENOMEM)
        return err;
    return failed(result, ABI_SIGBUS, ABI_BUS_ADRERR);
}

int vmspace_fault(struct vmspace *vm, uintptr_t address, unsigned access,
                  struct fault_result *result)
{
    struct thread *self = arch_current();
    int err = -EAGAIN;

    if (address >= APP_MAX)
        return failed(result, ABI_SIGSEGV, ABI_SEGV_MAPERR);
    if (self && self->process)
        self->minor_faults++;
    while (err == -EAGAIN) {
        read_lock(&vm->lock);
        err = fault_locked(vm, address, access, result);
        read_unlock(&vm->lock);
        if (err == -EAGAIN && stack_grow(vm, address))
            return failed(result, ABI_SIGSEGV, ABI_SEGV_MAPERR);
        if (err == -ENOMEM && oom_wait() == 0)
            err = -EAGAIN;
    }
    return err == -ENOMEM ? failed(result, ABI_SIGKILL, ABI_SI_KERNEL) : err;
}

/* One page for vmspace_populate(); *next: where to go on. */
static int populate_page(struct vmspace *vm, uintptr_t page, unsigned access, uintptr_t *next)
{
    struct mapping *mapping = mapping_at(vm, page);

    if (!mapping)
        return -ENOMEM;
    if (access == 0)
        access = mapping->prot & ABI_PROT_WRITE && !(mapping->flags & ABI_MAP_SHARED) ? PT_WRITE
                                                                                      : PT_READ;
    if (!access_is_allowed(mapping, access))
        return -EFAULT;
    struct arch_pte pte = entry_at(vm, page);
    bool is_there =
        pte.size != 0 && pte.prot & PT_READ && (access != PT_WRITE || pte.prot & PT_WRITE);
    int err = is_there ? 0 : mapping_fault(mapping, page, access);
    if (!err && !is_there)
        pte = entry_at(vm, page);
    size_t step = MAX(pte.size, PAGE_SIZE);
    *next = ALIGN_DOWN(page, step) + step;
    return err;
}

int vmspace_populate(struct vmspace *vm, uintptr_t start, uintptr_t end, unsigned access)
{
    for (uintptr_t page = start; page < end;) {
        read_lock(&vm->lock);
        int err = populate_page(vm, page, access, &page);
        read_unlock(&vm->lock);
        if (err)
            return err;
        sched_check();
        if (signal_is_fatal_pending())
            return -EINTR;
    }
    return 0;
}
