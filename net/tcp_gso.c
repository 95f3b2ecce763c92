// SPDX-License-Identifier: MIT
/*
 * Segmentation by the device (virtio 1.2, 5.1.6.2: gso_type, gso_size).
 *
 * lwIP's queues hold segments of several MSS (net/tcp_send.c makes them); to lwIP a segment's length is only a number.
 * Before one is sent, tcp_gso_fit() looks at it:
 *
 *   It does not fit into the window: it is cut at a multiple of the MSS, unless so much is under way that
 *   acknowledgements will soon make room for all of it (cutting copies the rest, unless it refers to pages).
 *   The device cannot cut (the route has changed), or it carries an urgent pointer, which is relative to the
 *   segment's beginning and would be copied to each part: it is cut here.
 *
 * What is sent again does not come here: net/tcp_recovery.c makes packets of its own.
 *
 * The device learns the MSS from the connection when the packet comes to it (net/netdev.c).
 */
#include "net/tcp_gso.h"

#include <string.h>

#include "lwip/memp.h"
#include "lwip/priv/tcp_priv.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/tcp_pages.h"

bool tcp_gso_is_possible(const struct tcp_pcb *pcb)
{
    const struct netif *netif = pcb->netif_idx != NETIF_NO_INDEX
                                    ? netif_get_by_index(pcb->netif_idx)
                                    : ip_route(&pcb->local_ip, &pcb->remote_ip);
    return netif && netdev_can_segment(netif, IP_IS_V6_VAL(pcb->remote_ip));
}

void tcp_gso_set_header(const struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t seqno,
                        uint8_t flags)
{
    pbuf_add_header(seg->p, TCP_HLEN); /* PBUF_TRANSPORT left the room */
    struct tcp_hdr *header = seg->p->payload;
    seg->tcphdr = header;
    header->src = lwip_htons(pcb->local_port);
    header->dest = lwip_htons(pcb->remote_port);
    header->seqno = lwip_htonl(seqno);
    TCPH_HDRLEN_FLAGS_SET(header, 5, flags); /* the rest is set when it is sent */
    header->urgp = 0;
}

/* ---- Shortening ---------------------------------------------------------------------- */

/* The flags that belong to the end move to the rest; the urgent pointer counts from the rest's beginning. */
static void share_flags(struct tcp_seg *seg, struct tcp_seg *rest)
{
    u16_t urgent = lwip_ntohs(seg->tcphdr->urgp);
    u8_t flags = (u8_t)(TCPH_FLAGS(seg->tcphdr) & (TCP_PSH | TCP_FIN));

    TCPH_UNSET_FLAG(seg->tcphdr, TCP_PSH | TCP_FIN);
    if ((TCPH_FLAGS(seg->tcphdr) & TCP_URG) && urgent > seg->len) {
        flags |= TCP_URG;
        rest->tcphdr->urgp = lwip_htons((u16_t)(urgent - seg->len));
    }
    TCPH_SET_FLAG(rest->tcphdr, flags);
}

/* Takes the last n bytes off p; NULL: no memory. */
static struct pbuf *take_end(struct pbuf *p, u16_t n)
{
    u16_t left = (u16_t)(p->tot_len - n);

    if (p->next)
        return tcp_pages_split(p, left);
    struct pbuf *end = pbuf_alloc(PBUF_TRANSPORT, n, PBUF_RAM);
    if (end) {
        pbuf_copy_partial(p, end->payload, n, left);
        pbuf_realloc(p, left);
    }
    return end;
}

/* Cuts seg behind its first n bytes of data; the rest, or NULL: no memory. */
static struct tcp_seg *cut(struct tcp_pcb *pcb, struct tcp_seg *seg, u16_t n)
{
    u16_t left = (u16_t)(seg->len - n);
    u16_t npieces = pbuf_clen(seg->p);
    struct tcp_seg *rest = memp_malloc(MEMP_TCP_SEG);
    struct pbuf *p = rest ? take_end(seg->p, left) : NULL;

    if (!p) {
        memp_free(MEMP_TCP_SEG, rest);
        return NULL;
    }
    *rest = (struct tcp_seg){ .p = p, .len = left, .flags = seg->flags };
    seg->len = n;
    tcp_gso_set_header(pcb, rest, lwip_ntohl(seg->tcphdr->seqno) + n, 0);
    share_flags(seg, rest);
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen + pbuf_clen(seg->p) + pbuf_clen(p) - npieces);
    return rest;
}

/* ---- Deciding -------------------------------------------------------------------------- */

/* How much of seg may go now; 0: nothing, or nothing can be done about it. */
static u16_t allowed(const struct tcp_pcb *pcb, const struct tcp_seg *seg, u32_t window,
                     const struct netif *netif)
{
    u32_t under_way = lwip_ntohl(seg->tcphdr->seqno) - pcb->lastack;
    u32_t room = window > under_way ? window - under_way : 0;
    u32_t most = seg->len;

    if ((TCPH_FLAGS(seg->tcphdr) & TCP_URG) ||
        !netdev_can_segment(netif, IP_IS_V6_VAL(pcb->remote_ip)))
        most = pcb->mss;
    if (most <= room)
        return (u16_t)most;
    if (pcb->unacked && most <= window / 2)
        return 0;
    return (u16_t)(room / pcb->mss * pcb->mss);
}

static void queue_rest(struct tcp_pcb *pcb, struct tcp_seg *seg, struct tcp_seg *rest)
{
    rest->next = seg->next;
    seg->next = rest;
    if (!rest->next)
        pcb->unsent_oversize = 0;
}

void tcp_gso_fit(struct tcp_pcb *pcb, struct tcp_seg *seg, u32_t window, struct netif *netif)
{
    assert_held(&net_lock);
    if (seg->len <= pcb->mss || seg->p->ref != 1)
        return;
    u16_t most = allowed(pcb, seg, window, netif);
    if (most && most < seg->len) {
        struct tcp_seg *rest = cut(pcb, seg, most);
        if (rest)
            queue_rest(pcb, seg, rest);
    }
    if (seg->len > pcb->mss)
        seg->p->flags |= TCP_GSO_FLAG;
    else
        seg->p->flags &= (u8_t)~TCP_GSO_FLAG;
}
