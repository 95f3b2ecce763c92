// SPDX-License-Identifier: MIT
/*
 * kernel/mm/heap.c itself (the other host tests use malloc): sizes, alignment, no overlap, contents kept,
 * memory given back under pressure.
 */
#include "kernel/mm/heap.h"

#include <string.h>

#include "tests/host/check.h"
#include "tests/host/mm_machine.h"

#define BLOCKS 4000

struct block {
    unsigned char *data;
    size_t size;
    unsigned char fill;
};

static struct block blocks[BLOCKS];

static void check_fill(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++)
        CHECK_EQ(block->data[i], block->fill);
}

static size_t random_size(void)
{
    switch (random() % 8) {
    case 0:
        return (size_t)random() % 40000;
    case 1:
        return (size_t)random() % 3000;
    default:
        return (size_t)random() % 300;
    }
}

static void step(struct block *block)
{
    check_fill(block);
    if (!block->data || random() % 3 == 0) {
        block->size = random_size();
        kfree(block->data);
        block->data = kzalloc(block->size, ALLOC_WAIT);
        CHECK(block->data && (uintptr_t)block->data % 16 == 0);
        block->fill = 0;
        check_fill(block);
    } else if (random() % 2) {
        size_t size = random_size();
        block->data = krealloc(block->data, size, ALLOC_WAIT);
        CHECK(block->data);
        block->size = MIN(block->size, size);
        check_fill(block);
        block->size = size;
    } else {
        kfree(block->data);
        *block = (struct block){ 0 };
        return;
    }
    block->fill = (unsigned char)random();
    memset(block->data, block->fill, block->size);
}

static void test_random(void)
{
    struct frame_stats stats;

    for (unsigned round = 0; round < 200000; round++)
        step(&blocks[(unsigned)random() % BLOCKS]);
    for (unsigned i = 0; i < BLOCKS; i++) {
        check_fill(&blocks[i]);
        kfree(blocks[i].data);
    }
    frame_get_stats(&stats);
    CHECK_EQ(stats.kernel_pages, 0);
    /* What magazines and spare slabs keep back. */
    CHECK(stats.slab_pages < 200);
}

static void test_cache(void)
{
    struct slab_cache *cache = slab_cache_create("test", 100, 64);
    static void *objects[500];

    for (unsigned i = 0; i < ARRAY_SIZE(objects); i++) {
        objects[i] = slab_alloc(cache, ALLOC_WAIT);
        CHECK(objects[i] && (uintptr_t)objects[i] % 64 == 0);
        memset(objects[i], (int)i, 100);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(objects); i++) {
        CHECK_EQ(*(unsigned char *)objects[i], i & 0xff);
        slab_free(cache, objects[i]);
    }
    slab_free(cache, NULL);
}

/* Fill memory with objects, free them, and take it all in large blocks: slabs must be given up. */
static void test_pressure(void)
{
    void *first = NULL, **object;
    struct frame *frame;
    struct frame_stats stats;
    uint64_t large = 0;

    while ((object = kmalloc(200, ALLOC_WAIT)) != NULL) {
        *object = first;
        first = object;
    }
    frame_get_stats(&stats);
    CHECK(stats.slab_pages > stats.total_pages / 2);
    CHECK(!kmalloc(100000, ALLOC_WAIT));
    while (first) {
        object = first;
        first = *object;
        kfree(object);
    }
    while ((frame = frame_alloc(FRAME_ORDER_MAX, ALLOC_WAIT)) != NULL)
        large++;
    CHECK(large >= 14);
    frame_get_stats(&stats);
    CHECK(stats.slab_pages < 64);
}

int main(void)
{
    machine_init(72UL << 20);
    srandom(1);
    CHECK(!kmalloc(5UL << 20, ALLOC_WAIT));
    CHECK(!kcalloc(SIZE_MAX / 8, 16, ALLOC_WAIT));
    CHECK(kmalloc(0, ALLOC_WAIT));
    char *text = kstrndup("hello world", 5, ALLOC_WAIT);
    CHECK(strcmp(text, "hello") == 0);
    kfree(text);
    test_cache();
    test_random();
    test_pressure();
    return 0;
}
