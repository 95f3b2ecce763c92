// SPDX-License-Identifier: MIT
/*
 * Urgent data of UNIX streams (MSG_OOB).
 *
 * The urgent byte is a message of its own in the queue, and sock->urgent points to the newest; older ones are ordinary
 * data.  Once it has been read with MSG_OOB it stays in its place as an empty message, the mark: what is read ends
 * there.  One that nobody asked for is dropped by whoever reads on beyond the mark.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "fs/file.h"
#include "net/message.h"
#include "net/net.h"
#include "net/unix_socket.h"

static size_t len_of(const struct unix_message *message)
{
    return message->len - message->consumed;
}

static struct unix_message *next_of(struct unix_socket *sock, struct unix_message *message)
{
    const struct list *node = message ? message->node.next : sock->queue.next;

    return node == &sock->queue ? NULL : list_entry(node, struct unix_message, node);
}

void unix_urgent_signal(struct unix_socket *receiver)
{
    net_begin();
    if (receiver->base.file)
        file_owner_tell(&receiver->base.file->owner, 0, NULL, ABI_SIGURG);
    net_end();
}

bool unix_urgent_is_there(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->urgent, __ATOMIC_ACQUIRE);
}

/* Of a message that has nothing to read: where to go on; *dead is what is to be freed. */
static struct unix_message *pass_mark(struct unix_socket *sock, struct unix_message *message,
                                      const struct unix_reader *reader, struct unix_message **dead)
{
    struct unix_message *next = next_of(sock, message);

    if (reader->copied && !sock->urgent)
        return NULL;
    if (!reader->is_peek) {
        unix_queue_unlink(sock, message);
        *dead = message;
    }
    return next;
}

/* Of the urgent byte itself. */
static struct unix_message *pass_urgent(struct unix_socket *sock, struct unix_message *message,
                                        struct unix_reader *reader, struct unix_message **dead)
{
    bool is_inline = READ_ONCE(sock->base.oob_inline);

    if (reader->copied)
        return NULL;
    if (is_inline) {
        if (!reader->is_peek)
            __atomic_store_n(&sock->urgent, NULL, __ATOMIC_RELEASE);
        return message;
    }
    struct unix_message *next = next_of(sock, message);
    if (reader->is_peek) {
        reader->skipped += len_of(message);
    } else {
        unix_queue_unlink(sock, message);
        *dead = message;
    }
    return next;
}

struct unix_message *unix_urgent_pass(struct unix_socket *sock, struct unix_message *message,
                                      struct unix_reader *reader)
{
    struct unix_message *dead[2] = { 0 };

    if (!message ||
        (len_of(message) && message != __atomic_load_n(&sock->urgent, __ATOMIC_ACQUIRE)))
        return message;
    spin_lock(&unix_lock);
    if (!len_of(message))
        message = pass_mark(sock, message, reader, &dead[0]);
    if (message && message == sock->urgent)
        message = pass_urgent(sock, message, reader, &dead[1]);
    spin_unlock(&unix_lock);
    for (size_t i = 0; i < ARRAY_SIZE(dead); i++) {
        if (dead[i])
            unix_queue_free(dead[i]);
    }
    return message;
}

/* Takes the urgent byte, which leaves its mark; the mark in front of it, if any, is then in *dead. */
static struct unix_message *take(struct unix_socket *sock, struct unix_message **dead)
{
    struct unix_message *message = sock->urgent;

    __atomic_store_n(&sock->urgent, NULL, __ATOMIC_RELEASE);
    message->consumed++;
    __atomic_fetch_sub(&sock->unread, 1, __ATOMIC_RELEASE);
    if (message->node.prev != &sock->queue) {
        struct unix_message *previous = list_entry(message->node.prev, struct unix_message, node);
        if (!len_of(previous)) {
            unix_queue_unlink(sock, previous);
            *dead = previous;
        }
    }
    return message;
}

long unix_urgent_receive(struct unix_socket *sock, struct message *call)
{
    struct unix_message *dead = NULL;
    struct unix_message *message = NULL;
    long n = -EINVAL;

    mutex_lock(&sock->base.read_lock);
    spin_lock(&unix_lock);
    if (sock->urgent && !READ_ONCE(sock->base.oob_inline))
        message = call->flags & ABI_MSG_PEEK ? sock->urgent : take(sock, &dead);
    spin_unlock(&unix_lock);
    if (message) {
        n = unix_queue_copy(message, 0, call->io);
        call->out_flags |= ABI_MSG_OOB;
    }
    mutex_unlock(&sock->base.read_lock);
    if (dead)
        unix_queue_free(dead);
    return n;
}

bool unix_urgent_is_at_mark(struct unix_socket *sock)
{
    bool is_at_mark = false;

    mutex_lock(&sock->base.read_lock);
    spin_lock(&unix_lock);
    struct unix_message *first = next_of(sock, NULL);
    if (first && first == sock->urgent)
        is_at_mark = true;
    else if (first && !len_of(first))
        is_at_mark = !sock->urgent || next_of(sock, first) == sock->urgent;
    spin_unlock(&unix_lock);
    mutex_unlock(&sock->base.read_lock);
    return is_at_mark;
}
