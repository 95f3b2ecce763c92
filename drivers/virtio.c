// SPDX-License-Identifier: MIT
/*
 * The device model common to all transports: status, features, queues.
 */
#include "drivers/virtio.h"

#include "abi/errno.h"
#include "drivers/dma.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

/* Device status, 2.1. */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_FAILED      128u

#define RESET_SPINS  1000000
#define CONFIG_TRIES 16
#define SMALL_RING   2048 /* up to here the heap gives contiguous memory without waste */

static void add_status(struct virtio_device *device, uint8_t bits)
{
    const struct virtio_transport *transport = device->transport;
    transport->set_status(device, transport->get_status(device) | bits);
}

static int device_reset(struct virtio_device *device)
{
    const struct virtio_transport *transport = device->transport;
    transport->set_status(device, 0);
    for (unsigned spins = 0; spins < RESET_SPINS; spins++) {
        if (transport->get_status(device) == 0)
            return 0;
        arch_pause();
    }
    log_error("%s: it does not reset", device->device.name);
    return -EIO;
}

int virtio_negotiate(struct virtio_device *device, uint64_t wanted)
{
    const struct virtio_transport *transport = device->transport;
    int err = device_reset(device);
    if (err)
        return err;
    add_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER);

    wanted |= VIRTIO_F_EVENT_INDEX | VIRTIO_F_INDIRECT;
    wanted |=
        device->is_legacy ? VIRTIO_F_ANY_LAYOUT : VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM;
    device->features = transport->get_features(device) & wanted;
    if (!device->is_legacy && !virtio_has(device, VIRTIO_F_VERSION_1)) {
        add_status(device, STATUS_FAILED);
        return -ENODEV;
    }
    transport->set_features(device, device->features);
    if (device->is_legacy)
        return 0;
    add_status(device, STATUS_FEATURES_OK);
    if (transport->get_status(device) & STATUS_FEATURES_OK)
        return 0;
    log_error("%s: it refuses the features %lx", device->device.name,
              (unsigned long)device->features);
    add_status(device, STATUS_FAILED);
    return -EIO;
}

void virtio_start(struct virtio_device *device)
{
    add_status(device, STATUS_DRIVER_OK);
}

/* ---- Queues ------------------------------------------------------------------------ */

static unsigned order_of(size_t size)
{
    unsigned order = 0;
    while (PAGE_SIZE << order < size)
        order++;
    return order;
}

static void *ring_memory_alloc(size_t size, bool whole_pages)
{
    if (size <= SMALL_RING && !whole_pages)
        return kzalloc(size, ALLOC_WAIT);
    struct frame *frame = frame_alloc(order_of(size), ALLOC_ZERO);
    return frame ? frame_address(frame) : NULL;
}

static void ring_memory_free(void *memory, size_t size, bool whole_pages)
{
    if (size <= SMALL_RING && !whole_pages)
        kfree(memory);
    else
        frame_put(frame_of(arch_direct_paddr(memory)));
}

static uint16_t round_down_to_power_of_two(uint16_t n)
{
    return (uint16_t)(1u << (31 - __builtin_clz(n)));
}

static int queue_init(struct virtio_queue *queue, uint16_t size)
{
    struct virtio_device *device = queue->device;
    size_t align = device->transport->ring_align;
    queue->memory_size = vring_bytes(size, align);
    queue->memory = ring_memory_alloc(queue->memory_size, device->is_legacy);
    if (!queue->memory)
        return -ENOMEM;
    int err =
        vring_init(&queue->ring, size, align, queue->memory,
                   virtio_has(device, VIRTIO_F_EVENT_INDEX), virtio_has(device, VIRTIO_F_INDIRECT));
    if (!err)
        err = device->transport->queue_setup(device, queue);
    if (!err)
        return 0;
    vring_fini(&queue->ring);
    ring_memory_free(queue->memory, queue->memory_size, device->is_legacy);
    return err;
}

int virtio_queue_create(struct virtio_device *device, uint16_t index, uint16_t size_max,
                        irq_handler handler, void *arg, struct virtio_queue **out)
{
    unsigned slot = 0;
    while (slot < VIRTIO_QUEUES_MAX && device->queues[slot])
        slot++;
    if (slot == VIRTIO_QUEUES_MAX)
        return -ENOSPC;
    uint16_t size = device->transport->queue_size_max(device, index);
    size = MIN(MIN(size, size_max), (uint16_t)VRING_SIZE_MAX);
    if (size == 0)
        return -ENOENT;
    struct virtio_queue *queue = kzalloc(sizeof(*queue), ALLOC_WAIT);
    if (!queue)
        return -ENOMEM;
    queue->device = device;
    queue->index = index;
    queue->handler = handler;
    queue->arg = arg;
    int err = queue_init(queue, round_down_to_power_of_two(size));
    if (err) {
        kfree(queue);
        return err;
    }
    __atomic_store_n(&device->queues[slot], queue, __ATOMIC_RELEASE);
    *out = queue;
    return 0;
}

/* An interrupt handler may still be looking at a queue, so nothing is freed: it happens once, at boot. */
void virtio_fail(struct virtio_device *device)
{
    if (device_reset(device))
        return;
    add_status(device, STATUS_ACKNOWLEDGE | STATUS_FAILED);
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        struct virtio_queue *queue = device->queues[i];
        __atomic_store_n(&device->queues[i], NULL, __ATOMIC_RELEASE);
        if (queue)
            queue->ring.is_broken = true;
    }
}

void virtio_interrupt_all(struct virtio_device *device)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        struct virtio_queue *queue = __atomic_load_n(&device->queues[i], __ATOMIC_ACQUIRE);
        if (!queue || !queue->handler)
            continue;
        bool is_repeated = false;
        for (unsigned j = 0; j < i && !is_repeated; j++) {
            struct virtio_queue *other = __atomic_load_n(&device->queues[j], __ATOMIC_ACQUIRE);
            is_repeated = other && other->handler == queue->handler && other->arg == queue->arg;
        }
        if (!is_repeated)
            queue->handler(queue->arg);
    }
}

/* ---- Configuration -------------------------------------------------------------------- */

/* Until the generation did not change meanwhile (2.5.1); a device that never settles gets what
 * it deserves. */
void virtio_config_read(struct virtio_device *device, unsigned offset, void *to, unsigned size)
{
    const struct virtio_transport *transport = device->transport;
    for (unsigned try = 0; try < CONFIG_TRIES; try++) {
        uint32_t generation = transport->config_generation(device);
        if (size == 1 || size == 2 || size == 4) {
            transport->config_read(device, offset, to, size);
        } else {
            for (unsigned i = 0; i < size; i++)
                transport->config_read(device, offset + i, (char *)to + i, 1);
        }
        if (transport->config_generation(device) == generation)
            return;
    }
}

uint8_t virtio_config_read8(struct virtio_device *device, unsigned offset)
{
    uint8_t value = 0;
    virtio_config_read(device, offset, &value, sizeof(value));
    return value;
}

uint16_t virtio_config_read16(struct virtio_device *device, unsigned offset)
{
    uint16_t value = 0;
    virtio_config_read(device, offset, &value, sizeof(value));
    return value;
}

uint32_t virtio_config_read32(struct virtio_device *device, unsigned offset)
{
    uint32_t value = 0;
    virtio_config_read(device, offset, &value, sizeof(value));
    return value;
}
