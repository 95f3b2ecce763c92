// SPDX-License-Identifier: MIT
/*
 * Urgent data of TCP: MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI, FIONREAD, and SIGURG to the owner of a socket.
 *
 * test: cpus=2
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int client, server;

static void connect_pair(int family)
{
    struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
    socklen_t len = sizeof(address);
    int listener = socket(family, SOCK_STREAM, 0);

    if (family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    else
        ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    NEED(listener >= 0 && !bind(listener, (struct sockaddr *)&address, len) &&
         !listen(listener, 1));
    NEED(!getsockname(listener, (struct sockaddr *)&address, &len));
    client = socket(family, SOCK_STREAM, 0);
    NEED(client >= 0 && !connect(client, (struct sockaddr *)&address, len));
    server = accept(listener, NULL, NULL);
    NEED(server >= 0);
    close(listener);
}

static void disconnect_pair(void)
{
    close(client);
    close(server);
}

static bool waits_for(int fd, short events)
{
    struct pollfd poll_fd = { .fd = fd, .events = events };

    return poll(&poll_fd, 1, 5000) == 1 && (poll_fd.revents & events);
}

static short ready(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLPRI };

    CHECK(poll(&poll_fd, 1, 0) >= 0);
    return poll_fd.revents;
}

static void wait_until_readable(int fd, int bytes)
{
    int n = 0;

    for (int i = 0; i < 5000; i++) {
        CHECK(!ioctl(fd, FIONREAD, &n));
        if (n >= bytes)
            return;
        sleep_ms(1);
    }
    CHECK(n >= bytes);
}

static int at_mark(int fd)
{
    int value = -1;

    CHECK(!ioctl(fd, SIOCATMARK, &value));
    return value;
}

/* What one call gives, as a string. */
static const char *got(int fd, size_t size, int flags)
{
    static char buf[64];

    ssize_t n = recv(fd, buf, size, flags | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? "EAGAIN" : errno == EINVAL ? "EINVAL" : "error";
    buf[n] = '\0';
    return buf;
}

#define GETS(expected, size, flags) CHECK(!strcmp(got(server, size, flags), expected))

static void test_apart(void)
{
    char byte;
    GETS("EINVAL", 1, MSG_OOB);
    CHECK(at_mark(server) == 0);
    CHECK(send(client, "abc", 3, MSG_OOB) == 3);
    CHECK(waits_for(server, POLLPRI));
    wait_until_readable(server, 2);
    CHECK(ready(server) == (POLLIN | POLLPRI));
    int n;
    CHECK(!ioctl(server, FIONREAD, &n) && n == 2);
    CHECK(at_mark(server) == 0);
    GETS("c", 1, MSG_OOB | MSG_PEEK);
    GETS("ab", 10, MSG_PEEK);
    GETS("ab", 10, 0);
    CHECK(at_mark(server) == 1);
    CHECK(ready(server) == POLLPRI);
    struct iovec piece = { &byte, 1 };
    struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };
    CHECK(recvmsg(server, &header, MSG_OOB) == 1 && byte == 'c' && (header.msg_flags & MSG_OOB));
    GETS("EINVAL", 1, MSG_OOB);
    CHECK(ready(server) == 0);
    CHECK(send(client, "de", 2, 0) == 2);
    CHECK(waits_for(server, POLLIN));
    GETS("de", 10, 0);
    CHECK(at_mark(server) == 0);
    GETS("EINVAL", 1, MSG_OOB);
}

/* Reading stops in front of the mark and leaves the byte out behind it. */
static void test_around(void)
{
    char buf[16];
    int one = 1;
    NEED(!setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
    CHECK(send(client, "12", 2, 0) == 2);
    CHECK(send(client, "x", 1, MSG_OOB) == 1);
    CHECK(send(client, "34", 2, 0) == 2);
    CHECK(waits_for(server, POLLPRI));
    int n = 0;
    while (recv(server, buf, sizeof(buf), MSG_PEEK) < 2)
        ;
    CHECK(recv(server, buf, 4, MSG_WAITALL) == 2 && !memcmp(buf, "12", 2));
    CHECK(at_mark(server) == 1);
    GETS("x", 1, MSG_OOB | MSG_PEEK);
    CHECK(waits_for(server, POLLIN));
    CHECK(recv(server, buf, 2, MSG_WAITALL) == 2 && !memcmp(buf, "34", 2));
    CHECK(at_mark(server) == 0);
    GETS("EINVAL", 1, MSG_OOB); /* it was passed by */
    CHECK(!ioctl(server, FIONREAD, &n) && n == 0);
    /* A second mark replaces the first. */
    CHECK(send(client, "p", 1, MSG_OOB) == 1);
    CHECK(waits_for(server, POLLPRI));
    CHECK(send(client, "yzq", 3, MSG_OOB) == 3);
    for (int i = 0; i < 5000 && strcmp(got(server, 1, MSG_OOB | MSG_PEEK), "q"); i++)
        sleep_ms(1);
    GETS("q", 1, MSG_OOB);
    shutdown(client, SHUT_WR);
    CHECK(waits_for(server, POLLIN));
}

static void test_inline(void)
{
    int one = 1, value = 0;
    socklen_t len = sizeof(value);
    NEED(!setsockopt(server, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
    CHECK(!getsockopt(server, SOL_SOCKET, SO_OOBINLINE, &value, &len) && value == 1);
    CHECK(send(client, "abc", 3, MSG_OOB) == 3);
    CHECK(waits_for(server, POLLPRI));
    wait_until_readable(server, 3);
    GETS("EINVAL", 1, MSG_OOB);
    GETS("ab", 10, 0);
    CHECK(at_mark(server) == 1);
    CHECK(ready(server) == (POLLIN | POLLPRI));
    GETS("c", 10, 0);
    CHECK(at_mark(server) == 0 && ready(server) == 0);
}

/* More than a window of data in front of the urgent byte. */
static void *fill(void *arg)
{
    static char block[100000];
    memset(block, 'b', sizeof(block));
    for (int i = 0; i < 20; i++)
        CHECK(send(client, block, sizeof(block), 0) == (ssize_t)sizeof(block));
    CHECK(send(client, block, 50000, MSG_OOB) == 50000);
    CHECK(send(client, "end", 3, 0) == 3);
    shutdown(client, SHUT_WR);
    return arg;
}

static void test_large(void)
{
    static char buf[65536];
    pthread_t thread;
    long total = 0;
    int nmarks = 0;

    NEED(!pthread_create(&thread, NULL, fill, NULL));
    for (;;) {
        ssize_t n = recv(server, buf, sizeof(buf), 0);
        if (n <= 0)
            break;
        total += n;
        if (at_mark(server)) {
            nmarks++;
            CHECK(total == 2049999);
            CHECK(waits_for(server, POLLPRI));
            CHECK(recv(server, buf, 1, MSG_OOB) == 1 && buf[0] == 'b');
        }
    }
    pthread_join(thread, NULL);
    CHECK(nmarks == 1 && total == 2050002);
}

static void test_waiting(void)
{
    int epoll = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
    NEED(!epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event));
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(send(client, "!", 1, MSG_OOB) == 1);
    CHECK(epoll_wait(epoll, &event, 1, 5000) == 1 && (event.events & EPOLLPRI));
    fd_set set;
    struct timeval timeout = { 5, 0 };
    FD_ZERO(&set);
    FD_SET(server, &set);
    CHECK(select(server + 1, NULL, NULL, &set, &timeout) == 1 && FD_ISSET(server, &set));
    GETS("!", 1, MSG_OOB);
    close(epoll);
}

/* ---- Owners ------------------------------------------------------------------------- */

static volatile sig_atomic_t nurgent;
static volatile pid_t urgent_tid;

static void on_urgent(int signo)
{
    (void)signo;
    urgent_tid = gettid();
    nurgent++;
}

static void expect_signal(void)
{
    int before = nurgent;
    CHECK(send(client, "s", 1, MSG_OOB) == 1);
    for (int i = 0; i < 5000 && nurgent == before; i++)
        sleep_ms(1);
    CHECK(nurgent == before + 1);
    CHECK(waits_for(server, POLLPRI));
    GETS("s", 1, MSG_OOB);
}

static void *own(void *arg)
{
    struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };
    CHECK(!fcntl(server, F_SETOWN_EX, &owner));
    struct f_owner_ex old = { 0 };
    CHECK(!fcntl(server, F_GETOWN_EX, &old) && old.type == F_OWNER_TID && old.pid == gettid());
    expect_signal();
    CHECK(urgent_tid == gettid());
    return arg;
}

static void test_owner(void)
{
    pthread_t thread;
    int pid = 0;
    signal(SIGURG, on_urgent);
    CHECK(fcntl(server, F_GETOWN) == 0);
    CHECK(send(client, "n", 1, MSG_OOB) == 1);
    CHECK(waits_for(server, POLLPRI));
    GETS("n", 1, MSG_OOB);
    CHECK(nurgent == 0); /* nobody owns it */
    CHECK(!fcntl(server, F_SETOWN, getpid()) && fcntl(server, F_GETOWN) == getpid());
    expect_signal();
    CHECK(!ioctl(server, SIOCGPGRP, &pid) && pid == getpid());
    NEED(!pthread_create(&thread, NULL, own, NULL));
    pthread_join(thread, NULL);
    pid = -getpgrp();
    CHECK(!ioctl(server, FIOSETOWN, &pid));
    struct f_owner_ex owner = { 0 };
    CHECK(!fcntl(server, F_GETOWN_EX, &owner) && owner.type == F_OWNER_PGRP &&
          owner.pid == getpgrp());
    expect_signal();
    CHECK(!fcntl(server, F_SETOWN, 0) && fcntl(server, F_GETOWN) == 0);
    CHECK_ERRNO(fcntl(server, F_SETOWN, 1 << 30), ESRCH);
    CHECK_ERRNO(fcntl(server, F_SETOWN, -(1 << 30)), ESRCH);
    CHECK_ERRNO(fcntl(server, F_SETOWN, 1 << 31), EINVAL);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 5000 && nurgent < 4; i++)
            sleep_ms(1);
        _exit(nurgent == 4 ? 0 : 1);
    }
    CHECK(!fcntl(server, F_SETOWN, child) && fcntl(server, F_GETOWN) == child);
    CHECK(send(client, "c", 1, MSG_OOB) == 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(fcntl(server, F_GETOWN) == 0); /* it has ended */
    CHECK(nurgent == 3);
    CHECK(send(client, "d", 1, MSG_OOB) == 1);
    CHECK(waits_for(server, POLLPRI));
}

static void test_ends(void)
{
    char byte;
    CHECK(send(client, "e", 1, MSG_OOB) == 1);
    CHECK(waits_for(server, POLLPRI));
    close(client);
    CHECK(waits_for(server, POLLIN));
    GETS("e", 1, MSG_OOB);
    CHECK(recv(server, &byte, 1, 0) == 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(recv(client, &byte, 1, MSG_OOB), EINVAL);
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(9),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK_ERRNO(sendto(datagram, "x", 1, MSG_OOB, (struct sockaddr *)&to, sizeof(to)), EOPNOTSUPP);
    close(datagram);
}

int main(void)
{
    static void (*const tests[])(void) = { test_apart,   test_around, test_inline, test_large,
                                           test_waiting, test_owner,  test_ends };

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        connect_pair(i % 2 ? AF_INET6 : AF_INET);
        tests[i]();
        disconnect_pair();
    }
    for (size_t i = 0; i < 2; i++) { /* and the other family */
        connect_pair(i % 2 ? AF_INET : AF_INET6);
        tests[i]();
        disconnect_pair();
    }
    return check_end();
}
