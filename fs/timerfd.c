// SPDX-License-Identifier: MIT
/*
 * timerfd_create(2): a timer behind a descriptor.
 *
 * A periodic timer is not armed again when it fires but when its count is read or asked for: then
 * the periods that have passed are added up.  So an interval of a nanosecond nobody reads costs one
 * interrupt, and a slow reader gets the true count.
 *
 * Timers on CLOCK_REALTIME keep their absolute time; when the clock is set, they are armed anew.
 *
 * Locking: timer->setting (mutex) makes one of two concurrent timerfd_settime() calls wait.  timer->lock
 * (irq) covers the state, since the timer's function runs at interrupt level.
 */
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/event_objects.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/mutex.h"
#include "kernel/timer.h"
#include "kernel/wait.h"

/* [i] set at creation  [s] changed with setting and lock held  [l] lock */
struct timerfd {
    int clock; /* [i] */
    struct mutex setting;
    struct spinlock lock;
    struct timer timer;
    uint64_t ticks;    /* [l, read by waits] expirations not yet read */
    nsec_t deadline;   /* [l] of the next (or the last, if is_expired) expiration, on the clock */
    nsec_t interval;   /* [s] 0: once */
    bool is_armed;     /* [l] the timer's function may count */
    bool is_expired;   /* [l] it fired and is not armed again yet */
    bool is_absolute;  /* [s] on CLOCK_REALTIME: moves with the clock */
    bool may_cancel;   /* [s] TFD_TIMER_CANCEL_ON_SET */
    bool is_cancelled; /* [l] */
    struct clock_watcher clock_watcher;
    struct poll_head poll;
    struct wait_queue wait;
};

static bool is_realtime(const struct timerfd *timer)
{
    return timer->clock == ABI_CLOCK_REALTIME || timer->clock == ABI_CLOCK_REALTIME_ALARM;
}

static nsec_t clock_now(const struct timerfd *timer)
{
    return timer->is_absolute && is_realtime(timer) ? clock_realtime() : clock_monotonic();
}

static nsec_t monotonic_deadline(const struct timerfd *timer)
{
    return timer->is_absolute && is_realtime(timer) ? clock_realtime_to_deadline(timer->deadline)
                                                    : timer->deadline;
}

/* Interrupt level. */
static void timerfd_fire(struct timer *expired)
{
    struct timerfd *timer = container_of(expired, struct timerfd, timer);
    unsigned long flags = spin_lock_irq(&timer->lock);
    bool counts = timer->is_armed;
    if (counts) {
        WRITE_ONCE(timer->ticks, timer->ticks + 1);
        timer->is_expired = true;
        timer->is_armed = false;
    }
    spin_unlock_irq(&timer->lock, flags);
    if (!counts)
        return;
    wake_all(&timer->wait);
    poll_wake(&timer->poll, ABI_POLLIN);
}

/* CLOCK_REALTIME was set; a spinlock is held. */
static void timerfd_clock_was_set(struct clock_watcher *watcher)
{
    struct timerfd *timer = container_of(watcher, struct timerfd, clock_watcher);
    unsigned long flags = spin_lock_irq(&timer->lock);
    bool cancels = timer->may_cancel;
    if (cancels) {
        timer->is_cancelled = true;
        WRITE_ONCE(timer->ticks, timer->ticks + 1);
    }
    if (timer->is_armed && timer->is_absolute)
        timer_set(&timer->timer, monotonic_deadline(timer));
    spin_unlock_irq(&timer->lock, flags);
    if (!cancels)
        return;
    wake_all(&timer->wait);
    poll_wake(&timer->poll, ABI_POLLIN);
}

/* After an expiration of a periodic timer: adds the periods missed and arms it again. */
static void timerfd_forward_locked(struct timerfd *timer)
{
    if (!timer->is_expired || timer->interval == 0)
        return;
    nsec_t late = clock_now(timer) - timer->deadline;
    uint64_t missed = late > 0 ? (uint64_t)(late / timer->interval) : 0;
    timer->ticks += missed;
    timer->deadline += (nsec_t)(missed + 1) * timer->interval;
    timer->is_expired = false;
    timer->is_armed = true;
    timer_set(&timer->timer, monotonic_deadline(timer));
}

/* The count, reset to 0; *is_cancelled if the clock was set instead. */
static uint64_t ticks_take(struct timerfd *timer, bool *is_cancelled)
{
    unsigned long flags = spin_lock_irq(&timer->lock);
    *is_cancelled = timer->is_cancelled;
    uint64_t ticks = 0;
    if (timer->is_cancelled) {
        timer->is_cancelled = false;
        timer->is_expired = false;
    } else if (timer->ticks) {
        timerfd_forward_locked(timer);
        ticks = timer->ticks;
    }
    timer->ticks = 0;
    spin_unlock_irq(&timer->lock, flags);
    return ticks;
}

static long timerfd_read(struct file *file, struct io *io, int64_t *pos)
{
    struct timerfd *timer = file->private;
    if (io->remaining < sizeof(uint64_t))
        return -EINVAL;
    for (;;) {
        bool is_cancelled;
        uint64_t ticks = ticks_take(timer, &is_cancelled);
        if (is_cancelled)
            return -ECANCELED;
        if (ticks)
            return io_write_to(io, &ticks, sizeof(ticks)) == (long)sizeof(ticks)
                       ? (long)sizeof(ticks)
                       : -EFAULT;
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&timer->wait, READ_ONCE(timer->ticks) != 0, DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
}

static unsigned timerfd_poll(struct file *file)
{
    struct timerfd *timer = file->private;
    return READ_ONCE(timer->ticks) ? ABI_POLLIN : 0;
}

static void timerfd_release(struct file *file)
{
    struct timerfd *timer = file->private;
    if (is_realtime(timer))
        clock_unwatch(&timer->clock_watcher);
    unsigned long flags = spin_lock_irq(&timer->lock);
    timer->is_armed = false;
    spin_unlock_irq(&timer->lock, flags);
    timer_cancel(&timer->timer);
    poll_head_fini(&timer->poll);
    kfree(timer);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .kind = "timerfd",
};

bool file_is_timerfd(const struct file *file)
{
    return file->ops == &timerfd_ops;
}

int timerfd_create_file(int clock, unsigned flags, struct file **out)
{
    struct timerfd *timer = kzalloc(sizeof(*timer), ALLOC_WAIT);
    if (!timer)
        return -ENOMEM;
    timer->clock = clock;
    mutex_init(&timer->setting, RANK_OBJECT);
    spin_init(&timer->lock, RANK_EVENT);
    timer_init(&timer->timer, timerfd_fire);
    timer->clock_watcher.notify = timerfd_clock_was_set;
    poll_head_init(&timer->poll);
    wait_queue_init(&timer->wait);
    int err = file_create(&timerfd_ops, timer, ABI_O_RDWR | flags, out);
    if (err) {
        kfree(timer);
        return err;
    }
    (*out)->poll_head = &timer->poll;
    if (is_realtime(timer))
        clock_watch(&timer->clock_watcher);
    return 0;
}

/* What timerfd_gettime(2) reports; periods that have passed are counted first. */
static void spec_get_locked(struct timerfd *timer, struct abi_itimerspec *spec)
{
    timerfd_forward_locked(timer);
    nsec_t left = 0;
    if (timer->is_armed)
        left = MAX(timer->deadline - clock_now(timer), (nsec_t)1);
    spec->it_value = timespec_from_nsec(left);
    spec->it_interval = timespec_from_nsec(timer->interval);
}

void timerfd_get(struct file *file, struct abi_itimerspec *spec)
{
    struct timerfd *timer = file->private;
    unsigned long flags = spin_lock_irq(&timer->lock);
    spec_get_locked(timer, spec);
    spin_unlock_irq(&timer->lock, flags);
}

static void timerfd_arm_locked(struct timerfd *timer, int flags, nsec_t value, nsec_t interval)
{
    timer->ticks = 0;
    timer->is_cancelled = false;
    timer->interval = interval;
    timer->is_absolute = flags & ABI_TFD_TIMER_ABSTIME;
    timer->may_cancel =
        timer->is_absolute && is_realtime(timer) && (flags & ABI_TFD_TIMER_CANCEL_ON_SET);
    timer->is_armed = value != 0;
    if (value == 0)
        return;
    timer->deadline = timer->is_absolute ? value : deadline_after(value);
    timer_set(&timer->timer, monotonic_deadline(timer));
}

int timerfd_set(struct file *file, int flags, const struct abi_itimerspec *spec,
                struct abi_itimerspec *old)
{
    struct timerfd *timer = file->private;
    nsec_t value, interval;
    if (nsec_from_timespec(&spec->it_value, &value) != 0 ||
        nsec_from_timespec(&spec->it_interval, &interval) != 0)
        return -EINVAL;

    mutex_lock(&timer->setting);
    unsigned long irq = spin_lock_irq(&timer->lock);
    spec_get_locked(timer, old);
    timer->is_armed = false;
    timer->is_expired = false;
    spin_unlock_irq(&timer->lock, irq);
    /* Outside of the lock, which its function takes; a late one finds is_armed false. */
    timer_cancel(&timer->timer);
    irq = spin_lock_irq(&timer->lock);
    timerfd_arm_locked(timer, flags, value, interval);
    spin_unlock_irq(&timer->lock, irq);
    mutex_unlock(&timer->setting);
    return 0;
}
