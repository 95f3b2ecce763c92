// SPDX-License-Identifier: MIT
/*
 * The options of SOL_IP and SOL_IPV6 (ip(7), ipv6(7)), and SO_BINDTODEVICE.
 *
 * Many are stored and have an effect only where a packet is made or delivered; what lwIP cannot do
 * (fragmentation choices, IP options) is accepted where Linux programs set it out of habit.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "kernel/mm/heap.h"
#include "lwip/igmp.h"
#include "lwip/ip.h"
#include "lwip/mld6.h"
#include "lwip/netif.h"
#include "net/address.h"
#include "net/inet.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/timers.h"

/* ---- Groups -------------------------------------------------------------------------- */

struct membership {
    struct list node;
    ip_addr_t group;
    struct netif *netif;
};

static struct membership *find_membership(struct inet_socket *inet, const ip_addr_t *group,
                                          const struct netif *netif)
{
    struct membership *membership;

    list_for_each (membership, &inet->memberships, node) {
        if (membership->netif == netif && ip_addr_cmp_zoneless(&membership->group, group))
            return membership;
    }
    return NULL;
}

static void leave(struct membership *membership)
{
    if (IP_IS_V6_VAL(membership->group))
        mld6_leavegroup_netif(membership->netif, ip_2_ip6(&membership->group));
    else
        igmp_leavegroup_netif(membership->netif, ip_2_ip4(&membership->group));
    list_remove(&membership->node);
    kfree(membership);
}

void inet_leave_groups(struct inet_socket *inet)
{
    assert_held(&net_lock);
    while (!list_is_empty(&inet->memberships))
        leave(list_first(&inet->memberships, struct membership, node));
}

static err_t join_lwip(struct netif *netif, ip_addr_t *group)
{
    if (!(netif->flags & NETIF_FLAG_IGMP))
        return ERR_OK; /* loopback hears everything anyway */
    if (IP_IS_V6_VAL(*group)) {
        ip6_addr_assign_zone(ip_2_ip6(group), IP6_MULTICAST, netif);
        return mld6_joingroup_netif(netif, ip_2_ip6(group));
    }
    return igmp_joingroup_netif(netif, ip_2_ip4(group));
}

static int join(struct inet_socket *inet, const ip_addr_t *group, struct netif *netif)
{
    if (find_membership(inet, group, netif))
        return -EADDRINUSE;
    struct membership *membership = kzalloc(sizeof(*membership), ALLOC_ATOMIC);
    if (!membership)
        return -ENOBUFS;
    membership->group = *group;
    membership->netif = netif;
    err_t err = join_lwip(netif, &membership->group);
    if (err != ERR_OK) {
        kfree(membership);
        return -ENOBUFS;
    }
    list_push_back(&inet->memberships, &membership->node);
    timers_look_again();
    return 0;
}

static struct netif *group_interface(const struct inet_socket *inet, const ip_addr_t *group,
                                     int index, uint32_t address)
{
    struct netif *netif;

    if (index)
        return interface_by_index(index);
    if (address) {
        NETIF_FOREACH(netif)
        {
            if (netif_ip4_addr(netif)->addr == address)
                return netif;
        }
        return NULL;
    }
    netif = inet_route(inet, group);
    return netif ? netif : netif_default;
}

static int change_group(struct inet_socket *inet, const ip_addr_t *group, int index,
                        uint32_t address, bool is_join)
{
    if (!ip_addr_ismulticast(group))
        return -EINVAL;
    net_begin();
    struct netif *netif = group_interface(inet, group, index, address);
    int err = -ENODEV;
    if (netif && is_join) {
        err = join(inet, group, netif);
    } else if (netif) {
        struct membership *membership = find_membership(inet, group, netif);
        err = membership ? 0 : -EADDRNOTAVAIL;
        if (membership)
            leave(membership);
    }
    net_end();
    return err;
}

static int change_group4(struct inet_socket *inet, const void *value, unsigned len, bool is_join)
{
    struct abi_ip_mreqn request = { 0 };
    ip_addr_t group;

    if (len < 8)
        return -EINVAL;
    memcpy(&request, value, MIN(len, sizeof(request)));
    address_ip4(&group, request.imr_multiaddr);
    return change_group(inet, &group, request.imr_ifindex, request.imr_address, is_join);
}

static int change_group6(struct inet_socket *inet, const void *value, unsigned len, bool is_join)
{
    struct abi_ipv6_mreq request;
    ip_addr_t group;

    if (len < sizeof(request))
        return -EINVAL;
    memcpy(&request, value, sizeof(request));
    address_ip6(&group, request.ipv6mr_multiaddr, (unsigned)request.ipv6mr_interface);
    return change_group(inet, &group, request.ipv6mr_interface, 0, is_join);
}

/* struct group_req: an index, padding, a socket address. */
static int change_group_any(struct inet_socket *inet, const void *value, unsigned len, bool is_join)
{
    struct socket_address address = { .len = ABI_SOCKADDR_MAX };
    uint32_t index;
    uint16_t port;
    ip_addr_t group;

    if (len < 8 + ABI_SOCKADDR_MAX)
        return -EINVAL;
    memcpy(&index, value, sizeof(index));
    memcpy(address.bytes, (const uint8_t *)value + 8, ABI_SOCKADDR_MAX);
    int err = address_to_ip(inet->base.family, &address, &group, &port);
    return err ? err : change_group(inet, &group, (int)index, 0, is_join);
}

static int set_multicast_interface(struct inet_socket *inet, const void *value, unsigned len)
{
    struct abi_ip_mreqn request = { 0 };
    ip_addr_t any;

    if (len < 4)
        return -EINVAL;
    if (len >= 8)
        memcpy(&request, value, MIN(len, sizeof(request)));
    else
        memcpy(&request.imr_address, value, 4);
    inet->multicast_address = request.imr_address;
    if (!request.imr_ifindex && !request.imr_address) {
        inet->multicast_index = 0;
        return 0;
    }
    address_ip4(&any, 0);
    net_begin();
    struct netif *netif = group_interface(inet, &any, request.imr_ifindex, request.imr_address);
    if (netif)
        inet->multicast_index = netif_get_index(netif);
    net_end();
    return netif ? 0 : -EADDRNOTAVAIL;
}

/* ---- SO_BINDTODEVICE --------------------------------------------------------------------- */

static int bind_to_device(struct inet_socket *inet, const void *value, unsigned len)
{
    char name[ABI_IFNAMSIZ] = { 0 };

    memcpy(name, value, MIN(len, sizeof(name) - 1));
    if (!name[0]) {
        inet->netif_index = 0;
        return 0;
    }
    net_begin();
    struct netif *netif = netdev_find(name);
    if (netif)
        inet->netif_index = netif_get_index(netif);
    net_end();
    return netif ? 0 : -ENODEV;
}

static int get_device(struct inet_socket *inet, void *value, unsigned *len)
{
    char name[ABI_IFNAMSIZ] = { 0 };

    net_begin();
    struct netif *netif = inet->netif_index ? netif_get_by_index(inet->netif_index) : NULL;
    if (netif)
        memcpy(name, netdev_name(netif), MIN(strlen(netdev_name(netif)), sizeof(name) - 1));
    net_end();
    if (!name[0]) {
        *len = 0;
        return 0;
    }
    if (*len < ABI_IFNAMSIZ)
        return -EINVAL;
    return option_store(value, len, name, (unsigned)strlen(name) + 1);
}

/* ---- Numbers ----------------------------------------------------------------------------------- */

static int set_range(int *field, int value, int low, int high)
{
    if (value < low || value > high)
        return -EINVAL;
    WRITE_ONCE(*field, value);
    return 0;
}

static bool *find_switch4(struct inet_socket *inet, int name)
{
    switch (name) {
    case ABI_IP_PKTINFO:
        return &inet->want_pktinfo;
    case ABI_IP_RECVTTL:
        return &inet->want_ttl;
    case ABI_IP_RECVTOS:
        return &inet->want_tos;
    case ABI_IP_RECVERR:
        return &inet->want_error;
    case ABI_IP_RECVORIGDSTADDR:
        return &inet->want_destination;
    case ABI_IP_FREEBIND:
    case ABI_IP_TRANSPARENT:
        return &inet->freebind;
    case ABI_IP_BIND_ADDRESS_NO_PORT:
        return &inet->bind_without_port;
    case ABI_IP_MULTICAST_LOOP:
        return &inet->multicast_loop;
    case ABI_IP_MULTICAST_ALL:
        return &inet->multicast_all;
    case ABI_IP_HDRINCL:
        return inet->base.type == ABI_SOCK_RAW ? &inet->header_included : NULL;
    default:
        return NULL;
    }
}

/* May be given as one byte; some even as none, which is 0. */
static int small_int(int name, const void *value, unsigned len, int *out)
{
    *out = 0;
    if (len == 0)
        return name == ABI_IP_TTL || name == ABI_IP_FREEBIND || name == ABI_IP_MULTICAST_TTL ||
                       name == ABI_IP_MULTICAST_LOOP || name == ABI_IP_MULTICAST_ALL
                   ? -EINVAL
                   : 0;
    if (len < sizeof(*out)) {
        *out = *(const uint8_t *)value;
        return 0;
    }
    return option_int(value, len, out);
}

static int set_option4(struct inet_socket *inet, int name, const void *value, unsigned len)
{
    int number;

    switch (name) {
    case ABI_IP_ADD_MEMBERSHIP:
    case ABI_IP_DROP_MEMBERSHIP:
        return change_group4(inet, value, len, name == ABI_IP_ADD_MEMBERSHIP);
    case ABI_MCAST_JOIN_GROUP:
    case ABI_MCAST_LEAVE_GROUP:
        return change_group_any(inet, value, len, name == ABI_MCAST_JOIN_GROUP);
    case ABI_IP_MULTICAST_IF:
        return set_multicast_interface(inet, value, len);
    case ABI_IP_OPTIONS:
        return len == 0 ? 0 : -EINVAL;
    default:
        break;
    }
    int err = small_int(name, value, len, &number);
    if (err)
        return err;
    bool *on = find_switch4(inet, name);
    if (on) {
        WRITE_ONCE(*on, number != 0);
        return 0;
    }
    switch (name) {
    case ABI_IP_TTL:
        return number == 0 ? -EINVAL : set_range(&inet->ttl, number, -1, 255);
    case ABI_IP_TOS:
        return set_range(&inet->tos, number & 255, 0, 255);
    case ABI_IP_MULTICAST_TTL:
        if (inet->base.type == ABI_SOCK_STREAM)
            return -EINVAL;
        return set_range(&inet->multicast_ttl, number == -1 ? 1 : number, 0, 255);
    case ABI_IP_MTU_DISCOVER:
        return set_range(&inet->mtu_discover, number, 0, 5);
    case ABI_IP_RECVOPTS:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static bool *find_switch6(struct inet_socket *inet, int name)
{
    switch (name) {
    case ABI_IPV6_RECVPKTINFO:
        return &inet->want_pktinfo;
    case ABI_IPV6_RECVHOPLIMIT:
        return &inet->want_ttl;
    case ABI_IPV6_RECVTCLASS:
        return &inet->want_tos;
    case ABI_IPV6_RECVERR:
        return &inet->want_error;
    case ABI_IPV6_FREEBIND:
        return &inet->freebind;
    case ABI_IPV6_MULTICAST_LOOP:
        return &inet->multicast_loop;
    case ABI_IPV6_MULTICAST_ALL:
        return &inet->multicast_all;
    default:
        return NULL;
    }
}

static int set_option6(struct inet_socket *inet, int name, const void *value, unsigned len)
{
    int number;

    if (name == ABI_IPV6_ADD_MEMBERSHIP || name == ABI_IPV6_DROP_MEMBERSHIP)
        return change_group6(inet, value, len, name == ABI_IPV6_ADD_MEMBERSHIP);
    if (name == ABI_MCAST_JOIN_GROUP || name == ABI_MCAST_LEAVE_GROUP)
        return change_group_any(inet, value, len, name == ABI_MCAST_JOIN_GROUP);
    if (name == ABI_IPV6_MULTICAST_HOPS && inet->base.type == ABI_SOCK_STREAM)
        return -ENOPROTOOPT;
    int err = option_int(value, len, &number);
    if (err)
        return err;
    bool *on = find_switch6(inet, name);
    if (on) {
        WRITE_ONCE(*on, number != 0);
        return 0;
    }
    switch (name) {
    case ABI_IPV6_V6ONLY:
        if (inet->local_port)
            return -EINVAL;
        WRITE_ONCE(inet->v6only, number != 0);
        return 0;
    case ABI_IPV6_UNICAST_HOPS:
        return set_range(&inet->ttl, number, -1, 255);
    case ABI_IPV6_MULTICAST_HOPS:
        return set_range(&inet->multicast_ttl, number == -1 ? 1 : number, 0, 255);
    case ABI_IPV6_MULTICAST_IF:
        return set_range(&inet->multicast_index, number, 0, UINT8_MAX);
    case ABI_IPV6_TCLASS:
        return set_range(&inet->tos, number == -1 ? 0 : number, 0, 255);
    case ABI_IPV6_MTU_DISCOVER:
        return set_range(&inet->mtu_discover, number, 0, 5);
    case ABI_IPV6_DONTFRAG:
    case ABI_IPV6_MTU:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int inet_set_option(struct socket *sock, int level, int name, const void *value, unsigned len)
{
    struct inet_socket *inet = inet_of(sock);

    switch (level) {
    case ABI_SOL_IP:
        return set_option4(inet, name, value, len);
    case ABI_SOL_IPV6:
        return sock->family == ABI_AF_INET6 ? set_option6(inet, name, value, len) : -ENOPROTOOPT;
    case ABI_SOL_SOCKET:
        return bind_to_device(inet, value, len);
    default:
        return -ENOPROTOOPT;
    }
}

/* ---- getsockopt(2) -------------------------------------------------------------------------------- */

static int get_mtu(struct inet_socket *inet, int *value)
{
    int err = -ENOTCONN;

    net_begin();
    if (inet->is_connected) {
        struct netif *netif = inet_route(inet, &inet->remote);
        *value = netif ? (int)interface_mtu(netif) : 1500;
        err = 0;
    }
    net_end();
    return err;
}

static int get_number4(struct inet_socket *inet, int name, int *value)
{
    bool *on = find_switch4(inet, name);
    if (on) {
        *value = *on;
        return 0;
    }
    switch (name) {
    case ABI_IP_TTL:
        *value = inet_ttl(inet);
        return 0;
    case ABI_IP_TOS:
        *value = inet->tos;
        return 0;
    case ABI_IP_MULTICAST_TTL:
        *value = inet->multicast_ttl;
        return 0;
    case ABI_IP_MTU_DISCOVER:
        *value = inet->mtu_discover;
        return 0;
    case ABI_IP_MTU:
        return get_mtu(inet, value);
    case ABI_IP_RECVOPTS:
        *value = 0;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int get_number6(struct inet_socket *inet, int name, int *value)
{
    bool *on = find_switch6(inet, name);
    if (on) {
        *value = *on;
        return 0;
    }
    switch (name) {
    case ABI_IPV6_V6ONLY:
        *value = inet->v6only;
        return 0;
    case ABI_IPV6_UNICAST_HOPS:
        *value = inet_ttl(inet);
        return 0;
    case ABI_IPV6_MULTICAST_HOPS:
        *value = inet->multicast_ttl;
        return 0;
    case ABI_IPV6_MULTICAST_IF:
        *value = inet->multicast_index;
        return 0;
    case ABI_IPV6_TCLASS:
        *value = inet->tos;
        return 0;
    case ABI_IPV6_MTU_DISCOVER:
        *value = inet->mtu_discover;
        return 0;
    case ABI_IPV6_MTU:
        return get_mtu(inet, value);
    case ABI_IPV6_DONTFRAG:
        *value = 0;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int inet_get_option(struct socket *sock, int level, int name, void *value, unsigned *len)
{
    struct inet_socket *inet = inet_of(sock);
    int number = 0;
    int err = sock->family == ABI_AF_INET6 ? -ENOPROTOOPT : -EOPNOTSUPP; /* of another level */

    if (level == ABI_SOL_SOCKET)
        return get_device(inet, value, len);
    if (level == ABI_SOL_IP && name == ABI_IP_OPTIONS) {
        *len = 0;
        return 0;
    }
    if (level == ABI_SOL_IP && name == ABI_IP_MULTICAST_IF)
        return option_store(value, len, &inet->multicast_address, 4);
    if (level == ABI_SOL_IP)
        err = get_number4(inet, name, &number);
    else if (level == ABI_SOL_IPV6 && sock->family == ABI_AF_INET6)
        err = get_number6(inet, name, &number);
    return err ? err : option_store_int(value, len, number);
}
