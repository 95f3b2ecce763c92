// SPDX-License-Identifier: MIT
#pragma once
/*
 * The rings of VMware's vmxnet3: the driver's side, memory only.
 *
 * Each direction has a ring of commands, which we write, and one of completions, which the device writes.  There
 * are no indices in memory: an entry is valid if its generation bit is that of the reader's current round.
 *
 * The device is not trusted: a completion that names something that it does not have breaks the ring, which then
 * takes and gives nothing any more; lengths are checked.
 *
 * Locking: the caller's.
 */
#include "drivers/net_buffer.h"
#include "kernel/netdev.h"

#define VMXNET3_RING_SIZE  256 /* entries of 16 bytes: a page */
#define VMXNET3_PIECES_MAX 16  /* what the device takes for a frame */
#define VMXNET3_FRAME_MAX  1518

struct vmxnet3_command {
    uint64_t address;
    uint32_t first; /* length, generation, kind */
    uint32_t second;
};

struct vmxnet3_completion {
    uint32_t word[4];
};

/* A place in a ring; the generation changes with each round. */
struct vmxnet3_position {
    uint16_t index;
    bool generation;
};

struct vmxnet3_receive_ring {
    struct vmxnet3_command *commands;
    struct vmxnet3_completion *completions;
    struct net_buffer *buffers[VMXNET3_RING_SIZE]; /* NULL: the device does not have this one */
    struct vmxnet3_position tail, done;            /* where commands go, completions come */
    uint16_t head;                                 /* the oldest buffer of the device */
    uint16_t nposted;                              /* from head on */
    bool is_broken;
};

struct vmxnet3_transmit_slot {
    void (*done)(void *cookie); /* of the frame that begins here */
    void *cookie;
    uint16_t end; /* its last command */
};

struct vmxnet3_transmit_ring {
    struct vmxnet3_command *commands;
    struct vmxnet3_completion *completions;
    struct vmxnet3_transmit_slot slots[VMXNET3_RING_SIZE];
    struct vmxnet3_position tail, done;
    uint16_t head; /* the first command of the oldest frame */
    uint16_t nfree;
    bool is_broken;
};

struct vmxnet3_received {
    struct net_buffer *buffer;
    bool checksum_ok;
    bool is_whole; /* else it is to be dropped */
};

/* -ENOMEM; what was allocated is freed by the other. */
int vmxnet3_receive_init(struct vmxnet3_receive_ring *ring) __must_check;
int vmxnet3_transmit_init(struct vmxnet3_transmit_ring *ring) __must_check;
void vmxnet3_receive_fini(struct vmxnet3_receive_ring *ring); /* the device has no buffers */
void vmxnet3_transmit_fini(struct vmxnet3_transmit_ring *ring);

/* Gives the device a buffer.  False: the ring is full. */
bool vmxnet3_receive_push(struct vmxnet3_receive_ring *ring,
                          struct net_buffer *buffer) __must_check;
/* Takes a filled buffer back, with buffer.data and len set.  False: there is none. */
bool vmxnet3_receive_pop(struct vmxnet3_receive_ring *ring, struct vmxnet3_received *received);
bool vmxnet3_receive_is_pending(const struct vmxnet3_receive_ring *ring);

/* As netdev_ops.transmit; -EIO: broken. */
int vmxnet3_transmit_push(struct vmxnet3_transmit_ring *ring, const struct netdev_piece *piece,
                          unsigned npieces, const struct netdev_offload *offload,
                          void (*done)(void *cookie), void *cookie) __must_check;
/* Calls done() of all frames that the device has sent. */
void vmxnet3_transmit_collect(struct vmxnet3_transmit_ring *ring);
bool vmxnet3_transmit_is_pending(const struct vmxnet3_transmit_ring *ring);
