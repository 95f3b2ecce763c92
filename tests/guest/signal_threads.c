// SPDX-License-Identifier: MIT
/*
 * Signals and threads: who gets what, pthread_kill, blocked everywhere, preemption of a spinning thread.
 * test: flags=-pthread cpus=2 variants=dynamic,static roads=patched
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

static volatile int release;
static __thread volatile int mine;
static volatile int total;

static void note(int number)
{
    (void)number;
    mine++;
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
}

static unsigned long turns; /* of the thread that main waits for */

static void *spinner(void *arg)
{
    while (!mine)
        __atomic_add_fetch(
            &turns, 1, __ATOMIC_SEQ_CST); /* no system call: only preemption can bring the signal */
    return arg;
}

static void *blocker(void *arg)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (!release) {
        syscall(SYS_gettid); /* a way back to the program, where a signal would be taken */
        __atomic_add_fetch(&turns, 1, __ATOMIC_SEQ_CST);
    }
    return (void *)(long)mine + (long)arg;
}

/* The thread has gone around n times since. */
static void wait_for_turns(unsigned long n)
{
    unsigned long before = __atomic_load_n(&turns, __ATOMIC_SEQ_CST);

    while (__atomic_load_n(&turns, __ATOMIC_SEQ_CST) - before < n)
        sched_yield();
}

int main(void)
{
    struct sigaction action = { .sa_handler = note };
    pthread_t thread;
    void *result;

    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);

    pthread_create(&thread, NULL, spinner, NULL);
    wait_for_turns(1);
    CHECK(!pthread_kill(thread, SIGUSR1));
    pthread_join(thread, NULL);
    CHECK(total == 1 && mine == 0);

    /* To the process: a thread that does not block it takes it. */
    pthread_create(&thread, NULL, blocker, NULL);
    wait_for_turns(1);
    kill(getpid(), SIGUSR2);
    CHECK(mine == 1);
    /* To that thread: it stays pending there. */
    CHECK(!pthread_kill(thread, SIGUSR2));
    wait_for_turns(2);
    CHECK(total == 2 && mine == 1);
    release = 1;
    pthread_join(thread, &result);
    CHECK(result == NULL && total == 2);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3fffffff, SIGUSR1), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
    return check_end();
}
