// SPDX-License-Identifier: MIT
/*
 * The entropy device (virtio 1.2, 5.4).  Boot does not wait for it: one request is made, and
 * what it brings goes to the random pool whenever it comes.
 */
#include "drivers/virtio_rng.h"

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/virtio.h"
#include "kernel/entropy.h"
#include "kernel/mm/heap.h"

#define REQUEST_SIZE 64
#define RING_SIZE    2

struct virtio_rng {
    struct virtio_queue *queue;
    uint8_t data[REQUEST_SIZE];
};

/* The one request is the handler's alone once it was made, so there is nothing to lock. */
static void rng_interrupt(void *arg)
{
    struct virtio_rng *rng = arg;
    uint32_t len;
    if (!rng->queue || !vring_pop(&rng->queue->ring, &len))
        return;
    entropy_add(rng->data, len, len * 8);
}

static int rng_start(struct virtio_device *virtio, struct virtio_rng *rng)
{
    struct virtio_queue *queue;
    int err = virtio_negotiate(virtio, 0);
    if (!err)
        err = virtio_queue_create(virtio, 0, RING_SIZE, rng_interrupt, rng, &queue);
    if (err)
        return err;
    (void)vring_enable_interrupt(&queue->ring);
    virtio_start(virtio);
    struct vring_piece piece = { dma_map(rng->data), REQUEST_SIZE };
    err = vring_push(&queue->ring, &piece, 0, 1, rng);
    __atomic_store_n(&rng->queue, queue, __ATOMIC_RELEASE);
    virtio_kick(queue);
    return err;
}

static int rng_probe(struct device *device)
{
    struct virtio_rng *rng = kzalloc(sizeof(*rng), ALLOC_WAIT);
    if (!rng)
        return -ENOMEM;
    int err = rng_start(device->handle, rng);
    if (err)
        virtio_fail(device->handle);
    return err;
}

const struct driver virtio_rng_driver = {
    .name = "virtio-rng",
    .bus = BUS_VIRTIO,
    .ids = (const struct device_id[]){ { .virtio = VIRTIO_ID_RNG }, { 0 } },
    .probe = rng_probe,
};
