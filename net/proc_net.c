// SPDX-License-Identifier: MIT
/*
 * /proc/net (proc(5)): interfaces, addresses, routes, neighbours and Internet sockets, in the columns that
 * net-tools, monitoring agents and language runtimes read.
 *
 * The text may have to wait for memory, so what it tells is first collected under net_lock.
 */
#include "net/proc_net.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "abi/netlink.h"
#include "fs/procfs.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"
#include "lwip/etharp.h"
#include "lwip/netif.h"
#include "net/address.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/socket_list.h"

#define INTERFACES_MAX 32

/* ---- Interfaces ---------------------------------------------------------------------- */

struct interface_row {
    char name[ABI_IFNAMSIZ];
    uint32_t address, mask, gateway; /* as they lie in memory */
    int index;
    bool is_default;
    uint64_t rx_bytes, rx_packets, rx_dropped, tx_bytes, tx_packets, tx_dropped;
};

static void fill_interface(const struct netif *netif, struct interface_row *row)
{
    const struct netdev *dev = netdev_of(netif);

    (void)format_string(row->name, sizeof(row->name), "%s", netdev_name(netif));
    row->address = netif_ip4_addr(netif)->addr;
    row->mask = netif_ip4_netmask(netif)->addr;
    row->gateway = netif_ip4_gw(netif)->addr;
    row->index = netif_get_index(netif);
    row->is_default = netif == netif_default;
    if (!dev)
        return;
    row->rx_bytes = dev->rx_bytes;
    row->rx_packets = dev->rx_packets;
    row->rx_dropped = dev->rx_dropped;
    row->tx_bytes = dev->tx_bytes;
    row->tx_packets = dev->tx_packets;
    row->tx_dropped = dev->tx_dropped;
}

/* NULL: no memory. */
static struct interface_row *list_interfaces(size_t *count)
{
    struct interface_row *rows = kcalloc(INTERFACES_MAX, sizeof(*rows), ALLOC_WAIT);

    *count = 0;
    if (!rows)
        return NULL;
    net_begin();
    for (int index = 1; index <= UINT8_MAX && *count < INTERFACES_MAX; index++) {
        const struct netif *netif = interface_by_index(index);
        if (netif)
            fill_interface(netif, &rows[(*count)++]);
    }
    net_end();
    return rows;
}

static int show_dev(struct text *text)
{
    size_t count;
    struct interface_row *rows = list_interfaces(&count);

    text_printf(text,
                "Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast"
                "|bytes    packets errs drop fifo colls carrier compressed\n");
    for (size_t i = 0; i < count; i++) {
        const struct interface_row *row = &rows[i];
        text_printf(text, "%6s: %7llu %7llu    0 %4llu    0     0          0         0 ", row->name,
                    (unsigned long long)row->rx_bytes, (unsigned long long)row->rx_packets,
                    (unsigned long long)row->rx_dropped);
        text_printf(text, "%8llu %7llu    0 %4llu    0     0       0          0\n",
                    (unsigned long long)row->tx_bytes, (unsigned long long)row->tx_packets,
                    (unsigned long long)row->tx_dropped);
    }
    kfree(rows);
    return 0;
}

static void show_one_route(struct text *text, const char *name, uint32_t to, uint32_t gateway,
                           unsigned flags, uint32_t mask)
{
    text_printf(text, "%s\t%08X\t%08X\t%04X\t0\t0\t0\t%08X\t0\t0\t0\n", name, to, gateway, flags,
                mask);
}

#define ROUTE_UP      1u
#define ROUTE_GATEWAY 2u

static int show_route(struct text *text)
{
    size_t count;
    struct interface_row *rows = list_interfaces(&count);

    text_printf(text, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\t"
                      "Window\tIRTT\n");
    for (size_t i = 0; i < count; i++) {
        const struct interface_row *row = &rows[i];
        if (!row->address || row->index == 1)
            continue;
        if (row->gateway && row->is_default)
            show_one_route(text, row->name, 0, row->gateway, ROUTE_UP | ROUTE_GATEWAY, 0);
        show_one_route(text, row->name, row->address & row->mask, 0, ROUTE_UP, row->mask);
    }
    kfree(rows);
    return 0;
}

struct address6_row {
    char name[ABI_IFNAMSIZ];
    uint32_t address[4];
    int index;
    unsigned prefix, scope, flags;
};

static void fill_address6(const struct netif *netif, s8_t i, struct address6_row *row)
{
    const ip6_addr_t *address = netif_ip6_addr(netif, i);
    bool is_loopback = !netdev_of(netif);

    (void)format_string(row->name, sizeof(row->name), "%s", netdev_name(netif));
    memcpy(row->address, address->addr, 16);
    row->index = netif_get_index(netif);
    row->prefix = is_loopback ? 128 : 64;
    row->scope = is_loopback ? 0x10 : ip6_addr_islinklocal(address) ? 0x20 : 0;
    row->flags = ip6_addr_istentative(netif_ip6_addr_state(netif, i)) ? ABI_IFA_F_TENTATIVE
                                                                      : ABI_IFA_F_PERMANENT;
}

static size_t list_addresses6(struct address6_row *rows, size_t max)
{
    struct netif *netif;
    size_t count = 0;

    net_begin();
    NETIF_FOREACH(netif)
    {
        for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES && count < max; i++) {
            if (!ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)))
                fill_address6(netif, i, &rows[count++]);
        }
    }
    net_end();
    return count;
}

static int show_if_inet6(struct text *text)
{
    struct address6_row *rows = kcalloc(INTERFACES_MAX, sizeof(*rows), ALLOC_WAIT);

    if (!rows)
        return -ENOMEM;
    size_t count = list_addresses6(rows, INTERFACES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct address6_row *row = &rows[i];
        const uint32_t *word = row->address;
        text_printf(text, "%08x%08x%08x%08x %02x %02x %02x %02x %8s\n", lwip_ntohl(word[0]),
                    lwip_ntohl(word[1]), lwip_ntohl(word[2]), lwip_ntohl(word[3]),
                    (unsigned)row->index, row->prefix, row->scope, row->flags, row->name);
    }
    kfree(rows);
    return 0;
}

/* ---- Neighbours -------------------------------------------------------------------------- */

struct arp_row {
    uint8_t address[4];
    uint8_t hardware[6];
    char name[ABI_IFNAMSIZ];
};

static size_t list_arp(struct arp_row *rows)
{
    struct eth_addr *hardware;
    struct netif *netif;
    ip4_addr_t *ip;
    size_t count = 0;

    net_begin();
    for (size_t i = 0; i < ARP_TABLE_SIZE; i++) {
        if (!etharp_get_entry(i, &ip, &netif, &hardware))
            continue;
        struct arp_row *row = &rows[count++];
        memcpy(row->address, &ip->addr, 4);
        memcpy(row->hardware, hardware->addr, 6);
        (void)format_string(row->name, sizeof(row->name), "%s", netdev_name(netif));
    }
    net_end();
    return count;
}

static int show_arp(struct text *text)
{
    struct arp_row *rows = kcalloc(ARP_TABLE_SIZE, sizeof(*rows), ALLOC_WAIT);

    if (!rows)
        return -ENOMEM;
    size_t count = list_arp(rows);
    text_printf(text,
                "IP address       HW type     Flags       HW address            Mask     Device\n");
    for (size_t i = 0; i < count; i++) {
        const uint8_t *a = rows[i].address;
        const uint8_t *h = rows[i].hardware;
        char ip[16];
        (void)format_string(ip, sizeof(ip), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
        text_printf(text,
                    "%-16s 0x1         0x2         %02x:%02x:%02x:%02x:%02x:%02x     *        %s\n",
                    ip, h[0], h[1], h[2], h[3], h[4], h[5], rows[i].name);
    }
    kfree(rows);
    return 0;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void show_address(struct text *text, const ip_addr_t *ip, uint16_t port, bool is_v6)
{
    uint32_t word[4];

    if (is_v6) {
        address_get_ip6(ip, word);
        text_printf(text, "%08X%08X%08X%08X:%04X ", word[0], word[1], word[2], word[3], port);
    } else {
        text_printf(text, "%08X:%04X ", address_get_ip4(ip), port);
    }
}

static int show_sockets(struct text *text, bool is_v6, int protocol)
{
    struct socket_list list = { .is_v6 = is_v6 };

    int err = socket_list_collect(&list, protocol);
    if (err)
        return err;
    text_printf(text, is_v6 ? "  sl  local_address                         remote_address"
                              "                        st tx_queue rx_queue tr tm->when retrnsmt"
                              "   uid  timeout inode\n"
                            : "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                              "retrnsmt   uid  timeout inode\n");
    for (size_t i = 0; i < list.count; i++) {
        const struct socket_row *row = &list.rows[i];
        text_printf(text, "%4zu: ", i);
        show_address(text, &row->local, row->local_port, is_v6);
        show_address(text, &row->remote, row->remote_port, is_v6);
        text_printf(text, "%02X %08zX:%08zX 00:00000000 00000000 %5u        0 %llu 1 0 0\n",
                    row->state, row->unsent, row->unread, row->uid, (unsigned long long)row->inode);
    }
    kfree(list.rows);
    return 0;
}

static int show_tcp(struct text *text)
{
    return show_sockets(text, false, ABI_IPPROTO_TCP);
}

static int show_tcp6(struct text *text)
{
    return show_sockets(text, true, ABI_IPPROTO_TCP);
}

static int show_udp(struct text *text)
{
    return show_sockets(text, false, ABI_IPPROTO_UDP);
}

static int show_udp6(struct text *text)
{
    return show_sockets(text, true, ABI_IPPROTO_UDP);
}

static int show_udplite(struct text *text)
{
    return show_sockets(text, false, ABI_IPPROTO_UDPLITE);
}

static int show_udplite6(struct text *text)
{
    return show_sockets(text, true, ABI_IPPROTO_UDPLITE);
}

static int show_raw(struct text *text)
{
    return show_sockets(text, false, ABI_IPPROTO_RAW);
}

static int show_raw6(struct text *text)
{
    return show_sockets(text, true, ABI_IPPROTO_RAW);
}

static int show_packet(struct text *text)
{
    struct socket_list list = { 0 };

    int err = socket_list_gather(&list, socket_list_packet);
    if (err)
        return err;
    text_printf(text, "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    for (size_t i = 0; i < list.count; i++) {
        const struct socket_row *row = &list.rows[i];
        text_printf(text, "%016x %-6u %-4u %04x   %-5u %u %-6zu %-6u %-6llu\n", 0, row->refs,
                    row->type, row->local_port, row->remote_port, row->local_port != 0, row->unread,
                    row->uid, (unsigned long long)row->inode);
    }
    kfree(list.rows);
    return 0;
}

static int show_netlink(struct text *text)
{
    struct socket_list list = { 0 };

    int err = socket_list_gather(&list, socket_list_netlink);
    if (err)
        return err;
    text_printf(text, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
                      "Drops    Inode\n");
    for (size_t i = 0; i < list.count; i++) {
        const struct socket_row *row = &list.rows[i];
        text_printf(text, "%016x %-3u %-10u %08x %-8zu 0        0     %-8u 0        %-8llu\n", 0,
                    row->type, row->netlink_port, row->groups, row->unread, row->refs,
                    (unsigned long long)row->inode);
    }
    kfree(list.rows);
    return 0;
}

void proc_net_init(void)
{
    static const struct {
        const char *name;
        int (*show)(struct text *text);
    } files[] = {
        { "dev", show_dev },
        { "route", show_route },
        { "if_inet6", show_if_inet6 },
        { "arp", show_arp },
        { "tcp", show_tcp },
        { "tcp6", show_tcp6 },
        { "udp", show_udp },
        { "udp6", show_udp6 },
        { "udplite", show_udplite },
        { "udplite6", show_udplite6 },
        { "raw", show_raw },
        { "raw6", show_raw6 },
        { "unix", proc_net_show_unix },
        { "packet", show_packet },
        { "netlink", show_netlink },
        { "snmp", proc_net_show_snmp },
        { "netstat", proc_net_show_netstat },
        { "sockstat", proc_net_show_sockstat },
        { "sockstat6", proc_net_show_sockstat6 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (procfs_net_register(files[i].name, files[i].show))
            log_warning("net: there is no room for /proc/net/%s", files[i].name);
    }
}
