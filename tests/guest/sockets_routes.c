// SPDX-License-Identifier: MIT
/*
 * Interfaces and addresses, by netlink and by ioctl, as far as loopback shows them.
 * test: timeout=30
 */
#include "check.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void test_getifaddrs(void)
{
    struct ifaddrs *all = NULL;
    int four = 0, six = 0, link = 0;

    NEED(!getifaddrs(&all));
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") || !i->ifa_addr)
            continue;
        CHECK((i->ifa_flags & (IFF_UP | IFF_LOOPBACK)) == (IFF_UP | IFF_LOOPBACK));
        if (i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in *address = (void *)i->ifa_addr, *mask = (void *)i->ifa_netmask;
            four += address->sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
                    mask->sin_addr.s_addr == htonl(0xff000000);
        }
        six += i->ifa_addr->sa_family == AF_INET6;
        link += i->ifa_addr->sa_family == AF_PACKET;
    }
    CHECK(four == 1 && six <= 1 && link == 1);
    freeifaddrs(all);
    CHECK(if_nametoindex("lo") == 1);
    char name[IF_NAMESIZE];
    CHECK(if_indextoname(1, name) && !strcmp(name, "lo"));
    CHECK(if_nametoindex("nothing9") == 0);
}

static void test_ioctl(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = { .ifr_name = "lo" };
    struct ifconf list = { 0 };

    CHECK(!ioctl(fd, SIOCGIFFLAGS, &request) && (request.ifr_flags & IFF_LOOPBACK));
    CHECK(!ioctl(fd, SIOCGIFADDR, &request));
    CHECK(((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(!ioctl(fd, SIOCGIFMTU, &request) && request.ifr_mtu >= 16384);
    CHECK(!ioctl(fd, SIOCGIFINDEX, &request) && request.ifr_ifindex == 1);
    CHECK(!ioctl(fd, SIOCGIFCONF, &list) && list.ifc_len >= (int)sizeof request);
    strcpy(request.ifr_name, "nothing9");
    CHECK_ERRNO(ioctl(fd, SIOCGIFFLAGS, &request), ENODEV);
    close(fd);
}

/* How many messages of one type a dump has; -1: it does not end well. */
static int dump(int type, int answer)
{
    struct {
        struct nlmsghdr header;
        struct rtgenmsg body;
    } request = { { sizeof request, (unsigned short)type, NLM_F_REQUEST | NLM_F_DUMP, 77, 0 },
                  { AF_UNSPEC } };
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK }, own;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), found = 0;
    socklen_t size = sizeof own;
    char buffer[32768];

    NEED(fd >= 0);
    CHECK(!bind(fd, (void *)&kernel, sizeof kernel));
    CHECK(!getsockname(fd, (void *)&own, &size) && own.nl_pid != 0);
    CHECK(sendto(fd, &request, sizeof request, 0, (void *)&kernel, sizeof kernel) > 0);
    for (;;) {
        long n = recv(fd, buffer, sizeof buffer, 0);
        NEED(n > 0);
        for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            CHECK(h->nlmsg_seq == 77 && h->nlmsg_pid == own.nl_pid);
            found += h->nlmsg_type == answer;
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                close(fd);
                return h->nlmsg_type == NLMSG_DONE ? found : -1;
            }
        }
    }
}

static void test_netlink(void)
{
    CHECK(dump(RTM_GETLINK, RTM_NEWLINK) >= 1);
    CHECK(dump(RTM_GETADDR, RTM_NEWADDR) >= 1);
    CHECK(dump(RTM_GETROUTE, RTM_NEWROUTE) >= 0);
    CHECK(dump(RTM_GETNEIGH, RTM_NEWNEIGH) >= 0);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 500), EPROTONOSUPPORT);
}

static void test_names(void)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *all = NULL;

    CHECK(!getaddrinfo("127.0.0.1", "80", &hints, &all) && all);
    freeaddrinfo(all);
    all = NULL;
    CHECK(!getaddrinfo("localhost", "80", &hints, &all) && all);
    freeaddrinfo(all);
}

int main(void)
{
    test_getifaddrs();
    test_ioctl();
    test_netlink();
    test_names();
    return check_end();
}
