// SPDX-License-Identifier: MIT
/*
 * UDP over loopback: addresses, connected sockets, errors, sizes, control messages, multicast.
 * test: flags=-pthread cpus=2 timeout=40
 */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, { 0 } };
}

static int bound(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t size = sizeof *address;

    *address = loopback(0);
    NEED(fd >= 0 && !bind(fd, (void *)address, size));
    NEED(!getsockname(fd, (void *)address, &size) && address->sin_port);
    return fd;
}

static void test_exchange(void)
{
    struct sockaddr_in a_address, b_address, from;
    int a = bound(&a_address), b = bound(&b_address), value;
    socklen_t size = sizeof from;
    char buffer[100];

    CHECK(sendto(a, "hello", 5, 0, (void *)&b_address, sizeof b_address) == 5);
    CHECK(sendto(a, "", 0, 0, (void *)&b_address, sizeof b_address) == 0);
    CHECK(sendto(a, "second", 6, 0, (void *)&b_address, sizeof b_address) == 6);
    CHECK(!ioctl(b, FIONREAD, &value) && value == 5);
    CHECK(recvfrom(b, buffer, 2, MSG_PEEK | MSG_TRUNC, (void *)&from, &size) == 5);
    CHECK(size == sizeof from && from.sin_port == a_address.sin_port);
    CHECK(recv(b, buffer, 2, 0) == 2 && !memcmp(buffer, "he", 2)); /* the rest is gone */
    CHECK(recv(b, buffer, 100, 0) == 0);
    CHECK(recv(b, buffer, 100, 0) == 6);
    CHECK_ERRNO(recv(b, buffer, 100, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(send(a, "x", 1, 0), EDESTADDRREQ);
    CHECK_ERRNO(getpeername(a, (void *)&from, &size), ENOTCONN);
    CHECK_ERRNO(listen(a, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(a, NULL, NULL), EOPNOTSUPP);
    close(a), close(b);
}

static void test_connected(void)
{
    struct sockaddr_in a_address, b_address, c_address, name;
    int a = bound(&a_address), b = bound(&b_address), c = bound(&c_address);
    socklen_t size = sizeof name;
    char buffer[10];

    CHECK(!connect(a, (void *)&b_address, sizeof b_address));
    CHECK(!getpeername(a, (void *)&name, &size) && name.sin_port == b_address.sin_port);
    CHECK(send(a, "1", 1, 0) == 1 && recv(b, buffer, 10, 0) == 1);
    CHECK(sendto(c, "no", 2, 0, (void *)&a_address, sizeof a_address) == 2); /* not its peer */
    CHECK(sendto(b, "yes", 3, 0, (void *)&a_address, sizeof a_address) == 3);
    CHECK(recv(a, buffer, 10, 0) == 3);
    CHECK(sendto(a, "there", 5, 0, (void *)&c_address, sizeof c_address) == 5);
    CHECK(recv(c, buffer, 10, 0) == 5);
    /* The peer goes away: the next call tells. */
    close(b);
    CHECK(send(a, "2", 1, 0) == 1);
    struct pollfd look = { .fd = a, .events = POLLIN };
    CHECK(poll(&look, 1, 1000) == 1 && (look.revents & POLLERR));
    CHECK_ERRNO(recv(a, buffer, 10, 0), ECONNREFUSED);
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    CHECK(!connect(a, &none, sizeof none));
    CHECK_ERRNO(getpeername(a, (void *)&name, &size), ENOTCONN);
    /* bind() did not name the port, so it is given back. */
    CHECK(!getsockname(a, (void *)&name, &size) && name.sin_port == 0);
    close(a), close(c);
}

static void test_sizes(void)
{
    static char big[70000], back[70000];
    struct sockaddr_in a_address, b_address;
    int a = bound(&a_address), b = bound(&b_address);

    for (unsigned i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 13);
    CHECK(sendto(a, big, 65507, 0, (void *)&b_address, sizeof b_address) == 65507);
    CHECK(recv(b, back, sizeof back, 0) == 65507 && !memcmp(big, back, 65507));
    CHECK_ERRNO(sendto(a, big, 65508, 0, (void *)&b_address, sizeof b_address), EMSGSIZE);
    CHECK(sendto(a, big, 1473, 0, (void *)&b_address, sizeof b_address) == 1473);
    CHECK(recv(b, back, sizeof back, 0) == 1473);
    close(a), close(b);
}

static void test_many(void)
{
    struct sockaddr_in a_address, b_address;
    int a = bound(&a_address), b = bound(&b_address);
    struct mmsghdr out[8] = { 0 }, in[8] = { 0 };
    struct iovec out_part[8], in_part[8];
    char in_text[8][10];

    for (int i = 0; i < 8; i++) {
        out_part[i] = (struct iovec){ "0123456789", (size_t)i + 1 };
        in_part[i] = (struct iovec){ in_text[i], 10 };
        out[i].msg_hdr = (struct msghdr){ .msg_name = &b_address,
                                          .msg_namelen = sizeof b_address,
                                          .msg_iov = &out_part[i],
                                          .msg_iovlen = 1 };
        in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_part[i], .msg_iovlen = 1 };
    }
    CHECK(sendmmsg(a, out, 8, 0) == 8 && out[7].msg_len == 8);
    CHECK(recvmmsg(b, in, 5, 0, NULL) == 5 && in[4].msg_len == 5);
    CHECK(recvmmsg(b, in, 8, MSG_WAITFORONE, NULL) == 3 && in[2].msg_len == 8);
    CHECK_ERRNO(recvmmsg(b, in, 8, MSG_DONTWAIT, NULL), EAGAIN);
    close(a), close(b);
}

static void test_control(void)
{
    struct sockaddr_in a_address, b_address;
    int a = bound(&a_address), b = bound(&b_address), one = 1;
    char text[10];
    union {
        char bytes[200];
        struct cmsghdr align;
    } control;
    struct iovec part = { text, sizeof text };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };

    CHECK(!setsockopt(b, IPPROTO_IP, IP_PKTINFO, &one, sizeof one));
    CHECK(!setsockopt(b, IPPROTO_IP, IP_RECVTTL, &one, sizeof one));
    CHECK(sendto(a, "x", 1, 0, (void *)&b_address, sizeof b_address) == 1);
    CHECK(recvmsg(b, &message, 0) == 1 && message.msg_flags == 0);
    int found = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct in_pktinfo info;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&info, CMSG_DATA(c), sizeof info);
            found += info.ipi_addr.s_addr == htonl(INADDR_LOOPBACK) && info.ipi_ifindex == 1;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) {
            found += *(int *)CMSG_DATA(c) == 64;
        }
    }
    CHECK(found == 2);
    /* Too little room for them. */
    message.msg_controllen = 10;
    CHECK(sendto(a, "y", 1, 0, (void *)&b_address, sizeof b_address) == 1);
    CHECK(recvmsg(b, &message, 0) == 1 && (message.msg_flags & MSG_CTRUNC));
    close(a), close(b);
}

static void test_shared_port(void)
{
    struct sockaddr_in address = loopback(0), other;
    int a = bound(&address), b = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

    CHECK_ERRNO(bind(b, (void *)&address, sizeof address), EADDRINUSE);
    other = address;
    other.sin_addr.s_addr = htonl(0x7f000002); /* another address: no conflict */
    CHECK(!bind(b, (void *)&other, sizeof other));
    CHECK(sendto(a, "2", 1, 0, (void *)&other, sizeof other) == 1);
    char c;
    CHECK(recv(b, &c, 1, 0) == 1 && c == '2');
    close(a), close(b);
    a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(!setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    CHECK(!bind(a, (void *)&address, sizeof address));
    CHECK_ERRNO(bind(b, (void *)&address, sizeof address), EADDRINUSE);
    CHECK(!setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    CHECK(!bind(b, (void *)&address, sizeof address));
    close(a), close(b);
}

static void test_ipv6(void)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 }, from;
    struct sockaddr_in four = loopback(0);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), a = socket(AF_INET, SOCK_DGRAM, 0),
        b = socket(AF_INET6, SOCK_DGRAM, 0), one = 1;
    socklen_t size = sizeof six;
    char c;

    CHECK(!bind(fd, (void *)&six, sizeof six) && !getsockname(fd, (void *)&six, &size));
    four.sin_port = six.sin6_port;
    CHECK(sendto(a, "4", 1, 0, (void *)&four, sizeof four) == 1);
    size = sizeof from;
    CHECK(recvfrom(fd, &c, 1, 0, (void *)&from, &size) == 1 && c == '4');
    CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    CHECK(sendto(fd, "back", 4, 0, (void *)&from, size) == 4); /* to the mapped address */
    CHECK(recv(a, &c, 1, 0) == 1);
    six.sin6_addr = in6addr_loopback;
    CHECK(sendto(b, "6", 1, 0, (void *)&six, sizeof six) == 1);
    CHECK(recvfrom(fd, &c, 1, 0, (void *)&from, &size) == 1 && c == '6');
    CHECK(IN6_IS_ADDR_LOOPBACK(&from.sin6_addr));
    close(fd);
    fd = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(!setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
    six.sin6_addr = in6addr_any;
    CHECK(!bind(fd, (void *)&six, sizeof six));
    four.sin_addr.s_addr = 0;
    CHECK(!bind(a = socket(AF_INET, SOCK_DGRAM, 0), (void *)&four, sizeof four)); /* beside it */
    close(fd), close(a), close(b);
}

static void test_multicast(void)
{
    struct sockaddr_in group = { AF_INET, 0, { inet_addr("239.1.2.3") }, { 0 } };
    int fd = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    struct ip_mreqn request = { .imr_multiaddr = group.sin_addr, .imr_ifindex = 1 };
    socklen_t size = sizeof group;
    char c;

    struct sockaddr_in any = { .sin_family = AF_INET };
    NEED(!bind(fd, (void *)&any, sizeof any) && !getsockname(fd, (void *)&any, &size));
    group.sin_port = any.sin_port;
    CHECK(!setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request));
    CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request),
                EADDRINUSE);
    CHECK(!setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request));
    CHECK(sendto(sender, "m", 1, 0, (void *)&group, sizeof group) == 1);
    struct pollfd look = { .fd = fd, .events = POLLIN };
    CHECK(poll(&look, 1, 1000) == 1 && recv(fd, &c, 1, 0) == 1 && c == 'm');
    CHECK(!setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request));
    CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request),
                EADDRNOTAVAIL);
    struct sockaddr_in broadcast = { AF_INET, htons(9), { INADDR_BROADCAST }, { 0 } };
    CHECK_ERRNO(sendto(sender, "b", 1, 0, (void *)&broadcast, sizeof broadcast), EACCES);
    close(fd), close(sender);
}

/* Packets with a partial checksum; UDP and UDP-Lite do not meet. */
static void test_lite(int family)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof address,
              len = sizeof(int);
    int a = socket(family, SOCK_DGRAM, IPPROTO_UDPLITE),
        b = socket(family, SOCK_DGRAM, IPPROTO_UDPLITE);
    int udp = socket(family, SOCK_DGRAM, 0), value = -1;
    char buffer[100];

    if (family == AF_INET)
        *(struct sockaddr_in *)&address = loopback(0);
    NEED(a >= 0 && b >= 0 && !bind(b, (void *)&address, size) &&
         !getsockname(b, (void *)&address, &size));
    CHECK(!getsockopt(a, SOL_SOCKET, SO_PROTOCOL, &value, &len) && value == IPPROTO_UDPLITE);
    CHECK(!getsockopt(a, IPPROTO_UDPLITE, 10, &value, &len) && value == 0);
    CHECK(sendto(udp, "not lite", 8, 0, (void *)&address, size) == 8);
    CHECK(sendto(a, "all of it", 9, 0, (void *)&address, size) == 9);
    CHECK(recv(b, buffer, sizeof buffer, 0) == 9 && !memcmp(buffer, "all of it", 9));
    CHECK(!setsockopt(a, IPPROTO_UDPLITE, 10, &(int){ 3 }, sizeof(int)));
    CHECK(!getsockopt(a, IPPROTO_UDPLITE, 10, &value, &len) && value == 8);
    CHECK(sendto(a, "header", 6, 0, (void *)&address, size) == 6);
    CHECK(recv(b, buffer, sizeof buffer, 0) == 6);
    CHECK(!setsockopt(b, IPPROTO_UDPLITE, 11, &(int){ 12 }, sizeof(int)));
    CHECK(!getsockopt(b, IPPROTO_UDPLITE, 11, &value, &len) && value == 12);
    CHECK(sendto(a, "too little", 10, 0, (void *)&address, size) == 10);
    CHECK(!setsockopt(a, IPPROTO_UDPLITE, 10, &(int){ 12 }, sizeof(int)));
    CHECK(sendto(a, "enough", 6, 0, (void *)&address, size) == 6);
    CHECK(recv(b, buffer, sizeof buffer, 0) == 6 && !memcmp(buffer, "enough", 6));
    CHECK_ERRNO(setsockopt(udp, IPPROTO_UDP, 10, &value, sizeof value), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(a, IPPROTO_UDPLITE, 99, &value, sizeof value), ENOPROTOOPT);
    CHECK_ERRNO(socket(family, SOCK_STREAM, IPPROTO_UDPLITE), EPROTONOSUPPORT);
    close(a), close(b), close(udp);
}

int main(void)
{
    test_exchange();
    test_connected();
    test_sizes();
    test_many();
    test_control();
    test_shared_port();
    test_ipv6();
    test_multicast();
    test_lite(AF_INET);
    test_lite(AF_INET6);
    return check_end();
}
