// SPDX-License-Identifier: MIT
/*
 * UNIX sockets: pairs, names, abstract names, datagrams, SCM_RIGHTS, credentials.  And UDP.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void send_fd(int socket, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = "", byte = 'f';
    struct iovec data = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    CHECK(sendmsg(socket, &message, 0) == 1);
}

static int receive_fd(int socket, int flags)
{
    char control[CMSG_SPACE(4 * sizeof(int))], byte;
    struct iovec data = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    int fd = -1;

    CHECK(recvmsg(socket, &message, flags) == 1 && byte == 'f');
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    NEED(header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)));
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static void test_rights(void)
{
    int pair[2], ends[2];
    char buffer[10];

    NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) && !pipe(ends));
    send_fd(pair[0], ends[1]);
    close(ends[1]);
    int fd = receive_fd(pair[1], MSG_CMSG_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(write(fd, "rights", 6) == 6 && read(ends[0], buffer, 10) == 6);
    close(fd);
    CHECK(read(ends[0], buffer, 1) == 0); /* that was the last writer */
    /* In flight when both ends close: freed. */
    NEED(!pipe(ends));
    send_fd(pair[0], ends[1]);
    close(ends[1]), close(pair[0]), close(pair[1]);
    CHECK(read(ends[0], buffer, 1) == 0);
    close(ends[0]);
}

static void test_stream(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "socket" }, peer;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct stat info;
    socklen_t size = sizeof peer;
    char buffer[20];

    CHECK_ERRNO(connect(client, (void *)&name, sizeof name), ENOENT);
    CHECK(!bind(listener, (void *)&name, sizeof name));
    CHECK_ERRNO(connect(client, (void *)&name, sizeof name), ECONNREFUSED);
    CHECK(!listen(listener, 2) && !stat("socket", &info) && S_ISSOCK(info.st_mode));
    CHECK(!connect(client, (void *)&name, sizeof name));
    int server = accept(listener, (void *)&peer, &size);
    CHECK(server >= 0 && size == offsetof(struct sockaddr_un, sun_path));
    CHECK(write(client, "abc", 3) == 3 && read(server, buffer, 20) == 3);
    struct ucred who;
    size = sizeof who;
    CHECK(!getsockopt(server, SOL_SOCKET, SO_PEERCRED, &who, &size) && who.pid == getpid() &&
          who.uid == getuid());
    size = sizeof peer;
    CHECK(!getpeername(client, (void *)&peer, &size) && !strcmp(peer.sun_path, "socket"));
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(other, (void *)&name, sizeof name), EADDRINUSE);
    close(server);
    CHECK(read(client, buffer, 1) == 0);
    CHECK_ERRNO(send(client, "x", 1, MSG_NOSIGNAL), EPIPE);
    close(client), close(listener), close(other), unlink("socket");
}

/* A name in a file system is made as any other, and keeps it mounted. */
static void test_mounted(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "m/socket" };
    char events[1000];
    int bound = socket(AF_UNIX, SOCK_STREAM, 0), watch = inotify_init1(IN_NONBLOCK);

    NEED(!mkdir("m", 0700) && !mount("none", "m", "tmpfs", 0, NULL));
    CHECK(!mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    CHECK_ERRNO(bind(bound, (void *)&name, sizeof name), EROFS);
    CHECK(!mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND, NULL));
    CHECK(inotify_add_watch(watch, "m", IN_CREATE) > 0);
    CHECK(!bind(bound, (void *)&name, sizeof name));
    CHECK(read(watch, events, sizeof events) > 0 &&
          !strcmp(((struct inotify_event *)(void *)events)->name, "socket"));
    CHECK_ERRNO(umount("m"), EBUSY);
    CHECK(!unlink("m/socket"));
    CHECK_ERRNO(umount("m"), EBUSY);
    close(bound);
    CHECK(!umount("m"));
    NEED(!mount("none", "m", "tmpfs", 0, NULL));
    bound = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(!bind(bound, (void *)&name, sizeof name) && !umount2("m", MNT_DETACH));
    close(bound), close(watch);
    CHECK(!rmdir("m"));
}

static void test_abstract(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0stout-test" };
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 11;
    int one = socket(AF_UNIX, SOCK_DGRAM, 0), two = socket(AF_UNIX, SOCK_DGRAM, 0);
    char buffer[20];

    CHECK(!bind(one, (void *)&name, size) && !connect(two, (void *)&name, size));
    CHECK(send(two, "one", 3, 0) == 3 && send(two, "second", 6, 0) == 6);
    CHECK(recv(one, buffer, 2, 0) == 2); /* the rest of a datagram is dropped */
    CHECK(recv(one, buffer, 20, MSG_TRUNC) == 6);
    close(one);
    CHECK_ERRNO(send(two, "x", 1, 0), ECONNREFUSED);
    close(two);
    int pair[2];
    NEED(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    CHECK(send(pair[0], "ab", 2, 0) == 2 && send(pair[0], "c", 1, 0) == 1 &&
          recv(pair[1], buffer, 20, 0) == 2);
    close(pair[0]);
    CHECK(recv(pair[1], buffer, 20, 0) == 1 && recv(pair[1], buffer, 20, 0) == 0);
    close(pair[1]);
}

static void test_udp(void)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
                       peer;
    int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof name;
    static char big[60000], buffer[70000];

    CHECK(!bind(one, (void *)&name, sizeof name) && !getsockname(one, (void *)&name, &size));
    CHECK(sendto(two, "ping", 4, 0, (void *)&name, sizeof name) == 4);
    size = sizeof peer;
    CHECK(recvfrom(one, buffer, 100, 0, (void *)&peer, &size) == 4);
    CHECK(sendto(one, "pong!", 5, 0, (void *)&peer, size) == 5);
    struct pollfd look = { .fd = two, .events = POLLIN };
    CHECK(poll(&look, 1, 1000) == 1 && recv(two, buffer, 100, 0) == 5);
    CHECK_ERRNO(recv(two, buffer, 100, 0), EAGAIN);
    CHECK(sendto(two, "", 0, 0, (void *)&name, sizeof name) == 0 && recv(one, buffer, 100, 0) == 0);
    memset(big, 'u', sizeof big);
    CHECK(sendto(two, big, sizeof big, 0, (void *)&name, sizeof name) == sizeof big);
    CHECK(recv(one, buffer, sizeof buffer, 0) == sizeof big && !memcmp(buffer, big, sizeof big));
    CHECK_ERRNO(sendto(two, buffer, 66000, 0, (void *)&name, sizeof name), EMSGSIZE);
    CHECK_ERRNO(send(two, "x", 1, 0), EDESTADDRREQ);
    CHECK(!connect(two, (void *)&name, sizeof name) && send(two, "x", 1, 0) == 1 &&
          recv(one, buffer, 9, 0) == 1);
    close(one);
    send(two, "x", 1, 0);
    sleep_ms(20);
    CHECK_ERRNO(recv(two, buffer, 1, 0), ECONNREFUSED); /* by ICMP */
    close(two);
}

static void test_mmsg(void)
{
    int pair[2];
    struct iovec parts[2] = { { "a", 1 }, { "bb", 2 } };
    struct mmsghdr out[2] = { { .msg_hdr = { .msg_iov = &parts[0], .msg_iovlen = 1 } },
                              { .msg_hdr = { .msg_iov = &parts[1], .msg_iovlen = 1 } } };
    char data[2][10];
    struct iovec into[2] = { { data[0], 10 }, { data[1], 10 } };
    struct mmsghdr in[2] = { { .msg_hdr = { .msg_iov = &into[0], .msg_iovlen = 1 } },
                             { .msg_hdr = { .msg_iov = &into[1], .msg_iovlen = 1 } } };

    NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK(sendmmsg(pair[0], out, 2, 0) == 2 && out[1].msg_len == 2);
    CHECK(recvmmsg(pair[1], in, 2, 0, NULL) == 2 && in[0].msg_len == 1 && in[1].msg_len == 2);
    close(pair[0]), close(pair[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_rights();
    test_stream();
    test_mounted();
    test_abstract();
    test_udp();
    test_mmsg();
    return check_end();
}
