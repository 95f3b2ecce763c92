// SPDX-License-Identifier: MIT
#pragma once
/*
 * Clocks.  Monotonic time comes from arch_clock_ns(); realtime is that plus an offset which
 * clock_settime changes.  CLOCK_BOOTTIME equals CLOCK_MONOTONIC here: a VM does not suspend.
 */
#include "abi/time.h"
#include "lib/compiler.h"
#include "lib/list.h"

nsec_t clock_monotonic(void);
nsec_t clock_realtime(void);
void clock_set_realtime(nsec_t now);
/* The deadline at which CLOCK_REALTIME will show realtime if nobody sets it.  Who sleeps until then watches the
 * clock and asks again when it was set. */
nsec_t clock_realtime_to_deadline(nsec_t realtime);

/* notify() is called after each clock_set_realtime(), with a spinlock (RANK_CLOCK) held: mark and wake. */
struct clock_watcher {
    struct list node;
    void (*notify)(struct clock_watcher *watcher);
};
void clock_watch(struct clock_watcher *watcher);
void clock_unwatch(struct clock_watcher *watcher); /* notify is not running any more */

/* 0, or -EINVAL for a negative or unnormalised value; too large saturates. */
int nsec_from_timespec(const struct abi_timespec *ts, nsec_t *nsec) __must_check;
struct abi_timespec timespec_from_nsec(nsec_t nsec);
/* now + timeout without overflow. */
nsec_t deadline_after(nsec_t timeout);
int nsec_from_timeval(const struct abi_timeval *tv, nsec_t *nsec) __must_check;
struct abi_timeval timeval_from_nsec(nsec_t nsec);
/* For calls that take an optional relative timespec in application memory: NULL gives
 * DEADLINE_NONE.  0, -EFAULT, -EINVAL. */
int deadline_from_app(const void __app *timespec, nsec_t *deadline) __must_check;
