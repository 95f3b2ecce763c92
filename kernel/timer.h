// SPDX-License-Identifier: MIT
#pragma once
/*
 * One-shot timers on the monotonic clock, tickless: each CPU has a tree of them and its
 * hardware is set to the first.  The function runs at interrupt level: it marks and wakes.
 */
#include "lib/compiler.h"
#include "lib/rbtree.h"

struct timer {
    struct rb_node node;
    nsec_t deadline;
    void (*function)(struct timer *timer);
    int cpu; /* where it is armed, or -1 */
};

void timer_init(struct timer *timer, void (*function)(struct timer *timer));
/* Arms, or moves, the timer on this CPU; DEADLINE_NONE disarms.  Calls need not be serialised.  A
 * deadline in the past fires at once. */
void timer_set(struct timer *timer, nsec_t deadline);
/* When it returns the function is neither armed nor running anywhere (unless the caller is
 * the function).  True if it was armed. */
bool timer_cancel(struct timer *timer);
bool timer_is_armed(const struct timer *timer);
/* Called by arch at interrupt level when the time of arch_timer_set() has come. */
void timer_interrupt(void);
