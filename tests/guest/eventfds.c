// SPDX-License-Identifier: MIT
/*
 * eventfd, timerfd, signalfd, inotify, memfd.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

static void test_eventfd(void)
{
    int fd = eventfd(3, EFD_NONBLOCK);
    uint64_t value;

    CHECK(read(fd, &value, 8) == 8 && value == 3);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &value, 4), EINVAL);
    value = UINT64_MAX;
    CHECK_ERRNO(write(fd, &value, 8), EINVAL);
    value = UINT64_MAX - 1;
    CHECK(write(fd, &value, 8) == 8);
    value = 1;
    CHECK_ERRNO(write(fd, &value, 8), EAGAIN);
    struct pollfd look = { .fd = fd, .events = POLLIN | POLLOUT };
    CHECK(poll(&look, 1, 0) == 1 && look.revents == POLLIN);
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    CHECK(read(fd, &value, 8) == 8 && value == 1 && read(fd, &value, 8) == 8 && value == 1);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    CHECK_ERRNO(eventfd(0, 0x40000000), EINVAL);
    close(fd);
}

static void test_timerfd(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec every = { { 0, 10000000 }, { 0, 10000000 } }, now,
                      off = { { 0, 0 }, { 0, 0 } };
    uint64_t ticks = 0;
    struct pollfd look = { .fd = fd, .events = POLLIN };

    CHECK_ERRNO(read(fd, &ticks, 8), EAGAIN);
    CHECK(!timerfd_settime(fd, 0, &every, NULL));
    CHECK(poll(&look, 1, 1000) == 1 && read(fd, &ticks, 8) == 8 && ticks >= 1);
    sleep_ms(55);
    CHECK(read(fd, &ticks, 8) == 8 && ticks >= 4);
    CHECK(!timerfd_gettime(fd, &now) && now.it_interval.tv_nsec == 10000000);
    CHECK(!timerfd_settime(fd, 0, &off, &now) && !timerfd_gettime(fd, &now) &&
          now.it_value.tv_nsec == 0);
    struct itimerspec past = { .it_value = { 0, 1 } };
    CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL));
    CHECK(poll(&look, 1, 1000) == 1 && read(fd, &ticks, 8) == 8 && ticks == 1);
    past.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(fd, 0, &past, NULL), EINVAL);
    CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
    close(fd);
}

static void test_signalfd(void)
{
    sigset_t set;
    struct signalfd_siginfo info[3];

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    CHECK_ERRNO(read(fd, info, sizeof info), EAGAIN);
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 42 });
    struct pollfd look = { .fd = fd, .events = POLLIN };
    CHECK(poll(&look, 1, 1000) == 1);
    CHECK(read(fd, info, sizeof info) == 2 * sizeof *info);
    CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_USER &&
          info[0].ssi_pid == (unsigned)getpid());
    CHECK(info[1].ssi_signo == (unsigned)SIGRTMIN + 1 && info[1].ssi_int == 42 &&
          info[1].ssi_code == SI_QUEUE);
    CHECK_ERRNO(read(fd, info, 10), EINVAL);
    close(fd);
}

static int next_event(int fd, struct inotify_event *event, char *name)
{
    static char buffer[4096];
    static long size, at;

    if (at >= size) {
        at = 0;
        size = read(fd, buffer, sizeof buffer);
        if (size <= 0) {
            size = 0;
            return 0;
        }
    }
    memcpy(event, buffer + at, sizeof *event);
    strcpy(name, event->len ? buffer + at + sizeof *event : "");
    at += (long)sizeof *event + event->len;
    return 1;
}

static void test_inotify(void)
{
    int fd = inotify_init1(IN_NONBLOCK), events = 0;
    struct inotify_event event;
    char name[NAME_MAX + 1];

    mkdir("watched", 0700);
    int watch = inotify_add_watch(fd, "watched",
                                  IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE);
    CHECK(watch >= 1);
    int file = open("watched/a", O_CREAT | O_WRONLY, 0600);
    CHECK(write(file, "x", 1) == 1);
    close(file);
    rename("watched/a", "watched/b");
    unlink("watched/b");
    uint32_t cookie = 0;
    while (next_event(fd, &event, name)) {
        printf("inotify %x %s %s\n", event.mask, name, event.wd == watch ? "" : "other");
        if (event.mask == IN_MOVED_FROM)
            cookie = event.cookie;
        if (event.mask == IN_MOVED_TO)
            CHECK(cookie != 0 && event.cookie == cookie);
        events++;
    }
    CHECK(events == 6);
    CHECK(!inotify_rm_watch(fd, watch) && next_event(fd, &event, name) && event.mask == IN_IGNORED);
    CHECK_ERRNO(inotify_rm_watch(fd, watch), EINVAL);
    CHECK_ERRNO(inotify_add_watch(fd, "none", IN_CREATE), ENOENT);
    CHECK_ERRNO(inotify_add_watch(fd, "watched", 0), EINVAL);
    close(fd);
}

static void test_memfd(void)
{
    int fd = memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct stat info;

    CHECK(fd >= 0 && !ftruncate(fd, 8192) && !fstat(fd, &info) && info.st_size == 8192 &&
          info.st_nlink == 0);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED);
    strcpy(p + 4096, "mem");
    char buffer[10] = "";
    CHECK(pread(fd, buffer, 4, 4096) == 4 && !strcmp(buffer, "mem"));
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK(!munmap(p, 8192) && !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
    CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK));
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(ftruncate(fd, 0), EPERM);
    CHECK(!ftruncate(fd, 16384));
    CHECK_ERRNO(memfd_create("x", 0x8000), EINVAL);
    close(fd);
}

int main(void)
{
    test_eventfd();
    test_timerfd();
    test_signalfd();
    test_inotify();
    test_memfd();
    return check_end();
}
