// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/*
 * Sleeps until is_over(arg) (0), a signal (-EINTR) or the deadline (-ETIMEDOUT): the sleep of futexes and of
 * clock_nanosleep(2), whose deadline may be a time of CLOCK_REALTIME, which can be set meanwhile.  is_over is
 * asked before each sleep and must not sleep itself; who makes it true wakes the thread.  Other sleeps use
 * kernel/wait.h.
 */
int sleep_until(bool (*is_over)(void *arg), void *arg, bool is_realtime, nsec_t deadline);
