// SPDX-License-Identifier: MIT
/*
 * UNIX sockets: making, shutting, closing, readiness.
 */
#include "net/unix_socket.h"

#include "abi/errno.h"
#include "abi/netdevice.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"
#include "net/message.h"

struct spinlock unix_lock = SPINLOCK_INIT(RANK_UNIX);

static struct list all_sockets = LIST_INIT(all_sockets); /* [u] by all_node */

static const struct socket_ops *ops_of(int type)
{
    switch (type) {
    case ABI_SOCK_STREAM:
        return &unix_stream_ops;
    case ABI_SOCK_SEQPACKET:
        return &unix_seqpacket_ops;
    default:
        return &unix_dgram_ops;
    }
}

struct unix_socket *unix_socket_alloc(int type)
{
    struct unix_socket *sock = kzalloc(sizeof(*sock), ALLOC_WAIT);

    if (!sock)
        return NULL;
    socket_setup(&sock->base, ops_of(type), ABI_AF_UNIX, type, 0);
    list_init(&sock->name_node);
    list_init(&sock->queue);
    list_init(&sock->starved);
    list_init(&sock->starved_node);
    list_init(&sock->accept_queue);
    list_init(&sock->accept_node);
    wait_queue_init(&sock->connectors);
    list_init(&sock->flight_node);
    list_init(&sock->found_node);
    spin_lock(&unix_lock);
    list_push_back(&all_sockets, &sock->all_node);
    spin_unlock(&unix_lock);
    return sock;
}

void unix_socket_for_each(void (*visit)(const struct unix_socket *sock, void *arg), void *arg)
{
    const struct unix_socket *sock;

    spin_lock(&unix_lock);
    list_for_each (sock, &all_sockets, all_node)
        visit(sock, arg);
    spin_unlock(&unix_lock);
}

int unix_socket_create(int family, int type, int protocol, struct socket **out)
{
    if (protocol != 0 && protocol != ABI_AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == ABI_SOCK_RAW)
        type = ABI_SOCK_DGRAM; /* as Linux: a historical alias */
    if (type != ABI_SOCK_STREAM && type != ABI_SOCK_DGRAM && type != ABI_SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct unix_socket *sock = unix_socket_alloc(type);
    if (!sock)
        return -ENOMEM;
    *out = &sock->base;
    return 0;
}

void unix_socket_join(struct unix_socket *a, struct unix_socket *b)
{
    assert_held(&unix_lock);
    a->peer = unix_of(socket_get(&b->base));
    b->peer = unix_of(socket_get(&a->base));
    a->is_established = b->is_established = true;
    __atomic_store_n(&a->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
    __atomic_store_n(&b->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
}

int unix_socket_pair(int type, struct socket *pair[2])
{
    int err = unix_socket_create(ABI_AF_UNIX, type, 0, &pair[0]);
    if (err)
        return err;
    err = unix_socket_create(ABI_AF_UNIX, type, 0, &pair[1]);
    if (err) {
        socket_put(pair[0]);
        return err;
    }
    pair[0]->peer = pair[1]->peer = message_own_credentials();
    spin_lock(&unix_lock);
    unix_socket_join(unix_of(pair[0]), unix_of(pair[1]));
    spin_unlock(&unix_lock);
    return 0;
}

/* ---- shutdown(2) ----------------------------------------------------------------------- */

static const unsigned shutdown_events =
    ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP | ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLHUP;

static int unix_socket_shutdown(struct socket *base, unsigned how)
{
    struct unix_socket *sock = unix_of(base);
    struct unix_socket *peer = NULL;
    unsigned peer_how =
        (how & SHUTDOWN_READ ? SHUTDOWN_WRITE : 0) | (how & SHUTDOWN_WRITE ? SHUTDOWN_READ : 0);

    spin_lock(&unix_lock);
    __atomic_or_fetch(&base->shutdown, how, __ATOMIC_ACQ_REL);
    if (base->type != ABI_SOCK_DGRAM && sock->peer) {
        peer = unix_of(socket_get(&sock->peer->base));
        __atomic_or_fetch(&peer->base.shutdown, peer_how, __ATOMIC_ACQ_REL);
    }
    spin_unlock(&unix_lock);
    socket_wake(base, shutdown_events | POLL_QUIET);
    if (peer) {
        bool is_over = socket_is_shut(&peer->base, SHUTDOWN_BOTH);
        socket_wake(&peer->base, shutdown_events & ~(is_over ? 0 : ABI_POLLHUP));
        socket_put(&peer->base);
    }
    wake_all(&sock->connectors);
    return 0;
}

/* ---- close(2) ---------------------------------------------------------------------------- */

static void unix_socket_close(struct socket *base);

/* Connections that nobody accepted. */
static void close_queue(struct unix_socket *sock)
{
    for (;;) {
        struct unix_socket *child = NULL;
        spin_lock(&unix_lock);
        if (!list_is_empty(&sock->accept_queue)) {
            child = list_first(&sock->accept_queue, struct unix_socket, accept_node);
            list_remove(&child->accept_node);
            child->unread++; /* its peer is told ECONNRESET */
        }
        spin_unlock(&unix_lock);
        if (!child)
            return;
        unix_socket_close(&child->base);
        socket_put(&child->base);
    }
}

/* The other end of a connection learns that this one is gone. */
static void leave_peer(struct unix_socket *sock)
{
    struct unix_socket *starved;
    struct unix_socket *following;
    bool is_stream = sock->base.type != ABI_SOCK_DGRAM;

    spin_lock(&unix_lock);
    struct unix_socket *peer = sock->peer;
    bool was_unread = sock->unread > 0;
    sock->peer = NULL;
    __atomic_store_n(&sock->is_closed, true, __ATOMIC_RELEASE);
    __atomic_store_n(&sock->state, UNIX_IDLE, __ATOMIC_RELEASE);
    __atomic_store_n(&sock->base.shutdown, SHUTDOWN_BOTH, __ATOMIC_RELEASE);
    list_remove(&sock->starved_node);
    list_for_each_safe (starved, following, &sock->starved, starved_node) {
        list_remove(&starved->starved_node);
        socket_wake(&starved->base, ABI_POLLOUT);
    }
    if (peer && is_stream && peer->peer == sock) {
        __atomic_store_n(&peer->base.shutdown, SHUTDOWN_BOTH, __ATOMIC_RELEASE);
        if (was_unread)
            __atomic_store_n(&peer->base.error, ECONNRESET, __ATOMIC_RELEASE);
    }
    spin_unlock(&unix_lock);
    if (!peer)
        return;
    if (is_stream)
        socket_wake(&peer->base, shutdown_events | (was_unread ? ABI_POLLERR : 0));
    socket_put(&peer->base);
}

static void unix_socket_close(struct socket *base)
{
    struct unix_socket *sock = unix_of(base);

    unix_name_release(sock);
    leave_peer(sock);
    close_queue(sock);
    wake_all(&sock->connectors);
    unix_queue_clear(sock);
    unix_flight_collect();
}

static void unix_socket_destroy(struct socket *base)
{
    struct unix_socket *sock = unix_of(base);

    /* One that was never closed, because it never had a file: it has no peer either. */
    spin_lock(&unix_lock);
    list_remove(&sock->all_node);
    spin_unlock(&unix_lock);
    socket_teardown(base);
    kfree(sock);
}

/* ---- Readiness ------------------------------------------------------------------------------ */

bool unix_socket_is_writable(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->in_flight, __ATOMIC_SEQ_CST) * 4 <=
           READ_ONCE(sock->base.send_buffer);
}

static bool is_peer_full(struct unix_socket *sock)
{
    bool is_full;

    if (sock->base.type != ABI_SOCK_DGRAM)
        return false;
    spin_lock(&unix_lock);
    is_full = sock->peer && sock->peer != sock && unix_dgram_is_full(sock->peer);
    if (is_full) {
        list_remove(&sock->starved_node);
        list_push_back(&sock->peer->starved, &sock->starved_node);
    }
    spin_unlock(&unix_lock);
    return is_full;
}

static unsigned unix_socket_poll(struct socket *base)
{
    struct unix_socket *sock = unix_of(base);
    enum unix_state state = unix_state(sock);
    unsigned events = 0;

    if (__atomic_load_n(&base->error, __ATOMIC_ACQUIRE))
        events |= ABI_POLLERR;
    if (socket_is_shut(base, SHUTDOWN_BOTH))
        events |= ABI_POLLHUP;
    if (socket_is_shut(base, SHUTDOWN_READ))
        events |= ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP;
    if (__atomic_load_n(&sock->nmessages, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&sock->naccept, __ATOMIC_ACQUIRE))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (unix_urgent_is_there(sock))
        events |= ABI_POLLPRI;
    if (base->type != ABI_SOCK_DGRAM && state == UNIX_IDLE)
        events |= ABI_POLLHUP;
    if (state == UNIX_LISTENING)
        return events;
    if (unix_socket_is_writable(sock) && !is_peer_full(sock))
        events |= ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLWRBAND;
    else
        __atomic_store_n(&base->wants_room, true, __ATOMIC_SEQ_CST);
    return events;
}

static size_t next_len(struct unix_socket *sock)
{
    mutex_lock(&sock->base.read_lock);
    const struct unix_message *message = unix_queue_next(sock, NULL);
    size_t len = message ? message->len : 0;
    mutex_unlock(&sock->base.read_lock);
    return len;
}

static long unix_socket_ioctl(struct socket *base, unsigned command, unsigned long arg)
{
    struct unix_socket *sock = unix_of(base);
    int value;

    switch (command) {
    case ABI_TIOCOUTQ:
        value = (int)__atomic_load_n(&sock->in_flight, __ATOMIC_RELAXED);
        break;
    case ABI_FIONREAD:
        if (unix_state(sock) == UNIX_LISTENING)
            return -EINVAL;
        value =
            (int)(base->type == ABI_SOCK_DGRAM ? next_len(sock)
                                               : __atomic_load_n(&sock->unread, __ATOMIC_RELAXED));
        break;
    case ABI_SIOCATMARK:
        if (base->type != ABI_SOCK_STREAM)
            return -EOPNOTSUPP;
        value = unix_urgent_is_at_mark(sock);
        break;
    default:
        return -ENOTTY;
    }
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

const struct socket_ops unix_stream_ops = {
    .bind = unix_name_bind,
    .connect = unix_stream_connect,
    .listen = unix_stream_listen,
    .accept = unix_stream_accept,
    .name = unix_name_get,
    .send = unix_stream_send,
    .receive = unix_stream_receive,
    .shutdown = unix_socket_shutdown,
    .poll = unix_socket_poll,
    .ioctl = unix_socket_ioctl,
    .close = unix_socket_close,
    .destroy = unix_socket_destroy,
};

const struct socket_ops unix_seqpacket_ops = {
    .bind = unix_name_bind,
    .connect = unix_stream_connect,
    .listen = unix_stream_listen,
    .accept = unix_stream_accept,
    .name = unix_name_get,
    .send = unix_seqpacket_send,
    .receive = unix_seqpacket_receive,
    .shutdown = unix_socket_shutdown,
    .poll = unix_socket_poll,
    .ioctl = unix_socket_ioctl,
    .close = unix_socket_close,
    .destroy = unix_socket_destroy,
};

const struct socket_ops unix_dgram_ops = {
    .bind = unix_name_bind,
    .connect = unix_dgram_connect,
    .name = unix_name_get,
    .send = unix_dgram_send,
    .receive = unix_dgram_receive,
    .shutdown = unix_socket_shutdown,
    .poll = unix_socket_poll,
    .ioctl = unix_socket_ioctl,
    .close = unix_socket_close,
    .destroy = unix_socket_destroy,
};
