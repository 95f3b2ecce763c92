// SPDX-License-Identifier: MIT
#pragma once
#include "arch/arch.h"

/* Page-table entry bits (SDM 3A, 4.5).  Application pages are U=0: it runs at CPL 0. */
#define PTE_PRESENT  0x001ULL
#define PTE_WRITE    0x002ULL
#define PTE_PWT      0x008ULL
#define PTE_PCD      0x010ULL
#define PTE_ACCESSED 0x020ULL
#define PTE_DIRTY    0x040ULL
#define PTE_LARGE    0x080ULL
#define PTE_GLOBAL   0x100ULL
#define PTE_SPECIAL  0x200ULL /* software: PT_SPECIAL */
/* Not present, but it keeps its page: PT_READ was taken away (mprotect(PROT_NONE)). */
#define PTE_HELD     0x400ULL
#define PTE_NX       0x8000000000000000ULL
#define PTE_ADDRESS  0x000ffffffffff000ULL

/* The image at delta from its link address: direct map and W^X.  Before any allocation. */
void paging_init(uint64_t delta);
/* Physical address of something in the image. */
paddr_t image_paddr(const void *symbol);
/* CR3 of the kernel's own table, for secondary CPUs. */
paddr_t paging_kernel_root(void);
/* An identity mapping of [0, 2 MiB) in the kernel's own table, for the trampoline of secondary CPUs. */
void paging_map_trampoline(bool present);
/* From now on table pages come from the frame allocator. */
void paging_use_frames(void);
/* One page in the kernel half, outside the image and the direct map; bits: PTE_*.  -ENOMEM.  The
 * caller holds the lock of the region. */
int paging_map_kernel(uintptr_t address, paddr_t paddr, uint64_t bits) __must_check;
/* Takes it out again, without a TLB flush; what it was. */
paddr_t paging_unmap_kernel(uintptr_t address);
