// SPDX-License-Identifier: MIT
/*
 * Pending signals: order, queueing, values, who takes them; temporary masks; flags of handlers.
 * test: variants=dynamic,musl cpus=2 timeout=60
 */
#include "asleep.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile int seen[64], nseen;
static volatile int values[64];

static void note(int signo, siginfo_t *info, void *context)
{
    (void)context;
    seen[nseen % 64] = signo;
    values[nseen % 64] = info->si_value.sival_int;
    nseen++;
}

static void handle(int signo, int flags)
{
    struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | flags };

    NEED(!sigaction(signo, &action, NULL));
}

static sigset_t set_of(int a, int b)
{
    sigset_t set;

    sigemptyset(&set);
    if (a)
        sigaddset(&set, a);
    if (b)
        sigaddset(&set, b);
    return set;
}

static void test_order(void)
{
    sigset_t all, none = set_of(0, 0);
    union sigval value;

    for (int i = 0; i < 3; i++)
        handle(SIGRTMIN + i, 0);
    handle(SIGUSR1, 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int i = 0; i < 3; i++)
        for (int j = 2; j >= 0; j--) {
            value.sival_int = 10 * i + j;
            CHECK(!sigqueue(getpid(), SIGRTMIN + j, value));
        }
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1); /* once is enough */
    sigset_t pending;
    CHECK(!sigpending(&pending) && sigismember(&pending, SIGUSR1) &&
          sigismember(&pending, SIGRTMIN + 1) && !sigismember(&pending, SIGUSR2));
    nseen = 0;
    sigprocmask(SIG_SETMASK, &none, NULL);
    CHECK(nseen == 10);
    int nrt[3] = { 0 };
    for (int i = 0; i < nseen; i++) { /* each signal's values in the order they were sent */
        int which = seen[i] - SIGRTMIN;
        if (which < 0)
            continue;
        CHECK(values[i] == 10 * nrt[which] + which);
        nrt[which]++;
    }
    CHECK(nrt[0] == 3 && nrt[1] == 3 && nrt[2] == 3);
}

static void test_taking(void)
{
    sigset_t set = set_of(SIGRTMIN, SIGUSR1);
    struct timespec soon = { 0, 20000000 }, now = { 0, 0 };
    union sigval value = { .sival_int = 42 };
    siginfo_t info;

    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_ERRNO(sigtimedwait(&set, &info, &now), EAGAIN);
    int64_t start = now_ns();
    CHECK_ERRNO(sigtimedwait(&set, &info, &soon), EAGAIN);
    CHECK(now_ns() - start >= 20000000);
    sigqueue(getpid(), SIGRTMIN, value);
    kill(getpid(), SIGUSR1);
    CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_USER &&
          info.si_pid == getpid());
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_QUEUE &&
          info.si_value.sival_int == 42);
    pid_t pid = fork();
    if (pid == 0) { /* a child's end wakes the waiter, although SIGCHLD is ignored by default */
        sleep_ms(20);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_pid == pid);
    waitpid(pid, NULL, 0);
    sigset_t child = set_of(SIGCHLD, 0);
    sigprocmask(SIG_BLOCK, &child, NULL);
    pid = fork();
    if (pid == 0)
        _exit(6);
    CHECK(sigwaitinfo(&child, &info) == SIGCHLD && info.si_pid == pid && info.si_status == 6 &&
          info.si_code == CLD_EXITED);
    waitpid(pid, NULL, 0);
    sigprocmask(SIG_UNBLOCK, &child, NULL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void send_later(int signo)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        sleep_ms(30);
        kill(parent, signo);
        _exit(0);
    }
}

/* The mask holds during the call alone, and the handler sees it too. */
static void test_temporary_masks(void)
{
    sigset_t blocked = set_of(SIGUSR1, SIGUSR2), open = set_of(SIGUSR2, 0), after;
    struct timespec second = { 1, 0 };

    handle(SIGUSR1, 0);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    kill(getpid(), SIGUSR1);
    nseen = 0;
    CHECK_ERRNO(sigsuspend(&open), EINTR);
    CHECK(nseen == 1);
    send_later(SIGUSR1);
    CHECK_ERRNO(ppoll(NULL, 0, &second, &open), EINTR);
    CHECK(nseen == 2);
    wait(NULL);
    send_later(SIGUSR1);
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &second, &open), EINTR);
    CHECK(nseen == 3);
    wait(NULL);
    sigprocmask(SIG_SETMASK, NULL, &after);
    CHECK(sigismember(&after, SIGUSR1) && sigismember(&after, SIGUSR2));
    struct timespec moment = { 0, 1000000 };
    CHECK(ppoll(NULL, 0, &moment, &open) == 0);
    sigprocmask(SIG_SETMASK, NULL, &after);
    CHECK(sigismember(&after, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static volatile int depth, deepest, nruns;

static void nest(int signo)
{
    if (++depth > deepest)
        deepest = depth;
    if (++nruns < 3)
        raise(signo);
    depth--;
}

static void test_flags(void)
{
    struct sigaction action = { .sa_handler = nest, .sa_flags = SA_NODEFER }, now;

    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    CHECK(deepest == 3);
    deepest = nruns = 0;
    action.sa_flags = 0;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1); /* the next one runs after this one has returned */
    CHECK(deepest == 1 && nruns == 3);
    handle(SIGUSR2, SA_RESETHAND);
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &now);
    CHECK(now.sa_handler == SIG_DFL);
    CHECK_ERRNO(sigaction(SIGKILL, &action, NULL), EINVAL);
    CHECK_ERRNO(sigaction(SIGSTOP, &action, NULL), EINVAL);
    CHECK_ERRNO(sigaction(65, &action, NULL), EINVAL);
    CHECK(!sigaction(SIGKILL, NULL, &now) && now.sa_handler == SIG_DFL);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(999999, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 999999, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 4), EINVAL);
    CHECK(kill(getpid(), 0) == 0);
}

/* ---- Several threads ------------------------------------------------------------------------ */

static volatile pid_t taker;

static void note_taker(int signo)
{
    (void)signo;
    taker = (pid_t)syscall(SYS_gettid);
}

static void *wait_open(void *arg)
{
    sigset_t set = set_of(SIGUSR1, 0);

    *(volatile pid_t *)arg = (pid_t)syscall(SYS_gettid);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (!taker)
        sleep_ms(1);
    return NULL;
}

/* A signal for the process goes to whoever does not block it, also if it was pending before. */
static void test_threads(void)
{
    struct sigaction action = { .sa_handler = note_taker };
    sigset_t set = set_of(SIGUSR1, 0);
    volatile pid_t other = 0;
    pthread_t thread;

    sigaction(SIGUSR1, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int round = 0; round < 2; round++) {
        taker = 0;
        other = 0;
        if (round == 0)
            kill(getpid(), SIGUSR1);
        pthread_create(&thread, NULL, wait_open, (void *)&other);
        if (round == 1) {
            sleep_ms(20);
            kill(getpid(), SIGUSR1);
        }
        pthread_join(thread, NULL);
        CHECK(taker && taker == other);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static pthread_barrier_t both_took;
static volatile pid_t waiters[2];

static void *take_one(void *arg)
{
    sigset_t set = set_of(SIGRTMIN, 0);

    *(volatile pid_t *)arg = (pid_t)syscall(SYS_gettid);
    CHECK(sigwaitinfo(&set, NULL) == SIGRTMIN);
    pthread_barrier_wait(&both_took);
    return NULL;
}

/* Two signals that come before any of two waiting threads has run: who was woken takes one only, the other gets the
 * other.  The waiters share the CPU with their sender, which runs as long as it likes. */
static void test_two_waiters(void)
{
    struct sched_param param = { .sched_priority = 1 };
    sigset_t set = set_of(SIGRTMIN, 0);
    pthread_t threads[2];
    cpu_set_t cpus, before;

    pthread_barrier_init(&both_took, NULL, 2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sched_getaffinity(0, sizeof(before), &before);
    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    NEED(!sched_setaffinity(0, sizeof(cpus), &cpus));
    for (int i = 0; i < 2; i++)
        NEED(!pthread_create(&threads[i], NULL, take_one, (void *)&waiters[i]));
    for (int i = 0; i < 2; i++) {
        while (!waiters[i])
            sleep_ms(1);
        wait_asleep(waiters[i]);
    }
    /* Who may not needs luck; musl has no function for it. */
    (void)syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param);
    for (int i = 0; i < 2; i++)
        CHECK(!sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }));
    param.sched_priority = 0;
    CHECK(!syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    sched_setaffinity(0, sizeof(before), &before);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *block_forever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

static void *spin(void *arg)
{
    for (;;)
        (*(volatile long *)arg)++;
    return NULL;
}

/* Stopping stops every thread, asleep or busy; continuing continues them. */
static void test_stop(void)
{
    static long *counter;
    int status, ends[2];
    pthread_t thread;

    NEED(!pipe(ends));
    pid_t pid = fork();
    if (pid == 0) {
        long count = 0;
        counter = &count;
        pthread_create(&thread, NULL, spin, counter);
        pthread_create(&thread, NULL, block_forever, NULL);
        (void)!write(ends[1], "r", 1);
        sleep_ms(100); /* goes on where it was stopped */
        sleep_ms(400);
        _exit(11);
    }
    char c;
    NEED(read(ends[0], &c, 1) == 1);
    CHECK(!kill(pid, SIGSTOP));
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    siginfo_t info = { 0 };
    CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    kill(pid, SIGCONT);
    CHECK(!waitid(P_PID, (id_t)pid, &info, WCONTINUED) && info.si_code == CLD_CONTINUED &&
          info.si_status == SIGCONT);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 11);
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    kill(pid, SIGTERM); /* stays pending while it is stopped */
    sleep_ms(20);
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    kill(pid, SIGKILL); /* SIGKILL does not wait */
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
    test_order();
    test_taking();
    test_temporary_masks();
    test_flags();
    test_threads();
    test_two_waiters();
    test_stop();
    return check_end();
}
