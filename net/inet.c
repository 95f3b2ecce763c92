// SPDX-License-Identifier: MIT
/*
 * Addresses of Internet sockets.
 *
 * AF_INET6 sockets speak IPv4 too unless IPV6_V6ONLY is set: IPv4-mapped addresses become IPv4
 * addresses at the border (net/address.c) and are shown mapped again on the way out.
 */
#include "net/inet.h"

#include "abi/errno.h"
#include "abi/inet.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "net/address.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/ports.h"

void inet_setup(struct inet_socket *inet, const struct socket_ops *ops, int family, int type,
                int protocol)
{
    static const uint32_t any[4];

    socket_setup(&inet->base, ops, family, type, protocol);
    list_init(&inet->port_node);
    list_init(&inet->memberships);
    if (family == ABI_AF_INET)
        address_ip4(&inet->local, 0);
    else
        address_ip6(&inet->local, any, 0);
    inet->remote = inet->local;
    inet->ttl = -1;
    inet->mtu_discover = 1;
    inet->multicast_ttl = 1;
    inet->multicast_loop = true;
    inet->multicast_all = true;
}

void inet_close(struct inet_socket *inet)
{
    assert_held(&net_lock);
    inet_leave_groups(inet);
    ports_release(inet);
    list_remove(&inet->base.wake_node);
    inet->base.wake_events = 0;
}

/* What bind(2) says about an address of the wrong kind. */
static int check_family(const struct inet_socket *inet, const struct socket_address *address,
                        ip_addr_t *ip, uint16_t *port)
{
    int family = inet->base.family;

    int err = address_to_ip(family, address, ip, port);
    if (err == -EAFNOSUPPORT && family == ABI_AF_INET && address->family == ABI_AF_UNSPEC &&
        address_get_ip4(ip) == 0) {
        /* Old programs leave the family out: INADDR_ANY only. */
        struct socket_address named = *address;
        named.family = ABI_AF_INET;
        err = address_to_ip(family, &named, ip, port);
        if (!err && !ip_addr_isany(ip))
            err = -EAFNOSUPPORT;
    }
    if (err)
        return err;
    if (family == ABI_AF_INET6 && IP_IS_V4_VAL(*ip) && inet->v6only)
        return -EINVAL;
    return 0;
}

static int bind_locked(struct inet_socket *inet, const ip_addr_t *ip, uint16_t port)
{
    if (inet->local_port || inet->is_connected)
        return -EINVAL;
    if (!inet->freebind && !interface_may_bind(ip))
        return -EADDRNOTAVAIL;
    ip_addr_t old = inet->local;
    inet->local = *ip;
    int err = ports_bind(inet, port);
    if (err) {
        inet->local = old;
        return err;
    }
    inet->has_bound_port = port != 0;
    inet->has_bound_address = !ip_addr_isany(ip);
    return 0;
}

int inet_bind(struct inet_socket *inet, const struct socket_address *address)
{
    ip_addr_t ip = { 0 };
    uint16_t port;

    int err = check_family(inet, address, &ip, &port);
    if (err)
        return err;
    net_begin();
    err = bind_locked(inet, &ip, port);
    net_end();
    return err;
}

int inet_destination(const struct inet_socket *inet, const struct socket_address *address,
                     ip_addr_t *ip, uint16_t *port)
{
    static const uint32_t loopback[4] = { 0, 0, 0, PP_HTONL(1) };

    int err = address_to_ip(inet->base.family, address, ip, port);
    if (err == -EAFNOSUPPORT && inet->base.family == ABI_AF_INET6 &&
        address->family == ABI_AF_INET && inet->base.type != ABI_SOCK_STREAM)
        err = address_to_ip(ABI_AF_INET, address, ip, port); /* as Linux allows for datagrams */
    if (err)
        return err;
    if (IP_IS_V4_VAL(*ip) && inet->base.family == ABI_AF_INET6 && inet->v6only)
        return -ENETUNREACH;
    if (ip_addr_isany(ip)) {
        if (IP_IS_V4_VAL(*ip))
            address_ip4(ip, PP_HTONL(IPADDR_LOOPBACK));
        else
            address_ip6(ip, loopback, 0);
    }
    return 0;
}

int inet_name(struct socket *sock, bool is_peer, struct socket_address *address)
{
    struct inet_socket *inet = inet_of(sock);
    int err = 0;

    net_begin();
    if (!is_peer)
        address_from_ip(sock->family, &inet->local, inet->local_port, address);
    else if (inet->is_connected)
        address_from_ip(sock->family, &inet->remote, inet->remote_port, address);
    else
        err = -ENOTCONN;
    net_end();
    return err;
}

void inet_receive_address(const struct inet_socket *inet, ip_addr_t *ip)
{
    *ip = inet->local;
    if (inet->base.family == ABI_AF_INET6 && IP_IS_V6_VAL(*ip) && ip_addr_isany(ip) &&
        !inet->v6only)
        IP_SET_TYPE(ip, IPADDR_TYPE_ANY);
}

struct netif *inet_route(const struct inet_socket *inet, const ip_addr_t *ip)
{
    assert_held(&net_lock);
    if (inet->netif_index)
        return netif_get_by_index(inet->netif_index);
    if (ip_addr_ismulticast(ip) && inet->multicast_index)
        return interface_by_index(inet->multicast_index);
    if (IP_IS_V6_VAL(*ip))
        return ip6_route(IP_IS_V6_VAL(inet->local) ? ip_2_ip6(&inet->local) : IP6_ADDR_ANY6,
                         ip_2_ip6(ip));
    return ip4_route(ip_2_ip4(ip));
}

int inet_error(err_t err)
{
    switch (err) {
    case ERR_OK:
        return 0;
    case ERR_MEM:
    case ERR_BUF:
        return -ENOBUFS;
    case ERR_RTE:
        return -ENETUNREACH;
    case ERR_USE:
        return -EADDRNOTAVAIL;
    case ERR_ISCONN:
        return -EISCONN;
    case ERR_CONN:
    case ERR_CLSD:
        return -ENOTCONN;
    case ERR_IF:
        return -ENETDOWN;
    case ERR_VAL:
    case ERR_ARG:
    default:
        return -EINVAL;
    }
}

uint8_t inet_ttl(const struct inet_socket *inet)
{
    return inet->ttl < 0 ? IP_DEFAULT_TTL : (uint8_t)inet->ttl;
}
