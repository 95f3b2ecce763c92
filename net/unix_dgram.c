// SPDX-License-Identifier: MIT
/*
 * UNIX datagrams, and what seqpacket shares with them: messages keep their boundaries.
 */
#include "abi/errno.h"
#include "net/message.h"
#include "net/unix_socket.h"

#define QUEUE_MAX 512 /* net.unix.max_dgram_qlen */

bool unix_dgram_is_full(const struct unix_socket *receiver)
{
    return __atomic_load_n(&receiver->nmessages, __ATOMIC_ACQUIRE) >= QUEUE_MAX;
}

/* ---- connect(2) --------------------------------------------------------------------- */

/* Whether target takes datagrams from sock: one that is connected does so from its peer only. */
static bool may_send_to(const struct unix_socket *sock, const struct unix_socket *target)
{
    return !target->peer || target->peer == sock;
}

static int set_peer(struct unix_socket *sock, struct unix_socket *target)
{
    struct unix_socket *old = NULL;
    int err = 0;

    spin_lock(&unix_lock);
    if (target && !may_send_to(sock, target)) {
        err = -EPERM;
    } else {
        old = sock->peer;
        sock->peer = target;
        sock->is_established = target;
        if (target)
            target->is_established = true;
        list_remove(&sock->starved_node);
        __atomic_store_n(&sock->state, target ? UNIX_CONNECTED : UNIX_IDLE, __ATOMIC_RELEASE);
    }
    spin_unlock(&unix_lock);
    if (old)
        socket_put(&old->base);
    return err;
}

int unix_dgram_connect(struct socket *base, const struct socket_address *address, bool nonblock)
{
    struct unix_socket *sock = unix_of(base);
    struct unix_socket *target;

    if (address->len < sizeof(address->family))
        return -EINVAL;
    if (address->family == ABI_AF_UNSPEC)
        return set_peer(sock, NULL);
    int err = unix_name_find(address, &target);
    if (err)
        return err;
    if (target->base.type != base->type)
        err = -EPROTOTYPE;
    if (!err && base->pass_credentials && !sock->name.len)
        err = unix_name_autobind(sock);
    if (!err)
        err = set_peer(sock, target);
    if (err)
        socket_put(&target->base);
    return err;
}

/* ---- send(2) ---------------------------------------------------------------------------- */

/* Where the message goes, with a reference. */
static int find_target(struct unix_socket *sock, const struct message *call,
                       struct unix_socket **out)
{
    if (call->address && call->address->len) {
        int err = unix_name_find(call->address, out);
        if (!err && (*out)->base.type != sock->base.type) {
            socket_put(&(*out)->base);
            err = -EPROTOTYPE;
        }
        return err;
    }
    spin_lock(&unix_lock);
    *out = sock->peer;
    if (*out)
        socket_get(&(*out)->base);
    spin_unlock(&unix_lock);
    if (*out)
        return 0;
    return socket_is_shut(&sock->base, SHUTDOWN_WRITE) ? -EPIPE : -ENOTCONN;
}

/* -EAGAIN: its queue is full, and sock will be woken when it is not. */
static int push(struct unix_socket *sock, struct unix_socket *target, struct unix_message *message)
{
    assert_held(&unix_lock);
    if (socket_is_shut(&sock->base, SHUTDOWN_WRITE))
        return -EPIPE;
    if (target->is_closed)
        return -ECONNREFUSED;
    if (socket_is_shut(&target->base, SHUTDOWN_READ))
        return -EPIPE;
    if (!may_send_to(sock, target))
        return -EPERM;
    if (target != sock && unix_dgram_is_full(target)) {
        list_remove(&sock->starved_node);
        list_push_back(&target->starved, &sock->starved_node);
        return -EAGAIN;
    }
    unix_queue_push(target, message);
    return 0;
}

static int deliver(struct unix_socket *sock, struct unix_socket *target,
                   struct unix_message *message, bool nonblock)
{
    nsec_t deadline = socket_deadline(sock->base.send_timeout);

    for (;;) {
        spin_lock(&unix_lock);
        int err = push(sock, target, message);
        spin_unlock(&unix_lock);
        if (err != -EAGAIN || nonblock)
            return err;
        err = wait_on(&sock->base.writers,
                      !unix_dgram_is_full(target) ||
                          __atomic_load_n(&target->is_closed, __ATOMIC_ACQUIRE) ||
                          socket_is_shut(&sock->base, SHUTDOWN_WRITE),
                      deadline);
        if (err)
            return socket_wait_error(err, sock->base.send_timeout);
    }
}

static bool may_make(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->in_flight, __ATOMIC_SEQ_CST) <
               READ_ONCE(sock->base.send_buffer) ||
           socket_is_shut(&sock->base, SHUTDOWN_WRITE);
}

static int wait_for_room(struct unix_socket *sock, bool nonblock)
{
    struct socket *base = &sock->base;

    if (may_make(sock))
        return 0;
    __atomic_store_n(&base->wants_room, true, __ATOMIC_SEQ_CST);
    if (nonblock)
        return -EAGAIN;
    int err = wait_on(&base->writers, may_make(sock), socket_deadline(base->send_timeout));
    return err ? socket_wait_error(err, base->send_timeout) : 0;
}

static int send_to(struct unix_socket *sock, struct unix_socket *target, struct message *call)
{
    struct unix_message *message;
    size_t len = call->io->remaining;

    int err = wait_for_room(sock, call->nonblock);
    if (!err)
        err = unix_queue_make(sock, call, len, &message);
    if (err)
        return err;
    err = message->len < len ? -EFAULT : unix_rights_attach(call, message);
    if (!err)
        err = deliver(sock, target, message, call->nonblock);
    if (err)
        unix_queue_free(message);
    else
        socket_wake(&target->base, ABI_POLLIN | ABI_POLLRDNORM);
    return err;
}

/* The first send to a peer that has gone tells, and ends the connection. */
static void forget_peer(struct unix_socket *sock, struct unix_socket *target)
{
    spin_lock(&unix_lock);
    bool is_peer = sock->peer == target;
    if (is_peer) {
        sock->peer = NULL;
        sock->is_established = false;
        __atomic_store_n(&sock->state, UNIX_IDLE, __ATOMIC_RELEASE);
    }
    spin_unlock(&unix_lock);
    if (is_peer)
        socket_put(&target->base);
}

long unix_dgram_send(struct socket *base, struct message *call)
{
    struct unix_socket *sock = unix_of(base);
    struct unix_socket *target;
    size_t len = call->io->remaining;

    if (call->flags & ABI_MSG_OOB)
        return -EOPNOTSUPP;
    if (len > base->send_buffer - 32)
        return -EMSGSIZE;
    int err = socket_take_error(base);
    if (!err)
        err = find_target(sock, call, &target);
    if (err)
        return err;
    if (base->pass_credentials && !sock->name.len)
        err = unix_name_autobind(sock);
    if (!err)
        err = send_to(sock, target, call);
    if (err == -ECONNREFUSED)
        forget_peer(sock, target);
    socket_put(&target->base);
    return err ? err : (long)len;
}

/* ---- recv(2) ------------------------------------------------------------------------------- */

static void put_sender(const struct unix_message *message, struct socket_address *address)
{
    const struct unix_socket *sender = message->sender;

    spin_lock(&unix_lock);
    if (sender->name.len)
        *address = sender->name;
    else
        address->len = 0; /* unnamed */
    spin_unlock(&unix_lock);
}

static long take(struct unix_socket *sock, struct message *call)
{
    struct socket *base = &sock->base;
    bool is_peek = call->flags & ABI_MSG_PEEK;
    long result = -EAGAIN;

    mutex_lock(&base->read_lock);
    struct unix_message *message = unix_queue_next(sock, NULL);
    if (message) {
        result = unix_queue_copy(message, 0, call->io);
        if (result >= 0) {
            if ((size_t)result < message->len)
                call->out_flags |= ABI_MSG_TRUNC;
            if (call->flags & ABI_MSG_TRUNC)
                result = (long)message->len;
            if (call->address)
                put_sender(message, call->address);
            unix_rights_credentials(sock, &message->credentials, call);
            unix_rights_deliver(sock, message, call, is_peek);
        }
        if (!is_peek)
            unix_queue_pop(sock);
    }
    mutex_unlock(&base->read_lock);
    return result;
}

static bool may_take(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->nmessages, __ATOMIC_ACQUIRE) ||
           socket_is_shut(&sock->base, SHUTDOWN_READ) ||
           __atomic_load_n(&sock->base.error, __ATOMIC_ACQUIRE);
}

long unix_dgram_receive(struct socket *base, struct message *call)
{
    struct unix_socket *sock = unix_of(base);
    nsec_t deadline = socket_deadline(base->receive_timeout);

    if (call->flags & (ABI_MSG_OOB | ABI_MSG_ERRQUEUE))
        return (call->flags & ABI_MSG_OOB) ? -EOPNOTSUPP : -EAGAIN;
    for (;;) {
        int err = socket_take_error(base); /* before what is queued, as Linux */
        if (err)
            return err;
        long n = take(sock, call);
        if (n != -EAGAIN)
            return n;
        bool is_empty = !__atomic_load_n(&sock->nmessages, __ATOMIC_ACQUIRE);
        if (socket_is_shut(base, SHUTDOWN_READ) && is_empty &&
            (!call->nonblock || base->type == ABI_SOCK_SEQPACKET))
            return 0; /* a datagram socket tells only who would wait, as on Linux */
        if (call->nonblock && is_empty)
            return -EAGAIN;
        err = wait_on(&base->readers, may_take(sock), deadline);
        if (err)
            return socket_wait_error(err, base->receive_timeout);
    }
}

long unix_seqpacket_receive(struct socket *base, struct message *call)
{
    if (unix_state(unix_of(base)) != UNIX_CONNECTED)
        return -ENOTCONN;
    return unix_dgram_receive(base, call);
}
