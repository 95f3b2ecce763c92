// SPDX-License-Identifier: MIT
#pragma once
/*
 * The functions lwIP calls through the hooks of net/lwip/lwipopts.h.  net_lock is held.
 */
#include <stdbool.h>

#include "lwip/err.h"
#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"
#include "net/tcp_gso.h"
#include "net/tcp_recovery.h"

struct netif;
struct tcp_hdr;
struct tcp_pcb;
struct tcp_pcb_listen;

/* The initial sequence number of a connection (RFC 6528). */
u32_t lwip_port_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                        u16_t remote_port);
/* The connection that a segment (in host byte order) belongs to, active or in TIME-WAIT. */
struct tcp_pcb *lwip_port_find_pcb(const struct tcp_hdr *header, bool in_time_wait);
/* net/tcp_table.c: a connection whose addresses are all set now. */
void tcp_table_insert(struct tcp_pcb *pcb);
/* Whether there is one with these. */
bool tcp_table_has(const struct tcp_pcb *pcb);
/* net/tcp_listen.c: a SYN arrives; whether it is to be ignored. */
bool tcp_listen_is_full(struct tcp_pcb_listen *pcb);
/* The connection that it makes. */
void tcp_listen_half_open(struct tcp_pcb *pcb);
/* Sees every segment that a connection matches; ERR_OK: go on. */
err_t lwip_port_tcp_packet(struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t optlen, u16_t opt1len,
                           const u8_t *opt2, struct pbuf *p);
/* net/raw_socket.c: without any, no packet is shown to them. */
extern unsigned raw_socket_count;
/* net/icmp_error.c: the neighbour that this packet (IP header first) waited for does not answer. */
void icmp_error_unresolved(const struct pbuf *p, const struct netif *netif);
/* See every packet before the IP layer does; 0: go on. */
int lwip_port_ip4_input(struct pbuf *p, struct netif *netif);
int lwip_port_ip6_input(struct pbuf *p, struct netif *netif);
