// SPDX-License-Identifier: MIT
/*
 * Reading and setting clocks, and sleeping by them.
 *
 * An interrupted sleep to an absolute time is simply made again (-ERESTARTNOHAND); one for a duration
 * keeps the deadline in the thread's restart block, and tells the application how much is left.
 */
#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/timer.h"
#include "kernel/clock.h"
#include "kernel/cpu_clock.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/sleep.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define COARSE_RESOLUTION (4 * NSEC_PER_MSEC) /* of Linux with 250 ticks a second */

/* ---- Reading -------------------------------------------------------------------------- */

static int clock_read(int clock, nsec_t *now)
{
    struct cpu_clock cpu_clock;

    switch (clock) {
    case ABI_CLOCK_REALTIME:
    case ABI_CLOCK_REALTIME_COARSE:
    case ABI_CLOCK_REALTIME_ALARM:
    case ABI_CLOCK_TAI: /* as long as nobody has told the kernel about leap seconds */
        *now = clock_realtime();
        return 0;
    case ABI_CLOCK_MONOTONIC:
    case ABI_CLOCK_MONOTONIC_RAW:
    case ABI_CLOCK_MONOTONIC_COARSE:
    case ABI_CLOCK_BOOTTIME:
    case ABI_CLOCK_BOOTTIME_ALARM:
        *now = clock_monotonic();
        return 0;
    default:
        break;
    }
    int err = clock_is_cpu(clock) ? cpu_clock_get(clock, &cpu_clock) : -EINVAL;
    if (err)
        return err;
    *now = cpu_clock_time(&cpu_clock);
    cpu_clock_put(&cpu_clock);
    return 0;
}

long sys_clock_gettime(int clock, void __app *ts_to)
{
    nsec_t now;
    int err = clock_read(clock, &now);
    if (err)
        return err;
    struct abi_timespec ts = timespec_from_nsec(now);
    return copy_to_app(ts_to, &ts, sizeof(ts));
}

long sys_clock_getres(int clock, void __app *ts_to)
{
    nsec_t now;
    int err = clock_read(clock, &now); /* says whether there is such a clock */
    if (err || !ts_to)
        return err;
    bool is_coarse = clock == ABI_CLOCK_REALTIME_COARSE || clock == ABI_CLOCK_MONOTONIC_COARSE;
    struct abi_timespec ts = timespec_from_nsec(is_coarse ? COARSE_RESOLUTION : 1);
    return copy_to_app(ts_to, &ts, sizeof(ts));
}

long sys_gettimeofday(void __app *tv_to, void __app *zone_to)
{
    const struct abi_timezone zone = { 0 };
    int err = 0;

    if (tv_to) {
        struct abi_timeval tv = timeval_from_nsec(clock_realtime());
        err = copy_to_app(tv_to, &tv, sizeof(tv));
    }
    if (!err && zone_to)
        err = copy_to_app(zone_to, &zone, sizeof(zone));
    return err;
}

long sys_time(void __app *seconds_to)
{
    int64_t seconds = timespec_from_nsec(clock_realtime()).tv_sec;
    int err = seconds_to ? copy_to_app(seconds_to, &seconds, sizeof(seconds)) : 0;

    return err ? err : seconds;
}

static int64_t ticks_of(nsec_t nsec)
{
    return nsec / (NSEC_PER_SEC / ABI_CLK_TCK);
}

long sys_times(void __app *tms_to)
{
    struct process *process = process_current();

    if (tms_to) {
        struct usage own;
        process_usage(process, &own);
        read_lock(&process_table_lock);
        struct cpu_split children = process->children_usage.time;
        read_unlock(&process_table_lock);
        struct abi_tms tms = { .tms_utime = ticks_of(own.time.user),
                               .tms_stime = ticks_of(own.time.system),
                               .tms_cutime = ticks_of(children.user),
                               .tms_cstime = ticks_of(children.system) };
        int err = copy_to_app(tms_to, &tms, sizeof(tms));
        if (err)
            return err;
    }
    return ticks_of(clock_monotonic());
}

/* ---- Setting -------------------------------------------------------------------------- */

static int realtime_set(nsec_t now)
{
    if (!process_is_capable(ABI_CAP_SYS_TIME))
        return -EPERM;
    clock_set_realtime(now);
    return 0;
}

long sys_clock_settime(int clock, const void __app *ts_from)
{
    struct abi_timespec ts;
    nsec_t now;

    if (clock != ABI_CLOCK_REALTIME) {
        int known = clock_read(clock, &now);
        return known == 0 && clock < 0 ? -EPERM : -EINVAL;
    }
    int err = copy_from_app(&ts, ts_from, sizeof(ts));
    if (!err)
        err = nsec_from_timespec(&ts, &now);
    /* Linux refuses what would make the monotonic clock negative, or overflow within 30 years. */
    if (!err && (now < clock_monotonic() || now > INT64_MAX - 30LL * 365 * 86400 * NSEC_PER_SEC))
        err = -EINVAL;
    return err ? err : realtime_set(now);
}

long sys_settimeofday(const void __app *tv_from, const void __app *zone_from)
{
    struct abi_timeval tv;
    struct abi_timezone zone;
    nsec_t now;
    int err = zone_from ? copy_from_app(&zone, zone_from, sizeof(zone)) : 0;

    if (err)
        return err;
    if (zone_from)
        log_warning_once("settimeofday: the kernel keeps no time zone");
    if (!tv_from)
        return process_is_capable(ABI_CAP_SYS_TIME) ? 0 : -EPERM;
    err = copy_from_app(&tv, tv_from, sizeof(tv));
    if (!err)
        err = nsec_from_timeval(&tv, &now);
    return err ? err : realtime_set(now);
}

/*
 * The clock is the hypervisor's, so nothing here disciplines it: the state is that of a Linux whose clock
 * nobody has synchronised, and only a step can be asked for.
 */
static int adjust(const struct abi_timex *timex)
{
    unsigned modes = timex->modes;
    const struct abi_timeval *step = &timex->time;
    nsec_t unit = modes & ABI_ADJ_NANO ? 1 : 1000;

    if (modes == 0 || modes == ABI_ADJ_OFFSET_SS_READ)
        return 0;
    if (!process_is_capable(ABI_CAP_SYS_TIME))
        return -EPERM;
    if (modes == ABI_ADJ_OFFSET_SINGLESHOT && timex->offset == 0)
        return 0; /* adjtime(3) that ends what is left of an adjustment: there is none */
    if ((modes & ~ABI_ADJ_NANO) != ABI_ADJ_SETOFFSET) {
        log_warning_once("adjtimex: the clock cannot be slewed (modes 0x%x)", modes);
        return -EOPNOTSUPP;
    }
    if (step->tv_usec < 0 || step->tv_usec >= NSEC_PER_SEC / unit)
        return -EINVAL;
    nsec_t now = clock_realtime(), by;
    if (__builtin_mul_overflow(step->tv_sec, NSEC_PER_SEC, &by) ||
        __builtin_add_overflow(by, step->tv_usec * unit, &by) ||
        __builtin_add_overflow(now, by, &now) || now < clock_monotonic())
        return -EINVAL;
    return realtime_set(now);
}

long sys_clock_adjtime(int clock, void __app *timex_at)
{
    struct abi_timex timex;

    if (clock != ABI_CLOCK_REALTIME) {
        nsec_t now;
        return clock_read(clock, &now) == 0 ? -EOPNOTSUPP : -EINVAL;
    }
    int err = copy_from_app(&timex, timex_at, sizeof(timex));
    if (!err)
        err = adjust(&timex);
    if (err)
        return err;
    nsec_t now = clock_realtime();
    timex = (struct abi_timex){
        .modes = timex.modes,
        .maxerror = 16000000, /* microseconds: it grows to this while nobody synchronises */
        .esterror = 16000000,
        .status = ABI_STA_UNSYNC,
        .constant = 2,
        .precision = 1,
        .tolerance = 500 << 16, /* parts per million */
        .time = { .tv_sec = now / NSEC_PER_SEC, .tv_usec = now % NSEC_PER_SEC / 1000 },
        .tick = 10000,
    };
    err = copy_to_app(timex_at, &timex, sizeof(timex));
    return err ? err : ABI_TIME_ERROR;
}

long sys_adjtimex(void __app *timex_at)
{
    return sys_clock_adjtime(ABI_CLOCK_REALTIME, timex_at);
}

/* ---- Sleeping -------------------------------------------------------------------------- */

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* 0 when the time has come, or -EINTR. */
static int sleep_to(nsec_t deadline, bool is_realtime)
{
    int err = sleep_until(never, NULL, is_realtime, deadline);

    return err == -ETIMEDOUT ? 0 : err;
}

static int cpu_sleep_until(const struct cpu_clock *cpu_clock, nsec_t target)
{
    int err = 0;

    while (!err && cpu_clock_time(cpu_clock) < target)
        err = sleep_to(cpu_clock_deadline(cpu_clock, target), false);
    return err;
}

static int remaining_to_app(uintptr_t to, nsec_t left)
{
    struct abi_timespec ts = timespec_from_nsec(MAX(left, (nsec_t)0));

    return to ? copy_to_app((void __app *)to, &ts, sizeof(ts)) : 0;
}

static long sleep_restart(struct restart *restart);

/* remaining: where in the application the rest of the time goes, or 0. */
static long sleep_relative(nsec_t deadline, uintptr_t remaining)
{
    if (sleep_to(deadline, false) == 0)
        return 0;
    nsec_t left = deadline - clock_monotonic();
    if (left <= 0)
        return 0;
    if (remaining_to_app(remaining, left))
        return -EFAULT;
    thread_current()->restart =
        (struct restart){ .function = sleep_restart, .address = remaining, .deadline = deadline };
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_restart(struct restart *restart)
{
    return sleep_relative(restart->deadline, restart->address);
}

static long cpu_sleep_restart(struct restart *restart);

static long cpu_sleep(int clock, nsec_t target, bool is_absolute, uintptr_t remaining)
{
    struct cpu_clock cpu_clock;
    int err = cpu_clock_get(clock, &cpu_clock);
    if (err)
        return err;
    err = cpu_sleep_until(&cpu_clock, target);
    nsec_t left = target - cpu_clock_time(&cpu_clock);
    cpu_clock_put(&cpu_clock);
    if (!err || left <= 0)
        return 0;
    if (is_absolute)
        return -ERESTARTNOHAND;
    if (remaining_to_app(remaining, left))
        return -EFAULT;
    thread_current()->restart = (struct restart){
        .function = cpu_sleep_restart, .address = remaining, .deadline = target, .clock = clock
    };
    return -ERESTART_RESTARTBLOCK;
}

static long cpu_sleep_restart(struct restart *restart)
{
    return cpu_sleep(restart->clock, restart->deadline, false, restart->address);
}

static int clock_check_sleep(int clock)
{
    switch (clock) {
    case ABI_CLOCK_REALTIME:
    case ABI_CLOCK_MONOTONIC:
    case ABI_CLOCK_BOOTTIME:
    case ABI_CLOCK_TAI:
        return 0;
    case ABI_CLOCK_THREAD_CPUTIME_ID:
    case ABI_CLOCK_MONOTONIC_RAW:
    case ABI_CLOCK_REALTIME_COARSE:
    case ABI_CLOCK_MONOTONIC_COARSE:
    case ABI_CLOCK_REALTIME_ALARM:
    case ABI_CLOCK_BOOTTIME_ALARM:
        return -EOPNOTSUPP;
    default:
        return clock_is_cpu(clock) ? 0 : -EINVAL;
    }
}

/* Sleeping for one's own thread's CPU time would never end. */
static bool clock_is_own_thread(int clock)
{
    struct cpu_clock cpu_clock;

    if (cpu_clock_get(clock, &cpu_clock))
        return false;
    bool is_own = cpu_clock.thread == thread_current();
    cpu_clock_put(&cpu_clock);
    return is_own;
}

static long sleep_by_cpu_clock(int clock, bool is_absolute, nsec_t time, uintptr_t remaining)
{
    nsec_t now;
    int err = clock_is_own_thread(clock) ? -EINVAL : clock_read(clock, &now);

    if (err)
        return err;
    if (!is_absolute && __builtin_add_overflow(now, time, &time))
        time = DEADLINE_NONE;
    return cpu_sleep(clock, time, is_absolute, remaining);
}

static long sleep_by_clock(int clock, int flags, nsec_t time, uintptr_t remaining)
{
    bool is_absolute = flags & ABI_TIMER_ABSTIME;
    bool is_date = clock == ABI_CLOCK_REALTIME || clock == ABI_CLOCK_TAI;

    if (clock_is_cpu(clock))
        return sleep_by_cpu_clock(clock, is_absolute, time, remaining);
    if (!is_absolute)
        return sleep_relative(deadline_after(time), remaining);
    return sleep_to(time, is_date) ? -ERESTARTNOHAND : 0;
}

long sys_clock_nanosleep(int clock, int flags, const void __app *request, void __app *remaining)
{
    struct abi_timespec ts;
    nsec_t time;
    int err = clock_check_sleep(clock);

    if (!err)
        err = copy_from_app(&ts, request, sizeof(ts));
    if (!err)
        err = nsec_from_timespec(&ts, &time);
    return err ? err : sleep_by_clock(clock, flags, time, (uintptr_t)remaining);
}

long sys_nanosleep(const void __app *request, void __app *remaining)
{
    return sys_clock_nanosleep(ABI_CLOCK_MONOTONIC, 0, request, remaining);
}

long sys_restart_syscall(void)
{
    struct restart restart = thread_current()->restart;

    thread_current()->restart.function = NULL;
    return restart.function ? restart.function(&restart) : -EINTR;
}
