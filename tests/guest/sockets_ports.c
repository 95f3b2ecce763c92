// SPDX-License-Identifier: MIT
/*
 * Who may have a TCP port; listen queues; many short connections; corks; small windows; readiness.
 * test: flags=-pthread cpus=2 timeout=60
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
#include <sys/socket.h>

static int one = 1;

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ AF_INET, port, { htonl(INADDR_LOOPBACK) }, { 0 } };
}

static int tcp(int option)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    NEED(fd >= 0);
    if (option)
        NEED(!setsockopt(fd, SOL_SOCKET, option, &one, sizeof one));
    return fd;
}

static int listen_at(struct sockaddr_in *address, int option, int backlog)
{
    int fd = tcp(option);
    socklen_t size = sizeof *address;

    *address = loopback(0);
    NEED(!bind(fd, (void *)address, size) && !listen(fd, backlog));
    NEED(!getsockname(fd, (void *)address, &size));
    return fd;
}

static int connected(const struct sockaddr_in *address)
{
    int fd = tcp(0);

    NEED(!connect(fd, (void *)address, sizeof *address));
    return fd;
}

static void test_bind_rules(void)
{
    struct sockaddr_in address, any, second;
    int a = listen_at(&address, 0, 5), b = tcp(SO_REUSEADDR), c = tcp(SO_REUSEADDR);

    any = address, any.sin_addr.s_addr = 0;
    second = address, second.sin_addr.s_addr = htonl(0x7f000002);
    CHECK_ERRNO(bind(b, (void *)&address, sizeof address), EADDRINUSE);
    CHECK_ERRNO(bind(b, (void *)&any, sizeof any), EADDRINUSE); /* it listens, and without reuse */
    CHECK(!bind(b, (void *)&second, sizeof second));
    CHECK_ERRNO(bind(b, (void *)&second, sizeof second), EINVAL); /* bound already */
    CHECK(!bind(c, (void *)&second, sizeof second));              /* both reuse, none listens */
    CHECK(!listen(b, 1));
    CHECK_ERRNO(listen(c, 1), EADDRINUSE);
    close(a), close(b), close(c);
    /* A connection that the server closed first keeps the port from those without SO_REUSEADDR. */
    a = listen_at(&address, SO_REUSEADDR, 5);
    int client = connected(&address), server = accept(a, NULL, NULL);
    close(server);
    char byte;
    CHECK(read(client, &byte, 1) == 0);
    close(client), close(a);
    b = tcp(0);
    CHECK_ERRNO(bind(b, (void *)&address, sizeof address), EADDRINUSE);
    close(b);
    b = tcp(SO_REUSEADDR);
    CHECK(!bind(b, (void *)&address, sizeof address) && !listen(b, 5));
    close(b);
    b = tcp(0);
    struct sockaddr_in foreign = { AF_INET, 0, { inet_addr("192.0.2.1") }, { 0 } };
    CHECK_ERRNO(bind(b, (void *)&foreign, sizeof foreign), EADDRNOTAVAIL);
    close(b);
}

static void test_reuse_port(void)
{
    struct sockaddr_in address;
    int a = listen_at(&address, SO_REUSEPORT, 50), b = tcp(SO_REUSEPORT), counts[2] = { 0 };

    CHECK(!bind(b, (void *)&address, sizeof address) && !listen(b, 50));
    int c = tcp(0);
    CHECK_ERRNO(bind(c, (void *)&address, sizeof address), EADDRINUSE);
    close(c);
    for (int i = 0; i < 20; i++) {
        int client = connected(&address);
        struct pollfd look[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
        CHECK(poll(look, 2, 1000) == 1);
        int which = look[0].revents ? 0 : 1;
        close(accept(look[which].fd, NULL, NULL));
        counts[which]++;
        close(client);
    }
    CHECK(counts[0] + counts[1] == 20 && counts[0] && counts[1]);
    close(a);
    int client = connected(&address); /* the other goes on */
    close(accept(b, NULL, NULL));
    close(client), close(b);
}

/* A worker that hangs with a full queue does not keep a new one from its share. */
static void test_join_full(void)
{
    struct sockaddr_in address;
    int hung = listen_at(&address, SO_REUSEPORT, 0), fresh = tcp(SO_REUSEPORT), client[64];

    client[0] = connected(&address);
    client[1] = tcp(0); /* whether it fits as well differs with the system */
    NEED(!fcntl(client[1], F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(connect(client[1], (void *)&address, sizeof address), EINPROGRESS);
    sleep_ms(100);
    NEED(!bind(fresh, (void *)&address, sizeof address) && !listen(fresh, 64));
    struct pollfd poll_fresh = { .fd = fresh, .events = POLLIN };
    int n = 2;
    while (n < 64 &&
           poll(&poll_fresh, 1, 100) == 0) { /* Linux chooses by a hash of the addresses */
        client[n] = tcp(0);
        NEED(!fcntl(client[n], F_SETFL, O_NONBLOCK));
        (void)connect(client[n++], (void *)&address, sizeof address);
    }
    int server = accept4(fresh, NULL, NULL, SOCK_NONBLOCK);
    CHECK(server >= 0);
    while (n > 0)
        close(client[--n]);
    close(server), close(hung), close(fresh);
}

static void test_queue(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 128), client[50];

    for (int i = 0; i < 50; i++)
        client[i] = connected(&address); /* nobody has accepted yet */
    for (int i = 0; i < 50; i++) {
        char text[4] = { 0 };
        CHECK(write(client[i], "abc", 3) == 3);
        int server = accept(listener, NULL, NULL);
        CHECK(server >= 0 && read(server, text, 3) == 3 && !strcmp(text, "abc"));
        close(server), close(client[i]);
    }
    /* Connections in the queue are reset when the listener goes. */
    int waiting = connected(&address);
    close(listener);
    char c;
    CHECK_ERRNO(recv(waiting, &c, 1, 0), ECONNRESET);
    close(waiting);
}

static void *serve(void *arg)
{
    int listener = (int)(long)arg;
    char byte;

    for (int i = 0; i < 1000; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1)
            return (void *)1;
        close(fd);
    }
    return NULL;
}

static void test_many(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 128), wrong = 0;
    pthread_t thread;
    void *result;

    pthread_create(&thread, NULL, serve, (void *)(long)listener);
    for (int i = 0; i < 1000; i++) {
        int fd = connected(&address);
        char out = (char)i, in = 0;
        wrong += write(fd, &out, 1) != 1 || read(fd, &in, 1) != 1 || in != out;
        wrong += read(fd, &in, 1) != 0;
        close(fd);
    }
    pthread_join(thread, &result);
    CHECK(wrong == 0 && !result);
    close(listener);
}

static int available(int fd)
{
    int value = -1;

    sleep_ms(20);
    NEED(!ioctl(fd, FIONREAD, &value));
    return value;
}

static void test_cork(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 5), client = connected(&address), zero = 0;
    int server = accept(listener, NULL, NULL);
    char buffer[100];

    CHECK(!setsockopt(client, IPPROTO_TCP, TCP_CORK, &one, sizeof one));
    CHECK(write(client, "header", 6) == 6);
    CHECK(available(server) == 0);
    CHECK(write(client, "body", 4) == 4);
    CHECK(!setsockopt(client, IPPROTO_TCP, TCP_CORK, &zero, sizeof zero));
    CHECK(available(server) == 10 && read(server, buffer, 100) == 10);
    sleep_ms(300); /* it is acknowledged by now */
    CHECK(send(client, "1", 1, MSG_MORE) == 1 && available(server) == 0);
    CHECK(send(client, "2", 1, 0) == 1 && available(server) == 2);
    CHECK(read(server, buffer, 100) == 2 && !memcmp(buffer, "12", 2));
    CHECK(send(client, "3", 1, MSG_MORE) == 1);
    CHECK(recv(server, buffer, 1, 0) == 1 && buffer[0] == '3'); /* after a while */
    CHECK(send(client, "4", 1, MSG_MORE) == 1);
    close(client); /* closing sends too */
    CHECK(recv(server, buffer, 9, MSG_WAITALL) == 1 && buffer[0] == '4');
    close(server), close(listener);
}

#define AMOUNT 300000

static void *send_amount(void *arg)
{
    static char data[AMOUNT];

    for (int i = 0; i < AMOUNT; i++)
        data[i] = (char)(i * 3);
    CHECK(send((int)(long)arg, data, AMOUNT, 0) == AMOUNT);
    return NULL;
}

static void test_small_window(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 5), small = 4096, wrong = 0;
    pthread_t thread;
    char buffer[777];

    CHECK(!setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    int client = connected(&address), server = accept(listener, NULL, NULL);
    socklen_t size = sizeof small;
    CHECK(!getsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, &size) && small == 8192);
    pthread_create(&thread, NULL, send_amount, (void *)(long)client);
    for (int at = 0; at < AMOUNT;) {
        long n = read(server, buffer, sizeof buffer);
        NEED(n > 0);
        for (long i = 0; i < n; i++, at++)
            wrong += buffer[i] != (char)(at * 3);
    }
    CHECK(wrong == 0);
    pthread_join(thread, NULL);
    close(server); /* everything was read: no reset */
    CHECK(recv(client, buffer, 1, 0) == 0);
    close(client), close(listener);
}

static unsigned events_of(int fd)
{
    struct pollfd look = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };

    poll(&look, 1, 0);
    return (unsigned)look.revents;
}

static void test_readiness(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 5), fresh = tcp(0);
    char byte;

    CHECK(events_of(fresh) == (POLLOUT | POLLHUP));
    CHECK(events_of(listener) == 0);
    int client = connected(&address);
    CHECK(events_of(listener) == POLLIN);
    int server = accept(listener, NULL, NULL);
    CHECK(events_of(client) == POLLOUT && events_of(server) == POLLOUT);
    CHECK(write(client, "xy", 2) == 2);
    sleep_ms(5);
    CHECK(events_of(server) == (POLLIN | POLLOUT));
    shutdown(client, SHUT_WR);
    sleep_ms(5);
    CHECK(events_of(server) == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK(read(server, &byte, 1) == 1);
    close(server); /* with a byte unread: a reset */
    sleep_ms(5);
    CHECK((events_of(client) & (POLLERR | POLLHUP | POLLRDHUP)) == (POLLERR | POLLHUP | POLLRDHUP));
    CHECK_ERRNO(read(client, &byte, 1), ECONNRESET);
    CHECK(read(client, &byte, 1) == 0);
    CHECK_ERRNO(send(client, "z", 1, MSG_NOSIGNAL), EPIPE);
    close(client), close(listener), close(fresh);
}

static void test_edges(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 5), client = connected(&address),
        epoll = epoll_create1(0);
    int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP };
    static char block[100000];
    long sent = 0, received = 0, n;

    NEED(!epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event));
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && event.events == EPOLLOUT);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(write(client, "a", 1) == 1);
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && (event.events & EPOLLIN));
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(write(client, "b", 1) == 1); /* unread data is there still: a new edge */
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && (event.events & EPOLLIN));
    CHECK(read(server, block, 10) == 2);
    while ((n = write(server, block, sizeof block)) > 0)
        sent += n;
    CHECK(errno == EAGAIN);
    while (received < sent && (n = read(client, block, sizeof block)) > 0)
        received += n;
    CHECK(received == sent);
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && (event.events & EPOLLOUT));
    close(client);
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && (event.events & EPOLLRDHUP));
    close(server), close(listener), close(epoll);
}

static void test_info(void)
{
    struct sockaddr_in address;
    int listener = listen_at(&address, 0, 5), client = connected(&address), value;
    struct tcp_info info;
    socklen_t size = sizeof info;
    char name[16];

    CHECK(!getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size) && size > 100);
    CHECK(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss > 500);
    size = sizeof info;
    CHECK(!getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) &&
          info.tcpi_state == TCP_LISTEN);
    size = sizeof name;
    CHECK(!getsockopt(client, IPPROTO_TCP, TCP_CONGESTION, name, &size) && name[0]);
    value = 30, size = sizeof value;
    CHECK(!setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value));
    value = 0;
    CHECK(!getsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size) && value == 30);
    value = 0;
    CHECK_ERRNO(setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value), EINVAL);
    CHECK_ERRNO(setsockopt(client, IPPROTO_TCP, 9999, &value, sizeof value), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, 1), EINVAL);
    CHECK(!getsockopt(client, SOL_SOCKET, SO_PROTOCOL, &value, &size) && value == IPPROTO_TCP);
    CHECK(!getsockopt(client, SOL_SOCKET, SO_DOMAIN, &value, &size) && value == AF_INET);
    close(client), close(listener);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_bind_rules();
    test_reuse_port();
    test_queue();
    test_join_full();
    test_many();
    test_cork();
    test_small_window();
    test_readiness();
    test_edges();
    test_info();
    return check_end();
}
