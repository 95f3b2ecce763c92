// SPDX-License-Identifier: MIT
/*
 * Descriptors of one thread: unshare(CLONE_FILES) and close_range(CLOSE_RANGE_UNSHARE) by one of several, threads
 * made without CLONE_FILES, what their children, their end, their execve, record locks, io_uring and /proc make of it.
 *
 * test: cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FD 40 /* the one that they differ in */

static pthread_barrier_t barrier;
static pid_t other_tid;
static int pipe_fd[2];

static void wait_for_other(void)
{
    (void)pthread_barrier_wait(&barrier);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void open_at(int fd)
{
    NEED(dup2(STDOUT_FILENO, fd) == fd);
}

static bool shows(pid_t tid, const char *folder, int fd)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/self/task/%d/%s/%d", tid, folder, fd);
    return lstat(path, &st) == 0;
}

static bool lists(pid_t tid, int fd)
{
    char path[64], name[16];
    bool found = false;

    snprintf(path, sizeof(path), "/proc/self/task/%d/fd", tid);
    snprintf(name, sizeof(name), "%d", fd);
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    NEED(dir >= 0);
    char buf[4096];
    long n;
    while ((n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
        for (long at = 0; at < n; at += *(unsigned short *)(buf + at + 16))
            found |= strcmp(buf + at + 19, name) == 0;
    close(dir);
    return found;
}

static long files_compared(pid_t a, pid_t b)
{
    return syscall(SYS_kcmp, a, b, KCMP_FILES, 0, 0);
}

static bool has_hangup(int fd)
{
    struct pollfd set = { .fd = fd, .events = POLLIN };

    return poll(&set, 1, 0) == 1 && set.revents & POLLHUP;
}

static void *shares(void *arg)
{
    (void)arg;
    CHECK(is_open(FD));
    close(FD); /* for the one that made it too */
    return NULL;
}

static void *alone(void *arg)
{
    pthread_t thread;
    int status;

    (void)arg;
    other_tid = gettid();
    open_at(FD);
    wait_for_other(); /* both have it */
    wait_for_other();
    CHECK(unshare(CLONE_FILES) == 0);
    CHECK(is_open(FD));
    wait_for_other(); /* both have their own */
    close(FD);
    open_at(FD + 1);
    wait_for_other();
    wait_for_other();
    CHECK(!is_open(FD) && is_open(FD + 1));
    CHECK(unshare(CLONE_FILES) == 0);
    CHECK(!is_open(FD) && is_open(FD + 1));
    open_at(FD);
    NEED(pthread_create(&thread, NULL, shares, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(!is_open(FD));
    pid_t child = fork();
    if (child == 0)
        _exit(is_open(FD) || !is_open(FD + 1));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return NULL;
}

static void test_unshare(void)
{
    pthread_t thread;

    NEED(pthread_create(&thread, NULL, alone, NULL) == 0);
    wait_for_other();
    CHECK(is_open(FD) && files_compared(gettid(), other_tid) == 0);
    CHECK(unshare(CLONE_VM) < 0 && errno == EINVAL);
    wait_for_other();
    wait_for_other();
    CHECK(files_compared(gettid(), other_tid) > 0);
    wait_for_other();
    CHECK(is_open(FD) && !is_open(FD + 1));
    CHECK(shows(gettid(), "fd", FD) && !shows(other_tid, "fd", FD));
    CHECK(!shows(gettid(), "fd", FD + 1) && shows(other_tid, "fd", FD + 1));
    CHECK(shows(other_tid, "fdinfo", FD + 1) && !shows(other_tid, "fdinfo", FD));
    CHECK(lists(other_tid, FD + 1) && !lists(other_tid, FD) && lists(gettid(), FD));
    CHECK(syscall(SYS_kcmp, gettid(), other_tid, KCMP_FILE, 1, FD + 1) == 0);
    CHECK(syscall(SYS_kcmp, gettid(), other_tid, KCMP_FILE, FD, FD) < 0 && errno == EBADF);
    wait_for_other();
    pthread_join(thread, NULL);
    CHECK(is_open(FD) && !is_open(FD + 1));
    close(FD);
}

static void *closes_range(void *arg)
{
    (void)arg;
    CHECK(close_range(FD, FD + 1, CLOSE_RANGE_UNSHARE) == 0);
    CHECK(!is_open(FD) && !is_open(FD + 1) && is_open(FD + 2));
    CHECK(close_range(3, ~0U, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) == 0);
    CHECK(fcntl(FD + 2, F_GETFD) == FD_CLOEXEC);
    return NULL;
}

static void test_close_range(void)
{
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        open_at(FD + i);
    NEED(pthread_create(&thread, NULL, closes_range, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(is_open(FD) && is_open(FD + 1) && fcntl(FD + 2, F_GETFD) == 0);
    close_range(FD, FD + 2, 0);
}

/* A file that only one thread's table holds is closed with the thread, or when it closes it. */
static void *keeps_pipe(void *arg)
{
    (void)arg;
    CHECK(unshare(CLONE_FILES) == 0);
    wait_for_other();
    wait_for_other();
    return NULL;
}

static void test_last_user(void)
{
    pthread_t thread;

    NEED(pipe(pipe_fd) == 0);
    NEED(pthread_create(&thread, NULL, keeps_pipe, NULL) == 0);
    wait_for_other();
    close(pipe_fd[1]);
    CHECK(!has_hangup(pipe_fd[0]));
    wait_for_other();
    pthread_join(thread, NULL);
    /* It may be joined before it is gone. */
    struct pollfd set = { .fd = pipe_fd[0] };
    CHECK(poll(&set, 1, 10000) == 1 && set.revents == POLLHUP);
    close(pipe_fd[0]);
}

/* The first thread takes another table when the second has its own already: nobody holds the old one. */
static void *closes_own(void *arg)
{
    (void)arg;
    CHECK(unshare(CLONE_FILES) == 0);
    close(pipe_fd[1]);
    wait_for_other();
    wait_for_other();
    return NULL;
}

static void test_both_leave(void)
{
    pthread_t thread;

    NEED(pipe(pipe_fd) == 0);
    NEED(pthread_create(&thread, NULL, closes_own, NULL) == 0);
    wait_for_other();
    CHECK(unshare(CLONE_FILES) == 0);
    close(pipe_fd[1]);
    CHECK(has_hangup(pipe_fd[0]));
    wait_for_other();
    pthread_join(thread, NULL);
    close(pipe_fd[0]);
}

/* The first thread ends; what only it had is closed. */
static void *survives(void *arg)
{
    (void)arg;
    if (unshare(CLONE_FILES))
        _exit(1);
    close(pipe_fd[1]);
    wait_for_other();
    struct pollfd set = { .fd = pipe_fd[0] };
    _exit(poll(&set, 1, 10000) == 1 && set.revents == POLLHUP ? 0 : 2);
}

static void test_first_ends(void)
{
    int status;

    NEED(pipe(pipe_fd) == 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, survives, NULL))
            _exit(3);
        wait_for_other();
        pthread_exit(NULL);
    }
    close(pipe_fd[1]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(pipe_fd[0]);
}

/* A thread made without CLONE_FILES begins with a copy. */
static int done;

static int goes_away(void *arg)
{
    (void)arg;
    CHECK(syscall(SYS_fcntl, FD, F_GETFD) == 0);
    CHECK(syscall(SYS_close, FD) == 0);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    syscall(SYS_exit, 0);
    return 0;
}

static void test_clone(void)
{
    size_t size = 65536;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS;

    NEED(stack != MAP_FAILED);
    open_at(FD);
    NEED(clone(goes_away, stack + size, flags, NULL) > 0);
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        sched_yield();
    CHECK(is_open(FD));
    close(FD);
}

/* Record locks belong to a table: another of the same process conflicts.  They survive where nothing is unshared. */
static struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

static void *conflicts(void *arg)
{
    int fd = *(int *)arg;

    CHECK(fcntl(fd, F_SETLK, &whole) == 0);
    CHECK(unshare(CLONE_FILES) == 0);
    CHECK(fcntl(fd, F_SETLK, &whole) < 0 && (errno == EAGAIN || errno == EACCES));
    return NULL;
}

static bool is_locked_for_others(int fd)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(fcntl(fd, F_SETLK, &whole) < 0);
    NEED(waitpid(child, &status, 0) == child);
    return status != 0;
}

static void test_locks(void)
{
    pthread_t thread;
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

    NEED(fd >= 0);
    CHECK(fcntl(fd, F_SETLK, &whole) == 0);
    CHECK(unshare(CLONE_FILES) == 0); /* alone: nothing happens */
    CHECK(is_locked_for_others(fd));
    NEED(pthread_create(&thread, NULL, conflicts, &fd) == 0);
    pthread_join(thread, NULL);
    CHECK(is_locked_for_others(fd));
    close(fd);
}

/* A request is carried out with the descriptors of the thread that submitted it. */
static void *submits(void *arg)
{
    struct io_uring_params params = { 0 };

    (void)arg;
    CHECK(unshare(CLONE_FILES | CLONE_FS) == 0);
    CHECK(chdir("/proc") == 0);
    int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    NEED(ring >= 0);
    size_t sq = params.sq_off.array + params.sq_entries * 4;
    size_t cq = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *rings =
        mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = mmap(NULL, params.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE,
                                    MAP_SHARED, ring, IORING_OFF_SQES);
    NEED(rings != MAP_FAILED && sqe != MAP_FAILED);
    *sqe = (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
                                  .fd = AT_FDCWD,
                                  .addr = (uintptr_t) "version" };
    ((unsigned *)(rings + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    CHECK(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
    const struct io_uring_cqe *cqe = (const void *)(rings + params.cq_off.cqes);
    CHECK(cqe->res > ring && is_open(cqe->res));
    return (void *)(intptr_t)cqe->res;
}

static void test_uring(void)
{
    pthread_t thread;
    void *fd;

    NEED(pthread_create(&thread, NULL, submits, NULL) == 0);
    pthread_join(thread, &fd);
    CHECK(!is_open((int)(intptr_t)fd));
}

/* execve by a thread with its own: the program goes on with that. */
static void *executes(void *arg)
{
    char *argv[] = { arg, "executed", NULL };

    if (unshare(CLONE_FILES))
        _exit(2);
    open_at(FD + 1);
    close(FD);
    open_at(FD + 2);
    fcntl(FD + 2, F_SETFD, FD_CLOEXEC);
    execv("/proc/self/exe", argv);
    _exit(3);
}

static void test_exec(char *name)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        pthread_t thread;
        open_at(FD);
        if (pthread_create(&thread, NULL, executes, name))
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return !is_open(FD) && is_open(FD + 1) && !is_open(FD + 2) ? 0 : 4;
    NEED(pthread_barrier_init(&barrier, NULL, 2) == 0);
    test_unshare();
    test_close_range();
    test_last_user();
    test_both_leave();
    test_first_ends();
    test_clone();
    test_locks();
    test_uring();
    test_exec(argv[0]);
    return check_end();
}
