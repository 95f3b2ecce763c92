// SPDX-License-Identifier: MIT
/*
 * The interfaces under /sys/class/net, as monitoring agents and start scripts read them.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/netdevice.h"
#include "fs/sysfs.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/proc_net.h"

/* Flags that are an interface's own; the others tell of its state. */
#define OWN_FLAGS (ABI_IFF_UP | ABI_IFF_BROADCAST | ABI_IFF_LOOPBACK | ABI_IFF_MULTICAST)

/* What is told of an interface, as it is at one moment. */
struct snapshot {
    char name[ABI_IFNAMSIZ];
    uint8_t address[6], broadcast[6];
    unsigned flags, mtu, type;
    bool is_loopback, has_carrier;
    struct netdev counters; /* of it, those only */
};

static int take(const struct pseudo_ref *ref, struct snapshot *shot)
{
    memset(shot, 0, sizeof(*shot));
    net_begin();
    const struct netif *netif = interface_by_index((int)ref->number);
    if (netif) {
        const struct netdev *dev = netdev_of(netif);
        (void)format_string(shot->name, sizeof(shot->name), "%s", netdev_name(netif));
        shot->flags = interface_flags(netif) & OWN_FLAGS;
        shot->mtu = interface_mtu(netif);
        shot->type = interface_type(netif);
        shot->is_loopback = !dev;
        shot->has_carrier = netif_is_link_up(netif);
        if (dev) {
            memcpy(shot->address, netif->hwaddr, sizeof(shot->address));
            memset(shot->broadcast, 0xff, sizeof(shot->broadcast));
            shot->counters = *dev;
        }
    }
    net_end();
    return netif ? 0 : -ENODEV;
}

static void print_address(struct text *text, const uint8_t *a)
{
    text_printf(text, "%02x:%02x:%02x:%02x:%02x:%02x\n", a[0], a[1], a[2], a[3], a[4], a[5]);
}

enum attribute {
    ADDRESS,
    BROADCAST,
    CARRIER,
    DUPLEX,
    FLAGS,
    IFINDEX,
    MTU,
    OPERSTATE,
    SPEED,
    TYPE,
    UEVENT,
    RX_BYTES,
    RX_PACKETS,
    RX_DROPPED,
    TX_BYTES,
    TX_PACKETS,
    TX_DROPPED,
};

static uint64_t counter_of(const struct netdev *dev, enum attribute attribute)
{
    switch (attribute) {
    case RX_BYTES:
        return dev->rx_bytes;
    case RX_PACKETS:
        return dev->rx_packets;
    case RX_DROPPED:
        return dev->rx_dropped;
    case TX_BYTES:
        return dev->tx_bytes;
    case TX_PACKETS:
        return dev->tx_packets;
    default:
        return dev->tx_dropped;
    }
}

static const char *state_of(const struct snapshot *shot)
{
    if (shot->is_loopback)
        return "unknown";
    return shot->has_carrier ? "up" : "down";
}

static int print(const struct pseudo_ref *ref, const struct snapshot *shot, struct text *text)
{
    enum attribute attribute = (enum attribute)ref->entry->value;
    int index = (int)ref->number;

    switch (attribute) {
    case ADDRESS:
        print_address(text, shot->address);
        break;
    case BROADCAST:
        print_address(text, shot->broadcast);
        break;
    case CARRIER:
        text_printf(text, "%d\n", shot->has_carrier);
        break;
    case DUPLEX: /* nobody knows of a virtual cable */
        text_printf(text, "unknown\n");
        break;
    case FLAGS:
        text_printf(text, "0x%x\n", shot->flags);
        break;
    case IFINDEX:
        text_printf(text, "%d\n", index);
        break;
    case MTU:
        text_printf(text, "%u\n", shot->mtu);
        break;
    case OPERSTATE:
        text_printf(text, "%s\n", state_of(shot));
        break;
    case SPEED:
        text_printf(text, "-1\n");
        break;
    case TYPE:
        text_printf(text, "%u\n", shot->type);
        break;
    case UEVENT:
        text_printf(text, "INTERFACE=%s\nIFINDEX=%d\n", shot->name, index);
        break;
    default:
        text_printf(text, "%llu\n", (unsigned long long)counter_of(&shot->counters, attribute));
        break;
    }
    return 0;
}

static int show(const struct pseudo_ref *ref, struct text *text)
{
    long attribute = ref->entry->value;
    struct snapshot shot;

    int err = take(ref, &shot);
    if (err)
        return err;
    if (shot.is_loopback && (attribute == DUPLEX || attribute == SPEED))
        return -EINVAL;
    return print(ref, &shot, text);
}

#define FILE(name_, attribute_)                                                                    \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_FILE, .show = show, .value = (attribute_)                   \
    }
#define FIXED(name_, text_)                                                                        \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_FILE, .show = sysfs_show_fixed, .data = (text_)             \
    }
#define LINK(name_, target_)                                                                       \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_LINK, .show = sysfs_show_fixed, .data = (target_)           \
    }

static const struct pseudo_entry statistics[] = {
    FIXED("collisions", "0\n"),
    FIXED("multicast", "0\n"),
    FILE("rx_bytes", RX_BYTES),
    FIXED("rx_compressed", "0\n"),
    FIXED("rx_crc_errors", "0\n"),
    FILE("rx_dropped", RX_DROPPED),
    FIXED("rx_errors", "0\n"),
    FIXED("rx_fifo_errors", "0\n"),
    FIXED("rx_frame_errors", "0\n"),
    FIXED("rx_length_errors", "0\n"),
    FIXED("rx_missed_errors", "0\n"),
    FIXED("rx_nohandler", "0\n"),
    FIXED("rx_over_errors", "0\n"),
    FILE("rx_packets", RX_PACKETS),
    FIXED("tx_aborted_errors", "0\n"),
    FILE("tx_bytes", TX_BYTES),
    FIXED("tx_carrier_errors", "0\n"),
    FIXED("tx_compressed", "0\n"),
    FILE("tx_dropped", TX_DROPPED),
    FIXED("tx_errors", "0\n"),
    FIXED("tx_fifo_errors", "0\n"),
    FIXED("tx_heartbeat_errors", "0\n"),
    FILE("tx_packets", TX_PACKETS),
    FIXED("tx_window_errors", "0\n"),
    { 0 },
};

/* The first is only of what is a device: scripts tell it from loopback by this link. */
static const struct pseudo_entry files[] = {
    LINK("device", "../../../platform"),
    FIXED("addr_assign_type", "0\n"),
    FIXED("addr_len", "6\n"),
    FILE("address", ADDRESS),
    FILE("broadcast", BROADCAST),
    FILE("carrier", CARRIER),
    FIXED("dev_id", "0x0\n"),
    FIXED("dev_port", "0\n"),
    FIXED("dormant", "0\n"),
    FILE("duplex", DUPLEX),
    FILE("flags", FLAGS),
    FIXED("ifalias", ""),
    FILE("ifindex", IFINDEX),
    FILE("iflink", IFINDEX),
    FIXED("link_mode", "0\n"),
    FILE("mtu", MTU),
    FIXED("netdev_group", "0\n"),
    FILE("operstate", OPERSTATE),
    FILE("speed", SPEED),
    { .name = "statistics", .mode = SYSFS_DIRECTORY, .entries = statistics },
    LINK("subsystem", "../../../../class/net"),
    FIXED("tx_queue_len", "1000\n"),
    FILE("type", TYPE),
    FILE("uevent", UEVENT),
    { 0 },
};

void sys_class_net_init(void)
{
    for (int index = 1; index <= UINT8_MAX; index++) {
        char name[ABI_IFNAMSIZ];
        net_begin();
        const struct netif *netif = interface_by_index(index);
        bool is_device = netif && netdev_of(netif);
        if (netif)
            (void)format_string(name, sizeof(name), "%s", netdev_name(netif));
        net_end();
        if (netif && sysfs_net_register(name, index, is_device, is_device ? files : files + 1))
            log_warning("net: there is no room for /sys/class/net/%s", name);
    }
}
