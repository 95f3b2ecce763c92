// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between the files of kernel/mm that make up address spaces.  Everything here wants vm->lock: held
 * for writing where it says [w], for reading at least elsewhere.
 */
#include "kernel/mm/vmspace.h"

#define STACK_GUARD_SIZE (256 * PAGE_SIZE) /* kept free below a mapping that grows down */
#define MMAP_LOW         0x10000UL         /* Linux's vm.mmap_min_addr */

/* ---- mapping.c: the tree ---- */

/* The first mapping that ends behind address, or NULL; with `address` not always in it. */
struct mapping *mapping_find(struct vmspace *vm, uintptr_t address);
/* The one that address is in, or NULL. */
struct mapping *mapping_at(struct vmspace *vm, uintptr_t address);
struct mapping *mapping_next(struct mapping *mapping);
struct mapping *mapping_prev(struct mapping *mapping);
/* A copy of `from` for [start, end) of it, in no tree, with references of its own.  NULL: no memory. */
struct mapping *mapping_clone(const struct mapping *from, uintptr_t start, uintptr_t end);
void mapping_insert(struct vmspace *vm, struct mapping *mapping); /* [w] */
/* Off the tree and cache->mappings and onto dead (by cache_node), for mappings_destroy(). [w] */
void mapping_remove(struct mapping *mapping, struct list *dead);
/* Without vm->lock: dropping a file may take any lock. */
void mappings_destroy(struct list *dead);
/* [w] */
void mapping_resize(struct mapping *mapping, uintptr_t start, uintptr_t end);
/* Joins mapping with what is before it if they are alike; the one that is left. [w] */
struct mapping *mapping_merge_before(struct mapping *mapping);
/* Makes address a border of mappings if it lies inside one, and of large pages.  -ENOMEM. [w] */
int vmspace_cut(struct vmspace *vm, uintptr_t address) __must_check;
/* The same for [start, end), which is about to go: over the limit on mappings if none stays above it. [w] */
int vmspace_cut_out(struct vmspace *vm, uintptr_t start, uintptr_t end) __must_check;
/* [w] */
void mapping_set_prot(struct mapping *mapping, unsigned prot);
void mapping_set_flags(struct mapping *mapping, unsigned flags);
/* The page a mapping's address is of its cache. */
static inline uint64_t mapping_page(const struct mapping *mapping, uintptr_t address)
{
    return (mapping->offset + (address - mapping->start)) >> PAGE_SHIFT;
}
/* PT_* for a page that may be used as the mapping says. */
unsigned mapping_pt_prot(const struct mapping *mapping);
/* Whether it is private memory that may be written: what RLIMIT_DATA and overcommit count. */
bool mapping_is_data(unsigned prot, unsigned flags);

/* ---- vmspace_room.c: where a new mapping goes ---- */

/* The lowest address that a mapping's neighbour below may use up to. */
uintptr_t mapping_guard_start(const struct mapping *mapping);
bool vmspace_is_free(struct vmspace *vm, uintptr_t start, uintptr_t end);
/* Room for length bytes; 0: none. flags: ABI_MAP_32BIT, ABI_MAP_ANONYMOUS ... [w] */
uintptr_t vmspace_find_room(struct vmspace *vm, size_t length, unsigned flags);
/* The highest room in [low, high); 0: none. */
uintptr_t vmspace_find_room_in(struct vmspace *vm, size_t length, uintptr_t low, uintptr_t high);
void vmspace_room_freed(struct vmspace *vm, uintptr_t start, uintptr_t end); /* [w] */

/* ---- vmspace.c ---- */

/* Whether so many more bytes are within RLIMIT_AS, within RLIMIT_DATA (data_bytes), and what memory could
 * ever back (backed_bytes; Linux's overcommit mode 0).  0 or -ENOMEM. */
int vmspace_may_grow(struct vmspace *vm, size_t bytes, size_t data_bytes,
                     size_t backed_bytes) __must_check;
/* -ENOMEM; the mappings go to dead. [w] */
int vmspace_unmap_locked(struct vmspace *vm, uintptr_t start, uintptr_t end,
                         struct list *dead) __must_check;
int vmspace_map_locked(struct vmspace *vm, const struct vmspace_map_args *args, uintptr_t *out,
                       struct list *dead) __must_check;

/* ---- vmspace_table.c: page-table entries ---- */

/* Invalidates [start, end) in the TLB of every CPU that uses it, now or before it goes on. */
void vmspace_flush(struct vmspace *vm, uintptr_t start, uintptr_t end);
/* Clears the entries; splits large pages that reach out of the range, which may come while vm->lock is held for reading
 * only.  -ENOMEM, not where [w] is held and the borders have been split. */
int vmspace_zap(struct vmspace *vm, uintptr_t start, uintptr_t end);
/* Frees page tables that nothing in the gap around [start, end) needs any more. [w] */
void vmspace_trim(struct vmspace *vm, uintptr_t start, uintptr_t end);
/* Splits a large page that address lies inside of.  -ENOMEM. */
int vmspace_split_large(struct vmspace *vm, uintptr_t address) __must_check;
/* Splits the large page at address, if there is one; *pte is what is there then.  table_lock held.  -ENOMEM. */
int vmspace_split_locked(struct vmspace *vm, uintptr_t address, struct arch_pte *pte) __must_check;
/* Whether a private page may be written without a copy: nobody else has it.  table_lock held. */
bool pte_is_exclusive(struct arch_pte pte);
/* Gives the entries of the mapping in [start, end) its present protection. [w] */
void vmspace_reprotect(struct mapping *mapping, uintptr_t start, uintptr_t end);
/* Moves the entries of [from, from + length) to to, where there are none.  -ENOMEM: none is moved, and page tables were
 * found for the first *reached bytes. [w] */
int vmspace_move_pages(struct vmspace *vm, uintptr_t from, uintptr_t to, size_t length,
                       size_t *reached) __must_check;
void vmspace_count_resident(struct vmspace *vm, int64_t npages);

/* ---- fault.c ---- */

/* Makes the page there with this access, which the mapping must allow.  0, -ENOMEM, -EIO. */
int mapping_fault(struct mapping *mapping, uintptr_t page, unsigned access) __must_check;
/* Replaces the entry, a page that is mapped read-only, by a copy that has these n bytes (0: none) at address, unless
 * it is not `old` any more.  A cached mapping's cache->lock is held.  -ENOMEM. */
int mapping_copy_page(struct mapping *mapping, uintptr_t address, struct arch_pte old,
                      const void *bytes, size_t n) __must_check;
/* Every page of [start, end); takes and releases vm->lock.  access 0: writing where the mapping
 * allows that and is private.  -ENOMEM, -EFAULT (no access), -EIO, -EINTR (dying). */
int vmspace_populate(struct vmspace *vm, uintptr_t start, uintptr_t end,
                     unsigned access) __must_check;

/* ---- sys_mlock.c ---- */

/* Whether so many more bytes may be locked (RLIMIT_MEMLOCK).  -EPERM: none at all; -ENOMEM. */
int vmspace_may_lock(struct vmspace *vm, size_t bytes) __must_check;
/* What mlockall(MCL_FUTURE) adds to args->flags, and whether so much may be locked.  -EPERM, -EAGAIN. */
int vmspace_lock_future(struct vmspace *vm, struct vmspace_map_args *args) __must_check;
