// SPDX-License-Identifier: MIT
/*
 * timer_create and its kin, interval timers, CPU clocks, interrupted sleeps.
 * test: flags=-pthread cpus=2 timeout=60
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>

#define MS 1000000L

static volatile sig_atomic_t nsignals, last_value, last_code;
static volatile int last_overrun, last_tid;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    nsignals++;
    last_code = info->si_code;
    if (info->si_code != SI_TIMER)
        return;
    last_value = info->si_value.sival_int;
    last_overrun = info->si_overrun;
    last_tid = (int)syscall(SYS_gettid);
}

static void handle(int number, int flags)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

    sigaction(number, &action, NULL);
}

static void burn_ms(clockid_t clock, long ms)
{
    struct timespec now, end;

    clock_gettime(clock, &end);
    end.tv_nsec += ms * MS;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    do {
        clock_gettime(clock, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

static timer_t make(clockid_t clock, int signo, int value)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
                              .sigev_signo = signo,
                              .sigev_value.sival_int = value };
    timer_t timer = 0;

    NEED(!timer_create(clock, &event, &timer));
    return timer;
}

static void set(timer_t timer, long value_ms, long interval_ms)
{
    struct itimerspec spec = { .it_value = { value_ms / 1000, value_ms % 1000 * MS },
                               .it_interval = { interval_ms / 1000, interval_ms % 1000 * MS } };

    CHECK(!timer_settime(timer, 0, &spec, NULL));
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* What is left of total, of which at least `passed` is over, and no more than since start. */
static bool is_left(struct timespec left, int64_t total, int64_t passed, int64_t start)
{
    int64_t ns = left.tv_sec * 1000 * MS + left.tv_nsec;

    return ns <= total - passed && ns >= total - (now_ns() - start);
}

static void test_once(void)
{
    timer_t timer = make(CLOCK_MONOTONIC, SIGUSR1, 42);
    struct itimerspec spec, old;
    int64_t start = now_ns();

    nsignals = 0;
    set(timer, 5000, 3000);
    CHECK(!timer_gettime(timer, &spec));
    CHECK(is_left(spec.it_value, 5000 * MS, 0, start) && spec.it_interval.tv_sec == 3);
    set(timer, 20, 0);
    sleep_ms(60);
    CHECK(nsignals == 1 && last_value == 42 && last_code == SI_TIMER && last_overrun == 0);
    CHECK(!timer_gettime(timer, &spec) && spec.it_value.tv_nsec == 0);
    start = now_ns();
    set(timer, 5000, 3000);
    spec = (struct itimerspec){ 0 };
    CHECK(!timer_settime(timer, 0, &spec, &old));
    CHECK(is_left(old.it_value, 5000 * MS, 0, start) && old.it_interval.tv_sec == 3);
    CHECK(!timer_delete(timer));
    CHECK_ERRNO(timer_delete(timer), EINVAL);
    CHECK_ERRNO(timer_settime(timer, 0, &spec, NULL), EINVAL);
}

static void test_absolute(void)
{
    timer_t timer = make(CLOCK_REALTIME, SIGUSR1, 1);
    struct itimerspec spec = { 0 };

    nsignals = 0;
    clock_gettime(CLOCK_REALTIME, &spec.it_value);
    CHECK(!timer_settime(timer, TIMER_ABSTIME, &spec, NULL)); /* now is the past */
    sleep_ms(20);
    CHECK(nsignals == 1);
    spec.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timer_settime(timer, 0, &spec, NULL), EINVAL);
    CHECK(!timer_delete(timer));
}

static void test_overrun(void)
{
    timer_t timer = make(CLOCK_MONOTONIC, SIGRTMIN, 2);
    sigset_t mask, old;

    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &mask, &old);
    nsignals = 0;
    int64_t start = now_ns();
    set(timer, 5, 5);
    sleep_ms(103);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(nsignals >= 1 && last_overrun + nsignals >= 10);
    int overrun = timer_getoverrun(timer);
    CHECK(overrun <= (now_ns() - start) / (5 * MS));
    timer_delete(timer);
}

static void test_periodic(void)
{
    timer_t timer = make(CLOCK_MONOTONIC, SIGUSR1, 3);

    nsignals = 0;
    int64_t start = now_ns();
    set(timer, 10, 10);
    while (nsignals < 10)
        sleep_ms(1);
    CHECK(now_ns() - start >= 99 * MS);
    timer_delete(timer);
    int total = nsignals;
    sleep_ms(30);
    CHECK(nsignals == total);
}

static void *on_own_thread(void *arg)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2 };
    int tid = (int)syscall(SYS_gettid);
    timer_t timer;

    event._sigev_un._tid = tid;
    NEED(!timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer));
    nsignals = 0;
    int64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    set(timer, 20, 0);
    sleep_ms(50);
    used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - used;
    CHECK(nsignals == 0 || used >= 20 * MS); /* hardly any CPU time has passed */
    burn_ms(CLOCK_THREAD_CPUTIME_ID, 60);
    CHECK(nsignals == 1 && last_tid == tid);
    timer_delete(timer);
    event._sigev_un._tid = 1 << 21;
    CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
    return arg;
}

static void test_threads(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, on_own_thread, NULL);
    pthread_join(thread, NULL);
}

static void test_itimers(void)
{
    struct itimerval value = { .it_value = { 0, 20000 } }, old;

    nsignals = 0;
    int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(!setitimer(ITIMER_PROF, &value, NULL));
    sleep_ms(60);
    used = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - used;
    CHECK(nsignals == 0 || used >= 20 * MS);
    /* Linux charges whole ticks to whom they find running, which on a busy machine may be others for long. */
    for (int i = 0; i < 50 && (i == 0 || nsignals == 0); i++)
        burn_ms(CLOCK_PROCESS_CPUTIME_ID, 60);
    CHECK(nsignals == 1);
    nsignals = 0;
    value.it_interval.tv_usec = 20000;
    CHECK(!setitimer(ITIMER_REAL, &value, NULL));
    while (nsignals < 3)
        pause();
    CHECK(last_code == SI_KERNEL);
    value = (struct itimerval){ 0 };
    CHECK(!setitimer(ITIMER_REAL, &value, &old) && old.it_interval.tv_usec == 20000);
    CHECK_ERRNO(setitimer(7, &value, NULL), EINVAL);
    value.it_value.tv_usec = 1000000;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &value, NULL), EINVAL);
    CHECK(alarm(3) == 0 && alarm(0) == 3);
}

static void test_children(void)
{
    struct itimerval value = { .it_value = { 5, 0 } };

    setitimer(ITIMER_REAL, &value, NULL);
    pid_t pid = fork();
    if (pid == 0) { /* timers are not inherited */
        getitimer(ITIMER_REAL, &value);
        _exit(value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    alarm(0);
}

static void test_sleep(void)
{
    struct timespec time = { 10, 0 }, left = { 99, 9 };

    handle(SIGALRM, SA_RESTART);
    int64_t start = now_ns();
    ualarm(30000, 30000); /* again, if the first one comes before the sleep */
    CHECK_ERRNO(nanosleep(&time, &left), EINTR);  /* a handler ends it even with SA_RESTART */
    CHECK(is_left(left, 10000 * MS, -MS, start)); /* a slack of the timer */
    ualarm(0, 0);
    left = (struct timespec){ 0, 5 * MS };
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 30 * MS;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == 0);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &left, NULL) == 0);
    time.tv_nsec = -1;
    CHECK_ERRNO(nanosleep(&time, NULL), EINVAL);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &left, NULL) == EOPNOTSUPP);
    CHECK(clock_nanosleep(99, 0, &left, NULL) == EINVAL);
}

/* Stopped and continued, a sleep goes on by itself and ends when it would have. */
static int64_t stopped_sleep(void)
{
    int64_t start = now_ns();
    pid_t pid = fork();

    if (pid == 0) {
        struct timespec time = { 0, 150 * MS };
        _exit(nanosleep(&time, NULL) != 0);
    }
    sleep_ms(60);
    kill(pid, SIGSTOP);
    sleep_ms(60);
    kill(pid, SIGCONT);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return now_ns() - start;
}

/* One that began anew would end after 270 ms; a busy machine may make some of them late. */
static void test_stopped_sleep(void)
{
    int64_t shortest = INT64_MAX;

    for (int i = 0; i < 10 && shortest >= 260 * MS; i++) {
        int64_t time = stopped_sleep();
        shortest = time < shortest ? time : shortest;
        CHECK(time >= 150 * MS);
    }
    CHECK(shortest < 260 * MS);
}

static void *idle_thread(void *arg)
{
    pthread_barrier_wait(arg);
    return arg;
}

static void test_cpu_clocks(void)
{
    clockid_t clock;
    struct timespec time;
    pthread_t thread;
    pthread_barrier_t end;
    struct tms before, after;

    CHECK(clock_getcpuclockid(0, &clock) == 0 && !clock_gettime(clock, &time));
    CHECK(clock_getcpuclockid(getpid(), &clock) == 0 && !clock_gettime(clock, &time));
    pthread_barrier_init(&end, NULL, 2);
    pthread_create(&thread, NULL, idle_thread, &end);
    CHECK(pthread_getcpuclockid(thread, &clock) == 0 && !clock_gettime(clock, &time));
    CHECK(time.tv_sec == 0 && time.tv_nsec < 100 * MS);
    CHECK_ERRNO(clock_settime(CLOCK_PROCESS_CPUTIME_ID, &time), EINVAL);
    CHECK_ERRNO(clock_settime(clock, &time), EPERM);
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &time), EINVAL);
    CHECK_ERRNO(clock_gettime((clockid_t)0x7ffffff0, &time), EINVAL);
    CHECK(!clock_getres(CLOCK_PROCESS_CPUTIME_ID, &time) && time.tv_nsec == 1);
    times(&before);
    burn_ms(CLOCK_PROCESS_CPUTIME_ID, 80);
    times(&after);
    CHECK(after.tms_utime + after.tms_stime - before.tms_utime - before.tms_stime >= 7);
    pthread_barrier_wait(&end);
    pthread_join(thread, NULL);
}

int main(void)
{
    handle(SIGUSR1, 0);
    handle(SIGUSR2, 0);
    handle(SIGRTMIN, 0);
    handle(SIGALRM, 0);
    handle(SIGPROF, 0);
    test_once();
    test_absolute();
    test_overrun();
    test_periodic();
    test_threads();
    test_itimers();
    test_children();
    test_sleep();
    test_stopped_sleep();
    test_cpu_clocks();
    return check_end();
}
