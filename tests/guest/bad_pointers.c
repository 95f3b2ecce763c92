// SPDX-License-Identifier: MIT
/*
 * Wild pointers in any system call give EFAULT, from user and kernel halves alike; never a panic.
 * test: variants=dynamic timeout=60
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Where a pointer may wrongly point: nothing there, kernel space, not canonical, wrapping, no access. */
static unsigned long wild[8];

static void make_wild(void)
{
    char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    wild[0] = 8;
    wild[1] = 0xffffffff80000000;
    wild[2] = 0xffff800000000000;
    wild[3] = 0x800000000000;
    wild[4] = 0x8000000000000000;
    wild[5] = 0xfffffffffffffff8;
    wild[6] = (unsigned long)none;
    wild[7] = 0x7ffffffff000;
}

#define FAULTS(...) CHECK_ERRNO(syscall(__VA_ARGS__), EFAULT)

static void try_files(unsigned long p, int file, const int *pipe_ends)
{
    FAULTS(SYS_read, file, p, 100);
    FAULTS(SYS_pread64, file, p, 100, 0);
    FAULTS(SYS_write, pipe_ends[1], p, 100);
    FAULTS(SYS_open, p, O_RDONLY);
    FAULTS(SYS_stat, p, p);
    FAULTS(SYS_stat, ".", p);
    FAULTS(SYS_fstat, file, p);
    FAULTS(SYS_readv, file, p, 2);
    FAULTS(SYS_writev, pipe_ends[1], p, 2);
    FAULTS(SYS_pipe, p);
    FAULTS(SYS_getcwd, p, 4096);
    FAULTS(SYS_chdir, p);
    FAULTS(SYS_mkdir, p, 0700);
    FAULTS(SYS_rename, p, "x");
    FAULTS(SYS_rename, "x", p);
    FAULTS(SYS_readlink, "/proc/self/exe", p, 100);
    FAULTS(SYS_unlink, p);
    FAULTS(SYS_access, p, F_OK);
    FAULTS(SYS_openat, AT_FDCWD, p, O_RDONLY);
    int dir = open("/", O_RDONLY | O_DIRECTORY);
    FAULTS(SYS_getdents64, dir, p, 4096);
    close(dir);
    FAULTS(SYS_select, 5, p, 0, 0, 0);
    FAULTS(SYS_poll, p, 1, 0);
}

static void try_events(unsigned long p, int ep, int socket_fd)
{
    FAULTS(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, socket_fd, p);
    FAULTS(SYS_bind, socket_fd, p, 16);
    FAULTS(SYS_connect, socket_fd, p, 16);
    FAULTS(SYS_getsockname, socket_fd, p, p);
    FAULTS(SYS_sendto, socket_fd, p, 100, 0, 0, 0);
    FAULTS(SYS_sendmsg, socket_fd, p, 0);
    FAULTS(SYS_recvmsg, socket_fd, p, MSG_DONTWAIT);
    FAULTS(SYS_setsockopt, socket_fd, SOL_SOCKET, SO_REUSEADDR, p, 4);
    FAULTS(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, p);
    FAULTS(SYS_futex, p & ~3UL, 0, 0, 0, 0, 0);
}

static void try_process(unsigned long p)
{
    FAULTS(SYS_rt_sigaction, SIGUSR1, p, 0, 8);
    FAULTS(SYS_rt_sigaction, SIGUSR1, 0, p, 8);
    FAULTS(SYS_rt_sigprocmask, SIG_BLOCK, p, 0, 8);
    FAULTS(SYS_rt_sigpending, p, 8);
    FAULTS(SYS_sigaltstack, p, 0);
    FAULTS(SYS_nanosleep, p, 0);
    FAULTS(SYS_clock_gettime, 1, p);
    FAULTS(SYS_uname, p);
    FAULTS(SYS_sysinfo, p);
    FAULTS(SYS_getrlimit, 3, p);
    FAULTS(SYS_prlimit64, 0, 3, p, 0);
    FAULTS(SYS_getrusage, 0, p);
    FAULTS(SYS_times, p);
    FAULTS(SYS_getrandom, p, 16, 0);
    FAULTS(SYS_execve, p, 0, 0);
    FAULTS(SYS_execve, "/proc/self/exe", p, 0);
    FAULTS(SYS_sched_getaffinity, 0, 128, p);
    FAULTS(SYS_timer_create, 1, 0, p);
    FAULTS(SYS_setitimer, 0, p, 0);
    FAULTS(SYS_arch_prctl, 0x1003, p); /* ARCH_GET_FS */
}

static void test_partial(void)
{
    /* Half of the buffer is there: what could be moved is moved. */
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int ends[2], file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);

    munmap(p + 4096, 4096);
    memset(p, 'p', 4096);
    CHECK(write(file, p + 4000, 200) == 96);
    CHECK(pread(file, p + 4090, 90, 0) == 6);
    NEED(!pipe(ends));
    CHECK(write(ends[1], p + 4000, 96) == 96);
    long result = read(ends[0], p + 4090, 90);
    CHECK(result == 6 || (result == -1 && errno == EFAULT));
    /* A string that runs into nothing. */
    memset(p, 'x', 4096);
    CHECK_ERRNO(open(p + 4090, O_RDONLY), EFAULT);
    strcpy(p + 4090, "/proc");
    int dir = open(p + 4090, O_RDONLY); /* ends exactly at the page's end */
    CHECK(dir >= 0);
    close(dir), close(file);
}

int main(void)
{
    int ends[2], file = open("/proc/self/exe", O_RDONLY), ep = epoll_create1(0);
    int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0), pair[2];

    signal(SIGPIPE, SIG_IGN);
    NEED(file >= 0 && !pipe2(ends, O_NONBLOCK) && ep >= 0);
    NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    close(socket_fd);
    make_wild();
    for (int i = 0; i < 8; i++) {
        int before = check_failures;
        try_files(wild[i], file, ends);
        try_events(wild[i], ep, pair[0]);
        try_process(wild[i]);
        if (check_failures != before)
            printf("with pointer %d, %lx\n", i, i == 6 ? 0 : wild[i]);
    }
    test_partial();
    return check_end();
}
