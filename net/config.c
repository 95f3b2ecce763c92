// SPDX-License-Identifier: MIT
/*
 * The network settings of the manifest:
 *
 *   net=static:ADDRESS/BITS[:GATEWAY[:DNS[,DNS...]]]   the first interface; IPv4
 *   net=dhcp                                           every interface (also if net is not given)
 *   net=none                                           loopback only
 *
 * IPv6 configures itself: a link-local address, and others as routers announce them.  The name
 * servers become /etc/resolv.conf and the names of this machine /etc/hosts, unless the image
 * brings its own.  DHCP does not hold up the program's start; its name servers are written when
 * they arrive.
 */
#include "net/config.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/file.h"
#include "kernel/log.h"
#include "kernel/manifest.h"
#include "lib/format.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/netif.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/timers.h"

#define RESOLV_CONF "/etc/resolv.conf"

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

/* ---- Files ------------------------------------------------------------------------------ */

/* /etc, for an image without one. */
static void make_etc(void)
{
    struct path dir;
    struct dentry *last;

    if (path_walk_parent(ABI_AT_FDCWD, "/etc", 0, &dir, &last))
        return;
    struct inode *inode = dir.dentry->inode;
    if (!last->inode && inode->ops->mkdir && inode->ops->mkdir(inode, last, 0755))
        log_warning("net: /etc could not be made");
    path_end_parent(&dir, last);
}

static int write_file(const char *name, unsigned flags, const char *text, size_t len)
{
    struct file *file;
    struct io io;

    int err = file_open(ABI_AT_FDCWD, name, ABI_O_WRONLY | flags, 0644, &file);
    if (err)
        return err;
    io_init_kernel(&io, text, len);
    long n = file_write(file, &io, NULL);
    io_fini(&io);
    file_put(file);
    return n < 0 ? (int)n : 0;
}

static void write_hosts(const char *hostname)
{
    char text[256];
    int len = format_string(text, sizeof(text),
                            "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n"
                            "::1\tlocalhost ip6-localhost ip6-loopback\n",
                            hostname);

    int err = write_file("/etc/hosts", ABI_O_CREAT | ABI_O_EXCL, text,
                         MIN((size_t)len, sizeof(text) - 1));
    if (err && err != -EEXIST)
        log_warning("net: /etc/hosts could not be written: %d", err);
}

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
    int err = write_file(RESOLV_CONF, ABI_O_CREAT | (owns_resolv_conf ? ABI_O_TRUNC : ABI_O_EXCL),
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

static void apply_locked(const char *net, const char *hostname)
{
    struct static_config config;
    struct netif *netif;
    bool is_static = strncmp(net, "static:", 7) == 0;

    if (is_static && !parse_static(net + 7, &config)) {
        log_error("net: \"%s\" is not static:ADDRESS/BITS:GATEWAY:DNS; no network", net);
        return;
    }
    NETIF_FOREACH(netif)
    {
        if (!netdev_of(netif))
            continue;
        interface_up(netif, hostname);
        if (!is_static)
            dhcp_start(netif);
        else if (netif == netif_default)
            netif_set_addr(netif, &config.address, &config.mask, &config.gateway);
    }
    if (is_static && !netif_default)
        log_warning("net: there is no network device for %s", net);
    timers_note_activity();
    timers_look_again();
}

void config_apply(const struct manifest *manifest)
{
    const char *net = manifest->net ? manifest->net : "dhcp";

    if (strcmp(net, "none") != 0) {
        if (strcmp(net, "dhcp") != 0 && strncmp(net, "static:", 7) != 0)
            log_error("net: \"%s\" is none of static:..., dhcp, none", net);
        else {
            net_begin();
            apply_locked(net, manifest->hostname);
            net_end();
        }
    }
    make_etc();
    write_hosts(manifest->hostname);
    __atomic_store_n(&is_applied, true, __ATOMIC_RELEASE);
    config_settle();
}
