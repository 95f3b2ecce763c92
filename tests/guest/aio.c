// SPDX-License-Identifier: MIT
/*
 * Native asynchronous I/O: io_setup and its kin by system call number, and the ring in memory.
 * test: flags=-pthread cpus=2
 */
#include "asleep.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

struct ring {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    struct io_event event[];
};

static aio_context_t ctx;

static long setup(unsigned n, aio_context_t *out)
{
    return syscall(SYS_io_setup, n, out);
}

static long submit(struct iocb *one)
{
    return syscall(SYS_io_submit, ctx, 1L, &one);
}

static long get(long min, long max, struct io_event *events, struct timespec *timeout)
{
    return syscall(SYS_io_getevents, ctx, min, max, events, timeout);
}

/* Submits one and takes its event: the result. */
static long run(struct iocb *iocb)
{
    struct io_event event = { 0 };

    if (submit(iocb) != 1)
        return -errno * 1000L;
    if (get(1, 1, &event, NULL) != 1 || event.obj != (uintptr_t)iocb ||
        event.data != iocb->aio_data)
        return -1000000;
    return (long)event.res;
}

static struct iocb make(int fd, int op, void *buf, size_t len, long offset)
{
    return (struct iocb){ .aio_fildes = (unsigned)fd,
                          .aio_lio_opcode = (unsigned short)op,
                          .aio_buf = (uintptr_t)buf,
                          .aio_nbytes = len,
                          .aio_offset = offset,
                          .aio_data = 0x1234567812345678ULL + (unsigned)op };
}

static void test_setup(void)
{
    aio_context_t other = 0;

    CHECK_ERRNO(setup(0, &other), EINVAL);
    CHECK_ERRNO(setup(0x10000000, &other), EINVAL);
    CHECK_ERRNO(setup(1000000, &other), EAGAIN);
    CHECK_ERRNO(setup(1, (void *)8), EFAULT);
    other = 5;
    CHECK_ERRNO(setup(1, &other), EINVAL);
    other = 0;
    CHECK(setup(10, &other) == 0 && other % 4096 == 0);
    struct ring *ring = (void *)other;
    printf("nr %s magic %x header %u compat %u\n", ring->nr >= 20 ? "large" : "small", ring->magic,
           ring->header_length, ring->compat);
    CHECK(syscall(SYS_io_destroy, other) == 0);
    CHECK_ERRNO(syscall(SYS_io_destroy, other), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_destroy, 0x1234UL), EINVAL);
    CHECK(setup(100, &ctx) == 0);
}

static void test_files(void)
{
    char buf[64] = "hello, asynchronous world", back[64] = "";
    int fd = open("aio.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct iocb op = make(fd, IOCB_CMD_PWRITE, buf, 25, 100);

    printf("pwrite %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PREAD, back, 64, 107);
    printf("pread %ld %s\n", run(&op), back);
    struct iovec vec[2] = { { back, 5 }, { back + 10, 6 } };
    memset(back, '-', sizeof(back));
    op = make(fd, IOCB_CMD_PREADV, vec, 2, 100);
    printf("preadv %ld %.16s\n", run(&op), back);
    op = make(fd, IOCB_CMD_PWRITEV, vec, 2, 0);
    printf("pwritev %ld\n", run(&op));
    op = make(fd, IOCB_CMD_FSYNC, NULL, 0, 0);
    printf("fsync %ld\n", run(&op));
    op = make(fd, IOCB_CMD_FDSYNC, NULL, 0, 0);
    printf("fdsync %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PREAD, (void *)8, 4, 0);
    printf("bad buffer %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PREAD, back, 4, -1);
    printf("negative offset %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PREAD, back, 4, 4096);
    printf("behind the end %ld\n", run(&op));
    op = make(fd, IOCB_CMD_NOOP, back, 4, 0);
    printf("noop %ld\n", run(&op));
    op = make(fd, 99, back, 4, 0);
    printf("unknown %ld\n", run(&op));
    op = make(99, IOCB_CMD_PREAD, back, 4, 0);
    printf("bad descriptor %ld\n", run(&op));
    op = make(fd, IOCB_CMD_FSYNC, back, 4, 0);
    printf("fsync with a buffer %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PREAD, back, 4, 0);
    op.aio_reserved2 = 1;
    printf("reserved %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PREAD, back, 4, 0);
    op.aio_rw_flags = 0x4000;
    printf("flags %ld\n", run(&op));
    op = make(fd, IOCB_CMD_PWRITE, buf, 5, 0);
    op.aio_rw_flags = RWF_APPEND | RWF_DSYNC;
    printf("append %ld at %ld\n", run(&op), (long)lseek(fd, 0, SEEK_END));
    close(fd);
    fd = open("aio.data", O_RDONLY);
    op = make(fd, IOCB_CMD_PWRITE, buf, 5, 0);
    printf("read only %ld\n", run(&op));
    close(fd);
    unlink("aio.data");
}

static void test_submit_errors(void)
{
    char back[8];
    int fd = open("/dev/zero", O_RDWR);
    struct iocb good = make(fd, IOCB_CMD_PREAD, back, 8, 0), bad = make(99, 0, back, 8, 0);
    struct iocb *list[3] = { &good, &bad, &good };
    struct io_event events[4];
    struct timespec none = { 0, 0 };

    CHECK_ERRNO(syscall(SYS_io_submit, ctx, -1L, list), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_submit, 0x1000L, 1L, list), EINVAL);
    CHECK(syscall(SYS_io_submit, ctx, 0L, list) == 0);
    CHECK_ERRNO(syscall(SYS_io_submit, ctx, 1L, (void *)8), EFAULT);
    CHECK(syscall(SYS_io_submit, ctx, 3L, list) == 1);
    CHECK(get(0, 4, events, &none) == 1 && events[0].res == 8 && events[0].res2 == 0);
    list[1] = (void *)8;
    CHECK(syscall(SYS_io_submit, ctx, 3L, list) == 1);
    CHECK_ERRNO(get(1, 1, (void *)8, &none), EFAULT);
    CHECK(get(1, 4, events, NULL) == 1);
    CHECK_ERRNO(get(5, 4, events, NULL), EINVAL);
    CHECK_ERRNO(get(-1, 4, events, NULL), EINVAL);
    CHECK_ERRNO(get(1, 4, events, (void *)8), EFAULT);
    CHECK(get(0, 4, events, NULL) == 0);
    CHECK(get(1, 4, events, &none) == 0);
    struct timespec soon = { 0, 20000000 };
    int64_t start = now_ns();
    CHECK(get(1, 4, events, &soon) == 0 && now_ns() - start >= 19000000);
    close(fd);
}

/* The ring fills up: EAGAIN; events read from memory make room again. */
static void test_ring(void)
{
    char back[8];
    int fd = open("/dev/zero", O_RDWR);
    struct iocb op = make(fd, IOCB_CMD_PREAD, back, 8, 0);
    struct ring *ring = (void *)ctx;
    unsigned count = 0;

    while (count < 10000 && submit(&op) == 1)
        count++;
    /* Linux keeps some of them back for other CPUs. */
    CHECK(errno == EAGAIN && count >= 100 && count <= ring->nr - 1);
    CHECK((ring->tail + ring->nr - ring->head) % ring->nr == count);
    CHECK(ring->event[ring->head].res == 8 && ring->event[ring->head].obj == (uintptr_t)&op);
    __atomic_store_n(&ring->head, ring->tail, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < count; i++)
        CHECK(submit(&op) == 1);
    CHECK_ERRNO(submit(&op), EAGAIN);
    struct io_event *events = calloc(ring->nr, sizeof(*events));
    CHECK(get(count, ring->nr, events, NULL) == (long)count);
    CHECK(ring->head == ring->tail);
    free(events);
    close(fd);
}

static void test_eventfd(void)
{
    char back[8];
    int fd = open("/dev/zero", O_RDWR), event = eventfd(0, EFD_NONBLOCK);
    struct iocb op = make(fd, IOCB_CMD_PREAD, back, 8, 0);
    uint64_t count = 0;

    op.aio_flags = IOCB_FLAG_RESFD;
    op.aio_resfd = (unsigned)event;
    CHECK(run(&op) == 8 && run(&op) == 8);
    CHECK(read(event, &count, 8) == 8 && count == 2);
    op.aio_resfd = (unsigned)fd;
    CHECK_ERRNO(submit(&op), EINVAL);
    op.aio_resfd = 99;
    CHECK_ERRNO(submit(&op), EBADF);
    close(event);
    close(fd);
}

static void *write_later(void *arg)
{
    sleep_ms(30);
    CHECK(write(*(int *)arg, "x", 1) == 1);
    return NULL;
}

static void test_poll(void)
{
    int end[2];
    pthread_t thread;
    struct io_event event;
    struct timespec none = { 0, 0 };

    CHECK(pipe(end) == 0);
    struct iocb op = make(end[0], IOCB_CMD_POLL, (void *)POLLIN, 0, 0);
    struct iocb out = make(end[1], IOCB_CMD_POLL, (void *)(POLLOUT | POLLIN), 0, 0);
    printf("writable %lx\n", run(&out));
    CHECK(submit(&op) == 1);
    CHECK(get(0, 1, &event, &none) == 0);
    CHECK(!pthread_create(&thread, NULL, write_later, &end[1]));
    CHECK(get(1, 1, &event, NULL) == 1 && event.obj == (uintptr_t)&op);
    CHECK(event.res & POLLIN); /* Linux may tell what else the writer announced */
    pthread_join(thread, NULL);
    CHECK(run(&op) == POLLIN);
    char c;
    CHECK(read(end[0], &c, 1) == 1);

    CHECK(submit(&op) == 1);
    CHECK_ERRNO(syscall(SYS_io_cancel, ctx, &op, &event), EINPROGRESS);
    CHECK(get(1, 1, &event, NULL) == 1 && event.res == 0);
    CHECK_ERRNO(syscall(SYS_io_cancel, ctx, &op, &event), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_cancel, 0x1000L, &op, &event), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_cancel, ctx, (void *)8, &event), EFAULT);

    CHECK(submit(&op) == 1);
    close(end[1]);
    CHECK(get(1, 1, &event, NULL) == 1 && event.res == POLLHUP);
    op.aio_offset = 1;
    CHECK_ERRNO(submit(&op), EINVAL);
    op = make(end[0], IOCB_CMD_POLL, (void *)0x10001, 0, 0);
    CHECK_ERRNO(submit(&op), EINVAL);
    int file = open("plain", O_RDWR | O_CREAT, 0600);
    op = make(file, IOCB_CMD_POLL, (void *)POLLIN, 0, 0);
    printf("plain file %lx\n", run(&op));
    close(file);
    unlink("plain");
    close(end[0]);
}

static void ignore(int signo)
{
    (void)signo;
}

static void *kill_later(void *arg)
{
    wait_asleep(getpid());
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

static void test_signals(void)
{
    struct sigaction action = { .sa_handler = ignore, .sa_flags = SA_RESTART };
    pthread_t self = pthread_self(), thread;
    struct io_event event;
    struct timespec second = { 1, 0 };
    sigset_t mask, old;
    struct {
        sigset_t *mask;
        size_t size;
    } set = { &mask, 8 };

    sigaction(SIGUSR1, &action, NULL);
    CHECK(!pthread_create(&thread, NULL, kill_later, &self));
    long got = get(1, 1, &event, NULL);
    printf("signal %ld %d\n", got, errno);
    if (got == 1)
        printf("%llx\n", event.res);
    pthread_join(thread, NULL);

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, &old);
    pthread_kill(self, SIGUSR1);
    sigemptyset(&mask);
    CHECK_ERRNO(syscall(SYS_io_pgetevents, ctx, 1L, 1L, &event, &second, &set), EINTR);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, &old, &now);
    CHECK(sigismember(&now, SIGUSR1) == 1);
    set.size = 4;
    CHECK_ERRNO(syscall(SYS_io_pgetevents, ctx, 1L, 1L, &event, &second, &set), EINVAL);
    struct timespec none = { 0, 0 };
    CHECK(syscall(SYS_io_pgetevents, ctx, 0L, 1L, &event, &none, NULL) == 0);
}

static void *destroy_later(void *arg)
{
    (void)arg;
    sleep_ms(30);
    CHECK(syscall(SYS_io_destroy, ctx) == 0);
    return NULL;
}

/* A context ends with requests under way and a thread that waits. */
static void test_end(void)
{
    int end[2];
    pthread_t thread;
    struct io_event event, events[20];

    CHECK(pipe(end) == 0);
    struct iocb op[20];
    for (int i = 0; i < 20; i++) {
        op[i] = make(end[0], IOCB_CMD_POLL, (void *)POLLIN, 0, 0);
        CHECK(submit(&op[i]) == 1);
    }
    pid_t child = fork(); /* contexts are not inherited */
    if (child == 0)
        _exit(get(0, 1, &event, NULL) == -1 && errno == EINVAL ? 0 : 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(!pthread_create(&thread, NULL, destroy_later, NULL));
    long got = get(20, 20, events, NULL);
    CHECK(got == -1 || got > 0);
    pthread_join(thread, NULL);
    CHECK_ERRNO(get(0, 1, &event, NULL), EINVAL);

    for (int i = 0; i < 3; i++) { /* exit and exec with requests under way */
        child = fork();
        if (child == 0) {
            ctx = 0;
            if (setup(10, &ctx) || submit(&op[0]) != 1)
                _exit(1);
            if (i == 0)
                _exit(0);
            if (i == 1)
                execl("/proc/self/exe", "aio", "exit", (char *)NULL);
            kill(getpid(), SIGKILL);
        }
        CHECK(waitpid(child, &status, 0) == child);
        printf("child %x\n", status);
    }
    close(end[0]);
    close(end[1]);
    char text[32] = "";
    int fd = open("/proc/sys/fs/aio-nr", O_RDONLY);
    CHECK(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    printf("aio-nr %s", text);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    test_setup();
    test_files();
    test_submit_errors();
    test_ring();
    test_eventfd();
    test_poll();
    test_signals();
    test_end();
    return check_end();
}
