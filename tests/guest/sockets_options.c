// SPDX-License-Identifier: MIT
/*
 * Socket options on every kind of socket: which there are, what they are at first, whether they can be set and what
 * they are then, with every length.
 * test: variants=dynamic timeout=40
 */
#include "check.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

struct option {
    const char *text;
    int level, name;
    int set;         /* the value to set */
    int is_unstable; /* its value depends on the system's configuration */
};

#define OPTION(level, name, set)                                                                   \
    {                                                                                              \
#name, level, name, set, 0                                                                 \
    }
#define UNSTABLE(level, name, set)                                                                 \
    {                                                                                              \
#name, level, name, set, 1                                                                 \
    }

static const struct option options[] = {
    OPTION(SOL_SOCKET, SO_DEBUG, 0),
    OPTION(SOL_SOCKET, SO_REUSEADDR, 1),
    OPTION(SOL_SOCKET, SO_REUSEPORT, 1),
    OPTION(SOL_SOCKET, SO_TYPE, 1),
    OPTION(SOL_SOCKET, SO_ERROR, 1),
    OPTION(SOL_SOCKET, SO_DONTROUTE, 1),
    OPTION(SOL_SOCKET, SO_BROADCAST, 5),
    UNSTABLE(SOL_SOCKET, SO_SNDBUF, 20000),
    UNSTABLE(SOL_SOCKET, SO_RCVBUF, 20000),
    UNSTABLE(SOL_SOCKET, SO_SNDBUFFORCE, 20000),
    UNSTABLE(SOL_SOCKET, SO_RCVBUFFORCE, 20000),
    OPTION(SOL_SOCKET, SO_KEEPALIVE, 1),
    OPTION(SOL_SOCKET, SO_OOBINLINE, 1),
    OPTION(SOL_SOCKET, SO_PRIORITY, 3),
    OPTION(SOL_SOCKET, SO_RCVLOWAT, 10),
    OPTION(SOL_SOCKET, SO_SNDLOWAT, 10),
    OPTION(SOL_SOCKET, SO_ACCEPTCONN, 1),
    OPTION(SOL_SOCKET, SO_PROTOCOL, 1),
    OPTION(SOL_SOCKET, SO_DOMAIN, 1),
    OPTION(SOL_SOCKET, SO_TIMESTAMP, 1),
    OPTION(SOL_SOCKET, SO_MARK, 5),
    OPTION(SOL_SOCKET, SO_RXQ_OVFL, 1),
    OPTION(SOL_SOCKET, SO_NOFCS, 1),
    OPTION(SOL_SOCKET, 9999, 1),
    OPTION(IPPROTO_IP, IP_TOS, 16),
    OPTION(IPPROTO_IP, IP_TTL, 33),
    OPTION(IPPROTO_IP, IP_PKTINFO, 1),
    OPTION(IPPROTO_IP, IP_RECVERR, 1),
    OPTION(IPPROTO_IP, IP_RECVTTL, 1),
    OPTION(IPPROTO_IP, IP_RECVTOS, 1),
    OPTION(IPPROTO_IP, IP_MULTICAST_TTL, 3),
    OPTION(IPPROTO_IP, IP_MULTICAST_LOOP, 0),
    OPTION(IPPROTO_IP, IP_FREEBIND, 1),
    OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1),
    OPTION(IPPROTO_IP, 9999, 1),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY, 1),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7),
    OPTION(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 7),
    OPTION(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0),
    OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS, 8),
    OPTION(IPPROTO_TCP, TCP_NODELAY, 1),
    UNSTABLE(IPPROTO_TCP, TCP_MAXSEG, 1000),
    OPTION(IPPROTO_TCP, TCP_CORK, 1),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE, 77),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL, 7),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT, 3),
    UNSTABLE(IPPROTO_TCP, TCP_SYNCNT, 3),
    OPTION(IPPROTO_TCP, TCP_LINGER2, 9),
    OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1),
    UNSTABLE(IPPROTO_TCP, TCP_WINDOW_CLAMP, 40000),
    OPTION(IPPROTO_TCP, TCP_QUICKACK, 0),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT, 900),
    OPTION(IPPROTO_TCP, 9999, 1),
    OPTION(77, 1, 1),
};

static void show_value(int fd, const struct option *option)
{
    int value = 0;
    socklen_t len = sizeof value;

    if (getsockopt(fd, option->level, option->name, &value, &len))
        printf("%s", strerrorname_np(errno));
    else if (option->is_unstable)
        printf("%u bytes", len);
    else
        printf("%d of %u", value, len);
}

static void try_option(const char *kind, int fd, const struct option *option)
{
    int value = option->set;

    printf("%s %s: ", kind, option->text);
    show_value(fd, option);
    printf("; set: %s", setsockopt(fd, option->level, option->name, &value, sizeof value)
                            ? strerrorname_np(errno)
                            : "yes");
    printf("; then ");
    show_value(fd, option);
    printf("; short: %s",
           setsockopt(fd, option->level, option->name, &value, 0) ? strerrorname_np(errno) : "yes");
    printf("\n");
}

static void test_special(int fd)
{
    struct linger linger = { 1, 5 };
    struct timeval time = { 1, 500000 };
    socklen_t len = sizeof linger;

    CHECK(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    linger = (struct linger){ 0, 0 };
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) && linger.l_onoff == 1);
    CHECK(linger.l_linger == 5 && len == 8);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4), EINVAL);
    CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    len = 100;
    time.tv_sec = 7;
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, &len) && len == 16 && time.tv_sec == 1);
    CHECK(time.tv_usec == 500000);
    time.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time), EDOM);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, 8), EINVAL);
    int value = 7;
    len = 2; /* a short buffer gets a part */
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) && len == 2);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, (void *)8, &(socklen_t){ 4 }), EFAULT);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, (void *)8), EFAULT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4), EFAULT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, (socklen_t)-1), EINVAL);
}

int main(void)
{
    static const struct {
        const char *name;
        int family, type;
    } kinds[] = { { "tcp", AF_INET, SOCK_STREAM },   { "udp", AF_INET, SOCK_DGRAM },
                  { "tcp6", AF_INET6, SOCK_STREAM }, { "udp6", AF_INET6, SOCK_DGRAM },
                  { "unix", AF_UNIX, SOCK_STREAM },  { "unix dgram", AF_UNIX, SOCK_DGRAM } };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t j = 0; j < sizeof options / sizeof options[0]; j++) {
            if (kinds[i].family == AF_UNIX && options[j].name == SO_REUSEPORT)
                continue; /* refused by newer kernels only */
            int fd = socket(kinds[i].family, kinds[i].type, 0);
            NEED(fd >= 0);
            try_option(kinds[i].name, fd, &options[j]);
            close(fd);
        }
        int fd = socket(kinds[i].family, kinds[i].type, 0);
        test_special(fd);
        close(fd);
    }
    return check_end();
}
