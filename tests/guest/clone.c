// SPDX-License-Identifier: MIT
/*
 * clone and clone3 with their flags, parents and orphans, waitid, credentials, limits.
 * test: variants=dynamic cpus=2 timeout=60 roads=patched
 */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;

static int set_shared(void *arg)
{
    shared = (int)(long)arg;
    return 5;
}

static int close_it(void *arg)
{
    close((int)(long)arg);
    return chdir("/tmp");
}

static void test_clone(void)
{
    int status, fd = open("/dev/null", O_RDONLY);
    char *top = stack + sizeof(stack), cwd[4096], here[4096];

    pid_t pid = clone(set_shared, top, CLONE_VM | SIGCHLD, (void *)3L);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5 && shared == 3);
    pid = clone(set_shared, top, SIGCHLD, (void *)4L); /* its own memory */
    CHECK(waitpid(pid, &status, 0) == pid && shared == 3);
    NEED(!chdir("/") && getcwd(here, sizeof(here)));
    pid = clone(close_it, top, CLONE_FILES | CLONE_FS | SIGCHLD, (void *)(long)fd);
    CHECK(waitpid(pid, &status, 0) == pid && fcntl(fd, F_GETFD) == -1);
    CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/tmp"));
    /* Not SIGCHLD: only waited for by those who say so. */
    signal(SIGUSR1, SIG_IGN);
    pid = clone(set_shared, top, CLONE_VM | SIGUSR1 | CLONE_VFORK, (void *)6L);
    CHECK(shared == 6);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK(waitpid(pid, &status, __WALL) == pid);
    pid = clone(set_shared, top, 0, (void *)6L);
    CHECK(waitpid(pid, &status, __WCLONE) == pid);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
}

static void test_clone3(void)
{
    struct clone_args args = { .exit_signal = SIGCHLD };
    int status, pidfd = -1;
    pid_t parent_tid = 0;

    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        _exit(21);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 21);
    args.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
    args.pidfd = (uintptr_t)&pidfd;
    args.parent_tid = (uintptr_t)&parent_tid;
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0) {
        sleep_ms(30);
        _exit(22);
    }
    CHECK(pid > 0 && pidfd >= 0 && parent_tid == pid);
    CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
    struct pollfd poller = { pidfd, POLLIN, 0 };
    CHECK(poll(&poller, 1, 5000) == 1 && poller.revents == POLLIN);
    siginfo_t info = { 0 };
    CHECK(!waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) && info.si_pid == pid &&
          info.si_status == 22);
    close(pidfd);
    struct {
        struct clone_args args;
        uint64_t more;
    } longer = { .args = { .exit_signal = SIGCHLD }, .more = 1 };
    CHECK_ERRNO(syscall(SYS_clone3, &longer, sizeof(longer)), E2BIG);
    CHECK_ERRNO(syscall(SYS_clone3, &args, 32), EINVAL);
    args = (struct clone_args){ .exit_signal = 300 };
    CHECK_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
    args = (struct clone_args){ .stack = 4096 };
    CHECK_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
}

static void test_orphans(void)
{
    int ends[2];
    pid_t inner = 0;

    NEED(!pipe(ends));
    CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t pid = fork();
    if (pid == 0) {
        inner = fork();
        if (inner == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            (void)!write(ends[1], "r", 1);
            for (;;)
                pause();
        }
        char c;
        (void)!read(ends[0], &c, 1);
        (void)!write(ends[1], &inner, sizeof(inner));
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(read(ends[0], &inner, sizeof(inner)) == sizeof(inner));
    /* It is ours now, and its parent's death killed it. */
    CHECK(waitpid(inner, &status, 0) == inner && WIFSIGNALED(status) &&
          WTERMSIG(status) == SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
    CHECK_ERRNO(wait4(-1, &status, 0x40, NULL), EINVAL);
    CHECK_ERRNO(waitid(P_ALL, 0, NULL, WNOHANG), EINVAL);
}

static int make_sibling(void *arg)
{
    int flags = (int)(long)arg;
    pid_t session = setsid();

    if (syscall(SYS_clone, flags, 0, 0, 0, 0) < 0)
        return 1;
    /* The sibling comes here, too: it is the parent's child, but in our session and group. */
    return session < 0 || getsid(0) != session || getpgrp() != session;
}

/* A child cannot choose with which signal its parent hears of a sibling. */
static void test_sibling(void)
{
    int status, count = 0;

    signal(SIGILL, SIG_DFL);
    pid_t pid =
        clone(make_sibling, stack + sizeof(stack), SIGCHLD, (void *)(long)(CLONE_PARENT | SIGILL));
    CHECK(pid > 0);
    while (waitpid(-1, &status, __WALL) > 0) {
        CHECK(status == 0);
        count++;
    }
    CHECK(count == 2);
}

static void child_ids(void)
{
    uid_t r, e, s;
    gid_t groups[2] = { 7, 8 };

    CHECK(!setgroups(2, groups) && getgroups(0, NULL) == 2);
    CHECK(!setresgid(100, 101, 102) && getgid() == 100 && getegid() == 101);
    CHECK(!setresuid(1000, 1001, 1002));
    CHECK(!getresuid(&r, &e, &s) && r == 1000 && e == 1001 && s == 1002);
    CHECK_ERRNO(setuid(0), EPERM);
    CHECK_ERRNO(setresuid(5, -1, -1), EPERM);
    CHECK_ERRNO(setgroups(2, groups), EPERM);
    CHECK(!seteuid(1002) && geteuid() == 1002);
    CHECK(!setresuid(-1, 1000, -1) && geteuid() == 1000);
    CHECK_ERRNO(sethostname("x", 1), EPERM);
    CHECK_ERRNO(kill(getppid(), 0), EPERM);
    struct rlimit limit = { 100, 50 };
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_max = limit.rlim_cur = 64;
    CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_max = 65;
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    CHECK_ERRNO(open("/etc/shadow-of-nobody", O_RDONLY), ENOENT);
}

static void test_ids(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        child_ids();
        fflush(stdout);
        _exit(check_failures);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(prctl(PR_GET_DUMPABLE) == 1);
    CHECK_ERRNO(prctl(123456), EINVAL);
    CHECK(!prctl(PR_SET_NAME, "a name longer than fifteen"));
    char name[16];
    CHECK(!prctl(PR_GET_NAME, name) && !strcmp(name, "a name longer t"));
    CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK_ERRNO(getrlimit(77, &(struct rlimit){ 0, 0 }), EINVAL);
    struct rusage usage;
    CHECK(!getrusage(RUSAGE_SELF, &usage) && usage.ru_maxrss > 0);
    CHECK(!getrusage(RUSAGE_CHILDREN, &usage));
    CHECK_ERRNO(getrusage(5, &usage), EINVAL);
    struct utsname names;
    CHECK(!uname(&names) && !strcmp(names.sysname, "Linux") && !strcmp(names.machine, "x86_64"));
    CHECK_ERRNO(unshare(0x12345), EINVAL);
    CHECK(unshare(CLONE_FILES | CLONE_FS) == 0);
    CHECK_ERRNO(setpgid(1 << 20, 0), ESRCH);
    CHECK_ERRNO(setpgid(0, -1), EINVAL);
    CHECK_ERRNO(getpgid(1 << 20), ESRCH);
}

static long clone3_with(struct clone_args args)
{
    args.exit_signal = SIGCHLD;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(7);
    return pid;
}

static long clone3_at(pid_t tid)
{
    return clone3_with((struct clone_args){ .set_tid = (uintptr_t)&tid, .set_tid_size = 1 });
}

/* A number of one's own choice, as CRIU gives them. */
static void test_set_tid(void)
{
    static pid_t many[32];
    int status;
    pid_t gone = (pid_t)clone3_with((struct clone_args){ 0 });

    CHECK(gone > 0 && waitpid(gone, &status, 0) == gone);
    CHECK(clone3_at(gone) == gone);
    CHECK_ERRNO(clone3_at(gone), EEXIST);
    CHECK(waitpid(gone, &status, 0) == gone && WEXITSTATUS(status) == 7);
    CHECK_ERRNO(clone3_at(getpid()), EEXIST);
    CHECK_ERRNO(clone3_at(0), EINVAL);
    CHECK_ERRNO(clone3_at(-1), EINVAL);
    CHECK_ERRNO(clone3_at(1 << 22), EINVAL);
    many[0] = gone;
    CHECK_ERRNO(clone3_with((struct clone_args){ .set_tid = (uintptr_t)many, .set_tid_size = 32 }),
                EINVAL);
    CHECK_ERRNO(clone3_with((struct clone_args){ .set_tid = 16, .set_tid_size = 1 }), EFAULT);
    pid_t child = fork();
    if (child == 0) {
        CHECK(!setuid(1000));
        CHECK_ERRNO(clone3_at(gone), EPERM);
        _exit(check_failures);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void test_into_cgroup(void)
{
    int status, other = open("/dev/null", O_RDONLY), group = open("/sys/fs/cgroup", O_RDONLY);
    struct clone_args args = { .flags = CLONE_INTO_CGROUP, .cgroup = 999 };
    struct statfs info;

    CHECK_ERRNO(clone3_with(args), EBADF);
    args.cgroup = (uint64_t)other;
    CHECK_ERRNO(clone3_with(args), EBADF);
    args.cgroup = 1ULL << 31;
    CHECK_ERRNO(clone3_with(args), EINVAL);
    args.cgroup = (uint64_t)group;
    if (group >= 0 && !fstatfs(group, &info) && info.f_type == CGROUP2_SUPER_MAGIC) {
        long pid = clone3_with(args);
        CHECK(pid > 0 && waitpid((pid_t)pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    }
    close(other);
    close(group);
}

int main(void)
{
    test_clone();
    test_clone3();
    test_set_tid();
    test_into_cgroup();
    test_orphans();
    test_sibling();
    test_ids();
    return check_end();
}
