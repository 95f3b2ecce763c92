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
#include "net/net.h"
#include "net/tcp_socket.h"
#include "net/tcp_table.h"

/* What the failed packet was: from us to there. */
struct failed {
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
    uint8_t protocol;
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

static void report(const struct failed *failed, int error)
{
    if (failed->protocol == IP_PROTO_UDP)
        report_udp(failed, error);
    else if (failed->protocol == IP_PROTO_TCP)
        report_tcp(failed, error);
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

static int error_of_code4(unsigned code)
{
    switch (code) {
    case ICMP_DUR_NET:
        return ENETUNREACH;
    case ICMP_DUR_PROTO:
        return ENOPROTOOPT;
    case ICMP_DUR_PORT:
        return ECONNREFUSED;
    case ICMP_DUR_FRAG:
        return 0; /* path MTU: not a failure */
    default:
        return EHOSTUNREACH;
    }
}

void icmp_error_input4(const struct pbuf *p)
{
    const struct ip_hdr *ip = p->payload;
    struct icmp_echo_hdr icmp;
    struct ip_hdr inner;
    struct failed failed;

    if (p->len < sizeof(*ip) || IPH_PROTO(ip) != IP_PROTO_ICMP)
        return;
    u16_t offset = IPH_HL_BYTES(ip);
    if (pbuf_copy_partial(p, &icmp, sizeof(icmp), offset) != sizeof(icmp) ||
        ICMPH_TYPE(&icmp) != ICMP_DUR)
        return;
    offset = (u16_t)(offset + sizeof(icmp));
    if (pbuf_copy_partial(p, &inner, sizeof(inner), offset) != sizeof(inner))
        return;
    address_ip4(&failed.local, inner.src.addr);
    address_ip4(&failed.remote, inner.dest.addr);
    failed.protocol = IPH_PROTO(&inner);
    int error = error_of_code4(ICMPH_CODE(&icmp));
    if (error && read_ports(p, (u16_t)(offset + IPH_HL_BYTES(&inner)), &failed))
        report(&failed, error);
}

static int error_of_code6(unsigned code)
{
    switch (code) {
    case ICMP6_DUR_NO_ROUTE:
        return ENETUNREACH;
    case ICMP6_DUR_PROHIBITED:
        return EACCES;
    case ICMP6_DUR_PORT:
        return ECONNREFUSED;
    default:
        return EHOSTUNREACH;
    }
}

void icmp_error_input6(const struct pbuf *p)
{
    const struct ip6_hdr *ip = p->payload;
    struct icmp6_hdr icmp;
    struct ip6_hdr inner;
    struct failed failed;
    uint32_t word[4];

    if (p->len < IP6_HLEN || IP6H_NEXTH(ip) != IP6_NEXTH_ICMP6)
        return;
    u16_t offset = IP6_HLEN;
    if (pbuf_copy_partial(p, &icmp, sizeof(icmp), offset) != sizeof(icmp) ||
        icmp.type != ICMP6_TYPE_DUR)
        return;
    offset = (u16_t)(offset + sizeof(icmp));
    if (pbuf_copy_partial(p, &inner, sizeof(inner), offset) != sizeof(inner))
        return;
    memcpy(word, &inner.src, sizeof(word));
    address_ip6(&failed.local, word, p->if_idx);
    memcpy(word, &inner.dest, sizeof(word));
    address_ip6(&failed.remote, word, p->if_idx);
    failed.protocol = IP6H_NEXTH(&inner);
    if (read_ports(p, (u16_t)(offset + IP6_HLEN), &failed))
        report(&failed, error_of_code6(icmp.code));
}
