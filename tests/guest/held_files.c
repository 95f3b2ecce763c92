// SPDX-License-Identifier: MIT
/*
 * A read or write goes on with the file that its descriptor stood for when it began, whoever closes or replaces the
 * descriptor meanwhile: another thread, a process that shares the table, and when the table has one user again.
 * What reading memory devices leaves behind.
 *
 * test: cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "asleep.h"

#define ROUNDS 20000

static int fds[2];

static void check_blocked_read(pid_t tid)
{
    int other = open("/dev/zero", O_RDONLY);

    while (!is_asleep(tid))
        sched_yield();
    CHECK(dup2(other, fds[0]) == fds[0]); /* the last name of the pipe's end */
    CHECK(write(fds[1], "x", 1) == 1);    /* but the read holds it open */
    close(other);
}

static pid_t reader_tid;

static void *read_one(void *unused)
{
    char byte = 0;

    __atomic_store_n(&reader_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    CHECK(read(fds[0], &byte, 1) == 1 && byte == 'x');
    CHECK(read(fds[0], &byte, 1) == 1 && byte == 0); /* /dev/zero stands there now */
    return unused;
}

static void test_thread(void)
{
    pthread_t thread;

    NEED(!pipe(fds) && !pthread_create(&thread, NULL, read_one, NULL));
    while (!__atomic_load_n(&reader_tid, __ATOMIC_ACQUIRE))
        sched_yield();
    check_blocked_read(reader_tid);
    pthread_join(thread, NULL);
    CHECK_ERRNO(write(fds[1], "x", 1), EPIPE); /* the end of the read was the end of the pipe's */
    close(fds[0]), close(fds[1]);
}

/* The child is a process of its own with this one's table. */
static void test_process(void)
{
    int status = -1;

    NEED(!pipe(fds));
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    NEED(pid >= 0);
    if (pid == 0) {
        (void)read_one(NULL);
        _exit(check_failures != 0);
    }
    check_blocked_read(pid);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
    close(fds[0]), close(fds[1]);
}

static bool is_over;

static void *replace_often(void *arg)
{
    int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR), fd = *(int *)arg;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK(dup2(i % 2 ? zero : null, fd) == fd);
        if (i % 3 == 0)
            CHECK(close(fd) == 0);
    }
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    close(zero), close(null);
    return NULL;
}

static void test_race(void)
{
    int fd = 50;
    pthread_t thread;
    char byte = 1;
    struct iovec piece = { &byte, 1 };

    NEED(!pthread_create(&thread, NULL, replace_often, &fd));
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        long n = read(fd, &byte, 1);
        CHECK(n == 0 || (n == 1 && byte == 0) || (n == -1 && errno == EBADF));
        n = write(fd, &byte, 1);
        CHECK(n == 1 || (n == -1 && errno == EBADF));
        n = readv(fd, &piece, 1);
        CHECK(n == 0 || n == 1 || (n == -1 && errno == EBADF));
    }
    pthread_join(thread, NULL);
    close(fd);
}

/* Many threads were there; now this one is alone. */
static void test_alone_again(void)
{
    char byte = 1;
    int zero = open("/dev/zero", O_RDWR), copy = dup(zero), path = open("/dev/zero", O_PATH);

    CHECK(read(zero, &byte, 1) == 1 && byte == 0 && close(zero) == 0);
    CHECK_ERRNO(read(zero, &byte, 1), EBADF);
    CHECK_ERRNO(read(path, &byte, 1), EBADF);
    CHECK_ERRNO(write(path, &byte, 1), EBADF);
    CHECK_ERRNO(read(-1, &byte, 1), EBADF);
    CHECK_ERRNO(read(1 << 30, &byte, 1), EBADF);
    CHECK_ERRNO(write(-0x40000000, &byte, 1), EBADF);
    CHECK_ERRNO(syscall(SYS_read, copy, -4096L, 1L), EFAULT);
    CHECK_ERRNO(syscall(SYS_read, copy, 0x7ffffffff000L, 1L), EFAULT);
    CHECK_ERRNO(syscall(SYS_write, copy, 0x7fffffffefffL, 2L), EFAULT);
    CHECK(syscall(SYS_write, copy, 8L, 1L) == 1); /* nothing looks at it */
    close(copy), close(path);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void test_devices(void)
{
    static const char *const names[] = { "/dev/zero", "/dev/full", "/dev/urandom" };
    struct stat before, after;
    char bytes[4];

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = open(names[i], O_RDONLY);
        NEED(fd >= 0 && !fstat(fd, &before));
        CHECK(read(fd, bytes, sizeof bytes) == sizeof bytes && pread(fd, bytes, 2, 7) == 2);
        CHECK(lseek(fd, 0, SEEK_CUR) == 0);
        NEED(!fstat(fd, &after));
        CHECK(same_time(&before.st_atim, &after.st_atim));
        close(fd);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_devices();
    test_alone_again();
    test_process();
    test_thread();
    test_race();
    test_alone_again();
    return check_end();
}
