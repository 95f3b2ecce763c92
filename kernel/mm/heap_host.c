// SPDX-License-Identifier: MIT
/*
 * The heap on the host: malloc, so that ASan sees every block, with failures on request.
 */
#include "kernel/mm/heap.h"

#include <stdlib.h>
#include <string.h>

struct slab_cache {
    size_t size;
    size_t align;
};

static uint64_t fail_countdown;

void heap_fail_from(uint64_t n)
{
    __atomic_store_n(&fail_countdown, n, __ATOMIC_RELAXED);
}

static bool is_failing(void)
{
    uint64_t left = __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED);

    if (left == 0)
        return false;
    return left == 1 || __atomic_sub_fetch(&fail_countdown, 1, __ATOMIC_RELAXED) == 0;
}

static void *host_alloc(size_t size, size_t align, unsigned flags)
{
    void *block = NULL;

    if (is_failing() || posix_memalign(&block, align < 16 ? 16 : align, size ? size : 1) != 0)
        return NULL;
    /* Else a sign of memory that was never written. */
    memset(block, flags & ALLOC_ZERO ? 0 : 0xa5, size);
    return block;
}

void heap_init(void)
{
}

void *kmalloc(size_t size, unsigned flags)
{
    return size > PAGE_SIZE << FRAME_ORDER_MAX ? NULL : host_alloc(size, 16, flags);
}

void kfree(void *pointer)
{
    free(pointer);
}

void *krealloc(void *pointer, size_t size, unsigned flags)
{
    return is_failing() ? NULL : realloc(pointer, size);
}

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align)
{
    struct slab_cache *cache = malloc(sizeof(*cache));

    if (cache)
        *cache = (struct slab_cache){ size, align };
    return cache;
}

void *slab_alloc(struct slab_cache *cache, unsigned flags)
{
    return host_alloc(cache->size, cache->align, flags);
}

void slab_free(struct slab_cache *cache, void *object)
{
    free(object);
}
