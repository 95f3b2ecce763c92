// SPDX-License-Identifier: MIT
/*
 * Datagram sockets that are shut for reading: a receiver that waits gets 0, one that does not wait gets EAGAIN,
 * and what has arrived before is still read.
 * test: variants=dynamic
 */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void test_shut(int fd, int peer)
{
    char text[8];

    CHECK(send(peer, "data", 4, 0) == 4);
    CHECK(!shutdown(fd, SHUT_RD));
    CHECK(recv(fd, text, sizeof text, MSG_DONTWAIT) == 4);
    CHECK_ERRNO(recv(fd, text, sizeof text, MSG_DONTWAIT), EAGAIN);
    CHECK(recv(fd, text, sizeof text, 0) == 0);
    close(fd), close(peer);
}

int main(void)
{
    struct sockaddr_in name = { AF_INET, 0, { htonl(INADDR_LOOPBACK) }, { 0 } };
    socklen_t len = sizeof name;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), peer = socket(AF_INET, SOCK_DGRAM, 0), pair[2];

    NEED(!bind(peer, (void *)&name, len) && !getsockname(peer, (void *)&name, &len));
    NEED(!connect(fd, (void *)&name, len) && !getsockname(fd, (void *)&name, &len));
    NEED(!connect(peer, (void *)&name, len));
    test_shut(fd, peer);
    NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    test_shut(pair[0], pair[1]);
    return check_end();
}
