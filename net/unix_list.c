// SPDX-License-Identifier: MIT
/*
 * The UNIX sockets for /proc/net/unix and sock_diag(7).
 *
 * Whoever tells of them may have to wait for memory, so they are first collected under unix_lock.
 */
#include "net/unix_list.h"

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "net/unix_socket.h"

/* How many there may be that came between counting and collecting. */
#define SPARE 64

struct rows {
    struct unix_row *rows;
    size_t count, max; /* count goes on beyond max */
};

static bool has_file(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->base.file, __ATOMIC_RELAXED) && !sock->is_closed;
}

static size_t next_len(const struct unix_socket *sock)
{
    return list_is_empty(&sock->queue) ? 0
                                       : list_first(&sock->queue, struct unix_message, node)->len;
}

static void fill_queues(struct unix_row *row, const struct unix_socket *sock)
{
    row->in_flight = __atomic_load_n(&sock->in_flight, __ATOMIC_RELAXED);
    if (row->is_listening) {
        row->unread = sock->naccept;
        row->unsent = sock->backlog;
        return;
    }
    row->unread = row->type == ABI_SOCK_DGRAM ? next_len(sock)
                                              : __atomic_load_n(&sock->unread, __ATOMIC_RELAXED);
    row->unsent = row->in_flight;
}

static void add(const struct unix_socket *sock, void *arg)
{
    struct rows *rows = arg;

    if (rows->count++ >= rows->max)
        return;
    struct unix_row *row = &rows->rows[rows->count - 1];
    row->id = sock->base.id;
    row->refcount = __atomic_load_n(&sock->base.refcount, __ATOMIC_RELAXED) + 1;
    row->type = sock->base.type;
    row->has_file = has_file(sock);
    row->has_peer = sock->peer;
    row->peer_id = sock->peer && has_file(sock->peer) ? sock->peer->base.id : 0;
    row->is_connected = sock->state == UNIX_CONNECTED || sock->peer;
    row->is_established = sock->is_established;
    row->is_listening = sock->state == UNIX_LISTENING;
    row->shutdown = __atomic_load_n(&sock->base.shutdown, __ATOMIC_RELAXED);
    row->uid = sock->base.owner.uid;
    row->receive_buffer = READ_ONCE(sock->base.receive_buffer);
    row->send_buffer = READ_ONCE(sock->base.send_buffer);
    row->place_inode = sock->place_inode;
    row->place_device = sock->place_device;
    row->name = sock->name;
    fill_queues(row, sock);
}

int unix_list_collect(struct unix_row **found, size_t *count)
{
    struct rows rows = { .max = SPARE };

    for (;; rows.max = rows.count + SPARE) {
        rows.count = 0;
        rows.rows = kcalloc(rows.max, sizeof(*rows.rows), ALLOC_WAIT);
        if (!rows.rows)
            return -ENOMEM;
        unix_socket_for_each(add, &rows);
        if (rows.count <= rows.max)
            break;
        kfree(rows.rows);
    }
    *found = rows.rows;
    *count = rows.count;
    return 0;
}

struct waiting {
    uint64_t listener;
    uint32_t *peers;
    size_t count, max;
};

static void add_waiting(const struct unix_socket *sock, void *arg)
{
    struct waiting *waiting = arg;
    const struct unix_socket *child;

    if (sock->base.id != waiting->listener)
        return;
    list_for_each (child, &sock->accept_queue, accept_node) {
        if (waiting->count == waiting->max)
            return;
        bool is_known = child->peer && has_file(child->peer);
        waiting->peers[waiting->count++] = is_known ? (uint32_t)child->peer->base.id : 0;
    }
}

size_t unix_list_waiting(uint64_t listener, uint32_t *peers, size_t max)
{
    struct waiting waiting = { .listener = listener, .peers = peers, .max = max };

    unix_socket_for_each(add_waiting, &waiting);
    return waiting.count;
}
