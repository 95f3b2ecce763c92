// SPDX-License-Identifier: MIT
/*
 * Address spaces: creation, the mappings as mmap, munmap and mprotect change them, and which CPUs
 * have the table loaded.
 *
 * Changes follow one order: check and allocate while nothing has been touched; cut mappings at the borders of
 * the range; change the tree; clear page-table entries; and, once the lock is released, drop the
 * references of what was removed, because the last reference on a file may take any lock.
 * * A CPU that runs kernel threads or is idle keeps the last table loaded but is not interrupted for its TLB
 * flushes: it does not use the application half, and vmspace_activate() finds out by two counts whether it
 * missed one.  vmspace_put() makes such CPUs leave before it frees the table, and page tables are freed
 * only after a flush of all CPUs (arch_pt_trim).
 */
#include "kernel/mm/vmspace.h"

#include "abi/errno.h"
#include "kernel/entropy.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_object.h"
#include "kernel/mm/oom.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/process_files.h"
#include "kernel/rlimit.h"

#define LOOK_MAX          16u
#define STACK_RANDOM_SIZE (16UL << 30) /* as Linux: what the stack's place may vary by */
#define MMAP_RANDOM_BITS  28           /* pages */
#define NEAR_DISTANCE     (1UL << 30)

unsigned long vmspace_mappings_max = 65530;

/* ---- Life ------------------------------------------------------------------------- */

/* Below the stack, whatever its limit, and a random number of pages further down. */
static uintptr_t choose_mmap_top(bool is_randomized)
{
    uint64_t gap = rlimit_current(LIMIT_STACK), pad = STACK_GUARD_SIZE, random = 0;

    if (gap == LIMIT_INFINITY)
        gap = 0;
    if (is_randomized) {
        random = random64() & ((1UL << MMAP_RANDOM_BITS) - 1);
        pad += STACK_RANDOM_SIZE;
    }
    gap = MIN(gap, APP_MAX / 6 * 5) + pad;
    gap = MIN(MAX(gap, 128UL << 20), APP_MAX / 6 * 5);
    return ALIGN_DOWN(APP_MAX - gap - (random << PAGE_SHIFT), PAGE_SIZE);
}

int vmspace_create(bool is_randomized, struct vmspace **out)
{
    struct vmspace *vm = kzalloc(sizeof(*vm), ALLOC_WAIT);

    if (!vm)
        return -ENOMEM;
    int err = arch_pt_create(&vm->table);
    if (err) {
        kfree(vm);
        return err;
    }
    vm->refcount = 1;
    vm->nholders = 1;
    rwlock_init(&vm->lock, RANK_VMSPACE);
    mutex_init(&vm->table_lock, RANK_VMSPACE_TABLE);
    vm->mmap_top = choose_mmap_top(is_randomized);
    vm->search_from = vm->mmap_top;
    *out = vm;
    return 0;
}

struct vmspace *vmspace_get(struct vmspace *vm)
{
    __atomic_fetch_add(&vm->refcount, 1, __ATOMIC_RELAXED);
    return vm;
}

struct vmspace *vmspace_hold(struct vmspace *vm)
{
    __atomic_fetch_add(&vm->nholders, 1, __ATOMIC_RELAXED);
    return vm;
}

void vmspace_drop(struct vmspace *vm)
{
    if (vm && __atomic_sub_fetch(&vm->nholders, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(vm);
}

bool vmspace_try_get(struct vmspace *vm)
{
    unsigned count = __atomic_load_n(&vm->refcount, __ATOMIC_RELAXED);

    while (count > 0) {
        if (__atomic_compare_exchange_n(&vm->refcount, &count, count + 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

void vmspace_activate(struct vmspace *vm)
{
    struct percpu *percpu = arch_percpu();
    struct vmspace *old = percpu->vmspace;
    uint64_t bit = 1ULL << percpu->cpu;
    if (vm == old && !percpu->vmspace_rests)
        return;
    percpu->vmspace_rests = false;
    /* The bits are set before the table is loaded and cleared after it is left, so a flush by
     * mask always reaches this CPU; SEQ_CST pairs with the loads of the mask after a change of entries. */
    if (vm) {
        __atomic_fetch_or(&vm->loaded_cpus, bit, __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&vm->active_cpus, bit, __ATOMIC_SEQ_CST);
    }
    if (vm == old) {
        if (vm && __atomic_load_n(&vm->flushes_begun, __ATOMIC_SEQ_CST) != percpu->flushes_seen)
            arch_pt_activate(&vm->table);
        return;
    }
    percpu->vmspace = vm;
    arch_pt_activate(vm ? &vm->table : arch_pt_kernel());
    if (old) {
        __atomic_fetch_and(&old->active_cpus, ~bit, __ATOMIC_SEQ_CST);
        __atomic_fetch_and(&old->loaded_cpus, ~bit, __ATOMIC_SEQ_CST);
    }
}

void vmspace_rest(void)
{
    struct percpu *percpu = arch_percpu();
    struct vmspace *vm = percpu->vmspace;

    if (!vm || percpu->vmspace_rests || arch_cpu_count() == 1)
        return;
    /* A flush that is under way now may miss this CPU: it counts as begun but not as done, and so makes
     * vmspace_activate() flush.  One that is done has reached it. */
    percpu->flushes_seen = __atomic_load_n(&vm->flushes_done, __ATOMIC_SEQ_CST);
    percpu->vmspace_rests = true;
    __atomic_fetch_and(&vm->active_cpus, ~(1ULL << percpu->cpu), __ATOMIC_SEQ_CST);
}

static void leave_table(void *arg)
{
    if (arch_percpu()->vmspace == arg)
        vmspace_activate(NULL);
}

void vmspace_put(struct vmspace *vm)
{
    struct list dead = LIST_INIT(dead);

    if (!vm || __atomic_sub_fetch(&vm->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    uint64_t loaded = __atomic_load_n(&vm->loaded_cpus, __ATOMIC_SEQ_CST);
    if (loaded)
        arch_call_on_cpus(loaded, leave_table, vm);
    if (vm->aio)
        vm->aio->release(vm->aio);
    arch_vmspace_release(vm);

    write_lock(&vm->lock);
    while (vm->mappings.root)
        mapping_remove(rb_entry(vm->mappings.root, struct mapping, node), &dead);
    (void)vmspace_zap(vm, 0, APP_MAX);
    write_unlock(&vm->lock);
    mappings_destroy(&dead);
    debug_assert(vm->resident_pages == 0);
    arch_pt_destroy(&vm->table);
    oom_memory_freed(vm);
    vmspace_drop(vm);
}

/* ---- Limits ----------------------------------------------------------------------- */

static bool is_over(uint64_t used, uint64_t more, int resource)
{
    uint64_t limit = rlimit_current(resource);

    return limit != LIMIT_INFINITY && (more > limit || used > limit - more);
}

int vmspace_may_grow(struct vmspace *vm, size_t bytes, size_t data_bytes, size_t backed_bytes)
{
    struct frame_stats stats;

    if (bytes > 0 && is_over(vm->mapped_bytes, bytes, LIMIT_AS))
        return -ENOMEM;
    if (data_bytes > 0 && is_over(vm->data_bytes, data_bytes, LIMIT_DATA))
        return -ENOMEM;
    if (backed_bytes == 0)
        return 0;
    /* Linux's heuristic overcommit refuses only what could never be there. */
    frame_get_stats(&stats);
    return backed_bytes >> PAGE_SHIFT > stats.total_pages ? -ENOMEM : 0;
}

/* Whether memory must be able to back it: private and written, or shared and without a file. */
static bool is_accountable(const struct vmspace_map_args *args)
{
    unsigned needs = args->flags & ABI_MAP_SHARED ? args->flags & ABI_MAP_ANONYMOUS
                                                  : args->prot & ABI_PROT_WRITE;

    return needs && !(args->flags & ABI_MAP_NORESERVE);
}

/* Bytes of [start, end) that are mapped now and would be replaced. */
static uint64_t mapped_within(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    uint64_t bytes = 0;

    for (struct mapping *m = mapping_find(vm, start); m && m->start < end; m = mapping_next(m))
        bytes += MIN(m->end, end) - MAX(m->start, start);
    return bytes;
}

/* ---- Mapping ---------------------------------------------------------------------- */

/* Where: checks a fixed place, or a hint, or searches. */
static int choose_place(struct vmspace *vm, const struct vmspace_map_args *args, uintptr_t *place)
{
    uintptr_t address = args->address;
    unsigned fixed = args->flags & (ABI_MAP_FIXED | ABI_MAP_FIXED_NOREPLACE);

    if (args->length > APP_MAX - APP_MIN)
        return -ENOMEM;
    if (args->below) {
        uintptr_t low = args->below > NEAR_DISTANCE ? args->below - NEAR_DISTANCE : 0;
        *place = vmspace_find_room_in(vm, args->length, low, args->below);
        return *place ? 0 : -ENOMEM;
    }
    if (fixed) {
        if (address % PAGE_SIZE != 0)
            return -EINVAL;
        if (address > APP_MAX - args->length)
            return -ENOMEM;
        if (address < APP_MIN)
            return -EPERM;
        if (args->flags & ABI_MAP_FIXED_NOREPLACE) {
            struct mapping *there = mapping_find(vm, address);
            if (there && there->start < address + args->length)
                return -EEXIST;
        }
        *place = address;
        return 0;
    }
    address = ALIGN_DOWN(address, PAGE_SIZE);
    if (address != 0) {
        address = MAX(address, MMAP_LOW);
        bool is_in_reach = !(args->flags & ABI_MAP_32BIT) || address + args->length <= 0x80000000UL;
        if (address <= APP_MAX - args->length && is_in_reach &&
            vmspace_is_free(vm, address, address + args->length)) {
            *place = address;
            return 0;
        }
    }
    *place = vmspace_find_room(vm, args->length, args->flags);
    return *place ? 0 : -ENOMEM;
}

#define KEPT_FLAGS                                                                                 \
    (ABI_MAP_SHARED | ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_GROWSDOWN | ABI_MAP_STACK |    \
     ABI_MAP_NORESERVE | ABI_MAP_LOCKED | MAPPING_FLAGS)

static struct mapping *mapping_of_args(const struct vmspace_map_args *args)
{
    struct mapping *mapping = kzalloc(sizeof(*mapping), ALLOC_WAIT);

    if (!mapping)
        return NULL;
    mapping->prot = args->prot & (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC);
    mapping->max_prot =
        args->max_prot ? args->max_prot : ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC;
    mapping->flags = args->flags & KEPT_FLAGS;
    mapping->name = args->name;
    mapping->cache = args->cache ? pagecache_get(args->cache) : NULL;
    mapping->offset = args->cache ? args->offset : 0;
    mapping->file = args->file ? file_get(args->file) : NULL;
    mapping->object = args->object;
    if (mapping->object)
        mapping->object->ops->attach(mapping->object);
    return mapping;
}

int vmspace_map_locked(struct vmspace *vm, const struct vmspace_map_args *args, uintptr_t *out,
                       struct list *dead)
{
    /* As Linux: asked of what was there before, so that there can be one more than the limit. */
    if (vm->nmappings > READ_ONCE(vmspace_mappings_max))
        return -ENOMEM;
    int err = choose_place(vm, args, out);
    if (err)
        return err;
    uintptr_t start = *out, end = start + args->length;
    uint64_t replaced = mapped_within(vm, start, end);
    uint64_t more = args->length - replaced;

    err = vmspace_may_grow(vm, more, mapping_is_data(args->prot, args->flags) ? more : 0,
                           is_accountable(args) ? args->length : 0);
    if (err)
        return err;
    struct mapping *mapping = mapping_of_args(args);
    if (!mapping)
        return -ENOMEM;
    err = replaced > 0 ? vmspace_unmap_locked(vm, start, end, dead) : 0;
    if (err) {
        list_push_back(dead, &mapping->cache_node);
        return err;
    }
    mapping->start = start;
    mapping->end = end;
    mapping_insert(vm, mapping);
    mapping = mapping_merge_before(mapping);
    if (mapping_next(mapping))
        mapping_merge_before(mapping_next(mapping));
    return 0;
}

/* Shared anonymous memory is a page cache of its own. */
static int make_shared_memory(struct vmspace_map_args *args)
{
    int err = pagecache_create(NULL, NULL, &args->cache);
    if (!err)
        pagecache_set_size(args->cache, args->length);
    args->offset = 0;
    return err;
}

int vmspace_map(struct vmspace *vm, const struct vmspace_map_args *wanted, uintptr_t *out)
{
    struct vmspace_map_args args = *wanted;
    struct list dead = LIST_INIT(dead);
    unsigned type = args.flags & ABI_MAP_TYPE;
    int err = 0;

    if (args.length == 0 || (type != ABI_MAP_SHARED && type != ABI_MAP_PRIVATE) ||
        args.offset % PAGE_SIZE != 0)
        return -EINVAL;
    if (args.length > APP_MAX)
        return -ENOMEM;
    args.length = ALIGN_UP(args.length, PAGE_SIZE);
    if (args.cache && args.offset + args.length < args.offset)
        return -EOVERFLOW;
    bool is_own_cache = !args.cache && type == ABI_MAP_SHARED;
    if (is_own_cache)
        err = make_shared_memory(&args);
    if (err)
        return err;

    write_lock(&vm->lock);
    err = vmspace_map_locked(vm, &args, out, &dead);
    write_unlock(&vm->lock);
    mappings_destroy(&dead);
    if (is_own_cache)
        pagecache_put(args.cache);
    return err;
}

/* ---- Unmapping and protecting -------------------------------------------------------- */

int vmspace_unmap_locked(struct vmspace *vm, uintptr_t start, uintptr_t end, struct list *dead)
{
    int err = start < end ? vmspace_cut_out(vm, start, end) : 0;
    if (err || start >= end)
        return err;
    struct mapping *mapping = mapping_find(vm, start);

    if (!mapping || mapping->start >= end)
        return 0;
    while (mapping && mapping->start < end) {
        struct mapping *next = mapping_next(mapping);
        mapping_remove(mapping, dead);
        mapping = next;
    }
    (void)vmspace_zap(vm, start, end);
    vmspace_trim(vm, start, end);
    vmspace_room_freed(vm, start, end);
    return 0;
}

int vmspace_unmap(struct vmspace *vm, uintptr_t address, size_t length)
{
    struct list dead = LIST_INIT(dead);

    if (address % PAGE_SIZE != 0 || length == 0 || length > APP_MAX || address > APP_MAX - length)
        return -EINVAL;
    write_lock(&vm->lock);
    int err = vmspace_unmap_locked(vm, address, address + ALIGN_UP(length, PAGE_SIZE), &dead);
    write_unlock(&vm->lock);
    mappings_destroy(&dead);
    return err;
}

/* One mapping's share of mprotect of [start, end); it may come out merged with its neighbour below. */
static int protect_part(struct vmspace *vm, struct mapping **mapping, uintptr_t start,
                        uintptr_t end, unsigned prot)
{
    struct mapping *part = *mapping;
    uintptr_t stop = MIN(part->end, end);
    bool becomes_data =
        mapping_is_data(prot, part->flags) && !mapping_is_data(part->prot, part->flags);

    if (prot & ~part->max_prot)
        return -EACCES;
    if (part->prot == prot) {
        /* Nothing to cut, also at the limit on mappings; alike is only a neighbour that was changed just now. */
        if (part->start > start)
            *mapping = mapping_merge_before(part);
        return 0;
    }
    size_t data = becomes_data ? stop - part->start : 0;
    int err = vmspace_may_grow(vm, 0, data, part->flags & ABI_MAP_NORESERVE ? 0 : data);
    if (!err && stop < part->end)
        err = vmspace_cut(vm, stop);
    if (err)
        return err;
    mapping_set_prot(part, prot);
    vmspace_reprotect(part, part->start, stop);
    *mapping = mapping_merge_before(part);
    return 0;
}

static int protect_locked(struct vmspace *vm, uintptr_t start, uintptr_t end, unsigned prot)
{
    struct mapping *mapping = mapping_at(vm, start);
    int err = mapping ? 0 : -ENOMEM;

    if (mapping && mapping->prot != prot)
        err = vmspace_cut(vm, start);
    if (err)
        return err;
    mapping = mapping_at(vm, start);
    for (uintptr_t at = start; at < end;) {
        if (!mapping || mapping->start > at)
            return -ENOMEM; /* what came before the hole has been changed, as on Linux */
        err = protect_part(vm, &mapping, start, end, prot);
        if (err)
            return err;
        at = mapping->end;
        mapping = mapping_next(mapping);
    }
    if (mapping)
        mapping_merge_before(mapping);
    return 0;
}

int vmspace_protect(struct vmspace *vm, uintptr_t address, size_t length, unsigned prot)
{
    if (address % PAGE_SIZE != 0)
        return -EINVAL;
    if (length == 0)
        return 0;
    if (length > APP_MAX || address > APP_MAX - length)
        return -ENOMEM;
    write_lock(&vm->lock);
    int err = protect_locked(vm, address, address + ALIGN_UP(length, PAGE_SIZE),
                             prot & (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC));
    write_unlock(&vm->lock);
    return err;
}

/* ---- Looking ---------------------------------------------------------------------------- */

void vmspace_for_each(struct vmspace *vm, bool (*visit)(const struct mapping *mapping, void *arg),
                      void *arg)
{
    read_lock(&vm->lock);
    struct mapping *mapping = mapping_find(vm, 0);
    while (mapping && visit(mapping, arg))
        mapping = mapping_next(mapping);
    read_unlock(&vm->lock);
}

static struct vmspace_page page_seen(const struct arch_pt_page *page, uintptr_t end)
{
    struct frame *frame = page->pte.prot & PT_SPECIAL ? NULL : frame_of(page->pte.paddr);
    uint32_t nrefs = frame ? __atomic_load_n(&frame->refcount, __ATOMIC_RELAXED) : 1;
    struct pagecache *cache = frame ? READ_ONCE(frame->cache) : NULL;
    uintptr_t in_page = page->address & (page->pte.size - 1);

    return (struct vmspace_page){
        .address = page->address,
        .size = MIN(page->pte.size - in_page, end - page->address),
        .paddr = page->pte.paddr + in_page,
        .nsharers = MAX(nrefs - (cache != NULL), 1U), /* a cache has a reference, too */
        .has_cache = cache != NULL,
        .is_dirty = page->pte.is_dirty || (frame && frame->flags & FRAME_DIRTY),
        .is_accessed = page->pte.is_accessed,
    };
}

unsigned vmspace_look(struct vmspace *vm, uintptr_t *address, uintptr_t end,
                      struct vmspace_page *pages, unsigned max)
{
    struct arch_pt_page found[LOOK_MAX];

    mutex_lock(&vm->table_lock);
    unsigned n = arch_pt_scan(&vm->table, address, end, PT_SCAN_LOOK, found, MIN(max, LOOK_MAX));
    for (unsigned i = 0; i < n; i++)
        pages[i] = page_seen(&found[i], end);
    mutex_unlock(&vm->table_lock);
    return n;
}

bool vmspace_has_resident(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct arch_pt_page page;

    mutex_lock(&vm->table_lock);
    unsigned n = arch_pt_scan(&vm->table, &start, end, PT_SCAN_LOOK, &page, 1);
    mutex_unlock(&vm->table_lock);
    return n > 0;
}
