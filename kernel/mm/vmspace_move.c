// SPDX-License-Identifier: MIT
/*
 * mremap(2) and brk(2): mappings that change their size or place.  Moving takes the page-table entries
 * along, not the bytes.
 */
#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/rlimit.h"

/* ---- mremap --------------------------------------------------------------------- */

struct remap {
    struct vmspace *vm;
    uintptr_t old, new;
    size_t old_length, new_length;
    unsigned flags;
    struct list dead;
};

/* Linux's vma_to_resize(). */
static int check_resize(const struct remap *remap, const struct mapping *mapping)
{
    size_t more = remap->new_length - remap->old_length;

    if (remap->old_length == 0 && !(mapping->flags & ABI_MAP_SHARED))
        return -EINVAL;
    if (remap->old_length > mapping->end - remap->old)
        return -EFAULT;
    if (remap->new_length <= remap->old_length)
        return 0;
    if (mapping->cache &&
        mapping->offset + (remap->old - mapping->start) + remap->new_length < remap->new_length)
        return -EINVAL;
    if (mapping->flags & ABI_MAP_LOCKED && vmspace_may_lock(remap->vm, more))
        return -EAGAIN;
    bool is_data = mapping_is_data(mapping->prot, mapping->flags);
    return vmspace_may_grow(remap->vm, more, is_data ? more : 0,
                            is_data && !(mapping->flags & ABI_MAP_NORESERVE) ? more : 0);
}

static bool grow_in_place(struct remap *remap, struct mapping *mapping)
{
    uintptr_t end = remap->old + remap->new_length;

    if (remap->old_length != mapping->end - remap->old || end > APP_MAX ||
        !vmspace_is_free(remap->vm, mapping->end, end))
        return false;
    mapping_resize(mapping, mapping->start, end);
    if (mapping_next(mapping))
        mapping_merge_before(mapping_next(mapping));
    return true;
}

/* The pages of the old place go to copy, which is listed already.  Page tables come out of the reserve, which is filled
 * again without the locks that reclaim takes; those of a turn that failed stay for the next. */
static int move_pages(struct remap *remap, struct mapping *copy)
{
    struct pagecache *cache = copy->cache;
    size_t failed_at = remap->old_length, reached;

    for (;;) {
        if (cache)
            mutex_lock(&cache->lock);
        int err =
            vmspace_move_pages(remap->vm, remap->old, remap->new, remap->old_length, &reached);
        if (cache)
            mutex_unlock(&cache->lock);
        if (!err || reached == failed_at || !frame_replenish())
            return err;
        failed_at = reached;
    }
}

/* Linux's rule for what a move may need on its way, when `more` mappings have been added. */
static bool has_room(const struct vmspace *vm, unsigned more)
{
    return vm->nmappings + more + 3UL < READ_ONCE(vmspace_mappings_max);
}

/* remap->new is free. */
static int move_mapping(struct remap *remap)
{
    struct vmspace *vm = remap->vm;
    uintptr_t old_end = remap->old + remap->old_length;
    int err = 0;

    if (!has_room(vm, 0))
        return -ENOMEM;
    if (remap->old_length > 0)
        err = vmspace_cut(vm, remap->old);
    if (!err && remap->old_length > 0)
        err = vmspace_cut(vm, old_end);
    if (err)
        return err;
    struct mapping *mapping = mapping_at(vm, remap->old);
    struct mapping *copy = mapping_clone(mapping, remap->old, old_end);
    if (!copy)
        return -ENOMEM;
    copy->start = remap->new;
    copy->end = remap->new + remap->new_length;
    mapping_insert(vm, copy);
    err = remap->old_length > 0 ? move_pages(remap, copy) : 0;
    if (err) {
        mapping_remove(copy, &remap->dead);
        return err;
    }
    if (remap->flags & ABI_MREMAP_DONTUNMAP) {
        mapping_set_flags(mapping, mapping->flags & ~ABI_MAP_LOCKED);
    } else if (remap->old_length > 0) {
        mapping_remove(mapping, &remap->dead);
        vmspace_trim(vm, remap->old, old_end);
        vmspace_room_freed(vm, remap->old, old_end);
    }
    copy = mapping_merge_before(copy);
    if (mapping_next(copy))
        mapping_merge_before(mapping_next(copy));
    return 0;
}

/* MREMAP_FIXED and MREMAP_DONTUNMAP. */
static int remap_to(struct remap *remap)
{
    struct vmspace *vm = remap->vm;
    bool is_fixed = remap->flags & ABI_MREMAP_FIXED;
    int err = 0;

    if (remap->new % PAGE_SIZE != 0 || remap->new_length > APP_MAX ||
        remap->new > APP_MAX - remap->new_length)
        return -EINVAL;
    if (is_fixed && remap->old + remap->old_length > remap->new &&
        remap->new + remap->new_length > remap->old)
        return -EINVAL;
    /* Unmapping at both places may leave one more each: to be known before anything is undone. */
    if (!has_room(vm, 2))
        return -ENOMEM;
    if (is_fixed && remap->new < APP_MIN)
        return -EPERM;
    if (is_fixed)
        err = vmspace_unmap_locked(vm, remap->new, remap->new + remap->new_length, &remap->dead);
    if (!err && remap->old_length > remap->new_length) {
        err = vmspace_unmap_locked(vm, remap->old + remap->new_length,
                                   remap->old + remap->old_length, &remap->dead);
        remap->old_length = remap->new_length;
    }
    if (err)
        return err;
    struct mapping *mapping = mapping_at(vm, remap->old);
    if (!mapping)
        return -EFAULT;
    err = check_resize(remap, mapping);
    if (err)
        return err;
    if (remap->flags & ABI_MREMAP_DONTUNMAP) {
        err = vmspace_may_grow(vm, remap->old_length, 0, 0);
        if (err)
            return err;
    }
    if (!is_fixed)
        remap->new = vmspace_find_room(vm, remap->new_length, mapping->flags);
    return remap->new ? move_mapping(remap) : -ENOMEM;
}

static int remap_locked(struct remap *remap)
{
    struct vmspace *vm = remap->vm;
    struct mapping *mapping = mapping_at(vm, remap->old);

    if (!mapping)
        return -EFAULT;
    if (remap->flags & (ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP))
        return remap_to(remap);
    remap->new = remap->old;
    if (remap->old_length >= remap->new_length)
        return vmspace_unmap_locked(vm, remap->old + remap->new_length,
                                    remap->old + remap->old_length, &remap->dead);
    int err = check_resize(remap, mapping);
    if (err || grow_in_place(remap, mapping))
        return err;
    if (!(remap->flags & ABI_MREMAP_MAYMOVE))
        return -ENOMEM;
    remap->new = vmspace_find_room(vm, remap->new_length, mapping->flags);
    return remap->new ? move_mapping(remap) : -ENOMEM;
}

int vmspace_remap(struct vmspace *vm, uintptr_t *address, size_t old_length, size_t new_length,
                  unsigned flags, uintptr_t new_address)
{
    struct remap remap = {
        .vm = vm,
        .old = *address,
        .new = new_address,
        .old_length = old_length,
        .new_length = new_length,
        .flags = flags,
    };

    list_init(&remap.dead);
    if (old_length > APP_MAX || *address > APP_MAX - old_length || new_length > APP_MAX)
        return new_length > APP_MAX ? -ENOMEM : -EFAULT;
    write_lock(&vm->lock);
    int err = remap_locked(&remap);
    struct mapping *mapping = err ? NULL : mapping_at(vm, remap.new);
    bool is_locked = mapping && mapping->flags & ABI_MAP_LOCKED;
    write_unlock(&vm->lock);
    mappings_destroy(&remap.dead);
    if (err)
        return err;
    *address = remap.new;
    if (is_locked && new_length > old_length)
        (void)!vmspace_populate(vm, remap.new + remap.old_length, remap.new + new_length, 0);
    return 0;
}

/* ---- brk ------------------------------------------------------------------------- */

static int brk_grow(struct vmspace *vm, uintptr_t old, uintptr_t new, struct list *dead)
{
    struct vmspace_map_args args = {
        .address = old,
        .length = new - old,
        .prot = ABI_PROT_READ | ABI_PROT_WRITE,
        .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_FIXED,
        .name = "[heap]",
    };
    struct mapping *next = mapping_find(vm, old);
    uintptr_t place;

    if (new > APP_MAX || (next && mapping_guard_start(next) < new + PAGE_SIZE))
        return -ENOMEM;
    if (vm->lock_future & ABI_MCL_FUTURE) {
        if (vmspace_may_lock(vm, args.length))
            return -EAGAIN;
        args.flags |= ABI_MAP_LOCKED;
    }
    return vmspace_map_locked(vm, &args, &place, dead);
}

uintptr_t vmspace_brk(struct vmspace *vm, uintptr_t wanted)
{
    struct list dead = LIST_INIT(dead);
    uint64_t limit = rlimit_current(LIMIT_DATA);
    int err = 0;

    write_lock(&vm->lock);
    uintptr_t old = ALIGN_UP(vm->brk_end, PAGE_SIZE), new = ALIGN_UP(wanted, PAGE_SIZE);
    if (vm->brk_start == 0 || wanted < vm->brk_start || wanted > APP_MAX ||
        (limit != LIMIT_INFINITY && wanted - vm->brk_start > limit))
        err = -ENOMEM;
    else if (new < old)
        err = vmspace_unmap_locked(vm, new, old, &dead);
    else if (new > old)
        err = brk_grow(vm, old, new, &dead);
    if (!err)
        vm->brk_end = wanted;
    uintptr_t result = vm->brk_end;
    bool is_locked = !err && new > old && vm->lock_future &ABI_MCL_FUTURE &&
                     !(vm->lock_future & ABI_MCL_ONFAULT);
    write_unlock(&vm->lock);
    mappings_destroy(&dead);
    if (is_locked)
        (void)!vmspace_populate(vm, old, new, 0);
    return result;
}
