// SPDX-License-Identifier: MIT
/*
 * drivers/vmxnet3.c and its rings against a device in memory: what it would do with registers and rings is done here.
 */
#include "drivers/vmxnet3.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/vmxnet3_ring.h"
#include "tests/host/check.h"
#include "tests/host/nic_world.h"

#define REG_REVISION  0x00
#define REG_UPT       0x08
#define REG_SHARED    0x10
#define REG_COMMAND   0x20
#define REG_CAUSE     0x38
#define REG_EVENTS    0x40
#define TX_INDEX      0x600
#define SHARED_QUEUES 40 /* where the address of the queues stands */
#define SHARED_EVENTS 696

struct side { /* the device's side of a ring */
    unsigned index;
    bool generation;
};

static struct side rx, rx_done, tx, tx_done;
static unsigned ndone;
static uint32_t activation, link = 10000u << 16 | 1;

/* A command is answered where it was written. */
static uint32_t answer(unsigned bar, unsigned offset)
{
    uint32_t value = nic_reg(bar, offset);
    if (bar != 1 || offset != REG_COMMAND)
        return value;
    switch (value) {
    case 0xcafe0000:
        return activation;
    case 0xf00d0002:
        return link;
    case 0xf00d0003:
        return 0x12290c00;
    case 0xf00d0004:
        return 0x5634;
    default:
        return 0;
    }
}

static void *address_at(const char *at)
{
    uint64_t address;
    memcpy(&address, at, sizeof(address));
    return (void *)(uintptr_t)address;
}

static char *shared(void)
{
    return (char *)(uintptr_t)(nic_reg(1, REG_SHARED) | (uint64_t)nic_reg(1, REG_SHARED + 8) << 32);
}

/* The ring at a place in the queues' descriptors: transmit, then receive. */
static void *ring_at(unsigned offset)
{
    return address_at((char *)address_at(shared() + SHARED_QUEUES) + offset);
}

#define TX_COMMANDS    ((struct vmxnet3_command *)ring_at(16))
#define TX_COMPLETIONS ((struct vmxnet3_completion *)ring_at(32))
#define RX_COMMANDS    ((struct vmxnet3_command *)ring_at(256 + 16))
#define RX_COMPLETIONS ((struct vmxnet3_completion *)ring_at(256 + 32))

static void advance(struct side *side)
{
    side->index = (side->index + 1) % VMXNET3_RING_SIZE;
    side->generation ^= side->index == 0;
}

static int probe(void)
{
    rx = rx_done = tx = tx_done = (struct side){ 0, true };
    ndone = nic_nwakes = nic_nready = 0;
    nic_dev = NULL;
    nic_on_read = answer;
    memset(nic_window, 0, sizeof(nic_window));
    nic_set_reg(1, REG_REVISION, 1);
    nic_set_reg(1, REG_UPT, 1);
    return vmxnet3_driver.probe(&nic_pci.device);
}

/* False: the device has no buffer. */
static bool take_buffer(uint64_t *address, unsigned *index)
{
    const struct vmxnet3_command *command = &RX_COMMANDS[rx.index];
    if (!!(command->first >> 31) != rx.generation)
        return false;
    CHECK_EQ(command->first & 0x3fff, NET_BUFFER_SPACE);
    *address = command->address;
    *index = rx.index;
    advance(&rx);
    return true;
}

static void complete(uint32_t first, uint32_t size, uint32_t state)
{
    struct vmxnet3_completion *completion = &RX_COMPLETIONS[rx_done.index];
    completion->word[0] = first;
    completion->word[2] = size;
    completion->word[3] = state | 3u << 24 | (uint32_t)rx_done.generation << 31;
    advance(&rx_done);
}

static void device_receives(int byte, uint32_t len, uint32_t flags, uint32_t state)
{
    uint64_t address;
    unsigned index;
    CHECK(take_buffer(&address, &index));
    memset((void *)(uintptr_t)address, byte, MIN(len & 0x3fff, NET_BUFFER_SPACE));
    complete(index | flags, len, state);
}

#define WHOLE (1u << 14 | 1u << 15)

static unsigned device_sends(void)
{
    unsigned n = 0;
    for (;; n++) {
        const struct vmxnet3_command *command = &TX_COMMANDS[tx.index];
        if (!!(command->first & 1u << 14) != tx.generation)
            return n;
        if (command->second & 1u << 12) {
            struct vmxnet3_completion *completion = &TX_COMPLETIONS[tx_done.index];
            completion->word[0] = tx.index;
            completion->word[3] = (uint32_t)tx_done.generation << 31;
            advance(&tx_done);
        }
        advance(&tx);
    }
}

static void done(void *cookie)
{
    CHECK(cookie == &ndone);
    ndone++;
}

static int send(unsigned npieces, size_t len, bool checksum)
{
    static char data[2048];
    struct netdev_piece piece[32];
    struct netdev_offload offload = { .needs_checksum = checksum,
                                      .csum_start = 34,
                                      .csum_offset = 16 };
    for (unsigned i = 0; i < npieces; i++)
        piece[i] = (struct netdev_piece){ data, len };
    return nic_dev->ops->transmit(nic_dev, piece, npieces, &offload, done, &ndone);
}

static void test_probe(void)
{
    activation = 1;
    CHECK_EQ(probe(), -EIO);
    activation = 0;
    CHECK_EQ(probe(), 0);
    CHECK(nic_dev && memcmp(nic_dev->mac, "\x00\x0c\x29\x12\x34\x56", 6) == 0);
    CHECK(nic_dev->is_link_up);
    uint64_t address;
    unsigned index, n = 0;
    while (take_buffer(&address, &index))
        n++;
    CHECK_EQ(n, 64);
    long frames = nic_frames;
    for (long more = 0; more < 5; more++) {
        nic_frames_max = frames + more;
        CHECK_EQ(probe(), -ENOMEM);
        CHECK_EQ(nic_frames, frames);
    }
    nic_frames_max = 100000;
}

static void test_receive(void)
{
    CHECK_EQ(probe(), 0);
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < 40; i++)
            device_receives((int)(round + i), 60 + (round * 7 + i) % 1450, WHOLE,
                            i % 2 ? 1u << 16 | 1u << 18 : 0);
        CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 40);
        CHECK_EQ(nic_npackets, 40);
        for (unsigned i = 0; i < 40; i++) {
            const struct netdev_buffer *buffer = nic_packets[i].buffer;
            CHECK_EQ(buffer->len, 60 + (round * 7 + i) % 1450);
            CHECK_EQ(((uint8_t *)buffer->data)[buffer->len - 1], (uint8_t)(round + i));
            CHECK_EQ(nic_packets[i].offload.checksum_ok, i % 2);
        }
        nic_release_packets();
    }
    CHECK_EQ(nic_dev->rx_dropped, 0);
}

/* Frames that nobody can use, and buffers that the device passes over. */
static void test_odd_frames(void)
{
    uint64_t address;
    unsigned index;
    CHECK_EQ(probe(), 0);
    device_receives(1, 60, 1u << 15, 0);         /* the first of two */
    device_receives(1, 60, 1u << 14, 0);         /* the last */
    device_receives(1, 0, WHOLE, 0);             /* nothing */
    device_receives(1, 60 | 1u << 14, WHOLE, 0); /* damaged */
    device_receives(1, 0x3fff, WHOLE, 0);        /* more than the buffer has */
    for (unsigned i = 0; i < 3; i++)
        CHECK(take_buffer(&address, &index));
    device_receives(7, 77, WHOLE | 1u << 30, 1u << 16 | 1u << 18); /* checksum not looked at */
    CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 6);
    CHECK_EQ(nic_npackets, 1);
    CHECK_EQ(nic_packets[0].buffer->len, 77);
    CHECK(!nic_packets[0].offload.checksum_ok);
    CHECK_EQ(nic_dev->rx_dropped, 5);
    nic_release_packets();
    unsigned n = 0;
    while (take_buffer(&address, &index))
        n++;
    CHECK_EQ(n, 64);
}

/* A device that names what it does not have is not listened to any more. */
static void test_lies(void)
{
    static const uint32_t lies[] = { 64, 255, 256, 0xfff, 1u << 16 };
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        CHECK_EQ(probe(), 0);
        complete(lies[i] | WHOLE, 60, 0);
        CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 0);
        complete(0 | WHOLE, 60, 0);
        CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 0);
        CHECK_EQ(nic_npackets, 0);
        CHECK(!nic_dev->ops->enable_interrupt(nic_dev));
    }
    CHECK_EQ(probe(), 0);
    CHECK_EQ(send(2, 60, false), 0);
    TX_COMPLETIONS[0].word[0] = 0;
    TX_COMPLETIONS[0].word[3] = 1u << 31;
    nic_dev->ops->poll(nic_dev, 64);
    CHECK_EQ(ndone, 0);
    CHECK_EQ(send(1, 60, false), -EIO);
}

static void test_transmit(void)
{
    CHECK_EQ(probe(), 0);
    CHECK_EQ(send(0, 60, false), -EMSGSIZE);
    CHECK_EQ(send(17, 60, false), -EMSGSIZE);
    CHECK_EQ(send(1, 1519, false), -EMSGSIZE);
    CHECK_EQ(send(1, 0, false), -EMSGSIZE);
    CHECK_EQ(send(2, 757, true), 0);
    CHECK_EQ(nic_reg(0, TX_INDEX), 0); /* one kick a batch */
    nic_dev->ops->kick(nic_dev);
    CHECK_EQ(nic_reg(0, TX_INDEX), 2);
    CHECK_EQ(TX_COMMANDS[0].first, 757 | 1u << 14 | 50u << 18);
    CHECK_EQ(TX_COMMANDS[0].second, 34 | 2u << 10);
    CHECK_EQ(TX_COMMANDS[1].second, 34 | 2u << 10 | 3u << 12);
    unsigned nsent = 1;
    for (unsigned round = 0; round < 100; round++) {
        while (send(1 + nsent % 16, 90, nsent % 3 == 0) == 0)
            nsent++;
        CHECK(!nic_dev->ops->enable_interrupt(nic_dev));
        CHECK(device_sends() > 200);
        CHECK(nic_dev->ops->enable_interrupt(nic_dev)); /* done in between */
        nic_dev->ops->poll(nic_dev, 64);
        CHECK_EQ(ndone, nsent);
        CHECK_EQ(nic_nready, round + 1);
    }
}

static void test_interrupt(void)
{
    CHECK_EQ(probe(), 0);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 0); /* another device's */
    nic_set_reg(1, REG_CAUSE, 1);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 1);
    CHECK_EQ(nic_reg(0, 0), 1);
    uint32_t events = 1u << 2;
    memcpy(shared() + SHARED_EVENTS, &events, sizeof(events));
    link = 0;
    CHECK(nic_dev->ops->enable_interrupt(nic_dev)); /* net has to look at the link */
    CHECK_EQ(nic_reg(1, REG_EVENTS), events);
    CHECK(!nic_dev->is_link_up);
    link = 1;
    CHECK_EQ(nic_reg(0, 0), 0);
    nic_has_msix = true;
    CHECK_EQ(probe(), 0);
    nic_handler(nic_arg); /* the last one that was connected: the transmit queue's */
    CHECK_EQ(nic_nwakes, 1);
    CHECK_EQ(nic_reg(0, 8), 1);
    CHECK_EQ(nic_reg(0, 0), 0);
    nic_has_msix = false;
}

int main(void)
{
    test_probe();
    test_receive();
    test_odd_frames();
    test_lies();
    test_transmit();
    test_interrupt();
    return 0;
}
