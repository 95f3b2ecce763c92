// SPDX-License-Identifier: MIT
/*
 * A process ends, or is replaced, while it makes threads and children: nobody may be left over.
 * test: variants=dynamic flags=-pthread cpus=3 timeout=60
 */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 40

extern char **environ;

static void *idle_thread(void *arg)
{
    pause();
    return arg;
}

static void *make_threads(void *arg)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 32 << 10);
    for (int i = 0; i < 300; i++)
        if (pthread_create(&thread, &attributes, idle_thread, NULL))
            sched_yield();
    return arg;
}

static void start_makers(unsigned round)
{
    pthread_t thread;

    NEED(!pthread_create(&thread, NULL, make_threads, NULL));
    NEED(!pthread_create(&thread, NULL, make_threads, NULL));
    for (volatile unsigned i = 0; i < round * 997 % 30000; i++)
        ;
}

/* The status of a child that must end within ten seconds; it is killed if it does not. */
static int status_of(pid_t pid)
{
    int status = -1;

    for (int i = 0; i < 5000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        sleep_ms(2);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

static void test_exit(unsigned round)
{
    pid_t pid = fork();

    if (pid == 0) {
        start_makers(round);
        _exit(5);
    }
    CHECK(status_of(pid) == 5 << 8);
}

static void test_exec(unsigned round)
{
    char *argv[] = { "child", "end", NULL };
    pid_t pid = fork();

    if (pid == 0) {
        start_makers(round);
        execve("/proc/self/exe", argv, environ);
        _exit(6);
    }
    CHECK(status_of(pid) == 7 << 8);
}

/* The signal comes before, during or after execve; the program waits for it. */
static void test_exec_killed(unsigned round)
{
    char *argv[] = { "child", "stay", NULL };
    pid_t pid = fork();

    if (pid == 0) {
        start_makers(round);
        execve("/proc/self/exe", argv, environ);
        _exit(6);
    }
    for (volatile unsigned i = 0; i < round * 4999 % 400000; i++)
        ;
    CHECK(!kill(pid, SIGTERM));
    CHECK(status_of(pid) == SIGTERM);
}

/* What a group has made when it is killed is killed with it. */
static void test_group(unsigned round)
{
    int ends[2];

    NEED(!pipe(ends));
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        (void)!write(ends[1], "x", 1);
        for (int i = 0; i < 200; i++)
            if (fork() == 0)
                pause();
        pause();
    }
    setpgid(pid, pid);
    close(ends[1]);
    char byte;
    struct pollfd reader = { .fd = ends[0], .events = POLLIN };
    CHECK(read(ends[0], &byte, 1) == 1);
    for (volatile unsigned i = 0; i < round * 7919 % 500000; i++)
        ;
    CHECK(!kill(-pid, SIGKILL));
    CHECK(status_of(pid) == SIGKILL);
    /* The end of file comes when the last of them has gone. */
    CHECK(poll(&reader, 1, 10000) == 1 && read(ends[0], &byte, 1) == 0);
    close(ends[0]);
}

/* vfork() waits for the child, but not when it is to end itself. */
static void test_vfork(void)
{
    int begun[2], hold[2];
    char byte;

    NEED(!pipe(begun) && !pipe(hold));
    pid_t pid = fork();
    if (pid == 0) {
        close(hold[1]);
        if (vfork() == 0) {
            (void)!write(begun[1], "x", 1);
            (void)!read(hold[0], &byte, 1);
            _exit(9);
        }
        _exit(8);
    }
    CHECK(read(begun[0], &byte, 1) == 1);
    sleep_ms(20);
    CHECK(!kill(pid, SIGTERM));
    CHECK(status_of(pid) == SIGTERM);
    close(hold[1]);
    close(hold[0]);
    close(begun[0]);
    close(begun[1]);
}

int main(int argc, char **argv)
{
    if (argc == 2 && argv[1][0] == 'e')
        return 7;
    if (argc == 2)
        for (;;)
            pause();
    for (unsigned i = 0; i < ROUNDS; i++) {
        test_exit(i);
        test_exec(i);
        test_exec_killed(i);
        test_group(i);
    }
    test_vfork();
    return check_end();
}
