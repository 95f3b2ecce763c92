// SPDX-License-Identifier: MIT
/*
 * Connections of UNIX sockets (stream and seqpacket), and the byte stream.
 */
#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "net/message.h"
#include "net/unix_socket.h"

#define CHUNK_MAX 32768u /* bytes of a stream in one message */

/* ---- listen(2) ----------------------------------------------------------------------- */

int unix_stream_listen(struct socket *base, int backlog)
{
    struct unix_socket *sock = unix_of(base);
    int err = 0;

    spin_lock(&unix_lock);
    if (!sock->name.len || sock->state == UNIX_CONNECTED) {
        err = -EINVAL;
    } else {
        sock->backlog = MIN((unsigned)backlog, ABI_SOMAXCONN);
        base->peer = base->owner; /* whom those that connect will see */
        __atomic_store_n(&base->is_listening, true, __ATOMIC_RELEASE);
        __atomic_store_n(&sock->state, UNIX_LISTENING, __ATOMIC_RELEASE);
    }
    spin_unlock(&unix_lock);
    if (!err)
        wake_all(&sock->connectors);
    return err;
}

/* ---- connect(2) ------------------------------------------------------------------------- */

static bool has_room(const struct unix_socket *listener)
{
    return __atomic_load_n(&listener->naccept, __ATOMIC_ACQUIRE) <= READ_ONCE(listener->backlog);
}

/* Tries to join sock to child, the other end that accept(2) will find at listener. */
static int join_listener(struct unix_socket *sock, struct unix_socket *listener,
                         struct unix_socket *child)
{
    if (sock->state == UNIX_CONNECTED)
        return -EISCONN;
    if (sock->state == UNIX_LISTENING)
        return -EINVAL;
    if (listener->state != UNIX_LISTENING || socket_is_shut(&listener->base, SHUTDOWN_READ))
        return -ECONNREFUSED;
    if (!has_room(listener))
        return -EAGAIN;
    child->name = listener->name;
    child->place_inode = listener->place_inode;
    child->place_device = listener->place_device;
    child->base.peer = message_own_credentials();
    sock->base.peer = listener->base.peer;
    unix_socket_join(sock, child);
    list_push_back(&listener->accept_queue, &child->accept_node);
    __atomic_store_n(&listener->naccept, listener->naccept + 1, __ATOMIC_RELEASE);
    return 0;
}

static int connect_to(struct unix_socket *sock, struct unix_socket *listener,
                      struct unix_socket *child, bool nonblock)
{
    nsec_t deadline = socket_deadline(sock->base.send_timeout);

    for (;;) {
        spin_lock(&unix_lock);
        int err = join_listener(sock, listener, child);
        spin_unlock(&unix_lock);
        if (err != -EAGAIN || nonblock)
            return err;
        err = wait_on(&listener->connectors,
                      has_room(listener) || unix_state(listener) != UNIX_LISTENING, deadline);
        if (err)
            return socket_wait_error(err, sock->base.send_timeout);
    }
}

int unix_stream_connect(struct socket *base, const struct socket_address *address, bool nonblock)
{
    struct unix_socket *sock = unix_of(base);
    struct unix_socket *listener;

    int err = unix_name_find(address, &listener);
    if (err)
        return err;
    if (listener->base.type != base->type) {
        socket_put(&listener->base);
        return -EPROTOTYPE;
    }
    struct unix_socket *child = unix_socket_alloc(base->type);
    if (!child) {
        socket_put(&listener->base);
        return -ENOMEM;
    }
    if (base->pass_credentials && !sock->name.len)
        err = unix_name_autobind(sock);
    if (!err)
        err = connect_to(sock, listener, child, nonblock);
    if (err) {
        socket_put(&child->base);
    } else {
        socket_wake(&listener->base, ABI_POLLIN | ABI_POLLRDNORM);
        socket_wake(base, ABI_POLLOUT | ABI_POLLWRNORM);
    }
    socket_put(&listener->base);
    return err;
}

/* ---- accept(2) ----------------------------------------------------------------------------- */

static struct unix_socket *take_connection(struct unix_socket *sock, struct socket_address *peer)
{
    struct unix_socket *child = NULL;

    spin_lock(&unix_lock);
    if (!list_is_empty(&sock->accept_queue)) {
        child = list_first(&sock->accept_queue, struct unix_socket, accept_node);
        list_remove(&child->accept_node);
        __atomic_store_n(&sock->naccept, sock->naccept - 1, __ATOMIC_RELEASE);
        if (child->peer && child->peer->name.len) {
            *peer = child->peer->name;
        } else {
            peer->family = ABI_AF_UNIX;
            peer->len = sizeof(peer->family);
        }
    }
    spin_unlock(&unix_lock);
    if (child)
        wake_all(&sock->connectors);
    return child;
}

int unix_stream_accept(struct socket *base, bool nonblock, struct socket **out,
                       struct socket_address *peer)
{
    struct unix_socket *sock = unix_of(base);
    nsec_t deadline = socket_deadline(base->receive_timeout);

    for (;;) {
        if (unix_state(sock) != UNIX_LISTENING || socket_is_shut(base, SHUTDOWN_READ))
            return -EINVAL;
        struct unix_socket *child = take_connection(sock, peer);
        if (child) {
            child->base.pass_credentials = base->pass_credentials;
            *out = &child->base;
            return 0;
        }
        if (nonblock)
            return -EAGAIN;
        int err = wait_on(&base->readers,
                          __atomic_load_n(&sock->naccept, __ATOMIC_ACQUIRE) ||
                              socket_is_shut(base, SHUTDOWN_READ),
                          deadline);
        if (err)
            return socket_wait_error(err, base->receive_timeout);
    }
}

/* ---- send(2) -------------------------------------------------------------------------------- */

static bool has_send_room(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->in_flight, __ATOMIC_SEQ_CST) < READ_ONCE(sock->base.send_buffer);
}

static bool may_send(const struct unix_socket *sock)
{
    return has_send_room(sock) || socket_is_shut(&sock->base, SHUTDOWN_WRITE) ||
           __atomic_load_n(&sock->base.error, __ATOMIC_ACQUIRE);
}

static int wait_for_room(struct unix_socket *sock, bool nonblock, nsec_t deadline)
{
    struct socket *base = &sock->base;

    if (has_send_room(sock))
        return 0;
    __atomic_store_n(&base->wants_room, true, __ATOMIC_SEQ_CST);
    if (nonblock)
        return -EAGAIN;
    int err = wait_on(&base->writers, may_send(sock), deadline);
    return err ? socket_wait_error(err, base->send_timeout) : 0;
}

/* Hands message to the peer; on failure it is freed. */
static int deliver(struct unix_socket *sock, struct unix_message *message, bool is_urgent)
{
    struct unix_socket *peer = NULL;
    int err = 0;

    spin_lock(&unix_lock);
    if (socket_is_shut(&sock->base, SHUTDOWN_WRITE) || !sock->peer || sock->peer->is_closed ||
        socket_is_shut(&sock->peer->base, SHUTDOWN_READ)) {
        err = -EPIPE;
    } else {
        peer = unix_of(socket_get(&sock->peer->base));
        unix_queue_push(peer, message);
        if (is_urgent)
            __atomic_store_n(&peer->urgent, message, __ATOMIC_RELEASE);
    }
    spin_unlock(&unix_lock);
    if (err) {
        unix_queue_free(message);
        return err;
    }
    if (is_urgent)
        unix_urgent_signal(peer);
    socket_wake(&peer->base, ABI_POLLIN | ABI_POLLRDNORM | (is_urgent ? ABI_POLLPRI : 0));
    socket_put(&peer->base);
    return 0;
}

#define PART_FIRST  1u /* the call's control messages go with it */
#define PART_URGENT 2u

/* One message of up to len bytes. */
static long send_part(struct unix_socket *sock, struct message *call, size_t len, unsigned flags)
{
    struct unix_message *message;

    int err = unix_queue_make(sock, call, len, &message);
    if (err)
        return err;
    long n = (long)message->len;
    if (flags & PART_FIRST)
        err = unix_rights_attach(call, message);
    if (err) {
        unix_queue_free(message);
        return err;
    }
    err = deliver(sock, message, flags & PART_URGENT);
    return err ? err : n;
}

static int check_send(struct unix_socket *sock, const struct message *call)
{
    bool may_be_urgent = sock->base.type == ABI_SOCK_STREAM && call->io->remaining;

    if ((call->flags & ABI_MSG_OOB) && !may_be_urgent)
        return -EOPNOTSUPP;
    if (call->address && call->address->len)
        return unix_state(sock) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (unix_state(sock) != UNIX_CONNECTED)
        return -ENOTCONN;
    if (socket_is_shut(&sock->base, SHUTDOWN_WRITE))
        return -EPIPE;
    return 0;
}

/* How much of what is left goes into the next message: the last byte of a call with MSG_OOB has its own. */
static size_t part_len(const struct message *call, bool *is_urgent)
{
    size_t left = call->io->remaining;
    bool has_urgent = call->flags & ABI_MSG_OOB;

    *is_urgent = has_urgent && left == 1;
    return MIN(has_urgent && left > 1 ? left - 1 : left, CHUNK_MAX);
}

long unix_stream_send(struct socket *base, struct message *call)
{
    struct unix_socket *sock = unix_of(base);
    nsec_t deadline = socket_deadline(base->send_timeout);
    size_t sent = 0;

    int err = check_send(sock, call);
    while (!err && call->io->remaining) {
        err = wait_for_room(sock, call->nonblock, deadline);
        if (err)
            break;
        bool is_urgent;
        size_t len = part_len(call, &is_urgent);
        long n =
            send_part(sock, call, len, (sent ? 0 : PART_FIRST) | (is_urgent ? PART_URGENT : 0));
        if (n < 0)
            err = (int)n;
        else
            sent += (size_t)n;
    }
    return sent ? (long)sent : err;
}

long unix_seqpacket_send(struct socket *base, struct message *call)
{
    struct unix_socket *sock = unix_of(base);
    size_t len = call->io->remaining;

    int err = check_send(sock, call);
    if (err)
        return err;
    if (len > base->send_buffer - 32)
        return -EMSGSIZE;
    err = wait_for_room(sock, call->nonblock, socket_deadline(base->send_timeout));
    if (err)
        return err;
    long n = send_part(sock, call, len, PART_FIRST);
    return n >= 0 && (size_t)n < len ? -EFAULT : n;
}

/* ---- recv(2) ---------------------------------------------------------------------------------- */

struct reading {
    struct message *call;
    struct unix_reader reader;
    bool is_stopped; /* what follows belongs to another call */
    bool has_credentials;
    bool has_told;                /* the caller has been given them */
    struct abi_ucred credentials; /* of what has been copied: others are not mixed in */
};

static bool is_other_writer(const struct unix_socket *sock, const struct reading *reading,
                            const struct unix_message *message)
{
    const struct abi_ucred *a = &reading->credentials;
    const struct abi_ucred *b = &message->credentials;

    if (!reading->has_credentials || !sock->base.pass_credentials)
        return false;
    return a->pid != b->pid || a->uid != b->uid || a->gid != b->gid;
}

/* Copies of one message; 1: go on with the next, 0: stop here, -EFAULT. */
static int read_one(struct unix_socket *sock, struct unix_message *message, size_t skip,
                    struct reading *reading)
{
    bool is_peek = reading->reader.is_peek;
    bool has_files = message->nfiles;

    long n = unix_queue_copy(message, message->consumed + skip, reading->call->io);
    if (n < 0)
        return (int)n;
    reading->reader.copied += (size_t)n;
    reading->credentials = message->credentials;
    reading->has_credentials = true;
    if (has_files) {
        unix_rights_credentials(sock, &message->credentials, reading->call);
        reading->has_told = true; /* nothing follows */
    }
    unix_rights_deliver(sock, message, reading->call, is_peek);
    if (!is_peek) {
        message->consumed += (size_t)n;
        __atomic_fetch_sub(&sock->unread, (size_t)n, __ATOMIC_RELEASE);
    }
    bool is_done = is_peek ? message->consumed + skip + (size_t)n == message->len
                           : message->consumed == message->len;
    if (is_done && !is_peek)
        unix_queue_pop(sock);
    return is_done && !has_files;
}

/* What is queued; 0 or -EFAULT. */
static int read_queue(struct unix_socket *sock, struct reading *reading)
{
    bool is_peek = reading->reader.is_peek;
    size_t skip = is_peek ? reading->reader.copied : 0;
    int more = 1;

    mutex_lock(&sock->base.read_lock);
    reading->reader.skipped = 0;
    struct unix_message *message = unix_queue_next(sock, NULL);
    while (message && more > 0 && reading->call->io->remaining) {
        message = unix_urgent_pass(sock, message, &reading->reader);
        if (!message) {
            more = reading->reader.copied == 0;
            break;
        }
        size_t left = message->len - message->consumed;
        if (is_peek && skip >= left) {
            skip -= left;
            message = unix_queue_next(sock, message);
            continue;
        }
        if (is_other_writer(sock, reading, message)) {
            more = 0;
            break;
        }
        more = read_one(sock, message, skip, reading);
        skip = 0;
        message = unix_queue_next(sock, is_peek ? message : NULL);
    }
    mutex_unlock(&sock->base.read_lock);
    reading->is_stopped = more == 0;
    return MIN(more, 0);
}

static bool may_read(const struct unix_socket *sock, size_t seen)
{
    return __atomic_load_n(&sock->unread, __ATOMIC_ACQUIRE) > seen ||
           socket_is_shut(&sock->base, SHUTDOWN_READ) ||
           __atomic_load_n(&sock->base.error, __ATOMIC_ACQUIRE);
}

/* Nothing more was queued: 1 to wait, else what recv() returns. */
static int nothing_there(struct unix_socket *sock, size_t seen, bool nonblock)
{
    int err = socket_take_error(&sock->base);
    if (err)
        return err;
    if (socket_is_shut(&sock->base, SHUTDOWN_READ)) /* perhaps behind something sent just now */
        return __atomic_load_n(&sock->unread, __ATOMIC_ACQUIRE) > seen;
    return nonblock ? -EAGAIN : 1;
}

static long read_stream(struct unix_socket *sock, struct reading *reading)
{
    struct message *call = reading->call;
    struct socket *base = &sock->base;
    nsec_t deadline = socket_deadline(base->receive_timeout);
    size_t target = (call->flags & ABI_MSG_WAITALL)
                        ? call->io->remaining
                        : MIN(call->io->remaining, (size_t)MAX(READ_ONCE(base->receive_low), 1));

    for (;;) {
        int err = read_queue(sock, reading);
        if (err)
            return reading->reader.copied ? (long)reading->reader.copied : err;
        if (reading->reader.copied >= target || call->io->remaining == 0 ||
            (reading->is_stopped && reading->reader.copied))
            return (long)reading->reader.copied;
        size_t seen =
            reading->reader.is_peek ? reading->reader.copied + reading->reader.skipped : 0;
        err = nothing_there(sock, seen, call->nonblock);
        if (err <= 0)
            return reading->reader.copied ? (long)reading->reader.copied : err;
        err = wait_on(&base->readers, may_read(sock, seen), deadline);
        if (err)
            return reading->reader.copied ? (long)reading->reader.copied
                                          : socket_wait_error(err, base->receive_timeout);
    }
}

long unix_stream_receive(struct socket *base, struct message *call)
{
    struct unix_socket *sock = unix_of(base);
    struct reading reading = { .call = call, .reader.is_peek = call->flags & ABI_MSG_PEEK };

    if (unix_state(sock) != UNIX_CONNECTED)
        return -EINVAL;
    if (call->flags & ABI_MSG_OOB)
        return unix_urgent_receive(sock, call);
    if (call->flags & ABI_MSG_ERRQUEUE)
        return -EAGAIN;
    long n = read_stream(sock, &reading);
    if (n >= 0 && !reading.has_told)
        unix_rights_credentials(sock, &reading.credentials, call); /* at the end: zeros, as Linux */
    return n;
}
