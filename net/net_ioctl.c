// SPDX-License-Identifier: MIT
/*
 * ioctl(2) on sockets: netdevice(7).
 */
#include "net/net_ioctl.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"
#include "lib/format.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/netdev.h"

#define INTERFACES_MAX 32

static void put_ip4(struct abi_ifreq *request, uint32_t address)
{
    struct abi_sockaddr_in in = { .sin_family = ABI_AF_INET, .sin_addr = address };

    memset(request->pad, 0, sizeof(request->pad));
    memcpy(request->ifr_in, &in, sizeof(in));
}

static int get_ip4(const struct netif *netif, unsigned command, struct abi_ifreq *request)
{
    uint32_t address = netif_ip4_addr(netif)->addr;
    uint32_t mask = netif_ip4_netmask(netif)->addr;

    if (!interface_has_ip4(netif))
        return -EADDRNOTAVAIL;
    if (command == ABI_SIOCGIFNETMASK)
        put_ip4(request, mask);
    else if (command == ABI_SIOCGIFBRDADDR)
        put_ip4(request, netdev_of(netif) ? address | ~mask : 0);
    else
        put_ip4(request, address);
    return 0;
}

static void get_hardware_address(const struct netif *netif, struct abi_ifreq *request)
{
    memset(request->pad, 0, sizeof(request->pad));
    request->ifr_addr.sa_family = interface_type(netif);
    memcpy(request->ifr_addr.sa_data, netif->hwaddr, MIN(netif->hwaddr_len, 14));
}

static int get_one(const struct netif *netif, unsigned command, struct abi_ifreq *request)
{
    switch (command) {
    case ABI_SIOCGIFFLAGS:
        request->ifr_flags = (int16_t)interface_flags(netif);
        return 0;
    case ABI_SIOCGIFADDR:
    case ABI_SIOCGIFDSTADDR:
    case ABI_SIOCGIFBRDADDR:
    case ABI_SIOCGIFNETMASK:
        return get_ip4(netif, command, request);
    case ABI_SIOCGIFMTU:
        request->ifr_value = (int32_t)interface_mtu(netif);
        return 0;
    case ABI_SIOCGIFMETRIC:
        request->ifr_value = 0;
        return 0;
    case ABI_SIOCGIFTXQLEN:
        request->ifr_value = 1000;
        return 0;
    case ABI_SIOCGIFINDEX:
        request->ifr_value = netif_get_index(netif);
        return 0;
    case ABI_SIOCGIFHWADDR:
        get_hardware_address(netif, request);
        return 0;
    default:
        return -ENOTTY;
    }
}

static long interface_ioctl(unsigned command, unsigned long arg)
{
    struct abi_ifreq request;

    if (copy_from_app(&request, (const void __app *)arg, sizeof(request)))
        return -EFAULT;
    request.ifr_name[ABI_IFNAMSIZ - 1] = '\0';
    net_begin();
    struct netif *netif = netdev_find(request.ifr_name);
    int err = netif ? get_one(netif, command, &request) : -ENODEV;
    net_end();
    if (err)
        return err;
    return copy_to_app((void __app *)arg, &request, sizeof(request));
}

static long interface_name(unsigned long arg)
{
    struct abi_ifreq request;

    if (copy_from_app(&request, (const void __app *)arg, sizeof(request)))
        return -EFAULT;
    net_begin();
    struct netif *netif = interface_by_index(request.ifr_value);
    if (netif)
        (void)format_string(request.ifr_name, sizeof(request.ifr_name), "%s", netdev_name(netif));
    net_end();
    if (!netif)
        return -ENODEV;
    return copy_to_app((void __app *)arg, &request, sizeof(request));
}

/* The interfaces with an IPv4 address. */
static size_t list_interfaces(struct abi_ifreq *list)
{
    struct netif *netif;
    size_t n = 0;

    net_begin();
    NETIF_FOREACH(netif)
    {
        if (!interface_has_ip4(netif) || n == INTERFACES_MAX)
            continue;
        (void)format_string(list[n].ifr_name, sizeof(list[n].ifr_name), "%s", netdev_name(netif));
        put_ip4(&list[n], netif_ip4_addr(netif)->addr);
        n++;
    }
    net_end();
    return n;
}

static long interface_list(unsigned long arg)
{
    struct abi_ifconf conf;

    if (copy_from_app(&conf, (const void __app *)arg, sizeof(conf)))
        return -EFAULT;
    struct abi_ifreq *list = kcalloc(INTERFACES_MAX, sizeof(*list), ALLOC_WAIT);
    if (!list)
        return -ENOMEM;
    size_t n = list_interfaces(list);
    int err = 0;
    if (conf.ifc_buf) {
        n = MIN(n, conf.ifc_len < 0 ? 0 : (size_t)conf.ifc_len / sizeof(*list));
        err = copy_to_app((void __app *)conf.ifc_buf, list, n * sizeof(*list));
    }
    kfree(list);
    conf.ifc_len = (int32_t)(n * sizeof(*list));
    return err ? err : copy_to_app((void __app *)arg, &conf, sizeof(conf));
}

/* The owner of SIGIO and SIGURG, by the old commands. */
static long owner_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    int pid = file_owner_pid(&file->owner);

    if (command == ABI_FIOGETOWN || command == ABI_SIOCGPGRP)
        return copy_to_app((void __app *)arg, &pid, sizeof(pid));
    if (copy_from_app(&pid, (const void __app *)arg, sizeof(pid)))
        return -EFAULT;
    return file_owner_set(&file->owner, pid, false);
}

long net_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    switch (command) {
    case ABI_SIOCGIFFLAGS:
    case ABI_SIOCGIFADDR:
    case ABI_SIOCGIFDSTADDR:
    case ABI_SIOCGIFBRDADDR:
    case ABI_SIOCGIFNETMASK:
    case ABI_SIOCGIFMTU:
    case ABI_SIOCGIFMETRIC:
    case ABI_SIOCGIFTXQLEN:
    case ABI_SIOCGIFINDEX:
    case ABI_SIOCGIFHWADDR:
        return interface_ioctl(command, arg);
    case ABI_SIOCGIFNAME:
        return interface_name(arg);
    case ABI_SIOCGIFCONF:
        return interface_list(arg);
    case ABI_FIOSETOWN:
    case ABI_SIOCSPGRP:
    case ABI_FIOGETOWN:
    case ABI_SIOCGPGRP:
        return owner_ioctl(file, command, arg);
    default:
        return -ENOTTY;
    }
}
