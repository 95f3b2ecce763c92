// SPDX-License-Identifier: MIT
#pragma once
/*
 * Clocks.  Monotonic time comes from arch_clock_ns(); realtime is that plus an offset which
 * clock_settime changes.  CLOCK_BOOTTIME equals CLOCK_MONOTONIC here: a VM does not suspend.
 */
#include "abi/time.h"
#include "lib/compiler.h"

nsec_t clock_monotonic(void);
nsec_t clock_realtime(void);
void clock_set_realtime(nsec_t now);
/* Also wakes sleepers on absolute CLOCK_REALTIME deadlines when the clock is set. */
nsec_t clock_realtime_to_deadline(nsec_t realtime);

/* 0, or -EINVAL for a negative or unnormalised value; too large saturates. */
int nsec_from_timespec(const struct abi_timespec *ts, nsec_t *nsec) __must_check;
struct abi_timespec timespec_from_nsec(nsec_t nsec);
/* now + timeout without overflow. */
nsec_t deadline_after(nsec_t timeout);
/* For calls that take an optional relative timespec in application memory: NULL gives
 * DEADLINE_NONE.  0, -EFAULT, -EINVAL. */
int deadline_from_app(const void __app *timespec, nsec_t *deadline) __must_check;
