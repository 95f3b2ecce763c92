// SPDX-License-Identifier: MIT
/*
 * Descriptors in flight: those that queued messages hold.
 *
 * A UNIX socket may be sent over a UNIX socket, even to itself, and its last descriptor may then be closed:
 * when sockets hold each other like this and nobody else can reach them, their references never end.
 * Each close of a UNIX socket searches for such ones, as long as any are in flight:
 *
 * 1. Candidates are the sockets in flight whose file has no references but those of messages.
 * 2. References from candidates' queues are taken off; who has others left is reachable.
 * 3. What the queues of reachable candidates hold is reachable too, and so on.
 * 4. The remaining candidates' messages with descriptors are freed, which closes the sockets.
 *
 * All of it happens under unix_lock.  Nobody can then get a new reference out of a queue (unix_rights.c),
 * and whoever is reading from a socket has a reference to its file that no message holds.
 */
#include "abi/capability.h"
#include "abi/errno.h"
#include "fs/inode.h"
#include "kernel/mm/heap.h"
#include "kernel/rlimit.h"
#include "net/unix_socket.h"

static struct list in_flight = LIST_INIT(in_flight); /* [u] by flight_node */

/* ---- How many a user may have ------------------------------------------------------------ */

struct flight_user {
    struct list node;
    uint32_t uid;
    unsigned nmessages; /* that point here */
    unsigned nfiles;
};

static struct list users = LIST_INIT(users); /* [u] */

static struct flight_user *find_user(uint32_t uid)
{
    struct flight_user *user;

    list_for_each (user, &users, node) {
        if (user->uid == uid)
            return user;
    }
    return NULL;
}

/* message->user; -ENOMEM. */
static int user_attach(struct unix_message *message)
{
    uint32_t uid = process_current()->creds.uid;

    struct flight_user *fresh = kzalloc(sizeof(*fresh), ALLOC_WAIT);
    if (!fresh)
        return -ENOMEM;
    fresh->uid = uid;
    spin_lock(&unix_lock);
    struct flight_user *user = find_user(uid);
    if (!user) {
        user = fresh;
        fresh = NULL;
        list_push_back(&users, &user->node);
    }
    user->nmessages++;
    message->user = user;
    spin_unlock(&unix_lock);
    kfree(fresh);
    return 0;
}

static bool is_limited(void)
{
    return !process_has_capability(ABI_CAP_SYS_RESOURCE) &&
           !process_has_capability(ABI_CAP_SYS_ADMIN);
}

/* As on Linux, what is in flight is looked at once per message: it may exceed the limit by one message. */
int unix_flight_charge(struct unix_message *message)
{
    int err = 0;

    if (message->user)
        return 0;
    err = user_attach(message);
    if (err)
        return err;
    spin_lock(&unix_lock);
    if (message->user->nfiles > rlimit_current(LIMIT_NOFILE) && is_limited())
        err = -ETOOMANYREFS;
    spin_unlock(&unix_lock);
    return err;
}

void unix_flight_release(struct unix_message *message)
{
    struct flight_user *user = message->user;

    if (!user)
        return;
    spin_lock(&unix_lock);
    if (--user->nmessages == 0)
        list_remove(&user->node);
    else
        user = NULL;
    spin_unlock(&unix_lock);
    kfree(user);
}

/* ---- Beginning and end --------------------------------------------------------------------- */

/* The UNIX socket behind a file; NULL: it is none. */
static struct unix_socket *unix_of_file(const struct file *file)
{
    struct socket *sock = socket_of(file);

    return sock && sock->family == ABI_AF_UNIX ? unix_of(sock) : NULL;
}

void unix_flight_begin(struct unix_message *message)
{
    assert_held(&unix_lock);
    if (!message->nfiles)
        return;
    message->is_in_flight = true;
    message->user->nfiles += message->nfiles;
    for (unsigned i = 0; i < message->nfiles; i++) {
        struct unix_socket *sock = unix_of_file(message->files[i]);
        if (!sock)
            continue;
        sock->file = message->files[i];
        if (sock->flight_count++ == 0)
            list_push_back(&in_flight, &sock->flight_node);
    }
}

void unix_flight_end(struct unix_message *message)
{
    assert_held(&unix_lock);
    if (!message->is_in_flight)
        return;
    message->is_in_flight = false;
    message->user->nfiles -= message->nfiles;
    for (unsigned i = 0; i < message->nfiles; i++) {
        struct unix_socket *sock = unix_of_file(message->files[i]);
        if (sock && --sock->flight_count == 0)
            list_remove(&sock->flight_node);
    }
}

/* ---- What nobody can reach ------------------------------------------------------------------ */

/* Calls visit for each candidate that messages in this queue hold, once for each time. */
static void visit_queue(const struct list *queue,
                        void (*visit)(struct unix_socket *held, struct list *found),
                        struct list *found)
{
    const struct unix_message *message;

    list_for_each (message, queue, node) {
        for (unsigned i = 0; message->is_in_flight && i < message->nfiles; i++) {
            struct unix_socket *held = unix_of_file(message->files[i]);
            if (held && held->is_candidate)
                visit(held, found);
        }
    }
}

/* The same for all that sock holds: a listening socket's connections are its own until they are accepted. */
static void visit_held(const struct unix_socket *sock,
                       void (*visit)(struct unix_socket *held, struct list *found),
                       struct list *found)
{
    const struct unix_socket *child;

    visit_queue(&sock->queue, visit, found);
    list_for_each (child, &sock->accept_queue, accept_node)
        visit_queue(&child->queue, visit, found);
}

static void take_off(struct unix_socket *held, struct list *found)
{
    (void)found;
    held->flight_left--;
}

static void mark_reachable(struct unix_socket *held, struct list *found)
{
    held->is_candidate = false;
    list_push_back(found, &held->found_node);
}

static bool find_candidates(void)
{
    struct unix_socket *sock;
    bool has_some = false;

    list_for_each (sock, &in_flight, flight_node) {
        unsigned references = __atomic_load_n(&sock->file->refcount, __ATOMIC_ACQUIRE);
        sock->is_candidate = references == sock->flight_count;
        sock->flight_left = sock->flight_count;
        has_some |= sock->is_candidate;
    }
    return has_some;
}

static void drop_reachable(void)
{
    struct list found = LIST_INIT(found);
    struct unix_socket *sock;

    list_for_each (sock, &in_flight, flight_node) {
        if (sock->is_candidate)
            visit_held(sock, take_off, NULL);
    }
    list_for_each (sock, &in_flight, flight_node) {
        if (sock->is_candidate && sock->flight_left)
            mark_reachable(sock, &found);
    }
    while (!list_is_empty(&found)) {
        sock = list_first(&found, struct unix_socket, found_node);
        list_remove(&sock->found_node);
        visit_held(sock, mark_reachable, &found);
    }
}

static void gather_queue(struct unix_socket *sock, struct list *dead)
{
    struct unix_message *message;
    struct unix_message *following;

    list_for_each_safe (message, following, &sock->queue, node) {
        if (!message->is_in_flight)
            continue;
        unix_queue_unlink(sock, message);
        list_push_back(dead, &message->node);
    }
}

static void gather_dead(struct list *dead)
{
    struct unix_socket *sock;
    struct unix_socket *child;

    list_for_each (sock, &in_flight, flight_node) {
        if (!sock->is_candidate)
            continue;
        gather_queue(sock, dead);
        list_for_each (child, &sock->accept_queue, accept_node)
            gather_queue(child, dead);
    }
}

void unix_flight_collect(void)
{
    struct list dead = LIST_INIT(dead);

    spin_lock(&unix_lock);
    if (find_candidates()) {
        drop_reachable();
        gather_dead(&dead);
    }
    spin_unlock(&unix_lock);
    while (!list_is_empty(&dead)) {
        struct unix_message *message = list_first(&dead, struct unix_message, node);
        list_remove(&message->node);
        unix_queue_free(message);
    }
}
