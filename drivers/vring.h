// SPDX-License-Identifier: MIT
#pragma once
/*
 * Split virtqueues (virtio 1.2, 2.7): the driver's side of the ring.
 *
 * The device is not trusted: an index it has no business with breaks the ring, which then takes and
 * gives nothing any more; lengths are clamped to what the buffer can hold.
 *
 * Locking: the caller's, except vring_disable_interrupt(), which an interrupt handler may call
 * beside everything else.
 */
#include "lib/compiler.h"

#define VRING_SIZE_MAX     1024
#define VRING_INDIRECT_MAX 20 /* pieces in an indirect table */

struct vring_descriptor {
    uint64_t address;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct vring_avail {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[]; /* one more behind: used_event */
};

struct vring_used_element {
    uint32_t id;
    uint32_t len;
};

struct vring_used {
    uint16_t flags;
    uint16_t index;
    struct vring_used_element ring[]; /* behind it: uint16_t avail_event */
};

/* What the driver remembers of a descriptor; nothing of it is read back from the shared ring. */
struct vring_slot {
    void *cookie;                      /* of the chain that begins here; NULL: none does */
    struct vring_descriptor *indirect; /* table, once made */
    uint32_t capacity;                 /* bytes the device may write */
    uint16_t ndescriptors;
    uint16_t next; /* in the chain or the free list */
};

struct vring {
    struct vring_descriptor *descriptors;
    struct vring_avail *avail;
    struct vring_used *used;
    struct vring_slot *slots;
    uint16_t size;  /* a power of two */
    uint16_t nfree; /* descriptors */
    uint16_t free_head;
    uint16_t nchains;     /* the device has */
    uint16_t avail_index; /* chains made available, ever */
    uint16_t kick_index;  /* ... at the last vring_kick_needed() */
    uint16_t used_index;  /* chains taken back, ever */
    bool has_event_index;
    bool has_indirect;
    bool is_broken;
};

struct vring_piece {
    uint64_t address; /* as the device sees it: dma_map() */
    uint32_t len;
};

/* Bytes of shared memory for a ring; align is that of the used ring. */
size_t vring_bytes(uint16_t size, size_t align);
/* memory is zeroed, aligned to 16 (legacy devices: to a page) and stays the caller's.  -ENOMEM. */
int vring_init(struct vring *ring, uint16_t size, size_t align, void *memory, bool event_index,
               bool indirect) __must_check;
void vring_fini(struct vring *ring);

/* Gives the device nout pieces to read and then nin to write; cookie (not NULL) comes back from
 * vring_pop().  0; -ENOSPC; -EIO: broken. */
int vring_push(struct vring *ring, const struct vring_piece *piece, unsigned nout, unsigned nin,
               void *cookie) __must_check;
/* Whether the device wants to be told of what was pushed since the last call. */
bool vring_kick_needed(struct vring *ring);
/* Takes back a chain that the device is done with; len: what it wrote.  NULL: none. */
void *vring_pop(struct vring *ring, uint32_t *len);
bool vring_has_used(const struct vring *ring);

/* True: there is something to pop already, and an interrupt for it may not come. */
bool vring_enable_interrupt(struct vring *ring);
/* The same, but only after most of what the device has is done. */
bool vring_enable_interrupt_late(struct vring *ring);
void vring_disable_interrupt(struct vring *ring);

/* Whether the device is done with the chains that were pushed until avail_index was mark, if it uses them in order.
 * False also for some old marks: the index is short. */
static inline bool vring_is_used_up_to(const struct vring *ring, uint16_t mark)
{
    uint16_t with_device = (uint16_t)(ring->avail_index - READ_ONCE(ring->used->index));
    return with_device <= (uint16_t)(ring->avail_index - mark);
}

/* Chains of n pieces for which there is room. */
static inline bool vring_has_room(const struct vring *ring, unsigned n)
{
    return ring->nfree >= n || (ring->has_indirect && n <= VRING_INDIRECT_MAX && ring->nfree > 0);
}
