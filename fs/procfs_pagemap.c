// SPDX-License-Identifier: MIT
/*
 * /proc/PID/pagemap: eight bytes for each page of the address space (Documentation/admin-guide/mm/pagemap.rst).
 * Nothing is swapped, and writes are not tracked (Linux without MEM_SOFT_DIRTY).
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "fs/procfs_internal.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"

#define ENTRY_SIZE      sizeof(uint64_t)
#define ENTRIES         (PAGE_SIZE / ENTRY_SIZE) /* at a time */
#define ENTRY_EXCLUSIVE (1ULL << 56)
#define ENTRY_FILE      (1ULL << 61) /* or shared anonymous memory */
#define ENTRY_PRESENT   (1ULL << 63)
#define PAGES_AT_A_TIME 16

static uint64_t entry_of(const struct vmspace_page *page, bool shows_frames)
{
    return ENTRY_PRESENT | (page->has_cache ? ENTRY_FILE : 0) |
           (page->nsharers == 1 ? ENTRY_EXCLUSIVE : 0) |
           (shows_frames ? page->paddr >> PAGE_SHIFT : 0);
}

/* The entries of [start, end). */
static void entries_fill(struct vmspace *vm, uintptr_t start, uintptr_t end, uint64_t *entry)
{
    struct vmspace_page page[PAGES_AT_A_TIME];
    bool shows_frames = process_is_capable(ABI_CAP_SYS_ADMIN);
    uintptr_t at = start;

    memset(entry, 0, ((end - start) >> PAGE_SHIFT) * ENTRY_SIZE);
    while (at < end) {
        unsigned n = vmspace_look(vm, &at, end, page, PAGES_AT_A_TIME);
        for (unsigned i = 0; i < n; i++) {
            uint64_t value = entry_of(&page[i], shows_frames);
            uintptr_t last = MIN(page[i].address + page[i].size, end);
            for (uintptr_t a = page[i].address; a < last; a += PAGE_SIZE)
                entry[(a - start) >> PAGE_SHIFT] =
                    value + (shows_frames ? (a - page[i].address) >> PAGE_SHIFT : 0);
        }
    }
}

static long pagemap_copy(struct vmspace *vm, struct io *io, int64_t *pos, uint64_t *entry)
{
    long total = 0;

    while (io->remaining > 0 && (uint64_t)*pos / ENTRY_SIZE < APP_MAX / PAGE_SIZE) {
        uintptr_t start = (uint64_t)*pos / ENTRY_SIZE * PAGE_SIZE;
        size_t n = MIN(MIN(io->remaining / ENTRY_SIZE, ENTRIES), (APP_MAX - start) / PAGE_SIZE);
        entries_fill(vm, start, start + n * PAGE_SIZE, entry);
        long moved = io_write_to(io, entry, n * ENTRY_SIZE);
        if (moved <= 0)
            return total ? total : moved;
        *pos += moved;
        total += moved;
        if ((size_t)moved < n * ENTRY_SIZE)
            break;
    }
    return total;
}

static long pagemap_read(struct file *file, struct io *io, int64_t *pos)
{
    if ((uint64_t)*pos % ENTRY_SIZE || io->remaining % ENTRY_SIZE)
        return -EINVAL;
    struct vmspace *vm = file->private;
    if (!vm || !vmspace_try_get(vm))
        return 0;
    uint64_t *entry = kmalloc(PAGE_SIZE, ALLOC_WAIT);
    long result = entry ? pagemap_copy(vm, io, pos, entry) : -ENOMEM;
    kfree(entry);
    vmspace_put(vm);
    return result;
}

const struct file_ops proc_pid_pagemap_ops = {
    .open = proc_pid_mem_open,
    .read = pagemap_read,
    .seek = proc_pid_mem_seek,
    .release = proc_pid_mem_release,
    .kind = "pagemap",
};
