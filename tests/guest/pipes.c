// SPDX-License-Identifier: MIT
/*
 * Pipes: capacity, atomic writes, end of file, SIGPIPE, splice, nonblocking, FIFOs.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int ends[2];

static void test_basics(void)
{
    char buffer[10];
    int available;

    NEED(!pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    CHECK_ERRNO(read(ends[0], buffer, 1), EAGAIN);
    CHECK(write(ends[1], "hello", 5) == 5);
    CHECK(!ioctl(ends[0], FIONREAD, &available) && available == 5);
    CHECK(read(ends[0], buffer, 2) == 2 && read(ends[0], buffer, 10) == 3 && buffer[0] == 'l');
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(ends[0], buffer, 1, 0), ESPIPE);
    CHECK_ERRNO(read(ends[1], buffer, 1), EBADF);
    CHECK_ERRNO(write(ends[0], buffer, 1), EBADF);
    CHECK_ERRNO(pipe2(ends, 0x7f000000), EINVAL);
    CHECK(fcntl(ends[1], F_GETPIPE_SZ) == 65536);
}

static void test_capacity(void)
{
    static char block[70000];

    CHECK(write(ends[1], block, sizeof block) == 65536);
    CHECK_ERRNO(write(ends[1], block, 1), EAGAIN);
    CHECK(read(ends[0], block, 4095) == 4095);
    CHECK_ERRNO(write(ends[1], block, 4096), EAGAIN); /* whole or not at all */
    CHECK(read(ends[0], block, sizeof block) == 65536 - 4095);
    close(ends[1]);
    CHECK(read(ends[0], block, 1) == 0);
    struct pollfd look = { .fd = ends[0], .events = POLLIN };
    CHECK(poll(&look, 1, 0) == 1 && look.revents == POLLHUP);
    close(ends[0]);
}

static void *write_slowly(void *arg)
{
    for (int i = 0; i < 5; i++) {
        sleep_ms(5);
        CHECK(write(ends[1], "x", 1) == 1);
    }
    close(ends[1]);
    return arg;
}

static void *write_much(void *arg)
{
    static char block[300000];

    memset(block, 'b', sizeof block);
    CHECK(write(ends[1], block, sizeof block) == sizeof block);
    close(ends[1]);
    return arg;
}

static void test_blocking(void)
{
    pthread_t thread;
    char buffer[1000];
    long total = 0, count;

    NEED(!pipe(ends));
    pthread_create(&thread, NULL, write_slowly, NULL);
    while ((count = read(ends[0], buffer, sizeof buffer)) > 0)
        total += count;
    CHECK(total == 5);
    pthread_join(thread, NULL);
    close(ends[0]);
    NEED(!pipe(ends));
    pthread_create(&thread, NULL, write_much, NULL);
    for (total = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0; total += count)
        for (long i = 0; i < count; i++)
            if (buffer[i] != 'b')
                CHECK(!"data");
    CHECK(total == 300000);
    pthread_join(thread, NULL);
    close(ends[0]);
}

static void test_broken(void)
{
    signal(SIGPIPE, SIG_IGN);
    NEED(!pipe(ends));
    struct pollfd look = { .fd = ends[1], .events = POLLOUT };
    CHECK(poll(&look, 1, 0) == 1 && look.revents == POLLOUT);
    close(ends[0]);
    CHECK(poll(&look, 1, 0) == 1 && (look.revents & POLLERR));
    CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
    close(ends[1]);
}

/* Unlike a FIFO, a pipe that /proc opens once more waits for nobody. */
static void test_reopened(void)
{
    char path[64], buffer[16];
    int again;

    NEED(!pipe(ends));
    NEED(write(ends[1], "left", 4) == 4);
    close(ends[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    NEED((again = open(path, O_RDONLY)) >= 0);
    CHECK(read(again, buffer, sizeof buffer) == 4 && !memcmp(buffer, "left", 4));
    CHECK(read(again, buffer, sizeof buffer) == 0);
    close(again);
    close(ends[0]);
    NEED(!pipe(ends));
    close(ends[0]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    NEED((again = open(path, O_WRONLY)) >= 0);
    CHECK_ERRNO(write(again, "x", 1), EPIPE);
    close(again);
    NEED((again = open(path, O_WRONLY | O_NONBLOCK)) >= 0);
    close(again);
    close(ends[1]);
}

static void test_splice(void)
{
    int two[2], fd = open("file", O_RDWR | O_CREAT, 0600);
    char buffer[10] = "";

    NEED(!pipe(ends) && !pipe(two));
    CHECK(write(ends[1], "splice", 6) == 6);
    CHECK(tee(ends[0], two[1], 100, 0) == 6);
    CHECK(splice(ends[0], NULL, fd, NULL, 100, 0) == 6);
    CHECK(read(two[0], buffer, 10) == 6 && !memcmp(buffer, "splice", 6));
    loff_t at = 2;
    CHECK(splice(fd, &at, two[1], NULL, 3, 0) == 3 && at == 5);
    CHECK(read(two[0], buffer, 10) == 3 && !memcmp(buffer, "lic", 3));
    close(fd);
}

static void *open_writer(void *arg)
{
    int fd = open("fifo", O_WRONLY);

    CHECK(fd >= 0 && write(fd, "fifo", 4) == 4);
    close(fd);
    return arg;
}

static void test_fifo(void)
{
    pthread_t thread;
    char buffer[10];

    NEED(!mkfifo("fifo", 0600));
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    pthread_create(&thread, NULL, open_writer, NULL);
    int fd = open("fifo", O_RDONLY);
    CHECK(fd >= 0 && read(fd, buffer, 10) == 4 && read(fd, buffer, 10) == 0);
    pthread_join(thread, NULL);
    close(fd);
}

#define ROUNDS 2000

static pthread_barrier_t round_begins;

static void *write_rounds(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&round_begins);
        open_writer(NULL);
    }
    return arg;
}

/* The writer may have come, written and gone before the reader's open() looks again. */
static void test_fifo_rounds(void)
{
    pthread_t thread;
    char buffer[10];

    NEED(!pthread_barrier_init(&round_begins, NULL, 2));
    pthread_create(&thread, NULL, write_rounds, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&round_begins);
        int fd = open("fifo", O_RDONLY);
        CHECK(fd >= 0 && read(fd, buffer, 10) == 4 && read(fd, buffer, 10) == 0);
        close(fd);
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    test_basics();
    test_capacity();
    test_blocking();
    test_broken();
    test_reopened();
    test_splice();
    test_fifo();
    test_fifo_rounds();
    return check_end();
}
