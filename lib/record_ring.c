// SPDX-License-Identifier: MIT
/*
 * Before each record stands its length.  LENGTH_SKIP in its place says that the rest of the memory is not used.
 */
#include "lib/record_ring.h"

#define LENGTH_SIZE sizeof(uint64_t)
#define LENGTH_SKIP UINT64_MAX

static uint64_t *length_at(const struct record_ring *ring, size_t at)
{
    return (uint64_t *)(void *)(ring->data + (at & (ring->size - 1)));
}

static size_t room_behind(const struct record_ring *ring, size_t at)
{
    return ring->size - (at & (ring->size - 1));
}

static size_t whole_size(size_t len)
{
    return LENGTH_SIZE + ALIGN_UP(len, (size_t)RECORD_ALIGN);
}

void record_ring_init(struct record_ring *ring, void *memory, size_t size)
{
    *ring = (struct record_ring){ .data = memory, .size = size };
}

size_t record_ring_used(const struct record_ring *ring)
{
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
}

void *record_ring_reserve(struct record_ring *ring, size_t max)
{
    size_t head = ring->head, behind = room_behind(ring, head), skip = 0;
    size_t free = ring->size - (head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE));
    if (whole_size(max) > behind)
        skip = behind;
    if (whole_size(max) + skip > free)
        return NULL;
    if (skip > 0)
        *length_at(ring, head) = LENGTH_SKIP;
    return length_at(ring, head + skip) + 1;
}

void record_ring_commit(struct record_ring *ring, const void *record, size_t len)
{
    uint64_t *length = (uint64_t *)(uintptr_t)record - 1;
    size_t head = ring->head;
    if (len == 0)
        return;
    if (length != length_at(ring, head))
        head += room_behind(ring, head);
    *length = len;
    __atomic_store_n(&ring->head, head + whole_size(len), __ATOMIC_RELEASE);
}

void *record_ring_first(struct record_ring *ring, size_t *len)
{
    if (ring->tail == __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE))
        return NULL;
    if (*length_at(ring, ring->tail) == LENGTH_SKIP)
        __atomic_store_n(&ring->tail, ring->tail + room_behind(ring, ring->tail), __ATOMIC_RELEASE);
    *len = *length_at(ring, ring->tail);
    return length_at(ring, ring->tail) + 1;
}

void record_ring_release(struct record_ring *ring)
{
    size_t len = *length_at(ring, ring->tail);
    __atomic_store_n(&ring->tail, ring->tail + whole_size(len), __ATOMIC_RELEASE);
}
