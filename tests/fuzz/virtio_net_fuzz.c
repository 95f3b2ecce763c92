// SPDX-License-Identifier: MIT
/*
 * drivers/virtio_net.c against a card that does anything: its configuration and its features are of the input, and each
 * step is a call of net, or what the card does to a ring or a buffer.  ASan sees what leaves a ring or a buffer.
 */
#include "drivers/virtio_net.h"

#include <string.h>

#include "tests/host/fake_virtio.h"
#include "tests/host/vnet_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_device side[VNET_QUEUES];

static void send(uint8_t shape, uint8_t flow)
{
    struct netdev_offload offload = { .needs_checksum = shape & 32,
                                      .flow = flow,
                                      .is_by_sender = shape & 64 };
    nic_send(shape & 31, NIC_PIECE_MAX, &offload);
}

/* The card takes a chain, writes a byte into what it may write, and gives it back. */
static void device_uses(unsigned index, uint8_t value, uint8_t len)
{
    struct fake_device *device = &side[index];
    if (!vnet_queue(index) || device->ring->avail->index == device->avail_index)
        return;
    struct fake_chain chain;
    if (!fake_take(device, &chain))
        return;
    if (chain.nwritable) {
        struct vring_piece piece = chain.piece[chain.npieces - 1];
        memset((void *)(uintptr_t)piece.address, value, MIN(piece.len, 12u));
    }
    fake_return(device, chain.head, len);
}

static void step(uint8_t what, uint8_t a, uint8_t b)
{
    unsigned index = a % VNET_QUEUES;
    struct virtio_queue *queue = vnet_queue(index);
    switch (what % 10) {
    case 0:
    case 1:
        send(a, b);
        break;
    case 2:
        nic_dev->ops->poll(nic_dev, 64);
        nic_read_packets();
        break;
    case 3:
        (void)nic_dev->ops->enable_interrupt(nic_dev);
        nic_dev->ops->kick(nic_dev);
        break;
    case 4:
        vnet.ncpus_up = MAX(vnet.ncpus_up, a % 8u);
        vnet_set_cpu(b % 8);
        break;
    case 5:
        if (queue)
            queue->handler(queue->arg);
        break;
    case 6:
    case 7:
        device_uses(index, b, (uint8_t)(what ^ b));
        break;
    case 8:
        if (queue)
            fake_return(&side[index], b, what);
        break;
    default:
        if (queue)
            fake_skip(&side[index], b);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8)
        return 0;
    struct vnet_card card = { .features = VIRTIO_F_VERSION_1 | (uint64_t)data[0] << 15 |
                                          (uint64_t)data[1] << 22,
                              .nvectors = data[2],
                              .ncpus_firmware = 1 + data[3] % 8,
                              .ncpus_up = 1,
                              .missing = data[4] % 16 - 1 };
    memcpy(&card.pairs_max, data + 5, sizeof(card.pairs_max));
    nic_nout = 0;
    if (vnet_probe(&card) == 0) {
        for (unsigned i = 0; i < VNET_QUEUES; i++)
            if (vnet_queue(i))
                fake_init(&side[i], &vnet_queue(i)->ring);
        for (size_t at = 7; at + 3 <= size; at += 3)
            step(data[at], data[at + 1], data[at + 2]);
        nic_read_packets();
    }
    vnet_forget();
    return 0;
}
