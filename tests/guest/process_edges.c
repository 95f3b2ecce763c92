// SPDX-License-Identifier: MIT
/*
 * The rarer sides of calls about processes: clone3's other flags, pidfds that do not block and of zombies, kill to all,
 * giving up a terminal, leases, options that few set; and epoll_pwait2's time-outs.
 * test: cpus=2 timeout=60 roads=patched
 */
#include "check.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif

static int wait_for(pid_t pid)
{
    int status = -1;
    CHECK(waitpid(pid, &status, __WALL) == pid);
    return status;
}

/* What a call returned, without numbers that differ. */
static void say(const char *what, long result)
{
    printf("%s: %s\n", what, result >= 0 ? "works" : strerrorname_np(errno));
}

/* ---- clone3 ---------------------------------------------------------------------------- */

static void on_signal(int signo)
{
    (void)signo;
}

static long clone3(struct clone_args *args)
{
    return syscall(SYS_clone3, args, sizeof *args);
}

/* Of a child that says with its status what it found. */
static int clone_status(uint64_t flags, int (*body)(void))
{
    struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
    fflush(stdout);
    pid_t pid = (pid_t)clone3(&args);
    if (pid == 0)
        _exit(body());
    NEED(pid > 0);
    int status = wait_for(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

static int handlers(void)
{
    struct sigaction usr1, usr2, term;
    sigaction(SIGUSR1, NULL, &usr1);
    sigaction(SIGUSR2, NULL, &usr2);
    sigaction(SIGTERM, NULL, &term);
    return (usr1.sa_handler == on_signal) + 2 * (usr2.sa_handler == SIG_IGN) +
           4 * (term.sa_handler == SIG_DFL);
}

static void test_clone3(void)
{
    int pidfd = -1;
    pid_t tids[] = { 1, 2 };
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, SIG_IGN);
    printf("handlers %d, cleared %d\n", clone_status(0, handlers),
           clone_status(CLONE_CLEAR_SIGHAND, handlers));
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    struct clone_args bad[] = {
        { .flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD },
        { .flags = CLONE_DETACHED, .exit_signal = SIGCHLD },
        { .flags = 17, .exit_signal = SIGCHLD },
        { .flags = CLONE_THREAD | CLONE_VM, .exit_signal = 0 },
        { .flags = CLONE_PARENT, .exit_signal = SIGCHLD },
        { .flags = 1ULL << 40, .exit_signal = SIGCHLD },
        { .exit_signal = 65 },
        { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = 8 },
        { .exit_signal = SIGCHLD, .stack_size = 4096 },
        { .exit_signal = SIGCHLD, .set_tid_size = 1 },
        { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids },
        { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = 33 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fflush(stdout);
        long pid = clone3(&bad[i]);
        if (pid == 0)
            _exit(0);
        printf("%zu ", i);
        say("clone3", pid);
        if (pid > 0)
            wait_for((pid_t)pid);
    }
    struct clone_args chosen = { .flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
                                 .exit_signal = SIGCHLD,
                                 .pidfd = (uintptr_t)&pidfd,
                                 .parent_tid = (uintptr_t)&pidfd };
    CHECK_ERRNO(clone3(&chosen), EINVAL); /* two for one place */
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &pidfd, 0, 0),
                EINVAL);
    CHECK(pidfd == -1);
}

/* ---- pidfds ------------------------------------------------------------------------------ */

static void test_pidfds(void)
{
    int gate[2];
    siginfo_t info = { 0 };
    NEED(!pipe(gate));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        (void)!read(gate[0], &byte, 1);
        _exit(9);
    }
    int fd = (int)syscall(SYS_pidfd_open, pid, PIDFD_NONBLOCK);
    CHECK(fd >= 0 && fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN);
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK_ERRNO(syscall(SYS_pidfd_open, pid, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_open, 0, 0), EINVAL);
    CHECK_ERRNO(read(fd, &info, 8), EINVAL);
    CHECK_ERRNO(write(fd, &info, 8), EINVAL);
    char path[64], line[128];
    int shown = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        (void)sscanf(line, "Pid: %d", &shown);
    if (file)
        fclose(file);
    CHECK(shown == pid);

    int epoll = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = 5 };
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(write(gate[1], "x", 1) == 1);
    CHECK(epoll_wait(epoll, &event, 1, 10000) == 1 && event.data.u32 == 5);
    CHECK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0); /* a zombie gets it */
    int again = (int)syscall(SYS_pidfd_open, pid, 0);
    CHECK(again >= 0);
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 9);
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_status == 9);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), ESRCH);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)gate[0], &info, WEXITED), EBADF);
    close(again);
    close(epoll);
    close(fd);

    close(gate[0]);
    close(gate[1]);
}

/* ---- kill(-1) -------------------------------------------------------------------------------- */

/* As nobody, so that on Linux only its own hear it; its sender does not. */
static void test_kill_all(void)
{
    enum { N = 3 };
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t pids[N];
        int nkilled = 0;
        if (setresgid(54331, 54331, 54331) || setresuid(54331, 54331, 54331))
            _exit(100);
        for (int i = 0; i < N; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                if (i == 1)
                    setsid();
                for (;;)
                    pause();
            }
        }
        if (kill(-1, SIGTERM))
            _exit(101);
        for (int i = 0; i < N; i++) {
            int status;
            nkilled += waitpid(pids[i], &status, 0) == pids[i] && WIFSIGNALED(status) &&
                       WTERMSIG(status) == SIGTERM;
        }
        _exit(nkilled);
    }
    int status = wait_for(pid);
    printf("kill(-1): %#x\n", status);
}

/* ---- A terminal that is given up ----------------------------------------------------------------- */

static volatile sig_atomic_t nhangups, nconts;

static void count_signal(int signo)
{
    nhangups += signo == SIGHUP;
    nconts += signo == SIGCONT;
}

/* A process that looks for its terminal when it is told: 0, it has none. */
static pid_t start_member(int terminal, int go[2])
{
    char byte;

    NEED(!pipe(go));
    fflush(stdout);
    pid_t member = fork();
    if (member == 0) {
        close(go[1]);
        CHECK(read(go[0], &byte, 1) == 1);
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        CHECK_ERRNO(tcgetpgrp(terminal), ENOTTY);
        _exit(check_failures);
    }
    close(go[0]);
    return member;
}

static int ask_member(pid_t member, const int go[2])
{
    CHECK(write(go[1], "x", 1) == 1);
    close(go[1]);
    return wait_for(member);
}

static void test_give_up_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    NEED(master >= 0 && !grantpt(master) && !unlockpt(master));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int ready[2], go[2], before[2];
        char byte;
        setsid();
        int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
        pid_t older = start_member(terminal, before);
        CHECK(ioctl(terminal, TIOCSCTTY, 0) == 0 && tcgetsid(terminal) == getpid());
        CHECK(ask_member(older, before) == 0); /* only its leader claimed it */
        signal(SIGHUP, count_signal);
        signal(SIGCONT, count_signal);
        NEED(!pipe(ready));
        pid_t member = fork();
        if (member == 0) {
            CHECK(ioctl(terminal, TIOCNOTTY) == 0); /* no leader: only for itself */
            CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
            CHECK_ERRNO(ioctl(terminal, TIOCNOTTY), ENOTTY);
            CHECK(write(ready[1], "x", 1) == 1);
            _exit(check_failures);
        }
        CHECK(read(ready[0], &byte, 1) == 1 && wait_for(member) == 0);
        int own = open("/dev/tty", O_RDWR);
        CHECK(own >= 0 && nhangups == 0);
        close(own);
        member = start_member(terminal, go);
        CHECK(ioctl(terminal, TIOCNOTTY) == 0);
        CHECK(nhangups == 1 && nconts == 1);
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        CHECK_ERRNO(tcgetpgrp(terminal), ENOTTY);
        CHECK(ioctl(terminal, TIOCSCTTY, 0) == 0 && tcgetsid(terminal) == getpid());
        CHECK(ask_member(member, go) == 0); /* this claim is not its own */
        _exit(check_failures != 0);
    }
    CHECK(wait_for(pid) == 0);
    close(master);
}

/* ---- Leases, epoll ---------------------------------------------------------------------------------- */

/* Without leases F_SETLEASE is EINVAL; who has them is not asked here, as a Linux with them gives one. */
static void test_leases(void)
{
    int fd = open("/dev/null", O_RDONLY), ends[2];
    NEED(fd >= 0 && !pipe(ends));
    CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_RDLCK), EINVAL);
    CHECK_ERRNO(fcntl(ends[0], F_SETLEASE, F_RDLCK), EINVAL);
    CHECK_ERRNO(fcntl(-1, F_SETLEASE, F_RDLCK), EBADF);
    CHECK_ERRNO(fcntl(-1, F_GETLEASE), EBADF);
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

static void test_epoll_times(void)
{
    int epoll = epoll_create1(0);
    struct epoll_event event;
    struct timespec wait = { 0, 20000000 }, none = { 0, 0 }, bad = { 0, 1000000000 },
                    less = { -1, 0 };
    int64_t begun = now_ns();
    CHECK(syscall(SYS_epoll_pwait2, epoll, &event, 1, &wait, NULL, 0) == 0);
    CHECK(now_ns() - begun >= 20000000);
    begun = now_ns();
    CHECK(syscall(SYS_epoll_pwait2, epoll, &event, 1, &none, NULL, 0) == 0);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 1, &bad, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 1, &less, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 0, &none, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 1, 8L, NULL, 0), EFAULT);

    /* A signal that is only let through while it waits. */
    sigset_t blocked, nothing;
    sigemptyset(&nothing);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    CHECK(syscall(SYS_epoll_pwait2, epoll, &event, 1, &none, NULL, 0) == 0);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 1, NULL, &nothing, 8), EINTR);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 1, &none, &nothing, 4), EINVAL);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    close(epoll);
}

/* ---- Options ---------------------------------------------------------------------------------------- */

static void test_prctl(void)
{
    CHECK(prctl(PR_GET_DUMPABLE) == 1);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
    CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1L, 0, 0, 0) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
    CHECK(prctl(PR_SET_KEEPCAPS, 0L, 0, 0, 0) == 0);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2L, 0, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65L), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_NAME, 8L), EFAULT);
    CHECK_ERRNO(prctl(PR_CAPBSET_READ, 1000L), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 2L, 0, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0 ? prctl(0x7777L) : 0, EINVAL);
    int is_reaper = -1;
    CHECK(prctl(PR_GET_CHILD_SUBREAPER, &is_reaper) == 0 && is_reaper == 0);
    CHECK_ERRNO(prctl(PR_GET_CHILD_SUBREAPER, 8L), EFAULT);
    CHECK(prctl(PR_GET_TIMING) == PR_TIMING_STATISTICAL);
    CHECK_ERRNO(prctl(PR_SET_TIMING, (long)PR_TIMING_TIMESTAMP), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_TSC, 9L), EINVAL);
}

int main(void)
{
    test_clone3();
    test_pidfds();
    test_kill_all();
    test_give_up_terminal();
    test_leases();
    test_epoll_times();
    test_prctl();
    return check_end();
}
