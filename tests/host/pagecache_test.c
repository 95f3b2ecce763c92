// SPDX-License-Identifier: MIT
/*
 * The page cache: bytes against a model, holes and SEEK_DATA, sizes, a "disk" behind it with write-back,
 * writes seen through shared mappings, and reclaim under pressure.
 */
#include "kernel/mm/pagecache.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/pagetree.h"
#include "kernel/mm/vmspace.h"
#include "tests/host/check.h"
#include "tests/host/mm_machine.h"

#define FILE_SIZE (300 * 4096)

static unsigned char model[FILE_SIZE], buf[FILE_SIZE];

static unsigned random_below(unsigned n)
{
    return (unsigned)random() % n;
}

static void test_bytes(void)
{
    struct pagecache *cache;

    CHECK_EQ(pagecache_create(NULL, NULL, &cache), 0);
    pagecache_set_size(cache, FILE_SIZE);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned pos = random_below(FILE_SIZE), n = random_below(20000);
        n = MIN(n, FILE_SIZE - pos);
        switch (random_below(6)) {
        case 0:
            for (unsigned i = 0; i < n; i++)
                model[pos + i] = (unsigned char)(round + i);
            CHECK_EQ(pagecache_write(cache, pos, model + pos, n, false), n);
            break;
        case 1:
            CHECK_EQ(pagecache_punch(cache, pos, pos + n), 0);
            memset(model + pos, 0, n);
            break;
        case 2:
            if (round % 10 == 0) {
                pagecache_set_size(cache, pos);
                pagecache_set_size(cache, FILE_SIZE);
                memset(model + pos, 0, FILE_SIZE - pos);
            }
            break;
        default:
            CHECK_EQ(pagecache_read(cache, pos, buf, n, false), n);
            CHECK(memcmp(buf, model + pos, n) == 0);
        }
    }
    pagecache_set_size(cache, 0);
    CHECK_EQ(cache->npages, 0);
    CHECK(!cache->pages.root);
    CHECK_EQ(pagecache_next_present(cache, 0), UINT64_MAX);
    pagecache_put(cache);
}

static void test_tree(void)
{
    static const uint64_t places[] = { 0,       1,         63,
                                       64,      4095,      4096,
                                       1000000, 1UL << 40, UINT64_MAX >> 12 };
    struct pagetree tree = { NULL, 0 };
    static int items[ARRAY_SIZE(places)];
    uint64_t index;

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
        CHECK_EQ(pagetree_set(&tree, places[i], &items[i]), 0);
    index = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++, index++) {
        CHECK(pagetree_get(&tree, places[i]) == &items[i]);
        CHECK(pagetree_next(&tree, &index) == &items[i]);
        CHECK_EQ(index, places[i]);
    }
    CHECK(!pagetree_next(&tree, &index));
    CHECK(!pagetree_get(&tree, 2) && !pagetree_remove(&tree, 65));
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        unsigned which = (i * 4) % ARRAY_SIZE(places);
        CHECK(pagetree_remove(&tree, places[which]) == &items[which]);
    }
    CHECK(!tree.root);
}

/* ---- A disk ------------------------------------------------------------------------- */

static unsigned char disk[3000];
static unsigned nfills, nwrites, nreleases;

static int disk_fill(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    nfills++;
    if (index == 99)
        return -EIO;
    memset(frame_address(frame), disk[index], PAGE_SIZE);
    return 0;
}

static int disk_write_back(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    nwrites++;
    disk[index] = *(unsigned char *)frame_address(frame);
    return 0;
}

static void disk_release(struct pagecache *cache)
{
    nreleases++;
}

static const struct pagecache_ops disk_ops = {
    .fill = disk_fill,
    .write_back = disk_write_back,
    .release = disk_release,
};

/* What is used all the time, though only through its page-table entries, does not leave for what is used once. */
static void read_beside_hot_pages(uintptr_t place)
{
    unsigned char value;
    unsigned again = 0;

    for (unsigned i = 100; i < 2 * ARRAY_SIZE(disk); i++) {
        unsigned page = i % ARRAY_SIZE(disk), before = nfills;
        for (unsigned hot = 0; hot < 90 && i % 16 == 4; hot++)
            CHECK_EQ(machine_read(place + hot * PAGE_SIZE, &value), 0);
        if (i > 116)
            again += nfills - before;
        if (page != 99)
            CHECK_EQ(machine_read(place + page * PAGE_SIZE, &value), 0);
    }
    CHECK_EQ(again, 0);
}

/* Dirty pages do not leave.  Whoever holds no locks cleans some, which then do. */
static void write_more_than_memory(uintptr_t place)
{
    unsigned nkills = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(disk); i++) {
        if (i == 99)
            continue;
        while (machine_write(place + i * PAGE_SIZE, (unsigned char)(i * 11))) {
            CHECK_EQ(machine_kills, ++nkills);
            CHECK_EQ(pagecache_clean(100), 100);
        }
    }
    CHECK(nkills > 0);
    while (pagecache_clean(100) == 100)
        continue;
    for (unsigned i = 0; i < ARRAY_SIZE(disk); i++)
        CHECK(i == 99 || disk[i] == (unsigned char)(i * 11));
}

static void test_disk(void)
{
    struct pagecache *cache;
    struct vmspace *vm;
    struct frame *frame;
    uintptr_t place;
    unsigned char value = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(disk); i++)
        disk[i] = (unsigned char)(i * 7);
    CHECK_EQ(pagecache_create(&disk_ops, NULL, &cache), 0);
    pagecache_set_size(cache, sizeof(disk) * PAGE_SIZE);
    CHECK_EQ(pagecache_page(cache, 99, false, &frame), -EIO);
    CHECK_EQ(pagecache_read(cache, 5 * PAGE_SIZE + 9, &value, 1, false), 1);
    CHECK_EQ(value, 35);

    CHECK_EQ(vmspace_create(true, &vm), 0);
    machine_use(vm);
    struct vmspace_map_args args = {
        .length = sizeof(disk) * PAGE_SIZE,
        .prot = ABI_PROT_READ | ABI_PROT_WRITE,
        .flags = ABI_MAP_SHARED,
        .cache = cache,
    };
    CHECK_EQ(vmspace_map(vm, &args, &place), 0);
    CHECK_EQ(cache->nwritable_shared, 1);

    /* A store through the mapping is noticed, once for each write-back. */
    CHECK_EQ(machine_read(place + 7 * PAGE_SIZE, &value), 0);
    CHECK_EQ(pagecache_write_back(cache, 0, UINT64_MAX), 0);
    CHECK_EQ(nwrites, 0);
    for (unsigned char i = 1; i < 4; i++) {
        CHECK_EQ(machine_write(place + 7 * PAGE_SIZE, i), 0);
        CHECK_EQ(pagecache_write_back(cache, 7 * PAGE_SIZE, 7 * PAGE_SIZE + 1), 0);
        CHECK_EQ(nwrites, i);
        CHECK_EQ(disk[7], i);
    }
    CHECK_EQ(machine_read(place + 99 * PAGE_SIZE, &value), 7 /* SIGBUS */);

    /* More file than memory, through the mapping: clean pages make room. */
    for (unsigned i = 0; i < sizeof(disk); i++) {
        if (i == 99)
            continue;
        CHECK_EQ(machine_read(place + i * PAGE_SIZE, &value), 0);
        CHECK_EQ(value, disk[i]);
    }
    CHECK(cache->npages < sizeof(disk));
    CHECK_EQ(machine_kills, 0);

    read_beside_hot_pages(place);
    write_more_than_memory(place);
    CHECK_EQ(machine_write(place + 8 * PAGE_SIZE, 55), 0);
    machine_use(NULL);
    vmspace_put(vm);
    CHECK_EQ(cache->nwritable_shared, 0);
    pagecache_get(cache);
    pagecache_put(cache);
    CHECK(disk[8] != 55);
    pagecache_retire(cache);
    CHECK_EQ(disk[8], 55);
    CHECK_EQ(pagecache_write(cache, 8 * PAGE_SIZE, "9", 1, false), 1);
    CHECK_EQ(pagecache_clean(1), 0); /* there is nobody to write it any more */
    pagecache_put(cache);
    CHECK_EQ(disk[8], 55);
    CHECK_EQ(nreleases, 1);
}

int main(void)
{
    struct frame_stats stats;

    machine_init(10UL << 20);
    srandom(1);
    test_tree();
    test_bytes();
    test_disk();
    frame_get_stats(&stats);
    CHECK_EQ(stats.cache_pages, 0);
    CHECK_EQ(stats.free_pages, stats.total_pages);
    return 0;
}
