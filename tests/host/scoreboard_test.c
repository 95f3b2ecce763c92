// SPDX-License-Identifier: MIT
/* net/tcp_scoreboard.c against a model that has a flag for each byte. */
#include "net/tcp_scoreboard.h"

#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lwip/mem.h"
#include "tests/host/check.h"

#define WINDOW 4096U
#define MSS    100U

/* What the peer has of [una, una + WINDOW). */
static struct {
    uint32_t una;
    bool has[2 * WINDOW];
} peer;
static struct tcp_scoreboard board;

void *mem_malloc(mem_size_t size)
{
    return malloc(size);
}

void mem_free(void *pointer)
{
    free(pointer);
}

static void begin(uint32_t una)
{
    tcp_scoreboard_clear(&board, una);
    memset(&peer, 0, sizeof(peer));
    peer.una = una;
}

static void sack(uint32_t from, uint32_t to)
{
    memset(&peer.has[from], true, to - from);
    tcp_scoreboard_add(&board, peer.una + from, peer.una + to);
}

static void acknowledge(uint32_t n)
{
    while (peer.has[n])
        n++;
    memmove(peer.has, peer.has + n, sizeof(peer.has) - n);
    peer.una += n;
    tcp_scoreboard_advance(&board, peer.una);
}

/* The holes are the runs of bytes that the peer has not, below the last that it has. */
static void compare(void)
{
    uint32_t nholes = 0, nmissing = 0, highest = 0;

    for (uint32_t i = 0; i < WINDOW; i++)
        highest = peer.has[i] ? i + 1 : highest;
    for (uint32_t i = 0; i < highest; i++) {
        nmissing += !peer.has[i];
        if (peer.has[i] || (i > 0 && !peer.has[i - 1]))
            continue;
        CHECK(nholes < board.nholes);
        CHECK_EQ(board.hole[nholes].start, peer.una + i);
        uint32_t end = i;
        while (!peer.has[end])
            end++;
        CHECK_EQ(board.hole[nholes++].end, peer.una + end);
    }
    CHECK_EQ(nholes, board.nholes);
    tcp_scoreboard_judge(&board, peer.una, peer.una, MSS);
    CHECK(board.nlost <= nholes);
    for (uint32_t i = 0; i < board.nlost; i++)
        highest += board.hole[i].end - board.hole[i].start;
    CHECK_EQ(board.outside, nholes ? highest - nmissing : 0);
}

static void test_random(void)
{
    srand(1);
    for (unsigned turn = 0; turn < 2000; turn++) {
        begin(UINT32_MAX - (uint32_t)rand() % (2 * WINDOW)); /* around the end of the numbers */
        for (unsigned step = 0; step < 60; step++) {
            uint32_t from = (uint32_t)rand() % WINDOW, n = 1 + (uint32_t)rand() % 300;
            if (rand() % 8 == 0)
                acknowledge((uint32_t)rand() % 200);
            else
                sack(from, MIN(from + n, WINDOW));
            compare();
        }
    }
    tcp_scoreboard_clear(&board, 0);
}

/* RFC 6675, 4: three ranges, or more than two segments' bytes, above a hole. */
static void test_lost(void)
{
    begin(1000);
    sack(MSS, 2 * MSS);
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.nlost, 0);
    sack(2 * MSS, 3 * MSS);
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.nlost, 0);
    sack(3 * MSS, 3 * MSS + 1);
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.nlost, 1);
    CHECK_EQ(board.outside, 2 * MSS + 1 + MSS);
    board.hole[0].resent = board.hole[0].end; /* sent again: in the network */
    board.hole[0].mark = 1000 + 4 * MSS;
    board.hole[0].serial = board.serial = 1;
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.outside, 2 * MSS + 1);
    board.is_reordered = true;
    sack(4 * MSS, 6 * MSS);
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.hole[0].resent, board.hole[0].end);
    sack(6 * MSS, 6 * MSS + 1); /* more than two segments that went after it: lost again */
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.hole[0].resent, 1000);
    board.hole[0].resent = board.hole[0].end;
    board.hole[0].mark = 1000 + 6 * MSS;
    board.is_reordered = false; /* nothing is overtaken on this path: a byte is enough */
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.hole[0].resent, 1000);
    acknowledge(MSS);
    CHECK(board.is_reordered); /* it has come though nobody sent it again */
    board.is_reordered = false;
    begin(1000);
    sack(10, 11), sack(20, 21), sack(30, 31);
    tcp_scoreboard_judge(&board, 1000, 1000, MSS);
    CHECK_EQ(board.nlost, 1);
    tcp_scoreboard_clear(&board, 0);
}

/* More holes than it keeps: what it is told beyond that is ignored, and nothing breaks. */
static void test_many(void)
{
    begin(0);
    for (uint32_t i = 0; i < 2 * TCP_HOLES_MAX; i++)
        sack(10 * i + 5, 10 * i + 6);
    CHECK_EQ(board.nholes, TCP_HOLES_MAX);
    CHECK_EQ(board.highest, 10 * (TCP_HOLES_MAX - 1) + 6);
    acknowledge(WINDOW / 2);
    CHECK_EQ(board.nholes, 0);
    tcp_scoreboard_clear(&board, 0);
}

int main(void)
{
    test_random();
    test_lost();
    test_many();
    return 0;
}
