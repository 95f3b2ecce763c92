// SPDX-License-Identifier: MIT
/*
 * The network settings of the manifest:
 *
 *   net=static:ADDRESS/BITS[:GATEWAY[:DNS[,DNS...]]]   the first interface; IPv4
 *   net=ITEM;ITEM...                                   eth0, eth1, ...: each static:..., dhcp or none
 *   net=dhcp                                           every interface (also if net is not given)
 *   net=none                                           loopback only
 *
 * The default route is that of the first interface.  IPv6 configures itself: a link-local address, and
 * others as routers announce them.  The name servers become /etc/resolv.conf and the names of this machine
 * /etc/hosts (net/etc.c), unless the image brings its own.  DHCP does not hold up the program's start; its name
 * servers are written when they arrive.
 */
#include "net/config.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "kernel/log.h"
#include "kernel/manifest.h"
#include "lib/format.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/netif.h"
#include "net/etc.h"
#include "net/net.h"
#include "net/net_control.h"
#include "net/netdev.h"
#include "net/timers.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define ITEM_MAX    160 /* an address, a gateway and DNS_MAX_SERVERS servers */

static ip_addr_t servers[DNS_MAX_SERVERS]; /* [n] */
static bool servers_changed;               /* [a] */
static bool owns_resolv_conf;              /* we made the file, so we may change it */
static bool is_applied;                    /* [a] the file system is there */

/* ---- What lwIP's DHCP client calls in place of its DNS client ----------------------- */

void dns_init(void)
{
}

void dns_setserver(u8_t numdns, const ip_addr_t *server)
{
    if (numdns >= DNS_MAX_SERVERS)
        return;
    ip_addr_t value = server ? *server : *IP_ADDR_ANY;
    if (ip_addr_cmp(&servers[numdns], &value))
        return;
    servers[numdns] = value;
    __atomic_store_n(&servers_changed, true, __ATOMIC_RELEASE);
}

const ip_addr_t *dns_getserver(u8_t numdns)
{
    return numdns < DNS_MAX_SERVERS ? &servers[numdns] : IP_ADDR_ANY;
}

/* ---- Name servers ---------------------------------------------------------------------- */

static void write_resolv_conf(void)
{
    char text[64 * DNS_MAX_SERVERS];
    size_t len = 0;

    net_begin();
    for (unsigned i = 0; i < DNS_MAX_SERVERS; i++) {
        char address[IPADDR_STRLEN_MAX];
        if (!ip_addr_isany(&servers[i]) && ipaddr_ntoa_r(&servers[i], address, sizeof(address)))
            len +=
                (size_t)format_string(text + len, sizeof(text) - len, "nameserver %s\n", address);
    }
    net_end();
    if (len == 0)
        return;
    int err = etc_write(RESOLV_CONF, ABI_O_CREAT | (owns_resolv_conf ? ABI_O_TRUNC : ABI_O_EXCL),
                        text, len);
    if (!err)
        owns_resolv_conf = true;
    else if (err != -EEXIST)
        log_warning("net: " RESOLV_CONF " could not be written: %d", err);
}

void config_settle(void)
{
    if (__atomic_load_n(&is_applied, __ATOMIC_ACQUIRE) &&
        __atomic_exchange_n(&servers_changed, false, __ATOMIC_ACQ_REL))
        write_resolv_conf();
}

/* ---- Addresses ------------------------------------------------------------------------------ */

/* Copies the text up to one of the characters of ends; returns what follows that, or NULL. */
static const char *next_field(const char *text, const char *ends, char *field, size_t size)
{
    size_t len = 0;

    while (text[len] && !strchr(ends, text[len]))
        len++;
    field[0] = '\0';
    if (len < size) {
        memcpy(field, text, len);
        field[len] = '\0';
    }
    return text[len] ? text + len + 1 : NULL;
}

static bool parse_bits(const char *text, unsigned *bits)
{
    *bits = 0;
    if (!*text || strlen(text) > 2)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        *bits = *bits * 10 + (unsigned)(*text - '0');
    }
    return *bits <= 32;
}

struct static_config {
    ip4_addr_t address, mask, gateway;
};

static bool set_server(u8_t index, const char *text)
{
    ip_addr_t server = { 0 };
    if (!ip4addr_aton(text, ip_2_ip4(&server)))
        return false;
    IP_SET_TYPE(&server, IPADDR_TYPE_V4);
    dns_setserver(index, &server);
    return true;
}

/* The part behind "static:"; name servers go straight to servers[]. */
static bool parse_static(const char *text, struct static_config *config)
{
    char field[32];
    unsigned bits;

    *config = (struct static_config){ 0 };
    text = next_field(text, "/", field, sizeof(field));
    if (!text || !ip4addr_aton(field, &config->address))
        return false;
    text = next_field(text, ":", field, sizeof(field));
    if (!parse_bits(field, &bits))
        return false;
    config->mask.addr = lwip_htonl(bits ? ~0U << (32 - bits) : 0);
    if (!text)
        return true;
    text = next_field(text, ":", field, sizeof(field));
    if (*field && !ip4addr_aton(field, &config->gateway))
        return false;
    for (u8_t i = 0; text && *text; i++) {
        text = next_field(text, ",", field, sizeof(field));
        if (!set_server(i, field))
            return false;
    }
    return true;
}

static void interface_up(struct netif *netif, const char *hostname)
{
    netif_set_hostname(netif, hostname);
    netif_set_ip6_autoconfig_enabled(netif, 1);
    netif_create_ip6_linklocal_address(netif, 1);
    netif_set_up(netif);
}

/* One item for an interface; false: it makes no sense. */
static bool apply_item(const char *item, struct netif *netif)
{
    struct static_config config;

    if (strcmp(item, "none") == 0)
        return true;
    bool is_dhcp = strcmp(item, "dhcp") == 0;
    if (!is_dhcp && (strncmp(item, "static:", 7) != 0 || !parse_static(item + 7, &config)))
        return false;
    if (!netif)
        log_warning("net: there is no network device for %s", item);
    else if (is_dhcp)
        dhcp_start(netif);
    else
        netif_set_addr(netif, &config.address, &config.mask, &config.gateway);
    return true;
}

static void apply_locked(const char *net, const char *hostname)
{
    bool is_for_all = strcmp(net, "dhcp") == 0;
    struct netif *netif;

    NETIF_FOREACH(netif)
    {
        if (!netdev_of(netif))
            continue;
        interface_up(netif, hostname);
        if (is_for_all)
            dhcp_start(netif);
    }
    for (unsigned n = 0; net && !is_for_all; n++) {
        char item[ITEM_MAX], name[16];
        net = next_field(net, ";", item, sizeof(item));
        format_string(name, sizeof(name), "eth%u", n);
        if (!apply_item(item, netdev_find(name)))
            log_error("net: \"%s\" is none of static:ADDRESS/BITS:GATEWAY:DNS, dhcp, none", item);
    }
    timers_note_activity();
    timers_look_again();
}

void config_apply(const struct manifest *manifest)
{
    const char *net = manifest->net ? manifest->net : "dhcp";

    if (strcmp(net, "none") != 0) {
        net_begin();
        apply_locked(net, manifest->hostname);
        net_end();
    }
    etc_make();
    etc_make_hosts(manifest->hostname);
    net_control_await_hosts();
    __atomic_store_n(&is_applied, true, __ATOMIC_RELEASE);
    config_settle();
}
