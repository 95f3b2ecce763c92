// SPDX-License-Identifier: MIT
/*
 * UDP sockets, and UDP-Lite's (net/udplite.c).
 */
#include "lwip/udp.h"

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "net/address.h"
#include "net/datagram.h"
#include "net/interface.h"
#include "net/message.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/ports.h"
#include "net/udplite.h"

#define UDP_PAYLOAD_MAX4 65507u
#define UDP_PAYLOAD_MAX6 65487u /* with its header it has to fit into a pbuf */

struct udp_socket {
    struct inet_socket inet;
    struct udp_pcb *pcb; /* [n] */
    struct udplite lite;
    struct datagram_queue queue;
};

static struct udp_socket *udp_of(struct socket *sock)
{
    return container_of(sock, struct udp_socket, inet.base);
}

/* ---- Arrivals ------------------------------------------------------------------------- */

static void on_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *source,
                        u16_t port)
{
    struct udp_socket *udp = arg;

    assert_held(&net_lock);
    if (udp->inet.base.reuse_port && !udp->inet.is_connected &&
        !ip_addr_ismulticast(ip_current_dest_addr())) {
        uint32_t hash = (address_get_ip4(source) ^ port) * 2654435761u;
        udp = container_of(ports_share(&udp->inet, hash >> 16), struct udp_socket, inet);
    }
    if (!udplite_accepts(&udp->lite, p)) {
        pbuf_free(p);
        return;
    }
    datagram_queue_push(&udp->inet, &udp->queue, p, UDP_HLEN, source, port);
}

/* ---- bind, connect --------------------------------------------------------------------------- */

/* The PCB as the socket's options and address want it. */
static void apply(struct udp_socket *udp)
{
    struct udp_pcb *pcb = udp->pcb;
    const struct inet_socket *inet = &udp->inet;

    ip_set_option(pcb, SOF_REUSEADDR); /* net/ports.c has made lwIP's check */
    if (inet->base.broadcast)
        ip_set_option(pcb, SOF_BROADCAST);
    else
        ip_reset_option(pcb, SOF_BROADCAST);
    pcb->netif_idx = inet->netif_index;
    pcb->ttl = inet_ttl(inet);
    pcb->tos = (u8_t)inet->tos;
    udp_set_multicast_ttl(pcb, (u8_t)inet->multicast_ttl);
    if (inet->multicast_loop)
        udp_set_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
    else
        udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
    pcb->chksum_len_tx = udp->lite.coverage;
    if (inet->base.no_check)
        udp_set_flags(pcb, UDP_FLAGS_NOCHKSUM);
}

/* The socket has its port: lwIP may deliver to it. */
static int enter(struct udp_socket *udp)
{
    ip_addr_t address;

    inet_receive_address(&udp->inet, &address);
    apply(udp);
    return inet_error(udp_bind(udp->pcb, &address, udp->inet.local_port));
}

static int udp_socket_bind(struct socket *sock, const struct socket_address *address)
{
    struct udp_socket *udp = udp_of(sock);

    int err = inet_bind(&udp->inet, address);
    if (err)
        return err;
    net_begin();
    err = enter(udp);
    net_end();
    return err;
}

static int bind_any(struct udp_socket *udp)
{
    if (udp->inet.local_port)
        return 0;
    int err = ports_bind(&udp->inet, 0);
    return err ? err : enter(udp);
}

static int disconnect(struct udp_socket *udp)
{
    struct inet_socket *inet = &udp->inet;
    static const uint32_t any[4];

    udp_disconnect(udp->pcb);
    inet->is_connected = false;
    inet->remote_port = 0;
    if (!inet->has_bound_address) {
        if (inet->base.family == ABI_AF_INET)
            address_ip4(&inet->local, 0);
        else
            address_ip6(&inet->local, any, 0);
    }
    if (!inet->has_bound_port && inet->local_port) {
        ports_release(inet);
        inet->local_port = 0;
        udp->pcb->local_port = 0;
    }
    return 0;
}

/* Which of our addresses packets to ip come from. */
static int choose_source(struct inet_socket *inet, const ip_addr_t *ip, ip_addr_t *source)
{
    struct netif *netif = inet_route(inet, ip);
    if (!netif)
        return -ENETUNREACH;
    const ip_addr_t *found = ip_netif_get_local_ip(netif, ip);
    if (!found)
        return -EADDRNOTAVAIL;
    *source = *found;
    return 0;
}

static int connect_locked(struct udp_socket *udp, const ip_addr_t *ip, uint16_t port)
{
    struct inet_socket *inet = &udp->inet;
    ip_addr_t source;

    if (inet->is_connected)
        disconnect(udp);
    int err = choose_source(inet, ip, &source);
    if (!err)
        err = bind_any(udp);
    if (!err)
        err = inet_error(udp_connect(udp->pcb, ip, port));
    if (err)
        return err;
    if (!inet->has_bound_address)
        inet->local = source;
    inet->remote = *ip;
    inet->remote_port = port;
    inet->is_connected = true;
    return 0;
}

static int udp_socket_connect(struct socket *sock, const struct socket_address *address,
                              bool nonblock)
{
    struct udp_socket *udp = udp_of(sock);
    ip_addr_t ip;
    uint16_t port;
    int err;

    if (address->len < sizeof(address->family))
        return -EINVAL;
    if (address->family == ABI_AF_UNSPEC) {
        net_begin();
        err = disconnect(udp);
        net_end();
        return err;
    }
    err = inet_destination(&udp->inet, address, &ip, &port);
    if (err)
        return err;
    net_begin();
    err = connect_locked(udp, &ip, port);
    net_end();
    return err;
}

/* ---- send -------------------------------------------------------------------------------------- */

static bool is_forbidden_broadcast(const struct udp_socket *udp, const ip_addr_t *ip,
                                   struct netif *netif)
{
    return !udp->inet.base.broadcast && IP_IS_V4_VAL(*ip) &&
           ip4_addr_isbroadcast(ip_2_ip4(ip), netif);
}

static struct netif *route_packet(const struct udp_socket *udp, const ip_addr_t *ip,
                                  const struct datagram_route *route)
{
    if (route->netif_index)
        return interface_by_index(route->netif_index);
    return inet_route(&udp->inet, ip);
}

static err_t output(struct udp_socket *udp, struct pbuf *p, const ip_addr_t *ip, uint16_t port,
                    struct netif *netif, const struct datagram_route *route)
{
    struct udp_pcb *pcb = udp->pcb;
    /* What devices cannot do: a checksum over fragments, or over a part. */
    bool is_software = udp->lite.is_lite || (netif->mtu && p->tot_len + 48 > netif->mtu);
    err_t err;

    apply(udp);
    if (route->ttl >= 0)
        pcb->ttl = pcb->mcast_ttl = (u8_t)route->ttl;
    if (route->tos >= 0)
        pcb->tos = (u8_t)route->tos;
    if (is_software)
        netdev_force_udp_checksum(netif, true);
    if (ip_addr_isany(&route->source))
        err = udp_sendto_if(pcb, p, ip, port, netif);
    else
        err = udp_sendto_if_src(pcb, p, ip, port, netif, &route->source);
    if (is_software)
        netdev_force_udp_checksum(netif, false);
    return err;
}

static int send_locked(struct udp_socket *udp, struct pbuf *p, const ip_addr_t *ip, uint16_t port,
                       const struct datagram_route *route)
{
    int err = bind_any(udp);
    if (err)
        return err;
    struct netif *netif = route_packet(udp, ip, route);
    if (!netif || !netif_is_up(netif))
        return -ENETUNREACH;
    if (is_forbidden_broadcast(udp, ip, netif))
        return -EACCES;
    err_t result = output(udp, p, ip, port, netif, route);
    if (result == ERR_MEM || result == ERR_IF)
        return 0; /* lost on the way out, as on any other way */
    return result == ERR_VAL ? -ENETUNREACH : inet_error(result);
}

/* Where the message goes, and from where. */
static int resolve(struct udp_socket *udp, const struct message *message, ip_addr_t *ip,
                   uint16_t *port, struct datagram_route *route)
{
    const struct inet_socket *inet = &udp->inet;

    *route = (struct datagram_route){ .ttl = -1, .tos = -1 };
    if (inet->has_bound_address && !ip_addr_ismulticast(&inet->local))
        route->source = inet->local;
    if (message->address && message->address->len) {
        if (message->address->family == ABI_AF_UNSPEC && inet->base.family == ABI_AF_INET6 &&
            inet->is_connected) {
            *ip = inet->remote;
            *port = inet->remote_port;
        } else {
            int err = inet_destination(inet, message->address, ip, port);
            if (err)
                return err;
            if (*port == 0)
                return -EINVAL;
        }
    } else if (inet->is_connected) {
        *ip = inet->remote;
        *port = inet->remote_port;
    } else {
        return -EDESTADDRREQ;
    }
    return datagram_parse_control(message, route);
}

static long udp_socket_send(struct socket *sock, struct message *message)
{
    struct udp_socket *udp = udp_of(sock);
    struct datagram_route route;
    struct pbuf *p;
    ip_addr_t ip;
    uint16_t port;

    if (message->flags & ABI_MSG_OOB)
        return -EOPNOTSUPP;
    bool is_shut = socket_is_shut(sock, SHUTDOWN_WRITE);
    int err = is_shut ? 0 : socket_take_error(sock);
    if (!err)
        err = resolve(udp, message, &ip, &port, &route);
    if (!err && is_shut)
        err = -EPIPE;
    if (err)
        return err;
    size_t len = message->io->remaining;
    err = datagram_copy_in(message, IP_IS_V4_VAL(ip) ? UDP_PAYLOAD_MAX4 : UDP_PAYLOAD_MAX6, &p);
    if (err)
        return err;
    net_begin();
    err = send_locked(udp, p, &ip, port, &route);
    pbuf_free(p);
    net_end();
    return err ? err : (long)len;
}

/* ---- The rest ------------------------------------------------------------------------------------ */

static long udp_socket_receive(struct socket *sock, struct message *message)
{
    struct udp_socket *udp = udp_of(sock);
    return datagram_queue_receive(&udp->inet, &udp->queue, message);
}

static int udp_socket_shutdown(struct socket *sock, unsigned how)
{
    /* Unconnected ones too: Linux wakes their receivers, and complains nevertheless. */
    __atomic_or_fetch(&sock->shutdown, how, __ATOMIC_ACQ_REL);
    socket_wake(sock, ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP | ABI_POLLOUT | ABI_POLLHUP);
    return inet_of(sock)->is_connected ? 0 : -ENOTCONN;
}

static unsigned udp_socket_poll(struct socket *sock)
{
    struct udp_socket *udp = udp_of(sock);
    unsigned events = ABI_POLLOUT | ABI_POLLWRNORM;

    if (!datagram_queue_is_empty(&udp->queue))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (__atomic_load_n(&sock->error, __ATOMIC_ACQUIRE))
        events |= ABI_POLLERR;
    if (socket_is_shut(sock, SHUTDOWN_READ))
        events |= ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP;
    if (socket_is_shut(sock, SHUTDOWN_BOTH))
        events |= ABI_POLLHUP;
    return events;
}

static int udp_socket_set_option(struct socket *sock, int level, int name, const void *value,
                                 unsigned len)
{
    if (level == ABI_SOL_UDP || level == ABI_SOL_UDPLITE)
        return udplite_set_option(&udp_of(sock)->lite, name, value, len);
    int err = inet_set_option(sock, level, name, value, len);
    if (err)
        return err;
    net_begin();
    apply(udp_of(sock));
    net_end();
    return 0;
}

static int udp_socket_get_option(struct socket *sock, int level, int name, void *value,
                                 unsigned *len)
{
    if (level == ABI_SOL_UDP || level == ABI_SOL_UDPLITE)
        return udplite_get_option(&udp_of(sock)->lite, name, value, len);
    return inet_get_option(sock, level, name, value, len);
}

static void udp_socket_option_changed(struct socket *sock, int name)
{
    net_begin();
    apply(udp_of(sock));
    net_end();
}

static long udp_socket_ioctl(struct socket *sock, unsigned command, unsigned long arg)
{
    struct udp_socket *udp = udp_of(sock);
    int value = 0;

    if (command == ABI_FIONREAD)
        value = (int)datagram_queue_next_len(&udp->inet, &udp->queue);
    else if (command != ABI_TIOCOUTQ)
        return -ENOTTY;
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

static void udp_socket_close(struct socket *sock)
{
    struct udp_socket *udp = udp_of(sock);

    net_begin();
    udp_remove(udp->pcb);
    udp->pcb = NULL;
    datagram_queue_clear(&udp->queue);
    inet_close(&udp->inet);
    net_end();
}

static void udp_socket_destroy(struct socket *sock)
{
    socket_teardown(sock);
    kfree(udp_of(sock));
}

static const struct socket_ops udp_socket_ops = {
    .bind = udp_socket_bind,
    .connect = udp_socket_connect,
    .name = inet_name,
    .send = udp_socket_send,
    .receive = udp_socket_receive,
    .shutdown = udp_socket_shutdown,
    .poll = udp_socket_poll,
    .set_option = udp_socket_set_option,
    .get_option = udp_socket_get_option,
    .option_changed = udp_socket_option_changed,
    .ioctl = udp_socket_ioctl,
    .has_filter = true,
    .close = udp_socket_close,
    .destroy = udp_socket_destroy,
};

int udp_socket_create(int family, int type, int protocol, struct socket **out)
{
    if (protocol == 0)
        protocol = ABI_IPPROTO_UDP;
    if (protocol != ABI_IPPROTO_UDP && protocol != ABI_IPPROTO_UDPLITE)
        return -EPROTONOSUPPORT;
    struct udp_socket *udp = kzalloc(sizeof(*udp), ALLOC_WAIT);
    if (!udp)
        return -ENOMEM;
    inet_setup(&udp->inet, &udp_socket_ops, family, type, protocol);
    udp->lite.is_lite = protocol == ABI_IPPROTO_UDPLITE;
    datagram_queue_init(&udp->queue);
    net_begin();
    udp->pcb = udp_new_ip_type(family == ABI_AF_INET ? IPADDR_TYPE_V4 : IPADDR_TYPE_ANY);
    if (udp->pcb)
        udp_recv(udp->pcb, on_received, udp);
    if (udp->pcb && udp->lite.is_lite)
        udp_set_flags(udp->pcb, UDP_FLAGS_UDPLITE);
    net_end();
    if (!udp->pcb) {
        udp_socket_destroy(&udp->inet.base);
        return -ENOBUFS;
    }
    *out = &udp->inet.base;
    return 0;
}
