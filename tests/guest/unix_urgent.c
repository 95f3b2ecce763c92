// SPDX-License-Identifier: MIT
/*
 * Urgent data of UNIX streams (MSG_OOB): the mark, in and out of line, readiness, SIGURG, what remains at the end.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static volatile sig_atomic_t nsignals;
static int pair[2];

static void on_urgent(int number)
{
    (void)number;
    nsignals++;
}

static void open_pair(int type)
{
    NEED(!socketpair(AF_UNIX, type, 0, pair));
}

static void close_pair(void)
{
    close(pair[0]);
    close(pair[1]);
}

static void write_text(const char *text, int flags)
{
    CHECK(send(pair[0], text, strlen(text), flags) == (ssize_t)strlen(text));
}

static void show_read(size_t size, int flags)
{
    char text[100];
    struct iovec part = { text, size };
    struct msghdr call = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t n = recvmsg(pair[1], &call, flags | MSG_DONTWAIT);

    if (n < 0)
        printf(" (%s)", strerrorname_np(errno));
    else
        printf(" '%.*s'%s", (int)n, text, call.msg_flags & MSG_OOB ? "!" : "");
}

static void show_state(bool is_count_known)
{
    struct pollfd waiting = { pair[1], POLLIN | POLLPRI | POLLRDHUP, 0 };
    int at_mark = -1, unread = -1;

    CHECK(ioctl(pair[1], SIOCATMARK, &at_mark) == 0 && ioctl(pair[1], FIONREAD, &unread) == 0);
    CHECK(poll(&waiting, 1, 0) >= 0);
    printf(" [mark %d", at_mark);
    if (is_count_known)
        printf(" unread %d", unread);
    printf(" events %x]", waiting.revents);
}

static void set_inline(int on)
{
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0);
}

static void test_out_of_line(void)
{
    open_pair(SOCK_STREAM);
    printf("plain:");
    write_text("abc", MSG_OOB);
    show_state(true);
    show_read(100, MSG_PEEK);
    show_read(100, MSG_OOB | MSG_PEEK);
    show_state(true);
    show_read(100, 0);
    show_state(true);
    show_read(100, MSG_OOB);
    show_state(true);
    show_read(100, 0);
    show_state(true);
    printf("\nread before the rest:");
    write_text("abC", MSG_OOB);
    write_text("def", 0);
    show_read(1, MSG_OOB);
    show_state(true);
    show_read(1, MSG_OOB);
    show_read(100, MSG_PEEK);
    show_read(100, 0);
    show_state(true);
    show_read(100, MSG_PEEK);
    show_read(100, 0);
    show_state(true);
    printf("\nmark and a new one:");
    write_text("A", MSG_OOB);
    show_read(1, MSG_OOB);
    write_text("B", MSG_OOB);
    show_state(true);
    show_read(1, MSG_OOB);
    show_state(true);
    show_read(100, 0);
    write_text("xyz", 0);
    show_state(true);
    show_read(100, 0);
    putchar('\n');
    close_pair();
}

static void test_not_asked_for(void)
{
    open_pair(SOCK_STREAM);
    printf("dropped:");
    write_text("A", MSG_OOB);
    write_text("rest", 0);
    show_state(true);
    show_read(2, 0);
    show_state(false);
    show_read(1, MSG_OOB);
    show_read(100, 0);
    printf("\npeeked:");
    write_text("abC", MSG_OOB);
    write_text("def", 0);
    show_read(100, MSG_PEEK);
    show_read(2, 0);
    show_read(100, MSG_PEEK);
    show_state(false);
    show_read(100, 0);
    show_state(false);
    printf("\nalone:");
    write_text("A", MSG_OOB);
    show_read(100, MSG_PEEK);
    show_read(100, 0);
    show_state(false);
    printf("\ntwo:");
    write_text("xyA", MSG_OOB);
    write_text("zB", MSG_OOB);
    show_state(false);
    show_read(100, 0);
    show_state(false);
    show_read(100, 0);
    show_state(false);
    putchar('\n');
    close_pair();
}

static void test_inline(void)
{
    open_pair(SOCK_STREAM);
    set_inline(1);
    printf("in line:");
    write_text("abC", MSG_OOB);
    write_text("def", 0);
    show_state(true);
    show_read(100, MSG_OOB);
    show_read(100, MSG_PEEK);
    show_read(100, 0);
    show_state(true);
    show_read(100, MSG_PEEK);
    show_read(100, 0);
    show_state(false);
    show_read(100, 0);
    putchar('\n');
    close_pair();
}

static void test_wait_all(void)
{
    char text[8];

    open_pair(SOCK_STREAM);
    write_text("abC", MSG_OOB);
    write_text("def", 0);
    CHECK(recv(pair[1], text, 5, MSG_WAITALL) == 2); /* not across the mark */
    CHECK(recv(pair[1], text, 3, MSG_WAITALL) == 3 && !memcmp(text, "def", 3));
    close_pair();
}

static void test_ends(void)
{
    char byte;

    printf("reader left, mark:");
    open_pair(SOCK_STREAM);
    write_text("A", MSG_OOB);
    show_read(1, MSG_OOB);
    close(pair[1]);
    printf(" %zd", recv(pair[0], &byte, 1, 0));
    close(pair[0]);
    printf("\nreader left, urgent byte:");
    open_pair(SOCK_STREAM);
    write_text("A", MSG_OOB);
    close(pair[1]);
    CHECK_ERRNO(recv(pair[0], &byte, 1, 0), ECONNRESET);
    close(pair[0]);
    printf("\nwriter left:");
    open_pair(SOCK_STREAM);
    write_text("xA", MSG_OOB);
    close(pair[0]);
    show_state(true);
    show_read(100, 0);
    show_read(1, MSG_OOB);
    show_read(100, 0);
    putchar('\n');
    close(pair[1]);
}

static void test_signal(void)
{
    struct sigaction action = { .sa_handler = on_urgent };

    open_pair(SOCK_STREAM);
    NEED(!sigaction(SIGURG, &action, NULL));
    write_text("A", MSG_OOB);
    CHECK(nsignals == 0); /* nobody owns it */
    NEED(!fcntl(pair[1], F_SETOWN, getpid()));
    write_text("ab", 0);
    CHECK(nsignals == 0);
    write_text("B", MSG_OOB);
    CHECK(nsignals == 1);
    close_pair();
}

static void test_epoll(void)
{
    int set = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLPRI | EPOLLET };

    open_pair(SOCK_STREAM);
    NEED(set >= 0 && !epoll_ctl(set, EPOLL_CTL_ADD, pair[1], &event));
    write_text("a", 0);
    CHECK(epoll_wait(set, &event, 1, 0) == 0);
    write_text("B", MSG_OOB);
    CHECK(epoll_wait(set, &event, 1, 0) == 1 && event.events == EPOLLPRI);
    CHECK(epoll_wait(set, &event, 1, 0) == 0);
    close(set);
    close_pair();
}

static void test_descriptors(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    char text[] = "xQ";
    struct iovec part = { text, 2 };
    struct msghdr call = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };

    open_pair(SOCK_STREAM);
    memcpy(CMSG_DATA(&control.header), &pair[0], sizeof(int));
    call.msg_controllen = sizeof(control);
    CHECK(sendmsg(pair[0], &call, MSG_OOB) == 2);
    call.msg_controllen = sizeof(control);
    CHECK(recvmsg(pair[1], &call, 0) == 1 && call.msg_controllen == sizeof(control));
    call.msg_controllen = sizeof(control);
    CHECK(recvmsg(pair[1], &call, MSG_OOB) == 1 && call.msg_controllen == 0);
    /* With the urgent byte alone they are lost. */
    part.iov_len = 1;
    call.msg_controllen = sizeof(control);
    CHECK(sendmsg(pair[0], &call, MSG_OOB) == 1);
    CHECK(recvmsg(pair[1], &call, MSG_OOB) == 1 && call.msg_controllen == 0);
    close_pair();
}

#define CALLS 2000

static void *send_urgent(void *arg)
{
    for (int i = 0; i < CALLS; i++)
        NEED(send(pair[0], "data!", 5, MSG_OOB) == 5);
    close(pair[0]);
    return arg;
}

/* Each byte arrives once: in the stream or as the urgent one, unless it was passed over. */
static void test_many(void)
{
    size_t nplain = 0, nurgent = 0;
    pthread_t thread;
    char text[64];
    ssize_t n;

    open_pair(SOCK_STREAM);
    NEED(!pthread_create(&thread, NULL, send_urgent, NULL));
    do {
        nurgent += recv(pair[1], text, 1, MSG_OOB | MSG_DONTWAIT) == 1;
        n = recv(pair[1], text, sizeof(text), 0);
        nplain += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    CHECK(n == 0 && nplain >= CALLS * 4 && nplain + nurgent <= CALLS * 5);
    pthread_join(thread, NULL);
    close(pair[1]);
}

static void test_errors(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), value;
    char byte = 'A';

    CHECK_ERRNO(send(fd, &byte, 1, MSG_OOB), ENOTCONN);
    CHECK_ERRNO(recv(fd, &byte, 1, MSG_OOB), EINVAL);
    CHECK(ioctl(fd, SIOCATMARK, &value) == 0 && value == 0);
    CHECK_ERRNO(ioctl(fd, SIOCATMARK, NULL), EFAULT);
    close(fd);
    open_pair(SOCK_STREAM);
    CHECK_ERRNO(send(pair[0], "", 0, MSG_OOB), EOPNOTSUPP);
    CHECK_ERRNO(recv(pair[1], &byte, 1, MSG_OOB), EINVAL);
    CHECK(shutdown(pair[1], SHUT_RD) == 0);
    CHECK_ERRNO(send(pair[0], "A", 1, MSG_OOB | MSG_NOSIGNAL), EPIPE);
    close_pair();
    for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
        open_pair(type);
        CHECK_ERRNO(send(pair[0], "A", 1, MSG_OOB), EOPNOTSUPP);
        CHECK_ERRNO(recv(pair[1], &byte, 1, MSG_OOB), EOPNOTSUPP);
        CHECK_ERRNO(ioctl(pair[1], SIOCATMARK, &value), EOPNOTSUPP);
        close_pair();
    }
}

int main(void)
{
    test_out_of_line();
    test_not_asked_for();
    test_inline();
    test_wait_all();
    test_ends();
    test_signal();
    test_epoll();
    test_descriptors();
    test_many();
    test_errors();
    return check_end();
}
