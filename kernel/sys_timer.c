// SPDX-License-Identifier: MIT
/*
 * timer_create(2) and its kin, setitimer(2), alarm(2): arguments and structures.
 */
#include "abi/errno.h"
#include "kernel/clock.h"
#include "kernel/posix_timer.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- POSIX timers -------------------------------------------------------------------- */

long sys_timer_create(int clock, const void __app *event_from, void __app *id_to)
{
    struct abi_sigevent event = { .sigev_notify = ABI_SIGEV_SIGNAL, .sigev_signo = ABI_SIGALRM };

    if (event_from) {
        int err = copy_from_app(&event, event_from, sizeof(event));
        if (err)
            return err;
    }
    int id = posix_timer_create(clock, &event);
    if (id < 0)
        return id;
    if (copy_to_app(id_to, &id, sizeof(id))) {
        (void)posix_timer_delete(id);
        return -EFAULT;
    }
    return 0;
}

static struct abi_itimerspec itimerspec_of(const struct timer_setting *setting)
{
    return (struct abi_itimerspec){ .it_interval = timespec_from_nsec(setting->interval),
                                    .it_value = timespec_from_nsec(setting->value) };
}

long sys_timer_settime(int id, int flags, const void __app *value, void __app *old_to)
{
    struct timer_setting setting = { .is_absolute = flags & ABI_TIMER_ABSTIME }, old;
    struct abi_itimerspec spec;

    if (!value)
        return -EINVAL;
    int err = copy_from_app(&spec, value, sizeof(spec));
    if (!err)
        err = nsec_from_timespec(&spec.it_value, &setting.value);
    if (!err)
        err = nsec_from_timespec(&spec.it_interval, &setting.interval);
    if (!err)
        err = posix_timer_set(id, &setting, &old);
    if (err || !old_to)
        return err;
    spec = itimerspec_of(&old);
    return copy_to_app(old_to, &spec, sizeof(spec));
}

long sys_timer_gettime(int id, void __app *value)
{
    struct timer_setting setting;
    int err = posix_timer_get(id, &setting);
    if (err)
        return err;
    struct abi_itimerspec spec = itimerspec_of(&setting);
    return copy_to_app(value, &spec, sizeof(spec));
}

long sys_timer_getoverrun(int id)
{
    return posix_timer_overrun(id);
}

long sys_timer_delete(int id)
{
    return posix_timer_delete(id);
}

/* ---- Interval timers ------------------------------------------------------------------ */

static struct abi_itimerval itimerval_of(const struct timer_setting *setting)
{
    struct abi_itimerval value = { .it_interval = timeval_from_nsec(setting->interval),
                                   .it_value = timeval_from_nsec(setting->value) };

    if (setting->value > 0 && setting->value < NSEC_PER_USEC)
        value.it_value.tv_usec = 1; /* 0 would say disarmed */
    return value;
}

static bool itimer_is_valid(int which)
{
    return which >= ABI_ITIMER_REAL && which <= ABI_ITIMER_PROF;
}

long sys_getitimer(int which, void __app *value_to)
{
    struct timer_setting setting;

    if (!itimer_is_valid(which))
        return -EINVAL;
    itimer_get(which, &setting);
    struct abi_itimerval value = itimerval_of(&setting);
    return copy_to_app(value_to, &value, sizeof(value));
}

long sys_setitimer(int which, const void __app *value_from, void __app *old_to)
{
    struct abi_itimerval value = { 0 };
    struct timer_setting setting = { 0 }, old;
    int err = value_from ? copy_from_app(&value, value_from, sizeof(value)) : 0;

    if (!err)
        err = nsec_from_timeval(&value.it_value, &setting.value);
    if (!err)
        err = nsec_from_timeval(&value.it_interval, &setting.interval);
    if (!err && !itimer_is_valid(which))
        err = -EINVAL;
    if (!err)
        err = itimer_set(which, &setting, &old);
    if (err || !old_to)
        return err;
    value = itimerval_of(&old);
    return copy_to_app(old_to, &value, sizeof(value));
}

long sys_alarm(unsigned seconds)
{
    struct timer_setting setting = { .value = (nsec_t)seconds * NSEC_PER_SEC }, old;
    int err = itimer_set(ABI_ITIMER_REAL, &setting, &old);
    if (err)
        return err;

    /* A pending alarm is never reported as 0 seconds, and rather too late than too early. */
    struct abi_itimerval value = itimerval_of(&old);
    bool rounds_up = value.it_value.tv_usec >= 500000 ||
                     (value.it_value.tv_sec == 0 && value.it_value.tv_usec > 0);
    return value.it_value.tv_sec + rounds_up;
}
