// SPDX-License-Identifier: MIT
/*
 * io_uring by liburing: files, sockets, chains, timeouts, polls, cancelling, registered things, and ends in
 * the middle of it.
 * test: flags=-luring cpus=2 timeout=40
 */
#include "check.h"

#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct io_uring ring;
static int end[2]; /* a pipe that is empty between the tests */

static struct io_uring_sqe *get(uint64_t data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    NEED(sqe);
    memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = data;
    return sqe;
}

#define PREP(op, data, ...)                                                                        \
    ({                                                                                             \
        struct io_uring_sqe *sqe_ = get(data);                                                     \
        io_uring_prep_##op(sqe_, __VA_ARGS__);                                                     \
        sqe_->user_data = (data);                                                                  \
        sqe_;                                                                                      \
    })

static struct io_uring_sqe *prep_nop(uint64_t data)
{
    struct io_uring_sqe *sqe = get(data);

    io_uring_prep_nop(sqe);
    sqe->user_data = data;
    return sqe;
}

struct event {
    uint64_t user_data;
    int res;
    unsigned flags;
};

static struct event next(void)
{
    struct __kernel_timespec limit = { 5, 0 };
    struct io_uring_cqe *cqe;

    NEED(io_uring_wait_cqe_timeout(&ring, &cqe, &limit) == 0);
    struct event copy = { cqe->user_data, cqe->res, cqe->flags };
    io_uring_cqe_seen(&ring, cqe);
    return copy;
}

/* Prints n completions in the order of user_data. */
static void show(const char *what, int n)
{
    struct event seen[16];

    for (int i = 0; i < n; i++) {
        struct event cqe = next();
        int at = i;
        for (; at > 0 && seen[at - 1].user_data > cqe.user_data; at--)
            seen[at] = seen[at - 1];
        seen[at] = cqe;
    }
    printf("%s:", what);
    for (int i = 0; i < n; i++)
        printf(" %d=%d/%x", (int)seen[i].user_data, seen[i].res, seen[i].flags & ~4u);
    puts("");
    struct io_uring_cqe *more;
    CHECK(io_uring_peek_cqe(&ring, &more) == -EAGAIN);
}

static void submit(int n)
{
    CHECK(io_uring_submit(&ring) == n);
}

static void test_setup(void)
{
    struct io_uring_params params = { .flags = 1u << 31 };

    CHECK(io_uring_queue_init_params(8, &ring, &params) == -EINVAL);
    CHECK(io_uring_queue_init(0, &ring, 0) == -EINVAL);
    CHECK(io_uring_queue_init(100000, &ring, 0) == -EINVAL);
    CHECK(io_uring_queue_init(8, &ring, IORING_SETUP_DEFER_TASKRUN) == -EINVAL);
    params = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE, .cq_entries = 4 };
    CHECK(io_uring_queue_init_params(8, &ring, &params) == -EINVAL);
    params = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                       .cq_entries = 1000 };
    CHECK(io_uring_queue_init_params(100, &ring, &params) == 0);
    CHECK(params.sq_entries == 128 && params.cq_entries == 1024);
    unsigned features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG |
                        IORING_FEAT_CQE_SKIP | IORING_FEAT_FAST_POLL;
    CHECK((params.features & features) == features);
    void *cq = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ring.ring_fd, IORING_OFF_CQ_RING);
    CHECK(cq != MAP_FAILED && !munmap(cq, 4096));
    CHECK(io_uring_enter(end[0], 0, 0, 0, NULL) == -EOPNOTSUPP);
    CHECK(io_uring_enter(999, 0, 0, 0, NULL) == -EBADF);
    CHECK(io_uring_enter(ring.ring_fd, 0, 0, 1u << 30, NULL) == -EINVAL);
}

static void test_files(void)
{
    char a[64] = "the quick brown fox", b[64] = "";
    struct iovec vector[2] = { { a, 4 }, { a + 4, 6 } };
    struct statx status;

    PREP(openat, 1, AT_FDCWD, "file", O_RDWR | O_CREAT, 0600);
    submit(1);
    int fd = next().res;
    CHECK(fd > 0);
    PREP(write, 1, fd, a, 19, 0)->flags = IOSQE_IO_LINK;
    PREP(writev, 2, fd, vector, 2, 19)->flags = IOSQE_IO_LINK;
    PREP(fsync, 3, fd, IORING_FSYNC_DATASYNC)->flags = IOSQE_IO_LINK;
    PREP(read, 4, fd, b, 29, 0);
    submit(4);
    show("link", 4);
    CHECK(!memcmp(b, "the quick brown foxthe quick ", 29));
    PREP(read, 1, fd, b, 60, 0)->flags = IOSQE_IO_LINK; /* short: breaks the chain */
    prep_nop(2)->flags = IOSQE_IO_LINK;
    prep_nop(3);
    PREP(read, 4, fd, b, 60, 0)->flags = IOSQE_IO_HARDLINK;
    prep_nop(5);
    submit(5);
    show("broken", 5);
    PREP(read, 1, fd, (void *)8, 4, 0);
    PREP(read, 2, 999, b, 4, 0);
    PREP(fallocate, 3, fd, 0, 0, 100)->flags = IOSQE_IO_LINK;
    PREP(statx, 4, AT_FDCWD, "file", 0, STATX_SIZE, &status)->flags = IOSQE_IO_LINK;
    PREP(fadvise, 5, fd, 0, 0, POSIX_FADV_WILLNEED);
    PREP(madvise, 6, a, 0, MADV_NORMAL);
    submit(6);
    show("calls", 6);
    CHECK(status.stx_size == 100);
    PREP(mkdirat, 1, AT_FDCWD, "folder", 0700)->flags = IOSQE_IO_LINK;
    PREP(symlinkat, 2, "file", AT_FDCWD, "symlink")->flags = IOSQE_IO_LINK;
    PREP(linkat, 3, AT_FDCWD, "file", AT_FDCWD, "hard", 0)->flags = IOSQE_IO_LINK;
    PREP(renameat, 4, AT_FDCWD, "hard", AT_FDCWD, "folder/hard", 0)->flags = IOSQE_IO_LINK;
    PREP(unlinkat, 5, AT_FDCWD, "folder/hard", 0)->flags = IOSQE_IO_LINK;
    PREP(unlinkat, 6, AT_FDCWD, "folder", AT_REMOVEDIR)->flags = IOSQE_IO_LINK;
    PREP(unlinkat, 7, AT_FDCWD, "symlink", 0)->flags = IOSQE_IO_LINK;
    PREP(unlinkat, 8, AT_FDCWD, "none", 0);
    PREP(openat, 9, AT_FDCWD, "none", O_RDONLY, 0);
    submit(9);
    show("names", 9);
    int64_t at = 4;
    PREP(splice, 1, fd, at, end[1], -1, 5, 0)->flags = IOSQE_IO_LINK;
    PREP(read, 2, end[0], b, 5, 0);
    submit(2);
    show("splice", 2);
    CHECK(!memcmp(b, "quick", 5));
    PREP(close, 1, fd);
    PREP(close, 2, fd);
    submit(2);
    show("close", 2);
    unlink("file");
}

static void test_waiting(void)
{
    char b[8] = "";
    struct __kernel_timespec soon = { 0, 20000000 }, late = { 100, 0 };

    PREP(read, 1, end[0], b, 8, 0);
    submit(1);
    CHECK(write(end[1], "pipe", 4) == 4);
    show("pipe", 1);
    CHECK(!strcmp(b, "pipe"));
    PREP(timeout, 1, &soon, 0, 0);
    PREP(timeout, 2, &soon, 0, IORING_TIMEOUT_ETIME_SUCCESS);
    submit(2);
    show("timeouts", 2);
    PREP(timeout, 9, &late, 2, 0);
    prep_nop(1);
    prep_nop(2);
    submit(3);
    show("counted", 3);
    PREP(timeout, 1, &late, 0, 0);
    PREP(timeout_remove, 2, 1, 0);
    PREP(timeout_remove, 3, 77, 0);
    submit(3);
    show("removed", 3);
    PREP(timeout, 1, &late, 0, 0);
    PREP(timeout_update, 2, &soon, 1, 0);
    submit(2);
    show("updated", 2);
    PREP(read, 1, end[0], b, 8, 0)->flags = IOSQE_IO_LINK;
    PREP(link_timeout, 2, &soon, 0);
    submit(2);
    show("link timeout", 2);
    prep_nop(1)->flags = IOSQE_IO_LINK;
    PREP(link_timeout, 2, &late, 0);
    submit(2);
    show("link in time", 2);
    PREP(read, 1, end[0], b, 8, 0);
    PREP(cancel64, 2, 1, 0);
    submit(2);
    show("cancel", 2);
    PREP(cancel64, 3, 1, 0);
    PREP(read, 4, end[0], b, 8, 0);
    PREP(read, 5, end[0], b, 8, 0);
    PREP(cancel_fd, 6, end[0], IORING_ASYNC_CANCEL_ALL);
    submit(4);
    show("cancel more", 4);
    struct io_uring_cqe *cqe;
    int64_t start = now_ns();
    CHECK(io_uring_wait_cqe_timeout(&ring, &cqe, &soon) == -ETIME);
    CHECK(now_ns() - start >= 19000000);
}

static void test_poll(void)
{
    char b[8];

    PREP(poll_add, 1, end[0], POLLIN);
    PREP(poll_add, 2, end[1], POLLOUT);
    submit(2);
    CHECK(next().user_data == 2);
    CHECK(write(end[1], "x", 1) == 1);
    show("poll", 1);
    CHECK(read(end[0], b, 8) == 1);
    PREP(poll_multishot, 1, end[0], POLLIN);
    submit(1);
    for (int i = 0; i < 3; i++) {
        CHECK(write(end[1], "x", 1) == 1);
        struct event cqe = next();
        CHECK(cqe.res & POLLIN && cqe.flags & IORING_CQE_F_MORE && cqe.user_data == 1);
        CHECK(read(end[0], b, 8) == 1);
    }
    PREP(poll_remove, 2, 1);
    PREP(poll_remove, 3, 55);
    submit(2);
    show("poll removed", 3);
    PREP(poll_add, 1, end[0], POLLPRI);
    submit(1);
    PREP(poll_update, 2, 1, 7, POLLIN, IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA);
    submit(1);
    CHECK(write(end[1], "x", 1) == 1);
    show("poll updated", 2);
    CHECK(read(end[0], b, 8) == 1);
}

/* What waited is started in its order, whoever runs it: this thread or one of the kernel's. */
static void test_drain_order(void)
{
    struct io_uring_cqe *cqe;
    char b[8];

    for (int round = 0; round < 300; round++) {
        PREP(read, 1, end[0], b, 8, 0);
        prep_nop(2)->flags = IOSQE_IO_DRAIN;
        for (unsigned i = 3; i <= 6; i++)
            prep_nop(i);
        submit(6);
        CHECK(io_uring_peek_cqe(&ring, &cqe) == -EAGAIN);
        CHECK(write(end[1], "x", 1) == 1);
        for (unsigned i = 1; i <= 6; i++)
            CHECK(next().user_data == i);
    }
}

static void test_drain(void)
{
    prep_nop(1)->flags = IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK;
    prep_nop(2);
    submit(2);
    show("skip", 1);
    get(1)->opcode = 200;
    prep_nop(2);
    CHECK(io_uring_submit(&ring) == 1); /* the wrong one ends the submission */
    submit(1);
    show("unknown", 2);
    prep_nop(1)->flags = IOSQE_IO_LINK;
    get(2)->opcode = 200;
    CHECK(io_uring_submit(&ring) == 2);
    show("unknown in a chain", 2);
}

/* An open that blocks holds up no other, though a thread was idle when both began. */
static void test_blocking(void)
{
    char dir[] = "/tmp/uringXXXXXX", names[2][64];

    NEED(mkdtemp(dir));
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof(names[i]), "%s/%d", dir, i);
        NEED(!mkfifo(names[i], 0600));
    }
    PREP(openat, 1, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0)->flags = IOSQE_ASYNC;
    submit(1);
    struct event event = next();
    CHECK(event.user_data == 1 && !close(event.res));
    for (int i = 0; i < 2; i++)
        PREP(openat, 10 + i, AT_FDCWD, names[i], O_RDONLY, 0)->flags = IOSQE_ASYNC;
    submit(2);
    for (int i = 1; i >= 0; i--) {
        int fd = open(names[i], O_WRONLY);
        event = next();
        CHECK(fd >= 0 && event.user_data == 10 + (unsigned)i && event.res >= 0);
        close(event.res);
        close(fd);
        CHECK(!unlink(names[i]));
    }
    CHECK(!rmdir(dir));
}

static void test_overflow(void)
{
    unsigned total = 0, entries = ring.cq.ring_entries;

    for (unsigned i = 0; i < entries + 50; i++) {
        prep_nop(i);
        submit(1);
    }
    CHECK(io_uring_cq_has_overflow(&ring));
    for (; total < entries + 50; total++)
        CHECK(next().user_data == total);
    CHECK(!io_uring_cq_has_overflow(&ring));
}

static int listener(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    NEED(!bind(fd, (void *)address, sizeof(*address)) && !listen(fd, 16));
    NEED(!getsockname(fd, (void *)address, &len));
    return fd;
}

static void test_sockets(void)
{
    struct sockaddr_in address;
    char a[16] = "over the wire", b[16] = "";
    int server = listener(&address), client = socket(AF_INET, SOCK_STREAM, 0), accepted = -1;

    PREP(accept, 1, server, NULL, NULL, SOCK_CLOEXEC);
    PREP(connect, 2, client, (void *)&address, sizeof(address));
    submit(2);
    for (int i = 0; i < 2; i++) {
        struct event cqe = next();
        if (cqe.user_data == 1)
            accepted = cqe.res;
        else
            CHECK(cqe.res == 0);
    }
    CHECK(accepted > 0);
    PREP(recv, 1, accepted, b, sizeof(b), 0);
    submit(1);
    PREP(send, 2, client, a, 13, 0);
    submit(1);
    show("send", 2);
    CHECK(!strcmp(a, b));
    struct iovec piece = { b, sizeof(b) }, out = { a, 4 };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    struct msghdr sent = { .msg_iov = &out, .msg_iovlen = 1 };
    PREP(recvmsg, 1, accepted, &message, 0);
    submit(1);
    PREP(sendmsg, 2, client, &sent, 0);
    submit(1);
    show("sendmsg", 2);
    PREP(recv, 1, accepted, b, 8, MSG_WAITALL);
    submit(1);
    CHECK(send(client, "1234", 4, 0) == 4);
    sleep_ms(20);
    CHECK(send(client, "5678", 4, 0) == 4);
    show("waitall", 1);
    PREP(recv, 1, accepted, b, 8, MSG_DONTWAIT);
    submit(1);
    show("dontwait", 1);
    PREP(shutdown, 1, client, SHUT_WR)->flags = IOSQE_IO_LINK;
    PREP(recv, 2, accepted, b, 8, 0);
    submit(2);
    show("shutdown", 2);
    close(client);
    close(accepted);

    PREP(multishot_accept, 1, server, NULL, NULL, 0);
    submit(1);
    for (int i = 0; i < 3; i++) {
        client = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(!connect(client, (void *)&address, sizeof(address)));
        struct event cqe = next();
        CHECK(cqe.res > 0 && cqe.flags & IORING_CQE_F_MORE);
        close(cqe.res);
        close(client);
    }
    PREP(cancel64, 2, 1, 0);
    submit(1);
    show("multishot accept", 2);
    close(server);
    client = socket(AF_INET, SOCK_STREAM, 0);
    PREP(connect, 1, client, (void *)&address, sizeof(address));
    submit(1);
    show("refused", 1);
    close(client);
}

/* A connection that finds the queue full ends the request, and is not lost. */
static void test_full_accept(void)
{
    struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 4 };
    struct io_uring whole = ring;
    struct sockaddr_in address;
    char byte = 0;
    int server = listener(&address), client = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(io_uring_queue_init_params(4, &ring, &params) == 0 && params.cq_entries == 4);
    PREP(multishot_accept, 5, server, NULL, NULL, 0);
    submit(1);
    for (unsigned i = 1; i <= 4; i++)
        prep_nop(i);
    submit(4);
    CHECK(!connect(client, (void *)&address, sizeof(address)));
    CHECK(write(client, "x", 1) == 1);
    while (!io_uring_cq_has_overflow(&ring))
        sleep_ms(1);
    for (unsigned i = 1; i <= 4; i++)
        CHECK(next().user_data == i);
    struct event event = next();
    CHECK(event.user_data == 5 && event.res >= 0 && !(event.flags & IORING_CQE_F_MORE));
    CHECK(read(event.res, &byte, 1) == 1 && byte == 'x');
    close(event.res), close(client), close(server);
    io_uring_queue_exit(&ring);
    ring = whole;
}

static void test_buffers(void)
{
    static char memory[8][64];
    int pair[2];
    struct event cqe;

    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    PREP(provide_buffers, 1, memory, 64, 4, 7, 0);
    submit(1);
    show("provide", 1);
    for (int i = 0; i < 2; i++) {
        struct io_uring_sqe *sqe = PREP(recv, 1, pair[0], NULL, 64, 0);
        sqe->flags = IOSQE_BUFFER_SELECT;
        sqe->buf_group = 7;
        submit(1);
        CHECK(send(pair[1], "data", 4, 0) == 4);
        cqe = next();
        CHECK(cqe.res == 4 && cqe.flags & IORING_CQE_F_BUFFER);
        CHECK(!memcmp(memory[cqe.flags >> 16], "data", 4));
    }
    PREP(remove_buffers, 1, 9, 7);
    PREP(remove_buffers, 2, 9, 8);
    submit(2);
    show("remove", 2);

    struct io_uring_buf_ring *buffers = NULL;
    CHECK(!posix_memalign((void **)&buffers, 4096, 4096));
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)buffers, .ring_entries = 8, .bgid = 3 };
    CHECK(io_uring_register_buf_ring(&ring, &reg, 0) == 0);
    CHECK(io_uring_register_buf_ring(&ring, &reg, 0) == -EEXIST);
    io_uring_buf_ring_init(buffers);
    for (unsigned short i = 0; i < 4; i++)
        io_uring_buf_ring_add(buffers, memory[i], 64, i, 7, i);
    io_uring_buf_ring_advance(buffers, 4);
    struct io_uring_sqe *sqe = PREP(recv_multishot, 1, pair[0], NULL, 0, 0);
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = 3;
    submit(1);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(send(pair[1], "multi", 5, 0) == 5);
        cqe = next();
        CHECK(cqe.res == 5 && cqe.flags & IORING_CQE_F_MORE && cqe.flags >> 16 == i);
    }
    CHECK(send(pair[1], "multi", 5, 0) == 5);
    show("no buffers", 1);
    CHECK(io_uring_unregister_buf_ring(&ring, 3) == 0);
    CHECK(io_uring_unregister_buf_ring(&ring, 3) == -ENOENT);
    close(pair[0]);
    close(pair[1]);
}

static void test_registered(void)
{
    static char memory[2][4096];
    struct iovec vector[2] = { { memory[0], 4096 }, { memory[1], 4096 } };
    int fds[3] = { end[0], end[1], -1 };

    CHECK(io_uring_register_buffers(&ring, vector, 2) == 0);
    CHECK(io_uring_register_buffers(&ring, vector, 2) == -EBUSY);
    CHECK(io_uring_register_files(&ring, fds, 3) == 0);
    CHECK(io_uring_register_files(&ring, fds, 3) == -EBUSY);
    memcpy(memory[0], "fixed", 5);
    PREP(write_fixed, 1, 1, memory[0], 5, 0, 0)->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
    PREP(read_fixed, 2, 0, memory[1], 5, 0, 1)->flags = IOSQE_FIXED_FILE;
    PREP(read_fixed, 3, 0, memory[1] + 4000, 200, 0, 1)->flags = IOSQE_FIXED_FILE;
    PREP(read, 4, 2, memory[1], 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(io_uring_submit(&ring) >= 3);
    io_uring_submit(&ring);
    show("fixed", 4);
    CHECK(!memcmp(memory[1], "fixed", 5));
    PREP(openat_direct, 1, AT_FDCWD, "/dev/zero", O_RDONLY, 0, 2)->flags |= IOSQE_IO_LINK;
    PREP(read, 2, 2, memory[1], 9, 0)->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
    PREP(close_direct, 3, 2);
    submit(3);
    show("direct", 3);
    PREP(close_direct, 1, 2);
    submit(1);
    show("direct close", 1);
    int update = end[0];
    CHECK(io_uring_register_files_update(&ring, 2, &update, 1) == 1);
    CHECK(io_uring_register_files_update(&ring, 3, &update, 1) == -EINVAL);
    CHECK(io_uring_unregister_files(&ring) == 0 && io_uring_unregister_files(&ring) == -ENXIO);
    CHECK(io_uring_unregister_buffers(&ring) == 0);
    CHECK(io_uring_register_files_sparse(&ring, 4) == 0);
    for (int i = 0; i < 5; i++)
        PREP(openat_direct, 1 + i, AT_FDCWD, "/dev/null", O_RDONLY, 0, IORING_FILE_INDEX_ALLOC - 1)
            ->flags |= IOSQE_IO_LINK;
    submit(5);
    show("allocated", 5);
    CHECK(io_uring_unregister_files(&ring) == 0);

    int event = eventfd(0, EFD_NONBLOCK);
    uint64_t count = 0;
    CHECK(io_uring_register_eventfd(&ring, event) == 0);
    CHECK(io_uring_register_eventfd(&ring, event) == -EBUSY);
    prep_nop(1);
    submit(1);
    show("eventfd", 1);
    CHECK(read(event, &count, 8) == 8 && count >= 1);
    CHECK(io_uring_unregister_eventfd(&ring) == 0);
    close(event);
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    CHECK(probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC));
    io_uring_free_probe(probe);
    CHECK(io_uring_register_ring_fd(&ring) == 1);
    prep_nop(1);
    submit(1);
    show("ring fd", 1);
    CHECK(io_uring_unregister_ring_fd(&ring) == 1);
}

static void test_restrictions(void)
{
    struct io_uring other = ring;
    struct io_uring_restriction allowed[2] = {
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP },
        { .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PROBE },
    };

    CHECK(io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED) == 0);
    prep_nop(1);
    CHECK(io_uring_submit(&ring) == -EBADFD);
    CHECK(syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_RESTRICTIONS, allowed, 2) ==
          0);
    CHECK(syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
    PREP(poll_add, 2, end[0], POLLIN);
    submit(2);
    show("restricted", 2);
    CHECK(io_uring_unregister_files(&ring) == -EACCES);
    io_uring_queue_exit(&ring);
    struct io_uring target = other;
    CHECK(io_uring_queue_init(8, &ring, 0) == 0);
    PREP(msg_ring, 1, target.ring_fd, 11, 22, 0);
    submit(1);
    show("msg_ring", 1);
    io_uring_queue_exit(&ring);
    ring = target;
    show("message", 1);
}

static void test_sqpoll(void)
{
    struct io_uring other = ring;
    struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 30 };

    CHECK(io_uring_queue_init_params(8, &ring, &params) == 0);
    for (int i = 0; i < 3; i++) {
        prep_nop(1);
        prep_nop(2);
        CHECK(io_uring_submit(&ring) == 2);
        show("sqpoll", 2);
        if (i == 1)
            sleep_ms(100); /* it falls asleep */
    }
    io_uring_queue_exit(&ring);
    ring = other;
}

/* Processes end with requests under way. */
static void test_ends(void)
{
    int status;

    for (int how = 0; how < 4; how++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            struct __kernel_timespec late = { 100, 0 };
            char b[8];
            NEED(io_uring_queue_init(8, &ring, how == 3 ? IORING_SETUP_SQPOLL : 0) == 0);
            PREP(read, 1, end[0], b, 8, 0);
            PREP(timeout, 2, &late, 0, 0);
            PREP(read, 3, end[0], b, 8, 0)->flags = IOSQE_ASYNC;
            PREP(poll_add, 4, ring.ring_fd, POLLIN);
            submit(4);
            if (how == 1)
                execl("/proc/self/exe", "uring", "exit", (char *)NULL);
            if (how == 2)
                kill(getpid(), SIGKILL);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        printf("child %x\n", status);
    }
}

/* Nor does a thread that sleeps, with no request under way, keep its process. */
static void test_ends_asleep(void)
{
    struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1 };
    int status;

    pid_t child = fork();
    if (child == 0) {
        NEED(io_uring_queue_init_params(8, &ring, &params) == 0);
        while (!(__atomic_load_n(ring.sq.kflags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP))
            sleep_ms(1);
        sleep_ms(20);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    NEED(!pipe(end));
    test_setup();
    test_files();
    test_waiting();
    test_poll();
    test_drain_order();
    test_drain();
    test_blocking();
    test_overflow();
    test_sockets();
    test_full_accept();
    test_buffers();
    test_registered();
    test_restrictions();
    test_sqpoll();
    test_ends();
    test_ends_asleep();
    PREP(read, 1, end[0], calloc(1, 8), 8, 0);
    submit(1);
    return check_end();
}
