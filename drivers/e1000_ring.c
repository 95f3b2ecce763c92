// SPDX-License-Identifier: MIT
/*
 * A frame to be sent takes one data descriptor for each piece.  If its checksum is the card's to make, a
 * context descriptor before it says where; the card remembers the last one, so nearly all frames go without.
 */
#include "drivers/e1000_ring.h"

#include "abi/errno.h"
#include "drivers/dma.h"

_Static_assert(sizeof(struct e1000_receive_descriptor) == 16, "as the card sees it");
_Static_assert(sizeof(struct e1000_transmit_descriptor) == 16, "as the card sees it");
_Static_assert(E1000_RING_SIZE * 16UL == PAGE_SIZE, "one frame, aligned as both cards want it");

/* Receive status and errors, 3.2.3.1 and 3.2.3.2. */
#define RECEIVE_DONE         0x01u
#define RECEIVE_END          0x02u
#define RECEIVE_NO_CHECKSUM  0x04u
#define RECEIVE_TRANSPORT    0x20u /* the TCP or UDP checksum was looked at */
#define RECEIVE_BAD          0x97u /* carrier, sequence, symbol, check sequence, data */
#define RECEIVE_BAD_CHECKSUM 0x60u

/* Commands of transmit descriptors, 3.3.5.1 and 3.3.7.1. */
#define COMMAND_DATA      (1u << 20) /* else it is a context */
#define COMMAND_END       (1u << 24)
#define COMMAND_TCP       (1u << 24) /* in a context */
#define COMMAND_CHECK_SEQ (1u << 25)
#define COMMAND_REPORT    (1u << 27)
#define COMMAND_EXTENDED  (1u << 29)
#define TRANSMIT_DONE     0x01u
#define OPTION_TRANSPORT  0x02u /* insert the checksum that the context describes */
#define CONTEXT_START     32
#define CONTEXT_OFFSET    40
#define OFFSET_OF_TCP     16 /* of the checksum, in the TCP header */

static uint16_t next_of(uint16_t index)
{
    return (uint16_t)((index + 1) % E1000_RING_SIZE);
}

static void *ring_alloc(void)
{
    struct frame *frame = frame_alloc(0, ALLOC_ZERO);
    return frame ? frame_address(frame) : NULL;
}

/* ---- Receive ------------------------------------------------------------------------------ */

int e1000_receive_init(struct e1000_receive_ring *ring)
{
    *ring = (struct e1000_receive_ring){ .descriptors = ring_alloc() };
    return ring->descriptors ? 0 : -ENOMEM;
}

bool e1000_receive_push(struct e1000_receive_ring *ring, struct net_buffer *buffer)
{
    if (ring->nposted == E1000_RING_SIZE - 1)
        return false;
    ring->descriptors[ring->tail] =
        (struct e1000_receive_descriptor){ .address = dma_map(net_buffer_space(buffer)) };
    ring->buffers[ring->tail] = buffer;
    ring->tail = next_of(ring->tail);
    ring->nposted++;
    return true;
}

static uint8_t receive_status(const struct e1000_receive_ring *ring)
{
    return __atomic_load_n(&ring->descriptors[ring->head].status, __ATOMIC_ACQUIRE);
}

bool e1000_receive_is_pending(const struct e1000_receive_ring *ring)
{
    return ring->nposted > 0 && receive_status(ring) & RECEIVE_DONE;
}

bool e1000_receive_pop(struct e1000_receive_ring *ring, struct e1000_received *received)
{
    if (ring->nposted == 0)
        return false;
    uint8_t status = receive_status(ring);
    if (!(status & RECEIVE_DONE))
        return false;
    const struct e1000_receive_descriptor *descriptor = &ring->descriptors[ring->head];
    uint8_t errors = READ_ONCE(descriptor->errors);
    uint16_t len = READ_ONCE(descriptor->len);
    struct net_buffer *buffer = ring->buffers[ring->head];
    ring->buffers[ring->head] = NULL;
    ring->head = next_of(ring->head);
    ring->nposted--;

    bool is_last = status & RECEIVE_END;
    received->buffer = buffer;
    received->checksum_ok =
        (status & (RECEIVE_TRANSPORT | RECEIVE_NO_CHECKSUM)) == RECEIVE_TRANSPORT &&
        !(errors & RECEIVE_BAD_CHECKSUM);
    received->is_whole = is_last && !ring->is_skipping && !(errors & RECEIVE_BAD) && len > 0 &&
                         len <= NET_BUFFER_SPACE;
    ring->is_skipping = !is_last;
    buffer->buffer.next = NULL;
    buffer->buffer.data = net_buffer_space(buffer);
    buffer->buffer.len = received->is_whole ? len : 0;
    return true;
}

/* ---- Transmit ------------------------------------------------------------------------------- */

int e1000_transmit_init(struct e1000_transmit_ring *ring)
{
    *ring =
        (struct e1000_transmit_ring){ .descriptors = ring_alloc(), .nfree = E1000_RING_SIZE - 1 };
    return ring->descriptors ? 0 : -ENOMEM;
}

/* Where the checksum begins and where it goes; 0: the card cannot make this one. */
static uint64_t context_of(const struct netdev_offload *offload)
{
    unsigned at = offload->csum_start + offload->csum_offset;
    if (at > UINT8_MAX)
        return 0;
    return (uint64_t)offload->csum_start << CONTEXT_START | (uint64_t)at << CONTEXT_OFFSET;
}

static void put(struct e1000_transmit_ring *ring, uint64_t address, uint32_t command,
                uint8_t options)
{
    ring->descriptors[ring->tail] = (struct e1000_transmit_descriptor){
        .address = address, .command = command | COMMAND_EXTENDED, .options = options
    };
    ring->tail = next_of(ring->tail);
    ring->nfree--;
}

static int check_frame(const struct netdev_piece *piece, unsigned npieces)
{
    size_t len = 0;
    for (unsigned i = 0; i < npieces; i++)
        len += piece[i].len;
    return npieces == 0 || npieces > E1000_PIECES_MAX || len > E1000_FRAME_MAX ? -EMSGSIZE : 0;
}

int e1000_transmit_push(struct e1000_transmit_ring *ring, const struct netdev_piece *piece,
                        unsigned npieces, const struct netdev_offload *offload,
                        void (*done)(void *cookie), void *cookie)
{
    bool needs_checksum = offload && offload->needs_checksum;
    uint64_t context = needs_checksum ? context_of(offload) : 0;
    int err = check_frame(piece, npieces);
    if (err || (needs_checksum && context == 0))
        return -EMSGSIZE;
    if (ring->nfree < npieces + 1)
        return -ENOSPC;

    uint16_t first = ring->tail, last = first;
    if (needs_checksum && context != ring->context) {
        put(ring, context, offload->csum_offset == OFFSET_OF_TCP ? COMMAND_TCP : 0, 0);
        ring->context = context;
    }
    for (unsigned i = 0; i < npieces; i++) {
        uint32_t command = (uint32_t)piece[i].len | COMMAND_DATA | COMMAND_CHECK_SEQ;
        if (i + 1 == npieces)
            command |= COMMAND_END | COMMAND_REPORT;
        last = ring->tail;
        put(ring, dma_map(piece[i].data), command, needs_checksum ? OPTION_TRANSPORT : 0);
    }
    ring->slots[first].end = last;
    ring->slots[last].done = done;
    ring->slots[last].cookie = cookie;
    return 0;
}

bool e1000_transmit_is_pending(const struct e1000_transmit_ring *ring)
{
    if (ring->head == ring->tail)
        return false;
    uint16_t last = ring->slots[ring->head].end;
    return __atomic_load_n(&ring->descriptors[last].status, __ATOMIC_ACQUIRE) & TRANSMIT_DONE;
}

void e1000_transmit_collect(struct e1000_transmit_ring *ring)
{
    while (e1000_transmit_is_pending(ring)) {
        struct e1000_transmit_slot *slot = &ring->slots[ring->slots[ring->head].end];
        uint16_t next = next_of(ring->slots[ring->head].end);
        ring->nfree =
            (uint16_t)(ring->nfree + (next + E1000_RING_SIZE - ring->head) % E1000_RING_SIZE);
        ring->head = next;
        slot->done(slot->cookie);
    }
}
