// SPDX-License-Identifier: MIT
#pragma once
/*
 * The receive queue of datagram sockets (UDP and raw).
 *
 * [n] net_lock  [r] base.read_lock  [a] atomic
 */
#include "net/inet.h"

struct pbuf;

struct datagram {
    struct list node;
    struct pbuf *p;
    ip_addr_t source, destination;
    uint16_t port;
    uint8_t netif_index, ttl, tos;
    size_t charge; /* memory it keeps */
    nsec_t time;   /* CLOCK_REALTIME of its arrival */
};

struct datagram_queue {
    struct list list; /* appended to under [n]; taken from with [r] and [n] */
    unsigned count;   /* [a] */
    size_t charge;    /* [n] against SO_RCVBUF */
};

void datagram_queue_init(struct datagram_queue *queue);
/* From lwIP's receive callback: takes p over and keeps it, or drops it if the queue is full or the socket's filter says
 * so, which sees header bytes in front of p, too. */
void datagram_queue_push(struct inet_socket *inet, struct datagram_queue *queue, struct pbuf *p,
                         size_t header, const ip_addr_t *source, uint16_t port);
/* recvmsg(2). */
long datagram_queue_receive(struct inet_socket *inet, struct datagram_queue *queue,
                            struct message *message);
/* Bytes of the first datagram (FIONREAD). */
size_t datagram_queue_next_len(struct inet_socket *inet, struct datagram_queue *queue);
void datagram_queue_clear(struct datagram_queue *queue); /* net_lock is held */

static inline bool datagram_queue_is_empty(const struct datagram_queue *queue)
{
    return __atomic_load_n(&queue->count, __ATOMIC_ACQUIRE) == 0;
}

/* The control message with the time of an arrival (CLOCK_REALTIME), if the socket wants it. */
void datagram_put_time(const struct socket *sock, nsec_t time, struct message *message);

/* The source address and interface that a message's control part (IP_PKTINFO) asks for; those
 * that it leaves out are unchanged.  -EINVAL. */
struct datagram_route {
    ip_addr_t source;
    int netif_index;
    int ttl, tos; /* -1: the socket's */
};
int datagram_parse_control(const struct message *message,
                           struct datagram_route *route) __must_check;

/* A pbuf with the message's data, with room for headers in front.  -EMSGSIZE over max; -EFAULT. */
int datagram_copy_in(struct message *message, size_t max, struct pbuf **out) __must_check;
