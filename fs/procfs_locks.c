// SPDX-License-Identifier: MIT
/*
 * /proc/locks, and the locks in /proc/PID/fdinfo/N.
 */
#include "abi/errno.h"
#include "fs/devfs.h"
#include "fs/locks.h"
#include "fs/procfs_internal.h"
#include "kernel/mm/heap.h"

#define SPARE_ENTRIES 16 /* that may come between counting and listing */

static void lock_line(struct text *text, const struct lock_info *info, unsigned long id)
{
    static const char *const kinds[] = { "POSIX ", "OFDLCK", "FLOCK " };

    text_printf(text, "%lu: %s%s ADVISORY  %s %d %02x:%02x:%llu ", id, info->is_waiter ? "-> " : "",
                kinds[info->kind], info->type == ABI_F_WRLCK ? "WRITE" : "READ", info->pid,
                DEVICE_MAJOR(info->device), DEVICE_MINOR(info->device),
                (unsigned long long)info->ino);
    if (info->end == INT64_MAX)
        text_printf(text, "%lld EOF\n", (long long)info->start);
    else
        text_printf(text, "%lld %lld\n", (long long)info->start, (long long)info->end);
}

/* A waiter has the number of the lock that it waits for. */
int proc_locks(const struct pseudo_ref *ref, struct text *text)
{
    size_t room = locks_list(NULL, 0) + SPARE_ENTRIES;
    unsigned long id = 0;

    struct lock_info *info = kmalloc(room * sizeof(*info), ALLOC_WAIT);
    if (!info)
        return -ENOMEM;
    size_t count = MIN(locks_list(info, room), room);
    for (size_t i = 0; i < count; i++) {
        id += !info[i].is_waiter;
        lock_line(text, &info[i], id);
    }
    kfree(info);
    return 0;
}

int proc_locks_held(const struct file *file, const void *files, struct text *text)
{
    size_t room = locks_list_held(file, files, NULL, 0);

    if (!room)
        return 0;
    room += SPARE_ENTRIES;
    struct lock_info *info = kmalloc(room * sizeof(*info), ALLOC_WAIT);
    if (!info)
        return -ENOMEM;
    size_t count = MIN(locks_list_held(file, files, info, room), room);
    for (size_t i = 0; i < count; i++) {
        text_printf(text, "lock:\t");
        lock_line(text, &info[i], i + 1);
    }
    kfree(info);
    return 0;
}
