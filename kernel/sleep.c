// SPDX-License-Identifier: MIT
#include "kernel/sleep.h"

#include "abi/errno.h"
#include "kernel/clock.h"
#include "kernel/thread.h"

struct sleeper {
    struct clock_watcher watcher;
    struct thread *thread;
};

static void sleeper_clock_set(struct clock_watcher *watcher)
{
    thread_wake(container_of(watcher, struct sleeper, watcher)->thread);
}

static bool is_time_up(bool is_realtime, nsec_t deadline)
{
    nsec_t now = is_realtime ? clock_realtime() : clock_monotonic();

    return deadline != DEADLINE_NONE && now >= deadline;
}

int sleep_until(bool (*is_over)(void *arg), void *arg, bool is_realtime, nsec_t deadline)
{
    bool watches = is_realtime && deadline != DEADLINE_NONE;
    struct sleeper sleeper = { .watcher.notify = sleeper_clock_set, .thread = thread_current() };
    int err = 0;

    if (watches)
        clock_watch(&sleeper.watcher);
    for (;;) {
        sched_prepare_sleep();
        if (is_over(arg))
            break;
        if (signal_is_pending())
            err = -EINTR;
        else if (is_time_up(is_realtime, deadline))
            err = -ETIMEDOUT;
        if (err)
            break;
        sched_sleep(watches ? clock_realtime_to_deadline(deadline) : deadline);
    }
    sched_cancel_sleep();
    if (watches)
        clock_unwatch(&sleeper.watcher);
    return err;
}
