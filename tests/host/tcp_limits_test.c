// SPDX-License-Identifier: MIT
/*
 * A listener with many handshakes, and under a flood of SYNs from senders who never answer; more data than there is
 * memory; a send buffer and a receive window that grow; acknowledgements and data that nobody is to wait for; what a
 * device of several queues is told.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/socket.h"
#include "kernel/syscall.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "net/lwip_port.h"
#include "net/netdev.h"
#include "tests/host/check.h"
#include "tests/host/net_world.h"

#define SEQ 1000U

/* A SYN's: an MSS of 1460, windows in units of 128 bytes. */
static const uint8_t options[8] = { 2, 4, 5, 180, 1, 3, 3, 7 };

static void send_data(uint32_t seq, uint32_t ack, unsigned flags, unsigned remote, size_t len)
{
    static const uint8_t zeros[1000];

    net_world_send_segment(seq, ack, flags, 8080, remote, flags & TCP_SYN ? options : zeros, len);
}

static void send_segment(uint32_t seq, uint32_t ack, unsigned flags, unsigned remote)
{
    send_data(seq, ack, flags, remote, 0);
}

/* A SYN; the number that the answer begins with, or 0: there is none. */
static uint32_t knock(unsigned remote)
{
    struct net_segment segment;

    while (net_world_next_segment(&segment))
        ;
    send_segment(SEQ, 0, TCP_SYN, remote);
    if (!net_world_next_segment(&segment))
        return 0;
    CHECK_EQ(TCPH_FLAGS(&segment.tcp), TCP_SYN | TCP_ACK);
    CHECK_EQ(lwip_ntohs(segment.tcp.dest), remote);
    return lwip_ntohl(segment.tcp.seqno);
}

static int listener(int backlog)
{
    struct abi_sockaddr_in address = { .sin_family = ABI_AF_INET, .sin_port = lwip_htons(8080) };
    int fd = (int)sys_socket(ABI_AF_INET, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0);

    CHECK_EQ(sys_bind(fd, &address, sizeof(address)), 0);
    CHECK_EQ(sys_listen(fd, backlog), 0);
    return fd;
}

static int take(int listening)
{
    return (int)sys_accept4(listening, NULL, NULL, ABI_SOCK_NONBLOCK);
}

/* More than 255 at a time, all of which succeed; then as many wait as the backlog allows. */
static void test_many(void)
{
    enum { MANY = 400 };
    static uint32_t isn[MANY];
    int listening = listener(MANY - 1); /* Linux holds one more than the backlog */

    for (unsigned i = 0; i < MANY; i++) {
        isn[i] = knock(10000 + i);
        CHECK(isn[i] != 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        send_segment(SEQ + 1, isn[i] + 1, TCP_ACK, 10000 + i);
    CHECK_EQ(knock(9999), 0); /* the queue is full: no answer, and no reset */
    for (unsigned i = 0; i < MANY; i++) {
        int fd = take(listening);
        CHECK(fd >= 0);
        send_segment(SEQ + 1, 0, TCP_RST, 10000 + i);
        sys_close(fd);
    }
    CHECK_EQ(take(listening), -EAGAIN);
    CHECK(knock(9999) != 0);
    sys_close(listening);
    net_world_advance(30 * NSEC_PER_SEC);
}

static unsigned count_active(void)
{
    unsigned n = 0;

    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
        n++;
    return n;
}

/* Whom nobody answers makes room for the next; what is established stays, and a client gets in. */
static void test_flood(void)
{
    struct net_segment segment;
    int listening = listener(10);
    uint32_t isn = knock(9000);

    send_segment(SEQ + 1, isn + 1, TCP_ACK, 9000);
    int fd = take(listening);
    CHECK(fd >= 0);
    unsigned most = 0;
    for (unsigned i = 0; i < 20000; i++) {
        if (i % 40 == 39)
            net_world_advance(50 * NSEC_PER_MSEC); /* 800 a second */
        CHECK(knock(10000 + i) != 0);
        most = MAX(most, i % 100 ? 0 : count_active());
        if (i % 5000 != 2500)
            continue;
        isn = knock(9001);
        CHECK(isn != 0);
        knock(9002);
        while (net_world_next_segment(&segment))
            ;
        send_segment(SEQ + 1, isn + 1, TCP_ACK, 9001);
        int client = take(listening);
        CHECK(client >= 0);
        send_segment(SEQ + 1, 0, TCP_RST, 9001);
        sys_close(client);
    }
    CHECK(most > 128 && most <= 4096 + 800 + 3);
    CHECK_EQ(sys_sendto(fd, "alive", 5, 0, NULL, 0), 5);
    while (net_world_next_segment(&segment) && lwip_ntohs(segment.tcp.dest) != 9000)
        ;
    CHECK(!memcmp(segment.data, "alive", 5));
    send_segment(SEQ + 1, 0, TCP_RST, 9000);
    sys_close(fd), sys_close(listening);
    net_world_advance(60 * NSEC_PER_SEC);
    CHECK_EQ(count_active(), 0);
}

/* Nobody reads, and the machine has 64 MiB: some of it goes, the rest is dropped until somebody does. */
static void test_received(void)
{
    enum { NCONNECTIONS = 500, NSEGMENTS = 30, LEN = 1000 };
    static uint8_t buffer[NSEGMENTS * LEN];
    static int fd[NCONNECTIONS];
    static uint32_t isn[NCONNECTIONS];
    int listening = listener(10);
    size_t total = 0;

    for (unsigned i = 0; i < NCONNECTIONS; i++) {
        isn[i] = knock(20000 + i);
        send_segment(SEQ + 1, isn[i] + 1, TCP_ACK, 20000 + i);
        fd[i] = take(listening);
        CHECK(fd[i] >= 0);
        for (unsigned k = 0; k < NSEGMENTS; k++)
            send_data(SEQ + 1 + k * LEN, isn[i] + 1, TCP_ACK, 20000 + i, LEN);
    }
    for (unsigned i = NCONNECTIONS; i-- > 0;) {
        long n = sys_recvfrom(fd[i], buffer, sizeof(buffer), 0, NULL, NULL);
        CHECK(n >= 7 * LEN); /* everybody gets on */
        CHECK(i < NCONNECTIONS - 1 || n < NSEGMENTS * LEN);
        total += (size_t)n;
        send_segment(SEQ + 1 + (uint32_t)n, 0, TCP_RST, 20000 + i);
        sys_close(fd[i]);
    }
    CHECK(total < 12 << 20);
    sys_close(listening);
    net_world_advance(200 * NSEC_PER_SEC);
}

/* The last one again: what was dropped comes another time, and is taken. */
static void test_received_later(void)
{
    static uint8_t buffer[5000];
    int listening = listener(10);
    uint32_t isn = knock(30000);

    send_segment(SEQ + 1, isn + 1, TCP_ACK, 30000);
    int fd = take(listening);
    send_data(SEQ + 1, isn + 1, TCP_ACK, 30000, 1000);
    CHECK_EQ(sys_recvfrom(fd, buffer, sizeof(buffer), 0, NULL, NULL), 1000);
    send_segment(SEQ + 1001, 0, TCP_RST, 30000);
    sys_close(fd), sys_close(listening);
}

/* All that was sent; how far the last of it reaches. */
static uint32_t take_sent(uint32_t end)
{
    static struct net_segment segment;
    size_t len;

    while ((len = net_world_sent(&segment, sizeof(segment))) > 0) {
        size_t headers = offsetof(struct net_segment, data);
        if (segment.eth.type == PP_HTONS(ETHTYPE_IP) && len > headers)
            end = lwip_ntohl(segment.tcp.seqno) + (uint32_t)(len - headers);
    }
    return end;
}

/* As much as it takes without an acknowledgement. */
static size_t fill(int fd)
{
    static uint8_t data[100000];
    size_t total = 0;
    long n;

    while ((n = sys_sendto(fd, data, sizeof(data), 0, NULL, 0)) > 0)
        total += (size_t)n;
    CHECK_EQ(n, -EAGAIN);
    return total;
}

/* A peer with a window of 3.8 MB who takes everything: the buffer grows with what may be under way. */
static void test_send_buffer(void)
{
    int listening = listener(10);
    struct net_segment segment;
    size_t most = 0;

    send_data(SEQ, 0, TCP_SYN, 40000, sizeof(options));
    CHECK(net_world_next_segment(&segment));
    uint32_t end = lwip_ntohl(segment.tcp.seqno) + 1;
    send_segment(SEQ + 1, end, TCP_ACK, 40000);
    int fd = take(listening);
    CHECK_EQ(fill(fd), 512 << 10);
    for (int i = 0; i < 200; i++) {
        uint32_t acked = end;
        end = take_sent(end);
        send_segment(SEQ + 1, end, TCP_ACK, 40000);
        most = MAX(most, end - acked);
        (void)fill(fd);
    }
    CHECK(most > 2 << 20 && most <= 4 << 20);
    send_segment(SEQ + 1, 0, TCP_RST, 40000);
    sys_close(fd), sys_close(listening);
    net_world_advance(NSEC_PER_SEC);
    while (net_world_next_segment(&segment))
        ;
}

/* How far the acknowledgements let the peer send; scale: of the window. */
static uint32_t take_window(uint32_t window, unsigned scale)
{
    static struct net_segment segment;

    while (net_world_next_segment(&segment))
        window = (uint32_t)lwip_ntohs(segment.tcp.wnd) << scale;
    return window;
}

/* What a peer may send to a program that reads ten MiB. */
static uint32_t window_of(int listening, unsigned remote, bool has_scale, bool keeps_up)
{
    enum { LEN = 1000, TURN = 100, NTURNS = 100 };
    static uint8_t buffer[TURN * LEN];
    static struct net_segment segment;
    uint32_t seq = SEQ + 1, window = 0;
    unsigned turn = has_scale ? TURN : UINT16_MAX / LEN;

    send_data(SEQ, 0, TCP_SYN, remote, has_scale ? sizeof(options) : 0);
    CHECK(net_world_next_segment(&segment));
    uint32_t ack = lwip_ntohl(segment.tcp.seqno) + 1;
    send_segment(seq, ack, TCP_ACK, remote);
    int fd = take(listening);
    for (unsigned i = 0; i < NTURNS; i++) {
        for (unsigned k = 0; k < turn; k++, seq += LEN)
            send_data(seq, ack, TCP_ACK, remote, LEN);
        if (keeps_up || i > 3) /* 400,000 bytes always wait */
            CHECK_EQ(sys_recvfrom(fd, buffer, turn * LEN, 0, NULL, NULL), turn * LEN);
        window = take_window(window, has_scale ? 7 : 0);
    }
    send_segment(seq, 0, TCP_RST, remote);
    sys_close(fd);
    return window;
}

static void test_window(void)
{
    int listening = listener(10), size = 400000;

    net_world_answer_arp(); /* five minutes have passed */
    CHECK(window_of(listening, 50000, true, true) > 3900U << 10);
    CHECK(window_of(listening, 50001, false, true) <= UINT16_MAX);
    CHECK(window_of(listening, 50002, true, false) <= 512 << 10);
    CHECK_EQ(sys_setsockopt(listening, ABI_SOL_SOCKET, ABI_SO_RCVBUF, &size, sizeof(size)), 0);
    CHECK(window_of(listening, 50003, true, true) <= 400000);
    sys_close(listening);
    net_world_advance(NSEC_PER_SEC);
}

/* What has been acknowledged to the peer by a segment that came just now; 0: there is none. */
static uint32_t acknowledged(void)
{
    struct net_segment segment;

    return net_world_next_segment(&segment) ? lwip_ntohl(segment.tcp.ackno) : 0;
}

enum { LEN = 100 };

/* What arrives is acknowledged before it is read, or then, or not yet; no time passes here. */
static void receive(int fd, uint32_t *seq, uint32_t ack, bool before, bool then)
{
    uint8_t buffer[LEN];

    send_data(*seq, ack, TCP_ACK | TCP_PSH, 60000, LEN);
    *seq += LEN;
    CHECK_EQ(acknowledged(), before ? *seq : 0);
    CHECK_EQ(sys_recvfrom(fd, buffer, LEN / 2, 0, NULL, NULL), LEN / 2);
    CHECK_EQ(acknowledged(), 0);
    CHECK_EQ(sys_recvfrom(fd, buffer, LEN, 0, NULL, NULL), LEN / 2);
    CHECK_EQ(acknowledged(), then ? *seq : 0);
}

/* Of what a filled hole releases only the last segment is pushed. */
static void receive_behind_a_hole(int fd, uint32_t *seq, uint32_t ack)
{
    uint8_t buffer[2 * LEN];

    send_data(*seq + LEN, ack, TCP_ACK | TCP_PSH, 60000, LEN);
    CHECK_EQ(acknowledged(), *seq);
    send_data(*seq, ack, TCP_ACK, 60000, LEN);
    *seq += 2 * LEN;
    CHECK_EQ(acknowledged(), 0);
    CHECK_EQ(sys_recvfrom(fd, buffer, sizeof(buffer), 0, NULL, NULL), 2L * LEN);
    CHECK_EQ(acknowledged(), *seq);
}

/* An acknowledgement waits for an answer only where one may come. */
static void test_acknowledgement(void)
{
    int listening = listener(10);
    uint32_t seq = SEQ + 1, ack = knock(60000) + 1;

    send_segment(seq, ack, TCP_ACK, 60000);
    int fd = take(listening);
    for (int i = 0; i < 8; i++) {
        receive(fd, &seq, ack, false, false);
        CHECK_EQ(sys_sendto(fd, "x", 1, 0, NULL, 0), 1); /* which takes it along */
        CHECK_EQ(acknowledged(), seq);
        ack++;
    }
    receive(fd, &seq, ack, false, false);
    receive(fd, &seq, ack, true, false); /* the second that waits */
    for (int i = 0; i < 8; i++)          /* the program only reads */
        receive(fd, &seq, ack, false, true);
    receive_behind_a_hole(fd, &seq, ack);
    /* Data that wait until the peer has what was sent (RFC 896) keep no acknowledgement back. */
    CHECK_EQ(sys_sendto(fd, "a", 1, 0, NULL, 0), 1);
    CHECK_EQ(acknowledged(), seq);
    CHECK_EQ(sys_sendto(fd, "b", 1, 0, NULL, 0), 1);
    receive(fd, &seq, ack, false, false);
    receive(fd, &seq, ack, false, true);
    send_segment(seq, 0, TCP_RST, 60000);
    sys_close(fd), sys_close(listening);
    net_world_advance(NSEC_PER_SEC);
}

/* Of less than a packet that is held for more nothing would ever make room: when more does not fit it goes. */
static void test_full_and_held(void)
{
    static uint8_t data[100000];
    struct abi_sockaddr_in address = { .sin_family = ABI_AF_INET,
                                       .sin_port = lwip_htons(8080),
                                       .sin_addr = lwip_htonl(0x7f000001) };
    int listening = listener(10), size = 4096;
    int to = (int)sys_socket(ABI_AF_INET, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0);

    CHECK_EQ(sys_connect(to, &address, sizeof(address)), -EINPROGRESS);
    int from = take(listening);
    CHECK_EQ(sys_setsockopt(to, ABI_SOL_SOCKET, ABI_SO_SNDBUF, &size, sizeof(size)), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(sys_sendto(to, data, sizeof(data), ABI_MSG_MORE, NULL, 0), 2L * size);
        CHECK_EQ(sys_recvfrom(from, data, sizeof(data), 0, NULL, NULL), 2L * size);
        if (i == 0) /* the first might have been answered */
            net_world_advance(NSEC_PER_SEC);
    }
    sys_close(to), sys_close(from), sys_close(listening);
    net_world_advance(NSEC_PER_SEC);
}

static int accept_from(int listening, unsigned remote)
{
    uint32_t isn = knock(remote);
    int one = 1;

    send_segment(SEQ + 1, isn + 1, TCP_ACK, remote);
    int fd = take(listening);
    CHECK_EQ(sys_setsockopt(fd, ABI_IPPROTO_TCP, ABI_TCP_NODELAY, &one, sizeof(one)), 0);
    return fd;
}

static uint16_t flow_of_send(int fd)
{
    struct net_segment segment;

    while (net_world_next_segment(&segment))
        ;
    CHECK_EQ(sys_sendto(fd, "x", 1, 0, NULL, 0), 1);
    CHECK(net_world_next_segment(&segment));
    return net_world_offload.flow;
}

/* What belongs together, and whether a thread that uses it sends it. */
static void test_flows(void)
{
    static const uint8_t who_has[42] = { 2,  0, 0, 0, 0, 15, 2, 0, 0, 0, 0,  2, 8, 6,
                                         0,  1, 8, 0, 6, 4,  0, 1, 2, 0, 0,  0, 0, 2,
                                         10, 0, 2, 2, 0, 0,  0, 0, 0, 0, 10, 0, 2, 15 };
    struct net_segment segment;
    struct netdev *device = netdev_of(netdev_find("eth0"));
    int listening = listener(2);
    int first = accept_from(listening, 9001), second = accept_from(listening, 9002);

    CHECK_EQ(flow_of_send(first), 0); /* one queue: nobody asks */
    device->nqueues = 2;
    uint16_t flow = flow_of_send(second);
    CHECK_EQ(flow_of_send(second), flow);
    CHECK(net_world_offload.is_by_sender);
    CHECK(flow_of_send(first) != flow);
    net_world_arrive(who_has, sizeof(who_has));
    net_world_advance(NSEC_PER_MSEC);
    CHECK_EQ(net_world_sent(&segment, sizeof(segment)), sizeof(who_has));
    CHECK(!net_world_offload.is_by_sender);
    device->nqueues = 0;
    sys_close(first), sys_close(second), sys_close(listening);
    send_segment(SEQ + 1, 0, TCP_RST, 9001);
    send_segment(SEQ + 1, 0, TCP_RST, 9002);
}

int main(void)
{
    net_world_init();
    send_segment(SEQ, 0, TCP_SYN, 1);
    net_world_answer_arp();
    test_many();
    test_flood();
    test_received();
    test_received_later();
    test_send_buffer();
    test_window();
    test_acknowledgement();
    test_full_and_held();
    test_flows();
    return 0;
}
