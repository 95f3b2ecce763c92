// SPDX-License-Identifier: MIT
/*
 * The old and rare forms of calls that newer ones replaced, and the errors that only a prepared call shows.
 * test: cpus=2 variants=dynamic
 */
#include "asleep.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

static void test_old_forms(void)
{
    uint64_t set = 1ULL << (SIGUSR1 - 1), value = 0;
    struct signalfd_siginfo info;
    int fd = (int)syscall(SYS_eventfd, 3);

    CHECK(fd >= 0 && read(fd, &value, 8) == 8 && value == 3 && fcntl(fd, F_GETFD) == 0);
    close(fd);
    sigprocmask(SIG_BLOCK, (sigset_t *)&set, NULL);
    fd = (int)syscall(SYS_signalfd, -1, &set, 8L);
    raise(SIGUSR1);
    CHECK(fd >= 0 && read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
    CHECK_ERRNO(syscall(SYS_signalfd, -1, &set, 7L), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, 0, &set, 8L, 0), EINVAL); /* no signalfd */
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 8L, 1), EINVAL);
    close(fd);
    fd = (int)syscall(SYS_inotify_init);
    CHECK(fd >= 0 && syscall(SYS_inotify_add_watch, fd, ".", IN_CREATE) == 1);
    CHECK_ERRNO(syscall(SYS_inotify_add_watch, 0, ".", IN_CREATE), EINVAL);
    CHECK_ERRNO(syscall(SYS_inotify_add_watch, fd, ".", 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_inotify_init1, 1), EINVAL);
    close(fd);
    CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_eventfd2, 0, 4), EINVAL);
}

/* Who looks at a signalfd is told of its own signals, whoever made it. */
static int use_inherited(int fd, int old_epoll, int parent_end)
{
    struct signalfd_siginfo info;
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    struct epoll_event event = { .events = EPOLLIN };
    int epoll = epoll_create1(0);
    char byte;

    CHECK(read(parent_end, &byte, 1) == 0);
    CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) && epoll_wait(epoll, &event, 1, 0) == 0);
    raise(SIGUSR1);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(epoll_wait(old_epoll, &event, 1, 0) == 0); /* who watched there has ended */
    pid_t pid = getpid(), child = fork();
    if (child == 0) {
        wait_asleep(pid);
        _exit(kill(pid, SIGUSR1) != 0);
    }
    CHECK(poll(&poll_fd, 1, 20000) == 1);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(!epoll_ctl(old_epoll, EPOLL_CTL_DEL, fd, NULL));
    close(epoll);
    fflush(stdout);
    return check_failures != 0;
}

static void test_inherited_signalfd(void)
{
    struct epoll_event event = { .events = EPOLLIN };
    int status, end[2], done[2];
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    NEED(!sigprocmask(SIG_BLOCK, &set, NULL) && !pipe(end) && !pipe(done));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int fd = signalfd(-1, &set, SFD_NONBLOCK), epoll = epoll_create1(0);
        NEED(fd >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
        if (fork() == 0) {
            close(end[1]), close(done[0]);
            char result = (char)('0' + use_inherited(fd, epoll, end[0]));
            _exit(write(done[1], &result, 1) != 1);
        }
        _exit(0);
    }
    close(end[1]), close(done[1]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    char result = 0;
    CHECK(read(done[0], &result, 1) == 1 && result == '0');
    while (wait(NULL) > 0)
        continue; /* where this is the first process, the orphan is its child now */
    close(end[0]), close(done[0]);
}

static void test_sockets(void)
{
    struct sockaddr_un name = { AF_UNIX, "listener" };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    int pair[2], len = -1;
    char text[8];

    CHECK(!bind(listener, (void *)&name, sizeof name) && !listen(listener, 4));
    CHECK(!connect(client, (void *)&name, sizeof name));
    CHECK_ERRNO(syscall(SYS_accept, listener, 8L, 8L), EFAULT); /* and the connection is gone */
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(!connect(client, (void *)&name, sizeof name));
    CHECK_ERRNO(syscall(SYS_accept4, listener, text, 8L, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_accept4, listener, NULL, NULL, 1), EINVAL);
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && write(pair[1], "123", 3) == 3);
    CHECK_ERRNO(syscall(SYS_recvfrom, pair[0], 8L, 3L, 0, NULL, NULL), EFAULT);
    CHECK(recv(pair[0], text, 8, 0) == 3);
    CHECK_ERRNO(syscall(SYS_getsockname, pair[0], text, &len), EINVAL);
    CHECK_ERRNO(syscall(SYS_getsockopt, pair[0], SOL_SOCKET, SO_TYPE, text, &len), EINVAL);
    len = sizeof text;
    CHECK_ERRNO(syscall(SYS_getsockopt, pair[0], SOL_SOCKET, 9999, text, &len), ENOPROTOOPT);
    CHECK_ERRNO(syscall(SYS_setsockopt, pair[0], SOL_SOCKET, SO_REUSEADDR, text, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_shutdown, pair[0], 3), EINVAL);
    CHECK_ERRNO(syscall(SYS_shutdown, listener + 50, 3), EBADF);
    CHECK_ERRNO(syscall(SYS_listen, pair[0], 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_accept, pair[0], NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_connect, pair[0], &name, (int)sizeof name), EISCONN);
    CHECK_ERRNO(syscall(SYS_bind, client, &name, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_getpeername, listener, text, &len), ENOTCONN);
    CHECK_ERRNO(syscall(SYS_listen, 0, 1), ENOTSOCK);
    CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(999, SOCK_STREAM, 0), EAFNOSUPPORT);
    close(listener), close(client), close(pair[0]), close(pair[1]);
}

static void test_memory(void)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(page != MAP_FAILED && !munmap(page + 4096, 4096));
    CHECK(!syscall(SYS_mlock, page, 4096L) && !syscall(SYS_munlock, page, 4096L));
    CHECK_ERRNO(syscall(SYS_mlock, page, 8192L), ENOMEM);
    CHECK_ERRNO(syscall(SYS_munlock, page, 8192L), ENOMEM);
    CHECK_ERRNO(syscall(SYS_mlock2, page, 4096L, 2), EINVAL);
    CHECK(!syscall(SYS_mlock2, page, 4096L, 1) && !syscall(SYS_munlockall));
    CHECK(!syscall(SYS_mlockall, MCL_CURRENT) && !syscall(SYS_munlockall));
    CHECK_ERRNO(syscall(SYS_mlockall, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_mlockall, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_mlockall, 9), EINVAL);
    CHECK_ERRNO(syscall(SYS_msync, page, 4096L, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERRNO(syscall(SYS_msync, page + 1, 4096L, MS_SYNC), EINVAL);
    CHECK_ERRNO(syscall(SYS_msync, page, 8192L, MS_SYNC), ENOMEM);
    munmap(page, 4096);
}

static unsigned word, other_word;

static void *wake_it(void *unused)
{
    while (!syscall(SYS_futex, &other_word, FUTEX_WAKE, 1, NULL, NULL, 0))
        sched_yield();
    return unused;
}

static void test_futexes(void)
{
    struct waiter {
        uint64_t value, address;
        uint32_t flags, reserved;
    } waiters[2] = { { 0, (uintptr_t)&word, 2, 0 }, { 0, (uintptr_t)&other_word, 2, 0 } };
    struct timespec past = { 1, 0 };
    pthread_t thread;
    void *head = NULL;
    size_t size = 0;

    NEED(!pthread_create(&thread, NULL, wake_it, NULL));
    CHECK(syscall(SYS_futex_waitv, waiters, 2, 0, NULL, CLOCK_MONOTONIC) == 1);
    pthread_join(thread, NULL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 2, 0, &past, CLOCK_MONOTONIC), ETIMEDOUT);
    waiters[1].value = 5;
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 2, 0, NULL, CLOCK_MONOTONIC), EAGAIN);
    waiters[1].reserved = 1;
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 2, 0, NULL, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 0, 0, NULL, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 129, 0, NULL, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 1, 1, NULL, CLOCK_MONOTONIC), EINVAL);
    CHECK(!syscall(SYS_get_robust_list, 0, &head, &size) && size == 24 && head);
    CHECK(!syscall(SYS_set_robust_list, head, 24L));
    CHECK_ERRNO(syscall(SYS_set_robust_list, head, 23L), EINVAL);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 0x3fffffff, &head, &size), ESRCH);
    CHECK_ERRNO(syscall(SYS_restart_syscall), EINTR);
    CHECK_ERRNO(syscall(SYS_getsid, 0x3fffffff), ESRCH);
}

static void test_mounts(void)
{
    struct stat before, after;

    NEED(!mkdir("m", 0700) && !stat("m", &before));
    CHECK(!mount("none", "m", "tmpfs", 0, "mode=0750") && !stat("m", &after));
    CHECK(after.st_dev != before.st_dev && (after.st_mode & 0777) == 0750);
    CHECK(!close(open("m/f", O_RDWR | O_CREAT, 0600)));
    CHECK_ERRNO(rename("m/f", "f"), EXDEV);
    CHECK_ERRNO(link("m/f", "f"), EXDEV);
    CHECK_ERRNO(rmdir("m"), EBUSY);
    CHECK(!mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    CHECK_ERRNO(open("m/f", O_RDWR), EROFS);
    CHECK_ERRNO(unlink("m/f"), EROFS);
    CHECK_ERRNO(mkdir("m/d", 0700), EROFS);
    int fd = open("m/f", O_RDONLY);
    CHECK_ERRNO(umount2("m", 0), EBUSY);
    close(fd);
    CHECK(!umount2("m", 0) && !stat("m", &after) && after.st_dev == before.st_dev);
    CHECK_ERRNO(umount2("m", 0), EINVAL);
    CHECK_ERRNO(umount2("m", 0x100), EINVAL);
    CHECK_ERRNO(mount("none", "m", "no-such-type", 0, NULL), ENODEV);
    CHECK_ERRNO(mount("none", "none", "tmpfs", 0, NULL), ENOENT);
    CHECK_ERRNO(syscall(SYS_pivot_root, "none", "m"), ENOENT);
}

static int mounts_below(const char *place)
{
    char line[4096], path[PATH_MAX];
    FILE *list = fopen("/proc/self/mountinfo", "r");
    int n = 0;

    NEED(list);
    while (fgets(line, sizeof line, list))
        n += sscanf(line, "%*s %*s %*s %*s %s", path) == 1 && !strncmp(path, place, strlen(place));
    fclose(list);
    return n;
}

/* A tree of mounts goes below itself: it is copied as it was before. */
static void test_recursive_bind(void)
{
    char here[PATH_MAX];

    CHECK(!mount("none", "m", "tmpfs", 0, NULL) && getcwd(here, sizeof here - 3));
    CHECK(!mount(NULL, "m", NULL, MS_PRIVATE, NULL));
    CHECK(!mkdir("m/a", 0700) && !mkdir("m/b", 0700) && !mount("none", "m/a", "tmpfs", 0, NULL));
    CHECK(!mkdir("m/a/in", 0700) && !mount("none", "m/a/in", "tmpfs", 0, NULL));
    CHECK(!mkdir("m/a/in/x", 0700));
    strcat(here, "/m");
    CHECK(mounts_below(here) == 3);
    CHECK(!mount("m", "m/b", NULL, MS_BIND | MS_REC, NULL));
    CHECK(mounts_below(here) == 6 && !access("m/b/a/in/x", F_OK) && !access("m/b/b", F_OK));
    CHECK_ERRNO(access("m/b/b/a", F_OK), ENOENT);
    CHECK(!mount("m/a", "m/a/in/x", NULL, MS_BIND | MS_REC, NULL));
    CHECK(mounts_below(here) == 8 && !access("m/a/in/x/in/x", F_OK));
    CHECK_ERRNO(mount("m", "m/none", NULL, MS_BIND | MS_REC, NULL), ENOENT);
    CHECK(!umount2("m", MNT_DETACH) && mounts_below(here) == 0);
}

static bool is_mounting = true; /* atomic */

static void *sync_main(void *arg)
{
    while (__atomic_load_n(&is_mounting, __ATOMIC_RELAXED))
        sync();
    return arg;
}

/* sync(2) goes from mount to mount while they go. */
static void test_sync_of_mounts(void)
{
    pthread_t thread;

    NEED(!pthread_create(&thread, NULL, sync_main, NULL));
    for (int i = 0; i < 1000; i++) {
        CHECK(!mount("none", "m", "tmpfs", 0, NULL));
        CHECK(!umount2("m", MNT_DETACH));
    }
    __atomic_store_n(&is_mounting, false, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

static pid_t dead_child(void)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    return pid;
}

static void test_processes(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    int ends[2], self = (int)syscall(SYS_pidfd_open, getpid(), 0);

    CHECK_ERRNO(syscall(SYS_wait4, dead_child(), 8L, 0, NULL), EFAULT); /* and it is gone */
    CHECK_ERRNO(wait(NULL), ECHILD);
    CHECK_ERRNO(syscall(SYS_waitid, P_PID, dead_child(), 8L, WEXITED, NULL), EFAULT);
    CHECK_ERRNO(wait(NULL), ECHILD);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0L, 8L, 0L, 0L), EFAULT);
    CHECK_ERRNO(syscall(SYS_clone3, 8L, 64L), EFAULT);
    CHECK(!pipe(ends));
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, ends[0], 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, 99, 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, self, 0, 8L, 0), EFAULT);
    CHECK(!syscall(SYS_pidfd_send_signal, self, 0, NULL, 0));
    int copy = (int)syscall(SYS_pidfd_getfd, self, ends[0], 0);
    CHECK(copy >= 0 && fcntl(copy, F_GETFD) == FD_CLOEXEC && write(ends[1], "x", 1) == 1);
    char text;
    CHECK(read(copy, &text, 1) == 1 && text == 'x');
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, self, 99, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, ends[0], 0, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, self, 0, 1), EINVAL);
    CHECK(!syscall(SYS_capget, &header, data) && !syscall(SYS_capset, &header, data));
    CHECK_ERRNO(syscall(SYS_capget, &header, 8L), EFAULT);
    CHECK_ERRNO(syscall(SYS_capget, 8L, data), EFAULT);
    CHECK_ERRNO(syscall(SYS_capset, &header, 8L), EFAULT);
    header.version = 1;
    CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
    CHECK(header.version == _LINUX_CAPABILITY_VERSION_3); /* told */
    CHECK_ERRNO(syscall(SYS_setns, 99, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_setns, ends[0], 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_splice, 99, NULL, ends[1], NULL, 1L, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_splice, ends[0], 8L, ends[1], NULL, 1L, 0), ESPIPE);
    int file = open("/proc/self/exe", O_RDONLY);
    CHECK_ERRNO(syscall(SYS_splice, file, 8L, ends[1], NULL, 1L, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_splice, file, NULL, ends[1], NULL, 1L, 0x80), EINVAL);
    struct iovec piece = { &text, 1 };
    CHECK(syscall(SYS_vmsplice, ends[1], &piece, 1L, 0) == 1 && read(ends[0], &text, 1) == 1);
    CHECK_ERRNO(syscall(SYS_vmsplice, ends[1], 8L, 1L, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_vmsplice, 99, &piece, 1L, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_vmsplice, file, &piece, 1L, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_vmsplice, ends[1], &piece, 1L, 0x80), EINVAL);
    close(copy), close(self), close(ends[0]), close(ends[1]), close(file);
}

/* Users and groups by the calls themselves, which change one thread. */
static void set_ids(void)
{
    unsigned ids[3];

    CHECK(!syscall(SYS_setregid, 5, 6) && syscall(SYS_getgid) == 5 && syscall(SYS_getegid) == 6);
    CHECK(!syscall(SYS_getresgid, &ids[0], &ids[1], &ids[2]) && ids[2] == 6);
    CHECK(!syscall(SYS_setgid, 7) && !syscall(SYS_getresgid, &ids[0], &ids[1], &ids[2]));
    CHECK(ids[0] == 7 && ids[1] == 7 && ids[2] == 7);
    CHECK(syscall(SYS_setfsgid, 9) == 7 && syscall(SYS_setfsgid, -1) == 9);
    CHECK(syscall(SYS_setfsuid, 9) == 0 && syscall(SYS_setfsuid, -1) == 9);
    CHECK(syscall(SYS_setfsuid, 0) == 9);
    CHECK(!syscall(SYS_setgroups, 2, ids) && syscall(SYS_getgroups, 0, NULL) == 2);
    CHECK_ERRNO(syscall(SYS_getgroups, 1, ids), EINVAL);
    CHECK_ERRNO(syscall(SYS_getgroups, -1, ids), EINVAL);
    CHECK_ERRNO(syscall(SYS_getgroups, 2, 8L), EFAULT);
    CHECK(!syscall(SYS_setreuid, 3, 4) && !syscall(SYS_getresuid, &ids[0], &ids[1], &ids[2]));
    CHECK(ids[0] == 3 && ids[1] == 4 && ids[2] == 4);
    CHECK_ERRNO(syscall(SYS_setreuid, 5, -1), EPERM);
    CHECK(!syscall(SYS_setuid, 3) && syscall(SYS_geteuid) == 3);
    CHECK_ERRNO(syscall(SYS_setregid, 5, -1), EPERM);
    CHECK_ERRNO(syscall(SYS_setgid, 5), EPERM);
    CHECK_ERRNO(syscall(SYS_setresgid, -1, 5, -1), EPERM);
}

static void in_child(void (*test)(void))
{
    int status;

    fflush(stdout);
    if (fork() == 0) {
        check_failures = 0;
        test();
        exit(check_failures);
    }
    CHECK(wait(&status) > 0 && status == 0);
}

int main(void)
{
    test_old_forms();
    test_inherited_signalfd();
    test_sockets();
    test_memory();
    test_futexes();
    test_mounts();
    test_recursive_bind();
    test_sync_of_mounts();
    test_processes();
    in_child(set_ids);
    return check_end();
}
