// SPDX-License-Identifier: MIT
#pragma once
/*
 * What a connection knows about losses, in place of lwIP's own retransmission.  It is a member of struct tcp_pcb
 * (net/lwip/tcp.h.sed), all zero at first.  net_lock is held.
 */
#include "lib/list.h"
#include "lib/rbtree.h"
#include "net/tcp_scoreboard.h"

struct tcp_hdr;
struct tcp_pcb;
struct tcp_seg;

struct tcp_timer {
    struct rb_node node;
    nsec_t key; /* by which it stands in the tree: not later than it is due */
    nsec_t
        started; /* when something was first sent or last acknowledged; 0: nothing is under way */
    nsec_t srtt; /* 0: not measured */
    nsec_t rttvar;
    nsec_t rtt_begin; /* when rtt_seq was sent; 0: nothing is being measured */
    uint32_t rtt_seq;
    nsec_t overdue; /* when holes that are not taken for lost will be; 0: there are none */
    bool is_queued;
};

struct tcp_recovery {
    struct list
        half_open; /* net/tcp_listen.c: the handshakes of a listener; null: not one of them */
    struct tcp_timer timer;
    struct tcp_scoreboard board;
    uint32_t last_una;  /* SND.UNA before the segment that is being processed */
    uint32_t dup_bytes; /* without SACK: what left the network by the number of duplicate ACKs */
    uint32_t probe_end; /* SND.NXT then */
    uint32_t nresent;   /* packets, in the connection's life */
    uint32_t
        user_timeout; /* milliseconds without an acknowledgement that end it; 0: the number of times decides */
    nsec_t stuck_since; /* when what timed out first was sent, while nrtx is not 0; else when a
                         * closed window was first probed */
    uint8_t syn_count;  /* how often a SYN is sent again; 0: as lwIP */
    uint16_t counted;   /* net/tcp_table.c: where, plus one; 0: not */
    bool is_over;       /* no more is sent again: lwIP's next tick ends it */
    uint8_t last_dupacks;
    bool is_probed; /* a tail loss probe is under way, or holes are overdue */
};

/* The window that tcp_output() may fill from SND.UNA on, as far as congestion goes. */
uint32_t tcp_recovery_window(struct tcp_pcb *pcb);
/* A segment arrives: before lwIP sees it, and when lwIP has, before it sends. */
void tcp_recovery_begin(struct tcp_pcb *pcb, const struct tcp_hdr *header, const uint8_t *option,
                        unsigned len);
void tcp_recovery_end(struct tcp_pcb *pcb);
/* Nothing was acknowledged in time. */
void tcp_recovery_timeout(struct tcp_pcb *pcb);
/* Whether it has been given up. */
bool tcp_recovery_is_over(const struct tcp_pcb *pcb);
/* TCP_USER_TIMEOUT for what lwIP probes for: whether the peer's window was closed for too long (asked twice a second
 * while it is), and how many milliseconds an idle one may be. */
bool tcp_recovery_probes_failed(struct tcp_pcb *pcb);
uint32_t tcp_recovery_keep_limit(const struct tcp_pcb *pcb);
/* The scoreboard's memory. */
void tcp_recovery_fini(struct tcp_pcb *pcb);

/* net/tcp_rto.c.  A segment of pcb goes out for the first time. */
void tcp_rto_sent(struct tcp_pcb *pcb, const struct tcp_seg *seg);
void tcp_rto_start(struct tcp_pcb *pcb, nsec_t now);
/* Holes that are there at `now` will be lost if they stay for a while. */
void tcp_rto_wait_for_holes(struct tcp_pcb *pcb, nsec_t now);
/* What was being measured has arrived. */
void tcp_rto_sample(struct tcp_timer *timer, nsec_t now);
/* Whether the timer, when it goes off, means a tail loss probe. */
bool tcp_rto_is_probe(const struct tcp_pcb *pcb);
nsec_t tcp_rto_of(const struct tcp_timer *timer);
void tcp_rto_run(nsec_t now);
nsec_t tcp_rto_deadline(void);
