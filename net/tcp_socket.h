// SPDX-License-Identifier: MIT
#pragma once
/*
 * TCP sockets.
 *
 * A connection is a pair: the socket, which the application holds, and lwIP's PCB.  Either may end
 * first: a closed socket leaves its PCB to lwIP, which finishes the protocol alone; a connection that
 * was reset or has ended leaves the socket with what it has received.
 *
 * [n] net_lock  [a] atomic, changed under net_lock  [r] base.read_lock  [w] set by setsockopt
 */
#include "fs/file.h"
#include "lwip/tcp.h"
#include "net/inet.h"

enum tcp_phase {
    TCP_PHASE_IDLE, /* neither connected nor listening */
    TCP_PHASE_LISTENING,
    TCP_PHASE_CONNECTING,
    TCP_PHASE_CONNECTED, /* also half closed */
    TCP_PHASE_ENDED,     /* was connected or tried to be; the PCB is gone */
};

/* What sets apart the PCBs of a socket from others in lwIP's lists: additions to its so_options. */
#define SOF_REUSEADDR_SET 0x40u
#define SOF_REUSEPORT_SET 0x80u

/* A port that is listened on; more than one socket with SO_REUSEPORT. */
struct tcp_listener {
    struct tcp_pcb_listen *pcb;
    struct list members;   /* tcp_socket.member_node, in turn */
    struct list half_open; /* tcp_pcb.recovery.half_open, the oldest first */
    uint32_t drop_tick;    /* ndropped of them were dropped in this tick of lwIP's */
    unsigned ndropped;
};

struct tcp_socket {
    struct inet_socket inet;
    enum tcp_phase phase; /* [a] */
    struct tcp_pcb *pcb;  /* [n] NULL: lwIP has none, or no longer */
    bool connect_pending; /* [n] the outcome of connect(2) has not been told */

    /* Received: pbufs linked by next, their tot_len not kept.  Producers append under net_lock and then
     * add to received; the reader, under read_lock, takes what received covers. */
    struct pbuf *head;      /* [r], and [n] while received is 0 */
    struct pbuf *tail;      /* [n] */
    uint16_t head_consumed; /* [r] bytes of head that have been read */
    size_t received;        /* [a] unread bytes */
    size_t true_size;       /* [n] memory they keep */
    unsigned window;        /* [n] how many of them there may be */
    uint64_t window_begin;  /* [n] read_position when it was looked at last */
    bool got_fin;           /* [a] nothing follows */
    bool is_whole;          /* [a] because the peer has said so (Linux's SOCK_DONE) */
    bool is_pushed;         /* [n] the peer has nothing more to send at once */
    bool may_answer; /* [n] something was sent since all was read last, or nothing was read */

    uint64_t read_position; /* [a] bytes read since the connection began */
    uint64_t urgent;        /* [a] net/tcp_urgent.c: where urgent data is, and its state */
    uint8_t urgent_byte;    /* [n] */

    size_t room;      /* [a] bytes that may be queued for sending */
    size_t in_flight; /* [a] queued or sent, not acknowledged */
    bool wants_room;  /* [a] somebody found room too small */
    uint16_t mss;     /* [a] what goes in one packet */
    uint32_t
        segment_limit; /* [a] bytes that longer segments of lwIP's queue may have; 0: none are */
    bool is_cut_later; /* [a] the device makes packets of longer segments */
    bool is_held;      /* [a] data waits for more (TCP_CORK, MSG_MORE) */
    bool has_sent;     /* [n] */
    bool is_starved;   /* [n] there was no memory for what was to be queued */

    struct list batch_node;        /* [n] net/tcp_batch.c; by itself: nothing waits */
    struct tcp_listener *listener; /* [n] listening */
    struct list member_node;       /* [n] */
    struct list accept_queue;      /* [n] connections, by accept_node */
    struct list accept_node;       /* [n] */
    unsigned naccept;              /* [a] */
    unsigned backlog;              /* [n] */

    bool nodelay, cork;                       /* [w] */
    int keep_idle, keep_interval, keep_count; /* [w] seconds, seconds, probes; 0: default */
    int user_timeout, syn_count, max_segment; /* [w] milliseconds, SYNs sent again, bytes */
    int linger2, defer_accept, window_clamp, notsent_low, no_quick_ack, fast_open; /* [w] stored */
};

static inline struct tcp_socket *tcp_of(struct socket *sock)
{
    return container_of(sock, struct tcp_socket, inet.base);
}

static inline enum tcp_phase tcp_socket_phase(const struct tcp_socket *tcp)
{
    return __atomic_load_n(&tcp->phase, __ATOMIC_ACQUIRE);
}

static inline void tcp_socket_set_phase(struct tcp_socket *tcp, enum tcp_phase phase)
{
    __atomic_store_n(&tcp->phase, phase, __ATOMIC_RELEASE);
}

extern const struct socket_ops tcp_socket_ops;

/* A socket without a file; NULL: no memory.  Any context of a thread. */
struct tcp_socket *tcp_socket_alloc(int family, unsigned alloc_flags);

/* tcp_event.c: lwIP's callbacks.  net_lock is held for all. */
void tcp_event_attach(struct tcp_socket *tcp, struct tcp_pcb *pcb);
/* Leaves the PCB to lwIP; returns it (NULL: there was none). */
struct tcp_pcb *tcp_event_detach(struct tcp_socket *tcp);
err_t tcp_event_connected(void *arg, struct tcp_pcb *pcb, err_t err);
/* A router could not pass on a packet of this connection: a connect(2) under way fails. */
void tcp_event_unreachable(struct tcp_pcb *pcb, int error);
/* There is no memory to send with: no room until something is acknowledged, or half a second has passed. */
void tcp_event_starve(struct tcp_socket *tcp);
/* Recomputes room and in_flight: something was queued. */
void tcp_event_update_queued(struct tcp_socket *tcp);
/* The same, and mss and segment_limit: the windows may be others. */
void tcp_event_update_room(struct tcp_socket *tcp);

/* tcp_listen.c */
int tcp_listen_start(struct socket *sock, int backlog);
int tcp_listen_accept(struct socket *sock, bool nonblock, struct socket **out,
                      struct socket_address *peer);
/* A PCB leaves the table of connections: if it is a handshake, it is none any more. */
void tcp_listen_forget(struct tcp_pcb *pcb);
/* How many handshakes a listener has at a time. */
void tcp_listen_init(void);
/* Stops listening; resets connections that nobody has accepted.  net_lock is held. */
void tcp_listen_stop(struct tcp_socket *tcp);

/* tcp_receive.c */
long tcp_receive_message(struct socket *sock, struct message *message);
void tcp_receive_append(struct tcp_socket *tcp, struct pbuf *p); /* net_lock is held */
void tcp_receive_drop_all(struct tcp_socket *tcp);               /* nobody reads any more */

/* tcp_send.c */
long tcp_send_message(struct socket *sock, struct message *message);
bool tcp_send_is_writable(const struct tcp_socket *tcp);
/* Sends what TCP_CORK held back.  net_lock is held. */
void tcp_send_flush(struct tcp_socket *tcp);

/* tcp_option.c */
int tcp_option_set(struct socket *sock, int level, int name, const void *value, unsigned len);
int tcp_option_get(struct socket *sock, int level, int name, void *value, unsigned *len);
void tcp_option_changed(struct socket *sock, int name);
/* All options to a PCB that the socket has just got.  net_lock is held. */
void tcp_option_apply(struct tcp_socket *tcp, struct tcp_pcb *pcb);
/* SO_RCVBUF makes the window of a new connection smaller; later it may not shrink. */
void tcp_option_limit_window(const struct tcp_socket *tcp, struct tcp_pcb *pcb);
/* ABI_TCP_* for lwIP's state. */
uint8_t tcp_option_state(enum tcp_state state);
/* The options that an accepted connection has from its listener. */
void tcp_option_inherit(struct tcp_socket *tcp, const struct tcp_socket *listener);
