// SPDX-License-Identifier: MIT
/*
 * The network device (virtio 1.2, 5.1).
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
 * Pairs (5.1.6.5.5): a device may have several pairs of queues, and sends what belongs to a connection back on the pair
 * on which the connection last sent.  So each processor has a pair: its threads send there, and the pair interrupts it
 * (net_flow.h).  All are polled together, and their buffers come from one pool.  The pairs are made when the device is
 * set up, and asked for when the processors are up, by the first poll that sees them.  The answer comes while packets
 * do: until then, and if the device refuses, there is one.
 *
 * Locking: all of it under net_lock, but for the interrupt handler, which only turns interrupts off and
 * wakes net, and for the pool's own lock.
 */
#include "drivers/virtio_net.h"

#include <stddef.h>
#include <string.h>

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/net_buffer.h"
#include "drivers/net_flow.h"
#include "drivers/virtio.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/netdev.h"
#include "kernel/percpu.h"
#include "lib/firmware_info.h"

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
#define NET_F_CTRL_VQ    (1ULL << 17)
#define NET_F_MQ         (1ULL << 22)

/* Configuration, 5.1.4. */
#define CONFIG_MAC       0
#define CONFIG_STATUS    6
#define CONFIG_PAIRS_MAX 8
#define CONFIG_MTU       10
#define STATUS_LINK_UP   1

/* Header, 5.1.6. */
#define HEADER_NEEDS_CSUM 1u
#define HEADER_DATA_VALID 2u
#define GSO_ECN           0x80u
#define HEADER_SHORT      10 /* legacy, without mergeable buffers: no count */

/* Control queue, 5.1.6.5. */
#define CONTROL_MQ       4
#define CONTROL_MQ_PAIRS 0
#define CONTROL_OK       0
#define CONTROL_ERROR    1

#define PAIRS_MAX         4
#define PAIRS_OFFERED_MAX 0x7fff /* behind more of them the control queue would have no number */
#define RING_SIZE         256
#define CONTROL_RING      4
#define RECEIVE_START     64
#define POOL_KEEP         256
#define PIECES_MAX        (VRING_INDIRECT_MAX - 1)
#define MTU_MIN           68
#define MTU_DEFAULT       1500

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

struct pair {
    struct virtio_net *net;
    struct virtio_queue *receive, *transmit;
    unsigned nposted;      /* receive buffers the device has */
    unsigned receive_goal; /* ... and should have */
    struct transmit_slot *free_slots;
    bool is_full; /* net was told -ENOSPC */
};

/* Asks for pairs. */
struct request {
    uint8_t class, command;
    uint16_t npairs;
    uint8_t answer; /* written by the device */
};

struct virtio_net {
    struct netdev dev; /* nqueues: pairs that packets are sent on */
    struct virtio_device *virtio;
    unsigned header_size;
    bool is_mergeable;
    struct net_buffer_pool pool;
    struct pair pair[PAIRS_MAX];
    unsigned npairs;  /* made */
    unsigned npolled; /* asked for: the device may have packets there */
    struct virtio_queue *control;
    struct request *request; /* where the device can read it */
    bool is_asking;
    struct net_flow *flows;
};

/* ---- Receive --------------------------------------------------------------------------- */

static void receive_refill(struct pair *pair)
{
    if (pair->nposted >= pair->receive_goal)
        return;
    while (pair->nposted < pair->receive_goal) {
        struct net_buffer *buffer = net_buffer_alloc(&pair->net->pool);
        if (!buffer)
            break;
        struct vring_piece piece = { dma_map(net_buffer_space(buffer)), NET_BUFFER_SPACE };
        if (vring_push(&pair->receive->ring, &piece, 0, 1, buffer)) {
            net_buffer_free(buffer);
            break;
        }
        pair->nposted++;
    }
    virtio_kick(pair->receive);
}

static void chain_free(struct netdev_buffer *buffer)
{
    while (buffer) {
        struct netdev_buffer *next = buffer->next;
        buffer->release(buffer);
        buffer = next;
    }
}

static struct net_buffer *receive_pop(struct pair *pair)
{
    uint32_t len;
    struct net_buffer *buffer = vring_pop(&pair->receive->ring, &len);
    if (!buffer)
        return NULL;
    pair->nposted--;
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
static unsigned collect(struct pair *pair, struct netdev_buffer *first, unsigned wanted)
{
    struct netdev_buffer *last = first;
    for (unsigned n = 1; n < wanted; n++) {
        struct net_buffer *more = receive_pop(pair);
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
static bool receive_one(struct pair *pair)
{
    struct virtio_net *net = pair->net;
    struct net_buffer *first = receive_pop(pair);
    if (!first)
        return false;
    struct net_header header;
    unsigned n = 0;
    if (take_header(net, &first->buffer, &header))
        n = collect(pair, &first->buffer, header.nbuffers);
    if (n == 0 || !net_buffer_reserve(&net->pool, n)) {
        net->dev.rx_dropped++;
        chain_free(&first->buffer);
        return true;
    }
    deliver(net, &first->buffer, &header);
    return true;
}

/* ---- Transmit --------------------------------------------------------------------------- */

static void transmit_collect(struct pair *pair)
{
    struct transmit_slot *slot;
    uint32_t len;
    while ((slot = vring_pop(&pair->transmit->ring, &len)) != NULL) {
        slot->next = pair->free_slots;
        pair->free_slots = slot;
        slot->done(slot->cookie);
    }
}

static bool transmit_has_room(struct pair *pair, unsigned npieces)
{
    return pair->free_slots && vring_has_room(&pair->transmit->ring, npieces + 1);
}

/* Collects what is done; without room even so, an interrupt is on its way. */
static bool transmit_make_room(struct pair *pair, unsigned npieces)
{
    struct vring *ring = &pair->transmit->ring;
    if (ring->nfree < ring->size / 4 || !pair->free_slots)
        transmit_collect(pair);
    if (transmit_has_room(pair, npieces))
        return true;
    virtio_kick(pair->transmit);
    while (vring_enable_interrupt_late(ring)) {
        transmit_collect(pair);
        if (transmit_has_room(pair, npieces))
            return true;
    }
    pair->is_full = true;
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

/* The pair of the thread's processor, once it may be another one than before. */
static struct pair *flow_pair(struct virtio_net *net, struct net_flow *flow,
                              const struct netdev_offload *offload)
{
    unsigned wanted = cpu_current() % net->dev.nqueues;
    struct pair *pair = &net->pair[flow->queue];
    if (!offload->is_by_sender || !net_flow_may_move(flow, &pair->transmit->ring))
        return pair;
    flow->queue = (uint8_t)wanted;
    return &net->pair[wanted];
}

static int net_transmit(struct netdev *dev, const struct netdev_piece *piece, unsigned npieces,
                        const struct netdev_offload *offload, void (*done)(void *cookie),
                        void *cookie)
{
    struct virtio_net *net = dev->driver;
    struct vring_piece vector[PIECES_MAX + 1];
    if (npieces == 0 || npieces > PIECES_MAX)
        return -EMSGSIZE;
    struct net_flow *flow = dev->nqueues > 1 ? &net->flows[offload->flow % NET_FLOWS] : NULL;
    struct pair *pair = flow ? flow_pair(net, flow, offload) : &net->pair[0];
    if (!transmit_make_room(pair, npieces))
        return -ENOSPC;

    struct transmit_slot *slot = pair->free_slots;
    fill_header(&slot->header, offload);
    slot->done = done;
    slot->cookie = cookie;
    vector[0] = (struct vring_piece){ dma_map(&slot->header), net->header_size };
    for (unsigned i = 0; i < npieces; i++)
        vector[i + 1] = (struct vring_piece){ dma_map(piece[i].data), (uint32_t)piece[i].len };
    int err = vring_push(&pair->transmit->ring, vector, npieces + 1, 0, slot);
    if (err)
        return err;
    pair->free_slots = slot->next;
    if (flow)
        net_flow_sent(flow, &pair->transmit->ring);
    return 0;
}

static void net_kick(struct netdev *dev)
{
    struct virtio_net *net = dev->driver;
    for (unsigned i = 0; i < dev->nqueues; i++)
        virtio_kick(net->pair[i].transmit);
}

/* ---- Pairs -------------------------------------------------------------------------------- */

static void take_answer(struct virtio_net *net, uint8_t answer)
{
    net->is_asking = false;
    if (answer == CONTROL_OK) {
        /* What one pair had to send was not noted. */
        for (unsigned i = 0; net->dev.nqueues == 1 && i < NET_FLOWS; i++)
            net_flow_sent(&net->flows[i], &net->pair[0].transmit->ring);
        net->dev.nqueues = net->npolled;
        return;
    }
    log_warning("%s: the device refuses %u pairs of queues; it goes on with %u", net->dev.name,
                net->npolled, net->dev.nqueues);
    net->npairs = net->dev.nqueues;
}

static void look_for_answer(struct virtio_net *net)
{
    uint32_t len;
    const struct request *request = vring_pop(&net->control->ring, &len);
    if (request)
        take_answer(net, len > 0 ? READ_ONCE(request->answer) : CONTROL_ERROR);
}

/* For the processors that are up. */
static void ask_for_pairs(struct virtio_net *net)
{
    unsigned wanted = MIN(net->npairs, arch_cpu_count());
    struct request *request = net->request;
    if (net->is_asking)
        return;
    for (unsigned i = net->npolled; i < wanted; i++) {
        net->virtio->transport->queue_aim(net->pair[i].receive, i);
        receive_refill(&net->pair[i]);
        if (net->pair[i].nposted == 0)
            wanted = i; /* without memory: what came there would never be seen */
    }
    if (wanted <= net->npolled)
        return;
    net->npolled = wanted;
    *request = (struct request){ CONTROL_MQ, CONTROL_MQ_PAIRS, (uint16_t)wanted, CONTROL_ERROR };
    /* Cloud Hypervisor wants the header, the data and the answer apart. */
    const uint32_t head = offsetof(struct request, npairs);
    struct vring_piece piece[] = { { dma_map(request), head },
                                   { dma_map(&request->npairs), sizeof(request->npairs) },
                                   { dma_map(&request->answer), sizeof(request->answer) } };
    (void)vring_enable_interrupt(&net->control->ring);
    net->is_asking = true;
    if (vring_push(&net->control->ring, piece, 2, 1, request))
        take_answer(net, CONTROL_ERROR);
    virtio_kick(net->control);
}

/* ---- Both --------------------------------------------------------------------------------- */

static unsigned pair_poll(struct pair *pair, unsigned budget)
{
    unsigned n = 0;
    transmit_collect(pair);
    while (n < budget && receive_one(pair))
        n++;
    if (n >= MIN(pair->receive_goal / 2, budget))
        pair->receive_goal = MIN(pair->receive_goal * 2, (unsigned)pair->receive->ring.size);
    receive_refill(pair);
    if (pair->is_full && pair->transmit->ring.nfree >= pair->transmit->ring.size / 4) {
        pair->is_full = false;
        netdev_tx_ready(&pair->net->dev);
    }
    return n;
}

static unsigned net_poll(struct netdev *dev, unsigned budget)
{
    struct virtio_net *net = dev->driver;
    unsigned n = 0;
    for (unsigned i = 0; i < net->npolled; i++)
        n += pair_poll(&net->pair[i], budget / net->npolled);
    if (unlikely(dev->nqueues < net->npairs)) {
        ask_for_pairs(net);
        look_for_answer(net);
    }
    return n;
}

static bool net_enable_interrupt(struct netdev *dev)
{
    struct virtio_net *net = dev->driver;
    bool is_pending = false;
    for (unsigned i = 0; i < net->npolled; i++) {
        struct pair *pair = &net->pair[i];
        is_pending |= pair->is_full && vring_enable_interrupt_late(&pair->transmit->ring);
        is_pending |= vring_enable_interrupt(&pair->receive->ring);
    }
    return is_pending;
}

static const struct netdev_ops net_ops = {
    .transmit = net_transmit,
    .kick = net_kick,
    .poll = net_poll,
    .enable_interrupt = net_enable_interrupt,
};

static void net_interrupt(void *arg)
{
    struct pair *pair = arg;
    const struct virtio_queue *transmit = __atomic_load_n(&pair->transmit, __ATOMIC_ACQUIRE);
    if (!transmit)
        return; /* another device's, while this one is set up */
    vring_disable_interrupt(&pair->receive->ring);
    vring_disable_interrupt(&pair->transmit->ring);
    netdev_wake(&pair->net->dev);
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
    const uint64_t pairs = NET_F_CTRL_VQ | NET_F_MQ;
    if ((offered & pairs) == pairs && virtio->nvectors > 2 && arch_firmware()->ncpus > 1)
        wanted |= pairs;
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

static int create_pair(struct virtio_net *net, unsigned index)
{
    struct pair *pair = &net->pair[index];
    struct virtio_queue *transmit;
    pair->net = net;
    int err = virtio_queue_create(net->virtio, (uint16_t)(2 * index), RING_SIZE, net_interrupt,
                                  pair, &pair->receive);
    if (!err)
        err = virtio_queue_create(net->virtio, (uint16_t)(2 * index + 1), RING_SIZE, net_interrupt,
                                  pair, &transmit);
    if (err)
        return err;
    unsigned nslots = transmit->ring.size;
    struct transmit_slot *slots = kcalloc(nslots, sizeof(*slots), ALLOC_ZERO);
    if (!slots)
        return -ENOMEM;
    for (unsigned i = 0; i < nslots; i++)
        slots[i].next = i + 1 < nslots ? &slots[i + 1] : NULL;
    pair->free_slots = slots;
    pair->receive_goal = MIN((unsigned)pair->receive->ring.size, (unsigned)RECEIVE_START);
    __atomic_store_n(&pair->transmit, transmit, __ATOMIC_RELEASE);
    net->npairs++;
    return 0;
}

/* All further pairs that can be of use, with what asking for them takes.  Without any of it there is one. */
static void create_more_pairs(struct virtio_net *net)
{
    if (!virtio_has(net->virtio, NET_F_MQ))
        return;
    unsigned offered = virtio_config_read16(net->virtio, CONFIG_PAIRS_MAX);
    if (offered == 0 || offered > PAIRS_OFFERED_MAX) {
        log_warning("%s: %u pairs of queues are no number; one is used", net->virtio->device.name,
                    offered);
        return;
    }
    unsigned wanted = MIN(MIN(offered, (unsigned)PAIRS_MAX),
                          MIN(arch_firmware()->ncpus, net->virtio->nvectors - 1));
    net->flows = kcalloc(NET_FLOWS, sizeof(*net->flows), ALLOC_ZERO);
    net->request = kzalloc(sizeof(*net->request), ALLOC_WAIT);
    int err = net->flows && net->request ? 0 : -ENOMEM;
    if (!err)
        err = virtio_queue_create(net->virtio, (uint16_t)(2 * offered), CONTROL_RING, net_interrupt,
                                  &net->pair[0], &net->control);
    while (!err && net->npairs < wanted)
        err = create_pair(net, net->npairs);
    if (err)
        log_warning("%s: %u of %u pairs of queues can be used", net->virtio->device.name,
                    net->npairs, wanted);
}

static int create_queues(struct virtio_net *net)
{
    net->virtio->config_changed = net_config_changed;
    net->virtio->config_arg = net;
    net_buffer_pool_init(&net->pool, POOL_KEEP);
    int err = create_pair(net, 0);
    if (err)
        return err;
    net->npolled = net->dev.nqueues = 1;
    create_more_pairs(net);
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
    receive_refill(&net->pair[0]);
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
