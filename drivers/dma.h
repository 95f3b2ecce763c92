// SPDX-License-Identifier: MIT
#pragma once
/*
 * Addresses as devices see them.  Every driver gets them here and nowhere else, so that an IOMMU or
 * bounce buffers change one place.  Memory must come from the frame allocator or the heap, and
 * it is contiguous for a device as far as it is in the direct map.
 */
#include "arch/arch.h"

static inline uint64_t dma_map(const void *pointer)
{
    return arch_direct_paddr(pointer);
}
