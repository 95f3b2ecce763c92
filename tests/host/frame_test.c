// SPDX-License-Identifier: MIT
/*
 * kernel/mm/frame.c on several memory maps: alignment, no frame handed out twice, everything comes back
 * and merges, boot modules are left alone and adopted, and little memory is touched at first.
 */
#include "kernel/mm/frame.h"

#include <string.h>

#include "tests/host/check.h"
#include "tests/host/mm_machine.h"

#define MIB    (1UL << 20)
#define GIB    (1UL << 30)
#define BLOCKS 20000

static struct frame *blocks[BLOCKS];
static unsigned nblocks;

static void check_block(struct frame *frame, unsigned order)
{
    paddr_t paddr = frame_paddr(frame);

    CHECK_EQ(paddr % (PAGE_SIZE << order), 0);
    CHECK_EQ(frame->refcount, 1);
    CHECK(frame_of(paddr) == frame);
    CHECK(frame_address(frame) == arch_direct_map(paddr));
}

/* A mark in each page of a block shows whether another block overlaps it. */
static void mark(struct frame *frame, unsigned order)
{
    for (size_t i = 0; i < 1UL << order; i++)
        *(struct frame **)((char *)frame_address(frame) + i * PAGE_SIZE) = frame;
}

static void check_mark(struct frame *frame)
{
    for (size_t i = 0; i < 1UL << frame->order; i++)
        CHECK(*(struct frame **)((char *)frame_address(frame) + i * PAGE_SIZE) == frame);
}

static void free_block(unsigned i)
{
    check_mark(blocks[i]);
    frame_put(blocks[i]);
    blocks[i] = blocks[--nblocks];
}

static void test_random(uint64_t ram)
{
    struct frame_stats before, after;

    machine_init(ram);
    frame_get_stats(&before);
    CHECK_EQ(before.free_pages, before.total_pages);
    srandom(1);
    for (unsigned round = 0; round < 100000; round++) {
        if (random() % 100 < (round / 10000 % 2 ? 30 : 70) && nblocks < BLOCKS) {
            unsigned order = random() % 4 ? 0 : (unsigned)random() % (FRAME_ORDER_MAX + 1);
            struct frame *frame = frame_alloc(order, random() % 2 ? ALLOC_APP : ALLOC_WAIT);
            if (frame) {
                check_block(frame, order);
                mark(frame, order);
                blocks[nblocks++] = frame;
            }
        } else if (nblocks > 0) {
            free_block((unsigned)random() % nblocks);
        }
    }
    while (nblocks > 0)
        free_block(nblocks - 1);
    frame_get_stats(&after);
    /* The array of RAM that was reached comes out of the total. */
    CHECK_EQ(after.free_pages, after.total_pages);
    CHECK(after.total_pages > before.total_pages * 97 / 100);
    CHECK_EQ(after.app_pages, 0);
    CHECK_EQ(after.kernel_pages, 0);
}

/* All memory by single pages, then by the largest blocks: it must merge again. */
static void test_exhaust(void)
{
    struct frame_stats stats;
    struct list all = LIST_INIT(all);
    struct frame *frame;
    uint64_t npages = 0, large = 0;

    machine_init(64 * MIB);
    while ((frame = frame_alloc(0, ALLOC_ATOMIC)) != NULL) {
        list_push_back(&all, &frame->node);
        npages++;
    }
    frame_get_stats(&stats);
    CHECK_EQ(stats.free_pages, 0);
    CHECK_EQ(npages, stats.total_pages);
    CHECK(npages > 62 * MIB / PAGE_SIZE);
    while (!list_is_empty(&all)) {
        frame = list_first(&all, struct frame, node);
        list_remove(&frame->node);
        frame_put(frame);
    }
    /* The application leaves a reserve, the kernel a smaller one. */
    while ((frame = frame_alloc(0, ALLOC_APP)) != NULL)
        list_push_back(&all, &frame->node);
    frame_get_stats(&stats);
    CHECK(stats.free_pages >= 200);
    CHECK((frame = frame_alloc(0, ALLOC_WAIT)) != NULL);
    frame_put(frame);
    while (!list_is_empty(&all)) {
        frame = list_first(&all, struct frame, node);
        list_remove(&frame->node);
        frame_put(frame);
    }
    while ((frame = frame_alloc(FRAME_ORDER_LARGE, ALLOC_WAIT)) != NULL) {
        list_push_back(&all, &frame->node);
        large++;
    }
    CHECK(large >= 28);
}

static void test_split(void)
{
    struct frame_stats before, after;

    machine_init(32 * MIB);
    frame_get_stats(&before);
    struct frame *frame = frame_alloc(3, ALLOC_APP | ALLOC_ZERO);
    for (size_t i = 0; i < 8 * PAGE_SIZE; i++)
        CHECK_EQ(((char *)frame_address(frame))[i], 0);
    frame_split(frame);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(frame[i].refcount, 1);
        CHECK_EQ(frame[i].order, 0);
    }
    frame_get_stats(&after);
    CHECK_EQ(after.app_pages, 8);
    frame_get(&frame[5]);
    for (unsigned i = 0; i < 8; i++)
        frame_put(&frame[i]);
    CHECK_EQ(frame[5].refcount, 1);
    frame_put(&frame[5]);
    frame_get_stats(&after);
    CHECK_EQ(after.app_pages, 0);
    CHECK_EQ(after.free_pages, after.total_pages);
}

/* Unsorted, overlapping ranges with holes, a kernel and a module in them, and a terabyte above. */
static void test_map(void)
{
    static struct boot_info boot = {
        .kernel_start = 2 * MIB,
        .kernel_end = 3 * MIB + 100,
        .nranges = 6,
        .range = {
            { 64 * GIB, 512 * GIB, BOOT_RAM },
            { 0, 900 * 1024, BOOT_RAM },
            { MIB + 17, 255 * MIB, BOOT_RAM },
            { 128 * MIB, MIB, BOOT_RESERVED },
            { 200 * MIB, 100 * MIB, BOOT_RAM },
            { 4 * GIB + 20 * MIB, 3 * PAGE_SIZE, BOOT_RAM },
        },
        .nmodules = 1,
        .module = { { 40 * MIB + 512, 20 * MIB } },
    };
    struct frame_stats stats;

    machine_init_map(577 * GIB, &boot);
    frame_get_stats(&stats);
    CHECK(stats.total_pages > (512 * GIB + 270 * MIB) / PAGE_SIZE);
    struct frame *frame = frame_alloc(0, ALLOC_WAIT);
    CHECK(frame_paddr(frame) >= 64 * 1024 && frame_paddr(frame) < 300 * MIB);
    CHECK(machine_touched() < 200 * 1024);

    /* The module's pages belong to nobody until they are adopted. */
    CHECK(!frame_of(41 * MIB));
    char *module = arch_direct_map(41 * MIB);
    memset(module, 0x77, PAGE_SIZE);
    struct frame *adopted = NULL, *again;
    CHECK_EQ(frame_adopt(41 * MIB, 1, &adopted), 1);
    CHECK(adopted && frame_of(41 * MIB) == adopted && adopted->refcount == 1);
    CHECK_EQ(frame_adopt(41 * MIB, 1, &again), 0);
    /* A run ends where the array's next chunk begins, and before a page that is taken. */
    CHECK_EQ(frame_adopt(44 * MIB - 2 * PAGE_SIZE, 5, &again), 2);
    CHECK_EQ(frame_adopt(44 * MIB - 3 * PAGE_SIZE, 5, &again), 1);
    for (unsigned i = 0; i < 3; i++)
        frame_put(&again[i]);
    CHECK_EQ(module[0], 0x77);
    frame_get_stats(&stats);
    uint64_t free_before = stats.free_pages;
    frame_release_range(40 * MIB + 512, 60 * MIB + 512);
    frame_get_stats(&stats);
    CHECK_EQ(stats.free_pages - free_before, 20 * MIB / PAGE_SIZE - 5);
    CHECK(frame_of(41 * MIB) == adopted && adopted->refcount == 1);
    frame_put(adopted);
    frame_get_stats(&stats);
    CHECK_EQ(stats.free_pages - free_before, 20 * MIB / PAGE_SIZE - 4);

    unsigned low =
        0; /* below 640 KiB, but for the first 64 and the arrays in the lowest free RAM */
    for (unsigned i = 0; i < 150000; i++) {
        frame = frame_alloc(0, ALLOC_WAIT);
        paddr_t at = frame_paddr(frame);
        low += at < 640 * 1024;
        CHECK(at >= 64 * 1024 && (at < 640 * 1024 || at >= MIB));
        CHECK(at + PAGE_SIZE <= 2 * MIB || at >= 3 * MIB + PAGE_SIZE);
        CHECK(at < 128 * MIB || at >= 129 * MIB);
        CHECK(at < 300 * MIB || (at >= 4 * GIB + 20 * MIB && at < 4 * GIB + 21 * MIB) ||
              at >= 64 * GIB);
    }
    CHECK(low > 0 && low < 144);
    CHECK(frame_paddr(frame) > 64 * GIB);
    CHECK_EQ(frame_alloc(10, ALLOC_WAIT)->order, 10);
    CHECK(!frame_of(300 * GIB));
    CHECK(!frame_of(1UL << 50));
}

static void test_failure(void)
{
    machine_init(16 * MIB);
    frame_fail_from(3);
    CHECK(frame_alloc(0, ALLOC_WAIT));
    CHECK(frame_alloc(0, ALLOC_WAIT));
    CHECK(!frame_alloc(0, ALLOC_WAIT));
    CHECK(!frame_alloc(0, ALLOC_ATOMIC));
    frame_fail_from(0);
    CHECK(frame_alloc(0, ALLOC_WAIT));
}

/* Each test has a fresh allocator only because it is a process of its own. */
int main(int argc, char **argv)
{
    static void (*const tests[])(void) = { test_exhaust, test_split, test_map, test_failure };

    if (argc == 1) {
        for (char which = '0'; which < '6'; which++) {
            char command[512];
            snprintf(command, sizeof(command), "'%s' %c", argv[0], which);
            CHECK_EQ(system(command), 0);
        }
        return 0;
    }
    unsigned which = (unsigned)atoi(argv[1]);
    if (which < 4)
        tests[which]();
    else
        test_random(which == 4 ? 8 * MIB : 300 * MIB);
    return 0;
}
