// SPDX-License-Identifier: MIT
#pragma once
/*
 * The connections of sockets by their addresses: lwIP would walk a list for every segment.  Connections
 * without a socket (in the handshake, or closed by the program) are still found by that walk.
 * net_lock is held.
 */
#include "net/tcp_socket.h"

/* tcp has a PCB with all four addresses set. */
void tcp_table_insert(struct tcp_socket *tcp);
void tcp_table_remove(struct tcp_socket *tcp); /* harmless if it is not there */
/* NULL: not the connection of a socket. */
struct tcp_pcb *tcp_table_find(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                               uint16_t remote_port);
