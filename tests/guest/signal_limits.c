// SPDX-License-Identifier: MIT
/*
 * RLIMIT_SIGPENDING: what is queued counts for the user, in all of its processes, and comes back when it is taken,
 * when its process ends, and when the user changes.
 *
 * test: cpus=2
 */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define USER 4321

static void become(uid_t uid)
{
    NEED(setresuid(uid, uid, uid) == 0);
}

static void set_limit(rlim_t n)
{
    struct rlimit limit = { n, n };

    NEED(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
}

static void block_all(void)
{
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGCHLD); /* blocked it would be queued, too */
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* How many real-time signals pid takes before EAGAIN. */
static int fill(pid_t pid)
{
    int n = 0;

    while (n < 1000 && sigqueue(pid, SIGRTMIN + 1, (union sigval){ .sival_int = n }) == 0)
        n++;
    CHECK(n == 1000 || errno == EAGAIN);
    return n;
}

static int take_all(void)
{
    sigset_t set;
    struct timespec none = { 0, 0 };
    int n = 0;

    sigfillset(&set);
    while (sigtimedwait(&set, NULL, &none) > 0)
        n++;
    return n;
}

static long shown(const char *field)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");

    NEED(file);
    while (fgets(line, sizeof(line), file))
        if (!strncmp(line, field, strlen(field)))
            value = atol(line + strlen(field));
    fclose(file);
    return value;
}

/* A process that waits for a byte. */
static pid_t start(int pair[2], uid_t uid)
{
    char byte;

    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid) {
        CHECK(read(pair[0], &byte, 1) == 1);
        return pid;
    }
    become(uid);
    (void)!write(pair[1], "", 1);
    (void)!read(pair[1], &byte, 1);
    _exit(0);
}

static void end(pid_t pid, int pair[2])
{
    close(pair[0]);
    close(pair[1]);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

/* In a process of the user, with the limit 10. */
static void test_user(void)
{
    int own[2], other[2];

    block_all();
    set_limit(10);
    become(USER);
    CHECK(shown("SigQ:") == 0);
    CHECK(fill(getpid()) == 10);
    CHECK(shown("SigQ:") == 10);
    CHECK(take_all() == 10);
    CHECK(fill(getpid()) == 10 && take_all() == 10);

    /* A sibling's queue counts too. */
    pid_t a = start(own, USER), b = start(other, USER);
    CHECK(fill(a) == 10);
    CHECK(shown("SigQ:") == 10);
    CHECK(fill(b) == 0 && fill(getpid()) == 0);
    CHECK(kill(getpid(), SIGRTMIN + 2) == 0); /* kill() comes in any case, without a siginfo */
    CHECK(take_all() == 1);
    end(a, own); /* its end gives them back */
    CHECK(shown("SigQ:") == 0);
    CHECK(fill(b) == 10);
    end(b, other);
    CHECK(fill(getpid()) == 10);
    /* Those below 32 are never refused. */
    CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){ 0 }) == 0);
    CHECK(take_all() == 11);
    CHECK(shown("SigQ:") == 0);
    _exit(check_failures != 0);
}

/* Another user has its own count; who sends does not matter. */
static void test_users(void)
{
    int user[2], other[2];
    pid_t a, b;

    block_all();
    set_limit(10);
    a = start(user, USER + 1);
    CHECK(fill(a) == 10);
    become(USER);
    b = start(other, USER);
    CHECK(fill(b) == 10);
    CHECK(fill(getpid()) == 0);
    CHECK(write(user[0], "", 1) == 1);
    CHECK(waitpid(a, NULL, 0) == a);
    CHECK(fill(getpid()) == 0); /* those were another's */
    end(b, other);
    CHECK(fill(getpid()) == 10);
    _exit(check_failures != 0);
}

static void run(void (*test)(void))
{
    int status;
    pid_t pid = fork();

    fflush(stdout);
    if (pid == 0)
        test();
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
    run(test_user);
    run(test_users);
    return check_end();
}
