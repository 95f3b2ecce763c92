// SPDX-License-Identifier: MIT
/*
 * What calls answer on sockets that were shut down, reset, never connected, or whose peer has gone.
 * test: cpus=2 timeout=30
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static int signals;
static bool is_unix;

static void on_sigpipe(int signo)
{
    (void)signo;
    signals++;
}

static const char *result_name(long result)
{
    static char text[4][24];
    static unsigned next;
    char *buf = text[next++ % 4];

    if (result < 0)
        return strerrorname_np(errno);
    snprintf(buf, sizeof(text[0]), "%ld", result);
    return buf;
}

static void show(const char *title, long result)
{
    printf("  %s: %s%s\n", title, result_name(result), signals ? " SIGPIPE" : "");
    signals = 0;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_addr = { htonl(INADDR_LOOPBACK) },
                                 .sin_port = htons((uint16_t)port) };
}

static int port_of(int sock)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);

    NEED(getsockname(sock, (struct sockaddr *)&address, &len) == 0);
    return ntohs(address.sin_port);
}

static int do_connect(int sock, int port)
{
    struct sockaddr_in address = loopback(port);
    return connect(sock, (struct sockaddr *)&address, sizeof(address));
}

static int do_bind(int sock, int port)
{
    struct sockaddr_in address = loopback(port);
    return bind(sock, (struct sockaddr *)&address, sizeof(address));
}

static int listener_open(void)
{
    int sock = socket(AF_INET, SOCK_STREAM, 0);

    NEED(sock >= 0 && do_bind(sock, 0) == 0 && listen(sock, 5) == 0);
    return sock;
}

static void show_poll(int sock)
{
    struct pollfd poll_of = { .fd = sock, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };

    poll(&poll_of, 1, 0);
    printf("  poll: %#x\n", (unsigned)poll_of.revents);
}

static void show_error(int sock)
{
    int error = -1;
    socklen_t len = sizeof(error);

    getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &len);
    printf("  SO_ERROR: %s\n", error ? strerrorname_np(error) : "0");
}

/* Everything that one may try on a socket, in an order that shows the most. */
static void show_calls(int sock)
{
    char byte;
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);

    show_poll(sock);
    show("recv", recv(sock, &byte, 1, MSG_DONTWAIT));
    show("recv again", recv(sock, &byte, 1, MSG_DONTWAIT));
    show("peek", recv(sock, &byte, 1, MSG_DONTWAIT | MSG_PEEK));
    if (!is_unix) /* where it is an option of Linux that Stout does not have */
        show("recv urgent", recv(sock, &byte, 1, MSG_DONTWAIT | MSG_OOB));
    show("send", send(sock, "x", 1, MSG_DONTWAIT));
    show("send again", send(sock, "x", 1, MSG_DONTWAIT));
    show("quiet send", send(sock, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
    show("send nothing", send(sock, "", 0, MSG_DONTWAIT));
    show("getpeername", getpeername(sock, (struct sockaddr *)&address, &len));
    show_error(sock);
    show("shutdown reading", shutdown(sock, SHUT_RD));
    show("shutdown both", shutdown(sock, SHUT_RDWR));
    show("shutdown both again", shutdown(sock, SHUT_RDWR));
    show_poll(sock);
    show("recv at last", recv(sock, &byte, 1, MSG_DONTWAIT));
    show("send at last", send(sock, "x", 1, MSG_DONTWAIT));
}

/* ---- TCP ------------------------------------------------------------------------------------------- */

static void pair_open(int pair[2])
{
    int listener = listener_open();

    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    NEED(do_connect(pair[0], port_of(listener)) == 0);
    pair[1] = accept(listener, NULL, NULL);
    NEED(pair[1] >= 0);
    close(listener);
}

static void await(int sock, short events)
{
    struct pollfd poll_of = { .fd = sock, .events = events };

    CHECK(poll(&poll_of, 1, 5000) == 1);
}

static void reset(int pair[2])
{
    struct linger linger = { 1, 0 };

    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
    close(pair[1]);
    await(pair[0], POLLIN);
}

static void tcp_states(void)
{
    int sock;
    int listener = listener_open();
    int port = port_of(listener);

    printf("TCP, not connected\n");
    sock = socket(AF_INET, SOCK_STREAM, 0);
    show_calls(sock);
    show("connect", do_connect(sock, port));
    close(sock);

    printf("TCP, bound\n");
    sock = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(do_bind(sock, 0) == 0);
    show_calls(sock);
    show("listen", listen(sock, 1));
    close(sock);

    printf("TCP, listening\n");
    show_calls(listener);
    show("listen again", listen(listener, 3));
    close(listener);

    printf("TCP, refused\n");
    sock = socket(AF_INET, SOCK_STREAM, 0);
    show("connect", do_connect(sock, port));
    show_calls(sock);
    show("listen", listen(sock, 1));
    close(sock);

    printf("TCP, refused, not waiting\n");
    sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    show("connect", do_connect(sock, port));
    await(sock, POLLOUT);
    show_calls(sock);
    close(sock);
}

/* close() would wait for the peer, which reads nothing; the end of the process does not. */
static void tcp_exit(void)
{
    int64_t start = now_ns();
    int status;

    pid_t pid = fork();
    if (pid == 0) {
        struct linger linger = { 1, 20 };
        static char much[65536];
        int pair[2];

        pair_open(pair);
        while (send(pair[0], much, sizeof(much), MSG_DONTWAIT) > 0)
            ;
        NEED(!setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(now_ns() - start < 10000000000);
}

static void tcp_connected_states(void)
{
    int pair[2];

    printf("TCP, connected\n");
    pair_open(pair);
    show_calls(pair[0]);
    close(pair[0]);
    close(pair[1]);

    printf("TCP, peer closed\n");
    pair_open(pair);
    CHECK(write(pair[1], "ab", 2) == 2);
    close(pair[1]);
    await(pair[0], POLLRDHUP);
    show_calls(pair[0]);
    close(pair[0]);

    printf("TCP, reset\n");
    pair_open(pair);
    reset(pair);
    show_calls(pair[0]);
    show("listen", listen(pair[0], 1));
    show("bind", do_bind(pair[0], 0));
    show("listen after it", listen(pair[0], 1));
    close(pair[0]);

    printf("TCP, reset, then connected again\n");
    pair_open(pair);
    reset(pair);
    int listener = listener_open();
    show("connect", do_connect(pair[0], port_of(listener)));
    show("connect again", do_connect(pair[0], port_of(listener)));
    show_error(pair[0]);
    close(pair[0]);
    close(listener);

    printf("TCP, reset before data was read\n");
    pair_open(pair);
    CHECK(write(pair[1], "ab", 2) == 2);
    reset(pair);
    sleep_ms(50);
    show_calls(pair[0]);
    close(pair[0]);

    printf("TCP, shut for writing\n");
    pair_open(pair);
    show("shutdown", shutdown(pair[0], SHUT_WR));
    show_calls(pair[0]);
    close(pair[0]);
    close(pair[1]);

    printf("TCP, shut for reading\n");
    pair_open(pair);
    show("shutdown", shutdown(pair[0], SHUT_RD));
    CHECK(write(pair[1], "cd", 2) == 2);
    sleep_ms(50);
    show_calls(pair[0]);
    close(pair[0]);
    close(pair[1]);
}

/* ---- UDP -------------------------------------------------------------------------------------------- */

static void udp_states(void)
{
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    int other = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address;

    CHECK(do_bind(other, 0) == 0);
    address = loopback(port_of(other));
    printf("UDP, not connected\n");
    show_calls(sock);
    show("sendto", sendto(sock, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)));
    close(sock);

    printf("UDP, connected\n");
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(do_connect(sock, port_of(other)) == 0);
    show_calls(sock);
    show("sendto", sendto(sock, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)));
    close(sock);

    printf("UDP, connected, shut for writing\n");
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(do_connect(sock, port_of(other)) == 0);
    show("shutdown", shutdown(sock, SHUT_WR));
    show_calls(sock);
    close(sock);

    printf("UDP, connected, shut for reading\n");
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(do_connect(sock, port_of(other)) == 0);
    show("shutdown", shutdown(sock, SHUT_RD));
    show_calls(sock);
    close(sock);

    printf("UDP, nobody there\n");
    close(other);
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0);
    show("send", send(sock, "x", 1, 0));
    await(sock, POLLIN);
    show_calls(sock);
    close(sock);
}

/* ---- UNIX ------------------------------------------------------------------------------------------- */

static void unix_type_states(int type, const char *title)
{
    static const struct {
        const char *title;
        int how;
    } ways[] = { { "shut for writing", SHUT_WR },
                 { "shut for reading", SHUT_RD },
                 { "shut", SHUT_RDWR } };
    int pair[2];

    printf("%s, not connected\n", title);
    int sock = socket(AF_UNIX, type, 0);
    show_calls(sock);
    close(sock);
    for (size_t i = 0; i < 3; i++) {
        printf("%s, %s\n", title, ways[i].title);
        NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
        CHECK(write(pair[1], "abc", 3) == 3);
        show("shutdown", shutdown(pair[0], ways[i].how));
        show("the peer sends", send(pair[1], "x", 1, MSG_DONTWAIT));
        show_poll(pair[1]);
        show_calls(pair[0]);
        close(pair[0]);
        close(pair[1]);
    }
    printf("%s, peer closed\n", title);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    CHECK(write(pair[1], "abc", 3) == 3);
    close(pair[1]);
    show_calls(pair[0]);
    close(pair[0]);
    printf("%s, peer closed, sending first\n", title);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    close(pair[1]);
    show("send", send(pair[0], "x", 1, 0));
    show_calls(pair[0]);
    close(pair[0]);
    printf("%s, peer closed with unread data\n", title);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    CHECK(write(pair[0], "abc", 3) == 3);
    CHECK(write(pair[1], "abc", 3) == 3);
    close(pair[1]);
    show_calls(pair[0]);
    close(pair[0]);
}

static void unix_listening(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0socket_states" };
    socklen_t len = sizeof(sa_family_t) + 14;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);

    NEED(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 5) == 0);
    NEED(connect(client, (struct sockaddr *)&name, len) == 0);
    printf("UNIX, not accepted\n");
    show("send", send(client, "x", 1, 0));
    close(listener);
    show_calls(client);
    close(client);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    NEED(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 5) == 0);
    printf("UNIX, listening\n");
    show_calls(listener);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    show("connect", connect(client, (struct sockaddr *)&name, len));
    close(client);
    close(listener);
}

int main(void)
{
    signal(SIGPIPE, on_sigpipe);
    tcp_states();
    tcp_connected_states();
    tcp_exit();
    udp_states();
    is_unix = true;
    unix_type_states(SOCK_STREAM, "UNIX stream");
    unix_type_states(SOCK_DGRAM, "UNIX datagram");
    unix_type_states(SOCK_SEQPACKET, "UNIX seqpacket");
    unix_listening();
    return check_end();
}
