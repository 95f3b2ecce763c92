// SPDX-License-Identifier: MIT
/*
 * The network device (virtio 1.2, 5.1), one pair of queues.
 *
 * Receive: page halves go to the device and, filled, on to net without a copy.  A packet is only handed on
 * once the pool has replacements for its buffers, else it is dropped and they go round again: so the
 * ring never runs empty, however slowly somebody reads.  It starts short, for a quick boot and a small machine, and
 * grows with the load.
 *
 * Transmit: the device reads the packet where it lies, behind a header in a slot of ours.  The queue's
 * interrupt is off; done packets are collected by the next poll, or by a transmit that finds the ring low.
 * Only when it is full an interrupt is asked for.
 *
 * Locking: all of it under net_lock, but for the interrupt handler, which only turns interrupts off and
 * wakes net, and for the pool's own lock.
 */
#include "drivers/virtio_net.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/net_buffer.h"
#include "drivers/virtio.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/netdev.h"

/* Feature bits, 5.1.3. */
#define NET_F_CSUM       (1ULL << 0)
#define NET_F_GUEST_CSUM (1ULL << 1)
#define NET_F_MTU        (1ULL << 3)
#define NET_F_MAC        (1ULL << 5)
#define NET_F_GUEST_TSO4 (1ULL << 7)
#define NET_F_GUEST_TSO6 (1ULL << 8)
#define NET_F_HOST_TSO4  (1ULL << 11)
#define NET_F_HOST_TSO6  (1ULL << 12)
#define NET_F_MRG_RXBUF  (1ULL << 15)
#define NET_F_STATUS     (1ULL << 16)

/* Configuration, 5.1.4. */
#define CONFIG_MAC     0
#define CONFIG_STATUS  6
#define CONFIG_MTU     10
#define STATUS_LINK_UP 1

/* Header, 5.1.6. */
#define HEADER_NEEDS_CSUM 1u
#define HEADER_DATA_VALID 2u
#define GSO_ECN           0x80u
#define HEADER_SHORT      10 /* legacy, without mergeable buffers: no count */

#define QUEUE_RECEIVE  0
#define QUEUE_TRANSMIT 1
#define RING_SIZE      256
#define RECEIVE_START  64
#define POOL_KEEP      256
#define PIECES_MAX     (VRING_INDIRECT_MAX - 1)
#define MTU_MIN        68
#define MTU_DEFAULT    1500

struct net_header {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t nbuffers;
};

struct transmit_slot {
    struct net_header header;
    void (*done)(void *cookie);
    void *cookie;
    struct transmit_slot *next; /* free */
};

struct virtio_net {
    struct netdev dev;
    struct virtio_device *virtio;
    struct virtio_queue *receive, *transmit;
    unsigned header_size;
    bool is_mergeable;

    struct net_buffer_pool pool;
    unsigned nposted;      /* receive buffers the device has */
    unsigned receive_goal; /* ... and should have */

    struct transmit_slot *slots, *free_slots;
    bool is_full; /* net was told -ENOSPC */
};

/* ---- Receive --------------------------------------------------------------------------- */

static void receive_refill(struct virtio_net *net)
{
    if (net->nposted >= net->receive_goal)
        return;
    while (net->nposted < net->receive_goal) {
        struct net_buffer *buffer = net_buffer_alloc(&net->pool);
        if (!buffer)
            break;
        struct vring_piece piece = { dma_map(net_buffer_space(buffer)), NET_BUFFER_SPACE };
        if (vring_push(&net->receive->ring, &piece, 0, 1, buffer)) {
            net_buffer_free(buffer);
            break;
        }
        net->nposted++;
    }
    virtio_kick(net->receive);
}

static void chain_free(struct netdev_buffer *buffer)
{
    while (buffer) {
        struct netdev_buffer *next = buffer->next;
        buffer->release(buffer);
        buffer = next;
    }
}

static struct net_buffer *receive_pop(struct virtio_net *net)
{
    uint32_t len;
    struct net_buffer *buffer = vring_pop(&net->receive->ring, &len);
    if (!buffer)
        return NULL;
    net->nposted--;
    buffer->buffer.next = NULL;
    buffer->buffer.data = net_buffer_space(buffer);
    buffer->buffer.len = len;
    return buffer;
}

/* Strips the header off the first buffer.  False: the device wrote nonsense. */
static bool take_header(struct virtio_net *net, struct netdev_buffer *first,
                        struct net_header *header)
{
    if (first->len <= net->header_size)
        return false;
    memcpy(header, first->data, sizeof(*header)); /* the buffer is longer than either size */
    first->data = (char *)first->data + net->header_size;
    first->len -= net->header_size;
    if (!net->is_mergeable)
        header->nbuffers = 1;
    return header->nbuffers > 0;
}

/* Appends the packet's further buffers; how many it has in all, or 0: there are fewer than it says. */
static unsigned collect(struct virtio_net *net, struct netdev_buffer *first, unsigned wanted)
{
    struct netdev_buffer *last = first;
    for (unsigned n = 1; n < wanted; n++) {
        struct net_buffer *more = receive_pop(net);
        if (!more)
            return 0;
        last->next = &more->buffer;
        last = last->next;
    }
    return wanted;
}

static void deliver(struct virtio_net *net, struct netdev_buffer *packet,
                    const struct net_header *header)
{
    struct netdev_offload offload = {
        .checksum_ok = header->flags & (HEADER_DATA_VALID | HEADER_NEEDS_CSUM),
        .needs_checksum = header->flags & HEADER_NEEDS_CSUM,
        .csum_start = header->csum_start,
        .csum_offset = header->csum_offset,
        .gso_type = header->gso_type & (uint8_t)~GSO_ECN,
        .gso_size = header->gso_size,
        .header_len = header->header_len,
    };
    netdev_deliver(&net->dev, packet, &offload);
}

/* One packet; false: there is none. */
static bool receive_one(struct virtio_net *net)
{
    struct net_buffer *first = receive_pop(net);
    if (!first)
        return false;
    struct net_header header;
    unsigned n = 0;
    if (take_header(net, &first->buffer, &header))
        n = collect(net, &first->buffer, header.nbuffers);
    if (n == 0 || !net_buffer_reserve(&net->pool, n)) {
        net->dev.rx_dropped++;
        chain_free(&first->buffer);
        return true;
    }
    deliver(net, &first->buffer, &header);
    return true;
}

/* ---- Transmit --------------------------------------------------------------------------- */

static void transmit_collect(struct virtio_net *net)
{
    struct transmit_slot *slot;
    uint32_t len;
    while ((slot = vring_pop(&net->transmit->ring, &len)) != NULL) {
        slot->next = net->free_slots;
        net->free_slots = slot;
        slot->done(slot->cookie);
    }
}

static bool transmit_has_room(struct virtio_net *net, unsigned npieces)
{
    return net->free_slots && vring_has_room(&net->transmit->ring, npieces + 1);
}

/* Collects what is done; without room even so, an interrupt is on its way. */
static bool transmit_make_room(struct virtio_net *net, unsigned npieces)
{
    struct vring *ring = &net->transmit->ring;
    if (ring->nfree < ring->size / 4 || !net->free_slots)
        transmit_collect(net);
    if (transmit_has_room(net, npieces))
        return true;
    virtio_kick(net->transmit);
    while (vring_enable_interrupt_late(ring)) {
        transmit_collect(net);
        if (transmit_has_room(net, npieces))
            return true;
    }
    net->is_full = true;
    return false;
}

static void fill_header(struct net_header *header, const struct netdev_offload *offload)
{
    *header = (struct net_header){ 0 };
    if (!offload)
        return;
    header->gso_type = offload->gso_type;
    header->gso_size = offload->gso_size;
    header->header_len = offload->header_len;
    if (!offload->needs_checksum)
        return;
    header->flags = HEADER_NEEDS_CSUM;
    header->csum_start = offload->csum_start;
    header->csum_offset = offload->csum_offset;
}

static int net_transmit(struct netdev *dev, const struct netdev_piece *piece, unsigned npieces,
                        const struct netdev_offload *offload, void (*done)(void *cookie),
                        void *cookie)
{
    struct virtio_net *net = dev->driver;
    struct vring_piece vector[PIECES_MAX + 1];
    if (npieces == 0 || npieces > PIECES_MAX)
        return -EMSGSIZE;
    if (!transmit_make_room(net, npieces))
        return -ENOSPC;

    struct transmit_slot *slot = net->free_slots;
    fill_header(&slot->header, offload);
    slot->done = done;
    slot->cookie = cookie;
    vector[0] = (struct vring_piece){ dma_map(&slot->header), net->header_size };
    for (unsigned i = 0; i < npieces; i++)
        vector[i + 1] = (struct vring_piece){ dma_map(piece[i].data), (uint32_t)piece[i].len };
    int err = vring_push(&net->transmit->ring, vector, npieces + 1, 0, slot);
    if (!err)
        net->free_slots = slot->next;
    return err;
}

static void net_kick(struct netdev *dev)
{
    struct virtio_net *net = dev->driver;
    virtio_kick(net->transmit);
}

/* ---- Both --------------------------------------------------------------------------------- */

static unsigned net_poll(struct netdev *dev, unsigned budget)
{
    struct virtio_net *net = dev->driver;
    unsigned n = 0;
    transmit_collect(net);
    while (n < budget && receive_one(net))
        n++;
    if (n >= net->receive_goal / 2)
        net->receive_goal = MIN(net->receive_goal * 2, (unsigned)net->receive->ring.size);
    receive_refill(net);
    if (net->is_full && net->transmit->ring.nfree >= net->transmit->ring.size / 4) {
        net->is_full = false;
        netdev_tx_ready(dev);
    }
    return n;
}

static bool net_enable_interrupt(struct netdev *dev)
{
    struct virtio_net *net = dev->driver;
    bool is_pending = net->is_full && vring_enable_interrupt_late(&net->transmit->ring);
    return vring_enable_interrupt(&net->receive->ring) || is_pending;
}

static const struct netdev_ops net_ops = {
    .transmit = net_transmit,
    .kick = net_kick,
    .poll = net_poll,
    .enable_interrupt = net_enable_interrupt,
};

static void net_interrupt(void *arg)
{
    struct virtio_net *net = arg;
    if (!net->transmit)
        return; /* another device's, while this one is set up */
    vring_disable_interrupt(&net->receive->ring);
    vring_disable_interrupt(&net->transmit->ring);
    netdev_wake(&net->dev);
}

static void net_config_changed(void *arg)
{
    struct virtio_net *net = arg;
    if (!virtio_has(net->virtio, NET_F_STATUS))
        return;
    WRITE_ONCE(net->dev.is_link_up,
               virtio_config_read16(net->virtio, CONFIG_STATUS) & STATUS_LINK_UP);
    netdev_wake(&net->dev);
}

/* ---- Probing --------------------------------------------------------------------------------- */

static int negotiate(struct virtio_net *net)
{
    struct virtio_device *virtio = net->virtio;
    uint64_t wanted = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | NET_F_MAC | NET_F_HOST_TSO4 |
                      NET_F_HOST_TSO6 | NET_F_MRG_RXBUF | NET_F_STATUS;
    /* Large packets need several buffers, and their checksums are not there. */
    uint64_t offered = virtio->transport->get_features(virtio);
    if (offered & NET_F_MRG_RXBUF && offered & NET_F_GUEST_CSUM)
        wanted |= NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6;
    int err = virtio_negotiate(virtio, wanted);
    if (err)
        return err;
    net->is_mergeable = virtio_has(virtio, NET_F_MRG_RXBUF);
    net->header_size = net->is_mergeable || virtio_has(virtio, VIRTIO_F_VERSION_1)
                           ? sizeof(struct net_header)
                           : HEADER_SHORT;
    return 0;
}

static unsigned netdev_features(const struct virtio_device *virtio)
{
    if (!virtio_has(virtio, NET_F_CSUM))
        return 0;
    return NETDEV_TX_CHECKSUM | (virtio_has(virtio, NET_F_HOST_TSO4) ? NETDEV_TX_TSO4 : 0) |
           (virtio_has(virtio, NET_F_HOST_TSO6) ? NETDEV_TX_TSO6 : 0);
}

static void read_config(struct virtio_net *net)
{
    struct virtio_device *virtio = net->virtio;
    struct netdev *dev = &net->dev;
    if (virtio_has(virtio, NET_F_MAC)) {
        virtio_config_read(virtio, CONFIG_MAC, dev->mac, sizeof(dev->mac));
    } else {
        random_bytes(dev->mac, sizeof(dev->mac));
        dev->mac[0] = (uint8_t)((dev->mac[0] & 0xfe) | 2); /* locally administered, one station */
    }
    uint16_t mtu = virtio_has(virtio, NET_F_MTU) ? virtio_config_read16(virtio, CONFIG_MTU) : 0;
    /* Without mergeable buffers a packet has to fit into one. */
    dev->mtu = mtu >= MTU_MIN && mtu < MTU_DEFAULT ? mtu : MTU_DEFAULT;
    if (mtu > MTU_DEFAULT && net->is_mergeable)
        dev->mtu = mtu;
    dev->is_link_up = !virtio_has(virtio, NET_F_STATUS) ||
                      virtio_config_read16(virtio, CONFIG_STATUS) & STATUS_LINK_UP;
    dev->features = netdev_features(virtio);
    dev->ops = &net_ops;
    dev->driver = net;
}

static int create_queues(struct virtio_net *net)
{
    struct virtio_queue *receive, *transmit;
    net->virtio->config_changed = net_config_changed;
    net->virtio->config_arg = net;
    int err =
        virtio_queue_create(net->virtio, QUEUE_RECEIVE, RING_SIZE, net_interrupt, net, &receive);
    if (err)
        return err;
    err =
        virtio_queue_create(net->virtio, QUEUE_TRANSMIT, RING_SIZE, net_interrupt, net, &transmit);
    if (err)
        return err;
    unsigned nslots = transmit->ring.size;
    net->slots = kcalloc(nslots, sizeof(*net->slots), ALLOC_ZERO);
    if (!net->slots)
        return -ENOMEM;
    for (unsigned i = 0; i < nslots; i++)
        net->slots[i].next = i + 1 < nslots ? &net->slots[i + 1] : NULL;
    net->free_slots = net->slots;
    net->receive_goal = MIN((unsigned)receive->ring.size, (unsigned)RECEIVE_START);
    net_buffer_pool_init(&net->pool, POOL_KEEP);
    net->receive = receive;
    __atomic_store_n(&net->transmit, transmit, __ATOMIC_RELEASE);
    return 0;
}

static int net_start(struct virtio_net *net)
{
    int err = negotiate(net);
    if (!err)
        err = create_queues(net);
    if (err)
        return err;
    read_config(net);
    virtio_start(net->virtio);
    receive_refill(net);
    return netdev_register(&net->dev);
}

static int net_probe(struct device *device)
{
    struct virtio_net *net = kzalloc(sizeof(*net), ALLOC_WAIT);
    if (!net)
        return -ENOMEM;
    net->virtio = device->handle;
    int err = net_start(net);
    if (err)
        virtio_fail(net->virtio);
    return err;
}

const struct driver virtio_net_driver = {
    .name = "virtio-net",
    .bus = BUS_VIRTIO,
    .ids = (const struct device_id[]){ { .virtio = VIRTIO_ID_NET }, { 0 } },
    .probe = net_probe,
};
