// SPDX-License-Identifier: MIT
/*
 * Signal-driven I/O: O_ASYNC by F_SETFL and FIOASYNC, SIGIO or the signal of F_SETSIG with si_fd and si_band, to
 * a process, a thread or a group, on pipes, sockets, terminals and inotify; what does not take O_ASYNC.
 */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

static sigset_t all;
static int rt;

/* The signal that is pending, or comes within ms; its number, 0: none. */
static int next_signal(siginfo_t *info, int ms)
{
    struct timespec timeout = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    int signo = sigtimedwait(&all, info, &timeout);

    return signo < 0 ? 0 : signo;
}

/* At once: what a call did is pending when it returns. */
static bool is_told(int fd, int code, long band)
{
    siginfo_t info = { 0 };
    int signo = next_signal(&info, 0);

    if (signo == rt && info.si_code == code && info.si_fd == fd && info.si_band == band)
        return true;
    printf("signal %d code %d fd %d band %lx\n", signo, info.si_code, info.si_fd,
           signo == rt ? info.si_band : 0);
    return false;
}

static bool is_quiet(void)
{
    siginfo_t info;
    int signo = next_signal(&info, 0);

    if (signo)
        printf("signal %d code %d\n", signo, info.si_code);
    return signo == 0;
}

static void begin(int fd, int signo)
{
    CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
    CHECK(fcntl(fd, F_SETSIG, signo) == 0 && fcntl(fd, F_GETSIG) == signo);
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) == 0);
    CHECK(fcntl(fd, F_GETFL) & O_ASYNC);
}

#define IN  (POLLIN | POLLRDNORM)
#define OUT (POLLOUT | POLLWRNORM | POLLWRBAND)

static void test_sigio(void)
{
    int fd[2];
    siginfo_t info;
    char c;

    NEED(pipe(fd) == 0);
    CHECK(fcntl(fd[0], F_SETFL, O_ASYNC) == 0);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(is_quiet()); /* nobody owns it */
    CHECK(read(fd[0], &c, 1) == 1);
    CHECK(fcntl(fd[0], F_SETOWN, getpid()) == 0);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(next_signal(&info, 0) == SIGIO && info.si_code == SI_KERNEL);
    CHECK(write(fd[1], "a", 1) == 1); /* more of the same */
    CHECK(next_signal(&info, 0) == SIGIO);
    CHECK(fcntl(fd[0], F_SETFL, 0) == 0 && !(fcntl(fd[0], F_GETFL) & O_ASYNC));
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(is_quiet());
    int on = 1;
    CHECK(ioctl(fd[0], FIOASYNC, &on) == 0 && fcntl(fd[0], F_GETFL) & O_ASYNC);
    CHECK(ioctl(fd[0], FIOASYNC, &on) == 0);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(next_signal(&info, 0) == SIGIO);
    on = 0;
    CHECK(ioctl(fd[0], FIOASYNC, &on) == 0 && !(fcntl(fd[0], F_GETFL) & O_ASYNC));
    CHECK(fcntl(fd[0], F_SETFL, O_ASYNC) == 0);
    CHECK(fcntl(fd[0], F_SETOWN, 0) == 0);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(is_quiet());
    close(fd[0]);
    close(fd[1]);
}

static void test_pipe(void)
{
    int fd[2], copy;
    char buf[8];

    NEED(pipe(fd) == 0);
    begin(fd[0], rt);
    begin(fd[1], rt);
    CHECK(write(fd[1], "ab", 2) == 2);
    CHECK(is_told(fd[0], POLL_IN, IN) && is_quiet());
    CHECK(read(fd[0], buf, 1) == 1);
    CHECK(is_told(fd[1], POLL_OUT, OUT) && is_quiet());
    copy = dup(fd[0]);
    CHECK(close(fd[0]) == 0); /* the descriptor that asked for it is still named */
    CHECK(write(fd[1], "ab", 2) == 2);
    CHECK(is_told(fd[0], POLL_IN, IN));
    CHECK(close(copy) == 0); /* no reader is left */
    CHECK(is_told(fd[1], POLL_OUT, OUT) && is_quiet());
    CHECK(close(fd[1]) == 0);
    CHECK(is_quiet());

    NEED(pipe(fd) == 0);
    begin(fd[0], rt);
    close(fd[1]);
    CHECK(is_told(fd[0], POLL_IN, IN) && is_quiet());
    close(fd[0]);
}

/* A signal with codes of its own. */
static void test_codes(void)
{
    int fd[2];
    siginfo_t info;

    NEED(pipe(fd) == 0);
    begin(fd[0], SIGIO);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(next_signal(&info, 0) == SIGIO && info.si_code == POLL_IN && info.si_fd == fd[0]);
    CHECK(info.si_band == IN);
    CHECK(fcntl(fd[0], F_SETSIG, SIGTRAP) == 0);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(next_signal(&info, 0) == SIGTRAP && info.si_code == SI_SIGIO);
    CHECK(fcntl(fd[0], F_SETSIG, 65) < 0 && errno == EINVAL);
    close(fd[0]);
    close(fd[1]);
}

static void test_unix(int type)
{
    int fd[2];
    char buf[8];

    NEED(socketpair(AF_UNIX, type, 0, fd) == 0);
    begin(fd[0], rt);
    CHECK(write(fd[1], "ab", 2) == 2);
    CHECK(is_told(fd[0], POLL_IN, IN) && is_quiet());
    CHECK(write(fd[0], "ab", 2) == 2);
    CHECK(read(fd[1], buf, 2) == 2);
    CHECK(is_quiet()); /* there always was room */
    CHECK(shutdown(fd[0], SHUT_WR) == 0);
    CHECK(is_quiet());
    if (type != SOCK_DGRAM) {
        CHECK(shutdown(fd[1], SHUT_WR) == 0);
        CHECK(next_signal(&(siginfo_t){ 0 }, 0) == rt && is_quiet());
        close(fd[1]);
        CHECK(is_told(fd[0], POLL_HUP, POLLHUP | POLLERR) && is_quiet());
    } else {
        close(fd[1]);
    }
    close(fd[0]);

    NEED(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fd) == 0);
    char block[4096] = "";
    begin(fd[0], rt);
    while (write(fd[0], block, sizeof(block)) > 0)
        ;
    CHECK(errno == EAGAIN && is_quiet());
    while (read(fd[1], block, sizeof(block)) > 0)
        ;
    CHECK(is_told(fd[0], POLL_OUT, OUT));
    close(fd[0]);
    close(fd[1]);
    while (next_signal(&(siginfo_t){ 0 }, 0))
        ;
}

/* What arrives over the loopback may take a moment. */
static bool comes(int fd, int code, long band)
{
    siginfo_t info = { 0 };
    int signo = next_signal(&info, 10000);

    if (signo == rt && info.si_code == code && info.si_fd == fd && info.si_band == band)
        return true;
    printf("signal %d code %d fd %d band %lx\n", signo, info.si_code, info.si_fd,
           signo == rt ? info.si_band : 0);
    return false;
}

static int bound(int type, struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, type, 0);

    *address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    NEED(fd >= 0 && bind(fd, (void *)address, len) == 0);
    NEED(getsockname(fd, (void *)address, &len) == 0);
    return fd;
}

static void test_inet(void)
{
    struct sockaddr_in address;
    char c;
    int udp = bound(SOCK_DGRAM, &address), client = socket(AF_INET, SOCK_DGRAM, 0);

    begin(udp, rt);
    CHECK(sendto(client, "a", 1, 0, (void *)&address, sizeof(address)) == 1);
    CHECK(comes(udp, POLL_IN, IN) && is_quiet());
    close(udp);
    close(client);

    int listener = bound(SOCK_STREAM, &address);
    NEED(listen(listener, 1) == 0);
    begin(listener, rt);
    client = socket(AF_INET, SOCK_STREAM, 0);
    NEED(connect(client, (void *)&address, sizeof(address)) == 0);
    CHECK(comes(listener, POLL_IN, IN));
    int server = accept(listener, NULL, NULL);
    NEED(server >= 0);
    CHECK(!(fcntl(server, F_GETFL) & O_ASYNC) && fcntl(server, F_GETOWN) == 0);
    begin(server, rt);
    CHECK(write(client, "a", 1) == 1);
    CHECK(comes(server, POLL_IN, IN));
    CHECK(read(server, &c, 1) == 1);
    CHECK(send(client, "b", 1, MSG_OOB) == 1);
    siginfo_t info;
    bool has_urgent = false;
    /* SIGURG is plain; O_ASYNC with a signal of its own tells too. */
    while (!has_urgent) {
        int signo = next_signal(&info, 10000);
        NEED(signo);
        has_urgent =
            signo == rt && info.si_code == POLL_PRI && info.si_band == (POLLPRI | POLLRDBAND);
    }
    close(client);
    close(server);
    close(listener);
    while (next_signal(&info, 100))
        ;
}

/* The thread, and no other. */
static int thread_pipe[2];

static void *owns(void *arg)
{
    struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };
    siginfo_t info;

    (void)arg;
    begin(thread_pipe[0], rt);
    CHECK(fcntl(thread_pipe[0], F_SETOWN_EX, &owner) == 0);
    CHECK(write(thread_pipe[1], "a", 1) == 1);
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, rt));
    CHECK(next_signal(&info, 0) == rt && info.si_fd == thread_pipe[0]);
    return NULL;
}

static void test_thread(void)
{
    pthread_t thread;

    NEED(pipe(thread_pipe) == 0);
    NEED(pthread_create(&thread, NULL, owns, NULL) == 0);
    pthread_join(thread, NULL);
    close(thread_pipe[0]);
    close(thread_pipe[1]);
}

static void test_group(void)
{
    int fd[2], ready[2];
    char c;
    int status;

    NEED(pipe(fd) == 0 && pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        siginfo_t info;
        setpgid(0, 0);
        CHECK(write(ready[1], "r", 1) == 1);
        _exit(next_signal(&info, 10000) == rt && info.si_fd == fd[0] && info.si_code == POLL_IN
                  ? 0
                  : 1);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    begin(fd[0], rt);
    CHECK(fcntl(fd[0], F_SETOWN, -child) == 0 && fcntl(fd[0], F_GETOWN) == -child);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(is_quiet());
    CHECK(fcntl(fd[0], F_GETOWN) == 0);
    close(fd[0]);
    close(fd[1]);
}

static void test_terminal(void)
{
    siginfo_t info;
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    NEED(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    NEED(slave >= 0);
    CHECK(fcntl(slave, F_SETSIG, rt) == 0);
    CHECK(fcntl(slave, F_GETOWN) == 0);
    CHECK(fcntl(slave, F_SETFL, O_RDWR | O_ASYNC) == 0);
    CHECK(fcntl(slave, F_GETOWN) == getpid()); /* by itself */
    CHECK(write(master, "half", 4) == 4);
    CHECK(next_signal(&info, 50) == 0); /* no line yet */
    CHECK(write(master, "\n", 1) == 1);
    CHECK(comes(slave, POLL_IN, IN));
    while (next_signal(&info, 0))
        ;
    CHECK(fcntl(master, F_SETSIG, rt) == 0);
    CHECK(fcntl(master, F_SETFL, O_RDWR | O_ASYNC) == 0 && fcntl(master, F_GETOWN) == getpid());
    CHECK(write(slave, "out", 3) == 3);
    CHECK(comes(master, POLL_IN, IN));
    close(slave);
    close(master);
    while (next_signal(&info, 0))
        ;
}

static void test_inotify(void)
{
    int fd = inotify_init1(IN_NONBLOCK);

    NEED(fd >= 0 && inotify_add_watch(fd, "/tmp", IN_CREATE) >= 0);
    begin(fd, rt);
    int made = open("/tmp/async_io", O_CREAT | O_RDWR, 0600);
    NEED(made >= 0);
    CHECK(is_told(fd, POLL_IN, IN));
    close(made);
    unlink("/tmp/async_io");
    close(fd);
}

/* Those that have no such thing keep the flag clear; FIOASYNC says so. */
static void test_others(void)
{
    int on = 1, off = 0;
    int fds[] = { eventfd(0, 0), epoll_create1(0), open("/tmp", O_TMPFILE | O_RDWR, 0600),
                  open("/dev/null", O_RDWR) };

    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        NEED(fds[i] >= 0);
        CHECK(fcntl(fds[i], F_SETFL, O_ASYNC) == 0 && !(fcntl(fds[i], F_GETFL) & O_ASYNC));
        CHECK(ioctl(fds[i], FIOASYNC, &on) < 0 && errno == ENOTTY);
        CHECK(ioctl(fds[i], FIOASYNC, &off) == 0);
        close(fds[i]);
    }
}

/* Who waits for the signal by signalfd and epoll is woken out of another's wake-up. */
static void test_signalfd(void)
{
    int fd[2], sfd = signalfd(-1, &all, SFD_NONBLOCK), ep = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN };
    struct signalfd_siginfo info;

    NEED(pipe(fd) == 0 && sfd >= 0 && ep >= 0);
    NEED(epoll_ctl(ep, EPOLL_CTL_ADD, sfd, &event) == 0);
    begin(fd[0], rt);
    CHECK(epoll_wait(ep, &event, 1, 0) == 0);
    CHECK(write(fd[1], "a", 1) == 1);
    CHECK(epoll_wait(ep, &event, 1, 0) == 1);
    CHECK(read(sfd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == (unsigned)rt &&
          info.ssi_fd == fd[0] && info.ssi_band == IN);
    close(fd[0]);
    close(fd[1]);
    close(sfd);
    close(ep);
}

int main(void)
{
    rt = SIGRTMIN + 3;
    sigemptyset(&all);
    sigaddset(&all, SIGIO);
    sigaddset(&all, SIGTRAP);
    sigaddset(&all, SIGURG);
    sigaddset(&all, rt);
    sigprocmask(SIG_BLOCK, &all, NULL);
    test_sigio();
    test_pipe();
    test_codes();
    test_unix(SOCK_STREAM);
    test_unix(SOCK_DGRAM);
    test_inet();
    test_thread();
    test_group();
    test_terminal();
    test_inotify();
    test_others();
    test_signalfd();
    return check_end();
}
