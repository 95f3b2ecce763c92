// SPDX-License-Identifier: MIT
#pragma once
/*
 * Interfaces as programs see them (SIOCGIF*, netlink).  net_lock is held.
 */
#include "lib/compiler.h"
#include "lwip/netif.h"

unsigned interface_flags(const struct netif *netif); /* ABI_IFF_* */
unsigned interface_mtu(const struct netif *netif);
uint16_t interface_type(const struct netif *netif); /* ABI_ARPHRD_* */
struct netif *interface_by_index(int index);
/* The bits of an IPv4 netmask. */
unsigned interface_prefix(const struct netif *netif);
bool interface_has_ip4(const struct netif *netif);
/* Whether ip is an address of this machine, or multicast or broadcast: one to bind to. */
bool interface_may_bind(const ip_addr_t *ip);
