// SPDX-License-Identifier: MIT
#pragma once
/*
 * The descriptor rings of Intel's 8254x and 8257x cards: the driver's side, memory only.
 *
 * A ring has a head, where the card is, and a tail, where we are; they are equal when the card has nothing, so
 * one descriptor stays free.  The card says by a bit in each descriptor that it is done with it; its own head
 * register is never asked.  The card is not trusted: nothing but that bit, lengths and flags is read
 * back from the shared memory, and lengths are checked.
 *
 * Locking: the caller's.
 */
#include "drivers/net_buffer.h"
#include "kernel/netdev.h"

#define E1000_RING_SIZE  256  /* descriptors of 16 bytes: a page */
#define E1000_FRAME_MAX  1518 /* to send: a tagged Ethernet frame, without its check sequence */
#define E1000_PIECES_MAX 16

/* Legacy receive descriptor, 3.2.3 of the 8254x manual. */
struct e1000_receive_descriptor {
    uint64_t address;
    uint16_t len;
    uint16_t checksum;
    uint8_t status;
    uint8_t errors;
    uint16_t special;
};

/* Data descriptor, 3.3.6, or context descriptor, 3.3.5: then `address` holds offsets. */
struct e1000_transmit_descriptor {
    uint64_t address;
    uint32_t command; /* and length */
    uint8_t status;
    uint8_t options;
    uint16_t special;
};

struct e1000_receive_ring {
    struct e1000_receive_descriptor *descriptors;
    struct net_buffer *buffers[E1000_RING_SIZE]; /* NULL: the card does not have this one */
    uint16_t head;                               /* the next that the card will be done with */
    uint16_t tail;                               /* the next to be given */
    uint16_t nposted;
    bool is_skipping; /* within a frame that did not fit into one buffer */
};

struct e1000_transmit_slot { /* by the last descriptor of a frame */
    void (*done)(void *cookie);
    void *cookie;
    uint16_t end; /* in the slot of the first descriptor: where the last is */
};

struct e1000_transmit_ring {
    struct e1000_transmit_descriptor *descriptors;
    struct e1000_transmit_slot slots[E1000_RING_SIZE];
    uint16_t head; /* the first descriptor of the oldest frame */
    uint16_t tail;
    uint16_t nfree;
    uint64_t context; /* the checksum that the card was told of last; 0: none */
};

/* What came: the buffer, NULL if the frame was damaged or lies in several, and then counts as dropped. */
struct e1000_received {
    struct net_buffer *buffer;
    bool checksum_ok;
    bool is_whole;
};

/* -ENOMEM. */
int e1000_receive_init(struct e1000_receive_ring *ring) __must_check;
int e1000_transmit_init(struct e1000_transmit_ring *ring) __must_check;

/* Gives the card a buffer.  False: the ring is full. */
bool e1000_receive_push(struct e1000_receive_ring *ring, struct net_buffer *buffer) __must_check;
/* Takes the next buffer back, with buffer.data and len set.  False: the card is not done with it. */
bool e1000_receive_pop(struct e1000_receive_ring *ring, struct e1000_received *received);
bool e1000_receive_is_pending(const struct e1000_receive_ring *ring);

/* As netdev_ops.transmit. */
int e1000_transmit_push(struct e1000_transmit_ring *ring, const struct netdev_piece *piece,
                        unsigned npieces, const struct netdev_offload *offload,
                        void (*done)(void *cookie), void *cookie) __must_check;
/* Calls done() of all frames that the card has sent. */
void e1000_transmit_collect(struct e1000_transmit_ring *ring);
bool e1000_transmit_is_pending(const struct e1000_transmit_ring *ring);
