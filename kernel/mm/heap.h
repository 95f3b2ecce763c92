// SPDX-License-Identifier: MIT
#pragma once
/*
 * Small objects: slabs with per-CPU magazines (Bonwick).  Every allocation may fail.
 * flags: ALLOC_* of kernel/mm/frame.h.  On the host these are malloc with fault injection.
 */
#include "kernel/mm/frame.h"
#include "lib/compiler.h"

void heap_init(void);
/* Aligned to 16; large sizes come straight from the frame allocator.  NULL: no memory. */
void *kmalloc(size_t size, unsigned flags) __must_check;
void *kzalloc(size_t size, unsigned flags) __must_check;
/* count * size with the overflow checked. */
void *kcalloc(size_t count, size_t size, unsigned flags) __must_check;
/* Grows or shrinks; NULL leaves the old block valid. */
void *krealloc(void *pointer, size_t size, unsigned flags) __must_check;
void kfree(void *pointer); /* NULL is fine */
char *kstrdup(const char *text, unsigned flags) __must_check;
char *kstrndup(const char *text, size_t len, unsigned flags) __must_check;

/* A cache of objects of one size and alignment. */
struct slab_cache;
struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align) __must_check;
void *slab_alloc(struct slab_cache *cache, unsigned flags) __must_check;
void slab_free(struct slab_cache *cache, void *object); /* NULL is fine */

/* For /proc/slabinfo: up to room caches' figures; how many there are. */
struct slab_stats {
    const char *name;
    unsigned size, per_slab, pages_per_slab;
    uint64_t active; /* objects in use */
    uint64_t slabs;
};
size_t slab_get_stats(struct slab_stats *out, size_t room);

/* Host tests only: the n-th allocation from now on and all after it fail; 0: none does. */
void heap_fail_from(uint64_t n);
