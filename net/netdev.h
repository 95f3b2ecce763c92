// SPDX-License-Identifier: MIT
#pragma once
/*
 * Network devices as lwIP interfaces (drivers see kernel/netdev.h).  All under net_lock.
 */
#include "kernel/netdev.h"
#include "lwip/netif.h"

struct netdev_port;

void netdev_init(void);
/* Polls the devices that asked for it.  True: packets came, and the interrupts of those devices stay off until a poll
 * finds nothing; until one without `again` does: it says that the caller polls once more, whatever this one finds. */
bool netdev_poll(bool again);
/* The next netdev_poll() looks at every device: sent packets are given back only when it does, and
 * TCP does not send a segment again that a device still holds. */
void netdev_poll_soon(void);
/* Delivers the packets that this machine sent to itself. */
void netdev_poll_loopback(void);
/* Tells devices about packets queued since the last call. */
void netdev_kick(void);
bool netdev_needs_kick(void); /* there are such packets */
bool netdev_has_grown(void);  /* there are more of them than at the last call */

/* The device of an interface; NULL for loopback. */
struct netdev *netdev_of(const struct netif *netif);
/* "lo", "eth0". */
const char *netdev_name(const struct netif *netif);
struct netif *netdev_find(const char *name);
/* Whether packets longer than the MTU may be given to it, to be cut into TCP segments. */
bool netdev_can_segment(const struct netif *netif, bool is_v6);
/* Datagrams that will be cut into fragments need their UDP checksum made in software. */
void netdev_force_udp_checksum(struct netif *netif, bool force);

struct pbuf;
/* The memory that a buffer (the first of its chain only) keeps. */
size_t netdev_true_size(const struct pbuf *p);
