// SPDX-License-Identifier: MIT
#pragma once
/*
 * Network devices, as drivers offer them and net/ uses them.
 *
 * Receive: the driver's interrupt masks its queue and calls netdev_wake(); net's receive thread then calls
 * ops->poll(dev, budget) with net_lock held, which calls netdev_deliver() for each packet; when
 * fewer than budget came, net calls ops->enable_interrupt(), and polls again if that returns
 * true (something arrived in between).
 *
 * Packet buffers are frames-backed blocks with a reference count.  A received buffer belongs to
 * net from netdev_deliver() on; the driver refills its slot from the allocator at once.
 */
#include "lib/compiler.h"
#include "lib/list.h"

struct netdev;

/* Checksum and segmentation state of a packet, as virtio-net's header tells it (virtio 1.2, 5.1.6). */
struct netdev_offload {
    bool checksum_ok;    /* received: the device verified it, or it never left the host */
    bool needs_checksum; /* partial: fold from csum_start, store at csum_start + csum_offset */
    uint16_t csum_start;
    uint16_t csum_offset;
    uint8_t gso_type; /* NETDEV_GSO_*; 0 none */
    uint16_t gso_size;
    uint16_t header_len;
    uint16_t flow;     /* sent by a device of several queues: a number for the connection */
    bool is_by_sender; /* ... and the thread is one that uses it */
};

#define NETDEV_GSO_TCP4 1
#define NETDEV_GSO_TCP6 4

/* One piece of a packet in kernel memory. */
struct netdev_piece {
    void *data;
    size_t len;
};

/* A received buffer: data[0, len) lies in memory that release(buffer) gives back. */
struct netdev_buffer {
    struct netdev_buffer *next; /* further pieces of the same packet */
    void *data;
    size_t len;
    size_t true_size;                              /* memory it keeps */
    void (*release)(struct netdev_buffer *buffer); /* any thread context */
};

struct netdev_ops {
    /* Queues one packet (Ethernet frame); the device reads the pieces until done(cookie) is called,
     * from poll or from a later transmit.  0; -ENOSPC: the ring is full (tx_ready() follows when there
     * is room); -EMSGSIZE.  net_lock is held. */
    int (*transmit)(struct netdev *dev, const struct netdev_piece *piece, unsigned npieces,
                    const struct netdev_offload *offload, void (*done)(void *cookie), void *cookie);
    void (*kick)(struct netdev *dev);                      /* after a batch of transmits */
    unsigned (*poll)(struct netdev *dev, unsigned budget); /* receive and transmit completions */
    bool (*enable_interrupt)(struct netdev *dev);
};

#define NETDEV_TX_CHECKSUM 1u
#define NETDEV_TX_TSO4     2u
#define NETDEV_TX_TSO6     4u

struct netdev {
    struct list node;
    char name[16]; /* "eth0", given by netdev_register */
    uint8_t mac[6];
    uint16_t mtu;
    unsigned features; /* NETDEV_TX_* */
    unsigned nqueues;  /* to transmit to; below 2 nobody is asked for a packet's flow */
    bool is_link_up;
    const struct netdev_ops *ops;
    void *driver; /* the driver's own */
    void *net;    /* net's own */
    uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
};

/* Implemented in net/netif.c; called by drivers. */
int netdev_register(struct netdev *dev) __must_check;
void netdev_wake(struct netdev *dev); /* interrupt level */
void netdev_deliver(struct netdev *dev, struct netdev_buffer *packet,
                    const struct netdev_offload *offload);
void netdev_tx_ready(struct netdev *dev);
