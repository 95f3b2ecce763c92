// SPDX-License-Identifier: MIT
/*
 * Clocks, interval timers, scheduling parameters and what the system tells of itself, by the calls themselves: the
 * results that are the same everywhere, and the errors.
 * test: variants=dynamic
 */
#include "check.h"

#include <sched.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static void test_clocks(void)
{
    struct timespec now, other;
    struct timeval second;
    struct timezone zone = { 1, 1 };
    long seconds = 0;

    CHECK(!syscall(SYS_clock_gettime, CLOCK_REALTIME, &now));
    CHECK(!syscall(SYS_gettimeofday, &second, &zone) && second.tv_sec - now.tv_sec < 2);
    CHECK(syscall(SYS_time, &seconds) == seconds && seconds - now.tv_sec < 2);
    CHECK(syscall(SYS_time, NULL) >= seconds && !syscall(SYS_gettimeofday, NULL, NULL));
    for (int clock = 0; clock < 12; clock++) {
        if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
            continue; /* there with a real-time clock device only */
        long err = syscall(SYS_clock_getres, clock, &other) ? errno : 0;
        long same = syscall(SYS_clock_gettime, clock, &now) ? errno : 0;
        printf("clock %d: %ld %ld, %d\n", clock, err, same, !err && other.tv_sec == 0);
    }
    CHECK(!syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL));
    CHECK_ERRNO(syscall(SYS_clock_getres, 99, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, -1, &now), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &now), EINVAL);
    now = (struct timespec){ 1, 1000000000 };
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &now), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, 99, 0, &now, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &now, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_nanosleep, &now, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &other, NULL), EOPNOTSUPP);
    second = (struct timeval){ 1, 1000000 };
    CHECK_ERRNO(syscall(SYS_settimeofday, &second, NULL), EINVAL);
    CHECK(!syscall(SYS_clock_gettime, CLOCK_REALTIME, &now));
    struct tms process;
    CHECK(syscall(SYS_times, &process) > 0 && process.tms_cutime >= 0);
    CHECK(syscall(SYS_times, NULL) > 0);
}

static void test_timers(void)
{
    struct itimerval value = { { 0, 0 }, { 100, 0 } }, old;
    struct itimerspec spec = { { 0, 0 }, { 100, 0 } };
    int id = -1;

    CHECK(!syscall(SYS_setitimer, ITIMER_REAL, &value, NULL));
    CHECK(!syscall(SYS_getitimer, ITIMER_REAL, &old) && old.it_value.tv_sec >= 98);
    CHECK(syscall(SYS_alarm, 50) >= 99 && syscall(SYS_alarm, 0) >= 49);
    CHECK(!syscall(SYS_getitimer, ITIMER_REAL, &old) && old.it_value.tv_sec == 0);
    CHECK_ERRNO(syscall(SYS_getitimer, 3, &old), EINVAL);
    CHECK_ERRNO(syscall(SYS_setitimer, -1, &value, NULL), EINVAL);
    value.it_value.tv_usec = 1000000;
    CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, &value, NULL), EINVAL);
    CHECK(!syscall(SYS_setitimer, ITIMER_PROF, NULL, &old)); /* as if all were zero */
    CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) && id >= 0);
    CHECK(!syscall(SYS_timer_settime, id, 0, &spec, NULL));
    CHECK(!syscall(SYS_timer_gettime, id, &spec) && spec.it_value.tv_sec >= 98);
    CHECK(syscall(SYS_timer_getoverrun, id) == 0);
    CHECK_ERRNO(syscall(SYS_timer_gettime, id + 77, &spec), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_gettime, id, 8L), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, 8L, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_getoverrun, id + 77), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_settime, id + 77, 0, &spec, NULL), EINVAL);
    CHECK(!syscall(SYS_timer_delete, id));
    CHECK_ERRNO(syscall(SYS_timer_delete, id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, 99, NULL, &id), EINVAL);
}

static void test_scheduling(void)
{
    struct sched_param param = { 0 };
    struct timespec slice;
    unsigned cpu = 99, node = 99;

    CHECK(!syscall(SYS_sched_setparam, 0, &param) && !syscall(SYS_sched_getparam, 0, &param));
    param.sched_priority = 1;
    CHECK_ERRNO(syscall(SYS_sched_setparam, 0, &param), EINVAL); /* SCHED_OTHER has only 0 */
    CHECK_ERRNO(syscall(SYS_sched_setparam, -1, &param), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setparam, 0x3fffffff, &param), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_setparam, 0, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getparam, 0x3fffffff, &param), ESRCH);
    for (int policy = -1; policy < 7; policy++)
        printf("policy %d: %ld to %ld\n", policy, syscall(SYS_sched_get_priority_min, policy),
               syscall(SYS_sched_get_priority_max, policy));
    CHECK(!syscall(SYS_sched_rr_get_interval, 0, &slice));
    CHECK_ERRNO(syscall(SYS_sched_rr_get_interval, -1, &slice), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_rr_get_interval, 0x3fffffff, &slice), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_getscheduler, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getscheduler, 0x3fffffff), ESRCH);
    CHECK(syscall(SYS_getpriority, PRIO_PROCESS, 0) == 20 &&
          syscall(SYS_getpriority, PRIO_PGRP, 0) > 0);
    CHECK_ERRNO(syscall(SYS_getpriority, 3, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_getpriority, PRIO_PROCESS, 0x3fffffff), ESRCH);
    CHECK_ERRNO(syscall(SYS_setpriority, 3, 0, 0), EINVAL);
    CHECK(!syscall(SYS_getcpu, &cpu, &node, NULL) && cpu < 64 && node == 0);
    CHECK(!syscall(SYS_getcpu, NULL, NULL, NULL) && !syscall(SYS_sched_yield));
    CHECK_ERRNO(syscall(SYS_getcpu, 8L, NULL, NULL), EFAULT);
}

static void test_system(void)
{
    struct utsname names;
    struct sysinfo info;
    char text[64];
    int status;

    CHECK(!syscall(SYS_uname, &names) && !strcmp(names.sysname, "Linux"));
    CHECK(!syscall(SYS_sysinfo, &info) && info.totalram && info.mem_unit && info.procs);
    CHECK(syscall(SYS_getrandom, text, 20L, 0) == 20 && syscall(SYS_getrandom, text, 0L, 0) == 0);
    CHECK(syscall(SYS_getrandom, text, 20L, 3 & 1) == 20);
    CHECK_ERRNO(syscall(SYS_getrandom, text, 20L, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, text, 20L, 6), EINVAL); /* GRND_RANDOM and GRND_INSECURE */
    CHECK(syscall(SYS_personality, 0xffffffffL) == 0);
    CHECK(syscall(SYS_personality, (long)ADDR_NO_RANDOMIZE) == 0);
    CHECK(syscall(SYS_personality, 0L) == ADDR_NO_RANDOMIZE);
    CHECK_ERRNO(syscall(SYS_sethostname, "x", -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sethostname, text, 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_setdomainname, text, 65), EINVAL);
    CHECK(!syscall(SYS_sethostname, names.nodename, strlen(names.nodename)));
    CHECK(!syscall(SYS_setdomainname, names.domainname, strlen(names.domainname)));
    CHECK_ERRNO(syscall(SYS_syslog, 99, text, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_syslog, 3, NULL, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_syslog, 3, text, -1), EINVAL);
    CHECK(syscall(SYS_syslog, 3, text, 0) == 0 && syscall(SYS_syslog, 10, NULL, 0) > 0);
    CHECK_ERRNO(syscall(SYS_reboot, 1L, 2L, 0L, NULL), EINVAL);
    fflush(stdout);
    if (fork() == 0) {
        setsid(); /* no terminal to hang up */
        CHECK(!syscall(SYS_vhangup));
        exit(check_failures);
    }
    CHECK(wait(&status) > 0 && status == 0);
    struct rlimit limit;
    CHECK(!syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit) &&
          !syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit));
    limit.rlim_max = limit.rlim_cur - 1;
    CHECK_ERRNO(syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit), EINVAL);
}

int main(void)
{
    test_clocks();
    test_timers();
    test_scheduling();
    test_system();
    return check_end();
}
