// SPDX-License-Identifier: MIT
/*
 * drivers/e1000_core.c against a card that does anything: each step is a call of net, or a store of the card into a
 * ring or a register.  ASan sees what leaves a ring or a buffer.
 */
#include "drivers/e1000.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/e1000_ring.h"
#include "tests/host/nic_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void card_turn(void)
{
    nic_set_reg(0, 0, nic_reg(0, 0) & ~(1u << 26));
    nic_set_reg(0, 0x14, 0x1234u << 16 | 1u << 4);
}

static void *ring_at(unsigned base)
{
    return (void *)(uintptr_t)(nic_reg(0, base) | (uint64_t)nic_reg(0, base + 4) << 32);
}

static void send(uint8_t shape, uint8_t start)
{
    struct netdev_offload offload = { .needs_checksum = shape & 32,
                                      .csum_start = start,
                                      .csum_offset = 16 };
    nic_send(shape & 31, 1 + start % 100, &offload);
}

static void step(uint8_t what, uint8_t a, uint8_t b)
{
    struct e1000_receive_descriptor *receive = ring_at(0x2800);
    struct e1000_transmit_descriptor *transmit = ring_at(0x3800);
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
        nic_set_reg(0, 0xc0, a);
        nic_handler(nic_arg);
        break;
    case 5:
        transmit[a].status = b;
        break;
    case 6:
        receive[a].status = b | 1;
        break;
    default:
        ((uint8_t *)receive)[a % 16 + 16 * (size_t)b] ^= (uint8_t)(a >> 4 | 1);
        break;
    }
}

/* Started once: a card is there for the life of the machine. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nic_on_pause = card_turn;
    if (!nic_dev && e1000_driver.probe(&nic_pci.device))
        abort();
    for (size_t i = 0; i + 2 < size; i += 3)
        step(data[i], data[i + 1], data[i + 2]);
    return 0;
}
