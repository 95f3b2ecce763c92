// SPDX-License-Identifier: MIT
/*
 * Byte ranges and not segments, since a segment of lwIP's queue may be many that the device made of it (net/tcp_gso.c).
 *
 * When there are too many holes, what a peer tells is ignored: then more is sent again than is needed.
 *
 * A retransmission is lost too if the peer has got one that was sent after it (as RFC 8985 has it, by number
 * instead of by time), or new data sent after it; on a path that was seen to reorder packets, three of them.
 */
#include "net/tcp_scoreboard.h"

#include <stddef.h>
#include <string.h>

#include "lib/compiler.h"
#include "lwip/mem.h"
#include "lwip/priv/tcp_priv.h"

#define DUP_THRESHOLD 3

static uint32_t later(uint32_t a, uint32_t b)
{
    return TCP_SEQ_GT(a, b) ? a : b;
}

static uint32_t earlier(uint32_t a, uint32_t b)
{
    return TCP_SEQ_LT(a, b) ? a : b;
}

/* ---- Holes -------------------------------------------------------------------------- */

static void remove_hole(struct tcp_scoreboard *board, unsigned i)
{
    board->nholes--;
    memmove(&board->hole[i], &board->hole[i + 1], (board->nholes - i) * sizeof(struct tcp_hole));
}

static void insert_hole(struct tcp_scoreboard *board, unsigned i, const struct tcp_hole *hole)
{
    memmove(&board->hole[i + 1], &board->hole[i], (board->nholes - i) * sizeof(struct tcp_hole));
    board->hole[i] = *hole;
    board->nholes++;
}

bool tcp_scoreboard_append_hole(struct tcp_scoreboard *board, uint32_t from, uint32_t to)
{
    if (!board->hole)
        board->hole = mem_malloc(TCP_HOLES_MAX * sizeof(struct tcp_hole));
    if (!board->hole || board->nholes == TCP_HOLES_MAX)
        return false;
    board->hole[board->nholes++] = (struct tcp_hole){ .start = from, .end = to, .resent = from };
    board->highest = to;
    return true;
}

/* The peer got the hole's bytes from start on; had they been sent again? */
static void note_arrival(struct tcp_scoreboard *board, const struct tcp_hole *hole, uint32_t start)
{
    if (TCP_SEQ_GT(hole->resent, start))
        board->arrived = later(board->arrived, hole->serial);
    else
        board->is_reordered = true;
}

/* Takes [left, right) out of hole i; true: it is gone. */
static bool fill(struct tcp_scoreboard *board, unsigned i, uint32_t left, uint32_t right)
{
    struct tcp_hole *hole = &board->hole[i];

    if (TCP_SEQ_GEQ(left, hole->end) || TCP_SEQ_LEQ(right, hole->start))
        return false;
    bool has_front = TCP_SEQ_GT(left, hole->start), has_back = TCP_SEQ_LT(right, hole->end);
    if (has_front && has_back && board->nholes == TCP_HOLES_MAX)
        return false;
    note_arrival(board, hole, later(left, hole->start));
    if (!has_front && !has_back) {
        remove_hole(board, i);
        return true;
    }
    struct tcp_hole back = *hole;
    back.start = right;
    back.resent = later(back.resent, right);
    if (!has_front) {
        *hole = back;
        return false;
    }
    hole->end = left;
    hole->resent = earlier(hole->resent, left);
    if (has_back)
        insert_hole(board, i + 1, &back);
    return false;
}

static void fill_all(struct tcp_scoreboard *board, uint32_t left, uint32_t right)
{
    for (unsigned i = 0; i < board->nholes;) {
        if (!fill(board, i, left, right))
            i++;
    }
}

void tcp_scoreboard_add(struct tcp_scoreboard *board, uint32_t left, uint32_t right)
{
    fill_all(board, left, right);
    if (TCP_SEQ_LEQ(right, board->highest))
        return;
    if (TCP_SEQ_GT(left, board->highest) &&
        !tcp_scoreboard_append_hole(board, board->highest, left))
        return;
    board->highest = right;
}

void tcp_scoreboard_advance(struct tcp_scoreboard *board, uint32_t una)
{
    if (board->nholes)
        fill_all(board, board->hole[0].start, una);
    board->highest = later(board->highest, una);
}

void tcp_scoreboard_forget_resent(struct tcp_scoreboard *board)
{
    for (unsigned i = 0; i < board->nholes; i++)
        board->hole[i].resent = board->hole[i].start;
}

void tcp_scoreboard_clear(struct tcp_scoreboard *board, uint32_t una)
{
    if (board->hole)
        mem_free(board->hole);
    *board = (struct tcp_scoreboard){ .highest = una,
                                      .serial = board->serial,
                                      .arrived = board->arrived,
                                      .is_reordered = board->is_reordered };
}

/* ---- Judging ------------------------------------------------------------------------ */

/* How many bytes behind from the peer has. */
static uint32_t bytes_above(const struct tcp_scoreboard *board, uint32_t from)
{
    if (TCP_SEQ_GEQ(from, board->highest))
        return 0;
    uint32_t n = board->highest - from;
    for (unsigned i = 0; i < board->nholes; i++) {
        const struct tcp_hole *hole = &board->hole[i];
        if (TCP_SEQ_GT(hole->end, from))
            n -= hole->end - later(hole->start, from);
    }
    return n;
}

static bool is_lost_again(const struct tcp_scoreboard *board, const struct tcp_hole *hole,
                          uint32_t mss)
{
    uint32_t threshold = board->is_reordered ? DUP_THRESHOLD : 1;

    if (hole->resent == hole->start)
        return false;
    return (int32_t)(board->arrived - hole->serial) >= (int32_t)threshold ||
           bytes_above(board, hole->mark) > (threshold - 1) * mss;
}

void tcp_scoreboard_judge(struct tcp_scoreboard *board, uint32_t una, uint32_t lost_below,
                          uint32_t mss)
{
    uint32_t above = 0, end = board->highest;

    board->nlost = 0;
    board->outside = board->nholes ? bytes_above(board, una) : 0;
    for (unsigned i = board->nholes; i-- > 0;) {
        struct tcp_hole *hole = &board->hole[i];
        above += end - hole->end;
        end = hole->start;
        if (board->nlost == 0 &&
            (board->nholes - i >= DUP_THRESHOLD || above > (DUP_THRESHOLD - 1) * mss ||
             TCP_SEQ_LT(hole->start, lost_below)))
            board->nlost = i + 1;
        if (board->nlost == 0)
            continue;
        if (is_lost_again(board, hole, mss))
            hole->resent = hole->start;
        board->outside += hole->end - hole->resent;
    }
}
