// SPDX-License-Identifier: MIT
/*
 * CLOCK_REALTIME is the monotonic clock plus an offset: what the machine's date was at boot, plus
 * what clock_settime() has moved it by.  The vDSO's page gets the offset when it changes, the first
 * time when somebody asks for the date, which the kernel does before the program starts.
 */
#include "kernel/clock.h"

#include "abi/errno.h"
#include "arch/arch.h"
#include "kernel/spinlock.h"
#include "kernel/usercopy.h"
#include "kernel/vdso_data.h"

static struct spinlock clock_lock = SPINLOCK_INIT(RANK_CLOCK);
static struct list watchers = LIST_INIT(watchers); /* under clock_lock */
static nsec_t moved_by;                            /* [a] */
static bool is_published;                          /* [a] */

nsec_t clock_monotonic(void)
{
    return arch_clock_ns();
}

/* Asked once: the machine may read a slow clock of whole seconds for it. */
static nsec_t realtime_at_boot(void)
{
    static nsec_t at_boot; /* [a] 0: not asked so far */
    nsec_t none = 0;

    if (likely(__atomic_load_n(&at_boot, __ATOMIC_RELAXED)))
        return __atomic_load_n(&at_boot, __ATOMIC_RELAXED);
    nsec_t now = arch_realtime_at_boot();
    __atomic_compare_exchange_n(&at_boot, &none, now ? now : 1, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
    return __atomic_load_n(&at_boot, __ATOMIC_RELAXED);
}

static nsec_t realtime_offset(void)
{
    nsec_t offset = realtime_at_boot() + __atomic_load_n(&moved_by, __ATOMIC_RELAXED);

    if (unlikely(!__atomic_load_n(&is_published, __ATOMIC_RELAXED))) {
        __atomic_store_n(&is_published, true, __ATOMIC_RELAXED);
        vdso_set_realtime(offset);
    }
    return offset;
}

nsec_t clock_realtime(void)
{
    return arch_clock_ns() + realtime_offset();
}

void clock_set_realtime(nsec_t now)
{
    struct clock_watcher *watcher;
    unsigned long flags = spin_lock_irq(&clock_lock);
    nsec_t offset = now - arch_clock_ns();

    __atomic_store_n(&moved_by, offset - realtime_at_boot(), __ATOMIC_RELAXED);
    __atomic_store_n(&is_published, true, __ATOMIC_RELAXED);
    vdso_set_realtime(offset);
    list_for_each (watcher, &watchers, node)
        watcher->notify(watcher);
    spin_unlock_irq(&clock_lock, flags);
}

nsec_t clock_realtime_to_deadline(nsec_t realtime)
{
    nsec_t deadline;

    if (realtime == DEADLINE_NONE)
        return DEADLINE_NONE;
    if (__builtin_sub_overflow(realtime, realtime_offset(), &deadline))
        return realtime < 0 ? 0 : DEADLINE_NONE;
    return MAX(deadline, (nsec_t)0);
}

void clock_watch(struct clock_watcher *watcher)
{
    unsigned long flags = spin_lock_irq(&clock_lock);
    list_push_back(&watchers, &watcher->node);
    spin_unlock_irq(&clock_lock, flags);
}

void clock_unwatch(struct clock_watcher *watcher)
{
    unsigned long flags = spin_lock_irq(&clock_lock);
    list_remove(&watcher->node);
    spin_unlock_irq(&clock_lock, flags);
}

int nsec_from_timespec(const struct abi_timespec *ts, nsec_t *nsec)
{
    if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC)
        return -EINVAL;
    if (ts->tv_sec >= DEADLINE_NONE / NSEC_PER_SEC)
        *nsec = DEADLINE_NONE;
    else
        *nsec = ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
    return 0;
}

int nsec_from_timeval(const struct abi_timeval *tv, nsec_t *nsec)
{
    if (tv->tv_usec < 0 || tv->tv_usec >= NSEC_PER_SEC / NSEC_PER_USEC)
        return -EINVAL;
    struct abi_timespec ts = { .tv_sec = tv->tv_sec, .tv_nsec = tv->tv_usec * NSEC_PER_USEC };
    return nsec_from_timespec(&ts, nsec);
}

/* Rounds down also before 1970. */
struct abi_timespec timespec_from_nsec(nsec_t nsec)
{
    struct abi_timespec ts = { .tv_sec = nsec / NSEC_PER_SEC, .tv_nsec = nsec % NSEC_PER_SEC };

    if (ts.tv_nsec < 0) {
        ts.tv_sec--;
        ts.tv_nsec += NSEC_PER_SEC;
    }
    return ts;
}

struct abi_timeval timeval_from_nsec(nsec_t nsec)
{
    struct abi_timespec ts = timespec_from_nsec(nsec);

    return (struct abi_timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / NSEC_PER_USEC };
}

nsec_t deadline_after(nsec_t timeout)
{
    nsec_t deadline;

    if (__builtin_add_overflow(arch_clock_ns(), timeout, &deadline))
        return DEADLINE_NONE;
    return deadline;
}

int deadline_from_app(const void __app *timespec, nsec_t *deadline)
{
    struct abi_timespec ts;
    nsec_t timeout;

    *deadline = DEADLINE_NONE;
    if (!timespec)
        return 0;
    int err = copy_from_app(&ts, timespec, sizeof(ts));
    if (!err)
        err = nsec_from_timespec(&ts, &timeout);
    if (!err)
        *deadline = deadline_after(timeout);
    return err;
}
