// SPDX-License-Identifier: MIT
/*
 * Sockets by their system calls, over loopback and over a device whose other end is this test.  The world has
 * one thread: what would wait ends with -ERESTARTSYS.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "abi/netlink.h"
#include "abi/poll.h"
#include "abi/socket.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "net/net.h"
#include "net/netdev.h"
#include "tests/host/check.h"
#include "tests/host/net_world.h"

#define LOOPBACK 0x7f000001u

static struct abi_sockaddr_in at(uint32_t address, unsigned port)
{
    return (struct abi_sockaddr_in){ .sin_family = ABI_AF_INET,
                                     .sin_addr = lwip_htonl(address),
                                     .sin_port = lwip_htons((uint16_t)port) };
}

static int tcp(void)
{
    return (int)sys_socket(ABI_AF_INET, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0);
}

static int listener(unsigned port)
{
    struct abi_sockaddr_in address = at(0, port);
    int fd = tcp();
    CHECK_EQ(sys_bind(fd, &address, sizeof(address)), 0);
    CHECK_EQ(sys_listen(fd, 5), 0);
    return fd;
}

static void pair(int fd[2])
{
    struct abi_sockaddr_in address = at(LOOPBACK, 5000);
    int listening = listener(5000);
    fd[0] = tcp();
    CHECK_EQ(sys_connect(fd[0], &address, sizeof(address)), -EINPROGRESS);
    fd[1] = (int)sys_accept4(listening, NULL, NULL, ABI_SOCK_NONBLOCK);
    CHECK(fd[1] >= 0);
    CHECK_EQ(sys_connect(fd[0], &address, sizeof(address)), 0);
    CHECK_EQ(sys_connect(fd[0], &address, sizeof(address)), -EISCONN);
    sys_close(listening);
}

static unsigned ready(int fd)
{
    struct file *file = fd_get(fd);
    unsigned events = file_poll(file) & ~(ABI_POLLRDNORM | ABI_POLLWRNORM | ABI_POLLWRBAND);
    file_put(file);
    return events;
}

/* ---- TCP over loopback ------------------------------------------------------------------- */

static void test_stream(void)
{
    static uint8_t out[100000], in[100000];
    int fd[2];

    pair(fd);
    size_t sent = 0, received = 0;
    for (int round = 0; round < 300; round++) {
        size_t size = (size_t)(round * 37 % 3000) + 1;
        long n = sys_sendto(fd[0], out + sent % 50000, size, round % 3 ? 0 : ABI_MSG_MORE, NULL, 0);
        CHECK_EQ(n, size);
        sent += size;
        net_world_advance(round % 10 == 9 ? 2 * NSEC_PER_SEC : 0);
        if (round % 10 != 9)
            continue;
        while ((n = sys_recvfrom(fd[1], in, sizeof(in), 0, NULL, NULL)) > 0)
            received += (size_t)n;
        CHECK_EQ(n, -EAGAIN);
        CHECK_EQ(received, sent);
    }
    sys_close(fd[0]), sys_close(fd[1]);
}

static void test_content(void)
{
    static uint8_t out[3 << 20], in[3 << 20];
    int fd[2];
    size_t sent = 0, received = 0;

    pair(fd);
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7 + (i >> 8));
    while (received < sizeof(out)) {
        long n = sys_sendto(fd[0], out + sent, sizeof(out) - sent, 0, NULL, 0);
        CHECK(n > 0 || n == -EAGAIN || sent == sizeof(out));
        sent += n > 0 ? (size_t)n : 0;
        if (n == -EAGAIN)
            CHECK_EQ(ready(fd[0]) & ABI_POLLOUT, 0);
        n = sys_recvfrom(fd[1], in + received, 70001, 0, NULL, NULL);
        CHECK(n > 0);
        received += (size_t)n;
    }
    CHECK(!memcmp(in, out, sizeof(out)));
    CHECK_EQ(ready(fd[0]), ABI_POLLOUT);
    sys_close(fd[0]);
    CHECK_EQ(sys_recvfrom(fd[1], in, 1, 0, NULL, NULL), 0);
    sys_close(fd[1]);
}

static void test_bad_memory(void)
{
    char buffer[10] = { 0 };
    int fd[2];

    pair(fd);
    CHECK_EQ(sys_sendto(fd[0], (void *)16, 10, 0, NULL, 0), -EFAULT);
    CHECK_EQ(sys_sendto(fd[0], "abc", 3, 0, NULL, 0), 3);
    CHECK_EQ(sys_recvfrom(fd[1], (void *)16, 10, 0, NULL, NULL), -EFAULT);
    CHECK_EQ(sys_recvfrom(fd[1], buffer, 10, 0, NULL, NULL), 3); /* nothing was lost */
    CHECK_EQ(sys_getsockname(fd[0], (void *)16, (void *)16), -EFAULT);
    CHECK_EQ(sys_recvmsg(fd[0], (void *)16, 0), -EFAULT);
    CHECK_EQ(sys_sendmsg(fd[0], (void *)16, 0), -EFAULT);
    CHECK_EQ(sys_setsockopt(fd[0], ABI_SOL_SOCKET, ABI_SO_KEEPALIVE, (void *)16, 4), -EFAULT);
    CHECK_EQ(sys_bind(fd[0], (void *)16, 16), -EFAULT);
    sys_close(fd[0]), sys_close(fd[1]);
}

/* ---- TCP over the device --------------------------------------------------------------------- */

static int accept_from_peer(uint32_t *seq, uint32_t *ack, unsigned remote)
{
    struct net_segment segment;
    int listening = listener(8080);

    net_world_send_segment(1000, 0, TCP_SYN, 8080, remote, "", 0);
    net_world_answer_arp();
    CHECK(net_world_next_segment(&segment));
    CHECK_EQ(TCPH_FLAGS(&segment.tcp), TCP_SYN | TCP_ACK);
    *ack = lwip_ntohl(segment.tcp.seqno) + 1;
    *seq = 1001;
    net_world_send_segment(*seq, *ack, TCP_ACK, 8080, remote, "", 0);
    int fd = (int)sys_accept4(listening, NULL, NULL, ABI_SOCK_NONBLOCK);
    CHECK(fd >= 0);
    sys_close(listening);
    return fd;
}

static void test_device(void)
{
    struct net_segment segment;
    uint32_t seq, ack;
    char buffer[100];
    int fd = accept_from_peer(&seq, &ack, 7000);

    net_world_send_segment(seq, ack, TCP_ACK | TCP_PSH, 8080, 7000, "GET", 3);
    CHECK_EQ(sys_recvfrom(fd, buffer, 100, 0, NULL, NULL), 3);
    CHECK_EQ(sys_sendto(fd, "answer", 6, 0, NULL, 0), 6);
    CHECK(net_world_next_segment(&segment));
    CHECK_EQ(lwip_ntohl(segment.tcp.ackno), seq + 3);
    CHECK(!memcmp(segment.data, "answer", 6));
    /* It is lost: sent again after a while. */
    net_world_advance(4 * NSEC_PER_SEC);
    CHECK(net_world_next_segment(&segment));
    CHECK_EQ(lwip_ntohl(segment.tcp.seqno), ack);
    CHECK(!memcmp(segment.data, "answer", 6));
    net_world_send_segment(seq + 3, ack + 6, TCP_ACK, 8080, 7000, "", 0);
    /* A forged reset beside the window does nothing; the exact one does. */
    net_world_send_segment(seq + 300, 0, TCP_RST, 8080, 7000, "", 0);
    CHECK_EQ(sys_recvfrom(fd, buffer, 100, 0, NULL, NULL), -EAGAIN);
    net_world_send_segment(seq + 3, 0, TCP_RST, 8080, 7000, "", 0);
    CHECK_EQ(ready(fd) & (ABI_POLLERR | ABI_POLLHUP), ABI_POLLERR | ABI_POLLHUP);
    CHECK_EQ(sys_recvfrom(fd, buffer, 100, 0, NULL, NULL), -ECONNRESET);
    sys_close(fd);
    while (net_world_next_segment(&segment))
        ;
}

static void test_time_wait(void)
{
    struct net_segment segment;
    uint32_t seq, ack;
    int fd = accept_from_peer(&seq, &ack, 7001);

    sys_close(fd);
    net_world_send_segment(seq, ack + 1, TCP_ACK | TCP_FIN, 8080, 7001, "", 0);
    CHECK(tcp_tw_pcbs != NULL);
    while (net_world_next_segment(&segment))
        ;
    /* The same port again, beyond the old numbers: a new connection at once. */
    int listening = listener(8081); /* another one: nobody answers on 8080 */
    net_world_send_segment(seq + 100000, 0, TCP_SYN, 8080, 7001, "", 0);
    CHECK(net_world_next_segment(&segment));
    CHECK(TCPH_FLAGS(&segment.tcp) & TCP_RST);
    net_world_advance(NSEC_PER_SEC);
    CHECK(tcp_tw_pcbs == NULL);
    sys_close(listening);
    fd = accept_from_peer(&seq, &ack, 7002);
    sys_close(fd);
    net_world_send_segment(seq, ack + 1, TCP_ACK | TCP_FIN, 8080, 7002, "", 0);
    CHECK(tcp_tw_pcbs != NULL);
    net_world_advance(4 * NSEC_PER_SEC);
    CHECK(tcp_tw_pcbs == NULL);
}

/* ---- Segments that the device cuts ---------------------------------------------------------- */

#define PEER_MSS 536 /* what a SYN without the option means */

static struct {
    struct eth_hdr eth;
    struct ip_hdr ip;
    struct tcp_hdr tcp;
    uint8_t data[65536];
} __packed large;

static uint8_t to_peer[40000], at_peer[40000];

/* The frames that were sent go into at_peer; how far they reach.  largest: data of the longest. */
static uint32_t take_segments(uint32_t base, size_t *largest)
{
    size_t len;
    uint32_t end = 0;

    *largest = 0;
    while ((len = net_world_sent(&large, sizeof(large))) > 0) {
        size_t headers = offsetof(typeof(large), data), n = len - headers;
        if (large.eth.type != PP_HTONS(ETHTYPE_IP) || len <= headers ||
            IPH_PROTO(&large.ip) != IP_PROTO_TCP)
            continue;
        CHECK_EQ(lwip_ntohs(IPH_LEN(&large.ip)), len - sizeof(large.eth));
        CHECK_EQ(net_world_offload.needs_checksum, true);
        CHECK_EQ(net_world_offload.gso_type, n > PEER_MSS ? NETDEV_GSO_TCP4 : 0);
        CHECK_EQ(net_world_offload.gso_size, n > PEER_MSS ? PEER_MSS : 0);
        CHECK(n <= PEER_MSS || net_world_offload.header_len == headers);
        uint32_t at = lwip_ntohl(large.tcp.seqno) - base;
        CHECK(at + n <= sizeof(at_peer));
        memcpy(at_peer + at, large.data, n);
        end = MAX(end, at + (uint32_t)n);
        *largest = MAX(*largest, n);
    }
    return end;
}

static void acknowledge(uint32_t seq, uint32_t ack, unsigned remote)
{
    net_world_send_segment(seq, ack, TCP_ACK, 8080, remote, "", 0);
}

static void test_segmentation(void)
{
    uint32_t seq, base, end = 0;
    size_t largest, longest = 0;

    (void)take_segments(0, &largest); /* what other tests left */
    int fd = accept_from_peer(&seq, &base, 7004);

    for (size_t i = 0; i < sizeof(to_peer); i++)
        to_peer[i] = (uint8_t)(i * 13 + (i >> 8));
    CHECK_EQ(sys_sendto(fd, to_peer, sizeof(to_peer), 0, NULL, 0), sizeof(to_peer));
    CHECK_EQ(take_segments(base, &largest), 10 * PEER_MSS); /* the first window */
    CHECK(largest > PEER_MSS);
    /* Half of a segment is acknowledged, the rest is lost: it comes again, a packet first. */
    acknowledge(seq, base + PEER_MSS, 7004);
    (void)take_segments(base, &largest);
    memset(at_peer, 0, sizeof(at_peer));
    for (int i = 0; i < 3; i++)
        acknowledge(seq, base + PEER_MSS, 7004);
    CHECK_EQ(take_segments(base, &largest), 2 * PEER_MSS); /* by fast retransmission */
    CHECK_EQ(largest, PEER_MSS);
    CHECK(!memcmp(at_peer + PEER_MSS, to_peer + PEER_MSS, PEER_MSS));
    memset(at_peer, 0, sizeof(at_peer));
    net_world_advance(4 * NSEC_PER_SEC);
    net_world_answer_arp();
    CHECK_EQ(take_segments(base, &largest), 2 * PEER_MSS); /* by the timer */
    memset(at_peer, 0, PEER_MSS);
    memcpy(at_peer, to_peer, PEER_MSS);
    /* Odd acknowledgements, until all is there. */
    for (end = 2 * PEER_MSS; end < sizeof(to_peer); end = take_segments(base, &largest)) {
        acknowledge(seq, base + end - (end < sizeof(to_peer) - 1 ? 1 : 0), 7004);
        longest = MAX(longest, largest);
    }
    CHECK(longest > 2 * PEER_MSS);
    CHECK(!memcmp(at_peer, to_peer, sizeof(to_peer)));
    acknowledge(seq, base + sizeof(to_peer), 7004);
    net_world_send_segment(seq, 0, TCP_RST, 8080, 7004, "", 0);
    sys_close(fd);
    (void)take_segments(base, &largest);
}

/* Acknowledges all that came, until the peer has len bytes. */
static void take_all(uint32_t seq, uint32_t base, unsigned remote, uint32_t len)
{
    size_t largest;
    uint32_t end = take_segments(base, &largest);

    for (int rounds = 0; end < len && rounds < 1000; rounds++) {
        acknowledge(seq, base + end, remote);
        uint32_t next = take_segments(base, &largest);
        if (next == 0)
            net_world_advance(NSEC_PER_SEC); /* there was no memory */
        end = MAX(end, next);
    }
    CHECK_EQ(end, len);
}

static int file_for_peer(void)
{
    int file = (int)sys_open("/pages", ABI_O_RDWR | ABI_O_CREAT, 0644);

    CHECK_EQ(sys_pwrite64(file, to_peer, sizeof(to_peer), 0), sizeof(to_peer));
    return file;
}

/* sendfile: the file's pages go as they are when they are sent, even if the file has lost them. */
static void test_pages(void)
{
    static uint32_t seq, base;
    static size_t largest;
    static int64_t offset = 100;
    int fd = accept_from_peer(&seq, &base, 7006);
    int file = file_for_peer();

    memset(at_peer, 0, sizeof(at_peer));
    CHECK_EQ(sys_sendto(fd, to_peer, 100, ABI_MSG_MORE, NULL, 0), 100);
    CHECK_EQ(sys_sendfile(fd, file, &offset, sizeof(to_peer)), sizeof(to_peer) - 100);
    CHECK_EQ(take_segments(base, &largest), 10 * PEER_MSS);
    CHECK(largest > PEER_MSS); /* the head is in one packet with the file */
    CHECK(!memcmp(at_peer, to_peer, 10 * PEER_MSS));
    memset(at_peer, 0, sizeof(at_peer)); /* all of it is lost */
    memset(to_peer + 3000, 'n', 20000);
    CHECK_EQ(sys_pwrite64(file, to_peer + 3000, 20000, 3000), 20000);
    CHECK_EQ(sys_ftruncate(file, 0), 0);
    CHECK_EQ(sys_pwrite64(file, "other", 5, 0), 5);
    net_world_advance(4 * NSEC_PER_SEC);
    take_all(seq, base, 7006, sizeof(to_peer));
    CHECK(!memcmp(at_peer, to_peer, sizeof(to_peer)));
    net_world_send_segment(seq, 0, TCP_RST, 8080, 7006, "", 0);
    sys_close(fd), sys_close(file);
}

/* Whatever allocation fails: nothing is lost, nothing comes twice. */
static void test_pages_without_memory(void)
{
    static uint32_t seq, base;
    static int64_t offset;
    int file = file_for_peer();

    for (unsigned n = 1; n < 60; n++) {
        int fd = accept_from_peer(&seq, &base, 8000 + n);
        offset = 0;
        memset(at_peer, 0, sizeof(at_peer));
        heap_fail_from(n);
        long sent = sys_sendfile(fd, file, &offset, sizeof(to_peer));
        heap_fail_from(0);
        CHECK(sent > 0 || sent == -EAGAIN || sent == -ENOMEM);
        net_world_advance(NSEC_PER_SEC);
        while (offset < (int64_t)sizeof(to_peer)) {
            take_all(seq, base, 8000 + n, (uint32_t)offset);
            acknowledge(seq, base + (uint32_t)offset, 8000 + n);
            CHECK(sys_sendfile(fd, file, &offset, sizeof(to_peer)) > 0);
        }
        take_all(seq, base, 8000 + n, sizeof(to_peer));
        CHECK(!memcmp(at_peer, to_peer, sizeof(to_peer)));
        net_world_send_segment(seq, 0, TCP_RST, 8080, 8000 + n, "", 0);
        sys_close(fd);
    }
    sys_close(file), sys_unlink("/pages");
}

static void test_connect_timeout(void)
{
    struct abi_sockaddr_in address = at(WORLD_PEER, 9);
    struct net_segment segment;
    char c;
    int fd = tcp();

    net_world_answer_arp();
    while (net_world_next_segment(&segment))
        ;
    CHECK_EQ(sys_connect(fd, &address, sizeof(address)), -EINPROGRESS);
    CHECK_EQ(sys_connect(fd, &address, sizeof(address)), -EALREADY);
    CHECK_EQ(ready(fd), 0);
    CHECK(net_world_next_segment(&segment));
    CHECK_EQ(TCPH_FLAGS(&segment.tcp), TCP_SYN);
    for (int i = 0; i < 100 && !ready(fd); i++) {
        net_world_advance(3 * NSEC_PER_SEC);
        net_world_answer_arp();
    }
    CHECK_EQ(sys_recvfrom(fd, &c, 1, 0, NULL, NULL), -ETIMEDOUT);
    sys_close(fd);
    while (net_world_next_segment(&segment))
        ;
}

static void test_full_ring(void)
{
    struct net_segment segment;
    uint32_t seq, ack;
    int fd = accept_from_peer(&seq, &ack, 7003);

    net_world_is_full = true;
    CHECK_EQ(sys_sendto(fd, "later", 5, 0, NULL, 0), 5);
    CHECK(!net_world_next_segment(&segment));
    net_world_is_full = false;
    net_world_advance(NSEC_PER_SEC);
    CHECK(net_world_next_segment(&segment) && !memcmp(segment.data, "later", 5));
    net_world_send_segment(seq, 0, TCP_RST, 8080, 7003, "", 0);
    sys_close(fd);
}

/* ---- UNIX ------------------------------------------------------------------------------------------ */

union control {
    uint8_t bytes[64];
    struct abi_cmsghdr header;
};

static void send_fd(int through, int fd)
{
    union control control = { .header = { 20, ABI_SOL_SOCKET, ABI_SCM_RIGHTS } };
    struct abi_iovec part = { (uintptr_t) "x", 1 };
    struct abi_msghdr message = { .msg_iov = (uintptr_t)&part,
                                  .msg_iovlen = 1,
                                  .msg_control = (uintptr_t)&control,
                                  .msg_controllen = 24 };

    memcpy(control.bytes + 16, &fd, sizeof(fd));
    CHECK_EQ(sys_sendmsg(through, &message, 0), 1);
}

static int receive_fd(int through)
{
    union control control;
    char c;
    struct abi_iovec part = { (uintptr_t)&c, 1 };
    struct abi_msghdr message = { .msg_iov = (uintptr_t)&part,
                                  .msg_iovlen = 1,
                                  .msg_control = (uintptr_t)&control,
                                  .msg_controllen = sizeof(control) };
    int fd;

    CHECK_EQ(sys_recvmsg(through, &message, 0), 1);
    CHECK_EQ(message.msg_controllen, 24);
    memcpy(&fd, control.bytes + 16, sizeof(fd));
    return fd;
}

static void test_rights(void)
{
    char buffer[10];
    int fd[2], inner[2];

    CHECK_EQ(sys_socketpair(ABI_AF_UNIX, ABI_SOCK_STREAM, 0, fd), 0);
    CHECK_EQ(sys_socketpair(ABI_AF_UNIX, ABI_SOCK_STREAM, 0, inner), 0);
    send_fd(fd[0], inner[0]);
    sys_close(inner[0]);
    int got = receive_fd(fd[1]);
    CHECK_EQ(sys_sendto(got, "hi", 2, 0, NULL, 0), 2);
    CHECK_EQ(sys_recvfrom(inner[1], buffer, 10, 0, NULL, NULL), 2);
    sys_close(got), sys_close(inner[1]);

    /* A chain: each end travels in the queue of the one before.  Closing the first frees all, without
     * recursion. */
    CHECK_EQ(sys_socketpair(ABI_AF_UNIX, ABI_SOCK_STREAM, 0, inner), 0);
    for (int i = 0; i < 3000; i++) {
        int next[2];
        CHECK_EQ(sys_socketpair(ABI_AF_UNIX, ABI_SOCK_STREAM, 0, next), 0);
        send_fd(next[0], inner[0]);
        send_fd(next[0], inner[1]);
        sys_close(inner[0]), sys_close(inner[1]);
        inner[0] = next[0], inner[1] = next[1];
    }
    sys_close(inner[0]), sys_close(inner[1]);
    sys_close(fd[0]), sys_close(fd[1]);
}

static void test_unix_names(void)
{
    struct {
        uint16_t family;
        char path[20];
    } name = { ABI_AF_UNIX, "/sock" };
    char buffer[10];
    int a = (int)sys_socket(ABI_AF_UNIX, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0),
        b = (int)sys_socket(ABI_AF_UNIX, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0);

    CHECK_EQ(sys_connect(b, &name, 8), -ENOENT);
    CHECK_EQ(sys_bind(a, &name, 8), 0);
    CHECK_EQ(sys_bind(b, &name, 8), -EADDRINUSE);
    CHECK_EQ(sys_sendto(b, "one", 3, 0, &name, 8), 3);
    CHECK_EQ(sys_recvfrom(a, buffer, 10, 0, NULL, NULL), 3);
    sys_close(a);
    CHECK_EQ(sys_sendto(b, "two", 3, 0, &name, 8), -ECONNREFUSED);
    memcpy(name.path, "\0abstract", 9);
    a = (int)sys_socket(ABI_AF_UNIX, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0);
    CHECK_EQ(sys_bind(a, &name, 11), 0);
    CHECK_EQ(sys_connect(b, &name, 11), 0);
    long n;
    int count = 0;
    while ((n = sys_sendto(b, "full?", 5, 0, NULL, 0)) == 5)
        count++;
    CHECK_EQ(n, -EAGAIN);
    CHECK(count > 10 && !(ready(b) & ABI_POLLOUT));
    while (sys_recvfrom(a, buffer, 10, 0, NULL, NULL) == 5)
        count--;
    CHECK_EQ(count, 0);
    CHECK(ready(b) & ABI_POLLOUT);
    sys_close(a), sys_close(b);
}

/* ---- Polled mode, deferred notifications ---------------------------------------------------- */

/* Sends a datagram; how often the device was told meanwhile. */
static unsigned kicks_of_datagram(int fd)
{
    struct abi_sockaddr_in peer = at(WORLD_PEER, 9);
    unsigned before = net_world_nkicks;

    CHECK_EQ(sys_sendto(fd, "x", 1, 0, &peer, sizeof(peer)), 1);
    return net_world_nkicks - before;
}

static void test_deferred_kicks(void)
{
    bool is_woken = false;
    int fd = (int)sys_socket(ABI_AF_INET, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0);
    struct thread *self = thread_current();

    net_world_answer_arp();
    self->nevents_left = 0;
    CHECK_EQ(kicks_of_datagram(fd), 1);
    /* A batch of three: told once, at the last. */
    self->nevents_left = 2;
    CHECK_EQ(kicks_of_datagram(fd), 0);
    CHECK_EQ(kicks_of_datagram(fd), 0);
    CHECK(net_world_watch() != DEADLINE_NONE);
    CHECK_EQ(kicks_of_datagram(fd), 1);
    /* A long batch: now and then; before the thread sleeps; by the network thread. */
    self->nevents_left = 100;
    unsigned n = 1;
    while (kicks_of_datagram(fd) == 0)
        n++;
    CHECK_EQ(n, 16);
    CHECK_EQ(kicks_of_datagram(fd), 0);
    unsigned before = net_world_nkicks;
    wait_before_sleep(&is_woken, DEADLINE_NONE);
    CHECK_EQ(net_world_nkicks, before + 1);
    CHECK_EQ(kicks_of_datagram(fd), 0);
    net_world_advance(2 * NSEC_PER_MSEC);
    CHECK_EQ(net_world_nkicks, before + 2);
    self->nevents_left = 0;
    sys_close(fd);
}

/* What a device sent since the last look: packets, and the data of the last one. */
static unsigned packets_sent(struct net_segment *last)
{
    unsigned n = 0;
    while (net_world_next_segment(last))
        n++;
    return n;
}

static void test_batched_answers(void)
{
    struct net_segment segment;
    uint32_t seq, ack;
    bool is_woken = false;
    struct thread *self = thread_current();
    int one = 1;

    (void)packets_sent(&segment); /* of the tests before */
    int fd = accept_from_peer(&seq, &ack, 7100);

    CHECK_EQ(sys_setsockopt(fd, ABI_IPPROTO_TCP, ABI_TCP_NODELAY, &one, sizeof(one)), 0);
    CHECK_EQ(packets_sent(&segment), 0);
    /* Two writes that answer one event of several: one packet, when the thread sleeps; one answer of the batch. */
    self->nevents_left = 3;
    CHECK_EQ(sys_sendto(fd, "head ", 5, 0, NULL, 0), 5);
    CHECK_EQ(sys_sendto(fd, "body", 4, 0, NULL, 0), 4);
    CHECK_EQ(packets_sent(&segment), 0);
    CHECK_EQ(self->nevents_left, 2);
    wait_before_sleep(&is_woken, DEADLINE_NONE);
    CHECK_EQ(packets_sent(&segment), 1);
    CHECK(!memcmp(segment.data, "head body", 9));
    net_world_send_segment(seq, ack + 9, TCP_ACK, 8080, 7100, "", 0);
    /* The last event's answer goes at once, with what waits. */
    CHECK_EQ(sys_sendto(fd, "a", 1, 0, NULL, 0), 1);
    self->nevents_left = 0;
    CHECK_EQ(sys_sendto(fd, "b", 1, 0, NULL, 0), 1);
    CHECK_EQ(packets_sent(&segment), 1);
    CHECK(!memcmp(segment.data, "ab", 2));
    net_world_send_segment(seq, ack + 11, TCP_ACK, 8080, 7100, "", 0);
    /* A timer sees to what nobody sends; a connection that closes sends it with its FIN. */
    self->nevents_left = 3;
    CHECK_EQ(sys_sendto(fd, "late", 4, 0, NULL, 0), 4);
    CHECK(net_world_watch() != DEADLINE_NONE);
    net_world_advance(4 * NSEC_PER_MSEC);
    CHECK_EQ(packets_sent(&segment), 1);
    CHECK_EQ(sys_sendto(fd, "end", 3, 0, NULL, 0), 3);
    CHECK_EQ(packets_sent(&segment), 0);
    sys_close(fd);
    CHECK_EQ(packets_sent(&segment), 1);
    CHECK(!memcmp(segment.data, "end", 3) && (TCPH_FLAGS(&segment.tcp) & TCP_FIN));
    self->nevents_left = 0;
    net_world_send_segment(seq, 0, TCP_RST, 8080, 7100, "", 0);
    net_world_send_segment(seq, ack + 19, TCP_RST | TCP_ACK, 8080, 7100, "", 0);
}

static void section_after(nsec_t time)
{
    net_world_pass(time);
    net_begin();
    net_end();
}

static const uint8_t stray_frame[60] = { 2, 0, 0, 0, 0, 15, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };

static void test_polled_mode(void)
{
    const uint8_t *frame = stray_frame;
    bool is_woken = false;
    nsec_t deadline;

    CHECK(!net_round(&deadline) && net_world_interrupts);
    /* Nobody else wants the CPU: again at once, and then the interrupt is on. */
    net_world_arrive(frame, sizeof(stray_frame));
    CHECK(net_round(&deadline) && !net_world_interrupts);
    CHECK(!net_round(&deadline) && net_world_interrupts);
    /* Somebody does: it stays off until a poll before a sleep finds nothing. */
    net_world_is_contended = true;
    net_world_arrive(frame, sizeof(stray_frame));
    CHECK(!net_round(&deadline) && !net_world_interrupts);
    CHECK(net_world_watch() != DEADLINE_NONE);
    net_world_is_contended = false;
    uint64_t before = netdev_of(netdev_find("eth0"))->rx_packets;
    section_after(NSEC_PER_MSEC);
    CHECK(!net_world_interrupts);
    net_world_arrive(frame, sizeof(stray_frame));
    section_after(NSEC_PER_MSEC / 10); /* so soon it does not look */
    CHECK_EQ(netdev_of(netdev_find("eth0"))->rx_packets, before);
    section_after(NSEC_PER_MSEC / 2);
    CHECK_EQ(netdev_of(netdev_find("eth0"))->rx_packets, before + 1);
    net_world_arrive(frame, sizeof(stray_frame));
    wait_before_sleep(&is_woken, DEADLINE_NONE);
    CHECK_EQ(netdev_of(netdev_find("eth0"))->rx_packets, before + 2);
    CHECK(net_world_interrupts);
}

static unsigned nflooded;

/* Another frame every millisecond, so each poll finds one; not for ever, so that the test ends. */
static void flood(void)
{
    net_world_pass(NSEC_PER_MSEC);
    if (nflooded++ < 1000)
        net_world_arrive(stray_frame, sizeof(stray_frame));
}

static unsigned polls_before_sleep(nsec_t deadline)
{
    bool is_woken = false;

    nflooded = 0;
    wait_before_sleep(&is_woken, deadline);
    return nflooded;
}

/* Packets for somebody else come without end: the thread has its deadline and its signals all the same. */
static void test_polled_flood(void)
{
    nsec_t deadline;

    net_world_is_contended = true;
    net_world_arrive(stray_frame, sizeof(stray_frame));
    CHECK(!net_round(&deadline) && !net_world_interrupts);
    net_world_is_contended = false;
    net_world_polled = flood;
    unsigned npolls = polls_before_sleep(deadline_after(10 * NSEC_PER_MSEC));
    CHECK(npolls >= 9 && npolls <= 10);
    net_world_has_signal = true;
    CHECK_EQ(polls_before_sleep(DEADLINE_NONE), 1);
    net_world_has_signal = false;
    CHECK(polls_before_sleep(DEADLINE_NONE) > 1000);
    net_world_polled = NULL;
    CHECK(net_world_interrupts);
}

/* ---- Memory that runs out ------------------------------------------------------------------------------ */

static void everything(void)
{
    struct abi_sockaddr_in address = at(LOOPBACK, 6000);
    struct abi_nlmsghdr request = { 20, ABI_RTM_GETADDR, ABI_NLM_F_REQUEST | ABI_NLM_F_DUMP, 1, 0 };
    uint8_t padded[20] = { 0 };
    static char buffer[20000];
    int fd[8], pair_fd[2] = { -1, -1 };

    memset(fd, -1, sizeof(fd));
    fd[0] = tcp();
    (void)sys_bind(fd[0], &address, sizeof(address));
    (void)sys_listen(fd[0], 5);
    fd[1] = tcp();
    (void)sys_connect(fd[1], &address, sizeof(address));
    fd[2] = (int)sys_accept4(fd[0], NULL, NULL, ABI_SOCK_NONBLOCK);
    (void)sys_sendto(fd[1], buffer, sizeof(buffer), ABI_MSG_NOSIGNAL, NULL, 0);
    (void)sys_recvfrom(fd[2], buffer, sizeof(buffer), 0, NULL, NULL);
    fd[3] = (int)sys_socket(ABI_AF_INET, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0);
    (void)sys_bind(fd[3], &address, sizeof(address));
    (void)sys_sendto(fd[3], buffer, 5000, 0, &address, sizeof(address));
    (void)sys_recvfrom(fd[3], buffer, sizeof(buffer), 0, NULL, NULL);
    if (sys_socketpair(ABI_AF_UNIX, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0, pair_fd) == 0) {
        (void)sys_sendto(pair_fd[0], buffer, 100, 0, NULL, 0);
        (void)sys_recvfrom(pair_fd[1], buffer, 100, 0, NULL, NULL);
        sys_close(pair_fd[0]), sys_close(pair_fd[1]);
    }
    fd[4] = (int)sys_socket(ABI_AF_NETLINK, ABI_SOCK_RAW | ABI_SOCK_NONBLOCK, 0);
    memcpy(padded, &request, sizeof(request));
    (void)sys_sendto(fd[4], padded, sizeof(padded), 0, NULL, 0);
    (void)sys_recvfrom(fd[4], buffer, sizeof(buffer), 0, NULL, NULL);
    net_world_show_all();
    for (int i = 0; i < 8; i++) {
        if (fd[i] >= 0)
            sys_close(fd[i]);
    }
    world_check_idle();
}

static void test_failures(void)
{
    for (unsigned n = 1; n < 200; n++) {
        heap_fail_from(n);
        everything();
        heap_fail_from(0);
        net_world_advance(20 * NSEC_PER_SEC);
    }
    everything();
}

/* ---- Silence --------------------------------------------------------------------------------------------- */

static void test_nothing_remains(void)
{
    struct net_segment segment;

    net_world_advance(200 * NSEC_PER_SEC);
    CHECK(!tcp_active_pcbs && !tcp_tw_pcbs && !tcp_listen_pcbs.pcbs);
    CHECK_EQ(net_world_nbuffers, 0);
    while (net_world_next_segment(&segment))
        ;
}

int main(void)
{
    net_world_init();
    test_stream();
    test_content();
    test_bad_memory();
    test_device();
    test_time_wait();
    test_segmentation();
    test_pages();
    test_pages_without_memory();
    test_connect_timeout();
    test_full_ring();
    test_deferred_kicks();
    test_batched_answers();
    test_polled_mode();
    test_polled_flood();
    test_rights();
    test_unix_names();
    test_failures();
    test_nothing_remains();
    return 0;
}
