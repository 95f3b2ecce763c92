// SPDX-License-Identifier: MIT
/*
 * SO_ATTACH_FILTER: what UDP, raw and packet sockets drop and cut by a program of classic BPF, and what is refused.
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

#define LENGTH(array)  (sizeof(array) / sizeof((array)[0]))
#define RETURN(value)  BPF_STMT(BPF_RET | BPF_K, value)
#define BYTE(at)       BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define EQUAL(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)

static int set_filter(int fd, const struct sock_filter *program, size_t n)
{
    struct sock_fprog prog = { (unsigned short)n, (struct sock_filter *)program };

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int open_udp(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof(*address);

    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    NEED(!bind(fd, (struct sockaddr *)address, len));
    NEED(!getsockname(fd, (struct sockaddr *)address, &len));
    return fd;
}

static void send_text(int fd, const struct sockaddr_in *to, const char *text)
{
    ssize_t len = (ssize_t)strlen(text);

    CHECK(sendto(fd, text, (size_t)len, 0, (const struct sockaddr *)to, sizeof(*to)) == len);
}

/* What is there, or "nothing". */
static const char *next_text(int fd)
{
    static char text[100];
    struct pollfd poll_fd = { fd, POLLIN, 0 };

    if (poll(&poll_fd, 1, 0) != 1)
        return "nothing";
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    NEED(n >= 0);
    text[n] = 0;
    return text;
}

/* ---- UDP ------------------------------------------------------------------------------ */

static void test_udp(void)
{
    /* The program sees the header: 8 bytes. */
    const struct sock_filter starting_with_a[] = { BYTE(8), EQUAL('a', 0, 1), RETURN(0xffff),
                                                   RETURN(0) };
    const struct sock_filter cut[] = { RETURN(11) }, within_header[] = { RETURN(3) };
    const struct sock_filter beyond[] = { BYTE(100), RETURN(0xffff) };
    struct sockaddr_in address, other;
    int fd = open_udp(&address), from = open_udp(&other);

    CHECK(set_filter(fd, starting_with_a, LENGTH(starting_with_a)) == 0);
    send_text(from, &address, "bcd");
    send_text(from, &address, "abc");
    send_text(from, &address, "");
    puts(next_text(fd));
    puts(next_text(fd));
    CHECK(set_filter(fd, cut, LENGTH(cut)) == 0); /* another takes its place */
    send_text(from, &address, "bcdefg");
    send_text(from, &address, "b");
    puts(next_text(fd));
    puts(next_text(fd));
    CHECK(set_filter(fd, within_header, LENGTH(within_header)) == 0);
    send_text(from, &address, "bcdefg");
    printf("'%s'\n", next_text(fd));
    CHECK(set_filter(fd, beyond, LENGTH(beyond)) == 0);
    send_text(from, &address, "short");
    puts(next_text(fd));
    CHECK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd)) == 0);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd)), ENOENT);
    send_text(from, &address, "bcdefg");
    puts(next_text(fd));
    close(fd);
    close(from);
}

static void test_errors(void)
{
    struct sock_filter allow[] = { RETURN(0xffff) }, endless[] = { BYTE(0) };
    struct sock_fprog prog = { 1, allow }, none = { 0, allow }, wild = { 1, (void *)8 };
    struct sockaddr_in address;
    int fd = open_udp(&address), on = 1, off = 0, is_locked = -1;
    socklen_t len = sizeof(is_locked);

    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog) - 1), EINVAL);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &none, sizeof(none)), EINVAL);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &wild, sizeof(wild)), EFAULT);
    CHECK_ERRNO(set_filter(fd, allow, 4097), EINVAL);
    CHECK_ERRNO(set_filter(fd, endless, 1), EINVAL);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)) == 0);
    CHECK(set_filter(fd, allow, 1) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) == 0);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)), EPERM);
    CHECK_ERRNO(set_filter(fd, allow, 1), EPERM);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof(on)), EPERM);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &is_locked, &len) == 0 && is_locked == 1);
    close(fd);
}

/* ---- Whole packets ------------------------------------------------------------------------ */

/* IPv4 and UDP to this port, with the IP header at an offset; that many bytes of it. */
static void filter_port(int fd, unsigned at, uint16_t port, unsigned nkept)
{
    const struct sock_filter program[] = {
        BYTE(at + offsetof(struct iphdr, protocol)),
        EQUAL(IPPROTO_UDP, 0, 4),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, at),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, at + 2),
        EQUAL(port, 0, 1),
        RETURN(nkept),
        RETURN(0),
    };

    CHECK(set_filter(fd, program, LENGTH(program)) == 0);
}

static void drain(int fd, const char *what)
{
    char buffer[200];
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC)) >= 0)
        printf("%s: %zd\n", what, n);
    CHECK(errno == EAGAIN);
}

static void test_packets(void)
{
    struct sockaddr_in wanted, other;
    struct sockaddr_ll lo = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
    int fd = open_udp(&wanted), from = open_udp(&other);
    uint16_t port = ntohs(wanted.sin_port);
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    int frames = socket(AF_PACKET, SOCK_RAW, 0), packets = socket(AF_PACKET, SOCK_DGRAM, 0);

    NEED(raw >= 0 && frames >= 0 && packets >= 0);
    lo.sll_ifindex = (int)if_nametoindex("lo");
    filter_port(raw, 0, port, 0xffff);
    filter_port(frames, sizeof(struct ether_header), port, 30);
    filter_port(packets, 0, port, 0xffff);
    CHECK(bind(frames, (struct sockaddr *)&lo, sizeof(lo)) == 0);
    CHECK(bind(packets, (struct sockaddr *)&lo, sizeof(lo)) == 0);
    send_text(from, &other, "not for us");
    send_text(from, &wanted, "for us");
    drain(raw, "raw");
    drain(frames, "frames");
    drain(packets, "packets");
    puts(next_text(fd));
}

int main(void)
{
    test_udp();
    test_errors();
    test_packets();
    return check_end();
}
