// SPDX-License-Identifier: MIT
#pragma once
/* The Internet sockets of a protocol, as they are at one moment. */
#include <stddef.h>

#include "lib/compiler.h"
#include "lwip/ip_addr.h"

struct socket;

struct socket_row {
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
    uint8_t state;
    size_t unsent, unread;
    uint32_t uid;
    uint64_t inode;
    unsigned refs, type; /* of packet and netlink sockets */
    uint32_t netlink_port, groups;
};

/* A list being collected: count goes on beyond max, so that a larger one can be tried. */
struct socket_list {
    struct socket_row *rows;
    size_t count, max;
    bool is_v6;
};

/* A row for a socket with this address, to be filled in; NULL: it is of the other family.  net_lock is held. */
struct socket_row *socket_list_next(struct socket_list *list, const ip_addr_t *local,
                                    const struct socket *owner);
/* How many they are; the protocol is one that can be collected. */
unsigned socket_list_count(int protocol, bool is_v6);
/* The rows of list->is_v6, in list->rows, which the caller frees.  -ENOENT: no such protocol; -ENOMEM. */
int socket_list_collect(struct socket_list *list, int protocol) __must_check;
/* The same of what walk() finds, under net_lock. */
int socket_list_gather(struct socket_list *list,
                       void (*walk)(struct socket_list *list)) __must_check;
/* raw_socket.c, packet_socket.c, netlink.c: their parts of that. */
void socket_list_raw(struct socket_list *list);
void socket_list_packet(struct socket_list *list);
void socket_list_netlink(struct socket_list *list);
