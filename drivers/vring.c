// SPDX-License-Identifier: MIT
/*
 * The avail ring tells the device which chains it has, the used ring tells us which it is done with.
 * Both indices only grow (modulo 2^16).  Every store the device must see first comes before the store
 * of the index (release); the index is loaded before what it covers (acquire).  Where each side stores
 * one thing and then loads another of the other's, a full fence stands between.
 *
 * A chain goes through an indirect table only when direct descriptors get scarce: a device reads
 * neighbouring descriptors faster than a table somewhere else.
 */
#include "drivers/vring.h"

#include "abi/errno.h"
#include "drivers/dma.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

/* Descriptor flags, 2.7.5. */
#define DESCRIPTOR_NEXT     1u
#define DESCRIPTOR_WRITE    2u
#define DESCRIPTOR_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

#define CHAIN_END UINT16_MAX

static size_t avail_offset(uint16_t size)
{
    return (size_t)size * sizeof(struct vring_descriptor);
}

static size_t used_offset(uint16_t size, size_t align)
{
    return ALIGN_UP(avail_offset(size) + sizeof(struct vring_avail) + 2 * ((size_t)size + 1),
                    align);
}

size_t vring_bytes(uint16_t size, size_t align)
{
    return used_offset(size, align) + sizeof(struct vring_used) +
           size * sizeof(struct vring_used_element) + 2;
}

/* Where the driver says at which used index it wants an interrupt. */
static uint16_t *used_event(const struct vring *ring)
{
    return &ring->avail->ring[ring->size];
}

/* Where the device says at which avail index it wants to be told. */
static const uint16_t *avail_event(const struct vring *ring)
{
    return (const uint16_t *)&ring->used->ring[ring->size];
}

int vring_init(struct vring *ring, uint16_t size, size_t align, void *memory, bool event_index,
               bool indirect)
{
    *ring = (struct vring){
        .descriptors = memory,
        .avail = (void *)((char *)memory + avail_offset(size)),
        .used = (void *)((char *)memory + used_offset(size, align)),
        .slots = kcalloc(size, sizeof(struct vring_slot), ALLOC_ZERO),
        .size = size,
        .nfree = size,
        .has_event_index = event_index,
        .has_indirect = indirect,
    };
    if (!ring->slots)
        return -ENOMEM;
    for (uint16_t i = 0; i < size; i++)
        ring->slots[i] = (struct vring_slot){ .next = (uint16_t)(i + 1) };
    vring_disable_interrupt(ring);
    return 0;
}

void vring_fini(struct vring *ring)
{
    if (!ring->slots)
        return;
    for (uint16_t i = 0; i < ring->size; i++)
        kfree(ring->slots[i].indirect);
    kfree(ring->slots);
    ring->slots = NULL;
    ring->is_broken = true;
}

static void ring_break(struct vring *ring, const char *why, unsigned value)
{
    ring->is_broken = true;
    log_error("virtio: %s (%u): this queue is not used any more", why, value);
}

/* ---- Giving ---------------------------------------------------------------------- */

static uint16_t piece_flags(unsigned i, unsigned n, unsigned nout)
{
    return (uint16_t)((i + 1 < n ? DESCRIPTOR_NEXT : 0) | (i >= nout ? DESCRIPTOR_WRITE : 0));
}

/* The slot's own table; NULL: no memory, or none allowed. */
static struct vring_descriptor *indirect_table(struct vring *ring, uint16_t head, unsigned n)
{
    struct vring_slot *slot = &ring->slots[head];
    if (!ring->has_indirect || n > VRING_INDIRECT_MAX)
        return NULL;
    if (!slot->indirect)
        slot->indirect = kmalloc(VRING_INDIRECT_MAX * sizeof(*slot->indirect), ALLOC_ATOMIC);
    return slot->indirect;
}

static void fill_indirect(struct vring *ring, uint16_t head, const struct vring_piece *piece,
                          unsigned nout, unsigned n)
{
    struct vring_descriptor *table = ring->slots[head].indirect;
    for (unsigned i = 0; i < n; i++)
        table[i] = (struct vring_descriptor){ piece[i].address, piece[i].len,
                                              piece_flags(i, n, nout), (uint16_t)(i + 1) };
    ring->descriptors[head] =
        (struct vring_descriptor){ dma_map(table), (uint32_t)(n * sizeof(*table)),
                                   DESCRIPTOR_INDIRECT, 0 };
    ring->free_head = ring->slots[head].next;
    ring->slots[head].next = CHAIN_END;
    ring->slots[head].ndescriptors = 1;
    ring->nfree--;
}

static void fill_direct(struct vring *ring, uint16_t head, const struct vring_piece *piece,
                        unsigned nout, unsigned n)
{
    struct vring_descriptor *const descriptors = ring->descriptors;
    struct vring_slot *const slots = ring->slots;
    unsigned at = head, last;

    ring->nfree = (uint16_t)(ring->nfree - n);
    slots[head].ndescriptors = (uint16_t)n;
    for (;; piece++) {
        last = at;
        at = slots[last].next;
        unsigned flags = nout ? 0 : DESCRIPTOR_WRITE;
        flags |= n > 1 ? DESCRIPTOR_NEXT : 0;
        descriptors[last] =
            (struct vring_descriptor){ piece->address, piece->len, (uint16_t)flags, (uint16_t)at };
        if (--n == 0)
            break;
        nout -= nout ? 1 : 0;
    }
    ring->free_head = (uint16_t)at;
    slots[last].next = CHAIN_END;
}

/* What the device may write. */
static uint32_t capacity_of(const struct vring_piece *piece, const struct vring_piece *end)
{
    uint32_t capacity = 0;

    while (piece < end)
        capacity += piece++->len;
    return capacity;
}

int vring_push(struct vring *ring, const struct vring_piece *piece, unsigned nout, unsigned nin,
               void *cookie)
{
    unsigned n = nout + nin;
    if (ring->is_broken)
        return -EIO;
    if (n == 0 || ring->nfree == 0)
        return -ENOSPC;
    uint16_t head = ring->free_head;
    struct vring_slot *slot = &ring->slots[head];
    slot->capacity = capacity_of(piece + nout, piece + n);
    bool is_scarce = ring->nfree < n || (n > 1 && ring->nfree < ring->size / 2);
    if (unlikely(is_scarce) && indirect_table(ring, head, n))
        fill_indirect(ring, head, piece, nout, n);
    else if (likely(ring->nfree >= n))
        fill_direct(ring, head, piece, nout, n);
    else
        return -ENOSPC;

    slot->cookie = cookie;
    ring->nchains++;
    unsigned index = ring->avail_index++;
    ring->avail->ring[index & (ring->size - 1U)] = head;
    __atomic_store_n(&ring->avail->index, (uint16_t)(index + 1), __ATOMIC_RELEASE);
    return 0;
}

bool vring_kick_needed(struct vring *ring)
{
    uint16_t since = (uint16_t)(ring->avail_index - ring->kick_index);
    if (since == 0)
        return false;
    ring->kick_index = ring->avail_index;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* our index, then its wish: 2.7.13.4.1 */
    if (!ring->has_event_index)
        return !(READ_ONCE(ring->used->flags) & USED_NO_NOTIFY);
    uint16_t event = READ_ONCE(*avail_event(ring));
    return (uint16_t)(ring->avail_index - event - 1) < since;
}

/* ---- Taking back ------------------------------------------------------------------- */

bool vring_has_used(const struct vring *ring)
{
    return !ring->is_broken &&
           __atomic_load_n(&ring->used->index, __ATOMIC_ACQUIRE) != ring->used_index;
}

static void chain_free(struct vring *ring, uint16_t head)
{
    uint16_t last = head;
    for (unsigned i = 1; i < ring->slots[head].ndescriptors; i++)
        last = ring->slots[last].next;
    ring->nfree = (uint16_t)(ring->nfree + ring->slots[head].ndescriptors);
    ring->slots[last].next = ring->free_head;
    ring->free_head = head;
    ring->slots[head].cookie = NULL;
    ring->nchains--;
}

void *vring_pop(struct vring *ring, uint32_t *len)
{
    if (ring->is_broken)
        return NULL;
    uint16_t index = __atomic_load_n(&ring->used->index, __ATOMIC_ACQUIRE);
    uint16_t ready = (uint16_t)(index - ring->used_index);
    if (ready == 0)
        return NULL;
    if (ready > ring->nchains) {
        ring_break(ring, "the device returned more than it was given", ready);
        return NULL;
    }
    const struct vring_used_element *element =
        &ring->used->ring[ring->used_index & (ring->size - 1)];
    uint32_t id = READ_ONCE(element->id);
    uint32_t written = READ_ONCE(element->len);
    if (id >= ring->size || !ring->slots[id].cookie) {
        ring_break(ring, "the device returned a buffer that it does not have", id);
        return NULL;
    }
    void *cookie = ring->slots[id].cookie;
    *len = MIN(written, ring->slots[id].capacity);
    chain_free(ring, (uint16_t)id);
    ring->used_index++;
    return cookie;
}

/* ---- Interrupts ---------------------------------------------------------------------- */

/* Asks for an interrupt when the device has used one more than the first `later` from now on. */
static bool enable_after(struct vring *ring, uint16_t later)
{
    if (ring->has_event_index)
        WRITE_ONCE(*used_event(ring), (uint16_t)(ring->used_index + later));
    else
        WRITE_ONCE(ring->avail->flags, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* our wish, then its index: 2.7.9.2 */
    uint16_t index = __atomic_load_n(&ring->used->index, __ATOMIC_ACQUIRE);
    return !ring->is_broken && (uint16_t)(index - ring->used_index) > later;
}

bool vring_enable_interrupt(struct vring *ring)
{
    return enable_after(ring, 0);
}

bool vring_enable_interrupt_late(struct vring *ring)
{
    return enable_after(ring, ring->has_event_index ? (uint16_t)(ring->nchains * 3 / 4) : 0);
}

void vring_disable_interrupt(struct vring *ring)
{
    if (ring->has_event_index)
        WRITE_ONCE(*used_event(ring), (uint16_t)(READ_ONCE(ring->used_index) - 1));
    else
        WRITE_ONCE(ring->avail->flags, AVAIL_NO_INTERRUPT);
}
