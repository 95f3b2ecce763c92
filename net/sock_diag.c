// SPDX-License-Identifier: MIT
/*
 * NETLINK_SOCK_DIAG (sock_diag(7)): Internet sockets, as ss asks for them; UNIX sockets are in net/unix_diag.c.
 *
 * A request names the family, the protocol and, as bits, the states; a dump tells of all such sockets, another
 * request of the one with these addresses.  The program of ports and addresses that may follow (INET_DIAG_REQ_BYTECODE)
 * is not run: who sends one looks at what it gets all the same.  A protocol that does not fit its byte comes as an
 * attribute.  For the other families there is no handler, as in a Linux without their modules: ss then reads
 * /proc/net.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/sock_diag.h"
#include "kernel/mm/heap.h"
#include "net/address.h"
#include "net/netlink.h"
#include "net/socket_list.h"

static uint16_t swapped(uint16_t port)
{
    return (uint16_t)(port << 8 | port >> 8);
}

static void put_address(const ip_addr_t *ip, bool is_v6, uint32_t out[4])
{
    if (is_v6)
        address_get_ip6(ip, out);
    else
        out[0] = address_get_ip4(ip);
}

static void row_to_id(const struct socket_row *row, bool is_v6, struct abi_inet_diag_sockid *id)
{
    *id = (struct abi_inet_diag_sockid){ 0 };
    id->idiag_sport = swapped(row->local_port);
    id->idiag_dport = swapped(row->remote_port);
    put_address(&row->local, is_v6, id->idiag_src);
    put_address(&row->remote, is_v6, id->idiag_dst);
    memcpy(id->idiag_cookie, &row->inode, sizeof(row->inode));
}

static void put_row(struct netlink_writer *writer, const struct abi_inet_diag_req_v2 *request,
                    const struct socket_row *row)
{
    struct abi_inet_diag_msg *message =
        netlink_begin(writer, ABI_SOCK_DIAG_BY_FAMILY, sizeof(*message));
    uint8_t shutdown = 0;

    message->idiag_family = request->sdiag_family;
    message->idiag_state = row->state;
    row_to_id(row, request->sdiag_family == ABI_AF_INET6, &message->id);
    message->idiag_rqueue = (uint32_t)row->unread;
    message->idiag_wqueue = (uint32_t)row->unsent;
    message->idiag_uid = row->uid;
    message->idiag_inode = (uint32_t)row->inode;
    netlink_attribute(writer, ABI_INET_DIAG_SHUTDOWN, &shutdown, sizeof(shutdown));
    netlink_end(writer);
}

/* The cookie may be left open. */
static bool is_it(const struct abi_inet_diag_sockid *wanted, const struct abi_inet_diag_sockid *id)
{
    const size_t len = offsetof(struct abi_inet_diag_sockid, idiag_if);
    bool is_open = wanted->idiag_cookie[0] == UINT32_MAX && wanted->idiag_cookie[1] == UINT32_MAX;

    return memcmp(wanted, id, len) == 0 &&
           (is_open || memcmp(wanted->idiag_cookie, id->idiag_cookie, 8) == 0);
}

static int answer_rows(struct netlink_writer *writer, const struct abi_inet_diag_req_v2 *request,
                       const struct socket_list *list)
{
    bool is_v6 = request->sdiag_family == ABI_AF_INET6;
    struct abi_inet_diag_sockid id;

    for (size_t i = 0; i < list->count; i++) {
        const struct socket_row *row = &list->rows[i];
        if (writer->is_multi) {
            if (request->idiag_states >> row->state & 1)
                put_row(writer, request, row);
            continue;
        }
        row_to_id(row, is_v6, &id);
        if (is_it(&request->id, &id)) {
            put_row(writer, request, row);
            return 0;
        }
    }
    return writer->is_multi ? 0 : -ENOENT;
}

/* The protocol asked for: of the attributes behind the request, or its own. */
static int read_protocol(const struct abi_nlmsghdr *header, int *protocol)
{
    const struct abi_inet_diag_req_v2 *request = (const void *)(header + 1);
    const uint8_t *attributes = (const void *)(request + 1);
    size_t left = header->nlmsg_len - sizeof(*header) - sizeof(*request);
    struct abi_rtattr attribute;

    *protocol = request->sdiag_protocol;
    while (left >= sizeof(attribute)) {
        memcpy(&attribute, attributes, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > left)
            return 0;
        if (attribute.rta_type == ABI_INET_DIAG_REQ_PROTOCOL) {
            if (attribute.rta_len != sizeof(attribute) + sizeof(uint32_t))
                return -EINVAL;
            memcpy(protocol, attributes + sizeof(attribute), sizeof(uint32_t));
        }
        size_t step = MIN(ABI_NLMSG_ALIGN(attribute.rta_len), left);
        attributes += step;
        left -= step;
    }
    return 0;
}

static int inet_diag_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *header)
{
    const struct abi_inet_diag_req_v2 *request = (const void *)(header + 1);
    struct socket_list list = { .is_v6 = request->sdiag_family == ABI_AF_INET6 };
    int protocol;

    if (header->nlmsg_len < sizeof(*header) + sizeof(*request))
        return -EINVAL;
    int err = read_protocol(header, &protocol);
    if (!err)
        err = socket_list_collect(&list, protocol);
    if (!err)
        err = answer_rows(writer, request, &list);
    kfree(list.rows);
    return err;
}

int sock_diag_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *header)
{
    const struct abi_inet_diag_req_v2 *request = (const void *)(header + 1);

    if (header->nlmsg_type == ABI_DCCPDIAG_GETSOCK)
        return -ENOENT; /* how ss asks when the family is not known */
    if (header->nlmsg_type != ABI_SOCK_DIAG_BY_FAMILY)
        return -EINVAL;
    if (header->nlmsg_len < sizeof(*header) + sizeof(uint16_t))
        return -EINVAL;
    switch (request->sdiag_family) {
    case ABI_AF_INET:
    case ABI_AF_INET6:
        return inet_diag_answer(writer, header);
    case ABI_AF_UNIX:
        return unix_diag_answer(writer, header);
    default:
        return request->sdiag_family < ABI_AF_MAX ? -ENOENT : -EINVAL;
    }
}
