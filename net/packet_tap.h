// SPDX-License-Identifier: MIT
#pragma once
/*
 * Where packet sockets see the frames of all interfaces.  net_lock is held.
 */
#include <stdbool.h>

struct netif;
struct pbuf;

extern unsigned packet_tap_users; /* [n] open packet sockets */

/* p begins with an Ethernet header, or on loopback with the IP header. */
void packet_tap_deliver(struct netif *netif, const struct pbuf *p, bool is_outgoing);

static inline void packet_tap(struct netif *netif, const struct pbuf *p, bool is_outgoing)
{
    if (packet_tap_users)
        packet_tap_deliver(netif, p, is_outgoing);
}
