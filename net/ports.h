// SPDX-License-Identifier: MIT
#pragma once
/*
 * Who has which TCP and UDP port: the rules of bind(2).  net_lock is held.
 */
#include "net/inet.h"

enum port_protocol { PORTS_TCP, PORTS_UDP, PORTS_COUNT };

static inline enum port_protocol ports_protocol(const struct inet_socket *inet)
{
    return inet->base.type == ABI_SOCK_STREAM ? PORTS_TCP : PORTS_UDP;
}

/* Gives inet the port (0: a free one) at its local address.  -EADDRINUSE; -EACCES: a privileged port. */
int ports_bind(struct inet_socket *inet, uint16_t port) __must_check;
/* A port for a connection: shared with connections to other places. */
int ports_bind_for_connect(struct inet_socket *inet) __must_check;
/* Whether inet, which has its port, may listen on it: nobody else may. */
int ports_check_listen(struct inet_socket *inet) __must_check;
void ports_release(struct inet_socket *inet);
/* The n-th (modulo their number) unconnected socket that shares inet's port by SO_REUSEPORT. */
struct inet_socket *ports_share(struct inet_socket *inet, uint32_t n);
