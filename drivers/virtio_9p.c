// SPDX-License-Identifier: MIT
/*
 * The 9P transport (virtio 1.2, 5.10, and QEMU's docs): one queue of requests, each a chain of the message and of room
 * for the answer.  What the messages say is fs/ninep's business.
 *
 * A request is in requests from the push until it is done.  When the device breaks the ring it is reset, so that it
 * writes nowhere any more, and all requests come back empty.
 *
 * Locking: lock (irq spinlock, RANK_DRIVER) for the queue and the list.
 */
#include "drivers/virtio_9p.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/virtio.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/ninepdev.h"
#include "kernel/spinlock.h"

#define RING_SIZE      128
#define F_MOUNT_TAG    1u
#define CONFIG_TAG_LEN 0
#define CONFIG_TAG     2

_Static_assert(NINEPDEV_REQUESTS *(NINEPDEV_PIECES + NINEPDEV_FLUSH_PIECES) <= RING_SIZE,
               "who is killed could not take its request back");

struct virtio_9p {
    struct ninepdev dev;
    struct virtio_device *virtio;
    struct virtio_queue *queue; /* [a] NULL while it is made */
    struct spinlock lock;
    struct list requests; /* lock: those that the device has */
};

static void request_done(struct ninepdev_request *request, uint32_t received)
{
    list_remove(&request->node);
    request->received = received;
    /* From here on it may be gone: its owner looks at this alone. */
    __atomic_store_n(&request->is_done, true, __ATOMIC_RELEASE);
}

/* The lock is held. */
static void give_up(struct virtio_9p *ninep)
{
    virtio_fail(ninep->virtio);
    while (!list_is_empty(&ninep->requests))
        request_done(list_first(&ninep->requests, struct ninepdev_request, node), 0);
}

static void ninep_interrupt(void *arg)
{
    struct virtio_9p *ninep = arg;
    struct ninepdev_request *request;
    uint32_t received;

    if (!__atomic_load_n(&ninep->queue, __ATOMIC_ACQUIRE))
        return;
    unsigned long flags = spin_lock_irq(&ninep->lock);

    do {
        while ((request = vring_pop(&ninep->queue->ring, &received)))
            request_done(request, received);
    } while (vring_enable_interrupt(&ninep->queue->ring));
    if (ninep->queue->ring.is_broken)
        give_up(ninep);
    spin_unlock_irq(&ninep->lock, flags);
    wake_all(&ninep->dev.done);
}

static int ninep_submit(struct ninepdev *dev, struct ninepdev_request *request)
{
    struct virtio_9p *ninep = dev->driver;
    struct vring_piece piece[4];
    unsigned n = 0;

    for (unsigned i = 0; i < request->nout; i++)
        piece[n++] = (struct vring_piece){ dma_map(request->out[i].data), request->out[i].len };
    for (unsigned i = 0; i < request->nin; i++)
        piece[n++] = (struct vring_piece){ dma_map(request->in[i].data), request->in[i].len };
    list_init(&request->node);
    unsigned long flags = spin_lock_irq(&ninep->lock);
    int err = vring_push(&ninep->queue->ring, piece, request->nout, request->nin, request);
    if (!err) {
        list_push_back(&ninep->requests, &request->node);
        virtio_kick(ninep->queue);
    }
    spin_unlock_irq(&ninep->lock, flags);
    return err;
}

/* ---- Probing --------------------------------------------------------------------------------- */

static int read_tag(struct virtio_9p *ninep)
{
    unsigned len = virtio_config_read16(ninep->virtio, CONFIG_TAG_LEN);

    if (len == 0 || len > NINEPDEV_TAG_MAX) {
        log_error("virtio-9p: a mount tag of %u bytes; 1 to %d are possible", len,
                  NINEPDEV_TAG_MAX);
        return -EINVAL;
    }
    virtio_config_read(ninep->virtio, CONFIG_TAG, ninep->dev.tag, len);
    return strlen(ninep->dev.tag) == len ? 0 : -EINVAL;
}

static int ninep_start(struct virtio_9p *ninep)
{
    struct virtio_queue *queue;
    int err = virtio_negotiate(ninep->virtio, F_MOUNT_TAG);
    if (!err && !virtio_has(ninep->virtio, F_MOUNT_TAG))
        err = -ENODEV;
    if (!err)
        err = read_tag(ninep);
    if (!err)
        err = virtio_queue_create(ninep->virtio, 0, RING_SIZE, ninep_interrupt, ninep, &queue);
    if (err)
        return err;
    (void)vring_enable_interrupt(&queue->ring);
    __atomic_store_n(&ninep->queue, queue, __ATOMIC_RELEASE);
    virtio_start(ninep->virtio);
    ninep->dev.submit = ninep_submit;
    ninep->dev.driver = ninep;
    ninepdev_register(&ninep->dev);
    return 0;
}

static int ninep_probe(struct device *device)
{
    struct virtio_9p *ninep = kzalloc(sizeof(*ninep), ALLOC_WAIT);
    if (!ninep)
        return -ENOMEM;
    ninep->virtio = device->handle;
    spin_init(&ninep->lock, RANK_DRIVER);
    list_init(&ninep->requests);
    int err = ninep_start(ninep);
    if (err)
        virtio_fail(ninep->virtio);
    return err;
}

const struct driver virtio_9p_driver = {
    .name = "virtio-9p",
    .bus = BUS_VIRTIO,
    .ids = (const struct device_id[]){ { .virtio = VIRTIO_ID_9P }, { 0 } },
    .probe = ninep_probe,
};
