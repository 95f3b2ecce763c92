// SPDX-License-Identifier: MIT
/*
 * NETLINK_SOCK_DIAG for UNIX sockets (sock_diag(7)).
 *
 * A request tells which parts of the answer it wants: all sockets in some states, or the one with an inode number
 * and a cookie.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/sock_diag.h"
#include "kernel/mm/heap.h"
#include "net/netlink.h"
#include "net/unix_list.h"

#define PATH_OFFSET offsetof(struct abi_sockaddr_un, sun_path)
#define WAITING_MAX 128 /* connections of a listener that one message tells of */

static unsigned state_of(const struct unix_row *row)
{
    if (row->is_listening)
        return ABI_TCP_LISTEN;
    return row->is_established ? ABI_TCP_ESTABLISHED : ABI_TCP_CLOSE;
}

static void put_queues(struct netlink_writer *writer, const struct unix_row *row)
{
    const struct abi_unix_diag_rqlen lengths = { (uint32_t)row->unread, (uint32_t)row->unsent };

    netlink_attribute(writer, ABI_UNIX_DIAG_RQLEN, &lengths, sizeof(lengths));
}

static void put_memory(struct netlink_writer *writer, const struct unix_row *row)
{
    const uint32_t numbers[ABI_SK_MEMINFO_VARS] = {
        [ABI_SK_MEMINFO_RCVBUF] = row->receive_buffer,
        [ABI_SK_MEMINFO_WMEM_ALLOC] = (uint32_t)row->in_flight,
        [ABI_SK_MEMINFO_SNDBUF] = row->send_buffer,
    };

    netlink_attribute(writer, ABI_UNIX_DIAG_MEMINFO, numbers, sizeof(numbers));
}

static void put_waiting(struct netlink_writer *writer, const struct unix_row *row)
{
    uint32_t peers[WAITING_MAX];
    size_t count = unix_list_waiting(row->id, peers, WAITING_MAX);

    netlink_attribute(writer, ABI_UNIX_DIAG_ICONS, peers, count * sizeof(*peers));
}

static void put_attributes(struct netlink_writer *writer, const struct unix_row *row, uint32_t show)
{
    const struct abi_unix_diag_vfs place = { row->place_inode, row->place_device };
    uint8_t shutdown = (uint8_t)row->shutdown;

    if ((show & ABI_UDIAG_SHOW_NAME) && row->name.len)
        netlink_attribute(writer, ABI_UNIX_DIAG_NAME, row->name.bytes + PATH_OFFSET,
                          row->name.len - PATH_OFFSET);
    if ((show & ABI_UDIAG_SHOW_VFS) && row->place_inode)
        netlink_attribute(writer, ABI_UNIX_DIAG_VFS, &place, sizeof(place));
    if ((show & ABI_UDIAG_SHOW_PEER) && row->has_peer)
        netlink_attribute32(writer, ABI_UNIX_DIAG_PEER, (uint32_t)row->peer_id);
    if ((show & ABI_UDIAG_SHOW_ICONS) && row->is_listening)
        put_waiting(writer, row);
    if (show & ABI_UDIAG_SHOW_RQLEN)
        put_queues(writer, row);
    if (show & ABI_UDIAG_SHOW_MEMINFO)
        put_memory(writer, row);
    netlink_attribute(writer, ABI_UNIX_DIAG_SHUTDOWN, &shutdown, sizeof(shutdown));
    if (show & ABI_UDIAG_SHOW_UID)
        netlink_attribute32(writer, ABI_UNIX_DIAG_UID, row->uid);
}

static void put_row(struct netlink_writer *writer, const struct unix_row *row, uint32_t show)
{
    struct abi_unix_diag_msg *message =
        netlink_begin(writer, ABI_SOCK_DIAG_BY_FAMILY, sizeof(*message));

    message->udiag_family = ABI_AF_UNIX;
    message->udiag_type = (uint8_t)row->type;
    message->udiag_state = (uint8_t)state_of(row);
    message->udiag_ino = (uint32_t)row->id;
    memcpy(message->udiag_cookie, &row->id, sizeof(row->id));
    put_attributes(writer, row, show);
    netlink_end(writer);
}

/* Of a request for a single socket; the cookie may be left open. */
static int check_cookie(const struct abi_unix_diag_req *request, const struct unix_row *row)
{
    const uint32_t *cookie = request->udiag_cookie;
    bool is_open = cookie[0] == UINT32_MAX && cookie[1] == UINT32_MAX;

    return is_open || memcmp(cookie, &row->id, sizeof(row->id)) == 0 ? 0 : -ESTALE;
}

static int answer_rows(struct netlink_writer *writer, const struct abi_unix_diag_req *request,
                       const struct unix_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct unix_row *row = &rows[i];
        if (!row->has_file)
            continue;
        if (writer->is_multi) {
            if (request->udiag_states >> state_of(row) & 1)
                put_row(writer, row, request->udiag_show);
            continue;
        }
        if (request->udiag_ino != (uint32_t)row->id)
            continue;
        int err = check_cookie(request, row);
        if (!err)
            put_row(writer, row, request->udiag_show);
        return err;
    }
    return writer->is_multi ? 0 : -ENOENT;
}

int unix_diag_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *header)
{
    const struct abi_unix_diag_req *request = (const void *)(header + 1);
    struct unix_row *rows;
    size_t count;

    if (header->nlmsg_len < sizeof(*header) + sizeof(*request))
        return -EINVAL;
    if (!writer->is_multi && !request->udiag_ino)
        return -EINVAL;
    int err = unix_list_collect(&rows, &count);
    if (err)
        return err;
    err = answer_rows(writer, request, rows, count);
    kfree(rows);
    return err;
}
