// SPDX-License-Identifier: MIT
/*
 * Signals of CPU time: they reach a thread that computes and makes no system call, and those of interval timers and
 * of RLIMIT_CPU the thread that used the time, not one that sleeps.
 *
 * test: cpus=2 timeout=60
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t nsignals, wanted;
static volatile pid_t last_tid;
static volatile int nsleeper;
static pid_t sleeper_tid;

static void handler(int signo)
{
    (void)signo;
    last_tid = gettid();
    if (sleeper_tid == last_tid)
        nsleeper++;
    nsignals++;
}

static void handle(int signo)
{
    struct sigaction action = { .sa_handler = handler };

    NEED(sigaction(signo, &action, NULL) == 0);
}

/* No call at all until count signals have come. */
static void compute_until(int count)
{
    nsignals = 0;
    wanted = count;
    while (nsignals < wanted)
        ;
}

static void set_itimer(int which, long usec)
{
    struct itimerval value = { { 0, usec }, { 0, usec } };

    CHECK(!setitimer(which, &value, NULL));
}

static timer_t make_timer(clockid_t clock, int notify, long nsec)
{
    struct sigevent event = { .sigev_notify = notify, .sigev_signo = SIGUSR1 };
    struct itimerspec value = { { 0, nsec }, { 0, nsec } };
    timer_t timer;

    event._sigev_un._tid = gettid();
    NEED(!timer_create(clock, &event, &timer));
    CHECK(!timer_settime(timer, 0, &value, NULL));
    return timer;
}

/* Whatever the clock, the running thread is interrupted. */
static void compute_with_all(void)
{
    set_itimer(ITIMER_PROF, 20000);
    compute_until(3);
    set_itimer(ITIMER_PROF, 0);
    set_itimer(ITIMER_VIRTUAL, 20000);
    compute_until(3);
    set_itimer(ITIMER_VIRTUAL, 0);
    static const clockid_t clocks[] = { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
    for (int i = 0; i < 2; i++) {
        timer_t timer = make_timer(clocks[i], SIGEV_THREAD_ID, 20000000);
        compute_until(3);
        CHECK(last_tid == gettid());
        timer_delete(timer);
    }
}

static void *compute_thread(void *arg)
{
    last_tid = 0;
    set_itimer(ITIMER_PROF, 20000);
    compute_until(5);
    set_itimer(ITIMER_PROF, 0);
    CHECK(last_tid == gettid());
    last_tid = 0;
    set_itimer(ITIMER_VIRTUAL, 20000);
    compute_until(5);
    set_itimer(ITIMER_VIRTUAL, 0);
    CHECK(last_tid == gettid());
    compute_with_all();
    return arg;
}

/* The leader sleeps and does not want to be disturbed. */
static void test_sleeping_leader(void)
{
    pthread_t thread;

    nsleeper = 0;
    sleeper_tid = gettid();
    NEED(!pthread_create(&thread, NULL, compute_thread, NULL));
    pthread_join(thread, NULL);
    CHECK(nsleeper == 0);
}

static sem_t never;

static void *sleep_thread(void *arg)
{
    sleeper_tid = gettid();
    while (sem_wait(&never))
        ;
    return arg;
}

/* Nor any other thread. */
static void test_sleeping_thread(void)
{
    pthread_t thread;

    nsleeper = 0;
    NEED(!pthread_create(&thread, NULL, sleep_thread, NULL));
    compute_with_all();
    CHECK(nsleeper == 0);
    sem_post(&never);
    pthread_join(thread, NULL);
}

/* All threads that compute get their share. */
static volatile int hits[2];
static __thread int my_index;

static void count_hit(int signo)
{
    (void)signo;
    hits[my_index]++;
}

static void *compute_beside(void *arg)
{
    my_index = (int)(long)arg;
    while (hits[0] + hits[1] < 400 && (hits[0] < 5 || hits[1] < 5))
        ;
    return NULL;
}

static void test_shares(void)
{
    pthread_t threads[2];

    signal(SIGPROF, count_hit);
    set_itimer(ITIMER_PROF, 10000);
    for (long i = 0; i < 2; i++)
        NEED(!pthread_create(&threads[i], NULL, compute_beside, (void *)i));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    set_itimer(ITIMER_PROF, 0);
    CHECK(hits[0] >= 5 && hits[1] >= 5);
    handle(SIGPROF);
}

/* A blocked signal goes to a thread that does not block it, asleep or not. */
static void *compute_blocked(void *arg)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    set_itimer(ITIMER_PROF, 20000);
    compute_until(3);
    set_itimer(ITIMER_PROF, 0);
    CHECK(last_tid == getpid());
    return arg;
}

static void test_blocked(void)
{
    pthread_t thread;

    NEED(!pthread_create(&thread, NULL, compute_blocked, NULL));
    pthread_join(thread, NULL);
}

/* ---- RLIMIT_CPU ------------------------------------------------------------------------- */

static void *compute_limit(void *arg)
{
    struct rlimit limit = { 1, 3 };

    NEED(!setrlimit(RLIMIT_CPU, &limit));
    compute_until(1);
    CHECK(last_tid == gettid());
    compute_until(1); /* once more a second later */
    CHECK(last_tid == gettid());
    fflush(stdout);
    if (check_failures)
        _exit(1);
    for (;;)
        ;
    return arg;
}

static void test_limit(void)
{
    int status;
    struct rusage usage;
    pid_t child = fork();

    if (child == 0) {
        pthread_t thread;
        handle(SIGXCPU);
        sleeper_tid = getpid();
        nsleeper = 0;
        NEED(!pthread_create(&thread, NULL, compute_limit, NULL));
        pthread_join(thread, NULL);
        _exit(2);
    }
    CHECK(wait4(child, &status, 0, &usage) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec >= 2);
}

int main(void)
{
    handle(SIGPROF);
    handle(SIGVTALRM);
    handle(SIGUSR1);
    handle(SIGXCPU);
    compute_with_all();
    test_sleeping_leader();
    test_sleeping_thread();
    test_shares();
    test_blocked();
    test_limit();
    return check_end();
}
