// SPDX-License-Identifier: MIT
#include "net/socket_list.h"

#include "abi/errno.h"
#include "abi/inet.h"
#include "kernel/mm/heap.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"
#include "net/net.h"
#include "net/tcp_socket.h"

struct socket_row *socket_list_next(struct socket_list *list, const ip_addr_t *local,
                                    const struct socket *owner)
{
    static struct socket_row scratch; /* net_lock is held */

    if (IP_IS_V4_VAL(*local) == list->is_v6)
        return NULL;
    if (list->count++ >= list->max)
        return &scratch;
    struct socket_row *row = &list->rows[list->count - 1];
    *row = (struct socket_row){ .local = *local };
    if (owner) {
        row->uid = owner->owner.uid;
        row->inode = owner->id;
    }
    return row;
}

static void list_tcp_pcb(struct socket_list *list, const struct tcp_pcb *pcb)
{
    const struct tcp_socket *tcp = pcb->state == SYN_RCVD ? NULL : pcb->callback_arg;
    struct socket_row *row = socket_list_next(list, &pcb->local_ip, tcp ? &tcp->inet.base : NULL);

    if (!row)
        return;
    row->remote = pcb->remote_ip;
    row->local_port = pcb->local_port;
    row->remote_port = pcb->remote_port;
    row->state = tcp_option_state(pcb->state);
    row->unsent = TCP_SND_BUF - pcb->snd_buf;
    if (tcp)
        row->unread = tcp->received;
}

static void list_tcp_listener(struct socket_list *list, const struct tcp_pcb_listen *pcb)
{
    const struct tcp_listener *listener = pcb->callback_arg;
    const struct tcp_socket *tcp = list_first(&listener->members, struct tcp_socket, member_node);
    struct socket_row *row = socket_list_next(list, &pcb->local_ip, &tcp->inet.base);
    if (!row)
        return;
    row->remote = list->is_v6 ? *IP6_ADDR_ANY : *IP4_ADDR_ANY;
    row->local_port = pcb->local_port;
    row->state = ABI_TCP_LISTEN;
    row->unread = tcp->naccept;
    row->unsent = tcp->backlog;
}

static void list_tcp(struct socket_list *list)
{
    for (const struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs; pcb; pcb = pcb->next)
        list_tcp_listener(list, pcb);
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
        list_tcp_pcb(list, pcb);
    for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
        list_tcp_pcb(list, pcb);
}

static void list_datagram(struct socket_list *list, bool is_lite)
{
    for (const struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
        if (((pcb->flags & UDP_FLAGS_UDPLITE) != 0) != is_lite)
            continue;
        const struct inet_socket *inet = pcb->recv_arg;
        if (!pcb->local_port || !inet)
            continue;
        struct socket_row *row = socket_list_next(list, &pcb->local_ip, &inet->base);
        if (!row)
            continue;
        row->remote = inet->remote;
        row->local_port = pcb->local_port;
        row->remote_port = inet->remote_port;
        row->state = inet->is_connected ? ABI_TCP_ESTABLISHED : ABI_TCP_CLOSE;
    }
}

static void list_udp(struct socket_list *list)
{
    list_datagram(list, false);
}

static void list_udplite(struct socket_list *list)
{
    list_datagram(list, true);
}

static void (*walk_of(int protocol))(struct socket_list *list)
{
    switch (protocol) {
    case ABI_IPPROTO_TCP:
        return list_tcp;
    case ABI_IPPROTO_UDP:
        return list_udp;
    case ABI_IPPROTO_UDPLITE:
        return list_udplite;
    case ABI_IPPROTO_RAW:
        return socket_list_raw;
    default:
        return NULL;
    }
}

unsigned socket_list_count(int protocol, bool is_v6)
{
    struct socket_list list = { .is_v6 = is_v6 };

    net_begin();
    walk_of(protocol)(&list);
    net_end();
    return (unsigned)list.count;
}

int socket_list_collect(struct socket_list *list, int protocol)
{
    void (*walk)(struct socket_list * list) = walk_of(protocol);

    return walk ? socket_list_gather(list, walk) : -ENOENT;
}

int socket_list_gather(struct socket_list *list, void (*walk)(struct socket_list *list))
{
    for (list->max = 64;; list->max = list->count + 64) {
        list->count = 0;
        list->rows = kcalloc(list->max, sizeof(*list->rows), ALLOC_WAIT);
        if (!list->rows)
            return -ENOMEM;
        net_begin();
        walk(list);
        net_end();
        if (list->count <= list->max)
            return 0;
        kfree(list->rows);
    }
}
