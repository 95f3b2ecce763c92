// SPDX-License-Identifier: MIT
#pragma once
/*
 * Netlink sockets: requests are answered at once, into the socket's own queue.
 */
#include "abi/netlink.h"
#include "net/socket.h"

#define NETLINK_DATAGRAM_MAX 3584 /* glibc reads with a buffer of one page */

struct netlink_socket;

/* An answer being written: messages are collected into datagrams. */
struct netlink_writer {
    struct netlink_socket *sock;
    uint32_t seq;
    bool is_multi; /* a dump: NLM_F_MULTI, NLMSG_DONE at the end */
    bool failed;   /* no memory */
    size_t len;    /* of what is in buf */
    size_t begin;  /* where the current message begins */
    uint8_t buf[NETLINK_DATAGRAM_MAX];
};

/* A new message; its header of size bytes, zeroed, to be filled in.  At most 1 KiB with its attributes. */
void *netlink_begin(struct netlink_writer *writer, uint16_t type, size_t size);
void netlink_attribute(struct netlink_writer *writer, uint16_t type, const void *data, size_t len);
void netlink_attribute32(struct netlink_writer *writer, uint16_t type, uint32_t value);
void netlink_end(struct netlink_writer *writer);

/* net/rtnetlink.c: answers one request of NETLINK_ROUTE; 0 or -errno, which the caller reports. */
int rtnetlink_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *request);
/* net/sock_diag.c: the same for NETLINK_SOCK_DIAG. */
int sock_diag_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *header);
/* net/unix_diag.c: what it says of UNIX sockets. */
int unix_diag_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *header);
