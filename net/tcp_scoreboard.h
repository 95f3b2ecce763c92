// SPDX-License-Identifier: MIT
#pragma once
/*
 * What a peer has not got of the data under way, as holes between the ranges that it acknowledged selectively
 * (RFC 2018).
 * Sequence numbers are in host byte order; those from `una` (SND.UNA) on are under way.  net_lock is held.
 */
#include <stdbool.h>
#include <stdint.h>

#define TCP_HOLES_MAX 64

struct tcp_hole {
    uint32_t start, end;
    uint32_t resent; /* from start up to here it was sent again, */
    uint32_t mark;   /* when SND.NXT was this, */
    uint32_t serial; /* as the connection's so manieth retransmission */
};

struct tcp_scoreboard {
    struct tcp_hole *hole; /* in ascending order; allocated when the first one appears */
    unsigned nholes;
    unsigned nlost;   /* of these, the first ones are taken for lost */
    uint32_t highest; /* behind the last byte that the peer has; SND.UNA if there is no hole */
    uint32_t
        outside; /* bytes that left the network: the peer has them, or they are lost and not sent again */
    uint32_t serial, arrived; /* of the last retransmission, and of the last that the peer got */
    bool
        is_reordered; /* something arrived late that was not sent again, so what is missing may come yet */
};

/* Everything up to una was acknowledged. */
void tcp_scoreboard_advance(struct tcp_scoreboard *board, uint32_t una);
/* The peer has [left, right), which lies between SND.UNA and SND.NXT. */
void tcp_scoreboard_add(struct tcp_scoreboard *board, uint32_t left, uint32_t right);
/* [from, to) behind the highest byte becomes a hole; false: no memory, or too many holes. */
bool tcp_scoreboard_append_hole(struct tcp_scoreboard *board, uint32_t from, uint32_t to);
/* Nothing was sent again so far. */
void tcp_scoreboard_forget_resent(struct tcp_scoreboard *board);
/*
 * Sets nlost and outside.  Holes that begin before lost_below are lost, the others by RFC 6675's rule: three ranges,
 * or more than two segments above them, were acknowledged.
 */
void tcp_scoreboard_judge(struct tcp_scoreboard *board, uint32_t una, uint32_t lost_below,
                          uint32_t mss);
/* Also before the first use. */
void tcp_scoreboard_clear(struct tcp_scoreboard *board, uint32_t una);
