// SPDX-License-Identifier: MIT
/*
 * What processes do to each other and to themselves when they go wrong.  In Stout each part runs again and
 * again, and must leave as much memory, as few files and processes as it found.
 * test: flags=-pthread cpus=4 memory=256M timeout=120
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define NOBODY     54321
#define FILE_NAME  "/tmp/process_faults"
#define NZOMBIES   1500
#define MANY_PAGES 128 /* what caches may keep */

static char self[200];

static void reap_all(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    CHECK(errno == ECHILD);
}

/* Forks for ever, under a limit; the whole group is killed after a while. */
static void fork_bomb(void)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = { 60, 60 };
        setpgid(0, 0);
        setrlimit(RLIMIT_NPROC, &limit);
        if (setresuid(NOBODY, NOBODY, NOBODY))
            _exit(1);
        for (;;)
            if (fork() < 0)
                sched_yield();
    }
    setpgid(pid, pid);
    sleep_ms(200);
    /* A process that is just being made gets the signal too, or is never made. */
    for (int i = 0; kill(-pid, SIGKILL) == 0 && i < 1000; i++)
        while (waitpid(-pid, NULL, WNOHANG) > 0)
            ;
    reap_all();
    CHECK_ERRNO(kill(-pid, 0), ESRCH);
}

static void orphans(void)
{
    int pipes[2], nlost = 0;
    char byte;
    pid_t reaper = getpid();

    NEED(!pipe(pipes));
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            pid_t parent = getpid();
            for (int child = 0; child < 3; child++)
                if (fork() == 0) {
                    while (getppid() == parent)
                        usleep(500);
                    (void)!write(pipes[1], getppid() == reaper ? "s" : "1", 1);
                    _exit(0);
                }
            _exit(0);
        }
    }
    close(pipes[1]);
    while (read(pipes[0], &byte, 1) == 1)
        nlost += byte == 's';
    close(pipes[0]);
    CHECK(nlost == 60); /* all came to us, the subreaper */
    reap_all();
}

static void put_file(const void *data, size_t len, mode_t mode)
{
    unlink(FILE_NAME);
    int fd = open(FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(write(fd, data, len) == (ssize_t)len);
    fchmod(fd, mode);
    close(fd);
}

static void exec_garbage(void)
{
    char *argv[] = { FILE_NAME, NULL };
    unsigned char data[8192];
    int fd = open(self, O_RDONLY);
    ssize_t len = read(fd, data, sizeof data);

    close(fd);
    NEED(len > 64);
    put_file(data, 0, 0700);
    CHECK_ERRNO(execv(FILE_NAME, argv), ENOEXEC);
    put_file(data, 40, 0700); /* a part of the header */
    CHECK_ERRNO(execv(FILE_NAME, argv), ENOEXEC);
    put_file(data, 64, 0600);
    CHECK_ERRNO(execv(FILE_NAME, argv), EACCES);
    data[18] = 0x28; /* e_machine: ARM */
    put_file(data, (size_t)len, 0700);
    CHECK_ERRNO(execv(FILE_NAME, argv), ENOEXEC);
    put_file("#!/does/not/exist\n", 18, 0700);
    CHECK_ERRNO(execv(FILE_NAME, argv), ENOENT);
    put_file("#!" FILE_NAME "\n", sizeof "#!" FILE_NAME, 0700);
    CHECK_ERRNO(execv(FILE_NAME, argv), ELOOP);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 + 3);
    put_file(data, sizeof data, 0700);
    CHECK_ERRNO(execv(FILE_NAME, argv), ENOEXEC);
    CHECK_ERRNO(execv("/tmp", argv), EACCES);
    CHECK_ERRNO(syscall(SYS_execve, FILE_NAME, 8, 0), EFAULT);
    unlink(FILE_NAME);
}

static void *busy(void *arg)
{
    for (;;) {
        pid_t pid = arg ? fork() : 0;
        if (pid == 0 && arg)
            _exit(0);
        if (pid > 0)
            waitpid(pid, NULL, 0);
        char *memory =
            mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) {
            memory[4096] = 1;
            munmap(memory, 65536);
        }
    }
    return NULL;
}

/* A thread that is not the first one runs execve while seven others are busy. */
static void *exec_in_thread(void *arg)
{
    char *argv[] = { self, "0", NULL };

    usleep(2000);
    execv(self, argv);
    return arg;
}

static void exec_with_threads(void)
{
    for (int i = 0; i < 10; i++) {
        int status;
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            pthread_t thread;
            for (int n = 0; n < 6; n++)
                pthread_create(&thread, NULL, busy, n % 3 == 0 ? self : NULL);
            pthread_create(&thread, NULL, exec_in_thread, NULL);
            busy(NULL);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status)
            printf("status %x\n", (unsigned)status);
    }
    reap_all();
}

/* Killed somewhere in fork, exec or wait. */
static void killed_parent(void)
{
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            char *argv[] = { self, "0", NULL };
            for (;;) {
                pid_t child = i % 2 ? vfork() : fork();
                if (child == 0) {
                    execv(self, argv);
                    _exit(1);
                }
                waitpid(child, NULL, 0);
            }
        }
        usleep((useconds_t)(1000 + i * 397));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        reap_all();
    }
}

static void zombies(void)
{
    int nreaped = 0;
    siginfo_t info;

    for (int i = 0; i < NZOMBIES; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(7);
        NEED(pid > 0);
    }
    CHECK(!waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) && info.si_status == 7);
    for (int status; waitpid(-1, &status, 0) > 0; nreaped++)
        if (status != 7 << 8)
            printf("status %x\n", (unsigned)status);
    CHECK(nreaped == NZOMBIES);
}

static volatile int ncaught;

static void caught(int signo)
{
    (void)signo;
    ncaught++;
}

static void signal_storm(void)
{
    union sigval value = { 0 };
    int pipes[2], sent = 0, got = 0;

    NEED(!pipe(pipes));
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        struct sigaction action = { .sa_handler = caught };
        sigaction(SIGRTMIN, &action, NULL);
        sigaction(SIGUSR1, &action, NULL);
        signal(SIGTERM, SIG_IGN);
        (void)!write(pipes[1], &got, sizeof got);
        while (ncaught < 2000)
            usleep(100);
        got = ncaught;
        (void)!write(pipes[1], &got, sizeof got);
        for (;;)
            pause();
    }
    (void)!read(pipes[0], &got, sizeof got);
    while (sent < 2000) {
        if (!sigqueue(pid, SIGRTMIN, value))
            sent++;
        kill(pid, SIGUSR1);
        kill(pid, SIGTERM);
    }
    CHECK(read(pipes[0], &got, sizeof got) == sizeof got && got >= 2000);
    for (int i = 0; i < 5000; i++)
        sigqueue(pid, SIGRTMIN + 1 + i % 8, value); /* default action: the first ends it */
    reap_all();
    close(pipes[0]);
    close(pipes[1]);
}

static void over_stack(void)
{
    volatile char here;
    volatile char *at = &here;

    for (int i = 0; i < 4096; i++)
        at[i] = (char)0xa5;
}

static void over_code(void)
{
    uintptr_t page = (uintptr_t)over_code & ~4095UL;

    mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    memset((void *)page, 0x06, 8192); /* no instruction in 64-bit mode */
}

static void self_destruction(void)
{
    void (*const ways[])(void) = { over_stack, over_code };

    for (unsigned i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            struct rlimit none = { 0, 0 };
            setrlimit(RLIMIT_CORE, &none);
            ways[i]();
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    }
}

/* ---- What was left behind ---------------------------------------------------------------- */

struct census {
    long free_kb, nfiles, nthreads;
};

static long number_of(const char *path, const char *after)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);

    close(fd);
    NEED(n > 0);
    text[n] = 0;
    char *at = strstr(text, after);
    NEED(at);
    return atol(at + strlen(after));
}

static struct census census(void)
{
    return (struct census){ .free_kb = number_of("/proc/meminfo", "MemFree:"),
                            .nfiles = number_of("/proc/sys/fs/file-nr", ""),
                            .nthreads = number_of("/proc/loadavg", "/") };
}

static bool is_less(struct census now, struct census before)
{
    return now.free_kb + MANY_PAGES * 4 < before.free_kb || now.nfiles != before.nfiles ||
           now.nthreads != before.nthreads;
}

/* Threads that have ended are freed in the background, which takes a busy host its time. */
static struct census settled_census(const struct census *before)
{
    struct census now = census();
    for (int i = 0; i < 1000 && is_less(now, *before); i++) {
        sleep_ms(10);
        now = census();
    }
    return now;
}

static bool is_stout;

static void run(const char *name, void (*part)(void))
{
    printf("%s\n", name);
    fflush(stdout);
    part();
    if (!is_stout)
        return;
    /* Caches grow at first. */
    for (int i = 0; i < 2; i++)
        part();
    sleep_ms(100);
    struct census before = census();
    for (int i = 0; i < 2; i++) {
        part();
        struct census after = settled_census(&before);
        if (is_less(after, before)) {
            printf("%s leaks: %ld -> %ld KiB free, %ld -> %ld files, %ld -> %ld threads\n", name,
                   before.free_kb, after.free_kb, before.nfiles, after.nfiles, before.nthreads,
                   after.nthreads);
            check_failures++;
        }
    }
}

int main(int argc, char **argv)
{
    struct utsname name;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (argc > 1)
        return atoi(argv[1]);
    NEED(argv[0] && len > 0 && !uname(&name));
    is_stout = strstr(name.release, "stout");
    CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
    run("fork bomb", fork_bomb);
    run("orphans", orphans);
    run("garbage", exec_garbage);
    run("exec beside threads", exec_with_threads);
    run("killed parents", killed_parent);
    run("zombies", zombies);
    run("signal storm", signal_storm);
    run("self destruction", self_destruction);
    return check_end();
}
