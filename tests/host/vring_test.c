// SPDX-License-Identifier: MIT
/*
 * drivers/vring.c against a device that follows the rules, and one that does not.
 */
#include "drivers/vring.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "tests/host/check.h"
#include "tests/host/fake_virtio.h"

#define SIZE  8
#define ALIGN 64

struct world {
    void *memory;
    struct vring ring;
    struct fake_device device;
};

static int cookies[1024];

static void world_open(struct world *world, uint16_t size, bool event_index, bool indirect)
{
    size_t bytes = vring_bytes(size, ALIGN);
    world->memory = kzalloc(bytes, ALLOC_WAIT);
    CHECK(world->memory);
    CHECK_EQ(vring_init(&world->ring, size, ALIGN, world->memory, event_index, indirect), 0);
    fake_init(&world->device, &world->ring);
}

static void world_close(struct world *world)
{
    vring_fini(&world->ring);
    kfree(world->memory);
}

static int push(struct world *world, unsigned nout, unsigned nin, void *cookie)
{
    struct vring_piece piece[FAKE_PIECES_MAX];
    for (unsigned i = 0; i < nout + nin; i++)
        piece[i] = (struct vring_piece){ 0x1000u * (i + 1), 100 + i };
    return vring_push(&world->ring, piece, nout, nin, cookie);
}

static void test_round_trip(void)
{
    struct world world;
    struct fake_chain chain;
    uint32_t len = 0;
    world_open(&world, SIZE, true, false);
    CHECK_EQ(push(&world, 2, 1, &cookies[0]), 0);
    CHECK(!vring_pop(&world.ring, &len));
    CHECK(fake_take(&world.device, &chain));
    CHECK_EQ(chain.npieces, 3);
    CHECK_EQ(chain.nwritable, 1);
    CHECK_EQ(chain.piece[2].address, 0x3000);
    CHECK_EQ(chain.piece[2].len, 102);
    CHECK(!vring_has_used(&world.ring));
    fake_return(&world.device, chain.head, 17);
    CHECK(vring_has_used(&world.ring));
    CHECK(vring_pop(&world.ring, &len) == &cookies[0]);
    CHECK_EQ(len, 17);
    CHECK(!vring_pop(&world.ring, &len));
    CHECK_EQ(world.ring.nfree, SIZE);
    world_close(&world);
}

static void test_full(void)
{
    struct world world;
    world_open(&world, SIZE, true, false);
    CHECK_EQ(push(&world, 3, 3, &cookies[0]), 0);
    CHECK_EQ(push(&world, 2, 1, &cookies[1]), -ENOSPC);
    CHECK_EQ(push(&world, 1, 1, &cookies[1]), 0);
    CHECK_EQ(push(&world, 1, 0, &cookies[2]), -ENOSPC);
    CHECK_EQ(push(&world, 0, 0, &cookies[2]), -ENOSPC);
    CHECK(!vring_has_room(&world.ring, 1));
    world_close(&world);
}

/* Returned in another order than taken, over the wrap of the indices. */
static void test_out_of_order(void)
{
    struct world world;
    world_open(&world, SIZE, true, true);
    for (unsigned round = 0; round < 20000; round++) {
        struct fake_chain chain[3];
        uint32_t len;
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(push(&world, 1, i, &cookies[i]), 0);
        for (unsigned i = 0; i < 3; i++) {
            CHECK(fake_take(&world.device, &chain[i]));
            CHECK_EQ(chain[i].npieces, 1 + i);
            CHECK_EQ(chain[i].nwritable, i);
        }
        for (unsigned i = 0; i < 3; i++)
            fake_return(&world.device, chain[(i + round) % 3].head, 0);
        for (unsigned i = 0; i < 3; i++)
            CHECK(vring_pop(&world.ring, &len) == &cookies[(i + round) % 3]);
        CHECK_EQ(world.ring.nfree, SIZE);
    }
    world_close(&world);
}

static void test_indirect(void)
{
    struct world world;
    struct fake_chain chain;
    uint32_t len;
    world_open(&world, SIZE, true, true);
    /* One descriptor each once they get scarce: so all of the ring is usable. */
    unsigned n = 0;
    while (vring_has_room(&world.ring, 5)) {
        CHECK_EQ(push(&world, 3, 2, &cookies[n]), 0);
        n++;
    }
    CHECK_EQ(world.ring.nfree, 0);
    CHECK_EQ(n, SIZE - 4);
    for (unsigned i = 0; i < n; i++) {
        CHECK(fake_take(&world.device, &chain));
        CHECK_EQ(chain.npieces, 5);
        CHECK_EQ(chain.nwritable, 2);
        fake_return(&world.device, chain.head, 1000);
        CHECK(vring_pop(&world.ring, &len) == &cookies[i]);
        CHECK_EQ(len, 103 + 104); /* clamped to what it could have written */
    }
    CHECK_EQ(world.ring.nfree, SIZE);
    world_close(&world);
}

/* No memory for a table: direct descriptors, or no room. */
static void test_no_memory(void)
{
    struct world world;
    world_open(&world, SIZE, true, true);
    heap_fail_from(1);
    CHECK_EQ(push(&world, 3, 2, &cookies[0]), 0);
    CHECK_EQ(push(&world, 2, 1, &cookies[1]), 0);
    heap_fail_from(0);
    world_close(&world);
    world_open(&world, SIZE, true, true);
    CHECK_EQ(push(&world, 3, 2, &cookies[0]), 0);
    heap_fail_from(1);
    CHECK_EQ(push(&world, 3, 2, &cookies[1]), -ENOSPC);
    heap_fail_from(0);
    CHECK_EQ(push(&world, 3, 2, &cookies[1]), 0);
    world_close(&world);

    struct vring ring;
    void *memory = kzalloc(vring_bytes(SIZE, ALIGN), ALLOC_WAIT);
    heap_fail_from(1);
    CHECK_EQ(vring_init(&ring, SIZE, ALIGN, memory, true, true), -ENOMEM);
    heap_fail_from(0);
    kfree(memory);
}

static void test_kick(void)
{
    struct world world;
    world_open(&world, SIZE, true, false);
    CHECK(!vring_kick_needed(&world.ring));
    CHECK_EQ(push(&world, 1, 0, &cookies[0]), 0);
    CHECK(vring_kick_needed(&world.ring)); /* event 0: after the first */
    CHECK_EQ(push(&world, 1, 0, &cookies[1]), 0);
    CHECK(!vring_kick_needed(&world.ring)); /* it is busy and has not moved the event */
    fake_set_avail_event(&world.device, 3);
    CHECK_EQ(push(&world, 1, 0, &cookies[2]), 0);
    CHECK(!vring_kick_needed(&world.ring));
    CHECK_EQ(push(&world, 1, 0, &cookies[3]), 0);
    CHECK_EQ(push(&world, 1, 0, &cookies[4]), 0);
    CHECK(vring_kick_needed(&world.ring));
    CHECK(!vring_kick_needed(&world.ring));
    world_close(&world);

    world_open(&world, SIZE, false, false);
    CHECK_EQ(push(&world, 1, 0, &cookies[0]), 0);
    CHECK(vring_kick_needed(&world.ring));
    fake_set_no_notify(&world.device, true);
    CHECK_EQ(push(&world, 1, 0, &cookies[1]), 0);
    CHECK(!vring_kick_needed(&world.ring));
    world_close(&world);
}

static void return_one(struct world *world)
{
    struct fake_chain chain;
    CHECK(fake_take(&world->device, &chain));
    fake_return(&world->device, chain.head, 0);
}

static void test_interrupt(bool event_index)
{
    struct world world;
    uint32_t len;
    world_open(&world, SIZE, event_index, false);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(push(&world, 1, 0, &cookies[i]), 0);
    return_one(&world);
    CHECK(!fake_wants_interrupt(&world.device, 0)); /* off at first */
    CHECK(vring_enable_interrupt(&world.ring));     /* too late for that one */
    CHECK(vring_pop(&world.ring, &len));
    CHECK(!vring_enable_interrupt(&world.ring));
    return_one(&world);
    CHECK(fake_wants_interrupt(&world.device, 1));
    CHECK(vring_pop(&world.ring, &len));
    vring_disable_interrupt(&world.ring);
    return_one(&world);
    CHECK(!fake_wants_interrupt(&world.device, 2));
    CHECK(vring_pop(&world.ring, &len));

    /* Three are left with the device: with the event index only the third is worth it. */
    CHECK(!vring_enable_interrupt_late(&world.ring));
    return_one(&world);
    CHECK(fake_wants_interrupt(&world.device, 3) == !event_index);
    return_one(&world);
    return_one(&world);
    CHECK(fake_wants_interrupt(&world.device, 5));
    CHECK(vring_enable_interrupt_late(&world.ring));
    world_close(&world);
}

/* Each lie breaks the ring for good, and nothing is handed out any more. */
static void check_broken(struct world *world)
{
    uint32_t len;
    CHECK(!vring_pop(&world->ring, &len));
    CHECK(world->ring.is_broken);
    CHECK(!vring_pop(&world->ring, &len));
    CHECK(!vring_enable_interrupt(&world->ring));
    CHECK_EQ(push(world, 1, 0, &cookies[0]), -EIO);
    world_close(world);
}

static void test_lies(void)
{
    struct world world;
    struct fake_chain chain;
    uint32_t len;

    world_open(&world, SIZE, true, true); /* returns what it was never given */
    fake_return(&world.device, 0, 0);
    check_broken(&world);

    world_open(&world, SIZE, true, true); /* an index outside of the ring */
    CHECK_EQ(push(&world, 1, 1, &cookies[0]), 0);
    fake_return(&world.device, SIZE, 0);
    check_broken(&world);

    world_open(&world, SIZE, true, true); /* not the head of a chain */
    CHECK_EQ(push(&world, 1, 1, &cookies[0]), 0);
    CHECK(fake_take(&world.device, &chain));
    fake_return(&world.device, chain.head + 1u, 0);
    check_broken(&world);

    world_open(&world, SIZE, true, true); /* the same chain twice */
    CHECK_EQ(push(&world, 1, 1, &cookies[0]), 0);
    CHECK_EQ(push(&world, 1, 1, &cookies[1]), 0);
    CHECK(fake_take(&world.device, &chain));
    fake_return(&world.device, chain.head, 0);
    fake_return(&world.device, chain.head, 0);
    CHECK(vring_pop(&world.ring, &len) == &cookies[0]);
    check_broken(&world);

    world_open(&world, SIZE, true, true); /* more than it has */
    CHECK_EQ(push(&world, 1, 1, &cookies[0]), 0);
    fake_skip(&world.device, 2);
    check_broken(&world);

    world_open(&world, SIZE, true, true); /* backwards */
    CHECK_EQ(push(&world, 1, 1, &cookies[0]), 0);
    fake_skip(&world.device, 0xffff);
    check_broken(&world);
}

/* The device scribbles over the descriptors: the free list must not follow them. */
static void test_scribble(void)
{
    struct world world;
    struct fake_chain chain;
    uint32_t len;
    world_open(&world, SIZE, true, false);
    CHECK_EQ(push(&world, 2, 2, &cookies[0]), 0);
    CHECK(fake_take(&world.device, &chain));
    memset(world.ring.descriptors, 0xff, SIZE * sizeof(*world.ring.descriptors));
    fake_return(&world.device, chain.head, UINT32_MAX);
    CHECK(vring_pop(&world.ring, &len) == &cookies[0]);
    CHECK_EQ(len, 102 + 103);
    CHECK_EQ(push(&world, 4, 4, &cookies[1]), 0);
    CHECK(fake_take(&world.device, &chain));
    CHECK_EQ(chain.npieces, 8);
    world_close(&world);
}

int main(void)
{
    test_round_trip();
    test_full();
    test_out_of_order();
    test_indirect();
    test_no_memory();
    test_kick();
    test_interrupt(true);
    test_interrupt(false);
    test_lies();
    test_scribble();
    return 0;
}
