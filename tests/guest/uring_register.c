// SPDX-License-Identifier: MIT
/*
 * io_uring's registered files and buffers from several threads at once: nothing is lost, nothing stays; a buffer
 * that ends beyond all addresses; a cancellation that waits for its worker, and one
 * that comes before a linked timeout's time.
 * test: flags=-pthread,-luring cpus=4 timeout=40
 */
#include "check.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define FIFO  "/tmp/uring_register"
#define SLOTS 16

static struct io_uring ring;
static int pipes[2], zero;
static volatile bool is_over;

static void test_buffers(void)
{
    char page[4096];
    struct iovec beyond = { (void *)-4096L, 8192 }, none = { NULL, 0 }, some = { page, 4096 };

    CHECK(io_uring_register_buffers(&ring, &beyond, 1) == -EOVERFLOW);
    struct iovec both[] = { some, none };
    CHECK(io_uring_register_buffers(&ring, both, 2) == 0);
    CHECK(io_uring_register_buffers(&ring, both, 2) == -EBUSY);
    CHECK(io_uring_unregister_buffers(&ring) == 0);
    CHECK(io_uring_unregister_buffers(&ring) == -ENXIO);
}

/* A worker waits in open() of a FIFO that nobody writes. */
static void test_sync_cancel(void)
{
    struct io_uring_sync_cancel_reg args = { .addr = 7, .timeout = { -1, -1 } };
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    unlink(FIFO);
    NEED(!mkfifo(FIFO, 0600));
    CHECK_ERRNO(syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_SYNC_CANCEL, &args, 1),
                ENOENT);
    io_uring_prep_openat(sqe, AT_FDCWD, FIFO, O_RDONLY, 0);
    sqe->flags |= IOSQE_ASYNC;
    sqe->user_data = 7;
    CHECK(io_uring_submit(&ring) == 1);
    sleep_ms(50);
    CHECK(!syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_SYNC_CANCEL, &args, 1));
    CHECK(io_uring_peek_cqe(&ring, &cqe) == 0 && cqe->user_data == 7 && cqe->res < 0);
    io_uring_cqe_seen(&ring, cqe);
    unlink(FIFO);
}

/* A linked timeout whose request waits behind a drain is not there yet. */
static void test_early_cancel(void)
{
    struct io_uring_sync_cancel_reg args = { .addr = 2, .timeout = { -1, -1 } };
    struct __kernel_timespec late = { 10, 0 };
    struct io_uring_cqe *cqe;
    struct io_uring own;
    int end[2], status;
    char byte = 'x';

    NEED(!pipe(end));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        NEED(io_uring_queue_init(8, &own, 0) == 0);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&own);
        io_uring_prep_poll_add(sqe, end[0], POLLIN);
        sqe->user_data = 0;
        io_uring_prep_nop(sqe = io_uring_get_sqe(&own));
        sqe->flags = IOSQE_IO_DRAIN | IOSQE_IO_LINK;
        sqe->user_data = 1;
        io_uring_prep_link_timeout(sqe = io_uring_get_sqe(&own), &late, 0);
        sqe->user_data = 2;
        CHECK(io_uring_submit(&own) == 3);
        CHECK_ERRNO(
            syscall(SYS_io_uring_register, own.ring_fd, IORING_REGISTER_SYNC_CANCEL, &args, 1),
            ENOENT);
        CHECK(write(end[1], &byte, 1) == 1);
        io_uring_prep_nop(sqe = io_uring_get_sqe(&own));
        sqe->flags = IOSQE_IO_DRAIN;
        sqe->user_data = 3;
        CHECK(io_uring_submit(&own) == 1);
        const int result[] = { POLLIN, 0, -ECANCELED, 0 };
        for (int i = 0; i < 4; i++) {
            NEED(io_uring_wait_cqe(&own, &cqe) == 0 && cqe->user_data < 4);
            CHECK(cqe->res == result[cqe->user_data]);
            io_uring_cqe_seen(&own, cqe);
        }
        fflush(stdout);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(end[0]), close(end[1]);
}

/* The end of a process does not wait for what a drain holds back. */
static void test_deferred_end(void)
{
    struct __kernel_timespec late = { 100, 0 };
    struct io_uring own;
    int end[2], status;

    NEED(!pipe(end));
    pid_t child = fork();
    if (child == 0) {
        NEED(io_uring_queue_init(8, &own, 0) == 0);
        io_uring_prep_poll_add(io_uring_get_sqe(&own), end[0], POLLIN);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&own);
        io_uring_prep_poll_add(sqe, end[0], POLLIN);
        sqe->flags = IOSQE_IO_DRAIN | IOSQE_IO_LINK;
        io_uring_prep_link_timeout(io_uring_get_sqe(&own), &late, 0);
        _exit(io_uring_submit(&own) != 3);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(end[0]), close(end[1]);
}

/* ---- Races ------------------------------------------------------------------------------ */

static bool is_one_of(long result, long a, long b, long c)
{
    return result >= 0 || result == a || result == b || result == c;
}

static void *register_files(void *arg)
{
    int fds[SLOTS];

    for (int i = 0; i < SLOTS; i++)
        fds[i] = i % 2 ? pipes[1] : zero;
    while (!is_over) {
        int count = 1 + rand() % SLOTS;
        CHECK(is_one_of(io_uring_register_files(&ring, fds, (unsigned)count), -EBUSY, -EBUSY,
                        -EBUSY));
        CHECK(is_one_of(io_uring_register_files_update(&ring, 0, fds, (unsigned)count), -ENXIO,
                        -EINVAL, -EINVAL));
        CHECK(is_one_of(io_uring_unregister_files(&ring), -ENXIO, -ENXIO, -ENXIO));
    }
    return arg;
}

static void *register_buffers(void *arg)
{
    static char memory[SLOTS][4096];
    struct iovec pieces[SLOTS];

    for (int i = 0; i < SLOTS; i++)
        pieces[i] = (struct iovec){ memory[i], sizeof(memory[i]) };
    while (!is_over) {
        unsigned count = 1 + (unsigned)rand() % SLOTS;
        CHECK(is_one_of(io_uring_register_buffers(&ring, pieces, count), -EBUSY, -EBUSY, -EBUSY));
        CHECK(is_one_of(io_uring_unregister_buffers(&ring), -ENXIO, -ENXIO, -ENXIO));
    }
    return arg;
}

/* Reads of /dev/zero by a slot; it may be gone, or not what can be read. */
static void use(unsigned n)
{
    char byte[8];

    for (unsigned i = 0; i < n; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
        io_uring_prep_read(sqe, (int)(i % SLOTS), byte, 1, 0);
        sqe->flags |= IOSQE_FIXED_FILE;
        sqe->user_data = i;
    }
    CHECK(io_uring_submit(&ring) == (int)n);
    for (unsigned i = 0; i < n; i++) {
        struct io_uring_cqe *cqe;
        NEED(io_uring_wait_cqe(&ring, &cqe) == 0);
        CHECK(cqe->res == 1 || cqe->res == -EBADF);
        io_uring_cqe_seen(&ring, cqe);
    }
}

static void test_races(void)
{
    pthread_t threads[4];
    char byte;

    NEED(!pipe(pipes) && (zero = open("/dev/zero", O_RDONLY)) >= 0);
    for (int i = 0; i < 4; i++)
        NEED(!pthread_create(&threads[i], NULL, i < 3 ? register_files : register_buffers, NULL));
    for (int64_t end = now_ns() + 1000000000; now_ns() < end;)
        use(SLOTS);
    is_over = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    (void)io_uring_unregister_files(&ring);
    /* The pipe's end that was registered is closed when nobody holds it. */
    close(pipes[1]);
    signal(SIGALRM, SIG_DFL);
    alarm(10);
    CHECK(read(pipes[0], &byte, 1) == 0);
    alarm(0);
}

int main(void)
{
    NEED(io_uring_queue_init(SLOTS, &ring, 0) == 0);
    test_buffers();
    test_sync_cancel();
    test_early_cancel();
    test_deferred_end();
    test_races();
    io_uring_queue_exit(&ring);
    return check_end();
}
