// SPDX-License-Identifier: MIT
/*
 * Packet sockets on loopback: what they see of others' datagrams, what they send, and their addresses.
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define PAYLOAD 20

struct frame {
    struct ether_header ether;
    struct iphdr ip;
    struct udphdr udp;
    char data[PAYLOAD];
} __attribute__((packed));

static int lo;

static int open_packet(int type, int protocol)
{
    int fd = socket(AF_PACKET, type | SOCK_NONBLOCK, htons(protocol));
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = lo };

    NEED(fd >= 0);
    address.sll_protocol = htons(protocol);
    CHECK(!bind(fd, (struct sockaddr *)&address, sizeof address));
    return fd;
}

static int open_udp(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof *address;

    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    NEED(!bind(fd, (struct sockaddr *)address, sizeof *address));
    NEED(!getsockname(fd, (struct sockaddr *)address, &len));
    return fd;
}

/* The next frame of the UDP port; others may come between. */
static ssize_t next_of(int fd, uint16_t port, void *buf, size_t size, struct sockaddr_ll *from)
{
    size_t skip = sizeof(struct ether_header);
    int type;
    socklen_t len = sizeof type;

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    for (;;) {
        struct pollfd poll_fd = { fd, POLLIN, 0 };
        struct udphdr udp;
        len = sizeof *from;
        if (poll(&poll_fd, 1, 2000) != 1)
            return -1;
        ssize_t n = recvfrom(fd, buf, size, 0, (struct sockaddr *)from, &len);
        size_t at = (type == SOCK_RAW ? skip : 0) + sizeof(struct iphdr);
        if (n < (ssize_t)(at + sizeof udp))
            continue;
        memcpy(&udp, (char *)buf + at, sizeof udp);
        CHECK(len == sizeof *from);
        if (udp.dest == port)
            return n;
    }
}

static void test_errors(void)
{
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = 9999 }, own;
    socklen_t len = sizeof own;
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    char byte = 0;

    NEED(fd >= 0);
    CHECK_ERRNO(socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&address, sizeof address), ENODEV);
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&address, 12), EINVAL);
    CHECK_ERRNO(sendto(fd, &byte, 1, 0, (struct sockaddr *)&address, sizeof address), ENXIO);
    CHECK_ERRNO(send(fd, &byte, 1, 0), ENXIO);
    address.sll_ifindex = lo;
    CHECK_ERRNO(sendto(fd, &byte, 1, 0, (struct sockaddr *)&address, sizeof address), EINVAL);
    CHECK_ERRNO(sendto(fd, &byte, 1, 0, (struct sockaddr *)&address, 12), EINVAL);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof address), EOPNOTSUPP);
    CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
    CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&own, &len), EOPNOTSUPP);
    CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    address.sll_family = AF_INET;
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&address, sizeof address), EINVAL);
    address.sll_family = AF_PACKET;
    CHECK(!bind(fd, (struct sockaddr *)&address, sizeof address));
    CHECK(!getsockname(fd, (struct sockaddr *)&own, &len));
    printf("%u %d %d %d\n", len, own.sll_family, own.sll_hatype, own.sll_halen);
    CHECK(own.sll_ifindex == lo);
    close(fd);
}

static void test_look_on(void)
{
    struct sockaddr_in address;
    struct sockaddr_ll from;
    struct frame frame;
    int raw = open_packet(SOCK_RAW, ETH_P_ALL), cooked = open_packet(SOCK_DGRAM, ETH_P_IP);
    int ipv6 = open_packet(SOCK_RAW, ETH_P_IPV6), udp = open_udp(&address);
    char text[PAYLOAD] = "what goes by, whole";

    CHECK(sendto(udp, text, sizeof text, 0, (struct sockaddr *)&address, sizeof address) ==
          PAYLOAD);
    /* Those that see everything see it leave and arrive. */
    for (int i = 0; i < 2; i++) {
        ssize_t n = next_of(raw, address.sin_port, &frame, sizeof frame, &from);
        printf("raw: %zd type %d of %d, %d\n", n, from.sll_pkttype, from.sll_hatype,
               from.sll_halen);
        CHECK(from.sll_ifindex == lo && from.sll_protocol == htons(ETH_P_IP));
        CHECK(frame.ether.ether_type == htons(ETHERTYPE_IP) && !memcmp(frame.data, text, PAYLOAD));
    }
    ssize_t n = next_of(cooked, address.sin_port, &frame.ip, sizeof frame.ip + 8, &from);
    printf("cooked: %zd type %d\n", n, from.sll_pkttype);
    CHECK(frame.ip.version == 4 && frame.ip.saddr == htonl(INADDR_LOOPBACK));
    CHECK_ERRNO(recv(cooked, &frame, sizeof frame, 0), EAGAIN);
    CHECK_ERRNO(recv(ipv6, &frame, sizeof frame, 0), EAGAIN);
    struct tpacket_stats stats;
    socklen_t len = sizeof stats;
    CHECK(!getsockopt(cooked, SOL_PACKET, PACKET_STATISTICS, &stats, &len));
    CHECK(stats.tp_packets >= 1 && stats.tp_drops == 0);
    CHECK(!getsockopt(cooked, SOL_PACKET, PACKET_STATISTICS, &stats, &len) && !stats.tp_packets);
    close(raw);
    close(cooked);
    close(ipv6);
    close(udp);
}

static uint16_t checksum(const void *header)
{
    const uint16_t *word = header;
    uint32_t sum = 0;

    for (size_t i = 0; i < sizeof(struct iphdr) / 2; i++)
        sum += word[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

static struct frame make_frame(const struct sockaddr_in *to)
{
    struct frame frame = { .ether.ether_type = htons(ETHERTYPE_IP) };
    struct iphdr ip = { .version = 4,
                        .ihl = 5,
                        .ttl = 8,
                        .protocol = IPPROTO_UDP,
                        .saddr = to->sin_addr.s_addr,
                        .daddr = to->sin_addr.s_addr };

    ip.tot_len = htons(sizeof frame - sizeof frame.ether);
    ip.check = checksum(&ip);
    frame.ip = ip;
    frame.udp.source = htons(7);
    frame.udp.dest = to->sin_port;
    frame.udp.len = htons(sizeof frame.udp + PAYLOAD);
    memcpy(frame.data, "made by hand, whole", PAYLOAD);
    return frame;
}

static void test_send(void)
{
    struct sockaddr_in address;
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = lo, .sll_halen = 6 }, from;
    int raw = open_packet(SOCK_RAW, ETH_P_ALL), cooked = open_packet(SOCK_DGRAM, ETH_P_IP);
    int udp = open_udp(&address);
    struct frame frame = make_frame(&address), seen;
    char data[PAYLOAD + 1] = "";

    to.sll_protocol = htons(ETH_P_IP);
    CHECK(sendto(raw, &frame, sizeof frame, 0, (struct sockaddr *)&to, sizeof to) == sizeof frame);
    /* Its own frame comes back only as one that arrives. */
    ssize_t n = next_of(raw, address.sin_port, &seen, sizeof seen, &from);
    printf("own: %zd type %d\n", n, from.sll_pkttype);
    CHECK(!memcmp(&seen, &frame, sizeof frame));
    CHECK(sendto(cooked, &frame.ip, sizeof frame - 14, 0, (struct sockaddr *)&to, sizeof to) ==
          sizeof frame - 14);
    n = next_of(raw, address.sin_port, &seen, sizeof seen, &from);
    printf("another's: %zd type %d\n", n, from.sll_pkttype);
    /* A packet with an address of this machine that did not come from it is a martian. */
    CHECK_ERRNO(recv(udp, data, sizeof data, MSG_DONTWAIT), EAGAIN);
    close(raw);
    close(cooked);
    close(udp);
}

static void test_memberships(void)
{
    int fd = open_packet(SOCK_RAW, ETH_P_ALL);
    struct packet_mreq request = { .mr_ifindex = lo, .mr_type = PACKET_MR_PROMISC };

    CHECK(!setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request));
    CHECK(!setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &request, sizeof request));
    CHECK_ERRNO(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, 4), EINVAL);
    request.mr_ifindex = 9999;
    CHECK_ERRNO(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request),
                ENODEV);
    close(fd);
}

/* On Linux, where other programs' packets would fill the sockets' queues, to a loopback of its own. */
static void leave_network(void)
{
    struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int fd;

    if (unshare(CLONE_NEWNET))
        return;
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(!ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
}

int main(void)
{
    leave_network();
    lo = (int)if_nametoindex("lo");
    NEED(lo > 0);
    test_errors();
    test_look_on();
    test_send();
    test_memberships();
    NEED(!setuid(65534));
    CHECK_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
    return check_end();
}
