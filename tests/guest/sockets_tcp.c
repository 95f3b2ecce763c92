// SPDX-License-Identifier: MIT
/*
 * TCP over loopback: names, options, nonblocking connect, half close, resets, large transfers, IPv6.
 * test: flags=-pthread cpus=2 timeout=40
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static struct sockaddr_in address;

static int listen_tcp(int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    socklen_t size = sizeof address;

    address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    NEED(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    NEED(!bind(fd, (void *)&address, sizeof address) && !listen(fd, backlog));
    NEED(!getsockname(fd, (void *)&address, &size) && address.sin_port);
    return fd;
}

static int connect_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    NEED(!connect(fd, (void *)&address, sizeof address));
    return fd;
}

static void test_connection(void)
{
    int listener = listen_tcp(5), client = connect_tcp(), one = 1, value;
    struct sockaddr_in peer, mine;
    socklen_t size = sizeof peer;
    int server = accept4(listener, (void *)&peer, &size, SOCK_CLOEXEC);
    char buffer[100];

    NEED(server >= 0);
    CHECK(size == sizeof peer && peer.sin_family == AF_INET);
    CHECK(!getsockname(client, (void *)&mine, &size) && mine.sin_port == peer.sin_port);
    CHECK(!getpeername(client, (void *)&peer, &size) && peer.sin_port == address.sin_port);
    CHECK(send(client, "hello", 5, 0) == 5);
    CHECK(recv(server, buffer, 2, MSG_PEEK) == 2 && recv(server, buffer, 100, 0) == 5);
    CHECK_ERRNO(recv(server, buffer, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(!setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    size = sizeof value;
    CHECK(!getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &size) && value == 1);
    CHECK(!getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &size) && value == SOCK_STREAM);
    CHECK(!getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &size) && value == 0);
    CHECK(!getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) && value == 1);
    CHECK(!setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
    struct iovec parts[2] = { { "ab", 2 }, { "cd", 2 } };
    CHECK(writev(client, parts, 2) == 4 && recv(server, buffer, 4, MSG_WAITALL) == 4);
    CHECK(!memcmp(buffer, "abcd", 4));
    CHECK(send(client, "xy", 2, 0) == 2);
    sleep_ms(10);
    CHECK(!ioctl(server, FIONREAD, &value) && value == 2);
    CHECK(read(server, buffer, 10) == 2);
    /* Half close: the other direction goes on. */
    CHECK(!shutdown(client, SHUT_WR) && read(server, buffer, 1) == 0);
    CHECK(write(server, "late", 4) == 4 && read(client, buffer, 10) == 4);
    CHECK_ERRNO(send(client, "x", 1, MSG_NOSIGNAL), EPIPE);
    close(server);
    CHECK(read(client, buffer, 1) == 0);
    close(client), close(listener);
}

static void test_errors(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), listener = listen_tcp(1),
        other = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in nobody = address;
    char c;

    CHECK_ERRNO(recv(fd, &c, 1, 0), ENOTCONN);
    CHECK_ERRNO(send(fd, &c, 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    CHECK_ERRNO(getpeername(fd, (void *)&nobody, &(socklen_t){ sizeof nobody }), ENOTCONN);
    CHECK_ERRNO(bind(other, (void *)&address, sizeof address), EADDRINUSE);
    CHECK_ERRNO(bind(other, (void *)&address, 3), EINVAL);
    CHECK_ERRNO(socket(AF_INET, 77, 0), EINVAL);
    CHECK_ERRNO(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &(int){ 1 }, 4), ENOPROTOOPT);
    CHECK_ERRNO(listen(99, 1), EBADF);
    CHECK_ERRNO(listen(0, 1), ENOTSOCK);
    close(listener);
    CHECK_ERRNO(connect(fd, (void *)&nobody, sizeof nobody), ECONNREFUSED);
    close(fd), close(other);
}

static void test_nonblocking(void)
{
    int listener = listen_tcp(5), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), value = 1;
    socklen_t size = sizeof value;
    struct pollfd look = { .fd = fd, .events = POLLOUT };

    fcntl(listener, F_SETFL, O_NONBLOCK);
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    int result = connect(fd, (void *)&address, sizeof address);
    CHECK(result == 0 || errno == EINPROGRESS);
    CHECK(poll(&look, 1, 2000) == 1 && look.revents == POLLOUT);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) && value == 0);
    if (result)
        CHECK(connect(fd, (void *)&address, sizeof address) == 0 || errno == EISCONN);
    CHECK_ERRNO(connect(fd, (void *)&address, sizeof address), EISCONN);
    struct pollfd ready = { .fd = listener, .events = POLLIN };
    CHECK(poll(&ready, 1, 2000) == 1);
    int server = accept(listener, NULL, NULL);
    CHECK(server >= 0 && !(fcntl(server, F_GETFL) & O_NONBLOCK)); /* not inherited on Linux */
    /* Fill it until it would block, then empty it. */
    static char block[65536];
    long sent = 0, received = 0, n;
    while ((n = send(fd, block, sizeof block, MSG_DONTWAIT)) > 0)
        sent += n;
    CHECK(errno == EAGAIN && sent > 65536);
    look.revents = 0;
    CHECK(poll(&look, 1, 0) == 0);
    while (received < sent && (n = read(server, block, sizeof block)) > 0)
        received += n;
    CHECK(received == sent && poll(&look, 1, 2000) == 1 && look.revents == POLLOUT);
    close(fd), close(server);
    /* Nobody listens: the error comes by poll and SO_ERROR. */
    close(listener);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    result = connect(fd, (void *)&address, sizeof address);
    CHECK(result == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    if (errno == EINPROGRESS) {
        look = (struct pollfd){ .fd = fd, .events = POLLOUT };
        CHECK(poll(&look, 1, 2000) == 1 &&
              (look.revents & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
        CHECK(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) && value == ECONNREFUSED);
    }
    close(fd);
}

static void test_reset(void)
{
    int listener = listen_tcp(5), client = connect_tcp(), server = accept(listener, NULL, NULL);
    struct linger hard = { 1, 0 };
    char c;

    CHECK(!setsockopt(server, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    close(server);
    CHECK_ERRNO(recv(client, &c, 1, 0), ECONNRESET);
    CHECK(recv(client, &c, 1, 0) == 0); /* told once */
    close(client), close(listener);
}

#define AMOUNT (4L << 20)

static void *send_much(void *arg)
{
    int fd = (int)(long)arg;
    char *data = malloc(AMOUNT);

    for (long i = 0; i < AMOUNT; i++)
        data[i] = (char)(i * 7 + (i >> 8));
    CHECK(send(fd, data, AMOUNT, 0) == AMOUNT);
    shutdown(fd, SHUT_WR);
    free(data);
    return NULL;
}

static void test_transfer(void)
{
    int listener = listen_tcp(5), client = connect_tcp(), server = accept(listener, NULL, NULL);
    static char buffer[50000];
    pthread_t thread;
    long at = 0, n, wrong = 0;

    pthread_create(&thread, NULL, send_much, (void *)(long)client);
    while ((n = read(server, buffer, sizeof buffer)) > 0)
        for (long i = 0; i < n; i++, at++)
            wrong += buffer[i] != (char)(at * 7 + (at >> 8));
    CHECK(at == AMOUNT && wrong == 0);
    pthread_join(thread, NULL);
    close(client), close(server), close(listener);
}

static void test_timeout(void)
{
    int listener = listen_tcp(5), client = connect_tcp();
    struct timeval time = { 0, 30000 };
    int64_t start = now_ns();
    char c;

    CHECK(!setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    CHECK_ERRNO(recv(client, &c, 1, 0), EAGAIN);
    CHECK(now_ns() - start >= 30000000);
    close(client), close(listener);
}

static void *stop_waiting(void *arg)
{
    sleep_ms(30);
    shutdown((int)(long)arg, SHUT_RDWR);
    return NULL;
}

/* A full listener ignores a SYN as a host does that is gone. */
static void test_limits(void)
{
    int listener = listen_tcp(0), waiting[2], one = 1, patience = 1500;

    for (int i = 0; i < 2; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK_ERRNO(connect(waiting[i], (void *)&address, sizeof address), EINPROGRESS);
        sleep_ms(100);
    }
    for (int option = 0; option < 2; option++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(!(option ? setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience)
                       : setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof one)));
        int64_t begin = now_ns();
        CHECK_ERRNO(connect(fd, (void *)&address, sizeof address), ETIMEDOUT);
        CHECK(now_ns() - begin > 1400000000LL && now_ns() - begin < 30000000000LL);
        close(fd);
    }
    close(waiting[0]), close(waiting[1]), close(listener);
}

/* A peer that answers, but reads nothing. */
static void test_closed_window(void)
{
    static char data[1 << 16];
    int listener = listen_tcp(5), client = connect_tcp(), server = accept(listener, NULL, NULL);
    int patience = 2000, error = 0;
    socklen_t size = sizeof error;
    struct pollfd fds = { .fd = client };

    CHECK(!setsockopt(client, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience));
    NEED(!fcntl(client, F_SETFL, O_NONBLOCK));
    do {
        while (send(client, data, sizeof data, 0) > 0)
            ;
    } while (poll(&(struct pollfd){ .fd = client, .events = POLLOUT }, 1, 300) == 1);
    CHECK(poll(&fds, 1, 30000) == 1 && fds.revents & POLLERR);
    CHECK(!getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size) && error == ETIMEDOUT);
    close(client), close(server), close(listener);
}

static void *abort_later(void *arg)
{
    const int *fd = arg;
    struct linger hard = { 1, 0 };

    sleep_ms(100); /* the sender waits by then, or fails at once: the result is the same */
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(*fd);
    return NULL;
}

/* A send that was cut short leaves the reason to the next call. */
static void test_reset_while_sending(void)
{
    static char data[32 << 20];
    int listener = listen_tcp(5), client = connect_tcp(), server = accept(listener, NULL, NULL);
    pthread_t thread;

    NEED(!pthread_create(&thread, NULL, abort_later, &server));
    long sent = send(client, data, sizeof data, 0);
    CHECK(sent > 0 && sent < (long)sizeof data);
    pthread_join(thread, NULL);
    CHECK_ERRNO(recv(client, data, 1, 0), ECONNRESET);
    CHECK(recv(client, data, 1, 0) == 0);
    CHECK_ERRNO(send(client, data, 1, 0), EPIPE);
    close(client), close(listener);
}

/* A stream that has ended stays whole when its connection is reset afterwards. */
static void test_reset_after_end(void)
{
    int listener = listen_tcp(5), client = connect_tcp(), server = accept(listener, NULL, NULL);
    struct pollfd fds = { .fd = server, .events = POLLIN };
    char text[8];
    int error = 0;
    socklen_t size = sizeof error;

    CHECK(send(client, "end", 3, 0) == 3);
    close(client);
    CHECK(recv(server, text, sizeof text, 0) == 3 && recv(server, text, sizeof text, 0) == 0);
    CHECK(send(server, "more", 4, 0) == 4); /* answered by a reset */
    fds.events = 0;
    CHECK(poll(&fds, 1, 10000) == 1 && fds.revents & POLLERR);
    CHECK(recv(server, text, sizeof text, 0) == 0);
    CHECK(!getsockopt(server, SOL_SOCKET, SO_ERROR, &error, &size) && error == EPIPE);
    close(server), close(listener);
}

static void test_shutdown_wakes(void)
{
    int listener = listen_tcp(5), client = connect_tcp();
    pthread_t thread;
    char c;

    pthread_create(&thread, NULL, stop_waiting, (void *)(long)client);
    CHECK(recv(client, &c, 1, 0) == 0);
    pthread_join(thread, NULL);
    int server = accept(listener, NULL, NULL);
    close(server);
    pthread_create(&thread, NULL, stop_waiting, (void *)(long)listener);
    CHECK_ERRNO(accept(listener, NULL, NULL), EINVAL);
    pthread_join(thread, NULL);
    close(client), close(listener);
}

static void test_ipv6(void)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    socklen_t size = sizeof six;

    NEED(listener >= 0);
    CHECK(!bind(listener, (void *)&six, sizeof six) && !listen(listener, 5));
    CHECK(!getsockname(listener, (void *)&six, &size) && size == sizeof six);
    six.sin6_addr = in6addr_loopback;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(!connect(fd, (void *)&six, sizeof six));
    int server = accept(listener, (void *)&six, &size);
    CHECK(server >= 0 && IN6_IS_ADDR_LOOPBACK(&six.sin6_addr));
    close(fd), close(server);
    /* An IPv4 client of a dual-stack listener has a mapped address. */
    size = sizeof six;
    getsockname(listener, (void *)&six, &size);
    address = (struct sockaddr_in){ AF_INET, six.sin6_port, { htonl(INADDR_LOOPBACK) }, { 0 } };
    fd = connect_tcp();
    size = sizeof six;
    server = accept(listener, (void *)&six, &size);
    CHECK(server >= 0 && IN6_IS_ADDR_V4MAPPED(&six.sin6_addr));
    close(fd), close(server), close(listener);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_connection();
    test_errors();
    test_nonblocking();
    test_reset();
    test_transfer();
    test_timeout();
    test_shutdown_wakes();
    test_limits();
    test_closed_window();
    test_reset_while_sending();
    test_reset_after_end();
    test_ipv6();
    return check_end();
}
