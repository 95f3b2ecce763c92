// SPDX-License-Identifier: MIT
#pragma once
/*
 * Filters of arrivals (SO_ATTACH_FILTER): a program of classic BPF says how much of a packet a socket keeps.  Packet
 * sockets, UDP and raw sockets have them; what is not asked for by others is refused.
 */
#include <stddef.h>

#include "net/socket.h"

struct pbuf;

int socket_filter_attach(struct socket *sock, const void *value, unsigned len) __must_check;
int socket_filter_detach(struct socket *sock) __must_check;
int socket_filter_lock(struct socket *sock, int is_locked) __must_check;
void socket_filter_free(struct socket *sock);
/* How many bytes of a packet the socket keeps, 0: it is dropped.  net_lock is held. */
size_t socket_filter_run(const struct socket *sock, const uint8_t *packet, size_t size);
/* The same for a chain, of which the filter sees header bytes more in front; cuts it.  False: it is dropped. */
bool socket_filter_cut(const struct socket *sock, struct pbuf *p, size_t header) __must_check;
