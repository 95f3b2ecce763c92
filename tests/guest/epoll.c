// SPDX-License-Identifier: MIT
/*
 * epoll, poll and select: level, edge, oneshot, exclusive, nesting, time-outs, masks.
 * test: flags=-pthread,-Wno-stringop-overflow cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

static int wait_now(int ep, struct epoll_event *events)
{
    return epoll_wait(ep, events, 8, 0);
}

static void add(int ep, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };

    NEED(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
}

static void test_level_and_edge(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC), ends[2];
    struct epoll_event events[8], event;
    char buffer[10];

    NEED(ep >= 0 && !pipe2(ends, O_NONBLOCK));
    add(ep, ends[0], EPOLLIN);
    CHECK(wait_now(ep, events) == 0);
    CHECK(write(ends[1], "ab", 2) == 2);
    CHECK(wait_now(ep, events) == 1 && events[0].events == EPOLLIN && events[0].data.fd == ends[0]);
    CHECK(wait_now(ep, events) == 1); /* level: again */
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = 0x1234567890;
    CHECK(!epoll_ctl(ep, EPOLL_CTL_MOD, ends[0], &event));
    CHECK(wait_now(ep, events) == 1 && events[0].data.u64 == 0x1234567890); /* MOD looks anew */
    CHECK(wait_now(ep, events) == 0);                                       /* edge: once */
    CHECK(read(ends[0], buffer, 1) == 1 && wait_now(ep, events) == 0);
    CHECK(write(ends[1], "c", 1) == 1 && wait_now(ep, events) == 1); /* a new edge, not yet empty */
    event.events = EPOLLIN | EPOLLONESHOT;
    CHECK(!epoll_ctl(ep, EPOLL_CTL_MOD, ends[0], &event));
    CHECK(wait_now(ep, events) == 1 && wait_now(ep, events) == 0);
    CHECK(write(ends[1], "d", 1) == 1 && wait_now(ep, events) == 0);
    CHECK(!epoll_ctl(ep, EPOLL_CTL_MOD, ends[0], &event) && wait_now(ep, events) == 1);
    CHECK(!epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], NULL));
    add(ep, ends[0], 0);
    close(ends[1]);
    CHECK(wait_now(ep, events) == 1 && events[0].events == EPOLLHUP); /* unasked */
    close(ends[0]);
    CHECK(wait_now(ep, events) == 0); /* closing removes */
    close(ep);
}

static void test_errors(void)
{
    int ep = epoll_create(1), fd = eventfd(0, 0), file = open("file", O_CREAT | O_RDWR, 0600);
    struct epoll_event event = { .events = EPOLLIN };

    CHECK_ERRNO(epoll_create(0), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &event), EBADF);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &event), EPERM);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event), ENOENT);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), ENOENT);
    CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), EEXIST);
    CHECK_ERRNO(epoll_ctl(fd, EPOLL_CTL_ADD, ep, &event), EINVAL);
    CHECK_ERRNO(epoll_wait(ep, &event, 0, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(file, &event, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, 77, fd, &event), EINVAL);
    int inner = epoll_create1(0), outer = epoll_create1(0);
    add(outer, inner, EPOLLIN);
    CHECK_ERRNO(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &event), ELOOP);
    add(inner, fd, EPOLLIN);
    CHECK(wait_now(outer, &event) == 0);
    CHECK(eventfd_write(fd, 1) == 0);
    struct epoll_event got[8];
    CHECK(wait_now(outer, got) == 1 && got[0].data.fd == inner);
    close(ep), close(fd), close(file), close(inner), close(outer);
}

static int shared_ep, wakeups;

static void *wait_once(void *arg)
{
    struct epoll_event event;

    if (epoll_wait(shared_ep, &event, 1, 300) == 1)
        __atomic_add_fetch(&wakeups, 1, __ATOMIC_SEQ_CST);
    return arg;
}

static void test_threads(void)
{
    pthread_t threads[4];
    int fd = eventfd(0, EFD_NONBLOCK);

    shared_ep = epoll_create1(0);
    add(shared_ep, fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, wait_once, NULL);
    sleep_ms(50);
    eventfd_write(fd, 1);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(wakeups == 1); /* an edge wakes one waiter */
    close(fd), close(shared_ep);
}

static void nothing(int number)
{
    (void)number;
}

static void test_timeouts(void)
{
    int ep = epoll_create1(0);
    struct epoll_event event;
    struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
    struct itimerval soon = { .it_value = { 0, 30000 } };
    int64_t start = now_ns();
    sigset_t block, none;

    CHECK(epoll_wait(ep, &event, 1, 25) == 0 && now_ns() - start >= 25000000);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(epoll_wait(ep, &event, 1, -1), EINTR); /* never restarted */
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    CHECK(epoll_pwait(ep, &event, 1, 20, NULL) == 0);
    CHECK_ERRNO(epoll_pwait(ep, &event, 1, -1, &none), EINTR);
    raise(SIGALRM);
    CHECK_ERRNO(ppoll(NULL, 0, NULL, &none), EINTR);
    raise(SIGALRM);
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
    close(ep);
}

static void test_poll(void)
{
    int ends[2], pair[2];
    struct pollfd look[3];

    NEED(!pipe(ends) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    look[0] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
    look[1] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 99 };
    look[2] = (struct pollfd){ .fd = 99, .events = POLLIN };
    CHECK(poll(look, 3, -1) == 1 && look[0].revents == 0 && look[1].revents == 0 &&
          look[2].revents == POLLNVAL);
    look[0] = (struct pollfd){ .fd = pair[0], .events = POLLIN | POLLOUT | POLLRDHUP };
    CHECK(poll(look, 1, 0) == 1 && look[0].revents == POLLOUT);
    shutdown(pair[1], SHUT_WR);
    CHECK(poll(look, 1, 0) == 1 && look[0].revents == (POLLIN | POLLOUT | POLLRDHUP));
    close(pair[1]);
    CHECK(poll(look, 1, 0) == 1 && (look[0].revents & POLLHUP));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval time = { 0, 20000 };
    CHECK(select(ends[0] + 1, &set, NULL, NULL, &time) == 0 && !FD_ISSET(ends[0], &set));
    CHECK(time.tv_sec == 0 && time.tv_usec == 0); /* Linux says what is left */
    FD_SET(ends[1], &set);
    CHECK(select(ends[1] + 1, NULL, &set, NULL, NULL) == 1 && FD_ISSET(ends[1], &set));
    FD_ZERO(&set);
    FD_SET(
        62,
        &set); /* within the smallest descriptor table: Linux ignores what lies behind the table */
    CHECK_ERRNO(select(63, &set, NULL, NULL, &time), EBADF);
    CHECK_ERRNO(select(-1, NULL, NULL, NULL, &time), EINVAL);
    CHECK_ERRNO(poll((void *)64, 1, 0), EFAULT);
    close(ends[0]), close(ends[1]), close(pair[0]);
}

static void test_many(void)
{
    int ep = epoll_create1(0), fds[500], seen = 0;
    struct epoll_event events[600];

    for (int i = 0; i < 500; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        NEED(fds[i] >= 0);
        add(ep, fds[i], EPOLLIN);
    }
    for (int i = 0; i < 500; i += 5)
        eventfd_write(fds[i], 1);
    CHECK(epoll_wait(ep, events, 600, 0) == 100);
    for (int round = 0; round < 20; round++) { /* level: nobody starves with a small array */
        int n = epoll_wait(ep, events, 10, 0);
        for (int i = 0; i < n; i++) {
            eventfd_t value;
            seen += eventfd_read(events[i].data.fd, &value) == 0;
        }
    }
    CHECK(seen == 100);
    for (int i = 0; i < 500; i++)
        close(fds[i]);
    close(ep);
}

int main(void)
{
    test_level_and_edge();
    test_errors();
    test_threads();
    test_timeouts();
    test_poll();
    test_many();
    return check_end();
}
