// SPDX-License-Identifier: MIT
/*
 * Timers of processes.
 *
 * All kinds are one structure: a clock, the time of that clock at which it is due, an interval, and what to
 * do then.  The kernel timer behind it is only an alarm to look: timer_fire() reads the clock, and
 * sets the alarm again if it is not time yet.  That covers a CPU clock, which may not have moved, and
 * CLOCK_REALTIME, which may have been set.
 *
 * A signal of a timer is pending once at most.  What expires while it is, is counted, and the count goes
 * with the signal when it is taken (timer_getoverrun(2)).  Whether it is still pending is read from the
 * queue itself, because an ignored signal is never taken.
 *
 * Lock: timer_set->lock covers the list and all timers of a process.  The alarm's function takes it, so
 * timer_cancel() is called without it.
 */
#include "kernel/posix_timer.h"

#include "abi/errno.h"
#include "kernel/clock.h"
#include "kernel/cpu_clock.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* No timer fires more often: a shorter interval would leave the CPU no time for anything else. */
#define LEAST_PERIOD (20 * NSEC_PER_USEC)
#define NITIMERS     3

/* [i] set at creation  [l] timer_set->lock */
struct posix_timer {
    struct list node;      /* [l] timer_set->timers */
    struct timer_set *set; /* [i] */
    struct timer alarm;
    struct clock_watcher clock_watcher;
    struct cpu_clock cpu_clock; /* [i] if the clock is one */
    int id;                     /* [i] -1: an interval timer */
    int clock;                  /* [i] */
    int notify, signo;          /* [i] */
    uint64_t value;             /* [i] */
    struct thread *target;      /* [i] SIGEV_THREAD_ID, with a reference */
    bool is_armed;              /* [l] */
    bool follows_date;          /* [l] due is a time of CLOCK_REALTIME */
    bool is_pending;            /* [l] sent and not seen taken */
    nsec_t due, interval;       /* [l] */
    uint64_t overrun;           /* [l] of the pending signal */
    int last_overrun;           /* [l] of the signal taken last */
};

struct timer_set {
    struct spinlock lock;    /* RANK_POSIX_TIMER */
    struct process *process; /* [i] it owns the set */
    struct list timers;      /* [l] made by timer_create */
    unsigned ntimers;        /* [l] */
    int next_id;             /* [l] */
    struct posix_timer itimer[NITIMERS];
};

/* ---- Time -------------------------------------------------------------------------- */

static bool timer_is_cpu(const struct posix_timer *timer)
{
    return timer->cpu_clock.process || timer->cpu_clock.thread;
}

static nsec_t timer_now(const struct posix_timer *timer)
{
    if (timer_is_cpu(timer))
        return cpu_clock_time(&timer->cpu_clock);
    return timer->follows_date ? clock_realtime() : clock_monotonic();
}

static void timer_set_alarm(struct posix_timer *timer)
{
    nsec_t deadline = timer->due;

    if (!timer->is_armed || timer->notify == ABI_SIGEV_NONE)
        return;
    if (timer_is_cpu(timer))
        deadline = cpu_clock_deadline(&timer->cpu_clock, timer->due);
    else if (timer->follows_date)
        deadline = clock_realtime_to_deadline(timer->due);
    timer_set(&timer->alarm, deadline);
}

/* The time has come: the next one, and how many were skipped. */
static uint64_t timer_advance(struct posix_timer *timer, nsec_t now)
{
    if (timer->interval == 0) {
        timer->is_armed = false;
        return 0;
    }
    uint64_t skipped = (uint64_t)(now - timer->due) / (uint64_t)timer->interval;
    if (__builtin_add_overflow(timer->due, (nsec_t)(skipped + 1) * timer->interval, &timer->due))
        timer->due = DEADLINE_NONE;
    if (timer->due - now < LEAST_PERIOD && timer->interval < LEAST_PERIOD) {
        uint64_t more = (uint64_t)(LEAST_PERIOD / timer->interval);
        timer->due += (nsec_t)more * timer->interval;
        skipped += more;
    }
    return skipped;
}

/* ---- Signals ---------------------------------------------------------------------- */

static bool signal_is_queued(const struct posix_timer *timer)
{
    const struct process *process = timer->set->process;
    uint64_t set = timer->target ? READ_ONCE(timer->target->signals.pending.set)
                                 : READ_ONCE(process->signals.pending.set);

    return set & SIGNAL_BIT(timer->signo);
}

static void timer_send(struct posix_timer *timer, uint64_t skipped)
{
    struct process *process = timer->set->process;

    if (timer->notify == ABI_SIGEV_NONE)
        return;
    int (*send)(struct process *, int, const struct abi_siginfo *) =
        timer_is_cpu(timer) ? signal_send_computing : signal_send_process;
    if (timer->id < 0) {
        (void)send(process, timer->signo, NULL);
        return;
    }
    if (timer->is_pending && signal_is_queued(timer)) {
        timer->overrun += 1 + skipped;
        return;
    }
    struct abi_siginfo info = {
        .si_signo = timer->signo,
        .si_code = ABI_SI_TIMER,
        .timer = { .si_tid = timer->id, .si_value = timer->value },
    };
    timer->overrun = skipped;
    timer->is_pending = true;
    int err = timer->target ? signal_send_thread(timer->target, timer->signo, &info)
                            : send(process, timer->signo, &info);
    if (err)
        timer->is_pending = false;
}

static void timer_fire(struct timer *alarm)
{
    struct posix_timer *timer = container_of(alarm, struct posix_timer, alarm);
    unsigned long flags = spin_lock_irq(&timer->set->lock);

    if (timer->is_armed) {
        nsec_t now = timer_now(timer);
        if (now >= timer->due)
            timer_send(timer, timer_advance(timer, now));
        timer_set_alarm(timer);
    }
    spin_unlock_irq(&timer->set->lock, flags);
}

static void timer_clock_set(struct clock_watcher *watcher)
{
    struct posix_timer *timer = container_of(watcher, struct posix_timer, clock_watcher);

    timer_set(&timer->alarm, 0); /* look at once */
}

/* ---- Sets of timers ------------------------------------------------------------------ */

static void itimer_init(struct timer_set *set, int which, int signo)
{
    struct posix_timer *timer = &set->itimer[which];

    timer->set = set;
    timer->id = -1;
    timer->signo = signo;
    timer->notify = ABI_SIGEV_SIGNAL;
    timer_init(&timer->alarm, timer_fire);
    if (which != ABI_ITIMER_REAL)
        timer->cpu_clock.process = set->process; /* not counted: the set is the process's own */
    timer->cpu_clock.is_user = which == ABI_ITIMER_VIRTUAL;
}

static struct timer_set *set_of(struct process *process)
{
    return __atomic_load_n(&process->timers, __ATOMIC_ACQUIRE);
}

/* Makes the running process's set at its first use; NULL: no memory. */
static struct timer_set *set_make(void)
{
    struct process *process = process_current();
    struct timer_set *set = set_of(process), *expected = NULL;

    if (set)
        return set;
    set = kzalloc(sizeof(*set), ALLOC_WAIT);
    if (!set)
        return NULL;
    spin_init(&set->lock, RANK_POSIX_TIMER);
    set->process = process;
    list_init(&set->timers);
    itimer_init(set, ABI_ITIMER_REAL, ABI_SIGALRM);
    itimer_init(set, ABI_ITIMER_VIRTUAL, ABI_SIGVTALRM);
    itimer_init(set, ABI_ITIMER_PROF, ABI_SIGPROF);
    if (__atomic_compare_exchange_n(&process->timers, &expected, set, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return set;
    kfree(set);
    return expected;
}

/* set->lock held. */
static struct posix_timer *timer_find(struct timer_set *set, int id)
{
    struct posix_timer *timer;

    list_for_each (timer, &set->timers, node)
        if (timer->id == id)
            return timer;
    return NULL;
}

/* The timer with the set's lock held, or NULL and no lock. */
static struct posix_timer *timer_lock(int id, unsigned long *flags)
{
    struct timer_set *set = set_of(process_current());

    if (!set)
        return NULL;
    *flags = spin_lock_irq(&set->lock);
    struct posix_timer *timer = timer_find(set, id);
    if (!timer)
        spin_unlock_irq(&set->lock, *flags);
    return timer;
}

/* Off the list already. */
static void timer_destroy(struct posix_timer *timer)
{
    if (timer->clock_watcher.notify)
        clock_unwatch(&timer->clock_watcher);
    (void)timer_cancel(&timer->alarm);
    cpu_clock_put(&timer->cpu_clock);
    if (timer->target)
        thread_put(timer->target);
    kfree(timer);
}

static void timers_destroy(struct timer_set *set)
{
    for (;;) {
        struct posix_timer *timer = NULL;
        unsigned long flags = spin_lock_irq(&set->lock);
        if (!list_is_empty(&set->timers)) {
            timer = list_first(&set->timers, struct posix_timer, node);
            list_remove(&timer->node);
            timer->is_armed = false;
            set->ntimers--;
        }
        spin_unlock_irq(&set->lock, flags);
        if (!timer)
            return;
        timer_destroy(timer);
    }
}

void posix_timers_exec(struct process *process)
{
    struct timer_set *set = set_of(process);

    if (set)
        timers_destroy(set);
}

void posix_timers_exit(struct process *process)
{
    struct timer_set *set = __atomic_exchange_n(&process->timers, NULL, __ATOMIC_ACQ_REL);

    if (!set)
        return;
    timers_destroy(set);
    for (int i = 0; i < NITIMERS; i++) {
        unsigned long flags = spin_lock_irq(&set->lock);
        set->itimer[i].is_armed = false;
        spin_unlock_irq(&set->lock, flags);
        (void)timer_cancel(&set->itimer[i].alarm);
    }
    kfree(set);
}

void posix_timer_signal_taken(struct abi_siginfo *info)
{
    unsigned long flags;
    struct posix_timer *timer = timer_lock(info->timer.si_tid, &flags);

    if (!timer)
        return;
    if (timer->is_pending) {
        timer->is_pending = false;
        timer->last_overrun = (int)MIN(timer->overrun, (uint64_t)INT32_MAX);
    }
    info->timer.si_overrun = timer->last_overrun;
    spin_unlock_irq(&timer->set->lock, flags);
}

/* ---- Operations ---------------------------------------------------------------------- */

static int timer_check_clock(int clock)
{
    switch (clock) {
    case ABI_CLOCK_REALTIME:
    case ABI_CLOCK_MONOTONIC:
    case ABI_CLOCK_BOOTTIME:
    case ABI_CLOCK_TAI:
        return 0;
    case ABI_CLOCK_MONOTONIC_RAW:
    case ABI_CLOCK_REALTIME_COARSE:
    case ABI_CLOCK_MONOTONIC_COARSE:
    case ABI_CLOCK_REALTIME_ALARM: /* nothing wakes a machine that is not asleep: as without an RTC */
    case ABI_CLOCK_BOOTTIME_ALARM:
        return -EOPNOTSUPP;
    default:
        return clock_is_cpu(clock) ? 0 : -EINVAL;
    }
}

static int timer_check_event(const struct abi_sigevent *event, struct thread **target)
{
    *target = NULL;
    switch (event->sigev_notify) {
    case ABI_SIGEV_NONE:
        return 0;
    case ABI_SIGEV_SIGNAL:
    case ABI_SIGEV_THREAD:
    case ABI_SIGEV_THREAD_ID:
        break;
    default:
        return -EINVAL;
    }
    if (event->sigev_signo <= 0 || event->sigev_signo > ABI_NSIG)
        return -EINVAL;
    if (event->sigev_notify != ABI_SIGEV_THREAD_ID)
        return 0;
    struct thread *thread = thread_find(event->sigev_tid);
    if (!thread)
        return -EINVAL;
    if (thread->process != process_current()) {
        thread_put(thread);
        return -EINVAL;
    }
    *target = thread;
    return 0;
}

/* Takes over target.  NULL: no memory. */
static struct posix_timer *timer_new(struct timer_set *set, int clock,
                                     const struct abi_sigevent *event, struct thread *target)
{
    struct posix_timer *timer = kzalloc(sizeof(*timer), ALLOC_WAIT);

    if (!timer)
        return NULL;
    timer->set = set;
    timer->clock = clock;
    timer->notify = event->sigev_notify;
    timer->signo = event->sigev_signo;
    timer->value = event->sigev_value;
    timer->target = target;
    timer_init(&timer->alarm, timer_fire);
    return timer;
}

/* Lists it under a number of its own. */
static int timer_publish(struct timer_set *set, struct posix_timer *timer)
{
    uint64_t limit = rlimit_current(LIMIT_SIGPENDING);
    unsigned long flags = spin_lock_irq(&set->lock);
    int result = -EAGAIN;

    if (set->ntimers < limit) {
        while (timer_find(set, set->next_id))
            set->next_id = set->next_id == INT32_MAX ? 0 : set->next_id + 1;
        timer->id = result = set->next_id;
        set->next_id = result == INT32_MAX ? 0 : result + 1;
        list_push_back(&set->timers, &timer->node);
        set->ntimers++;
    }
    spin_unlock_irq(&set->lock, flags);
    return result;
}

int posix_timer_create(int clock, const struct abi_sigevent *event)
{
    struct timer_set *set = set_make();
    struct thread *target;
    int err = set ? timer_check_clock(clock) : -ENOMEM;

    if (!err)
        err = timer_check_event(event, &target);
    if (err)
        return err;
    struct posix_timer *timer = timer_new(set, clock, event, target);
    if (!timer) {
        if (target)
            thread_put(target);
        return -ENOMEM;
    }
    if (clock_is_cpu(clock))
        err = cpu_clock_get(clock, &timer->cpu_clock);
    if (!err && (clock == ABI_CLOCK_REALTIME || clock == ABI_CLOCK_TAI)) {
        timer->clock_watcher.notify = timer_clock_set;
        clock_watch(&timer->clock_watcher);
    }
    int id = err ? err : timer_publish(set, timer);
    if (id < 0)
        timer_destroy(timer);
    return id;
}

static void timer_read(struct posix_timer *timer, struct timer_setting *setting)
{
    *setting = (struct timer_setting){ .interval = timer->interval };
    if (!timer->is_armed)
        return;
    nsec_t now = timer_now(timer);
    if (timer->notify == ABI_SIGEV_NONE && now >= timer->due)
        (void)timer_advance(timer, now); /* no alarm does it */
    if (timer->is_armed)
        setting->value = MAX(timer->due - now, (nsec_t)1); /* 0 would say disarmed */
}

static void timer_write(struct posix_timer *timer, const struct timer_setting *setting)
{
    timer->interval = setting->interval;
    timer->is_armed = setting->value != 0;
    timer->follows_date = setting->is_absolute && timer->clock_watcher.notify;
    timer->is_pending = false;
    timer->overrun = 0;
    timer->last_overrun = 0;
    timer->due = setting->value;
    if (!setting->is_absolute &&
        __builtin_add_overflow(timer_now(timer), setting->value, &timer->due))
        timer->due = DEADLINE_NONE;
    if (timer->is_armed)
        timer_set_alarm(timer);
    else
        timer_set(&timer->alarm, DEADLINE_NONE);
}

int posix_timer_set(int id, const struct timer_setting *setting, struct timer_setting *old)
{
    unsigned long flags;
    struct posix_timer *timer = timer_lock(id, &flags);

    if (!timer)
        return -EINVAL;
    if (old)
        timer_read(timer, old);
    timer_write(timer, setting);
    spin_unlock_irq(&timer->set->lock, flags);
    return 0;
}

int posix_timer_get(int id, struct timer_setting *setting)
{
    unsigned long flags;
    struct posix_timer *timer = timer_lock(id, &flags);

    if (!timer)
        return -EINVAL;
    timer_read(timer, setting);
    spin_unlock_irq(&timer->set->lock, flags);
    return 0;
}

int posix_timer_overrun(int id)
{
    unsigned long flags;
    struct posix_timer *timer = timer_lock(id, &flags);

    if (!timer)
        return -EINVAL;
    int overrun = timer->last_overrun;
    spin_unlock_irq(&timer->set->lock, flags);
    return overrun;
}

int posix_timer_delete(int id)
{
    unsigned long flags;
    struct posix_timer *timer = timer_lock(id, &flags);

    if (!timer)
        return -EINVAL;
    list_remove(&timer->node);
    timer->is_armed = false;
    timer->set->ntimers--;
    spin_unlock_irq(&timer->set->lock, flags);
    timer_destroy(timer);
    return 0;
}

int itimer_set(int which, const struct timer_setting *setting, struct timer_setting *old)
{
    struct timer_set *set = set_make();

    if (!set)
        return -ENOMEM;
    struct posix_timer *timer = &set->itimer[which];
    unsigned long flags = spin_lock_irq(&set->lock);
    timer_read(timer, old);
    timer_write(timer, setting);
    spin_unlock_irq(&set->lock, flags);
    return 0;
}

void itimer_get(int which, struct timer_setting *setting)
{
    struct timer_set *set = set_of(process_current());

    *setting = (struct timer_setting){ 0 };
    if (!set)
        return;
    unsigned long flags = spin_lock_irq(&set->lock);
    timer_read(&set->itimer[which], setting);
    spin_unlock_irq(&set->lock, flags);
}
