// SPDX-License-Identifier: MIT
#pragma once
/* The Internet sockets of a protocol, as they are at one moment. */
#include <stddef.h>

#include "lib/compiler.h"
#include "lwip/ip_addr.h"

struct socket_row {
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
    uint8_t state;
    size_t unsent, unread;
    uint32_t uid;
    uint64_t inode;
};

/* A list being collected: count goes on beyond max, so that a larger one can be tried. */
struct socket_list {
    struct socket_row *rows;
    size_t count, max;
    bool is_v6;
};

/* The rows of list->is_v6, in list->rows, which the caller frees.  -ENOENT: no such protocol; -ENOMEM. */
int socket_list_collect(struct socket_list *list, int protocol) __must_check;
