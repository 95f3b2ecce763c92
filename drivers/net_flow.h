// SPDX-License-Identifier: MIT
#pragma once
/*
 * Which of a card's transmit queues a connection's packets go to.
 *
 * They follow the thread that sends, since what comes back will come where they went.  But two queues keep no order
 * between them, so packets go to another one only when the device is done with all that the connection has in the last
 * one.  Connections that share an entry of the table move together.
 *
 * Locking: the caller's.
 */
#include "drivers/vring.h"

#define NET_FLOWS 256 /* entries, by netdev_offload's flow */

struct net_flow {
    uint16_t mark; /* the queue's avail index after the last packet */
    uint8_t queue;
};

/* ring: of flow->queue.  The device uses packets in order; one that does not gets what it deserves. */
static inline bool net_flow_may_move(const struct net_flow *flow, const struct vring *ring)
{
    return vring_is_used_up_to(ring, flow->mark);
}

static inline void net_flow_sent(struct net_flow *flow, const struct vring *ring)
{
    flow->mark = ring->avail_index;
}
