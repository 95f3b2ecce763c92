// SPDX-License-Identifier: MIT
#pragma once
/* The UNIX sockets, as they are at one moment. */
#include "net/socket.h"

struct unix_row {
    uint64_t id;
    uint64_t peer_id; /* 0: no peer, or one without a file */
    unsigned refcount;
    int type;
    bool has_file, has_peer, is_connected, is_established, is_listening;
    unsigned shutdown;
    uint32_t uid;
    size_t unread; /* a listener's connections that wait; a datagram socket's next message */
    size_t unsent; /* a listener's backlog */
    size_t in_flight;
    unsigned receive_buffer, send_buffer;
    uint32_t place_inode, place_device;
    struct socket_address name;
};

/* All of them in *found, which the caller frees; -ENOMEM. */
int unix_list_collect(struct unix_row **found, size_t *count) __must_check;
/* The peers of the first max connections that wait at the listener: 0 for one without a file.  Returns how many. */
size_t unix_list_waiting(uint64_t listener, uint32_t *peers, size_t max);
