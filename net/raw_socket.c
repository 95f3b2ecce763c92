// SPDX-License-Identifier: MIT
/*
 * Raw sockets (raw(7)), and the datagram sockets of ICMP that ping uses without privileges.
 *
 * A raw socket sees a copy of each packet of its protocol, with the IP header in IPv4.  A ping
 * socket sees the echo replies to its own requests; its port is their identifier.
 */
#include "lwip/raw.h"

#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/stats.h"
#include "net/address.h"
#include "net/datagram.h"
#include "net/interface.h"
#include "net/lwip_port.h"
#include "net/message.h"
#include "net/net.h"
#include "net/ports.h"
#include "net/socket_list.h"

#define RAW_PAYLOAD_MAX 65450u

struct raw_socket {
    struct inet_socket inet;
    struct raw_pcb *pcb; /* [n] */
    struct list node;    /* [n] raw_sockets */
    struct datagram_queue queue;
    bool is_ping; /* [i] */
};

unsigned raw_socket_count;                               /* [n] */
static struct list raw_sockets = LIST_INIT(raw_sockets); /* [n] */

static struct raw_socket *raw_of(struct socket *sock)
{
    return container_of(sock, struct raw_socket, inet.base);
}

/* ---- Arrivals ------------------------------------------------------------------------- */

static bool is_echo_reply_for(const struct raw_socket *raw, const struct pbuf *p, size_t offset)
{
    struct icmp_echo_hdr header;

    if (pbuf_copy_partial(p, &header, sizeof(header), (u16_t)offset) != sizeof(header))
        return false;
    u8_t reply = raw->inet.base.family == ABI_AF_INET ? ICMP_ER : ICMP6_TYPE_EREP;
    return ICMPH_TYPE(&header) == reply && lwip_ntohs(header.id) == raw->inet.local_port;
}

static u8_t on_received(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *source)
{
    struct raw_socket *raw = arg;
    u16_t skip = ip_current_header_tot_len();

    assert_held(&net_lock);
    if (raw->is_ping && !is_echo_reply_for(raw, p, skip))
        return 0;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    if (!copy)
        return 0;
    if (raw->is_ping || raw->inet.base.family == ABI_AF_INET6)
        pbuf_remove_header(copy, skip);
    datagram_queue_push(&raw->inet, &raw->queue, copy, 0, source,
                        raw->inet.base.family == ABI_AF_INET6 && !raw->is_ping
                            ? (u16_t)raw->inet.base.protocol
                            : 0);
    return 0; /* not ours alone */
}

void socket_list_raw(struct socket_list *list)
{
    struct raw_socket *raw;

    list_for_each (raw, &raw_sockets, node) {
        const struct inet_socket *inet = &raw->inet;
        struct socket_row *row =
            raw->is_ping ? NULL : socket_list_next(list, &inet->local, &inet->base);
        if (!row)
            continue;
        row->remote = inet->remote;
        row->local_port = (uint16_t)inet->base.protocol;
        row->remote_port = inet->remote_port;
        row->state = inet->is_connected ? ABI_TCP_ESTABLISHED : ABI_TCP_CLOSE;
        row->unread = raw->queue.charge;
    }
}

/* ---- bind, connect ----------------------------------------------------------------------- */

static void apply(struct raw_socket *raw)
{
    struct raw_pcb *pcb = raw->pcb;
    const struct inet_socket *inet = &raw->inet;

    ip_set_option(pcb, SOF_REUSEADDR);
    if (inet->base.broadcast)
        ip_set_option(pcb, SOF_BROADCAST);
    else
        ip_reset_option(pcb, SOF_BROADCAST);
    if (inet->header_included)
        raw_set_flags(pcb, RAW_FLAGS_HDRINCL);
    else
        raw_clear_flags(pcb, RAW_FLAGS_HDRINCL);
    pcb->netif_idx = inet->netif_index;
    pcb->ttl = inet_ttl(inet);
    pcb->tos = (u8_t)inet->tos;
    raw_set_multicast_ttl(pcb, (u8_t)inet->multicast_ttl);
}

/* A ping socket's port is the identifier of its requests. */
static int take_identifier(struct raw_socket *raw, uint16_t wanted)
{
    if (!raw->is_ping || raw->inet.local_port)
        return 0;
    return ports_bind(&raw->inet, wanted);
}

static int bind_locked(struct raw_socket *raw, const ip_addr_t *ip, uint16_t port)
{
    struct inet_socket *inet = &raw->inet;

    if (!inet->freebind && !interface_may_bind(ip))
        return -EADDRNOTAVAIL;
    inet->local = *ip;
    inet->has_bound_address = !ip_addr_isany(ip);
    int err = take_identifier(raw, port);
    return err ? err : inet_error(raw_bind(raw->pcb, ip));
}

static int raw_socket_bind(struct socket *sock, const struct socket_address *address)
{
    struct raw_socket *raw = raw_of(sock);
    ip_addr_t ip;
    uint16_t port;

    int err = address_to_ip(sock->family, address, &ip, &port);
    if (err)
        return err;
    net_begin();
    err = bind_locked(raw, &ip, port);
    net_end();
    return err;
}

static int raw_socket_connect(struct socket *sock, const struct socket_address *address,
                              bool nonblock)
{
    struct raw_socket *raw = raw_of(sock);
    struct inet_socket *inet = &raw->inet;
    ip_addr_t ip = { 0 };
    uint16_t port = 0;
    int err = 0;

    if (address->len < sizeof(address->family))
        return -EINVAL;
    bool is_connect = address->family != ABI_AF_UNSPEC;
    if (is_connect)
        err = inet_destination(inet, address, &ip, &port);
    if (err)
        return err;
    net_begin();
    if (is_connect) {
        err = inet_route(inet, &ip) ? take_identifier(raw, 0) : -ENETUNREACH;
        if (!err)
            err = inet_error(raw_connect(raw->pcb, &ip));
        inet->remote = ip;
        inet->remote_port = port;
    } else {
        raw_disconnect(raw->pcb);
    }
    if (!err)
        inet->is_connected = is_connect;
    net_end();
    return err;
}

/* ---- send --------------------------------------------------------------------------------- */

/* Linux fills in what a ping socket leaves open: the identifier, and the checksum in IPv4. */
static int finish_echo(const struct raw_socket *raw, struct pbuf *p)
{
    struct icmp_echo_hdr *header = p->payload;
    bool is_v4 = raw->inet.base.family == ABI_AF_INET;

    if (p->len < sizeof(*header))
        return -EINVAL;
    if (ICMPH_TYPE(header) != (is_v4 ? ICMP_ECHO : ICMP6_TYPE_EREQ) || ICMPH_CODE(header) != 0)
        return -EINVAL;
    header->id = lwip_htons(raw->inet.local_port);
    header->chksum = 0;
    if (is_v4)
        header->chksum = inet_chksum_pbuf(p);
    return 0;
}

static void count_icmp(const struct raw_socket *raw, const struct pbuf *p)
{
    const struct inet_socket *inet = &raw->inet;

    if (inet->base.family != ABI_AF_INET || inet->base.protocol != ABI_IPPROTO_ICMP ||
        inet->header_included)
        return;
    MIB2_STATS_INC(mib2.icmpoutmsgs);
    if (pbuf_get_at(p, 0) == ICMP_ECHO)
        MIB2_STATS_INC(mib2.icmpoutechos);
}

static int send_locked(struct raw_socket *raw, struct pbuf *p, const ip_addr_t *ip,
                       const struct datagram_route *route)
{
    struct inet_socket *inet = &raw->inet;

    int err = take_identifier(raw, 0);
    if (!err && raw->is_ping)
        err = finish_echo(raw, p);
    if (err)
        return err;
    struct netif *netif =
        route->netif_index ? interface_by_index(route->netif_index) : inet_route(inet, ip);
    if (!netif || !netif_is_up(netif))
        return -ENETUNREACH;
    if (!inet->base.broadcast && IP_IS_V4_VAL(*ip) && ip4_addr_isbroadcast(ip_2_ip4(ip), netif))
        return -EACCES;
    const ip_addr_t *source =
        ip_addr_isany(&route->source) ? ip_netif_get_local_ip(netif, ip) : &route->source;
    if (!source)
        return -EADDRNOTAVAIL;
    apply(raw);
    if (route->ttl >= 0)
        raw->pcb->ttl = raw->pcb->mcast_ttl = (u8_t)route->ttl;
    if (route->tos >= 0)
        raw->pcb->tos = (u8_t)route->tos;
    count_icmp(raw, p);
    err_t result = raw_sendto_if_src(raw->pcb, p, ip, netif, source);
    return result == ERR_MEM || result == ERR_IF ? 0 : inet_error(result);
}

static int resolve(const struct raw_socket *raw, const struct message *message, ip_addr_t *ip,
                   struct datagram_route *route)
{
    const struct inet_socket *inet = &raw->inet;
    uint16_t port;

    *route = (struct datagram_route){ .ttl = -1, .tos = -1 };
    if (inet->has_bound_address)
        route->source = inet->local;
    if (message->address && message->address->len) {
        int err = inet_destination(inet, message->address, ip, &port);
        if (err)
            return err;
    } else if (inet->is_connected) {
        *ip = inet->remote;
    } else {
        return -EDESTADDRREQ;
    }
    return datagram_parse_control(message, route);
}

static long raw_socket_send(struct socket *sock, struct message *message)
{
    struct raw_socket *raw = raw_of(sock);
    struct datagram_route route;
    struct pbuf *p;
    ip_addr_t ip;

    if (message->flags & ABI_MSG_OOB)
        return -EOPNOTSUPP;
    int err = resolve(raw, message, &ip, &route);
    if (err)
        return err;
    size_t len = message->io->remaining;
    err = datagram_copy_in(message, RAW_PAYLOAD_MAX, &p);
    if (err)
        return err;
    net_begin();
    err = send_locked(raw, p, &ip, &route);
    pbuf_free(p);
    net_end();
    return err ? err : (long)len;
}

/* ---- The rest ------------------------------------------------------------------------------- */

static long raw_socket_receive(struct socket *sock, struct message *message)
{
    struct raw_socket *raw = raw_of(sock);

    if (message->flags & ABI_MSG_OOB)
        return -EOPNOTSUPP;
    return datagram_queue_receive(&raw->inet, &raw->queue, message);
}

static unsigned raw_socket_poll(struct socket *sock)
{
    struct raw_socket *raw = raw_of(sock);
    unsigned events = ABI_POLLOUT | ABI_POLLWRNORM;

    if (!datagram_queue_is_empty(&raw->queue))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (__atomic_load_n(&sock->error, __ATOMIC_ACQUIRE))
        events |= ABI_POLLERR;
    return events;
}

static int raw_socket_shutdown(struct socket *sock, unsigned how)
{
    __atomic_or_fetch(&sock->shutdown, how, __ATOMIC_ACQ_REL);
    socket_wake(sock, ABI_POLLIN | ABI_POLLHUP);
    return inet_of(sock)->is_connected ? 0 : -ENOTCONN;
}

static int raw_socket_set_option(struct socket *sock, int level, int name, const void *value,
                                 unsigned len)
{
    if (level == ABI_SOL_RAW || level == ABI_SOL_ICMPV6)
        return name == ABI_ICMP_FILTER ? 0 : -ENOPROTOOPT; /* receivers must check types anyway */
    return inet_set_option(sock, level, name, value, len);
}

static long raw_socket_ioctl(struct socket *sock, unsigned command, unsigned long arg)
{
    struct raw_socket *raw = raw_of(sock);
    int value = 0;

    if (command == ABI_FIONREAD)
        value = (int)datagram_queue_next_len(&raw->inet, &raw->queue);
    else if (command != ABI_TIOCOUTQ)
        return -ENOTTY;
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

static void raw_socket_close(struct socket *sock)
{
    struct raw_socket *raw = raw_of(sock);

    net_begin();
    raw_remove(raw->pcb);
    raw_socket_count--;
    list_remove(&raw->node);
    raw->pcb = NULL;
    datagram_queue_clear(&raw->queue);
    inet_close(&raw->inet);
    net_end();
}

static void raw_socket_destroy(struct socket *sock)
{
    socket_teardown(sock);
    kfree(raw_of(sock));
}

static const struct socket_ops raw_socket_ops = {
    .bind = raw_socket_bind,
    .connect = raw_socket_connect,
    .name = inet_name,
    .send = raw_socket_send,
    .receive = raw_socket_receive,
    .shutdown = raw_socket_shutdown,
    .poll = raw_socket_poll,
    .set_option = raw_socket_set_option,
    .get_option = inet_get_option,
    .ioctl = raw_socket_ioctl,
    .has_filter = true,
    .close = raw_socket_close,
    .destroy = raw_socket_destroy,
};

static int open_pcb(struct raw_socket *raw)
{
    const struct socket *sock = &raw->inet.base;
    u8_t type = sock->family == ABI_AF_INET ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6;

    raw->pcb = raw_new_ip_type(type, (u8_t)sock->protocol);
    if (!raw->pcb)
        return -ENOBUFS;
    raw_socket_count++;
    list_push_back(&raw_sockets, &raw->node);
    if (sock->family == ABI_AF_INET6 && sock->protocol == ABI_IPPROTO_ICMPV6) {
        raw->pcb->chksum_reqd = 1; /* RFC 3542, 3.1 */
        raw->pcb->chksum_offset = 2;
    }
    raw->inet.header_included = sock->protocol == ABI_IPPROTO_RAW;
    raw_recv(raw->pcb, on_received, raw);
    return 0;
}

int raw_socket_create(int family, int type, int protocol, struct socket **out)
{
    const struct process *process = process_current();
    bool is_ping = type == ABI_SOCK_DGRAM;

    if (!is_ping && process && !(process->creds.cap_effective & 1ULL << ABI_CAP_NET_RAW))
        return -EPERM;
    if (protocol <= 0 || protocol > ABI_IPPROTO_RAW)
        return protocol == 0 ? -EPROTONOSUPPORT : -EINVAL;
    struct raw_socket *raw = kzalloc(sizeof(*raw), ALLOC_WAIT);
    if (!raw)
        return -ENOMEM;
    inet_setup(&raw->inet, &raw_socket_ops, family, type, protocol);
    datagram_queue_init(&raw->queue);
    raw->is_ping = is_ping;
    net_begin();
    int err = open_pcb(raw);
    net_end();
    if (err) {
        raw_socket_destroy(&raw->inet.base);
        return err;
    }
    *out = &raw->inet.base;
    return 0;
}
