// SPDX-License-Identifier: MIT
/*
 * A signal during each call that can sleep: with a handler without SA_RESTART, with SA_RESTART, and
 * stopped and continued without any handler (signal(7)).  Linux says what comes of each.
 *
 * The call is made in a child; the parent signals it when it sleeps.  What still sleeps after that is ended
 * by a handler that leaves with "sleeps on".
 * test: variants=dynamic timeout=90 cpus=2
 */
#include "asleep.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { SUCCESS = 200, SLEEPS_ON = 201, ZERO = 202 };

static char buffer[1 << 20];
static struct iovec piece = { buffer, sizeof buffer };
static struct timespec long_time = { 20, 0 };
static uint64_t empty_set;
static int ends[2];

/* ---- The calls ----------------------------------------------------------------- */

static void pipe_make(void)
{
    NEED(!pipe(ends));
}

static void pipe_fill(void)
{
    pipe_make();
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], buffer, 4096) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
}

static void pair_make(int type)
{
    NEED(!socketpair(AF_UNIX, type, 0, ends));
}

static void pair_fill(void)
{
    pair_make(SOCK_STREAM);
    while (send(ends[1], buffer, 4096, MSG_DONTWAIT) > 0)
        ;
}

static long do_read(void)
{
    pipe_make();
    return syscall(SYS_read, ends[0], buffer, 10);
}

static long do_readv(void)
{
    pipe_make();
    return syscall(SYS_readv, ends[0], &piece, 1);
}

static long do_write(void)
{
    pipe_fill();
    return syscall(SYS_write, ends[1], buffer, 10);
}

static long do_write_partial(void)
{
    pipe_make();
    return syscall(SYS_write, ends[1], buffer, sizeof buffer);
}

static long do_writev(void)
{
    pipe_fill();
    return syscall(SYS_writev, ends[1], &piece, 1);
}

static long do_open_fifo(void)
{
    return syscall(SYS_open, "fifo", O_RDONLY);
}

static long do_openat_fifo(void)
{
    return syscall(SYS_openat, AT_FDCWD, "fifo", O_WRONLY);
}

static long do_eventfd(void)
{
    return syscall(SYS_read, eventfd(0, 0), buffer, 8);
}

static long do_timerfd(void)
{
    struct itimerspec value = { { 0, 0 }, { 20, 0 } };
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);

    timerfd_settime(fd, 0, &value, NULL);
    return syscall(SYS_read, fd, buffer, 8);
}

static long do_signalfd(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return syscall(SYS_read, signalfd(-1, &set, 0), buffer, 128);
}

static long do_inotify(void)
{
    return syscall(SYS_read, inotify_init(), buffer, 100);
}

static long do_terminal(void)
{
    int master, slave;

    NEED(!openpty(&master, &slave, NULL, NULL, NULL));
    return syscall(SYS_read, slave, buffer, 10);
}

static int listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    NEED(fd >= 0 && !listen(fd, 1));
    return fd;
}

static long do_accept(void)
{
    return syscall(SYS_accept, listener(), NULL, NULL);
}

static long do_accept4(void)
{
    return syscall(SYS_accept4, listener(), NULL, NULL, 0);
}

static long do_accept_timeout(void)
{
    struct timeval time = { 20, 0 };
    int fd = listener();

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    return syscall(SYS_accept, fd, NULL, NULL);
}

/* The queue of a UNIX listener is full. */
static long do_connect(void)
{
    struct sockaddr_un name = { AF_UNIX, "\0interrupted" };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(name.sun_path + 1, 60, "interrupted %d", getpid());
    NEED(!bind(fd, (void *)&name, sizeof name) && !listen(fd, 0));
    for (int i = 0; i < 10; i++) {
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(client, (void *)&name, sizeof name))
            break;
    }
    return syscall(SYS_connect, socket(AF_UNIX, SOCK_STREAM, 0), &name, sizeof name);
}

static long do_recvfrom(void)
{
    pair_make(SOCK_STREAM);
    return syscall(SYS_recvfrom, ends[0], buffer, 10, 0, NULL, NULL);
}

static long do_recvfrom_udp(void)
{
    return syscall(SYS_recvfrom, socket(AF_INET, SOCK_DGRAM, 0), buffer, 10, 0, NULL, NULL);
}

static long do_recvfrom_timeout(void)
{
    struct timeval time = { 20, 0 };

    pair_make(SOCK_STREAM);
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    return syscall(SYS_recvfrom, ends[0], buffer, 10, 0, NULL, NULL);
}

static long do_recvmsg(void)
{
    struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };

    pair_make(SOCK_DGRAM);
    return syscall(SYS_recvmsg, ends[0], &header, 0);
}

static long do_recvmmsg(void)
{
    struct mmsghdr header = { .msg_hdr = { .msg_iov = &piece, .msg_iovlen = 1 } };

    pair_make(SOCK_SEQPACKET);
    return syscall(SYS_recvmmsg, ends[0], &header, 1, 0, NULL);
}

static long do_sendto(void)
{
    pair_fill();
    return syscall(SYS_sendto, ends[1], buffer, 10, 0, NULL, 0);
}

static long do_sendmsg(void)
{
    struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };

    pair_fill();
    return syscall(SYS_sendmsg, ends[1], &header, 0);
}

static long do_sendmmsg(void)
{
    struct mmsghdr header = { .msg_hdr = { .msg_iov = &piece, .msg_iovlen = 1 } };

    pair_fill();
    return syscall(SYS_sendmmsg, ends[1], &header, 1, 0);
}

static struct pollfd *nothing_to_read(void)
{
    static struct pollfd entry = { .events = POLLIN };

    pipe_make();
    entry.fd = ends[0];
    return &entry;
}

static long do_poll(void)
{
    return syscall(SYS_poll, nothing_to_read(), 1, -1);
}

static long do_poll_timeout(void)
{
    return syscall(SYS_poll, nothing_to_read(), 1, 20000);
}

static long do_ppoll(void)
{
    return syscall(SYS_ppoll, nothing_to_read(), 1, &long_time, &empty_set, 8);
}

static long do_select(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(nothing_to_read()->fd, &set);
    return syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, NULL);
}

static long do_pselect6(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(nothing_to_read()->fd, &set);
    return syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &long_time, NULL);
}

static long do_epoll_wait(void)
{
    return syscall(SYS_epoll_wait, epoll_create1(0), buffer, 1, -1);
}

static long do_epoll_pwait(void)
{
    return syscall(SYS_epoll_pwait, epoll_create1(0), buffer, 1, 20000, &empty_set, 8);
}

static long do_epoll_pwait2(void)
{
    return syscall(SYS_epoll_pwait2, epoll_create1(0), buffer, 1, &long_time, &empty_set, 8);
}

static unsigned word;

static long do_futex(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long do_futex_timeout(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0);
}

static long do_futex_bitset(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 20;
    return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &until, NULL, ~0u);
}

static long do_futex_pi(void)
{
    word = (unsigned)getppid();
    return syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static long do_futex_waitv(void)
{
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } waiter = { 0, (uintptr_t)&word, 2, 0 };
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 20;
    return syscall(SYS_futex_waitv, &waiter, 1, 0, &until, CLOCK_MONOTONIC);
}

static long do_nanosleep(void)
{
    struct timespec rest = { -1, -1 };
    long result = syscall(SYS_nanosleep, &long_time, &rest);

    if (result < 0 && errno == EINTR && (rest.tv_sec < 18 || rest.tv_sec > 19))
        return -2;
    return result;
}

static long do_clock_nanosleep(void)
{
    return syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &long_time, NULL);
}

static long do_clock_nanosleep_absolute(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 20;
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static pid_t sleeping_child(void)
{
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sleep(15);
        _exit(0);
    }
    return child;
}

static long do_wait4(void)
{
    return syscall(SYS_wait4, sleeping_child(), NULL, 0, NULL);
}

static long do_waitid(void)
{
    siginfo_t info;

    sleeping_child();
    return syscall(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL);
}

static long do_flock(void)
{
    return syscall(SYS_flock, open("flocked", O_RDWR), LOCK_EX);
}

static long do_fcntl(void)
{
    struct flock lock = { .l_type = F_WRLCK };

    return syscall(SYS_fcntl, open("locked", O_RDWR), F_SETLKW, &lock);
}

static long do_fcntl_ofd(void)
{
    struct flock lock = { .l_type = F_WRLCK };

    return syscall(SYS_fcntl, open("locked", O_RDWR), F_OFD_SETLKW, &lock);
}

static long do_sigtimedwait(void)
{
    uint64_t set = 1ULL << (SIGHUP - 1);

    return syscall(SYS_rt_sigtimedwait, &set, NULL, &long_time, 8);
}

static long do_sigsuspend(void)
{
    return syscall(SYS_rt_sigsuspend, &empty_set, 8);
}

static long do_pause(void)
{
    return syscall(SYS_pause);
}

static long do_sendfile(void)
{
    int file = open("data", O_RDONLY);

    pipe_fill();
    return syscall(SYS_sendfile, ends[1], file, NULL, 100);
}

/* All children use the same objects, which stay as they are. */
static int semaphore, empty_queue, full_queue, empty_mq, full_mq;

static long do_semop(void)
{
    struct sembuf op = { 0, -1, 0 };

    return syscall(SYS_semop, semaphore, &op, 1);
}

static long do_semtimedop(void)
{
    struct sembuf op = { 0, -1, 0 };

    return syscall(SYS_semtimedop, semaphore, &op, 1, &long_time);
}

static long do_msgrcv(void)
{
    return syscall(SYS_msgrcv, empty_queue, buffer, 10, 0, 0);
}

static long do_msgsnd(void)
{
    *(long *)buffer = 1;
    return syscall(SYS_msgsnd, full_queue, buffer, 8000, 0);
}

static long do_mq_timedreceive(void)
{
    return syscall(SYS_mq_timedreceive, empty_mq, buffer, 8, NULL, NULL);
}

static long do_mq_timedsend(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    return syscall(SYS_mq_timedsend, full_mq, buffer, 1, 0, &until);
}

static int mqueue_make(void)
{
    struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
    int fd = (int)syscall(SYS_mq_open, "interrupted", O_RDWR | O_CREAT, 0600, &attr);

    NEED(fd >= 0 && syscall(SYS_mq_unlink, "interrupted") == 0);
    return fd;
}

static void objects_make(void)
{
    semaphore = semget(IPC_PRIVATE, 1, 0600);
    empty_queue = msgget(IPC_PRIVATE, 0600);
    full_queue = msgget(IPC_PRIVATE, 0600);
    NEED(semaphore >= 0 && empty_queue >= 0 && full_queue >= 0);
    *(long *)buffer = 1;
    while (!msgsnd(full_queue, buffer, 8000, IPC_NOWAIT))
        ;
    empty_mq = mqueue_make();
    full_mq = mqueue_make();
    NEED(syscall(SYS_mq_timedsend, full_mq, buffer, 1, 0, NULL) == 0);
}

static void objects_remove(void)
{
    semctl(semaphore, 0, IPC_RMID);
    msgctl(empty_queue, IPC_RMID, NULL);
    msgctl(full_queue, IPC_RMID, NULL);
}

/* ---- Cases --------------------------------------------------------------------------- */

static const struct test_case {
    const char *name;
    long (*call)(void);
} cases[] = {
    { "read of a pipe", do_read },
    { "readv", do_readv },
    { "write to a full pipe", do_write },
    { "write of more than fits", do_write_partial },
    { "writev", do_writev },
    { "open of a FIFO to read", do_open_fifo },
    { "openat of a FIFO to write", do_openat_fifo },
    { "read of an eventfd", do_eventfd },
    { "read of a timerfd", do_timerfd },
    { "read of a signalfd", do_signalfd },
    { "read of inotify", do_inotify },
    { "read of a terminal", do_terminal },
    { "accept", do_accept },
    { "accept4", do_accept4 },
    { "accept with a timeout", do_accept_timeout },
    { "connect", do_connect },
    { "recvfrom", do_recvfrom },
    { "recvfrom by UDP", do_recvfrom_udp },
    { "recvfrom with a timeout", do_recvfrom_timeout },
    { "recvmsg", do_recvmsg },
    { "recvmmsg", do_recvmmsg },
    { "sendto", do_sendto },
    { "sendmsg", do_sendmsg },
    { "sendmmsg", do_sendmmsg },
    { "poll", do_poll },
    { "poll with a timeout", do_poll_timeout },
    { "ppoll", do_ppoll },
    { "select", do_select },
    { "pselect6", do_pselect6 },
    { "epoll_wait", do_epoll_wait },
    { "epoll_pwait", do_epoll_pwait },
    { "epoll_pwait2", do_epoll_pwait2 },
    { "futex", do_futex },
    { "futex with a timeout", do_futex_timeout },
    { "futex until a time", do_futex_bitset },
    { "futex with inheritance", do_futex_pi },
    { "futex_waitv", do_futex_waitv },
    { "nanosleep", do_nanosleep },
    { "clock_nanosleep", do_clock_nanosleep },
    { "clock_nanosleep until a time", do_clock_nanosleep_absolute },
    { "wait4", do_wait4 },
    { "waitid", do_waitid },
    { "flock", do_flock },
    { "fcntl, F_SETLKW", do_fcntl },
    { "fcntl, F_OFD_SETLKW", do_fcntl_ofd },
    { "rt_sigtimedwait", do_sigtimedwait },
    { "rt_sigsuspend", do_sigsuspend },
    { "pause", do_pause },
    { "sendfile", do_sendfile },
    { "semop", do_semop },
    { "semtimedop", do_semtimedop },
    { "msgrcv", do_msgrcv },
    { "msgsnd", do_msgsnd },
    { "mq_timedreceive", do_mq_timedreceive },
    { "mq_timedsend", do_mq_timedsend },
};

static void nothing(int number)
{
    (void)number;
}

static void leave(int number)
{
    (void)number;
    _exit(SLEEPS_ON);
}

static void child_run(const struct test_case *test, int flags)
{
    struct sigaction action = { .sa_handler = nothing, .sa_flags = flags };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGUSR2, leave);
    long result = test->call();
    _exit(result == -1 ? errno : result == 0 ? ZERO : SUCCESS);
}

static const char *what_came(pid_t child)
{
    int status;

    NEED(waitpid(child, &status, 0) == child && WIFEXITED(status));
    switch (WEXITSTATUS(status)) {
    case SUCCESS:
        return "success";
    case ZERO:
        return "0";
    case SLEEPS_ON:
        return "sleeps on";
    default:
        return strerrorname_np(WEXITSTATUS(status));
    }
}

static void try_case(const struct test_case *test)
{
    static const int flags[] = { 0, SA_RESTART, 0 };
    pid_t children[3];

    fflush(stdout);
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0)
            child_run(test, flags[i]);
    }
    for (int i = 0; i < 3; i++)
        wait_asleep(children[i]);
    kill(children[0], SIGUSR1);
    kill(children[1], SIGUSR1);
    kill(children[2], SIGSTOP);
    sleep_ms(30);
    kill(children[2], SIGCONT);
    sleep_ms(60);
    for (int i = 0; i < 3; i++)
        kill(children[i], SIGUSR2);
    printf("%s: %s", test->name, what_came(children[0]));
    printf("; SA_RESTART: %s", what_came(children[1]));
    printf("; stopped: %s\n", what_came(children[2]));
}

int main(void)
{
    struct flock lock = { .l_type = F_WRLCK };
    int fd = open("locked", O_RDWR | O_CREAT, 0600);

    NEED(!fcntl(fd, F_SETLK, &lock) && !mkfifo("fifo", 0600));
    NEED(!flock(open("flocked", O_RDWR | O_CREAT, 0600), LOCK_EX));
    fd = open("data", O_RDWR | O_CREAT, 0600);
    NEED(write(fd, buffer, 1000) == 1000);
    objects_make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        try_case(&cases[i]);
    objects_remove();
    return check_end();
}
