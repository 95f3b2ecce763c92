// SPDX-License-Identifier: MIT
#include "tests/host/fake_virtio.h"

#include <stdarg.h>

#include "arch/arch.h"
#include "kernel/log.h"
#include "tests/host/check.h"

/* What drivers/dma.h and the ring need of the rest, unless the test has a larger world. */
__attribute__((weak)) paddr_t arch_direct_paddr(const void *pointer)
{
    return (uintptr_t)pointer;
}

__attribute__((weak)) void log_write(enum log_level level, const char *format, ...)
{
}

void fake_init(struct fake_device *device, struct vring *ring)
{
    *device = (struct fake_device){ .ring = ring };
}

static void read_chain(const struct vring_descriptor *table, uint16_t at, unsigned size,
                       struct fake_chain *chain)
{
    for (;;) {
        const struct vring_descriptor *descriptor = &table[at];
        CHECK(at < size);
        CHECK(chain->npieces < FAKE_PIECES_MAX);
        chain->piece[chain->npieces++] =
            (struct vring_piece){ descriptor->address, descriptor->len };
        /* What the device reads comes before what it writes. */
        CHECK(descriptor->flags & 2 || chain->nwritable == 0);
        chain->nwritable += descriptor->flags >> 1 & 1;
        if (!(descriptor->flags & 1))
            return;
        at = descriptor->next;
    }
}

bool fake_take(struct fake_device *device, struct fake_chain *chain)
{
    const struct vring *ring = device->ring;
    if (ring->avail->index == device->avail_index)
        return false;
    uint16_t head = ring->avail->ring[device->avail_index++ % ring->size];
    CHECK(head < ring->size);
    *chain = (struct fake_chain){ .head = head };
    const struct vring_descriptor *descriptor = &ring->descriptors[head];
    if (descriptor->flags & 4)
        read_chain((const struct vring_descriptor *)(uintptr_t)descriptor->address, 0,
                   descriptor->len / sizeof(*descriptor), chain);
    else
        read_chain(ring->descriptors, head, ring->size, chain);
    return true;
}

void fake_return(struct fake_device *device, uint32_t id, uint32_t len)
{
    struct vring *ring = device->ring;
    ring->used->ring[device->used_index % ring->size] = (struct vring_used_element){ id, len };
    ring->used->index = ++device->used_index;
}

void fake_skip(struct fake_device *device, uint16_t n)
{
    device->used_index = (uint16_t)(device->used_index + n);
    device->ring->used->index = device->used_index;
}

bool fake_wants_interrupt(const struct fake_device *device, uint16_t before)
{
    const struct vring *ring = device->ring;
    if (!ring->has_event_index)
        return !(ring->avail->flags & 1);
    uint16_t event = ring->avail->ring[ring->size];
    return (uint16_t)(device->used_index - event - 1) < (uint16_t)(device->used_index - before);
}

void fake_set_avail_event(struct fake_device *device, uint16_t index)
{
    struct vring *ring = device->ring;
    *(uint16_t *)(void *)&ring->used->ring[ring->size] = index;
}

void fake_set_no_notify(struct fake_device *device, bool no_notify)
{
    device->ring->used->flags = no_notify;
}
