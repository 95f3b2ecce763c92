// SPDX-License-Identifier: MIT
/*
 * NETLINK_ROUTE (rtnetlink(7)): links, addresses, routes and neighbours are told; nothing can be
 * changed.  getifaddrs(3), getaddrinfo(3), Go's net package and iproute2 ask for them.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/netdevice.h"
#include "lwip/etharp.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/priv/nd6_priv.h"
#include "net/address.h"
#include "net/inet.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/netlink.h"

#define OPER_UNKNOWN 0
#define OPER_DOWN    2
#define OPER_UP      6

/* ---- Links ------------------------------------------------------------------------------ */

static void put_stats(struct netlink_writer *writer, const struct netif *netif)
{
    const struct netdev *dev = netdev_of(netif);
    struct abi_rtnl_link_stats64 stats = { 0 };

    if (dev) {
        stats.rx_packets = dev->rx_packets;
        stats.rx_bytes = dev->rx_bytes;
        stats.rx_dropped = dev->rx_dropped;
        stats.tx_packets = dev->tx_packets;
        stats.tx_bytes = dev->tx_bytes;
        stats.tx_dropped = dev->tx_dropped;
    }
    netlink_attribute(writer, ABI_IFLA_STATS64, &stats, sizeof(stats));
}

static void put_link(struct netlink_writer *writer, const struct netif *netif)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    static const uint8_t none[6];
    const struct netdev *dev = netdev_of(netif);
    const char *name = netdev_name(netif);
    bool is_up = netif_is_link_up(netif);
    uint8_t state = !dev ? OPER_UNKNOWN : is_up ? OPER_UP : OPER_DOWN;
    uint8_t carrier = is_up;

    struct abi_ifinfomsg *info = netlink_begin(writer, ABI_RTM_NEWLINK, sizeof(*info));
    info->ifi_type = interface_type(netif);
    info->ifi_index = netif_get_index(netif);
    info->ifi_flags = interface_flags(netif);
    netlink_attribute(writer, ABI_IFLA_IFNAME, name, strlen(name) + 1);
    netlink_attribute32(writer, ABI_IFLA_TXQLEN, 1000);
    netlink_attribute(writer, ABI_IFLA_OPERSTATE, &state, 1);
    netlink_attribute32(writer, ABI_IFLA_MTU, interface_mtu(netif));
    netlink_attribute32(writer, ABI_IFLA_GROUP, 0);
    netlink_attribute(writer, ABI_IFLA_CARRIER, &carrier, 1);
    netlink_attribute(writer, ABI_IFLA_QDISC, "noqueue", 8);
    netlink_attribute(writer, ABI_IFLA_ADDRESS, dev ? netif->hwaddr : none, 6);
    netlink_attribute(writer, ABI_IFLA_BROADCAST, dev ? broadcast : none, 6);
    put_stats(writer, netif);
    netlink_end(writer);
}

/* The attribute of a request, behind a header of size bytes; its length in *len.  NULL: not there. */
static const void *find_attribute(const struct abi_nlmsghdr *request, size_t size, uint16_t type,
                                  size_t *len)
{
    const uint8_t *data = (const uint8_t *)request;
    size_t at = sizeof(*request) + ABI_NLMSG_ALIGN(size);

    while (at + sizeof(struct abi_rtattr) <= request->nlmsg_len) {
        const struct abi_rtattr *attribute = (const void *)(data + at);
        if (attribute->rta_len < sizeof(*attribute) || attribute->rta_len > request->nlmsg_len - at)
            return NULL;
        if (attribute->rta_type == type) {
            *len = attribute->rta_len - sizeof(*attribute);
            return attribute + 1;
        }
        at += ABI_NLMSG_ALIGN(attribute->rta_len);
    }
    return NULL;
}

static struct netif *find_link(const struct abi_nlmsghdr *request)
{
    const struct abi_ifinfomsg *info = (const void *)(request + 1);
    char name[ABI_IFNAMSIZ] = { 0 };
    size_t len = 0;

    if (request->nlmsg_len < sizeof(*request) + sizeof(*info))
        return NULL;
    if (info->ifi_index)
        return interface_by_index(info->ifi_index);
    const void *found = find_attribute(request, sizeof(*info), ABI_IFLA_IFNAME, &len);
    if (!found)
        return NULL;
    memcpy(name, found, MIN(len, sizeof(name) - 1));
    return netdev_find(name);
}

static int answer_links(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    struct netif *netif;

    if (!writer->is_multi) {
        netif = find_link(request);
        if (!netif)
            return -ENODEV;
        put_link(writer, netif);
        return 0;
    }
    /* lwIP lists the newest first. */
    for (int index = 1; index <= UINT8_MAX; index++) {
        netif = interface_by_index(index);
        if (netif)
            put_link(writer, netif);
    }
    return 0;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void put_lifetime(struct netlink_writer *writer, uint32_t preferred, uint32_t valid)
{
    struct abi_ifa_cacheinfo info = { .ifa_prefered = preferred, .ifa_valid = valid };
    netlink_attribute(writer, ABI_IFA_CACHEINFO, &info, sizeof(info));
}

static void put_address4(struct netlink_writer *writer, const struct netif *netif)
{
    uint32_t address = netif_ip4_addr(netif)->addr;
    const char *name = netdev_name(netif);

    struct abi_ifaddrmsg *info = netlink_begin(writer, ABI_RTM_NEWADDR, sizeof(*info));
    info->ifa_family = ABI_AF_INET;
    info->ifa_prefixlen = (uint8_t)interface_prefix(netif);
    info->ifa_flags = ABI_IFA_F_PERMANENT;
    info->ifa_scope = netdev_of(netif) ? ABI_RT_SCOPE_UNIVERSE : ABI_RT_SCOPE_HOST;
    info->ifa_index = netif_get_index(netif);
    netlink_attribute32(writer, ABI_IFA_ADDRESS, address);
    netlink_attribute32(writer, ABI_IFA_LOCAL, address);
    if (netdev_of(netif))
        netlink_attribute32(writer, ABI_IFA_BROADCAST, address | ~netif_ip4_netmask(netif)->addr);
    netlink_attribute(writer, ABI_IFA_LABEL, name, strlen(name) + 1);
    netlink_attribute32(writer, ABI_IFA_FLAGS, ABI_IFA_F_PERMANENT);
    put_lifetime(writer, UINT32_MAX, UINT32_MAX);
    netlink_end(writer);
}

static void put_address6(struct netlink_writer *writer, const struct netif *netif, s8_t i)
{
    const ip6_addr_t *address = netif_ip6_addr(netif, i);
    u8_t state = netif_ip6_addr_state(netif, i);
    u32_t valid = netif_ip6_addr_valid_life(netif, i);
    u32_t preferred = netif_ip6_addr_pref_life(netif, i);
    bool is_permanent = valid == IP6_ADDR_LIFE_STATIC;
    uint32_t flags = is_permanent ? ABI_IFA_F_PERMANENT : 0;

    if (ip6_addr_isinvalid(state))
        return;
    if (ip6_addr_istentative(state))
        flags |= ABI_IFA_F_TENTATIVE;
    struct abi_ifaddrmsg *info = netlink_begin(writer, ABI_RTM_NEWADDR, sizeof(*info));
    info->ifa_family = ABI_AF_INET6;
    info->ifa_prefixlen = netdev_of(netif) ? 64 : 128;
    info->ifa_flags = (uint8_t)flags;
    info->ifa_scope = !netdev_of(netif)               ? ABI_RT_SCOPE_HOST
                      : ip6_addr_islinklocal(address) ? ABI_RT_SCOPE_LINK
                                                      : ABI_RT_SCOPE_UNIVERSE;
    info->ifa_index = netif_get_index(netif);
    netlink_attribute(writer, ABI_IFA_ADDRESS, address->addr, 16);
    netlink_attribute32(writer, ABI_IFA_FLAGS, flags);
    put_lifetime(writer, is_permanent ? UINT32_MAX : preferred, is_permanent ? UINT32_MAX : valid);
    netlink_end(writer);
}

/* The address family of a request: all of them begin with it. */
static int family_of(const struct abi_nlmsghdr *request)
{
    return request->nlmsg_len > sizeof(*request) ? *(const uint8_t *)(request + 1) : ABI_AF_UNSPEC;
}

static bool wants(int family, int which)
{
    return family == ABI_AF_UNSPEC || family == which;
}

static int answer_addresses(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    int family = family_of(request);

    if (!writer->is_multi)
        return -EOPNOTSUPP;
    for (int index = 1; wants(family, ABI_AF_INET) && index <= UINT8_MAX; index++) {
        const struct netif *netif = interface_by_index(index);
        if (netif && interface_has_ip4(netif))
            put_address4(writer, netif);
    }
    for (int index = 1; wants(family, ABI_AF_INET6) && index <= UINT8_MAX; index++) {
        const struct netif *netif = interface_by_index(index);
        for (s8_t i = 0; netif && i < LWIP_IPV6_NUM_ADDRESSES; i++)
            put_address6(writer, netif, i);
    }
    return 0;
}

/* ---- Routes -------------------------------------------------------------------------------------- */

static struct abi_rtmsg *begin_route(struct netlink_writer *writer, int family, unsigned prefix)
{
    struct abi_rtmsg *route = netlink_begin(writer, ABI_RTM_NEWROUTE, sizeof(*route));

    route->rtm_family = (uint8_t)family;
    route->rtm_dst_len = (uint8_t)prefix;
    route->rtm_table = ABI_RT_TABLE_MAIN;
    route->rtm_protocol = ABI_RTPROT_KERNEL;
    route->rtm_scope = ABI_RT_SCOPE_LINK;
    route->rtm_type = ABI_RTN_UNICAST;
    return route;
}

static void end_route(struct netlink_writer *writer, const struct netif *netif)
{
    netlink_attribute32(writer, ABI_RTA_TABLE, ABI_RT_TABLE_MAIN);
    netlink_attribute32(writer, ABI_RTA_OIF, netif_get_index(netif));
    netlink_end(writer);
}

static void put_routes4(struct netlink_writer *writer, const struct netif *netif)
{
    uint32_t address = netif_ip4_addr(netif)->addr;
    uint32_t mask = netif_ip4_netmask(netif)->addr;
    uint32_t gateway = netif_ip4_gw(netif)->addr;

    if (gateway && netif == netif_default) {
        struct abi_rtmsg *route = begin_route(writer, ABI_AF_INET, 0);
        route->rtm_protocol = ABI_RTPROT_BOOT;
        route->rtm_scope = ABI_RT_SCOPE_UNIVERSE;
        netlink_attribute32(writer, ABI_RTA_GATEWAY, gateway);
        end_route(writer, netif);
    }
    begin_route(writer, ABI_AF_INET, interface_prefix(netif));
    netlink_attribute32(writer, ABI_RTA_DST, address & mask);
    netlink_attribute32(writer, ABI_RTA_PREFSRC, address);
    end_route(writer, netif);
}

static void put_routes6(struct netlink_writer *writer, const struct netif *netif)
{
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        uint32_t prefix[4] = { 0 };
        if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
            continue;
        memcpy(prefix, netif_ip6_addr(netif, i)->addr, 8);
        begin_route(writer, ABI_AF_INET6, 64);
        netlink_attribute(writer, ABI_RTA_DST, prefix, 16);
        netlink_attribute32(writer, ABI_RTA_PRIORITY, 256);
        end_route(writer, netif);
    }
}

static void put_routers6(struct netlink_writer *writer)
{
    for (size_t i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
        const struct nd6_neighbor_cache_entry *entry = default_router_list[i].neighbor_entry;
        if (!entry || !entry->netif)
            continue;
        struct abi_rtmsg *route = begin_route(writer, ABI_AF_INET6, 0);
        route->rtm_scope = ABI_RT_SCOPE_UNIVERSE;
        netlink_attribute(writer, ABI_RTA_GATEWAY, entry->next_hop_address.addr, 16);
        netlink_attribute32(writer, ABI_RTA_PRIORITY, 1024);
        end_route(writer, entry->netif);
    }
}

/* "ip route get": the way to one destination. */
static int answer_one_route(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    size_t len = 0;
    ip_addr_t to;

    if (request->nlmsg_len < sizeof(*request) + sizeof(struct abi_rtmsg))
        return -EINVAL;
    const void *found = find_attribute(request, sizeof(struct abi_rtmsg), ABI_RTA_DST, &len);
    if (!found || family_of(request) != ABI_AF_INET || len != 4)
        return -EOPNOTSUPP;
    uint32_t address;
    memcpy(&address, found, 4);
    address_ip4(&to, address);
    const struct netif *netif = ip4_route(ip_2_ip4(&to));
    if (!netif)
        return -ENETUNREACH;
    bool is_near = ip4_addr_netcmp(ip_2_ip4(&to), netif_ip4_addr(netif), netif_ip4_netmask(netif));
    struct abi_rtmsg *route = begin_route(writer, ABI_AF_INET, 32);
    route->rtm_scope = ABI_RT_SCOPE_UNIVERSE;
    if (!netdev_of(netif))
        route->rtm_type = ABI_RTN_LOCAL;
    netlink_attribute32(writer, ABI_RTA_DST, address);
    if (!is_near && netif_ip4_gw(netif)->addr)
        netlink_attribute32(writer, ABI_RTA_GATEWAY, netif_ip4_gw(netif)->addr);
    netlink_attribute32(writer, ABI_RTA_PREFSRC, netif_ip4_addr(netif)->addr);
    end_route(writer, netif);
    return 0;
}

static int answer_routes(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    int family = family_of(request);

    if (!writer->is_multi)
        return answer_one_route(writer, request);
    for (int index = 1; index <= UINT8_MAX; index++) {
        const struct netif *netif = interface_by_index(index);
        if (!netif || !netdev_of(netif))
            continue;
        if (wants(family, ABI_AF_INET) && interface_has_ip4(netif))
            put_routes4(writer, netif);
        if (wants(family, ABI_AF_INET6))
            put_routes6(writer, netif);
    }
    if (wants(family, ABI_AF_INET6))
        put_routers6(writer);
    return 0;
}

/* ---- Neighbours ------------------------------------------------------------------------------------ */

static void put_neighbour(struct netlink_writer *writer, int family, const struct netif *netif,
                          uint16_t state, const void *address, const uint8_t *hardware)
{
    struct abi_ndmsg *neighbour = netlink_begin(writer, ABI_RTM_NEWNEIGH, sizeof(*neighbour));

    neighbour->ndm_family = (uint8_t)family;
    neighbour->ndm_ifindex = netif_get_index(netif);
    neighbour->ndm_state = state;
    neighbour->ndm_type = ABI_RTN_UNICAST;
    netlink_attribute(writer, ABI_NDA_DST, address, family == ABI_AF_INET ? 4 : 16);
    netlink_attribute(writer, ABI_NDA_LLADDR, hardware, 6);
    netlink_end(writer);
}

static int answer_neighbours(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    int family = family_of(request);
    struct netif *netif;
    struct eth_addr *hardware;
    ip4_addr_t *ip;

    if (!writer->is_multi)
        return -EOPNOTSUPP;
    for (size_t i = 0; wants(family, ABI_AF_INET) && i < ARP_TABLE_SIZE; i++) {
        if (etharp_get_entry(i, &ip, &netif, &hardware))
            put_neighbour(writer, ABI_AF_INET, netif, ABI_NUD_REACHABLE, &ip->addr, hardware->addr);
    }
    for (size_t i = 0; wants(family, ABI_AF_INET6) && i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        const struct nd6_neighbor_cache_entry *entry = &neighbor_cache[i];
        if (entry->state < ND6_REACHABLE || !entry->netif)
            continue;
        put_neighbour(writer, ABI_AF_INET6, entry->netif,
                      entry->state == ND6_REACHABLE ? ABI_NUD_REACHABLE : ABI_NUD_STALE,
                      entry->next_hop_address.addr, entry->lladdr);
    }
    return 0;
}

int rtnetlink_answer(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    int err;

    net_begin();
    switch (request->nlmsg_type) {
    case ABI_RTM_GETLINK:
        err = answer_links(writer, request);
        break;
    case ABI_RTM_GETADDR:
        err = answer_addresses(writer, request);
        break;
    case ABI_RTM_GETROUTE:
        err = answer_routes(writer, request);
        break;
    case ABI_RTM_GETNEIGH:
        err = answer_neighbours(writer, request);
        break;
    case ABI_RTM_GETRULE:
        err = writer->is_multi ? 0 : -EOPNOTSUPP; /* there are none */
        break;
    default:
        err = -EOPNOTSUPP;
        break;
    }
    net_end();
    return err;
}
