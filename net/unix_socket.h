// SPDX-License-Identifier: MIT
#pragma once
/*
 * UNIX sockets.
 *
 * unix_lock, one spinlock for all of them, covers names, peers and queues; it is held briefly and never
 * over copies.  A message holds its data, descriptors, and a reference to its sender, whose
 * send buffer it is charged to until it is read.
 *
 * [u] unix_lock  [a] atomic, changed under unix_lock  [r] base.read_lock
 */
#include "kernel/spinlock.h"
#include "net/socket.h"

struct inode;
struct mount;

enum unix_state { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED };

struct unix_socket {
    struct socket base;
    struct list all_node;  /* [u] */
    enum unix_state state; /* [a] */
    bool is_closed;        /* [a] */
    bool
        is_established; /* [u] as sock_diag(7) shows it: also a datagram socket that was a target */
    struct socket_address name; /* [u] len 0: none */
    struct list name_node;      /* [u] abstract names; itself when not listed */
    struct inode *inode;        /* [u] bound in the file system, with a reference */
    struct mount *mount;        /* [u] the inode's, with a reference: it stays mounted */
    uint32_t place_inode;     /* [u] where name is in the file system, also of what was accepted */
    uint32_t place_device;    /* [u] */
    struct unix_socket *peer; /* [u] with a reference; datagram: where send() goes */

    struct list queue;           /* [u] struct unix_message; taken from with [r] as well */
    unsigned nmessages;          /* [a] */
    size_t unread;               /* [a] bytes */
    struct unix_message *urgent; /* [a] in the queue, not read: net/unix_urgent.c */
    size_t in_flight;            /* [a] bytes sent and not yet read by others */
    struct list starved;      /* [u] datagram senders that found the queue full, by starved_node */
    struct list starved_node; /* [u] */

    struct list accept_queue;     /* [u] by accept_node */
    struct list accept_node;      /* [u] */
    unsigned naccept;             /* [a] */
    unsigned backlog;             /* [u] */
    struct wait_queue connectors; /* wait for room in accept_queue */

    struct list flight_node; /* [u] queued messages hold its file: net/unix_flight.c */
    unsigned flight_count;   /* [u] how often */
    const struct file *file; /* [u] that file, while flight_count is not 0 */
    unsigned flight_left;    /* [u] of a search */
    bool is_candidate;       /* [u] of a search */
    struct list found_node;  /* [u] of a search */
};

struct flight_user;

struct unix_message {
    struct list node;
    struct unix_socket *sender; /* with a reference */
    struct abi_ucred credentials;
    struct file **files;      /* with references; NULL: none */
    unsigned nfiles;          /* [u] once it is queued */
    bool is_in_flight;        /* [u] its files are counted */
    bool claims_identity;     /* credentials were given explicitly */
    struct flight_user *user; /* nfiles are charged to */
    size_t charge;
    size_t len, consumed; /* [r] */
    uint8_t data[];
};

extern struct spinlock unix_lock;
extern const struct socket_ops unix_stream_ops, unix_dgram_ops, unix_seqpacket_ops;

static inline struct unix_socket *unix_of(struct socket *sock)
{
    return container_of(sock, struct unix_socket, base);
}

static inline enum unix_state unix_state(const struct unix_socket *sock)
{
    return __atomic_load_n(&sock->state, __ATOMIC_ACQUIRE);
}

struct unix_socket *unix_socket_alloc(int type);
/* Both ends know each other; unix_lock is held. */
void unix_socket_join(struct unix_socket *a, struct unix_socket *b);
/* Calls visit for each, with unix_lock held. */
void unix_socket_for_each(void (*visit)(const struct unix_socket *sock, void *arg), void *arg);
bool unix_socket_is_writable(const struct unix_socket *sock);

/* unix_name.c */
int unix_name_bind(struct socket *base, const struct socket_address *address);
int unix_name_autobind(struct unix_socket *sock);
/* The socket with this name, with a reference.  -ECONNREFUSED, -ENOENT, ... */
int unix_name_find(const struct socket_address *address, struct unix_socket **out);
void unix_name_release(struct unix_socket *sock);
int unix_name_get(struct socket *base, bool is_peer, struct socket_address *address);

/* unix_queue.c */
/* A message with up to len bytes of the call's data, charged to sender; -ENOBUFS, -EFAULT. */
int unix_queue_make(struct unix_socket *sender, struct message *call, size_t len,
                    struct unix_message **out) __must_check;
/* To the end of receiver's queue; unix_lock is held. */
void unix_queue_push(struct unix_socket *receiver, struct unix_message *message);
/* The first message is read; read_lock is held. */
void unix_queue_pop(struct unix_socket *sock);
/* Out of sock's queue, not freed; unix_lock is held. */
void unix_queue_unlink(struct unix_socket *sock, struct unix_message *message);
void unix_queue_free(struct unix_message *message);
void unix_queue_clear(struct unix_socket *sock);
/* The first, or the one after previous; NULL: none.  read_lock is held. */
struct unix_message *unix_queue_next(struct unix_socket *sock, struct unix_message *previous);
/* Copies up to the room in io from offset on; bytes or -EFAULT. */
long unix_queue_copy(const struct unix_message *message, size_t offset, struct io *io);

/* unix_rights.c */
/* SCM_RIGHTS and SCM_CREDENTIALS of the call to message; -EBADF, -EINVAL, -EPERM, ... */
int unix_rights_attach(const struct message *call, struct unix_message *message) __must_check;
/* The other way; keep: the message stays in the queue (MSG_PEEK). */
void unix_rights_deliver(struct unix_socket *sock, struct unix_message *message,
                         struct message *call, bool keep);
void unix_rights_credentials(const struct unix_socket *sock, const struct abi_ucred *credentials,
                             struct message *call);

/* unix_urgent.c */
struct unix_reader {
    bool is_peek;
    size_t copied;
    size_t skipped; /* bytes that a reader who peeks has passed over */
};

/* The receiver's owner gets SIGURG. */
void unix_urgent_signal(struct unix_socket *receiver);
bool unix_urgent_is_there(const struct unix_socket *sock);
/* The message to read when message is the next one, perhaps NULL: its mark or the urgent byte may be in front of it, or
 * the reader has to stop.  read_lock is held. */
struct unix_message *unix_urgent_pass(struct unix_socket *sock, struct unix_message *message,
                                      struct unix_reader *reader);
/* recv() with MSG_OOB. */
long unix_urgent_receive(struct unix_socket *sock, struct message *call);
/* SIOCATMARK */
bool unix_urgent_is_at_mark(struct unix_socket *sock);

/* unix_flight.c */
/* One more descriptor in message, of the running process's user: -ETOOMANYREFS, -ENOMEM. */
int unix_flight_charge(struct unix_message *message) __must_check;
/* The message is in a queue; its descriptors are taken out or dropped.  unix_lock is held. */
void unix_flight_begin(struct unix_message *message);
void unix_flight_end(struct unix_message *message);
/* The message is being freed. */
void unix_flight_release(struct unix_message *message);
/* Frees what only unreachable queues hold. */
void unix_flight_collect(void);

/* unix_stream.c */
int unix_stream_connect(struct socket *base, const struct socket_address *address, bool nonblock);
int unix_stream_listen(struct socket *base, int backlog);
int unix_stream_accept(struct socket *base, bool nonblock, struct socket **out,
                       struct socket_address *peer);
long unix_stream_send(struct socket *base, struct message *call);
long unix_stream_receive(struct socket *base, struct message *call);

/* unix_dgram.c */
int unix_dgram_connect(struct socket *base, const struct socket_address *address, bool nonblock);
long unix_dgram_send(struct socket *base, struct message *call);
long unix_dgram_receive(struct socket *base, struct message *call);
long unix_seqpacket_send(struct socket *base, struct message *call);
long unix_seqpacket_receive(struct socket *base, struct message *call);
/* Whether a datagram to receiver would have to wait; unix_lock is held. */
bool unix_dgram_is_full(const struct unix_socket *receiver);
