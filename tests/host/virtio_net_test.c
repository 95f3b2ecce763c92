// SPDX-License-Identifier: MIT
/*
 * drivers/virtio_net.c and several pairs of queues: which are used, what a device can refuse or lie about.
 */
#include "drivers/virtio_net.h"

#include <limits.h>
#include <string.h>

#include "drivers/net_flow.h"
#include "tests/host/check.h"
#include "tests/host/fake_virtio.h"
#include "tests/host/vnet_world.h"

#define CONTROL 4 /* of a card of two pairs */
#define REFUSED 1
#define SILENT  (-1)

static const struct vnet_card card = { .features = VIRTIO_F_VERSION_1 | VNET_MQ | VNET_CTRL_VQ,
                                       .pairs_max = 2,
                                       .nvectors = 6,
                                       .ncpus_firmware = 2,
                                       .ncpus_up = 1,
                                       .missing = -1 };
static struct fake_device side[VNET_QUEUES]; /* the device's, of the first queues */

static void start(const struct vnet_card *which)
{
    CHECK_EQ(vnet_probe(which), 0);
    CHECK(nic_dev);
    for (unsigned i = 0; i < VNET_QUEUES; i++)
        if (vnet_queue(i))
            fake_init(&side[i], &vnet_queue(i)->ring);
}

static unsigned poll(void)
{
    return nic_dev->ops->poll(nic_dev, 64);
}

/* Reads what the driver asks and answers it, in so many bytes. */
static void answer_question(int answer, uint32_t len)
{
    struct fake_chain chain;
    CHECK(fake_take(&side[CONTROL], &chain));
    CHECK_EQ(chain.npieces, 3);
    CHECK_EQ(chain.nwritable, 1);
    CHECK_EQ(chain.piece[0].len, 2);
    CHECK_EQ(chain.piece[1].len, 2);
    CHECK_EQ(chain.piece[2].len, 1);
    static const uint8_t question[] = { 4, 0, 2, 0 }; /* 5.1.6.5.5: two pairs */
    CHECK(memcmp((void *)(uintptr_t)chain.piece[0].address, question, 2) == 0);
    CHECK(memcmp((void *)(uintptr_t)chain.piece[1].address, question + 2, 2) == 0);
    if (answer == SILENT)
        return;
    *(uint8_t *)(uintptr_t)chain.piece[2].address = (uint8_t)answer;
    fake_return(&side[CONTROL], chain.head, len);
    poll();
}

static void start_two(int answer, uint32_t len)
{
    start(&card);
    poll();
    CHECK(!vring_has_used(&vnet_queue(CONTROL)->ring));
    CHECK_EQ(vnet_queue(CONTROL)->ring.nchains, 0); /* the other processor is not up */
    vnet.ncpus_up = 2;
    poll();
    CHECK_EQ(nic_dev->nqueues, 1);
    answer_question(answer, len);
}

static void done(void *cookie)
{
}

static void send(uint16_t flow, bool is_by_sender)
{
    static char frame[60];
    struct netdev_piece piece = { frame, sizeof(frame) };
    struct netdev_offload offload = { .flow = flow, .is_by_sender = is_by_sender };
    CHECK_EQ(nic_dev->ops->transmit(nic_dev, &piece, 1, &offload, done, NULL), 0);
}

/* How many packets each pair has for the device. */
#define CHECK_SENT(first, second)                                                                  \
    do {                                                                                           \
        CHECK_EQ(vnet_queue(1)->ring.nchains, (first));                                            \
        CHECK_EQ(vnet_queue(3)->ring.nchains, (second));                                           \
    } while (0)

static void device_sends(unsigned queue)
{
    struct fake_chain chain;
    while (fake_take(&side[queue], &chain))
        fake_return(&side[queue], chain.head, 0);
}

static void device_receives(unsigned queue)
{
    struct fake_chain chain;
    CHECK(fake_take(&side[queue], &chain));
    memset((void *)(uintptr_t)chain.piece[0].address, 0, 12); /* the header */
    fake_return(&side[queue], chain.head, 12 + 60);
}

static void test_two_pairs(void)
{
    start_two(0, 1);
    CHECK_EQ(nic_dev->nqueues, 2);
    CHECK_EQ(vnet.cpu_of[0], 0);
    CHECK_EQ(vnet.cpu_of[2], 1);
    poll();
    CHECK_EQ(vnet_queue(CONTROL)->ring.nchains, 0); /* it does not ask again */
    CHECK_EQ(vnet_queue(0)->ring.nchains, 64);
    CHECK_EQ(vnet_queue(2)->ring.nchains, 64);
    device_receives(2);
    device_receives(0);
    device_receives(2);
    CHECK_EQ(poll(), 3);
    CHECK_EQ(nic_npackets, 3);
    nic_release_packets();
    CHECK_EQ(vnet_queue(2)->ring.nchains, 64);

    unsigned nwakes = nic_nwakes;
    struct virtio_queue *second = vnet_queue(2);
    CHECK(!nic_dev->ops->enable_interrupt(nic_dev));
    CHECK(!(second->ring.avail->flags & 1) && !(vnet_queue(0)->ring.avail->flags & 1));
    second->handler(second->arg);
    CHECK_EQ(nic_nwakes, nwakes + 1);
    CHECK((second->ring.avail->flags & 1) && !(vnet_queue(0)->ring.avail->flags & 1));
    device_receives(2);
    CHECK(nic_dev->ops->enable_interrupt(nic_dev)); /* there is something in the second pair */
}

/* A connection goes to the sender's pair, when nothing of it is left in another one. */
static void test_flows(void)
{
    start_two(0, 1);
    send(7, false);
    CHECK_SENT(1, 0);
    vnet_set_cpu(1);
    send(7, true);
    CHECK_SENT(2, 0);
    send(8, true);
    CHECK_SENT(2, 1);
    send(9, false); /* an answer stays where the connection is */
    CHECK_SENT(3, 1);
    device_sends(1);
    send(7, false);
    CHECK_SENT(4, 1); /* not yet collected */
    device_sends(1);
    send(7, true);
    send(7, true);
    CHECK_SENT(4, 3);
    vnet_set_cpu(0);
    send(7, true);
    send(8, true);
    CHECK_SENT(4, 5);
    poll();
    CHECK_SENT(0, 5);
    device_sends(3);
    send(7 + NET_FLOWS, true); /* shares the entry */
    CHECK_SENT(1, 5);
    vnet_set_cpu(5); /* more processors than pairs */
    send(8, true);
    CHECK_SENT(1, 6);
}

static void test_refusals(void)
{
    static const struct {
        int answer;
        uint32_t len;
    } refusals[] = { { REFUSED, 1 }, { 0, 0 }, { 77, 1 }, { SILENT, 0 } };
    for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
        start_two(refusals[i].answer, refusals[i].len);
        CHECK_EQ(nic_dev->nqueues, 1);
        poll();
        CHECK_EQ(vnet_queue(CONTROL)->ring.nchains, refusals[i].answer == SILENT);
        vnet_set_cpu(1);
        send(7, true);
        CHECK_SENT(1, 0);
        device_receives(0);
        device_receives(2); /* though it says no */
        CHECK_EQ(poll(), 2);
        nic_release_packets();
    }
}

/* The card works with one pair, and the driver has made no more. */
static void check_one(const struct vnet_card *which)
{
    start(which);
    vnet.ncpus_up = which->ncpus_firmware;
    poll();
    CHECK_EQ(nic_dev->nqueues, 1);
    vnet_set_cpu(1);
    send(7, true);
    CHECK_EQ(vnet_queue(1)->ring.nchains, 1);
    device_receives(0);
    CHECK_EQ(poll(), 1);
    nic_release_packets();
    if (vnet_queue(CONTROL))
        CHECK_EQ(vnet_queue(CONTROL)->ring.nchains, 0);
}

static void test_one_pair(void)
{
    static const uint16_t nonsense[] = { 0, 0x8000, 0xffff };
    struct vnet_card other = card;
    for (unsigned i = 0; i < ARRAY_SIZE(nonsense); i++) {
        other.pairs_max = nonsense[i];
        check_one(&other);
        CHECK(!vnet_queue(2));
    }
    other.pairs_max = 1;
    check_one(&other);
    CHECK(!vnet_queue(3));
    other = card;
    for (other.missing = 2; other.missing <= CONTROL; other.missing++)
        check_one(&other);
    other = card;
    other.features &= ~VNET_CTRL_VQ;
    check_one(&other);
    CHECK(!vnet_queue(2));
    other = card;
    other.nvectors = 0; /* one interrupt for all */
    check_one(&other);
    CHECK(!vnet_queue(2));
    other = card;
    other.ncpus_firmware = 1;
    check_one(&other);
    CHECK(!vnet_queue(2));
}

/* The control queue's number is behind all pairs that the device has. */
static void test_many_offered(void)
{
    struct vnet_card other = card;
    other.pairs_max = 0x7fff;
    other.ncpus_firmware = 64;
    other.nvectors = 2048;
    start(&other);
    CHECK(vnet_queue(0xfffe));
    CHECK(vnet_queue(7) && !vnet_queue(8));
    vnet.ncpus_up = 3;
    poll();
    CHECK_EQ(vnet_queue(0xfffe)->ring.nchains, 1);
    other.nvectors = 4; /* three pairs' */
    start(&other);
    CHECK(vnet_queue(5) && !vnet_queue(6));
}

/* With less memory there are fewer pairs, or there is no card. */
static void test_no_memory(void)
{
    for (unsigned n = 0;; n++) {
        vnet_forget();
        vnet_allocations_left = n;
        int err = vnet_probe(&card);
        bool is_enough = vnet_allocations_left > 0;
        vnet_allocations_left = UINT_MAX;
        if (!err) {
            vnet.ncpus_up = 2;
            fake_init(&side[0], &vnet_queue(0)->ring);
            device_receives(0);
            CHECK_EQ(poll(), 1);
            nic_release_packets();
        }
        if (is_enough)
            break;
    }
    CHECK_EQ(vnet_queue(CONTROL)->ring.nchains, 1);
}

/* A pair that nothing can be received into would lose what came there, and nobody would be told. */
static void test_pair_without_buffers(void)
{
    start(&card);
    poll();
    vnet.ncpus_up = 2;
    nic_frames_max = nic_frames;
    poll();
    CHECK_EQ(vnet_queue(CONTROL)->ring.nchains, 0);
    nic_frames_max = 100000;
    poll();
    CHECK_EQ(vnet_queue(2)->ring.nchains, 64);
    answer_question(0, 1);
    CHECK_EQ(nic_dev->nqueues, 2);
}

int main(void)
{
    test_two_pairs();
    test_pair_without_buffers();
    test_flows();
    test_refusals();
    test_one_pair();
    test_many_offered();
    test_no_memory();
    vnet_forget();
    return 0;
}
