// SPDX-License-Identifier: MIT
/*
 * ICMP errors about packets we sent.
 *
 * The packet carries the header of the one it complains about; its ports and addresses must be those of
 * a connected socket of ours, which makes forged ones hard to hit with.
 */
#include "net/icmp_error.h"

#include <string.h>

#include "abi/errno.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/udp.h"
#include "net/address.h"
#include "net/lwip_port.h"
#include "net/net.h"
#include "net/tcp_socket.h"
#include "net/tcp_table.h"

/* What the failed packet was: from us to there. */
struct failed {
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
    uint8_t protocol;
};

/* What the codes of "destination unreachable" mean (RFC 1122, 3.2.2.1; RFC 1812, 5.2.7.1), as Linux tells them; a code
 * behind the last one, or an error of 0: nobody is told. */
struct code {
    uint8_t error;
    bool is_hard; /* asking again does not help */
};

static const struct code codes4[] = {
    { ENETUNREACH, false },
    { EHOSTUNREACH, false },
    { ENOPROTOOPT, true },
    { ECONNREFUSED, true },
    { 0, false } /* path MTU: not a failure */,
    { EOPNOTSUPP, false },
    { ENETUNREACH, true },
    { EHOSTDOWN, true },
    { ENONET, true },
    { ENETUNREACH, true },
    { EHOSTUNREACH, true },
    { ENETUNREACH, false },
    { EHOSTUNREACH, false },
    { EHOSTUNREACH, true },
    { EHOSTUNREACH, true },
    { EHOSTUNREACH, true },
};
/* RFC 4443, 3.1. */
static const struct code codes6[] = {
    { ENETUNREACH, false }, { EACCES, true }, { EHOSTUNREACH, false }, { EHOSTUNREACH, false },
    { ECONNREFUSED, true }, { EACCES, true }, { EACCES, true },
};

static void report_udp(const struct failed *failed, int error)
{
    for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
        struct inet_socket *inet = pcb->recv_arg;
        if (pcb->local_port != failed->local_port || !(pcb->flags & UDP_FLAGS_CONNECTED) ||
            pcb->remote_port != failed->remote_port ||
            !ip_addr_cmp(&pcb->remote_ip, &failed->remote) || !inet || !inet->is_connected)
            continue;
        __atomic_store_n(&inet->base.error, error, __ATOMIC_RELEASE);
        socket_wake_later(&inet->base, ABI_POLLERR | ABI_POLLIN | ABI_POLLOUT);
        return;
    }
}

static void report_tcp(const struct failed *failed, int error)
{
    struct tcp_pcb *pcb =
        tcp_table_find(&failed->local, failed->local_port, &failed->remote, failed->remote_port);
    if (pcb)
        tcp_event_unreachable(pcb, error);
}

/* Of what may pass the sender of a datagram is not told, as on Linux without IP_RECVERR. */
static void report(const struct failed *failed, struct code code)
{
    if (code.error && failed->protocol == IP_PROTO_UDP && code.is_hard)
        report_udp(failed, code.error);
    else if (code.error && failed->protocol == IP_PROTO_TCP)
        report_tcp(failed, code.error);
}

static bool read_ports(const struct pbuf *p, u16_t offset, struct failed *failed)
{
    uint16_t port[2];

    if (pbuf_copy_partial(p, port, sizeof(port), offset) != sizeof(port))
        return false;
    failed->local_port = lwip_ntohs(port[0]);
    failed->remote_port = lwip_ntohs(port[1]);
    return true;
}

/* The packet whose IP header is at offset; false: none that a socket sent. */
static bool read_packet4(const struct pbuf *p, u16_t offset, struct failed *failed)
{
    struct ip_hdr ip;

    if (pbuf_copy_partial(p, &ip, sizeof(ip), offset) != sizeof(ip))
        return false;
    address_ip4(&failed->local, ip.src.addr);
    address_ip4(&failed->remote, ip.dest.addr);
    failed->protocol = IPH_PROTO(&ip);
    return read_ports(p, (u16_t)(offset + IPH_HL_BYTES(&ip)), failed);
}

static bool read_packet6(const struct pbuf *p, u16_t offset, unsigned interface,
                         struct failed *failed)
{
    struct ip6_hdr ip;
    uint32_t word[4];

    if (pbuf_copy_partial(p, &ip, sizeof(ip), offset) != sizeof(ip))
        return false;
    memcpy(word, &ip.src, sizeof(word));
    address_ip6(&failed->local, word, interface);
    memcpy(word, &ip.dest, sizeof(word));
    address_ip6(&failed->remote, word, interface);
    failed->protocol = IP6H_NEXTH(&ip);
    return read_ports(p, (u16_t)(offset + IP6_HLEN), failed);
}

void icmp_error_unresolved(const struct pbuf *p, const struct netif *netif)
{
    struct failed failed;
    uint8_t version;

    assert_held(&net_lock);
    if (pbuf_copy_partial(p, &version, 1, 0) != 1)
        return;
    if (version >> 4 == 4 ? read_packet4(p, 0, &failed)
                          : read_packet6(p, 0, netif_get_index(netif), &failed))
        report(&failed, (struct code){ EHOSTUNREACH, false });
}

void icmp_error_input4(const struct pbuf *p)
{
    const struct ip_hdr *ip = p->payload;
    struct icmp_echo_hdr icmp;
    struct failed failed;

    if (p->len < sizeof(*ip) || IPH_PROTO(ip) != IP_PROTO_ICMP)
        return;
    u16_t offset = IPH_HL_BYTES(ip);
    if (pbuf_copy_partial(p, &icmp, sizeof(icmp), offset) != sizeof(icmp) ||
        ICMPH_TYPE(&icmp) != ICMP_DUR)
        return;
    if (ICMPH_CODE(&icmp) < ARRAY_SIZE(codes4) &&
        read_packet4(p, (u16_t)(offset + sizeof(icmp)), &failed))
        report(&failed, codes4[ICMPH_CODE(&icmp)]);
}

void icmp_error_input6(const struct pbuf *p)
{
    const struct ip6_hdr *ip = p->payload;
    struct icmp6_hdr icmp;
    struct failed failed;

    if (p->len < IP6_HLEN || IP6H_NEXTH(ip) != IP6_NEXTH_ICMP6)
        return;
    u16_t offset = IP6_HLEN;
    if (pbuf_copy_partial(p, &icmp, sizeof(icmp), offset) != sizeof(icmp) ||
        icmp.type != ICMP6_TYPE_DUR)
        return;
    if (icmp.code < ARRAY_SIZE(codes6) &&
        read_packet6(p, (u16_t)(offset + sizeof(icmp)), p->if_idx, &failed))
        report(&failed, codes6[icmp.code]);
}
