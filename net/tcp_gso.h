// SPDX-License-Identifier: MIT
#pragma once
/*
 * TCP segments larger than the MSS, which the device cuts.  net_lock is held.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lwip/pbuf.h"

struct netif;
struct tcp_pcb;
struct tcp_seg;

/* Of the pbufs' flags, one that lwIP leaves free: this packet is longer than the MTU, and not made into fragments. */
#define TCP_GSO_FLAG 0x40u
/* The most bytes in a segment that is a copy: with all headers it fits into four pages. */
#define TCP_GSO_MAX  16256u

/* The same of one that refers to pages: a packet has at most 65,535 bytes with all headers. */
#define TCP_GSO_PAGES_MAX 65400u

/* Whether the device that leads to the peer cuts segments. */
bool tcp_gso_is_possible(const struct tcp_pcb *pcb);
/* lwIP asks before it sends seg, the first unsent: makes it as long as the window and the device allow. */
void tcp_gso_fit(struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t window, struct netif *netif);
/* The header in front of a segment's data, which pbuf_alloc() left room for. */
void tcp_gso_set_header(const struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t seqno,
                        uint8_t flags);
