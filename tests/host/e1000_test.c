// SPDX-License-Identifier: MIT
/*
 * drivers/e1000_core.c and its rings against a card in memory: the registers are a plain array, what the card
 * would do with them is done here.
 */
#include "drivers/e1000.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/e1000_ring.h"
#include "drivers/e1000e.h"
#include "kernel/mm/heap.h"
#include "tests/host/check.h"
#include "tests/host/nic_world.h"

#define REG_CONTROL  0x0000
#define REG_STATUS   0x0008
#define REG_EEPROM   0x0014
#define REG_CAUSE    0x00c0
#define REG_MASK_SET 0x00d0
#define REG_MASK_CLR 0x00d8
#define REG_RECEIVE  0x0100
#define REG_MISSED   0x4010
#define RX_BASE      0x2800
#define RX_TAIL      0x2818
#define TX_BASE      0x3800
#define TX_TAIL      0x3818
#define REG_RA_LOW   0x5400
#define REG_RA_HIGH  0x5404

static const uint16_t eeprom[3] = { 0x5452, 0x1200, 0x5634 };
static unsigned rx_at, tx_at; /* where the card is */
static unsigned ndone;
static bool is_stuck, is_express;

/* The card while the driver waits: a reset ends, a word of the EEPROM is there. */
static void card_turn(void)
{
    uint32_t control = nic_reg(0, REG_CONTROL), word = nic_reg(0, REG_EEPROM);
    if (!is_stuck)
        nic_set_reg(0, REG_CONTROL, control & ~(1u << 26));
    if (word & 1 && !is_stuck)
        nic_set_reg(0, REG_EEPROM,
                    is_express ? (uint32_t)eeprom[word >> 2 & 3] << 16 | 1u << 1
                               : (uint32_t)eeprom[word >> 8 & 3] << 16 | 1u << 4);
}

static void *ring_at(unsigned base)
{
    return (void *)(uintptr_t)(nic_reg(0, base) | (uint64_t)nic_reg(0, base + 4) << 32);
}

static int probe(void)
{
    memset(nic_window, 0, sizeof(nic_window));
    rx_at = tx_at = ndone = nic_nwakes = nic_nready = 0;
    nic_on_pause = card_turn;
    nic_dev = NULL;
    nic_set_reg(0, REG_STATUS, 2);
    return (is_express ? &e1000e_driver : &e1000_driver)->probe(&nic_pci.device);
}

static struct e1000_receive_descriptor *next_receive(void)
{
    struct e1000_receive_descriptor *ring = ring_at(RX_BASE);
    CHECK(rx_at != nic_reg(0, RX_TAIL));
    struct e1000_receive_descriptor *descriptor = &ring[rx_at];
    rx_at = (rx_at + 1) % E1000_RING_SIZE;
    return descriptor;
}

static void card_receives(const void *data, uint16_t len, uint8_t status, uint8_t errors)
{
    struct e1000_receive_descriptor *descriptor = next_receive();
    memcpy((void *)(uintptr_t)descriptor->address, data, MIN(len, 1522));
    descriptor->len = len;
    descriptor->errors = errors;
    __atomic_store_n(&descriptor->status, status, __ATOMIC_RELEASE);
}

/* The card sends all it was told of; how many descriptors. */
static unsigned card_sends(void)
{
    struct e1000_transmit_descriptor *ring = ring_at(TX_BASE);
    unsigned n = 0;
    for (; tx_at != nic_reg(0, TX_TAIL); tx_at = (tx_at + 1) % E1000_RING_SIZE, n++)
        if (ring[tx_at].command & 1u << 27)
            ring[tx_at].status |= 1;
    return n;
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
    CHECK_EQ(probe(), 0);
    CHECK(nic_dev && memcmp(nic_dev->mac, "\x52\x54\x00\x12\x34\x56", 6) == 0); /* the EEPROM's */
    CHECK_EQ(nic_reg(0, REG_RA_LOW), 0x12005452);
    CHECK_EQ(nic_reg(0, REG_RA_HIGH), 0x80005634);
    CHECK(nic_dev->is_link_up);
    CHECK_EQ(nic_reg(0, RX_TAIL), 64);
    CHECK_EQ(nic_reg(0, REG_RECEIVE) & (1u << 5 | 3u << 3),
             1u << 4); /* frames that are too long stay out */
    is_stuck = true;
    CHECK_EQ(probe(), -EIO);
    is_stuck = false;
    long frames = nic_frames;
    for (uint64_t n = 0; n < 2; n++) {
        nic_frames_max = nic_frames + (long)n;
        CHECK_EQ(probe(), -ENOMEM);
        CHECK_EQ(nic_frames, frames);
    }
    nic_frames_max = 100000;
    heap_fail_from(1);
    CHECK_EQ(probe(), -ENOMEM);
    heap_fail_from(0);
}

static void test_receive(void)
{
    char frame[1522];
    CHECK_EQ(probe(), 0);
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < 40; i++) {
            memset(frame, (int)(round + i), sizeof(frame));
            card_receives(frame, (uint16_t)(60 + (round * 7 + i) % 1450), i % 2 ? 0x23 : 0x07, 0);
        }
        CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 40);
        CHECK_EQ(nic_npackets, 40);
        for (unsigned i = 0; i < 40; i++) {
            const struct netdev_buffer *buffer = nic_packets[i].buffer;
            CHECK_EQ(buffer->len, 60 + (round * 7 + i) % 1450);
            CHECK_EQ(((uint8_t *)buffer->data)[buffer->len - 1], (uint8_t)(round + i));
            CHECK_EQ(nic_packets[i].offload.checksum_ok, i % 2);
            CHECK(!buffer->next);
        }
        nic_release_packets();
    }
    CHECK_EQ(nic_dev->rx_dropped, 0);
    CHECK_EQ((nic_reg(0, RX_TAIL) - rx_at) % E1000_RING_SIZE, 128); /* it grew with the load */
}

/* Frames that nobody can use are dropped, and their buffers go back to the card. */
static void test_bad_frames(void)
{
    static const struct {
        uint16_t len;
        uint8_t status, errors;
    } bad[] = {
        { 60, 3, 0x01 },
        { 60, 3, 0x80 },
        { 0, 3, 0 },
        { 0xffff, 3, 0 },
        { NET_BUFFER_SPACE + 1, 3, 0 },
        { 1000, 1, 0 }, /* the first of two */
        { 500, 3, 0 },
        { 1000, 1, 0 },
        { 1000, 1, 0 },
        { 1, 3, 0 },
    };
    char frame[1522] = { 0 };
    CHECK_EQ(probe(), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        card_receives(frame, bad[i].len, bad[i].status, bad[i].errors);
    card_receives(frame, 77, 0x23, 0x20); /* a wrong TCP checksum is for net to see */
    CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), ARRAY_SIZE(bad) + 1);
    CHECK_EQ(nic_npackets, 1);
    CHECK_EQ(nic_packets[0].buffer->len, 77);
    CHECK(!nic_packets[0].offload.checksum_ok);
    CHECK_EQ(nic_dev->rx_dropped, ARRAY_SIZE(bad));
    CHECK_EQ((nic_reg(0, RX_TAIL) - rx_at) % E1000_RING_SIZE, 64);
    nic_release_packets();
}

/* Without memory frames are dropped, but the ring stays full. */
static void test_no_memory(void)
{
    char frame[60] = { 0 };
    CHECK_EQ(probe(), 0);
    nic_frames_max = nic_frames;
    unsigned ngot = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 20; i++)
            card_receives(frame, sizeof(frame), 3, 0);
        CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 20);
        ngot = nic_npackets;
    }
    CHECK_EQ(ngot + nic_dev->rx_dropped, 400);
    CHECK((nic_reg(0, RX_TAIL) - rx_at) % E1000_RING_SIZE >= 64);
    nic_frames_max = 100000;
    nic_release_packets();
}

static void test_transmit(void)
{
    CHECK_EQ(probe(), 0);
    CHECK_EQ(send(0, 60, false), -EMSGSIZE);
    CHECK_EQ(send(17, 60, false), -EMSGSIZE);
    CHECK_EQ(send(1, 1519, false), -EMSGSIZE);
    CHECK_EQ(send(2, 757, true), 0);
    CHECK_EQ(nic_reg(0, TX_TAIL), 0); /* one kick a batch */
    nic_dev->ops->kick(nic_dev);
    CHECK_EQ(nic_reg(0, TX_TAIL), 3);
    const struct e1000_transmit_descriptor *ring = ring_at(TX_BASE);
    CHECK_EQ(ring[0].address, (uint64_t)34 << 32 | (uint64_t)50 << 40);
    CHECK_EQ(ring[0].command, 1u << 29 | 1u << 24);
    CHECK_EQ(ring[1].command, 1u << 29 | 1u << 25 | 1u << 20 | 757);
    CHECK_EQ(ring[2].command, 1u << 29 | 1u << 27 | 1u << 25 | 1u << 24 | 1u << 20 | 757);
    CHECK_EQ(ring[2].options, 2);
    CHECK_EQ(send(1, 60, true), 0); /* the same context */
    CHECK_EQ(send(1, 60, false), 0);
    nic_dev->ops->kick(nic_dev);
    CHECK_EQ(nic_reg(0, TX_TAIL), 5);
    CHECK_EQ(ring[4].options, 0);
    CHECK_EQ(nic_dev->ops->poll(nic_dev, 64), 0);
    CHECK_EQ(ndone, 0);
    CHECK_EQ(card_sends(), 5);
    nic_dev->ops->poll(nic_dev, 64);
    CHECK_EQ(ndone, 3);
}

static void test_full(void)
{
    CHECK_EQ(probe(), 0);
    unsigned nsent = 0, total = 0;
    for (unsigned round = 0; round < 100; round++) {
        nic_set_reg(0, REG_MASK_SET, 0);
        while (send(1 + nsent % 16, 90, nsent % 3 == 0) == 0)
            nsent++;
        CHECK_EQ(nic_reg(0, REG_MASK_SET), 1);
        CHECK(!nic_dev->ops->enable_interrupt(nic_dev));
        CHECK_EQ(nic_reg(0, REG_MASK_SET), 1u << 7 | 1u << 6 | 1u << 2 | 1u);
        nic_set_reg(0, REG_MASK_SET, 0);
        total += card_sends();
        CHECK(nic_dev->ops->enable_interrupt(nic_dev)); /* done in between */
        nic_dev->ops->poll(nic_dev, 64);
        CHECK_EQ(ndone, nsent);
        CHECK_EQ(nic_nready, round + 1);
    }
    CHECK(total > 10000);
}

static void test_interrupt(void)
{
    char frame[60] = { 0 };
    CHECK_EQ(probe(), 0);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 0); /* another device's */
    nic_set_reg(0, REG_CAUSE, 1u << 2 | 1u << 6);
    nic_set_reg(0, REG_MASK_CLR, 0);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 1);
    CHECK_EQ(nic_reg(0, REG_MASK_CLR), UINT32_MAX);
    nic_set_reg(0, REG_CAUSE, 0); /* reading cleared it */
    nic_set_reg(0, REG_STATUS, 0);
    nic_set_reg(0, REG_MISSED, 5);
    CHECK(nic_dev->ops->enable_interrupt(nic_dev)); /* net has to look at the link */
    CHECK(!nic_dev->is_link_up);
    CHECK_EQ(nic_dev->rx_dropped, 5);
    CHECK(!nic_dev->ops->enable_interrupt(nic_dev));
    CHECK_EQ(nic_reg(0, REG_MASK_SET), 1u << 7 | 1u << 6 | 1u << 2);
    card_receives(frame, sizeof(frame), 3, 0);
    CHECK(nic_dev->ops->enable_interrupt(nic_dev));
}

/* A message is for one device only, so the handler does not ask whose it is. */
static void test_message(void)
{
    is_express = nic_has_msi = true;
    CHECK_EQ(probe(), 0);
    CHECK(memcmp(nic_dev->mac, "\x52\x54\x00\x12\x34\x56", 6) == 0);
    nic_set_reg(0, REG_CAUSE, 1u << 2);
    nic_set_reg(0, REG_STATUS, 0);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 1);
    CHECK_EQ(nic_reg(0, REG_MASK_CLR), UINT32_MAX);
    CHECK(nic_dev->ops->enable_interrupt(nic_dev));
    CHECK(!nic_dev->is_link_up);
    nic_set_reg(0, REG_CAUSE, 0);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 2);
    nic_has_msi = false; /* then it has a wire */
    CHECK_EQ(probe(), 0);
    nic_handler(nic_arg);
    CHECK_EQ(nic_nwakes, 0);
}

int main(void)
{
    test_probe();
    test_receive();
    test_bad_frames();
    test_no_memory();
    test_transmit();
    test_full();
    test_interrupt();
    test_message();
    return 0;
}
