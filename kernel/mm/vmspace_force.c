// SPDX-License-Identifier: MIT
/*
 * What a debugger does to memory (ptrace, /proc/PID/mem): it reads what the program must not read, and writes into
 * its text, of which the program then has a copy of its own.  Linux calls it FOLL_FORCE.
 *
 * The text may be running, so as in vmspace_patch.c the page is not written: a copy takes its place.
 */
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/sched.h"

#define ATTEMPTS 16

/* The entry of a page, which is brought in.  vm->lock [w] is held, so only reclaim may take it away again. */
static int page_bring(struct mapping *mapping, uintptr_t page, struct arch_pte *pte)
{
    struct vmspace *vm = mapping->vmspace;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        mutex_lock(&vm->table_lock);
        int err = vmspace_split_locked(vm, page, pte);
        mutex_unlock(&vm->table_lock);
        if (err || pte->size != 0)
            return err;
        err = mapping_fault(mapping, page, PT_READ);
        if (err)
            return err;
    }
    return -EAGAIN;
}

/* cache->lock, if there is a cache, and vm->lock [w] are held: the entry stays. */
static int page_force(struct mapping *mapping, uintptr_t address, void *buf, size_t n, bool write)
{
    struct vmspace *vm = mapping->vmspace;
    mutex_lock(&vm->table_lock);
    struct arch_pte pte = arch_pt_lookup(&vm->table, ALIGN_DOWN(address, PAGE_SIZE));
    mutex_unlock(&vm->table_lock);
    if (pte.size != PAGE_SIZE)
        return -EAGAIN;
    if (!write) {
        memcpy(buf, (const char *)arch_direct_map(pte.paddr) + address % PAGE_SIZE, n);
        return 0;
    }
    return mapping_copy_page(mapping, address, pte, buf, n);
}

static bool may_force(const struct mapping *mapping, bool write)
{
    if (!mapping || mapping->max_prot == 0)
        return false;
    return !write || (!(mapping->flags & ABI_MAP_SHARED) && !(mapping->prot & ABI_PROT_WRITE));
}

/* n bytes within a page. */
static int force(struct vmspace *vm, uintptr_t address, void *buf, size_t n, bool write)
{
    struct arch_pte pte;
    int err = -EAGAIN;

    for (unsigned i = 0; i < ATTEMPTS && err == -EAGAIN; i++) {
        write_lock(&vm->lock);
        struct mapping *mapping = mapping_at(vm, address);
        struct pagecache *cache = mapping ? mapping->cache : NULL;
        err = may_force(mapping, write) ? 0 : -EFAULT;
        if (!err)
            err = page_bring(mapping, ALIGN_DOWN(address, PAGE_SIZE), &pte);
        if (!err && cache)
            mutex_lock(&cache->lock);
        if (!err) {
            err = page_force(mapping, address, buf, n, write);
            if (cache)
                mutex_unlock(&cache->lock);
        }
        write_unlock(&vm->lock);
    }
    return err;
}

long vmspace_force(struct vmspace *vm, uintptr_t address, void *buf, size_t len, bool write)
{
    size_t done = 0;
    while (done < len) {
        uintptr_t at = address + done;
        size_t n = MIN(len - done, PAGE_SIZE - at % PAGE_SIZE);
        char *piece = (char *)buf + done;
        long moved = write ? vmspace_write(vm, at, piece, n) : vmspace_read(vm, at, piece, n);
        if (moved < (long)n && force(vm, at, piece, n, write) != 0)
            return done > 0 ? (long)done : -EFAULT;
        done += n;
        sched_check();
    }
    return (long)done;
}
