// SPDX-License-Identifier: MIT
/*
 * madvise(2).
 *
 * MADV_FREE drops the pages at once, as MADV_DONTNEED does: the program may find zeroes at any time anyway.
 * Advice about read-ahead, swapping and page merging is accepted where Linux accepts it; there is
 * nothing here that it could change.
 */
#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"

#define MADV_DONTNEED_LOCKED 24

static bool is_known(int advice)
{
    switch (advice) {
    case ABI_MADV_NORMAL ... ABI_MADV_DONTNEED:
    case ABI_MADV_FREE ... ABI_MADV_DOFORK:
    case ABI_MADV_HUGEPAGE ... ABI_MADV_POPULATE_WRITE:
    case MADV_DONTNEED_LOCKED:
        return true;
    default: /* MERGEABLE and COLLAPSE as a kernel without KSM and khugepaged */
        return false;
    }
}

/* ---- Advice that changes flags --------------------------------------------------------- */

/* The flags to set or clear; false: the mapping cannot have this. */
static bool flags_of_advice(int advice, const struct mapping *mapping, unsigned *set,
                            unsigned *clear)
{
    *set = *clear = 0;
    switch (advice) {
    case ABI_MADV_DONTFORK:
        *set = MAPPING_DONTFORK;
        return true;
    case ABI_MADV_DOFORK:
        *clear = MAPPING_DONTFORK;
        return true;
    case ABI_MADV_WIPEONFORK:
        *set = MAPPING_WIPEFORK;
        return !mapping->cache; /* private anonymous memory only */
    case ABI_MADV_KEEPONFORK:
        *clear = MAPPING_WIPEFORK;
        return true;
    case ABI_MADV_DONTDUMP:
        *set = MAPPING_DONTDUMP;
        return true;
    case ABI_MADV_DODUMP:
        *clear = MAPPING_DONTDUMP;
        return true;
    case ABI_MADV_NOHUGEPAGE:
        *set = MAPPING_NOHUGE;
        return true;
    default: /* ABI_MADV_HUGEPAGE */
        *clear = MAPPING_NOHUGE;
        return true;
    }
}

static bool changes_flags(int advice)
{
    return (advice >= ABI_MADV_DONTFORK && advice <= ABI_MADV_DOFORK) ||
           (advice >= ABI_MADV_HUGEPAGE && advice <= ABI_MADV_KEEPONFORK);
}

static int change_flags(struct vmspace *vm, uintptr_t start, uintptr_t end, int advice)
{
    struct mapping *mapping;
    bool has_holes = false;
    int err = 0;

    write_lock(&vm->lock);
    err = vmspace_cut(vm, start);
    if (!err)
        err = vmspace_cut(vm, end);
    if (err)
        err = -EAGAIN; /* as madvise(2) has it: -ENOMEM would mean a hole */
    uintptr_t at = start;
    for (mapping = mapping_find(vm, start); !err && mapping && mapping->start < end;
         mapping = mapping_next(mapping)) {
        unsigned set, clear;
        has_holes |= mapping->start > at;
        at = mapping->end;
        if (!flags_of_advice(advice, mapping, &set, &clear)) {
            err = -EINVAL;
            break;
        }
        mapping_set_flags(mapping, (mapping->flags | set) & ~clear);
        mapping = mapping_merge_before(mapping);
    }
    if (!err && mapping)
        mapping_merge_before(mapping);
    write_unlock(&vm->lock);
    return err ? err : has_holes || at < end ? -ENOMEM : 0;
}

/* ---- Advice that frees ------------------------------------------------------------------ */

static int free_part(struct vmspace *vm, struct mapping *mapping, uintptr_t start, uintptr_t end,
                     int advice)
{
    if (mapping->flags & ABI_MAP_LOCKED && advice != MADV_DONTNEED_LOCKED)
        return -EINVAL;
    if (advice == ABI_MADV_REMOVE) {
        if (!mapping->cache)
            return -EINVAL;
        if (!(mapping->flags & ABI_MAP_SHARED) || !(mapping->prot & ABI_PROT_WRITE))
            return -EACCES;
        if (mapping->cache->ops && mapping->cache->ops->write_back)
            return -EOPNOTSUPP; /* a hole in a file on disk is its file system's to make */
        uint64_t first = mapping->offset + (start - mapping->start);
        return pagecache_punch(mapping->cache, first, first + (end - start));
    }
    if (advice == ABI_MADV_FREE && mapping->cache)
        return -EINVAL;
    return vmspace_zap(vm, start, end) ? -EAGAIN : 0;
}

/* Mappings only have to stay: read-locked. */
static int free_range(struct vmspace *vm, uintptr_t start, uintptr_t end, int advice)
{
    bool has_holes = false;
    int err = 0;
    uintptr_t at = start;

    read_lock(&vm->lock);
    for (struct mapping *mapping = mapping_find(vm, start); !err && mapping && mapping->start < end;
         mapping = mapping_next(mapping)) {
        has_holes |= mapping->start > at;
        err = free_part(vm, mapping, MAX(mapping->start, start), MIN(mapping->end, end), advice);
        at = mapping->end;
    }
    read_unlock(&vm->lock);
    return err ? err : has_holes || at < end ? -ENOMEM : 0;
}

/* Advice without effect: still, all of the range must be mapped. */
int vmspace_check_mapped(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    uintptr_t at = start;

    read_lock(&vm->lock);
    for (struct mapping *mapping = mapping_find(vm, start);
         mapping && mapping->start <= at && at < end; mapping = mapping_next(mapping))
        at = mapping->end;
    read_unlock(&vm->lock);
    return at < end ? -ENOMEM : 0;
}

static int populate(struct vmspace *vm, uintptr_t start, uintptr_t end, int advice)
{
    int err =
        vmspace_populate(vm, start, end, advice == ABI_MADV_POPULATE_WRITE ? PT_WRITE : PT_READ);

    if (err == -EFAULT)
        return -EINVAL; /* no such access */
    return err == -EIO ? -EFAULT : err;
}

long sys_madvise(unsigned long address, size_t length, int advice)
{
    struct vmspace *vm = thread_current()->vmspace;

    if (!is_known(advice) || address % PAGE_SIZE != 0)
        return -EINVAL;
    if (length > APP_MAX || address > APP_MAX - length)
        return length > APP_MAX ? -EINVAL : -ENOMEM;
    if (length == 0)
        return 0;
    uintptr_t end = address + ALIGN_UP(length, PAGE_SIZE);

    if (changes_flags(advice))
        return change_flags(vm, address, end, advice);
    switch (advice) {
    case ABI_MADV_DONTNEED:
    case ABI_MADV_FREE:
    case ABI_MADV_REMOVE:
    case MADV_DONTNEED_LOCKED:
        return free_range(vm, address, end, advice);
    case ABI_MADV_POPULATE_READ:
    case ABI_MADV_POPULATE_WRITE:
        return populate(vm, address, end, advice);
    default:
        return vmspace_check_mapped(vm, address, end);
    }
}
