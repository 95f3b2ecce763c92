// SPDX-License-Identifier: MIT
/*
 * Devices and lwIP interfaces.
 *
 * Received buffers become custom pbufs and travel to the socket without a copy; small packets
 * are copied instead, so that a byte in a socket's queue does not keep a whole device buffer.
 * Sent pbufs are referenced until the device is done with them.
 *
 * Checksums: a device that can insert them gets the sum of the pseudo header in the packet and
 * the place to finish it.  A received packet is checked by lwIP unless the device vouches for it;
 * lwIP knows that per interface only, so the flag is set before each packet is handed over.
 */
#include "net/netdev.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/format.h"
#include "lib/hash.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/igmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/ip6.h"
#include "lwip/mld6.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/stats.h"
#include "net/lwip_port.h"
#include "net/net.h"
#include "net/packet_tap.h"
#include "net/tcp_gso.h"
#include "net/tcp_pages.h"
#include "net/tcp_table.h"
#include "net/timers.h"
#include "netif/ethernet.h"

#define COPY_LIMIT  256 /* packets up to this size are copied */
#define FRAME_MIN   34  /* Ethernet and IPv4 headers; lwIP looks at that much unasked */
#define HEADERS_MIN 128 /* what the first buffer has to hold, for the same reason */
#define POLL_BUDGET 64
#define PIECES_MAX  TCP_PAGES_PIECES_MAX

#define CHECK_TRANSPORT (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)

struct netdev_port {
    struct netif netif;
    struct netdev *dev;
    bool needs_poll; /* [a] set at interrupt level */
    bool needs_kick; /* [n] */
};

/* A pbuf around a device's buffer. */
struct device_pbuf {
    struct pbuf_custom custom;
    struct netdev_buffer *buffer;
};

static struct list devices = LIST_INIT(devices); /* [n] */
static unsigned ndevices;
static bool any_needs_kick;
static bool has_grown; /* [n] netdev_has_grown() */
static bool
    is_polling; /* [n] packets that are sent now answer others; their connections' threads are anywhere */
static struct slab_cache *pbuf_cache;

/* ---- Names ---------------------------------------------------------------------- */

static bool is_loopback(const struct netif *netif)
{
    return !(netif->flags & NETIF_FLAG_ETHERNET);
}

struct netdev *netdev_of(const struct netif *netif)
{
    return is_loopback(netif) ? NULL : ((struct netdev_port *)netif->state)->dev;
}

const char *netdev_name(const struct netif *netif)
{
    struct netdev *dev = netdev_of(netif);
    return dev ? dev->name : "lo";
}

struct netif *netdev_find(const char *name)
{
    struct netif *netif;

    NETIF_FOREACH(netif)
    {
        if (strcmp(netdev_name(netif), name) == 0)
            return netif;
    }
    return NULL;
}

/* ---- Transmit ---------------------------------------------------------------------- */

/* The one's complement sum of a pseudo header (RFC 793, 3.1; RFC 8200, 8.1), as it lies in memory. */
static uint16_t pseudo_sum(const void *addresses, size_t len, uint8_t protocol,
                           uint32_t transport_len)
{
    uint64_t sum = lwip_port_checksum(addresses, (int)len);
    sum += lwip_htons(protocol);
    sum += lwip_htons((uint16_t)(transport_len >> 16)) + lwip_htons((uint16_t)transport_len);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void ask_checksum(const struct pbuf *p, unsigned start, uint8_t protocol, uint16_t sum,
                         struct netdev_offload *offload)
{
    unsigned offset = protocol == IP_PROTO_TCP ? 16 : 6;
    uint8_t *field = (uint8_t *)p->payload + start + offset;

    if (start + offset + 2 > p->len)
        return;
    if (field[0] | field[1])
        return; /* made in software: netdev_force_udp_checksum() */
    memcpy(field, &sum, 2);
    offload->needs_checksum = true;
    offload->csum_start = (uint16_t)start;
    offload->csum_offset = (uint16_t)offset;
}

/* A packet longer than the MTU: the connection it belongs to knows the size of its parts (0: it is gone). */
static void ask_segmentation(const struct pbuf *p, unsigned start, const ip_addr_t *local,
                             const ip_addr_t *remote, struct netdev_offload *offload)
{
    const struct tcp_hdr *tcp = (const void *)((const uint8_t *)p->payload + start);
    const struct tcp_pcb *pcb =
        tcp_table_find(local, lwip_ntohs(tcp->src), remote, lwip_ntohs(tcp->dest));

    offload->gso_type = IP_IS_V6(remote) ? NETDEV_GSO_TCP6 : NETDEV_GSO_TCP4;
    offload->gso_size = pcb ? pcb->mss : 0;
    offload->header_len = (uint16_t)(start + TCPH_HDRLEN_BYTES(tcp));
}

static void ask_segmentation4(const struct pbuf *p, const struct ip_hdr *header,
                              struct netdev_offload *offload)
{
    ip_addr_t local, remote;

    ip_addr_copy_from_ip4(local, header->src);
    ip_addr_copy_from_ip4(remote, header->dest);
    ask_segmentation(p, (unsigned)(SIZEOF_ETH_HDR + IPH_HL_BYTES(header)), &local, &remote,
                     offload);
}

static void ask_segmentation6(const struct netif *netif, const struct pbuf *p,
                              const struct ip6_hdr *header, struct netdev_offload *offload)
{
    ip_addr_t local, remote;

    ip_addr_copy_from_ip6_packed(local, header->src);
    ip_addr_copy_from_ip6_packed(remote, header->dest);
    ip6_addr_assign_zone(ip_2_ip6(&local), IP6_UNICAST, netif);
    ip6_addr_assign_zone(ip_2_ip6(&remote), IP6_UNICAST, netif);
    ask_segmentation(p, SIZEOF_ETH_HDR + IP6_HLEN, &local, &remote, offload);
}

/* Looks for a TCP or UDP header, which lwIP has left without a checksum. */
static void fill_offload(const struct netif *netif, const struct pbuf *p,
                         struct netdev_offload *offload)
{
    const struct eth_hdr *eth = p->payload;
    const uint8_t *ip = (const uint8_t *)(eth + 1);

    if (p->len < sizeof(*eth) + sizeof(struct ip_hdr))
        return;
    if (eth->type == PP_HTONS(ETHTYPE_IP)) {
        const struct ip_hdr *header = (const void *)ip;
        unsigned header_len = IPH_HL_BYTES(header);
        uint8_t protocol = IPH_PROTO(header);
        if (IPH_OFFSET(header) & PP_HTONS(IP_OFFMASK | IP_MF))
            return;
        if (protocol != IP_PROTO_TCP && protocol != IP_PROTO_UDP)
            return;
        uint32_t len = lwip_ntohs(IPH_LEN(header)) - header_len;
        ask_checksum(p, (unsigned)sizeof(*eth) + header_len, protocol,
                     pseudo_sum(&header->src, 8, protocol, len), offload);
        if (p->flags & TCP_GSO_FLAG)
            ask_segmentation4(p, header, offload);
    } else if (eth->type == PP_HTONS(ETHTYPE_IPV6) && p->len >= sizeof(*eth) + IP6_HLEN) {
        const struct ip6_hdr *header = (const void *)ip;
        uint8_t protocol = IP6H_NEXTH(header);
        if (protocol != IP_PROTO_TCP && protocol != IP_PROTO_UDP)
            return;
        ask_checksum(p, (unsigned)sizeof(*eth) + IP6_HLEN, protocol,
                     pseudo_sum(&header->src, 32, protocol, IP6H_PLEN(header)), offload);
        if (p->flags & TCP_GSO_FLAG)
            ask_segmentation6(netif, p, header, offload);
    }
}

/* A number for the connection that a packet belongs to; fragments have no ports. */
static uint16_t flow_of(const struct pbuf *p)
{
    const struct eth_hdr *eth = p->payload;
    const uint8_t *ip = (const uint8_t *)(eth + 1), *end = (const uint8_t *)p->payload + p->len;
    size_t addresses, len, ports;
    uint8_t protocol;

    if (p->len >= sizeof(*eth) + IP6_HLEN && eth->type == PP_HTONS(ETHTYPE_IPV6)) {
        const struct ip6_hdr *header = (const void *)ip;
        addresses = offsetof(struct ip6_hdr, src);
        len = 2 * sizeof(header->src);
        ports = IP6_HLEN;
        protocol = IP6H_NEXTH(header);
    } else if (p->len >= sizeof(*eth) + IP_HLEN && eth->type == PP_HTONS(ETHTYPE_IP)) {
        const struct ip_hdr *header = (const void *)ip;
        addresses = offsetof(struct ip_hdr, src);
        len = 2 * sizeof(header->src);
        ports = IPH_HL_BYTES(header);
        bool is_whole = !(IPH_OFFSET(header) & PP_HTONS(IP_OFFMASK | IP_MF));
        protocol = is_whole ? IPH_PROTO(header) : 0;
    } else {
        return 0;
    }
    uint32_t both = 0;
    if ((protocol == IP_PROTO_TCP || protocol == IP_PROTO_UDP) && end >= ip + ports + sizeof(both))
        memcpy(&both, ip + ports, sizeof(both));
    return (uint16_t)hash_bytes(ip + addresses, len, hash64(both));
}

static void transmit_done(void *cookie)
{
    pbuf_free(cookie);
}

static unsigned list_pieces(struct pbuf *p, struct netdev_piece *piece)
{
    unsigned n = 0;

    for (; p; p = p->next) {
        if (p->len == 0)
            continue;
        if (n == PIECES_MAX)
            return PIECES_MAX + 1;
        piece[n++] = (struct netdev_piece){ .data = p->payload, .len = p->len };
    }
    return n;
}

/* Takes over one reference on p in any case. */
static err_t transmit(struct netdev_port *port, struct pbuf *p)
{
    struct netdev *dev = port->dev;
    struct netdev_piece piece[PIECES_MAX];
    struct netdev_offload offload = { 0 };

    unsigned n = list_pieces(p, piece);
    if (n > PIECES_MAX) {
        p = pbuf_coalesce(p, PBUF_RAW);
        n = list_pieces(p, piece);
    }
    int err = -ENOMEM;
    uint16_t len = p->tot_len;
    if (n <= PIECES_MAX) {
        if (dev->features & NETDEV_TX_CHECKSUM)
            fill_offload(&port->netif, p, &offload);
        if (dev->nqueues > 1) {
            offload.flow = flow_of(p);
            offload.is_by_sender = !is_polling && thread_current()->process;
        }
        bool is_cut = p->flags & TCP_GSO_FLAG;
        err = is_cut && !offload.gso_size
                  ? -EINVAL
                  : dev->ops->transmit(dev, piece, n, &offload, transmit_done, p);
    }
    if (err) {
        pbuf_free(p);
        dev->tx_dropped += err != -ENOSPC;
        return ERR_MEM; /* TCP tries again: netdev_tx_ready() or its timer */
    }
    dev->tx_packets++;
    dev->tx_bytes += len;
    port->needs_kick = true;
    any_needs_kick = true;
    has_grown = true;
    return ERR_OK;
}

static err_t link_output(struct netif *netif, struct pbuf *p)
{
    struct netdev_port *port = netif->state;

    assert_held(&net_lock);
    timers_note_activity();
    if (!port->dev->is_link_up)
        return ERR_IF;
    packet_tap(netif, p, true);
    pbuf_ref(p);
    return transmit(port, p);
}

bool netdev_can_segment(const struct netif *netif, bool is_v6)
{
    const struct netdev *dev = netdev_of(netif);

    return dev && (dev->features & NETDEV_TX_CHECKSUM) &&
           (dev->features & (is_v6 ? NETDEV_TX_TSO6 : NETDEV_TX_TSO4));
}

bool netdev_needs_kick(void)
{
    return any_needs_kick;
}

bool netdev_has_grown(void)
{
    bool result = has_grown;
    has_grown = false;
    return result;
}

void netdev_kick(void)
{
    struct netdev *dev;

    if (!any_needs_kick)
        return;
    any_needs_kick = false;
    list_for_each (dev, &devices, node) {
        struct netdev_port *port = dev->net;
        if (port->needs_kick) {
            port->needs_kick = false;
            dev->ops->kick(dev);
        }
    }
}

void netdev_tx_ready(struct netdev *dev)
{
    assert_held(&net_lock);
    tcp_txnow();
}

void netdev_force_udp_checksum(struct netif *netif, bool force)
{
    struct netdev *dev = netdev_of(netif);

    if (!dev || !(dev->features & NETDEV_TX_CHECKSUM))
        return;
    if (force)
        netif->chksum_flags |= NETIF_CHECKSUM_GEN_UDP;
    else
        netif->chksum_flags &= (u16_t)~NETIF_CHECKSUM_GEN_UDP;
}

/* ---- Receive -------------------------------------------------------------------------- */

static void free_device_pbuf(struct pbuf *p)
{
    struct device_pbuf *device = container_of(p, struct device_pbuf, custom.pbuf);

    device->buffer->release(device->buffer);
    slab_free(pbuf_cache, device);
}

size_t netdev_true_size(const struct pbuf *p)
{
    if (p->flags & PBUF_FLAG_IS_CUSTOM)
        return container_of(p, struct device_pbuf, custom.pbuf)->buffer->true_size +
               sizeof(struct device_pbuf);
    return sizeof(struct pbuf) + p->len;
}

static void release_all(struct netdev_buffer *buffer)
{
    while (buffer) {
        struct netdev_buffer *next = buffer->next;
        buffer->release(buffer);
        buffer = next;
    }
}

static struct pbuf *copy_packet(struct netdev_buffer *packet, size_t len)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);

    if (p) {
        uint8_t *to = p->payload;
        for (struct netdev_buffer *piece = packet; piece; piece = piece->next) {
            memcpy(to, piece->data, piece->len);
            to += piece->len;
        }
    }
    release_all(packet);
    return p;
}

static struct pbuf *wrap_packet(struct netdev_buffer *packet)
{
    struct pbuf *chain = NULL;

    while (packet) {
        struct device_pbuf *device = slab_alloc(pbuf_cache, ALLOC_ATOMIC);
        if (!device) {
            release_all(packet);
            if (chain)
                pbuf_free(chain);
            return NULL;
        }
        struct netdev_buffer *next = packet->next;
        device->buffer = packet;
        device->custom.custom_free_function = free_device_pbuf;
        struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (u16_t)packet->len, PBUF_REF,
                                             &device->custom, packet->data, (u16_t)packet->len);
        if (chain)
            pbuf_cat(chain, p);
        else
            chain = p;
        packet = next;
    }
    return chain;
}

void netdev_deliver(struct netdev *dev, struct netdev_buffer *packet,
                    const struct netdev_offload *offload)
{
    struct netdev_port *port = dev->net;
    size_t len = 0;

    assert_held(&net_lock);
    timers_note_activity();
    for (struct netdev_buffer *piece = packet; piece; piece = piece->next)
        len += piece->len;
    dev->rx_packets++;
    dev->rx_bytes += len;

    struct pbuf *p = NULL;
    if (len < FRAME_MIN || len > UINT16_MAX)
        release_all(packet);
    else if (len <= COPY_LIMIT || packet->len < HEADERS_MIN)
        p = copy_packet(packet, len);
    else
        p = wrap_packet(packet);
    if (!p) {
        dev->rx_dropped++;
        return;
    }
    packet_tap(&port->netif, p, false);
    bool is_checked = offload && (offload->checksum_ok || offload->needs_checksum);
    if (is_checked)
        port->netif.chksum_flags &= (u16_t)~CHECK_TRANSPORT;
    else
        port->netif.chksum_flags |= CHECK_TRANSPORT;
    if (port->netif.input(p, &port->netif) != ERR_OK)
        pbuf_free(p);
}

void netdev_wake(struct netdev *dev)
{
    struct netdev_port *port = dev->net;

    if (!port)
        return; /* not registered yet */
    __atomic_store_n(&port->needs_poll, true, __ATOMIC_RELEASE);
    net_wake();
}

static void follow_link(struct netdev_port *port)
{
    bool is_up = port->dev->is_link_up;

    if (is_up == !!netif_is_link_up(&port->netif))
        return;
    if (is_up)
        netif_set_link_up(&port->netif);
    else
        netif_set_link_down(&port->netif);
    timers_look_again();
}

/* True: it had packets.  Its interrupt is off then, and if the caller polls again anyway. */
static bool poll_device(struct netdev_port *port, bool again)
{
    struct netdev *dev = port->dev;

    if (!__atomic_exchange_n(&port->needs_poll, false, __ATOMIC_ACQUIRE))
        return false;
    follow_link(port);
    bool is_busy = dev->ops->poll(dev, POLL_BUDGET) > 0;
    if (!is_busy && !again && !dev->ops->enable_interrupt(dev))
        return false;
    __atomic_store_n(&port->needs_poll, true, __ATOMIC_RELAXED);
    return is_busy || !again;
}

void netdev_poll_soon(void)
{
    struct netdev *dev;

    list_for_each (dev, &devices, node)
        __atomic_store_n(&((struct netdev_port *)dev->net)->needs_poll, true, __ATOMIC_RELAXED);
}

bool netdev_poll(bool again)
{
    struct netdev *dev;
    bool is_busy = false;

    assert_held(&net_lock);
    is_polling = true;
    list_for_each (dev, &devices, node)
        is_busy |= poll_device(dev->net, again);
    is_polling = false;
    return is_busy;
}

/* ---- Loopback ---------------------------------------------------------------------------- */

/*
 * The packets of loopback come one by one, as in lwIP's netif_poll(), because of the address: all of
 * 127.0.0.0/8 is ours, but lwIP accepts only the address that the interface has.
 */
static void deliver_loopback(struct netif *netif, struct pbuf *p)
{
    const struct ip_hdr *header = p->payload;
    ip4_addr_t own = *netif_ip4_addr(netif);
    ip4_addr_t to = { 0 };

    if (p->len >= sizeof(*header) && IPH_V(header) == 4)
        to.addr = header->dest.addr;
    if (ip4_addr_isloopback(&to) && is_loopback(netif))
        ip_2_ip4(&netif->ip_addr)->addr = to.addr;
    p->if_idx = netif_get_index(netif);
    if (ip_input(p, netif) != ERR_OK)
        pbuf_free(p);
    if (is_loopback(netif))
        *ip_2_ip4(&netif->ip_addr) = own;
}

static void tap_looped(const struct pbuf *p)
{
    struct netif *netif = packet_tap_users ? netdev_find("lo") : NULL;

    if (netif) {
        packet_tap(netif, p, true);
        packet_tap(netif, p, false);
    }
}

static void poll_looped(struct netif *netif)
{
    u16_t checks = netif->chksum_flags;

    netif->chksum_flags &= (u16_t)~CHECK_TRANSPORT; /* it never left this machine */
    while (netif->loop_first) {
        struct pbuf *p = netif->loop_first;
        /* netif_loop_output() copies each packet into a single pbuf. */
        netif->loop_first = p->next;
        if (!netif->loop_first)
            netif->loop_last = NULL;
        p->next = NULL;
        tap_looped(p);
        deliver_loopback(netif, p);
    }
    netif->chksum_flags = checks;
}

/* The packets that lwIP counts as sent on a link are those that it loops; the devices have counts of their own. */
void netdev_poll_loopback(void)
{
    static STAT_COUNTER nlooped; /* [n] */
    struct netif *netif;

    assert_held(&net_lock);
    while (unlikely(lwip_stats.link.xmit != nlooped)) {
        nlooped = lwip_stats.link.xmit;
        NETIF_FOREACH(netif)
        {
            poll_looped(netif);
        }
    }
}

/* ---- Registration --------------------------------------------------------------------------- */

static err_t init_netif(struct netif *netif)
{
    struct netdev_port *port = netif->state;
    struct netdev *dev = port->dev;

    netif->name[0] = 'e';
    netif->name[1] = 't';
    netif->mtu = dev->mtu ? dev->mtu : 1500;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, dev->mac, 6);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                   NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = link_output;
    u16_t sums = NETIF_CHECKSUM_ENABLE_ALL;
    if (dev->features & NETDEV_TX_CHECKSUM)
        sums &= (u16_t) ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP);
    NETIF_SET_CHECKSUM_CTRL(netif, sums);
    return ERR_OK;
}

int netdev_register(struct netdev *dev)
{
    struct netdev_port *port = kzalloc(sizeof(*port), ALLOC_WAIT);

    if (!port)
        return -ENOMEM;
    port->dev = dev;
    net_begin();
    if (!netif_add_noaddr(&port->netif, port, init_netif, ethernet_input)) {
        net_end();
        kfree(port);
        return -ENOMEM;
    }
    format_string(dev->name, sizeof(dev->name), "eth%u", ndevices++);
    list_push_back(&devices, &dev->node);
    if (ndevices == 1)
        netif_set_default(&port->netif);
    if (dev->is_link_up)
        netif_set_link_up(&port->netif);
    __atomic_store_n(&dev->net, port, __ATOMIC_RELEASE);
    net_end();
    netdev_wake(dev); /* its first poll enables the interrupt */
    log_info("%s: %02x:%02x:%02x:%02x:%02x:%02x", dev->name, dev->mac[0], dev->mac[1], dev->mac[2],
             dev->mac[3], dev->mac[4], dev->mac[5]);
    return 0;
}

void netdev_init(void)
{
    struct netif *netif;

    pbuf_cache = slab_cache_create("device_pbuf", sizeof(struct device_pbuf), 16);
    if (!pbuf_cache)
        panic("no memory for the network");
    NETIF_FOREACH(netif) /* loopback: it never leaves this machine */
    {
        NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_DISABLE_ALL);
    }
}
