// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between kernel/mm/frame.c and kernel/mm/frame_section.c only: where the frame array lies, and the RAM
 * that the buddy has not seen yet.  All of it under frame_lock.
 */
#include "kernel/mm/frame.h"
#include "kernel/spinlock.h"

#define CHUNK_PAGES (1u << FRAME_ORDER_MAX) /* initialised at once; no block is larger */
#define CHUNK_SIZE  (CHUNK_PAGES * PAGE_SIZE)

extern struct spinlock frame_lock;

/* Notes the RAM of boot; returns its size in pages. */
uint64_t frame_section_init(const struct boot_info *boot);
/* Hands the next chunk of untouched RAM to buddy_add_range(); false: there is none left. */
bool frame_section_grow(void);
/* Makes the frame of paddr usable; NULL: no memory for the array. */
struct frame *frame_section_open(paddr_t paddr);
uint64_t frame_section_pending(void); /* pages not yet handed over */

/* frame.c: puts [first, first + npages), within one chunk, on the free lists. */
void buddy_add_range(struct frame *first, size_t npages);
