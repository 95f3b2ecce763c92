// SPDX-License-Identifier: MIT
/*
 * Clocks, sleeping, timers, the vDSO, CPU time, getrandom.
 * test: flags=-pthread cpus=2 variants=dynamic,static,musl roads=syscall
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

static void test_clocks(void)
{
    static const clockid_t clocks[] = {
        CLOCK_REALTIME,           CLOCK_MONOTONIC,         CLOCK_MONOTONIC_RAW,
        CLOCK_REALTIME_COARSE,    CLOCK_BOOTTIME,          CLOCK_MONOTONIC_COARSE,
        CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI
    };
    struct timespec one, two, resolution;

    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        CHECK(!clock_gettime(clocks[i], &one) && !clock_gettime(clocks[i], &two));
        CHECK(two.tv_sec > one.tv_sec || (two.tv_sec == one.tv_sec && two.tv_nsec >= one.tv_nsec));
        CHECK(one.tv_nsec >= 0 && one.tv_nsec < 1000000000);
        CHECK(!clock_getres(clocks[i], &resolution) && resolution.tv_sec == 0 &&
              resolution.tv_nsec > 0);
    }
    CHECK_ERRNO(clock_gettime(99, &one), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_REALTIME, 64L), EFAULT);
    struct timeval day;
    CHECK(!gettimeofday(&day, NULL) && !clock_gettime(CLOCK_REALTIME, &one));
    CHECK(labs(one.tv_sec - day.tv_sec) <= 60 && labs(one.tv_sec - time(NULL)) <= 60);
    CHECK(one.tv_sec > 1700000000);
    /* The system call and the vDSO tell the same time. */
    for (int i = 0; i < 100; i++) {
        clock_gettime(CLOCK_MONOTONIC, &one);
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &resolution);
        clock_gettime(CLOCK_MONOTONIC, &two);
        int64_t a = one.tv_sec * 1000000000LL + one.tv_nsec,
                b = two.tv_sec * 1000000000LL + two.tv_nsec;
        int64_t m = resolution.tv_sec * 1000000000LL + resolution.tv_nsec;
        CHECK(a <= m && m <= b);
    }
}

static void test_sleeping(void)
{
    struct timespec time = { 0, 15000000 }, bad = { 0, 1000000000 };
    int64_t start = now_ns();

    CHECK(!nanosleep(&time, NULL) && now_ns() - start >= 15000000 &&
          now_ns() - start < 10000000000);
    CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 20000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    start = now_ns();
    CHECK(!clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) &&
          now_ns() - start >= 15000000);
    CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL) == EINVAL);
    CHECK(!usleep(1000) && sleep(0) == 0 && !sched_yield());
}

static void *burn(void *arg)
{
    struct timespec used;

    /* Computing in its own code; what a busy host leaves of the time decides how long that takes. */
    do {
        int64_t until = now_ns() + 1000000;
        while (now_ns() < until) {
            for (volatile int i = 0; i < 1000; i++)
                ;
        }
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    } while (used.tv_sec == 0 && used.tv_nsec < 60000000);
    return arg;
}

static void test_cpu_time(void)
{
    struct timespec before, after, thread;
    struct rusage usage;
    pthread_t other;

    int64_t used, tries = 0;
    do { /* a host may keep a machine waiting that is at work */
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        sleep_ms(50);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        used = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    } while (used >= 40000000 && ++tries < 10);
    CHECK(used < 40000000); /* sleeping costs nothing */
    pthread_create(&other, NULL, burn, NULL);
    pthread_join(other, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread);
    used = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    CHECK(used > 20000000);
    CHECK(!getrusage(RUSAGE_SELF, &usage) &&
          usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 20000);
    CHECK(usage.ru_maxrss > 0);
    struct tms ticks;
    CHECK(times(&ticks) != (clock_t)-1);
    CHECK_ERRNO(getrusage(77, &usage), EINVAL);
}

static volatile int fired, overruns;

static void on_timer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    fired++;
    CHECK(info->si_code == SI_TIMER && info->si_value.sival_int == 5);
    overruns += info->si_overrun;
}

static void test_timers(void)
{
    struct sigaction action = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
                              .sigev_signo = SIGRTMIN,
                              .sigev_value.sival_int = 5 };
    struct itimerspec every = { { 0, 10000000 }, { 0, 10000000 } }, left;
    timer_t timer;

    sigaction(SIGRTMIN, &action, NULL);
    NEED(!timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK(!timer_settime(timer, 0, &every, NULL));
    sleep_ms(65);
    CHECK(fired + overruns >= 3); /* a busy host may run us late */
    CHECK(!timer_gettime(timer, &left) && left.it_interval.tv_nsec == 10000000);
    CHECK(!timer_delete(timer));
    CHECK_ERRNO(syscall(SYS_timer_delete, timer), EINVAL);
    int seen = fired;
    sleep_ms(30);
    CHECK(fired == seen);
    struct itimerval now, once = { .it_value = { 5, 0 } };
    CHECK(!setitimer(ITIMER_REAL, &once, NULL) && !getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_sec == 4 && alarm(0) == 5);
}

static void test_random(void)
{
    unsigned char one[64] = "", two[64] = "";

    CHECK(getrandom(one, 64, 0) == 64 && getrandom(two, 64, GRND_NONBLOCK) == 64);
    CHECK(memcmp(one, two, 64));
    CHECK(getentropy(one, 64) == 0);
    CHECK_ERRNO(getrandom(one, 1, 0x1000), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, 64L, 8, 0), EFAULT);
    int bits = 0;
    for (int i = 0; i < 64; i++)
        bits += __builtin_popcount(two[i]);
    CHECK(bits > 180 && bits < 332);
}

int main(void)
{
    test_clocks();
    test_sleeping();
    test_cpu_time();
    test_timers();
    test_random();
    return check_end();
}
