// SPDX-License-Identifier: MIT
/*
 * drivers/vmxnet3.c against a device that does anything: each step is a call of net, or a store of the device into
 * a ring.  ASan sees what leaves a ring or a buffer.
 */
#include "drivers/vmxnet3.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/vmxnet3_ring.h"
#include "tests/host/nic_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    unsigned index;
    bool generation;
} rx, tx;

static uint32_t answer(unsigned bar, unsigned offset)
{
    return 0;
}

static uint32_t revision(unsigned bar, unsigned offset)
{
    return bar == 1 && offset < 0x10; /* revision 1; commands succeed */
}

static struct vmxnet3_completion *completions(unsigned offset)
{
    const char *shared = (char *)(uintptr_t)(nic_reg(1, 0x10) | (uint64_t)nic_reg(1, 0x18) << 32);
    uint64_t queues, ring;
    memcpy(&queues, shared + 40, sizeof(queues));
    memcpy(&ring, (char *)(uintptr_t)queues + offset, sizeof(ring));
    return (void *)(uintptr_t)ring;
}

static void send(uint8_t shape, uint8_t start)
{
    struct netdev_offload offload = { .needs_checksum = shape & 32,
                                      .csum_start = start,
                                      .csum_offset = 16 };
    nic_send(shape & 31, start % 100, &offload);
}

static void complete(bool is_receive, uint8_t a, uint8_t b)
{
    struct vmxnet3_completion *ring = completions(is_receive ? 256 + 32 : 32);
    unsigned *index = is_receive ? &rx.index : &tx.index;
    bool *generation = is_receive ? &rx.generation : &tx.generation;
    ring[*index].word[0] = a | (b & 1 ? 0 : 3u << 14) | (b & 2 && b & 4 ? 1u << 8 : 0);
    ring[*index].word[2] = (uint32_t)b << 5 | a;
    ring[*index].word[3] = (uint32_t)b << 16 | (uint32_t)*generation << 31;
    *index = (*index + 1) % VMXNET3_RING_SIZE;
    *generation ^= *index == 0;
}

static void step(uint8_t what, uint8_t a, uint8_t b)
{
    switch (what % 8) {
    case 0:
    case 1:
        send(a, b);
        break;
    case 2:
        nic_dev->ops->poll(nic_dev, a);
        nic_read_packets();
        break;
    case 3:
        (void)nic_dev->ops->enable_interrupt(nic_dev);
        nic_dev->ops->kick(nic_dev);
        break;
    case 4:
    case 5:
        complete(true, a, b);
        break;
    case 6:
        complete(false, a, b);
        break;
    default:
        ((uint8_t *)completions(a & 1 ? 32 : 256 + 32))[16 * (size_t)b + a % 16] ^=
            (uint8_t)(a >> 4 | 1);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rx.index = tx.index = nic_nout = 0;
    rx.generation = tx.generation = true;
    memset(nic_window, 0, sizeof(nic_window));
    nic_on_read = revision;
    if (vmxnet3_driver.probe(&nic_pci.device))
        abort();
    nic_on_read = answer;
    for (size_t i = 0; i + 2 < size; i += 3)
        step(data[i], data[i + 1], data[i + 2]);
    nic_forget();
    return 0;
}
