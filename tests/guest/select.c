// SPDX-License-Identifier: MIT
/*
 * select, pselect, ppoll: sets, time left, signal masks, restarts.
 * test: flags=-pthread cpus=2
 */
#include "asleep.h"
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    handled++;
}

static void test_sets(void)
{
    int ends[2], high;
    fd_set in, out, ex;
    struct timeval none = { 0, 0 };

    NEED(!pipe(ends));
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&ex);
    FD_SET(ends[0], &in);
    FD_SET(ends[1], &out);
    FD_SET(ends[0], &ex);
    CHECK(select(ends[1] + 1, &in, &out, &ex, &none) == 1);
    CHECK(!FD_ISSET(ends[0], &in) && FD_ISSET(ends[1], &out) && !FD_ISSET(ends[0], &ex));
    CHECK(write(ends[1], "x", 1) == 1);
    FD_SET(ends[0], &in);
    CHECK(select(ends[1] + 1, &in, &out, NULL, NULL) == 2);
    high = fcntl(ends[0], F_DUPFD, 900);
    FD_ZERO(&in);
    FD_SET(high, &in);
    CHECK(select(high + 1, &in, NULL, NULL, &none) == 1 && FD_ISSET(high, &in));
    close(ends[1]);
    CHECK(select(high + 1, &in, NULL, NULL, &none) == 1);
    close(high);
    CHECK_ERRNO(select(high + 1, &in, NULL, NULL, &none), EBADF);
    CHECK_ERRNO(select(-1, &in, NULL, NULL, &none), EINVAL);
    none.tv_sec = -1;
    CHECK_ERRNO(select(0, NULL, NULL, NULL, &none), EINVAL);
    close(ends[0]);
}

static void test_time(void)
{
    struct timeval time = { 0, 50000 };
    struct timespec spec = { 0, 40000000 };
    int64_t start = now_ns();

    CHECK(select(0, NULL, NULL, NULL, &time) == 0 && now_ns() - start >= 50000000);
    CHECK(time.tv_sec == 0 && time.tv_usec == 0);
    time = (struct timeval){ 0, 1020000 };
    start = now_ns();
    CHECK(syscall(SYS_select, 0, NULL, NULL, NULL, &time) == 0 && now_ns() - start >= 1000000000);
    start = now_ns();
    CHECK(!syscall(SYS_ppoll, NULL, 0, &spec, NULL, 8) && now_ns() - start >= 40000000);
    CHECK(spec.tv_sec == 0 && spec.tv_nsec == 0);
    spec.tv_nsec = 1000000000;
    CHECK_ERRNO(ppoll(NULL, 0, &spec, NULL), EINVAL);
    int event = eventfd(1, 0);
    struct pollfd item = { .fd = event, .events = POLLIN };
    spec = (struct timespec){ 5, 0 };
    CHECK(syscall(SYS_ppoll, &item, 1, &spec, NULL, 8) == 1 && spec.tv_sec == 4);
    close(event);
}

static void test_masks(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t block, empty, now;
    struct timespec second = { 1, 0 };
    struct epoll_event got;

    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&empty);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    CHECK(handled == 0);
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &second, &empty), EINTR);
    CHECK(handled == 1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    raise(SIGUSR1);
    CHECK_ERRNO(ppoll(NULL, 0, &second, &empty), EINTR);
    CHECK(handled == 2);
    raise(SIGUSR1);
    int ep = epoll_create1(0);
    CHECK_ERRNO(epoll_pwait(ep, &got, 1, 1000, &empty), EINTR);
    CHECK(handled == 3);
    /* A pending signal does not hide what is ready, and is left for later. */
    int event = eventfd(1, 0);
    struct pollfd item = { .fd = event, .events = POLLIN };
    raise(SIGUSR1);
    CHECK(ppoll(&item, 1, &second, &block) == 1 && handled == 3);
    CHECK(ppoll(&item, 1, &second, &empty) == 1);
    printf("handled %d\n", handled);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    CHECK(handled == 4);
    CHECK_ERRNO(syscall(SYS_ppoll, NULL, 0, NULL, &empty, 4), EINVAL);
    close(event);
    close(ep);
}

static void *send_later(void *arg)
{
    wait_asleep(getpid());
    pthread_kill(*(pthread_t *)arg, SIGUSR2);
    return NULL;
}

static void test_interrupts(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    pthread_t self = pthread_self(), thread;

    handled = 0;
    sigaction(SIGUSR2, &action, NULL);
    NEED(!pthread_create(&thread, NULL, send_later, &self));
    CHECK_ERRNO(poll(NULL, 0, 20000), EINTR); /* never restarted, SA_RESTART or not */
    CHECK(handled == 1);
    pthread_join(thread, NULL);
    NEED(!pthread_create(&thread, NULL, send_later, &self));
    struct timeval time = { 20, 0 };
    CHECK_ERRNO(select(0, NULL, NULL, NULL, &time), EINTR);
    pthread_join(thread, NULL);
    /* Without a handler the call goes on as if nothing had been. */
    signal(SIGUSR2, SIG_IGN);
    int64_t start = now_ns();
    NEED(!pthread_create(&thread, NULL, send_later, &self));
    CHECK(poll(NULL, 0, 100) == 0 && now_ns() - start >= 100000000);
    pthread_join(thread, NULL);
}

static void *write_later(void *arg)
{
    uint64_t one = 1;

    sleep_ms(30);
    CHECK(write(*(int *)arg, &one, 8) == 8);
    return NULL;
}

static void test_wake_up(void)
{
    pthread_t thread;
    int event = eventfd(0, 0);
    struct pollfd items[40];
    fd_set in;

    for (int i = 0; i < 40; i++)
        items[i] = (struct pollfd){ .fd = i % 2 ? -1 : event, .events = POLLIN, .revents = 77 };
    NEED(!pthread_create(&thread, NULL, write_later, &event));
    CHECK(poll(items, 40, 5000) == 20 && items[0].revents == POLLIN && items[1].revents == 0);
    pthread_join(thread, NULL);
    eventfd_t value;
    CHECK(!eventfd_read(event, &value));
    FD_ZERO(&in);
    FD_SET(event, &in);
    NEED(!pthread_create(&thread, NULL, write_later, &event));
    CHECK(select(event + 1, &in, NULL, NULL, NULL) == 1);
    pthread_join(thread, NULL);
    items[0] = (struct pollfd){ .fd = 800, .events = POLLIN };
    CHECK(poll(items, 1, 0) == 1 && items[0].revents == POLLNVAL);
    items[0] = (struct pollfd){ .fd = open("/etc/passwd", O_RDONLY | O_CREAT, 0600),
                                .events = POLLIN | POLLOUT };
    CHECK(poll(items, 1, 0) == 1 && items[0].revents == (POLLIN | POLLOUT));
    close(items[0].fd);
    close(event);
}

int main(void)
{
    test_sets();
    test_time();
    test_masks();
    test_interrupts();
    test_wake_up();
    return check_end();
}
