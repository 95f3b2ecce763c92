// SPDX-License-Identifier: MIT
/*
 * The retransmission timer (RFC 6298, with Linux's least and greatest value), the tail loss probe's
 * (RFC 8985, 7.2), and the one for what is missing while too little follows it to tell that it is lost (6.2, step 5).
 *
 * A connection starts its timer anew with every acknowledgement, but it rarely goes off.  So only the time of the
 * start is noted then: in the tree a timer may stand too early, and one that is found there before it is due goes back
 * to its place, or leaves if nothing is under way.
 */
#include "lwip/priv/tcp_priv.h"
#include "net/counts.h"
#include "net/net.h"
#include "net/tcp_recovery.h"

#define RTO_FIRST   NSEC_PER_SEC
#define RTO_MIN     (200 * NSEC_PER_MSEC)
#define RTO_MAX     (120 * NSEC_PER_SEC)
#define BACKOFF_MAX 10 /* RTO_MIN is doubled no more often to be RTO_MAX */
#define PROBE_MIN   (10 * NSEC_PER_MSEC)
#define REORDER_MIN NSEC_PER_MSEC
#define ARG_TIMER   2 /* of lwIP's additional arguments; net/tcp_table.c has the others */

static struct rb_tree timers;
static nsec_t earliest = DEADLINE_NONE;

/* ---- The tree ----------------------------------------------------------------------- */

static struct tcp_pcb *pcb_of(struct rb_node *node)
{
    return rb_entry(node, struct tcp_pcb, recovery.timer.node);
}

static void update_earliest(void)
{
    struct rb_node *first = rb_first(&timers);
    earliest = first ? pcb_of(first)->recovery.timer.key : DEADLINE_NONE;
}

static void dequeue(struct tcp_timer *timer)
{
    rb_remove(&timers, &timer->node);
    timer->is_queued = false;
    update_earliest();
}

static void enqueue(struct tcp_timer *timer, nsec_t key)
{
    struct rb_node **link = &timers.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[pcb_of(parent)->recovery.timer.key <= key];
    }
    timer->key = key;
    timer->is_queued = true;
    rb_link(&timer->node, parent, link);
    rb_insert_fixup(&timers, &timer->node);
    earliest = MIN(earliest, key);
}

static void leave(u8_t id, void *arg)
{
    struct tcp_pcb *pcb = arg;

    if (!pcb)
        return;
    if (pcb->recovery.timer.is_queued)
        dequeue(&pcb->recovery.timer);
    tcp_recovery_fini(pcb);
}

static const struct tcp_ext_arg_callbacks callbacks = { .destroy = leave };

/* ---- Measuring ----------------------------------------------------------------------- */

void tcp_rto_sample(struct tcp_timer *timer, nsec_t now)
{
    nsec_t rtt = MAX(now - timer->rtt_begin, 1);

    timer->rtt_begin = 0;
    if (timer->srtt == 0) {
        timer->srtt = rtt;
        timer->rttvar = rtt / 2;
        return;
    }
    nsec_t error = rtt - timer->srtt;
    timer->rttvar += ((error < 0 ? -error : error) - timer->rttvar) / 4;
    timer->srtt += error / 8;
}

nsec_t tcp_rto_of(const struct tcp_timer *timer)
{
    if (timer->srtt == 0)
        return RTO_FIRST;
    return MIN(timer->srtt + MAX(4 * timer->rttvar, RTO_MIN), RTO_MAX);
}

/* ---- Starting and going off -------------------------------------------------------------- */

/* With what comes before end under way. */
static bool is_probe(const struct tcp_pcb *pcb, uint32_t end)
{
    const struct tcp_recovery *recovery = &pcb->recovery;

    /* For a single packet the peer may delay its acknowledgement as long as the timer takes. */
    return end - pcb->lastack > pcb->mss && (pcb->flags & TF_SACK) && recovery->timer.srtt &&
           !recovery->is_probed && recovery->board.nholes == 0 && pcb->nrtx == 0 &&
           !(pcb->flags & (TF_INFR | TF_RTO));
}

bool tcp_rto_is_probe(const struct tcp_pcb *pcb)
{
    return is_probe(pcb, pcb->snd_nxt);
}

static nsec_t probe_due(const struct tcp_timer *timer)
{
    return timer->started + MIN(MAX(2 * timer->srtt, PROBE_MIN), tcp_rto_of(timer));
}

static nsec_t due(const struct tcp_pcb *pcb)
{
    const struct tcp_timer *timer = &pcb->recovery.timer;

    if (timer->overdue)
        return timer->overdue;
    if (tcp_rto_is_probe(pcb))
        return probe_due(timer);
    nsec_t at = timer->started + MIN(tcp_rto_of(timer) << MIN(pcb->nrtx, BACKOFF_MAX), RTO_MAX);
    if (pcb->nrtx && pcb->recovery.stuck_since && pcb->recovery.user_timeout)
        at = MIN(at, pcb->recovery.stuck_since + pcb->recovery.user_timeout * NSEC_PER_MSEC);
    return at;
}

/* Not later than at key. */
static void arm(struct tcp_timer *timer, nsec_t key)
{
    if (timer->is_queued && timer->key <= key)
        return;
    if (timer->is_queued)
        dequeue(timer);
    enqueue(timer, key);
}

void tcp_rto_start(struct tcp_pcb *pcb, nsec_t now)
{
    struct tcp_timer *timer = &pcb->recovery.timer;

    assert_held(&net_lock);
    timer->started = now;
    arm(timer, due(pcb));
}

static void probe_in_time(struct tcp_pcb *pcb, uint32_t end)
{
    if (is_probe(pcb, end))
        arm(&pcb->recovery.timer, probe_due(&pcb->recovery.timer));
}

void tcp_rto_wait_for_holes(struct tcp_pcb *pcb, nsec_t now)
{
    struct tcp_timer *timer = &pcb->recovery.timer;

    assert_held(&net_lock);
    if (timer->overdue || timer->srtt == 0 || !timer->started)
        return;
    timer->overdue = now + MAX(timer->srtt / 4, REORDER_MIN);
    arm(timer, timer->overdue);
}

static void count_sent(const struct tcp_pcb *pcb, const struct tcp_seg *seg, bool is_again)
{
    bool has_syn = TCPH_FLAGS(seg->tcphdr) & TCP_SYN;

    if (seg->len > pcb->mss)
        net_counts.tcp_pieces += (seg->len - 1U) / pcb->mss;
    if (is_again && (!has_syn || pcb->nrtx)) { /* the first SYN's number is less as well */
        net_counts.tcp_resent++;
        net_counts.tcp_syns += has_syn;
    }
}

void tcp_rto_sent(struct tcp_pcb *pcb, const struct tcp_seg *seg)
{
    struct tcp_timer *timer = &pcb->recovery.timer;
    uint32_t seqno = lwip_ntohl(seg->tcphdr->seqno);
    bool is_again = TCP_SEQ_LT(seqno, pcb->snd_nxt);
    bool is_measured = timer->rtt_begin == 0 && !is_again;

    count_sent(pcb, seg, is_again);

    if (!is_measured && timer->started) {
        probe_in_time(pcb, seqno + seg->len);
        return;
    }
    nsec_t now = net_now();
    if (is_measured) {
        timer->rtt_begin = now;
        timer->rtt_seq = seqno;
    }
    if (!timer->started) {
        if (!pcb->ext_args[ARG_TIMER].data)
            tcp_scoreboard_clear(&pcb->recovery.board, seqno);
        pcb->ext_args[ARG_TIMER].data = pcb;
        pcb->ext_args[ARG_TIMER].callbacks = &callbacks;
        tcp_rto_start(pcb, now);
    }
    probe_in_time(pcb, seqno + seg->len);
}

void tcp_rto_run(nsec_t now)
{
    assert_held(&net_lock);
    while (earliest <= now) {
        struct tcp_pcb *pcb = pcb_of(rb_first(&timers));
        struct tcp_timer *timer = &pcb->recovery.timer;
        dequeue(timer);
        if (timer->started && due(pcb) <= now)
            tcp_recovery_timeout(pcb);
        if (timer->started && !timer->is_queued)
            enqueue(timer, MAX(due(pcb), now + NSEC_PER_MSEC));
    }
}

nsec_t tcp_rto_deadline(void)
{
    return earliest;
}
