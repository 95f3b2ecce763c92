// SPDX-License-Identifier: MIT
/*
 * Interfaces.
 */
#include "net/interface.h"

#include "abi/netdevice.h"
#include "net/netdev.h"

unsigned interface_flags(const struct netif *netif)
{
    unsigned flags = 0;

    if (netif_is_up(netif))
        flags |= ABI_IFF_UP;
    if (netif_is_link_up(netif))
        flags |= ABI_IFF_RUNNING | ABI_IFF_LOWER_UP;
    if (netdev_of(netif))
        flags |= ABI_IFF_BROADCAST | ABI_IFF_MULTICAST;
    else
        flags |= ABI_IFF_LOOPBACK;
    return flags;
}

unsigned interface_mtu(const struct netif *netif)
{
    return netdev_of(netif) ? netif->mtu : 65536;
}

uint16_t interface_type(const struct netif *netif)
{
    return netdev_of(netif) ? ABI_ARPHRD_ETHER : ABI_ARPHRD_LOOPBACK;
}

struct netif *interface_by_index(int index)
{
    return index > 0 && index <= UINT8_MAX ? netif_get_by_index((u8_t)index) : NULL;
}

unsigned interface_prefix(const struct netif *netif)
{
    /* A netmask is ones, then zeroes, in network order. */
    uint32_t mask = lwip_ntohl(netif_ip4_netmask(netif)->addr);
    return mask == UINT32_MAX ? 32 : (unsigned)__builtin_clz(~mask);
}

bool interface_has_ip4(const struct netif *netif)
{
    return !ip4_addr_isany(netif_ip4_addr(netif));
}

static bool has_ip6(const struct netif *netif, const ip6_addr_t *address)
{
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (!ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)) &&
            ip6_addr_cmp_zoneless(address, netif_ip6_addr(netif, i)))
            return true;
    }
    return false;
}

bool interface_may_bind(const ip_addr_t *ip)
{
    struct netif *netif;

    if (ip_addr_isany(ip) || ip_addr_ismulticast(ip))
        return true;
    if (IP_IS_V4_VAL(*ip) && ip4_addr_isloopback(ip_2_ip4(ip)))
        return true;
    NETIF_FOREACH(netif)
    {
        if (IP_IS_V6_VAL(*ip)) {
            if (has_ip6(netif, ip_2_ip6(ip)))
                return true;
        } else if (ip4_addr_cmp(ip_2_ip4(ip), netif_ip4_addr(netif)) ||
                   ip4_addr_isbroadcast(ip_2_ip4(ip), netif)) {
            return true;
        }
    }
    return false;
}
