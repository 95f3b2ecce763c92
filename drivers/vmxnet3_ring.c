// SPDX-License-Identifier: MIT
/*
 * Bits as VMware's driver in Linux documents them (vmxnet3_defs.h).  Receive buffers are of the kind that holds
 * the head of a frame, and a frame of all of our sizes fits into one; so the second ring, for further pieces, is
 * not used.  The device may pass over buffers: those before the one that it names come back unused.
 */
#include "drivers/vmxnet3_ring.h"

#include "abi/errno.h"
#include "drivers/dma.h"
#include "kernel/log.h"

_Static_assert(sizeof(struct vmxnet3_command) == 16, "as the device sees it");
_Static_assert(sizeof(struct vmxnet3_completion) == 16, "as the device sees it");
_Static_assert(VMXNET3_RING_SIZE * 16UL == PAGE_SIZE, "one frame, aligned as the device wants it");

/* Transmit commands: first and second word. */
#define TRANSMIT_GENERATION (1u << 14)
#define TRANSMIT_SUM_AT     18         /* where the checksum goes */
#define TRANSMIT_SUM        (2u << 10) /* make one, from the offset in the bits below on */
#define TRANSMIT_END        (1u << 12)
#define TRANSMIT_REPORT     (1u << 13)
#define TRANSMIT_START_MAX  1023u
#define TRANSMIT_DONE_INDEX 0xfffu /* word 0 */

#define RECEIVE_GENERATION    (1u << 31)
#define RECEIVE_INDEX         0xfffu /* completion, word 0 */
#define RECEIVE_END           (1u << 14)
#define RECEIVE_START         (1u << 15)
#define RECEIVE_QUEUE         (0x3ffu << 16)
#define RECEIVE_NO_CHECKSUM   (1u << 30)
#define RECEIVE_LEN           0x3fffu /* word 2 */
#define RECEIVE_BAD           (1u << 14)
#define RECEIVE_CHECKSUM_OK   (1u << 16) /* word 3 */
#define RECEIVE_UDP           (1u << 17)
#define RECEIVE_TCP           (1u << 18)
#define RECEIVE_FRAGMENT      (1u << 22)
#define COMPLETION_GENERATION (1u << 31) /* word 3, both ways */

static void advance(struct vmxnet3_position *at)
{
    at->index = (uint16_t)((at->index + 1) % VMXNET3_RING_SIZE);
    at->generation ^= at->index == 0;
}

static bool is_valid(const struct vmxnet3_completion *completions,
                     const struct vmxnet3_position *at)
{
    uint32_t last = __atomic_load_n(&completions[at->index].word[3], __ATOMIC_ACQUIRE);
    return !!(last & COMPLETION_GENERATION) == at->generation;
}

static void *page_alloc(void)
{
    struct frame *frame = frame_alloc(0, ALLOC_ZERO);
    return frame ? frame_address(frame) : NULL;
}

static void page_free(const void *page)
{
    if (page)
        frame_put(frame_of(arch_direct_paddr(page)));
}

/* ---- Receive ------------------------------------------------------------------------------ */

int vmxnet3_receive_init(struct vmxnet3_receive_ring *ring)
{
    *ring = (struct vmxnet3_receive_ring){ .commands = page_alloc(),
                                           .completions = page_alloc(),
                                           .tail = { 0, true },
                                           .done = { 0, true } };
    return ring->commands && ring->completions ? 0 : -ENOMEM;
}

void vmxnet3_receive_fini(struct vmxnet3_receive_ring *ring)
{
    for (unsigned i = 0; i < VMXNET3_RING_SIZE; i++)
        if (ring->buffers[i])
            net_buffer_free(ring->buffers[i]);
    page_free(ring->commands);
    page_free(ring->completions);
    *ring = (struct vmxnet3_receive_ring){ .is_broken = true };
}

bool vmxnet3_receive_push(struct vmxnet3_receive_ring *ring, struct net_buffer *buffer)
{
    if (ring->is_broken || ring->nposted == VMXNET3_RING_SIZE - 1)
        return false;
    struct vmxnet3_command *command = &ring->commands[ring->tail.index];
    command->address = dma_map(net_buffer_space(buffer));
    command->second = 0;
    __atomic_store_n(&command->first,
                     (uint32_t)NET_BUFFER_SPACE | (ring->tail.generation ? RECEIVE_GENERATION : 0),
                     __ATOMIC_RELEASE);
    ring->buffers[ring->tail.index] = buffer;
    advance(&ring->tail);
    ring->nposted++;
    return true;
}

bool vmxnet3_receive_is_pending(const struct vmxnet3_receive_ring *ring)
{
    return !ring->is_broken && is_valid(ring->completions, &ring->done);
}

/* The oldest buffer of the device. */
static struct net_buffer *take_oldest(struct vmxnet3_receive_ring *ring)
{
    struct net_buffer *buffer = ring->buffers[ring->head];
    ring->buffers[ring->head] = NULL;
    ring->head = (uint16_t)((ring->head + 1) % VMXNET3_RING_SIZE);
    ring->nposted--;
    return buffer;
}

bool vmxnet3_receive_pop(struct vmxnet3_receive_ring *ring, struct vmxnet3_received *received)
{
    if (!vmxnet3_receive_is_pending(ring))
        return false;
    const struct vmxnet3_completion *completion = &ring->completions[ring->done.index];
    uint32_t which = READ_ONCE(completion->word[0]), size = READ_ONCE(completion->word[2]);
    uint32_t state = READ_ONCE(completion->word[3]);
    unsigned index = which & RECEIVE_INDEX;
    unsigned ahead = (index + VMXNET3_RING_SIZE - ring->head) % VMXNET3_RING_SIZE;
    if (index >= VMXNET3_RING_SIZE || which & RECEIVE_QUEUE || ahead >= ring->nposted) {
        ring->is_broken = true;
        log_error("vmxnet3: the device filled a buffer that it does not have (%u): nothing is "
                  "received any more",
                  which);
        return false;
    }
    while (ahead-- > 0)
        net_buffer_free(take_oldest(ring));
    advance(&ring->done);

    struct net_buffer *buffer = take_oldest(ring);
    uint32_t len = size & RECEIVE_LEN, whole = RECEIVE_START | RECEIVE_END;
    received->buffer = buffer;
    received->is_whole =
        (which & whole) == whole && !(size & RECEIVE_BAD) && len > 0 && len <= NET_BUFFER_SPACE;
    received->checksum_ok = !(which & RECEIVE_NO_CHECKSUM) && state & RECEIVE_CHECKSUM_OK &&
                            state & (RECEIVE_TCP | RECEIVE_UDP) && !(state & RECEIVE_FRAGMENT);
    buffer->buffer.next = NULL;
    buffer->buffer.data = net_buffer_space(buffer);
    buffer->buffer.len = received->is_whole ? len : 0;
    return true;
}

/* ---- Transmit ------------------------------------------------------------------------------- */

int vmxnet3_transmit_init(struct vmxnet3_transmit_ring *ring)
{
    *ring = (struct vmxnet3_transmit_ring){ .commands = page_alloc(),
                                            .completions = page_alloc(),
                                            .tail = { 0, true },
                                            .done = { 0, true },
                                            .nfree = VMXNET3_RING_SIZE - 1 };
    return ring->commands && ring->completions ? 0 : -ENOMEM;
}

void vmxnet3_transmit_fini(struct vmxnet3_transmit_ring *ring)
{
    page_free(ring->commands);
    page_free(ring->completions);
    *ring = (struct vmxnet3_transmit_ring){ .is_broken = true };
}

static int check_frame(const struct netdev_piece *piece, unsigned npieces,
                       const struct netdev_offload *offload)
{
    size_t len = 0;
    for (unsigned i = 0; i < npieces; i++) {
        if (piece[i].len == 0) /* it would mean the most */
            return -EMSGSIZE;
        len += piece[i].len;
    }
    if (npieces == 0 || npieces > VMXNET3_PIECES_MAX || len > VMXNET3_FRAME_MAX)
        return -EMSGSIZE;
    return offload && offload->needs_checksum && offload->csum_start > TRANSMIT_START_MAX
               ? -EMSGSIZE
               : 0;
}

/* The words of a frame's commands that do not depend on the piece. */
static void checksum_words(const struct netdev_offload *offload, uint32_t *first, uint32_t *second)
{
    *first = *second = 0;
    if (!offload || !offload->needs_checksum)
        return;
    *first = (uint32_t)(offload->csum_start + offload->csum_offset) << TRANSMIT_SUM_AT;
    *second = TRANSMIT_SUM | offload->csum_start;
}

int vmxnet3_transmit_push(struct vmxnet3_transmit_ring *ring, const struct netdev_piece *piece,
                          unsigned npieces, const struct netdev_offload *offload,
                          void (*done)(void *cookie), void *cookie)
{
    int err = check_frame(piece, npieces, offload);
    if (err || ring->is_broken)
        return err ? err : -EIO;
    if (ring->nfree < npieces)
        return -ENOSPC;
    struct vmxnet3_position start = ring->tail;
    uint32_t first, second;
    checksum_words(offload, &first, &second);
    for (unsigned i = 0; i < npieces; i++) {
        /* The device may look at any time: the first command becomes valid last. */
        bool generation = i == 0 ? !start.generation : ring->tail.generation;
        bool is_last = i + 1 == npieces;
        ring->slots[start.index].end = ring->tail.index;
        ring->commands[ring->tail.index] = (struct vmxnet3_command){
            .address = dma_map(piece[i].data),
            .first = (uint32_t)piece[i].len | (generation ? TRANSMIT_GENERATION : 0) | first,
            .second = second | (is_last ? TRANSMIT_END | TRANSMIT_REPORT : 0),
        };
        advance(&ring->tail);
    }
    ring->nfree = (uint16_t)(ring->nfree - npieces);
    ring->slots[start.index].done = done;
    ring->slots[start.index].cookie = cookie;
    uint32_t *gate = &ring->commands[start.index].first;
    __atomic_store_n(gate, *gate ^ TRANSMIT_GENERATION, __ATOMIC_RELEASE);
    return 0;
}

bool vmxnet3_transmit_is_pending(const struct vmxnet3_transmit_ring *ring)
{
    return !ring->is_broken && is_valid(ring->completions, &ring->done);
}

void vmxnet3_transmit_collect(struct vmxnet3_transmit_ring *ring)
{
    while (vmxnet3_transmit_is_pending(ring)) {
        uint32_t index =
            READ_ONCE(ring->completions[ring->done.index].word[0]) & TRANSMIT_DONE_INDEX;
        struct vmxnet3_transmit_slot *slot = &ring->slots[ring->head];
        if (ring->head == ring->tail.index || index != slot->end) {
            ring->is_broken = true;
            log_error("vmxnet3: the device sent a frame that it does not have (%u): nothing is "
                      "sent any more",
                      index);
            return;
        }
        uint16_t next = (uint16_t)((index + 1) % VMXNET3_RING_SIZE);
        ring->nfree =
            (uint16_t)(ring->nfree + (next + VMXNET3_RING_SIZE - ring->head) % VMXNET3_RING_SIZE);
        ring->head = next;
        advance(&ring->done);
        slot->done(slot->cookie);
    }
}
