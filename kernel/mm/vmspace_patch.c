// SPDX-License-Identifier: MIT
/*
 * Changing text that may be running.
 *
 * An instruction must not be seen half changed by another CPU.  So the page is never written: a copy
 * of it gets the new bytes and takes its place in the page table, and the flush of the TLBs, whose interrupt also
 * serialises the other CPUs (SDM 3A, 9.3), ends the time in which one may still run the old page.  The copy belongs to
 * the address space alone, as after a store to a private page, and fork shares it like any other.
 */
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"

static bool is_text_of_file(const struct mapping *mapping)
{
    return mapping && mapping->file && mapping->cache && !(mapping->flags & ABI_MAP_SHARED) &&
           mapping->prot & ABI_PROT_EXEC && !(mapping->prot & ABI_PROT_WRITE);
}

/* cache->lock and vm->lock [w] are held, so that the entry stays. */
static int patch_page(struct mapping *mapping, uintptr_t address, const void *expected,
                      const void *bytes, size_t n)
{
    struct vmspace *vm = mapping->vmspace;

    mutex_lock(&vm->table_lock);
    struct arch_pte pte = arch_pt_lookup(&vm->table, ALIGN_DOWN(address, PAGE_SIZE));
    mutex_unlock(&vm->table_lock);
    const uint8_t *old = arch_direct_map(pte.paddr);
    if (pte.size != PAGE_SIZE || memcmp(old + address % PAGE_SIZE, expected, n) != 0)
        return -EAGAIN;
    return mapping_copy_page(mapping, address, pte, bytes, n);
}

int vmspace_patch(struct vmspace *vm, uintptr_t address, const void *expected, const void *bytes,
                  size_t n)
{
    int err = -EINVAL;

    if (n == 0 || address % PAGE_SIZE + n > PAGE_SIZE)
        return -EINVAL;
    write_lock(&vm->lock);
    struct mapping *mapping = mapping_at(vm, address);
    if (is_text_of_file(mapping)) {
        mutex_lock(&mapping->cache->lock);
        err = patch_page(mapping, address, expected, bytes, n);
        mutex_unlock(&mapping->cache->lock);
    }
    write_unlock(&vm->lock);
    return err;
}
