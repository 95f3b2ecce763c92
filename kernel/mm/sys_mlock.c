// SPDX-License-Identifier: MIT
/*
 * mlock(2) and its kin.  Nothing is ever swapped out, so locking memory means to bring it in now, to
 * count it against RLIMIT_MEMLOCK, and to refuse MADV_DONTNEED on it.
 */
#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"

#define CAP_IPC_LOCK 14

int vmspace_may_lock(struct vmspace *vm, size_t bytes)
{
    const struct thread *self = thread_current();
    uint64_t limit = rlimit_current(LIMIT_MEMLOCK);

    if (self && self->process && self->process->creds.cap_effective & (1ULL << CAP_IPC_LOCK))
        return 0;
    if (limit == 0)
        return -EPERM;
    return limit != LIMIT_INFINITY && vm->locked_bytes + bytes > limit ? -ENOMEM : 0;
}

int vmspace_lock_future(struct vmspace *vm, struct vmspace_map_args *args)
{
    if (vm->lock_future & ABI_MCL_FUTURE)
        args->flags |= ABI_MAP_LOCKED;
    if (!(args->flags & ABI_MAP_LOCKED))
        return 0;
    int err = vmspace_may_lock(vm, args->length);
    return err == -EPERM ? -EPERM : err ? -EAGAIN : 0;
}

/* Bytes of [start, end) that are locked already. */
static uint64_t locked_within(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    uint64_t bytes = 0;

    for (struct mapping *m = mapping_find(vm, start); m && m->start < end; m = mapping_next(m))
        if (m->flags & ABI_MAP_LOCKED)
            bytes += MIN(m->end, end) - MAX(m->start, start);
    return bytes;
}

/* vm->lock held for writing.  -ENOMEM for holes, with all that is mapped changed. */
static int set_locked(struct vmspace *vm, uintptr_t start, uintptr_t end, bool locked)
{
    struct mapping *mapping;
    bool has_holes = false;
    uintptr_t at = start;
    int err = vmspace_cut(vm, start);

    if (!err)
        err = vmspace_cut(vm, end);
    if (err)
        return err;
    for (mapping = mapping_find(vm, start); mapping && mapping->start < end;
         mapping = mapping_next(mapping)) {
        has_holes |= mapping->start > at;
        at = mapping->end;
        mapping_set_flags(mapping, locked ? mapping->flags | ABI_MAP_LOCKED
                                          : mapping->flags & ~ABI_MAP_LOCKED);
        mapping = mapping_merge_before(mapping);
    }
    if (mapping)
        mapping_merge_before(mapping);
    return has_holes || at < end ? -ENOMEM : 0;
}

static long lock_range(unsigned long address, size_t length, bool populate)
{
    struct vmspace *vm = thread_current()->vmspace;
    uintptr_t start = ALIGN_DOWN(address, PAGE_SIZE);

    if (length > APP_MAX || address > APP_MAX - length)
        return length > APP_MAX ? -EINVAL : -ENOMEM;
    uintptr_t end = ALIGN_UP(address + length, PAGE_SIZE);
    write_lock(&vm->lock);
    uint64_t more = end - start - locked_within(vm, start, end);
    int err = vmspace_may_lock(vm, more);
    if (!err && start < end)
        err = set_locked(vm, start, end, true);
    write_unlock(&vm->lock);
    if (err || !populate)
        return err;
    err = vmspace_populate(vm, start, end, 0);
    if (err == -ENOMEM)
        return -EAGAIN;
    return err == -EFAULT || err == -EIO ? -ENOMEM : err;
}

long sys_mlock(unsigned long address, size_t length)
{
    return lock_range(address, length, true);
}

long sys_mlock2(unsigned long address, size_t length, int flags)
{
    if (flags & ~ABI_MLOCK_ONFAULT)
        return -EINVAL;
    return lock_range(address, length, !(flags & ABI_MLOCK_ONFAULT));
}

long sys_munlock(unsigned long address, size_t length)
{
    struct vmspace *vm = thread_current()->vmspace;

    if (length > APP_MAX || address > APP_MAX - length)
        return length > APP_MAX ? -EINVAL : -ENOMEM;
    uintptr_t start = ALIGN_DOWN(address, PAGE_SIZE), end = ALIGN_UP(address + length, PAGE_SIZE);
    if (start == end)
        return 0;
    write_lock(&vm->lock);
    int err = set_locked(vm, start, end, false);
    write_unlock(&vm->lock);
    return err;
}

/* Brings in all mappings; what cannot be is left. */
static void populate_all(struct vmspace *vm)
{
    for (uintptr_t at = 0; at < APP_MAX;) {
        read_lock(&vm->lock);
        struct mapping *mapping = mapping_find(vm, at);
        uintptr_t start = mapping ? mapping->start : APP_MAX;
        uintptr_t end = mapping ? mapping->end : APP_MAX;
        read_unlock(&vm->lock);
        if (start < end && vmspace_populate(vm, start, end, 0) == -EINTR)
            return;
        at = end;
    }
}

long sys_mlockall(int flags)
{
    struct vmspace *vm = thread_current()->vmspace;
    int known = ABI_MCL_CURRENT | ABI_MCL_FUTURE | ABI_MCL_ONFAULT;

    if (flags == 0 || flags & ~known || flags == ABI_MCL_ONFAULT)
        return -EINVAL;
    write_lock(&vm->lock);
    uint64_t more = flags & ABI_MCL_CURRENT ? vm->mapped_bytes - vm->locked_bytes : 0;
    int err = vmspace_may_lock(vm, more);
    if (!err) {
        vm->lock_future = flags & ABI_MCL_FUTURE ? flags & (ABI_MCL_FUTURE | ABI_MCL_ONFAULT) : 0;
        if (flags & ABI_MCL_CURRENT)
            (void)!set_locked(vm, 0, APP_MAX, true); /* holes are no matter here */
    }
    write_unlock(&vm->lock);
    if (!err && (flags & (ABI_MCL_CURRENT | ABI_MCL_ONFAULT)) == ABI_MCL_CURRENT)
        populate_all(vm);
    return err;
}

long sys_munlockall(void)
{
    struct vmspace *vm = thread_current()->vmspace;

    write_lock(&vm->lock);
    vm->lock_future = 0;
    (void)!set_locked(vm, 0, APP_MAX, false);
    write_unlock(&vm->lock);
    return 0;
}
