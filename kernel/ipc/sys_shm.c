// SPDX-License-Identifier: MIT
/*
 * shmget(2), shmat(2), shmdt(2), shmctl(2): the checks, in Linux's order; the work is in shm.c.
 */
#include "kernel/ipc/shm.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

long sys_shmget(int key, size_t size, unsigned flags)
{
    const struct ipc_request request = { .key = key, .flags = flags, .size = size };

    return ipc_get_id(&shm_table, &request);
}

/* ---- shmat, shmdt ------------------------------------------------------------------------------ */

/* The place and the flags of the mapping; -EINVAL. */
static int place_check(unsigned long address, unsigned flags, struct vmspace_map_args *args)
{
    args->flags = ABI_MAP_SHARED;
    if (!address)
        return flags & ABI_SHM_REMAP ? -EINVAL : 0;
    if (address % PAGE_SIZE != 0) {
        if (!(flags & ABI_SHM_RND))
            return -EINVAL;
        address = ALIGN_DOWN(address, PAGE_SIZE);
        /* Rounded down to nothing it is a place still: the page at 0, where nothing may be mapped. */
        if (!address && flags & ABI_SHM_REMAP)
            return -EINVAL;
    }
    args->address = address;
    args->flags |= flags & ABI_SHM_REMAP ? ABI_MAP_FIXED : ABI_MAP_FIXED_NOREPLACE;
    return 0;
}

/* The segment, counted as attached until shm_attach() has mapped it. */
static int segment_enter(int id, unsigned access, struct shm_segment **out)
{
    struct ipc_object *object;

    mutex_lock(&shm_table.lock);
    int err = ipc_find_locked(&shm_table, id, &object);
    if (!err)
        err = ipc_may_access(object, access);
    if (!err) {
        *out = shm_of_ipc(ipc_get(object));
        (*out)->nattch++;
    }
    mutex_unlock(&shm_table.lock);
    return err;
}

long sys_shmat(int id, unsigned long address, unsigned flags)
{
    struct vmspace_map_args args = { .prot = ABI_PROT_READ };
    unsigned access = IPC_READ;
    struct shm_segment *segment;
    uintptr_t place = 0;

    int err = id < 0 ? -EINVAL : place_check(address, flags, &args);
    if (err)
        return err;
    args.max_prot = ABI_PROT_READ | ABI_PROT_EXEC;
    if (!(flags & ABI_SHM_RDONLY)) {
        args.prot |= ABI_PROT_WRITE;
        args.max_prot |= ABI_PROT_WRITE;
        access |= IPC_WRITE;
    }
    if (flags & ABI_SHM_EXEC) {
        args.prot |= ABI_PROT_EXEC;
        access |= 0111;
    }
    err = segment_enter(id, access, &segment);
    if (err)
        return err;
    err = shm_attach(segment, &args, &place);
    ipc_put(&segment->ipc);
    return err ? err : (long)place;
}

long sys_shmdt(unsigned long address)
{
    if (address % PAGE_SIZE != 0)
        return -EINVAL;
    return shm_detach(thread_current()->vmspace, address);
}

/* ---- shmctl -------------------------------------------------------------------------------------- */

static long limits_get(void __app *buf)
{
    struct abi_shminfo info = {
        .shmmax = READ_ONCE(ipc_settings.shmmax),
        .shmmin = 1,
        .shmmni = READ_ONCE(ipc_settings.shmmni),
        .shmseg = READ_ONCE(ipc_settings.shmmni),
        .shmall = READ_ONCE(ipc_settings.shmall),
    };

    long max = ipc_max_index(&shm_table);
    return copy_to_app(buf, &info, sizeof(info)) ? -EFAULT : max;
}

static long usage_get(void __app *buf)
{
    struct abi_shm_info info;

    long max = ipc_max_index(&shm_table);
    mutex_lock(&shm_table.lock);
    shm_usage(&info);
    mutex_unlock(&shm_table.lock);
    return copy_to_app(buf, &info, sizeof(info)) ? -EFAULT : max;
}

static long set_locked(int id, bool lock)
{
    struct ipc_object *object;

    mutex_lock(&shm_table.lock);
    int err = ipc_find_locked(&shm_table, id, &object);
    if (!err)
        err = shm_lock_locked(shm_of_ipc(object), lock);
    mutex_unlock(&shm_table.lock);
    return err;
}

long sys_shmctl(int id, int command, void __app *buf)
{
    if (command < 0 || id < 0)
        return -EINVAL;
    switch (command) {
    case ABI_IPC_INFO:
        return limits_get(buf);
    case ABI_SHM_INFO:
        return usage_get(buf);
    case ABI_SHM_STAT:
    case ABI_SHM_STAT_ANY:
        return ipc_stat_index(&shm_table, id, command == ABI_SHM_STAT_ANY, buf);
    case ABI_SHM_LOCK:
    case ABI_SHM_UNLOCK:
        return set_locked(id, command == ABI_SHM_LOCK);
    default:
        return ipc_control(&shm_table, id, command, buf);
    }
}
