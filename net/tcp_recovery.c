// SPDX-License-Identifier: MIT
/*
 * Loss recovery: RFC 6675 with SACK, RFC 6582 (NewReno) without, RFC 3042's limited transmit in both, RFC 6298's timer
 * (net/tcp_rto.c) and RFC 8985's tail loss probe.
 *
 * lwIP keeps the queues; what was sent stays in pcb->unacked until it is acknowledged.  A retransmission is a
 * packet of its own, made from a copy: a segment that the device still sends, or that holds many packets, does not
 * matter.  Only before a connection is established, when all there is is a SYN, does lwIP retransmit itself.
 *
 * In lwIP's flags, TF_INFR is fast recovery and TF_RTO the slow start after a timeout; both end when rto_end
 * is acknowledged.
 *
 * lwIP compares what lies between SND.UNA and a segment's end with the congestion window.  The window bounds what is in
 * the network, so tcp_recovery_window() adds what left it: bytes that the peer has behind a hole, and lost ones.
 * Every duplicate ACK lets new data out this way before anything is taken for lost, and the rule is the same
 * in recovery.
 */
#include "net/tcp_recovery.h"

#include <string.h>

#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "net/counts.h"
#include "net/net.h"

#define OPTION_SACK 5

static uint32_t under_way(const struct tcp_pcb *pcb)
{
    return pcb->snd_nxt - pcb->lastack;
}

/* ---- Sending again ------------------------------------------------------------------------ */

static struct tcp_seg *find_segment(const struct tcp_pcb *pcb, uint32_t seqno)
{
    struct tcp_seg *seg = pcb->unacked;

    while (seg && TCP_SEQ_GEQ(seqno, lwip_ntohl(seg->tcphdr->seqno) + TCP_TCPLEN(seg)))
        seg = seg->next;
    return seg && TCP_SEQ_GEQ(seqno, lwip_ntohl(seg->tcphdr->seqno)) ? seg : NULL;
}

/* Which of the segment's flags a packet with n bytes from offset on has. */
static uint8_t flags_of(const struct tcp_seg *seg, uint16_t offset, uint16_t n)
{
    uint8_t flags = TCP_ACK;

    if (offset + n == seg->len)
        flags |= TCPH_FLAGS(seg->tcphdr) & (TCP_PSH | TCP_FIN);
    if ((TCPH_FLAGS(seg->tcphdr) & TCP_URG) && lwip_ntohs(seg->tcphdr->urgp) > offset)
        flags |= TCP_URG;
    return flags;
}

static struct pbuf *make_packet(const struct tcp_pcb *pcb, const struct tcp_seg *seg,
                                uint16_t offset, uint16_t n)
{
    struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(TCP_HLEN + n), PBUF_RAM);

    if (!p)
        return NULL;
    struct tcp_hdr *header = p->payload;
    uint8_t flags = flags_of(seg, offset, n);
    uint16_t urgent = lwip_ntohs(seg->tcphdr->urgp);
    *header = (struct tcp_hdr){
        .src = lwip_htons(pcb->local_port),
        .dest = lwip_htons(pcb->remote_port),
        .seqno = lwip_htonl(lwip_ntohl(seg->tcphdr->seqno) + offset),
        .ackno = lwip_htonl(pcb->rcv_nxt),
        .wnd = lwip_htons(TCPWND_MIN16(RCV_WND_SCALE(pcb, pcb->rcv_ann_wnd))),
        .urgp = (flags & TCP_URG) ? lwip_htons((u16_t)(urgent - offset)) : 0,
    };
    TCPH_HDRLEN_FLAGS_SET(header, TCP_HLEN / 4, flags);
    pbuf_copy_partial(seg->p, header + 1, n, (u16_t)(seg->p->tot_len - seg->len + offset));
    return p;
}

static bool output_packet(struct tcp_pcb *pcb, struct pbuf *p)
{
    struct netif *netif = pcb->netif_idx != NETIF_NO_INDEX
                              ? netif_get_by_index(pcb->netif_idx)
                              : ip_route(&pcb->local_ip, &pcb->remote_ip);
    err_t err = ERR_RTE;

    if (netif) {
        struct tcp_hdr *header = p->payload;
        IF__NETIF_CHECKSUM_ENABLED(netif, NETIF_CHECKSUM_GEN_TCP)
        {
            header->chksum =
                ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, &pcb->local_ip, &pcb->remote_ip);
        }
        pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
        TCP_STATS_INC(tcp.xmit);
        NETIF_SET_HINTS(netif, &pcb->netif_hints);
        err = ip_output_if(p, &pcb->local_ip, &pcb->remote_ip, pcb->ttl, pcb->tos, IP_PROTO_TCP,
                           netif);
        NETIF_RESET_HINTS(netif);
    }
    pbuf_free(p);
    return err == ERR_OK;
}

/* Sends a packet with what begins at seqno, up to end; how many sequence numbers it covers, 0: none could be sent. */
static uint32_t send_again(struct tcp_pcb *pcb, uint32_t seqno, uint32_t end)
{
    const struct tcp_seg *seg = find_segment(pcb, seqno);

    if (!seg)
        return 0;
    uint32_t offset = seqno - lwip_ntohl(seg->tcphdr->seqno);
    uint32_t n = LWIP_MIN(LWIP_MIN(end - seqno, pcb->mss), seg->len - offset);
    struct pbuf *p = make_packet(pcb, seg, (uint16_t)offset, (uint16_t)n);
    if (!p)
        return 0;
    bool has_fin = TCPH_FLAGS((struct tcp_hdr *)p->payload) & TCP_FIN;
    if (!output_packet(pcb, p))
        return 0;
    pcb->recovery.nresent++;
    net_counts.tcp_resent++;
    pcb->recovery.timer.rtt_begin = 0; /* Karn's rule */
    return n + has_fin;
}

/* ---- What is lost, and what may go -------------------------------------------------------- */

uint32_t tcp_recovery_window(struct tcp_pcb *pcb)
{
    const struct tcp_recovery *recovery = &pcb->recovery;
    uint32_t outside = recovery->board.outside + recovery->dup_bytes;

    return pcb->cwnd + LWIP_MIN(outside, under_way(pcb));
}

static void judge(struct tcp_pcb *pcb)
{
    struct tcp_recovery *recovery = &pcb->recovery;
    struct tcp_scoreboard *board = &recovery->board;
    uint32_t lost_below = pcb->lastack;

    if (pcb->flags & TF_RTO)
        lost_below = pcb->rto_end;
    else if (recovery->is_probed || ((pcb->flags & TF_INFR) && !board->is_reordered))
        lost_below =
            board
                ->highest; /* it was long ago that they were sent, or what came later overtakes nothing */
    else if (pcb->flags & TF_INFR)
        lost_below = pcb->lastack + 1; /* a partial acknowledgement */
    tcp_scoreboard_judge(board, pcb->lastack, lost_below, pcb->mss);
}

/* Sends what is lost, as far as the window allows; has_first: one packet goes in any case. */
static void fill_holes(struct tcp_pcb *pcb, bool has_first)
{
    struct tcp_scoreboard *board = &pcb->recovery.board;

    for (unsigned i = 0; i < board->nlost; i++) {
        struct tcp_hole *hole = &board->hole[i];
        while (TCP_SEQ_LT(hole->resent, hole->end)) {
            uint32_t next = LWIP_MIN(hole->end - hole->resent, pcb->mss);
            if (!has_first && under_way(pcb) + next > tcp_recovery_window(pcb))
                return;
            uint32_t n = send_again(pcb, hole->resent, hole->end);
            if (n == 0)
                return;
            has_first = false;
            hole->resent += n;
            hole->mark = pcb->snd_nxt;
            hole->serial = ++board->serial;
            board->outside -= n;
        }
    }
}

static void halve(struct tcp_pcb *pcb)
{
    tcpwnd_size_t window = LWIP_MIN(pcb->cwnd, LWIP_MIN(under_way(pcb), pcb->snd_wnd));

    pcb->ssthresh = LWIP_MAX(window / 2, (tcpwnd_size_t)(2 * pcb->mss));
    pcb->bytes_acked = 0;
    pcb->rto_end = pcb->snd_nxt;
}

/* ---- Arrivals -------------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof(word));
    return lwip_ntohl(word);
}

static void take_block(struct tcp_pcb *pcb, uint32_t left, uint32_t right)
{
    struct tcp_timer *timer = &pcb->recovery.timer;

    if (!TCP_SEQ_LT(left, right) || TCP_SEQ_LT(left, pcb->lastack) ||
        TCP_SEQ_GT(right, pcb->snd_nxt))
        return; /* one that was received twice (RFC 2883), or nonsense */
    if (timer->rtt_begin && TCP_SEQ_GEQ(timer->rtt_seq, left) && TCP_SEQ_LT(timer->rtt_seq, right))
        tcp_rto_sample(timer, net_now());
    tcp_scoreboard_add(&pcb->recovery.board, left, right);
}

static void take_options(struct tcp_pcb *pcb, const uint8_t *option, unsigned len)
{
    for (unsigned i = 0; i < len && option[i] != LWIP_TCP_OPT_EOL;) {
        if (option[i] == LWIP_TCP_OPT_NOP) {
            i++;
            continue;
        }
        if (i + 1 >= len || option[i + 1] < 2 || i + option[i + 1] > len)
            return;
        if (option[i] == OPTION_SACK) {
            for (unsigned at = 2; at + 8 <= option[i + 1]; at += 8)
                take_block(pcb, word_at(option + i + at), word_at(option + i + at + 4));
        }
        i += option[i + 1];
    }
}

void tcp_recovery_begin(struct tcp_pcb *pcb, const struct tcp_hdr *header, const uint8_t *option,
                        unsigned len)
{
    pcb->recovery.last_una = pcb->lastack;
    pcb->recovery.last_dupacks = pcb->dupacks;
    if (len && (pcb->flags & TF_SACK) && pcb->unacked && (TCPH_FLAGS(header) & TCP_ACK) &&
        pcb->state >= ESTABLISHED && TCP_SEQ_LEQ(header->ackno, pcb->snd_nxt))
        take_options(pcb, option, len);
}

/* Without SACK a hole is known only by its beginning. */
static void note_partial(struct tcp_pcb *pcb)
{
    struct tcp_scoreboard *board = &pcb->recovery.board;

    if ((pcb->flags & TF_SACK) || !(pcb->flags & TF_INFR) || board->nholes || !pcb->unacked)
        return;
    board->highest = pcb->lastack;
    (void)tcp_scoreboard_append_hole(board, pcb->lastack,
                                     pcb->lastack + LWIP_MIN(under_way(pcb), pcb->mss));
}

static void leave_recovery(struct tcp_pcb *pcb)
{
    if (TCP_SEQ_GEQ(pcb->lastack, pcb->rto_end))
        tcp_clear_flags(pcb, TF_INFR | TF_RTO);
    if (!(pcb->flags & TF_INFR))
        pcb->recovery.dup_bytes = 0;
    if (pcb->recovery.board.nholes == 0 && pcb->recovery.board.hole)
        tcp_scoreboard_clear(&pcb->recovery.board, pcb->lastack);
}

static void on_acknowledged(struct tcp_pcb *pcb)
{
    struct tcp_recovery *recovery = &pcb->recovery;
    struct tcp_timer *timer = &recovery->timer;
    uint32_t n = pcb->lastack - recovery->last_una;
    nsec_t now = net_now();

    if (timer->rtt_begin && TCP_SEQ_GT(pcb->lastack, timer->rtt_seq))
        tcp_rto_sample(timer, now);
    if (recovery->is_probed && TCP_SEQ_GEQ(pcb->lastack, recovery->probe_end))
        recovery->is_probed = false;
    if (pcb->unacked)
        tcp_rto_start(pcb, now);
    else
        timer->started = 0;
    tcp_scoreboard_advance(&recovery->board, pcb->lastack);
    recovery->dup_bytes -= LWIP_MIN(recovery->dup_bytes, n > pcb->mss ? n - pcb->mss : 0);
    leave_recovery(pcb);
    note_partial(pcb);
}

static bool is_loss(const struct tcp_pcb *pcb)
{
    if (pcb->flags & TF_SACK)
        return pcb->recovery.board.nlost > 0;
    return pcb->dupacks >= 3 && pcb->dupacks > pcb->recovery.last_dupacks;
}

/* Looks at the holes; the first loss of a window begins recovery. */
static void recover(struct tcp_pcb *pcb)
{
    bool is_new = false;

    judge(pcb);
    if (is_loss(pcb) && !(pcb->flags & (TF_INFR | TF_RTO))) {
        halve(pcb);
        pcb->cwnd = pcb->ssthresh;
        tcp_set_flags(pcb, TF_INFR);
        note_partial(pcb);
        judge(pcb);
        tcp_rto_start(pcb, net_now());
        is_new = true;
    }
    fill_holes(pcb, is_new);
}

void tcp_recovery_end(struct tcp_pcb *pcb)
{
    struct tcp_recovery *recovery = &pcb->recovery;

    assert_held(&net_lock);
    if (pcb->lastack != recovery->last_una)
        on_acknowledged(pcb);
    if (!(pcb->flags & TF_SACK) && pcb->dupacks > recovery->last_dupacks)
        recovery->dup_bytes += pcb->mss;
    if (!pcb->unacked || (recovery->board.nholes == 0 && recovery->dup_bytes == 0)) {
        recovery->board.outside = 0;
        recovery->timer.overdue = 0;
        return;
    }
    recover(pcb);
    if (recovery->board.nholes && !(pcb->flags & (TF_INFR | TF_RTO)))
        tcp_rto_wait_for_holes(pcb, net_now());
    else
        recovery->timer.overdue = 0;
}

/* ---- Timeouts --------------------------------------------------------------------------------- */

/* The last packet again, or new data: what comes back tells what is missing before it. */
static void probe(struct tcp_pcb *pcb)
{
    struct tcp_recovery *recovery = &pcb->recovery;
    uint32_t n = LWIP_MIN(under_way(pcb), pcb->mss);

    recovery->is_probed = true;
    recovery->probe_end = pcb->snd_nxt;
    (void)send_again(pcb, pcb->snd_nxt - n, pcb->snd_nxt);
}

/* What is missing has not come although later data did. */
static void give_up_holes(struct tcp_pcb *pcb)
{
    pcb->recovery.timer.overdue = 0;
    pcb->recovery.is_probed = true;
    pcb->recovery.probe_end = pcb->snd_nxt;
    recover(pcb);
    tcp_output(pcb);
}

/* Everything that the peer has not acknowledged is lost. */
static void lose_all(struct tcp_pcb *pcb)
{
    struct tcp_scoreboard *board = &pcb->recovery.board;

    if (pcb->nrtx > 1)
        tcp_scoreboard_clear(board,
                             pcb->lastack); /* perhaps the peer dropped what it had (RFC 2018, 8) */
    if (board->nholes == 0)
        board->highest = pcb->lastack;
    tcp_scoreboard_forget_resent(board);
    if (board->highest != pcb->snd_nxt)
        (void)tcp_scoreboard_append_hole(board, board->highest, pcb->snd_nxt);
}

static void back_off(struct tcp_pcb *pcb)
{
    if (!(pcb->flags & TF_RTO))
        halve(pcb);
    pcb->rto_end = pcb->snd_nxt;
    pcb->cwnd = pcb->mss;
    pcb->recovery.dup_bytes = 0;
    pcb->recovery.is_probed = false;
    tcp_clear_flags(pcb, TF_INFR);
    tcp_set_flags(pcb, TF_RTO);
    lose_all(pcb);
    judge(pcb);
    if (pcb->nrtx < UINT8_MAX)
        pcb->nrtx++;
    fill_holes(pcb, true);
}

/* The timer goes off; whether nothing more is to be tried. */
static bool must_end(struct tcp_pcb *pcb)
{
    struct tcp_recovery *recovery = &pcb->recovery;
    bool is_syn = pcb->state == SYN_SENT;
    unsigned most = is_syn ? TCP_SYNMAXRTX : LWIP_TCP_MAXRTX;

    if (pcb->nrtx == 0 || recovery->stuck_since == 0) {
        recovery->stuck_since = recovery->timer.started;
        return false;
    }
    if (is_syn && recovery->syn_count)
        most = recovery->syn_count + 1U;
    if (recovery->user_timeout &&
        net_now() - recovery->stuck_since >= recovery->user_timeout * NSEC_PER_MSEC)
        return true;
    /* Where time decides, the number of times does not, but for the first of all segments. */
    return (is_syn || !recovery->user_timeout) && pcb->nrtx + 1U >= most;
}

bool tcp_recovery_is_over(const struct tcp_pcb *pcb)
{
    return pcb->recovery.is_over && pcb->nrtx > 0; /* it may have been acknowledged since */
}

bool tcp_recovery_probes_failed(struct tcp_pcb *pcb)
{
    struct tcp_recovery *recovery = &pcb->recovery;

    if (pcb->persist_backoff == 1) /* before the first one */
        recovery->stuck_since = net_now();
    if (recovery->user_timeout)
        return net_now() - recovery->stuck_since >= recovery->user_timeout * NSEC_PER_MSEC;
    return pcb->persist_probe >= TCP_MAXRTX;
}

uint32_t tcp_recovery_keep_limit(const struct tcp_pcb *pcb)
{
    if (pcb->recovery.user_timeout)
        return LWIP_MAX(pcb->recovery.user_timeout, pcb->keep_idle + pcb->keep_intvl);
    return pcb->keep_idle + pcb->keep_cnt * pcb->keep_intvl;
}

void tcp_recovery_timeout(struct tcp_pcb *pcb)
{
    bool has_unsent = pcb->unsent && pcb->persist_backoff == 0;
    bool waits = pcb->state != TIME_WAIT && (pcb->unacked || has_unsent);

    if (pcb->recovery.timer.overdue) {
        give_up_holes(pcb);
        return;
    }
    pcb->recovery.is_over = waits && must_end(pcb);
    waits &= !pcb->recovery.is_over;
    pcb->recovery.timer.started = waits ? net_now() : 0;
    pcb->recovery.timer.rtt_begin = 0;
    if (!waits)
        return;
    if (!pcb->unacked || pcb->state < ESTABLISHED) {
        if (pcb->unacked && tcp_rexmit_rto_prepare(pcb) != ERR_OK)
            return; /* the device has it still */
        net_counts.tcp_timeouts++;
        tcp_clear_flags(pcb, TF_RTO);
        tcp_rexmit_rto_commit(pcb);
    } else if (tcp_rto_is_probe(pcb)) {
        probe(pcb);
    } else {
        net_counts.tcp_timeouts++;
        back_off(pcb);
        tcp_output(pcb);
    }
}

void tcp_recovery_fini(struct tcp_pcb *pcb)
{
    tcp_scoreboard_clear(&pcb->recovery.board, pcb->lastack);
}
