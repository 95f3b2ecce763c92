// SPDX-License-Identifier: MIT
#pragma once
/*
 * Sockets: what all families have in common.
 *
 * A family's socket embeds struct socket and fills in ops.  The descriptor's struct file holds one
 * reference; a UNIX peer or an accept queue may hold others.
 *
 * [i] set at creation  [a] atomic  [w] written by setsockopt as one word, read anywhere
 * [n] net_lock (all families use it for wake_node)
 */
#include "abi/poll.h"
#include "abi/socket.h"
#include "fs/file.h"
#include "kernel/mutex.h"
#include "kernel/poll.h"
#include "kernel/process.h"
#include "kernel/wait.h"
#include "lib/list.h"

struct abi_sock_filter;
struct message;
struct socket;

/* An address as it stands in application memory, of any family. */
struct socket_address {
    unsigned len; /* 0: none */
    union {
        uint16_t family;
        uint8_t bytes[ABI_SOCKADDR_MAX];
        uint64_t align;
    };
};

#define SHUTDOWN_READ  1u
#define SHUTDOWN_WRITE 2u
#define SHUTDOWN_BOTH  3u

/* All may sleep.  NULL where the family's sockets cannot do it: -EOPNOTSUPP. */
struct socket_ops {
    int (*bind)(struct socket *sock, const struct socket_address *address);
    int (*connect)(struct socket *sock, const struct socket_address *address, bool nonblock);
    int (*listen)(struct socket *sock, int backlog);
    /* The next connection, with a reference, without a file yet; peer's address in *peer. */
    int (*accept)(struct socket *sock, bool nonblock, struct socket **out,
                  struct socket_address *peer);
    int (*name)(struct socket *sock, bool is_peer, struct socket_address *address);
    long (*send)(struct socket *sock, struct message *message);
    long (*receive)(struct socket *sock, struct message *message);
    int (*shutdown)(struct socket *sock, unsigned how);
    unsigned (*poll)(struct socket *sock);
    /* Options of other levels than SOL_SOCKET; value is kernel memory.  -ENOPROTOOPT: not known. */
    int (*set_option)(struct socket *sock, int level, int name, const void *value, unsigned len);
    /* Up to *len bytes of value; *len becomes what there is. */
    int (*get_option)(struct socket *sock, int level, int name, void *value, unsigned *len);
    /* SOL_SOCKET options have been stored; those that the protocol must know take effect.  May be NULL. */
    void (*option_changed)(struct socket *sock, int name);
    long (*ioctl)(struct socket *sock, unsigned command, unsigned long arg); /* -ENOTTY */
    int (*deliver)(struct socket *sock, const void *data,
                   size_t size); /* file_ops.deliver; may be NULL */
    bool has_filter;             /* arrivals go by sock->filter */
    /* The descriptor is gone: end what goes on.  References may remain. */
    void (*close)(struct socket *sock);
    /* The last reference is gone. */
    void (*destroy)(struct socket *sock);
};

struct socket {
    unsigned refcount;            /* [a] */
    const struct socket_ops *ops; /* [i] */
    int family, type, protocol;   /* [i] */
    uint64_t id;                  /* [i] the inode number: "socket:[id]" */
    struct file *file;            /* [n] whose owner gets SIGURG; NULL: closed, or none yet */
    struct poll_head poll;
    struct wait_queue readers; /* also acceptors */
    struct wait_queue writers; /* also connectors */
    struct mutex read_lock;    /* RANK_SOCKET: one thread at a time copies out */
    struct mutex write_lock;   /* RANK_SOCKET: one thread at a time copies in */
    struct list wake_node;     /* [n] socket_wake_later() */
    unsigned wake_events;      /* [n] */
    bool wants_room;           /* [a] no room was found to send: unix sockets */
    int error;                 /* [a] SO_ERROR: a positive errno, 0 */
    unsigned shutdown;         /* [a] SHUTDOWN_* */

    nsec_t receive_timeout;                   /* [w] DEADLINE_NONE: wait for ever */
    nsec_t send_timeout;                      /* [w] */
    unsigned receive_buffer;                  /* [w] bytes, as getsockopt reports them */
    unsigned send_buffer;                     /* [w] */
    int receive_low;                          /* [w] SO_RCVLOWAT */
    bool reuse_address;                       /* [w] */
    bool reuse_port;                          /* [w] */
    bool broadcast;                           /* [w] */
    bool keepalive;                           /* [w] */
    bool oob_inline;                          /* [w] */
    bool pass_credentials;                    /* [w] */
    bool timestamp, timestamp_ns;             /* [w] */
    bool no_check;                            /* [w] */
    bool dont_route, want_drops, no_checksum; /* [w] stored: without effect here */
    bool is_listening;                        /* [a] SO_ACCEPTCONN */
    int priority, mark;                       /* [w] stored */
    bool is_filter_locked;                    /* [n] */
    struct abi_sock_filter *filter;           /* [n] of arrivals: net/socket_filter.h */
    struct abi_linger linger;                 /* [w] */
    struct abi_ucred owner;                   /* [i] who made it */
    struct abi_ucred peer;                    /* SO_PEERCRED, set when connected */
};

#define RECEIVE_BUFFER_DEFAULT 212992u
#define SEND_BUFFER_DEFAULT    212992u
#define BUFFER_MAX             (8u << 20)

void socket_init(void);
/* Fills in the common part of a zeroed socket; the reference count is 1. */
void socket_setup(struct socket *sock, const struct socket_ops *ops, int family, int type,
                  int protocol);
struct socket *socket_get(struct socket *sock);
void socket_put(struct socket *sock);
/* The inverse of socket_setup(), for destroy(). */
void socket_teardown(struct socket *sock);
/* The socket of a file; NULL: it is none. */
struct socket *socket_of(const struct file *file);
/* A file for the socket, which takes the caller's reference over in any case. */
int socket_file(struct socket *sock, unsigned flags, struct file **out) __must_check;

/* Families, by what socket(2) asks for. */
int socket_create(int family, int type, int protocol, struct socket **out) __must_check;

/* ---- Waiting and waking ------------------------------------------------------ */

/* Wakes who waits for these events (ABI_POLL*).  Any thread context, no net_lock needed. */
void socket_wake(struct socket *sock, unsigned events);
/* The same at the end of the section under net_lock, once for many calls. */
void socket_wake_later(struct socket *sock, unsigned events);
void socket_flush_wakes(void); /* by net_end() only */
/* Sets the pending error and wakes everybody. */
void socket_set_error(struct socket *sock, int error);
/* Takes the pending error: 0 or -errno. */
int socket_take_error(struct socket *sock);

/* The end of a wait that began now with this timeout. */
nsec_t socket_deadline(nsec_t timeout);
/* What a system call returns when wait_on() gave err: -EAGAIN after a timeout, -ERESTARTSYS or
 * -EINTR after a signal (Linux does not restart calls that have a timeout). */
int socket_wait_error(int err, nsec_t timeout);

static inline bool socket_is_shut(const struct socket *sock, unsigned how)
{
    return (__atomic_load_n(&sock->shutdown, __ATOMIC_ACQUIRE) & how) == how;
}

/* ---- Options of SOL_SOCKET (net/socket_option.c) ------------------------------- */

int socket_set_option(struct socket *sock, int name, const void *value, unsigned len) __must_check;
int socket_get_option(struct socket *sock, int name, void *value, unsigned *len) __must_check;
/* For all levels: an int from an option's value (at least 4 bytes); -EINVAL. */
int option_int(const void *value, unsigned len, int *out) __must_check;
/* Stores up to *len bytes of data and sets *len. */
int option_store(void *value, unsigned *len, const void *data, unsigned size) __must_check;
int option_store_int(void *value, unsigned *len, int data) __must_check;

/* ---- Families -------------------------------------------------------------------- */

int tcp_socket_create(int family, int type, int protocol, struct socket **out) __must_check;
int udp_socket_create(int family, int type, int protocol, struct socket **out) __must_check;
int raw_socket_create(int family, int type, int protocol, struct socket **out) __must_check;
int unix_socket_create(int family, int type, int protocol, struct socket **out) __must_check;
int packet_socket_create(int type, int protocol, struct socket **out) __must_check;
int netlink_create(int family, int type, int protocol, struct socket **out) __must_check;
/* socketpair(2): two connected sockets of AF_UNIX. */
int unix_socket_pair(int type, struct socket *pair[2]) __must_check;
