// SPDX-License-Identifier: MIT
#pragma once
/*
 * Virtio devices (virtio 1.2, chapters 2 and 3), above the transports virtio_pci.c and
 * virtio_mmio.c.  A driver's probe negotiates, creates its queues and starts the device.
 */
#include "arch/arch.h"
#include "drivers/vring.h"
#include "kernel/driver.h"

#define VIRTIO_ID_NET     1
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG     4
#define VIRTIO_ID_9P      9

#define VIRTIO_F_ANY_LAYOUT      (1ULL << 27) /* legacy devices only */
#define VIRTIO_F_INDIRECT        (1ULL << 28)
#define VIRTIO_F_EVENT_INDEX     (1ULL << 29)
#define VIRTIO_F_VERSION_1       (1ULL << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ULL << 33)

#define VIRTIO_QUEUES_MAX 16

struct virtio_device;

struct virtio_queue {
    struct vring ring;
    struct virtio_device *device;
    uint16_t index;      /* the device's number for it */
    uint16_t vector;     /* the transport's */
    irq_handler handler; /* NULL: no interrupt */
    void *arg;
    void *memory; /* of the ring */
    size_t memory_size;
    void *notify; /* the transport's register */
};

/* What a transport does. */
struct virtio_transport {
    size_t ring_align; /* of the used ring; legacy devices want whole pages for the ring */
    uint64_t (*get_features)(struct virtio_device *device);
    void (*set_features)(struct virtio_device *device, uint64_t features);
    uint8_t (*get_status)(struct virtio_device *device);
    void (*set_status)(struct virtio_device *device, uint8_t status);
    void (*config_read)(struct virtio_device *device, unsigned offset, void *to, unsigned size);
    void (*config_write)(struct virtio_device *device, unsigned offset, const void *from,
                         unsigned size);
    uint32_t (*config_generation)(struct virtio_device *device);
    /* The longest ring the device takes; 0: no such queue. */
    uint16_t (*queue_size_max)(struct virtio_device *device, uint16_t index);
    /* Tells the device where the ring is and connects queue->handler.  -errno. */
    int (*queue_setup)(struct virtio_device *device, struct virtio_queue *queue);
    /* From now on the queue's interrupt is cpu's.  NULL: all queues have one interrupt. */
    void (*queue_aim)(struct virtio_queue *queue, unsigned cpu);
    void (*notify)(struct virtio_queue *queue);
};

struct virtio_device {
    struct device device; /* BUS_VIRTIO */
    const struct virtio_transport *transport;
    bool is_legacy;    /* before virtio 1.0: only by virtio_mmio.c */
    unsigned nvectors; /* interrupts, configuration's included; 0: one for all */
    uint64_t features; /* negotiated */
    struct virtio_queue *queues[VIRTIO_QUEUES_MAX]; /* in the order of their making */
    irq_handler config_changed; /* set before virtio_start(); NULL: not interested */
    void *config_arg;
};

static inline bool virtio_has(const struct virtio_device *device, uint64_t feature)
{
    return device->features & feature;
}

/* Resets the device and agrees on those of wanted (and the ring's own features) that it offers.
 * -ENODEV: it is too old; -EIO: it refuses. */
int virtio_negotiate(struct virtio_device *device, uint64_t wanted) __must_check;
/* A queue of at most size_max entries; its handler runs at interrupt level (the ring's interrupts
 * are off at first).  -ENOENT: no such queue; -ENOSPC: VIRTIO_QUEUES_MAX are made; -ENOMEM. */
int virtio_queue_create(struct virtio_device *device, uint16_t index, uint16_t size_max,
                        irq_handler handler, void *arg, struct virtio_queue **out) __must_check;
void virtio_start(struct virtio_device *device);
/* Gives the device up: it is reset, its queues are broken.  Their memory is not used again. */
void virtio_fail(struct virtio_device *device);

/* Tells the device about new chains if it wants to know. */
static inline void virtio_kick(struct virtio_queue *queue)
{
    if (vring_kick_needed(&queue->ring))
        queue->device->transport->notify(queue);
}

/* Configuration: size 1, 2, 4, or any number of single bytes. */
void virtio_config_read(struct virtio_device *device, unsigned offset, void *to, unsigned size);
uint8_t virtio_config_read8(struct virtio_device *device, unsigned offset);
uint16_t virtio_config_read16(struct virtio_device *device, unsigned offset);
uint32_t virtio_config_read32(struct virtio_device *device, unsigned offset);

/* For transports with one interrupt for all queues: calls each different handler once. */
void virtio_interrupt_all(struct virtio_device *device);
