// SPDX-License-Identifier: MIT
/*
 * epoll: nesting and loops, closed files, exclusive and one-shot items, edges, many waiters.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int add(int ep, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };

    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
}

static int change(int ep, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };

    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
}

static int ready(int ep)
{
    struct epoll_event events[8];

    return epoll_wait(ep, events, 8, 0);
}

static void signal_event(int fd)
{
    uint64_t one = 1;

    CHECK(write(fd, &one, 8) == 8);
}

static void drain(int fd)
{
    uint64_t value;

    CHECK(read(fd, &value, 8) == 8);
}

static void test_nested(void)
{
    int outer = epoll_create1(0), inner = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK);
    struct pollfd poll_outer = { .fd = outer, .events = POLLIN };

    CHECK(!add(outer, inner, EPOLLIN) && !add(inner, event, EPOLLIN));
    CHECK(ready(outer) == 0 && poll(&poll_outer, 1, 0) == 0);
    signal_event(event);
    CHECK(ready(outer) == 1 && ready(inner) == 1 && poll(&poll_outer, 1, 0) == 1);
    drain(event);
    CHECK(ready(outer) == 0 && ready(inner) == 0);
    CHECK(!change(outer, inner, EPOLLIN | EPOLLET));
    signal_event(event);
    CHECK(ready(outer) == 1 && ready(outer) == 0);
    signal_event(event);
    CHECK(ready(outer) == 1);
    close(inner);
    CHECK(ready(outer) == 0);
    close(outer);
    close(event);
}

static void test_loops(void)
{
    int ep[8];

    for (int i = 0; i < 8; i++)
        NEED((ep[i] = epoll_create1(0)) >= 0);
    CHECK_ERRNO(add(ep[0], ep[0], EPOLLIN), EINVAL);
    CHECK(!add(ep[0], ep[1], EPOLLIN));
    CHECK_ERRNO(add(ep[1], ep[0], EPOLLIN), ELOOP);
    CHECK(!add(ep[1], ep[2], EPOLLIN) && !add(ep[2], ep[3], EPOLLIN) &&
          !add(ep[3], ep[4], EPOLLIN));
    CHECK_ERRNO(add(ep[4], ep[0], EPOLLIN), ELOOP);
    int result = add(ep[4], ep[5], EPOLLIN);
    printf("six deep: %d %s\n", result, result ? strerror(errno) : "");
    for (int i = 0; i < 8; i++)
        close(ep[i]);
}

/* How many epolls may watch the last of a chain. */
static int count_tops(int *chain, int length, int limit)
{
    int tops[512], n = 0;

    while (n < limit && (tops[n] = epoll_create1(0)) >= 0 &&
           !add(tops[n], chain[length - 1], EPOLLIN))
        n++;
    if (n < limit) {
        CHECK_ERRNO(add(tops[n], chain[length - 1], EPOLLIN), EINVAL);
        close(tops[n]);
    }
    for (int i = 0; i < n; i++)
        close(tops[i]);
    return n;
}

/* One write wakes along all ways that lead up: there may be so many of each length. */
static void test_many_ways(void)
{
    int event = eventfd(0, EFD_NONBLOCK), chain[4], tops[11];

    printf("directly: %d\n", count_tops(&event, 1, 510));
    for (int length = 1; length <= 4; length++) {
        int below = event;
        for (int i = 0; i < length; i++, below = chain[i - 1])
            CHECK((chain[i] = epoll_create1(0)) >= 0 && !add(chain[i], below, EPOLLIN));
        printf("by %d: %d\n", length, count_tops(chain, length, 510));
        CHECK(!add(tops[0] = epoll_create1(0), chain[length - 1], EPOLLIN));
        CHECK_ERRNO(add(tops[0], chain[length - 1], EPOLLIN), EEXIST);
        signal_event(event);
        CHECK(ready(tops[0]) == 1);
        drain(event);
        close(tops[0]);
        if (length == 4)
            break;
        for (int i = 0; i < length; i++)
            close(chain[i]);
    }
    /* What has no file below may have any number; then the file is one too many. */
    CHECK(!epoll_ctl(chain[0], EPOLL_CTL_DEL, event, NULL));
    for (int i = 0; i < 11; i++)
        CHECK((tops[i] = epoll_create1(0)) >= 0 && !add(tops[i], chain[3], EPOLLIN));
    CHECK_ERRNO(add(chain[0], event, EPOLLIN), EINVAL);
    CHECK(!epoll_ctl(tops[3], EPOLL_CTL_DEL, chain[3], NULL));
    CHECK(!add(chain[0], event, EPOLLIN));
    CHECK_ERRNO(add(tops[3], chain[3], EPOLLIN), EINVAL);
    signal_event(event);
    CHECK(ready(tops[10]) == 1);
    for (int i = 0; i < 11; i++)
        close(tops[i]);
    for (int i = 0; i < 4; i++)
        close(chain[i]);
    close(event);
}

static void test_closed(void)
{
    int ep = epoll_create1(0), ends[2], copy;

    NEED(!pipe(ends));
    CHECK(!add(ep, ends[0], EPOLLIN));
    CHECK(write(ends[1], "x", 1) == 1 && ready(ep) == 1);
    copy = dup(ends[0]);
    close(ends[0]);
    CHECK(ready(ep) == 1); /* the file lives on by its copy */
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], NULL), EBADF);
    CHECK(!add(ep, copy, EPOLLIN) && ready(ep) == 2);
    close(copy);
    CHECK(ready(ep) == 0);
    close(ends[1]);
    close(ep);
}

static void test_modes(void)
{
    int ep = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK);
    struct epoll_event got;

    CHECK(!add(ep, event, EPOLLIN | EPOLLONESHOT));
    signal_event(event);
    CHECK(ready(ep) == 1 && ready(ep) == 0);
    signal_event(event);
    CHECK(ready(ep) == 0);
    CHECK(!change(ep, event, EPOLLIN | EPOLLONESHOT) && ready(ep) == 1);
    CHECK(!change(ep, event, EPOLLOUT | EPOLLET) && ready(ep) == 1 && ready(ep) == 0);
    CHECK_ERRNO(add(ep, event, EPOLLIN), EEXIST);
    CHECK_ERRNO(change(ep, event, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    CHECK(!epoll_ctl(ep, EPOLL_CTL_DEL, event, NULL));
    CHECK_ERRNO(change(ep, event, EPOLLIN), ENOENT);
    CHECK_ERRNO(add(ep, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    CHECK(!add(ep, event, EPOLLIN | EPOLLEXCLUSIVE) && ready(ep) == 1);
    CHECK_ERRNO(change(ep, event, EPOLLIN), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, 77, event, &got), EINVAL);
    CHECK_ERRNO(epoll_wait(ep, &got, 0, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(event, &got, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_create1(1), EINVAL);
    CHECK_ERRNO(epoll_create(0), EINVAL);
    int file = open("/etc/hostname", O_RDONLY | O_CREAT, 0600), null = open("/dev/null", O_RDONLY);
    CHECK_ERRNO(add(ep, file, EPOLLIN), EPERM);
    CHECK_ERRNO(add(ep, null, EPOLLIN), EPERM);
    close(file);
    close(null);
    close(event);
    close(ep);
}

static void test_fairness(void)
{
    int ep = epoll_create1(0), events[4];
    struct epoll_event got;
    unsigned seen = 0;

    for (int i = 0; i < 4; i++) {
        events[i] = eventfd(1, EFD_NONBLOCK);
        CHECK(!add(ep, events[i], EPOLLIN));
    }
    for (int i = 0; i < 4; i++) {
        CHECK(epoll_wait(ep, &got, 1, 0) == 1);
        for (int j = 0; j < 4; j++)
            seen |= got.data.fd == events[j] ? 1u << j : 0;
    }
    CHECK(seen == 15);
    for (int i = 0; i < 4; i++)
        close(events[i]);
    close(ep);
}

static void test_edges_of_sockets(void)
{
    int ep = epoll_create1(0), ends[2];
    struct epoll_event got;
    char buffer[8];

    NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
    CHECK(!add(ep, ends[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
    CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == EPOLLOUT);
    CHECK(ready(ep) == 0);
    CHECK(write(ends[1], "ab", 2) == 2);
    CHECK(epoll_wait(ep, &got, 1, 1000) == 1 && got.events & EPOLLIN);
    CHECK(read(ends[0], buffer, 1) == 1 && ready(ep) == 0);
    CHECK(write(ends[1], "c", 1) == 1);
    CHECK(epoll_wait(ep, &got, 1, 1000) == 1 && got.events & EPOLLIN);
    close(ends[1]);
    CHECK(epoll_wait(ep, &got, 1, 1000) == 1 && got.events & EPOLLHUP && got.events & EPOLLRDHUP);
    close(ends[0]);
    close(ep);
}

/* ---- Threads --------------------------------------------------------------------------- */

#define TOKENS 20000

static int shared_ep, token_pipe[2];
static unsigned long taken;

static void *take_tokens(void *arg)
{
    struct epoll_event got;
    char c;

    (void)arg;
    while (epoll_wait(shared_ep, &got, 1, -1) == 1) {
        if (read(token_pipe[0], &c, 1) != 1)
            continue;
        if (c == 'q')
            break;
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_waiters(uint32_t mode)
{
    pthread_t threads[4];

    shared_ep = epoll_create1(0);
    taken = 0;
    NEED(!pipe2(token_pipe, O_NONBLOCK));
    CHECK(!add(shared_ep, token_pipe[0], EPOLLIN | mode));
    for (int i = 0; i < 4; i++)
        NEED(!pthread_create(&threads[i], NULL, take_tokens, NULL));
    for (int i = 0; i < TOKENS; i++) {
        while (write(token_pipe[1], "t", 1) != 1)
            sched_yield();
    }
    while (write(token_pipe[1], "qqqq", 4) != 4)
        sched_yield();
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(taken == TOKENS);
    close(token_pipe[0]);
    close(token_pipe[1]);
    close(shared_ep);
}

static void *close_later(void *arg)
{
    sleep_ms(50);
    close(*(int *)arg);
    return NULL;
}

static void test_hang_up_while_waiting(void)
{
    struct epoll_event got;
    pthread_t thread;
    int ep = epoll_create1(0), ends[2];

    NEED(!pipe(ends));
    CHECK(!add(ep, ends[0], EPOLLIN));
    NEED(!pthread_create(&thread, NULL, close_later, &ends[1]));
    CHECK(epoll_wait(ep, &got, 1, 5000) == 1 && got.events == EPOLLHUP);
    pthread_join(thread, NULL);
    close(ends[0]);
    CHECK(epoll_wait(ep, &got, 1, 10) == 0);
    close(ep);
}

int main(void)
{
    test_nested();
    test_loops();
    test_many_ways();
    test_closed();
    test_modes();
    test_fairness();
    test_edges_of_sockets();
    test_waiters(0);
    test_waiters(EPOLLEXCLUSIVE);
    test_hang_up_while_waiting();
    return check_end();
}
