// SPDX-License-Identifier: MIT
/*
 * One wrong argument in each system call: a bad descriptor, a path that leads nowhere, a wild pointer.
 *
 * The calls come from kernel/syscalls.def.  Every row has a set of arguments that would do (plausible[], or a
 * default by kind), and each argument in turn is spoilt.  The error is printed, so that Linux
 * says which one it is, and in which order a call looks at its arguments.
 * test: variants=dynamic timeout=90
 */
#include "check.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "call_table.h"

static char *zeros, *text, *vector, *address, *timer_value, *set, *attr, *how, *stack;
static int file_fd, dir_fd, udp_fd, pair_fd, epoll_fd, timer_fd, pipe_in, pipe_out, inotify_fd,
    listener_fd;

#define P(pointer) ((long)(pointer))

struct plausible {
    const char *name;
    long args[6];
};

/* Where the defaults by kind would not get as far as the argument in question. */
static struct plausible *plausible;
static int nplausible;

static void plan(const char *name, long a, long b, long c, long d, long e, long f)
{
    plausible = realloc(plausible, (size_t)(nplausible + 1) * sizeof *plausible);
    plausible[nplausible++] = (struct plausible){ name, { a, b, c, d, e, f } };
}
#define PLAN_(name, a, b, c, d, e, f, ...) plan(name, a, b, c, d, e, f)
#define PLAN(name, ...)                    PLAN_(name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void plan_files(void)
{
    PLAN("readv", file_fd, P(vector), 1);
    PLAN("writev", pipe_in, P(vector), 1);
    PLAN("preadv", file_fd, P(vector), 1);
    PLAN("pwritev", file_fd, P(vector), 1);
    PLAN("preadv2", file_fd, P(vector), 1);
    PLAN("pwritev2", file_fd, P(vector), 1);
    PLAN("write", pipe_in, P(text), 4);
    PLAN("getdents", dir_fd, P(zeros), 4096);
    PLAN("getdents64", dir_fd, P(zeros), 4096);
    PLAN("readlink", P("link"), P(zeros), 100);
    PLAN("readlinkat", AT_FDCWD, P("link"), P(zeros), 100);
    PLAN("rmdir", P("dir"));
    PLAN("fchdir", dir_fd);
    PLAN("chdir", P("dir"));
    PLAN("chroot", P("dir"));
    PLAN("openat2", AT_FDCWD, P("file"), P(how), sizeof(struct open_how));
    PLAN("ioctl", pipe_out, FIONREAD, P(zeros));
    PLAN("fcntl", file_fd, F_GETLK, P(zeros));
    PLAN("flock", file_fd, 2 | 4);
    PLAN("getcwd", P(zeros), 4096);
    PLAN("mount", P("file"), P("dir"), P("nofs"), 0, 0);
    PLAN("mkdir", P("new"), 0700);
    PLAN("mkdirat", AT_FDCWD, P("new"), 0700);
    PLAN("mknod", P("new"), 0600 | S_IFREG, 0);
    PLAN("mknodat", AT_FDCWD, P("new"), 0600 | S_IFREG, 0);
    PLAN("link", P("file"), P("new"));
    PLAN("linkat", AT_FDCWD, P("file"), AT_FDCWD, P("new"), 0);
    PLAN("symlink", P("file"), P("new"));
    PLAN("symlinkat", P("file"), AT_FDCWD, P("new"));
    PLAN("rename", P("file"), P("new"));
    PLAN("renameat", AT_FDCWD, P("file"), AT_FDCWD, P("new"));
    PLAN("renameat2", AT_FDCWD, P("file"), AT_FDCWD, P("new"), 0);
    PLAN("memfd_create", P("name"), 0);
    PLAN("setxattr", P("file"), P("user.a"), P(text), 4, 0);
    PLAN("lsetxattr", P("file"), P("user.a"), P(text), 4, 0);
    PLAN("fsetxattr", file_fd, P("user.a"), P(text), 4, 0);
    PLAN("dup2", file_fd, 90);
    PLAN("dup3", file_fd, 90, 0);
    PLAN("fallocate", file_fd, 0, 0, 10);
    PLAN("sync_file_range", file_fd, 0, 10, 2);
}

static void plan_sockets(void)
{
    PLAN("bind", udp_fd, P(address), 16);
    PLAN("connect", udp_fd, P(address), 16);
    PLAN("listen", listener_fd, 5);
    PLAN("accept", listener_fd, P(zeros), P(text));
    PLAN("accept4", listener_fd, P(zeros), P(text), 0);
    PLAN("getsockname", udp_fd, P(zeros), P(text));
    PLAN("getpeername", pair_fd, P(zeros), P(text));
    PLAN("sendto", udp_fd, P(text), 4, MSG_DONTWAIT, P(address), 16);
    PLAN("recvfrom", pair_fd, P(zeros), 4, MSG_DONTWAIT, P(zeros), P(text));
    PLAN("sendmsg", pair_fd, P(zeros), MSG_DONTWAIT);
    PLAN("recvmsg", pair_fd, P(zeros), MSG_DONTWAIT);
    PLAN("sendmmsg", pair_fd, P(zeros), 1, MSG_DONTWAIT);
    PLAN("recvmmsg", pair_fd, P(zeros), 1, MSG_DONTWAIT, P(timer_value));
    PLAN("shutdown", pair_fd, SHUT_RDWR);
    PLAN("setsockopt", udp_fd, SOL_SOCKET, SO_REUSEADDR, P(text), 4);
    PLAN("getsockopt", udp_fd, SOL_SOCKET, SO_TYPE, P(zeros), P(text));
    PLAN("socketpair", AF_UNIX, SOCK_STREAM, 0, P(zeros));
}

static void plan_events(void)
{
    PLAN("poll", P(zeros), 1, 0);
    PLAN("ppoll", P(zeros), 1, P(timer_value), P(set), 8);
    PLAN("select", 4, P(zeros), P(zeros), P(zeros), P(timer_value));
    PLAN("pselect6", 4, P(zeros), P(zeros), P(zeros), P(timer_value), P(zeros));
    PLAN("epoll_ctl", epoll_fd, EPOLL_CTL_ADD, pair_fd, P(zeros));
    PLAN("epoll_wait", epoll_fd, P(zeros), 4, 0);
    PLAN("epoll_pwait", epoll_fd, P(zeros), 4, 0, P(set), 8);
    PLAN("epoll_pwait2", epoll_fd, P(zeros), 4, P(timer_value), P(set), 8);
    PLAN("timerfd_settime", timer_fd, 0, P(zeros), P(zeros));
    PLAN("timerfd_gettime", timer_fd, P(zeros));
    PLAN("signalfd", -1, P(set), 8);
    PLAN("signalfd4", -1, P(set), 8, 0);
    PLAN("inotify_add_watch", inotify_fd, P("file"), 2);
    PLAN("inotify_rm_watch", inotify_fd, 1);
    PLAN("pidfd_send_signal", file_fd, 0, P(zeros), 0);
}

static void plan_processes(void)
{
    PLAN("rt_sigaction", SIGUSR1, P(zeros), P(zeros), 8);
    PLAN("rt_sigprocmask", SIG_BLOCK, P(set), P(zeros), 8);
    PLAN("rt_sigpending", P(zeros), 8);
    PLAN("rt_sigsuspend", P(set), 8);
    PLAN("rt_sigtimedwait", P(set), P(zeros), P(timer_value), 8);
    PLAN("rt_sigqueueinfo", getpid(), SIGURG, P(zeros));
    PLAN("rt_tgsigqueueinfo", getpid(), getpid(), SIGURG, P(zeros));
    PLAN("sched_setaffinity", 0, 8, P(attr));
    PLAN("sched_getaffinity", 0, 128, P(zeros));
    PLAN("sched_setattr", 0, P(attr), 0);
    PLAN("sched_getattr", 0, P(zeros), 48, 0);
    PLAN("sched_setscheduler", 0, 0, P(zeros));
    PLAN("clock_nanosleep", CLOCK_MONOTONIC, 0, P(timer_value), P(zeros));
    PLAN("nanosleep", P(timer_value), P(zeros));
    PLAN("futex_waitv", P(zeros), 1, 0, P(timer_value), CLOCK_MONOTONIC);
    PLAN("futex", P(zeros), FUTEX_WAIT, 1, 0, 0, 0);
    PLAN("timer_settime", 0, 0, P(timer_value), P(zeros));
    PLAN("setitimer", ITIMER_REAL, P(zeros), P(zeros));
    PLAN("getitimer", ITIMER_REAL, P(zeros));
    PLAN("execve", P("file"), P(zeros), P(zeros));
    PLAN("execveat", AT_FDCWD, P("file"), P(zeros), P(zeros), 0);
    PLAN("getgroups", 100, P(zeros));
    PLAN("setgroups", 1, P(zeros));
    PLAN("setrlimit", 7, P(timer_value));
    PLAN("prlimit64", 0, 7, P(zeros), P(zeros));
    PLAN("mincore", P(zeros), 4096, P(zeros));
    PLAN("getrandom", P(zeros), 8, 0);
    PLAN("setns", dir_fd, 0);
    PLAN("get_mempolicy", P(zeros), P(zeros), 64, 0, 0);
    PLAN("settimeofday", P(zeros), P(zeros));
    PLAN("capget", P(attr), P(zeros));
    PLAN("sethostname", P(text), 4);
    PLAN("setdomainname", P(text), 4);
    PLAN("sigaltstack", P(stack), P(zeros));
    PLAN("msgrcv", -1, P(zeros), 8, 0, 0);
    PLAN("msgctl", -1, 2, P(zeros));
}

static long default_of(int kind)
{
    switch (kind) {
    case KIND_FD:
        return file_fd;
    case KIND_ATFD:
        return AT_FDCWD;
    case KIND_PATH:
        return P("file");
    case KIND_STRING:
        return P("user.a");
    case KIND_SIZE:
        return 8;
    case KIND_IN:
    case KIND_OUT:
    case KIND_PTR:
    case KIND_CPTR:
        return P(zeros);
    default:
        return 0;
    }
}

/*
 * Not made here: what would end, stop or change this machine or process even with one bad argument, and what
 * answers differently where a Linux kernel has an option more.
 */
static bool is_left_out(const char *name)
{
    static const char *const names[] = {
        "reboot",          "syslog",          "wait4",     "waitid",          "rseq",
        "migrate_pages",   "move_pages",      "mbind",     "pivot_root",      "set_mempolicy",
        "get_mempolicy",   "clone",           "clone3",    "pidfd_getfd",     "pidfd_send_signal",
        "set_tid_address", "set_robust_list", "mmap",      "getcpu",          "vmsplice",
        "syncfs",          "fadvise64",       "readahead", "sync_file_range", "capget",
        "capset",          "prctl",           "setns",     "splice",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static void arguments_of(const struct call *call, long args[6])
{
    for (int i = 0; i < 6; i++)
        args[i] = i < call->nargs ? default_of(call->kind[i]) : 0;
    for (int i = 0; i < nplausible; i++)
        if (!strcmp(plausible[i].name, call->name))
            memcpy(args, plausible[i].args, sizeof plausible[i].args);
}

/* In a child of its own: a call may succeed, and block. */
static void try_one(const struct call *call, int which, const char *what, long value)
{
    long args[6];
    int status;

    arguments_of(call, args);
    args[which] = value;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        memset(zeros, 0, 4096);
        alarm(5);
        long result = syscall(call->number, args[0], args[1], args[2], args[3], args[4], args[5]);
        _exit(result == -1 ? errno : 0);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        printf("%s, %s %s: signal %d\n", call->name, what, call->argument[which], WTERMSIG(status));
    else if (WEXITSTATUS(status))
        printf("%s, %s %s: %s\n", call->name, what, call->argument[which],
               strerrorname_np(WEXITSTATUS(status)));
    else
        printf("%s, %s %s: success\n", call->name, what, call->argument[which]);
}

static void try_call(const struct call *call)
{
    static char long_name[5000];

    memset(long_name, 'n', sizeof long_name - 1);
    for (int i = 0; i < call->nargs; i++) {
        switch (call->kind[i]) {
        case KIND_FD:
            try_one(call, i, "closed", 99);
            try_one(call, i, "negative", -5);
            break;
        case KIND_ATFD:
            try_one(call, i, "closed", 99);
            try_one(call, i, "not a directory as", file_fd);
            break;
        case KIND_PATH:
            try_one(call, i, "missing", P("none/file"));
            try_one(call, i, "empty", P(""));
            try_one(call, i, "below a file", P("file/below"));
            try_one(call, i, "too long", P(long_name));
            try_one(call, i, "circular", P("loop/x"));
            try_one(call, i, "wild", 8);
            break;
        case KIND_STRING:
        case KIND_IN:
        case KIND_OUT:
        case KIND_PTR:
        case KIND_CPTR:
            try_one(call, i, "wild", 8);
            try_one(call, i, "kernel's", (long)0xffff800000001000);
            break;
        }
    }
}

static void *fill(const void *data, size_t size)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    NEED(page != MAP_FAILED);
    if (size)
        memcpy(page, data, size);
    return page;
}

static void prepare_memory(void)
{
    static char data[16];
    struct {
        void *base;
        size_t len;
    } one = { data, sizeof data };
    struct {
        unsigned short family, port;
        unsigned ip, zero[2];
    } loopback = { AF_INET, 0x0900, 0x0100007f, { 0 } };
    long value[4] = { 0, 1, 0, 1 }, nothing = 0;
    unsigned attributes[12] = { 48 };
    struct open_how open_how = { .flags = O_RDONLY };

    zeros = fill(NULL, 0);
    stack = fill(&(stack_t){ .ss_sp = zeros, .ss_size = 1 << 20 }, sizeof(stack_t));
    text = fill("\x10\0\0\0text", 8);
    vector = fill(&one, sizeof one);
    address = fill(&loopback, sizeof loopback);
    timer_value = fill(value, sizeof value);
    set = fill(&nothing, sizeof nothing);
    attr = fill(attributes, sizeof attributes);
    how = fill(&open_how, sizeof open_how);
}

static void prepare_files(void)
{
    int ends[2];

    NEED((file_fd = open("file", O_RDWR | O_CREAT, 0600)) >= 0);
    NEED(write(file_fd, "0123456789", 10) == 10 && !lseek(file_fd, 0, SEEK_SET));
    NEED(!mkdir("dir", 0700) && !symlink("file", "link") && !symlink("loop", "loop"));
    NEED((dir_fd = open(".", O_RDONLY | O_DIRECTORY)) >= 0);
    NEED(!pipe2(ends, O_NONBLOCK));
    pipe_out = ends[0], pipe_in = ends[1];
    NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pair_fd = ends[0];
    NEED((udp_fd = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
    NEED((listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
    NEED(!listen(listener_fd, 5));
    NEED((epoll_fd = epoll_create1(0)) >= 0);
    NEED((timer_fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
    NEED((inotify_fd = (int)syscall(SYS_inotify_init1, 0)) >= 0);
}

int main(void)
{
    prepare_memory();
    prepare_files();
    plan_files();
    plan_sockets();
    plan_events();
    plan_processes();
    for (int i = 0; i < NCALLS; i++)
        if (!is_left_out(calls[i].name))
            try_call(&calls[i]);
    return check_end();
}
