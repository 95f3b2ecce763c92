// SPDX-License-Identifier: MIT
#pragma once
/*
 * What TCP, UDP and raw sockets have in common: addresses, and the options of the IP level.
 *
 * [n] net_lock  [w] written by setsockopt as one word
 */
#include "lwip/err.h"
#include "lwip/ip_addr.h"
#include "net/socket.h"

struct inet_socket {
    struct socket base;
    ip_addr_t local;        /* [n] any: not bound to an address */
    ip_addr_t remote;       /* [n] valid while is_connected */
    uint16_t local_port;    /* [n] 0: not bound */
    uint16_t remote_port;   /* [n] */
    bool is_connected;      /* [n] has a peer */
    bool has_bound_port;    /* [n] bind(2) chose the port: it stays after a disconnect */
    bool has_bound_address; /* [n] and so with the address */
    struct list port_node;  /* [n] net/ports.c; itself when not listed */
    uint8_t netif_index;    /* [n] SO_BINDTODEVICE; 0: any */

    bool v6only;                /* [w] */
    bool freebind;              /* [w] */
    bool bind_without_port;     /* [w] stored */
    bool want_pktinfo;          /* [w] IP_PKTINFO, IPV6_RECVPKTINFO */
    bool want_ttl;              /* [w] */
    bool want_tos;              /* [w] */
    bool want_error;            /* [w] IP_RECVERR: stored; errors come by SO_ERROR */
    bool want_destination;      /* [w] IP_RECVORIGDSTADDR */
    bool header_included;       /* [w] raw: IP_HDRINCL */
    int ttl;                    /* [w] -1: the default */
    int tos;                    /* [w] */
    int mtu_discover;           /* [w] stored */
    int multicast_ttl;          /* [w] */
    bool multicast_loop;        /* [w] */
    bool multicast_all;         /* [w] */
    int multicast_index;        /* [w] interface; 0: by routing */
    uint32_t multicast_address; /* as IP_MULTICAST_IF gave it */
    struct list memberships;    /* [n] groups that were joined */
};

static inline struct inet_socket *inet_of(struct socket *sock)
{
    return container_of(sock, struct inet_socket, base);
}

void inet_setup(struct inet_socket *inet, const struct socket_ops *ops, int family, int type,
                int protocol);
/* Under net_lock, from close(): leaves groups, the port, and the list of wake-ups. */
void inet_close(struct inet_socket *inet);

/* bind(2): checks the address and takes the port.  net_lock is not held. */
int inet_bind(struct inet_socket *inet, const struct socket_address *address) __must_check;
/* The destination of connect and send; unspecified addresses become loopback. */
int inet_destination(const struct inet_socket *inet, const struct socket_address *address,
                     ip_addr_t *ip, uint16_t *port) __must_check;
int inet_name(struct socket *sock, bool is_peer, struct socket_address *address);
/* The address of the socket as a listener or receiver has to be known to lwIP. */
void inet_receive_address(const struct inet_socket *inet, ip_addr_t *ip);
/* The interface a packet to ip leaves by; NULL: no route.  net_lock is held. */
struct netif *inet_route(const struct inet_socket *inet, const ip_addr_t *ip);
/* Linux's error for lwIP's. */
int inet_error(err_t err);
/* The hop limit and type of service of packets. */
uint8_t inet_ttl(const struct inet_socket *inet);

/* Levels SOL_IP and SOL_IPV6, and SO_BINDTODEVICE (net/inet_option.c). */
int inet_set_option(struct socket *sock, int level, int name, const void *value, unsigned len);
int inet_get_option(struct socket *sock, int level, int name, void *value, unsigned *len);
void inet_leave_groups(struct inet_socket *inet);
