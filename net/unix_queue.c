// SPDX-License-Identifier: MIT
/*
 * The messages of UNIX sockets.
 *
 * Readers, one at a time under read_lock, take messages off the front; senders append to the end. So the
 * first message may be copied out without unix_lock.
 *
 * A message may carry descriptors of UNIX sockets whose queues hold messages with descriptors, and so
 * on.  Freeing such a chain by recursion would run out of stack; messages to be freed go to a list
 * that one thread empties.
 */
#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "net/message.h"
#include "net/unix_socket.h"

static struct list graveyard = LIST_INIT(graveyard); /* [u] */
static bool is_draining;                             /* [u] */

/* ---- Making ------------------------------------------------------------------------ */

int unix_queue_make(struct unix_socket *sender, struct message *call, size_t len,
                    struct unix_message **out)
{
    struct unix_message *message = kmalloc(sizeof(*message) + len, ALLOC_WAIT);
    if (!message)
        return -ENOBUFS;
    *message = (struct unix_message){ .len = len, .charge = sizeof(*message) + len };
    list_init(&message->node);
    message->credentials = message_own_credentials();
    if (len) {
        long n = io_read_from(call->io, message->data, len);
        if (n <= 0) {
            kfree(message);
            return -EFAULT;
        }
        message->len = (size_t)n;
    }
    message->sender = unix_of(socket_get(&sender->base));
    __atomic_fetch_add(&sender->in_flight, message->charge, __ATOMIC_ACQ_REL);
    *out = message;
    return 0;
}

/* What a message says of its sender that nobody asked for when it was sent. */
static const struct abi_ucred nobody = { .uid = 65534, .gid = 65534 };

/* One that was not accepted yet may ask later. */
static bool wants_credentials(const struct unix_socket *receiver)
{
    return receiver->base.pass_credentials || !list_is_empty(&receiver->accept_node);
}

void unix_queue_push(struct unix_socket *receiver, struct unix_message *message)
{
    assert_held(&unix_lock);
    if (!message->claims_identity && !wants_credentials(receiver) &&
        !message->sender->base.pass_credentials)
        message->credentials = nobody;
    unix_flight_begin(message);
    list_push_back(&receiver->queue, &message->node);
    __atomic_fetch_add(&receiver->unread, message->len, __ATOMIC_RELEASE);
    __atomic_fetch_add(&receiver->nmessages, 1, __ATOMIC_RELEASE);
}

/* ---- Freeing ------------------------------------------------------------------------- */

/* The sender has room again. */
static void uncharge(struct unix_message *message)
{
    struct unix_socket *sender = message->sender;

    __atomic_fetch_sub(&sender->in_flight, message->charge, __ATOMIC_SEQ_CST);
    if (!unix_socket_is_writable(sender))
        return;
    bool was_wanted = __atomic_exchange_n(&sender->base.wants_room, false, __ATOMIC_SEQ_CST);
    socket_wake(&sender->base, ABI_POLLOUT | ABI_POLLWRNORM | (was_wanted ? 0 : POLL_QUIET));
}

static void bury(struct unix_message *message)
{
    for (unsigned i = 0; i < message->nfiles; i++)
        file_put(message->files[i]);
    kfree(message->files);
    unix_flight_release(message);
    socket_put(&message->sender->base);
    kfree(message);
}

static void drain_graveyard(void)
{
    spin_lock(&unix_lock);
    if (is_draining) {
        spin_unlock(&unix_lock); /* whoever it is, perhaps our own caller's caller, goes on */
        return;
    }
    is_draining = true;
    while (!list_is_empty(&graveyard)) {
        struct unix_message *message = list_first(&graveyard, struct unix_message, node);
        list_remove(&message->node);
        spin_unlock(&unix_lock);
        bury(message);
        spin_lock(&unix_lock);
    }
    is_draining = false;
    spin_unlock(&unix_lock);
}

void unix_queue_free(struct unix_message *message)
{
    uncharge(message);
    if (!message->nfiles) {
        bury(message);
        return;
    }
    spin_lock(&unix_lock);
    unix_flight_end(message);
    list_push_back(&graveyard, &message->node);
    spin_unlock(&unix_lock);
    drain_graveyard();
}

/* Senders that found the queue full try again. */
static void feed_starved(struct unix_socket *sock)
{
    assert_held(&unix_lock);
    while (!list_is_empty(&sock->starved)) {
        struct unix_socket *sender = list_first(&sock->starved, struct unix_socket, starved_node);
        list_remove(&sender->starved_node);
        socket_wake(&sender->base, ABI_POLLOUT | ABI_POLLWRNORM);
    }
}

void unix_queue_unlink(struct unix_socket *sock, struct unix_message *message)
{
    assert_held(&unix_lock);
    list_remove(&message->node);
    if (sock->urgent == message)
        __atomic_store_n(&sock->urgent, NULL, __ATOMIC_RELEASE);
    __atomic_fetch_sub(&sock->unread, message->len - message->consumed, __ATOMIC_RELEASE);
    __atomic_fetch_sub(&sock->nmessages, 1, __ATOMIC_RELEASE);
    feed_starved(sock);
}

void unix_queue_pop(struct unix_socket *sock)
{
    spin_lock(&unix_lock);
    struct unix_message *message = list_first(&sock->queue, struct unix_message, node);
    unix_queue_unlink(sock, message);
    spin_unlock(&unix_lock);
    unix_queue_free(message);
}

void unix_queue_clear(struct unix_socket *sock)
{
    for (;;) {
        struct unix_message *message = NULL;
        spin_lock(&unix_lock);
        if (!list_is_empty(&sock->queue)) {
            message = list_first(&sock->queue, struct unix_message, node);
            unix_queue_unlink(sock, message);
        }
        spin_unlock(&unix_lock);
        if (!message)
            return;
        unix_queue_free(message);
    }
}

/* ---- Reading --------------------------------------------------------------------------- */

struct unix_message *unix_queue_next(struct unix_socket *sock, struct unix_message *previous)
{
    struct unix_message *next = NULL;

    spin_lock(&unix_lock);
    struct list *node = previous ? previous->node.next : sock->queue.next;
    if (node != &sock->queue)
        next = list_entry(node, struct unix_message, node);
    spin_unlock(&unix_lock);
    return next;
}

long unix_queue_copy(const struct unix_message *message, size_t offset, struct io *io)
{
    size_t part = MIN(message->len - offset, io->remaining);

    if (part == 0)
        return 0;
    return io_write_to(io, message->data + offset, part);
}
