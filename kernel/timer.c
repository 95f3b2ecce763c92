// SPDX-License-Identifier: MIT
/*
 * Timers.
 *
 * Each CPU has a tree of its timers, and its clock hardware is set to the first.  Setting the hardware is
 * expensive (under a hypervisor an exit), so it is only moved earlier: when a timer is cancelled, or
 * replaced by a later one, the old interrupt comes, finds nothing due, and sets the next time.
 *
 * timer_cancel() must know that the function is not running.  The interrupt says which timer it is about
 * to call (base->running) before it marks the timer as not armed, and takes that back after the
 * call without touching the timer, which may be gone by then.
 */
#include "kernel/timer.h"

#include "arch/arch.h"
#include "kernel/percpu.h"
#include "kernel/spinlock.h"

struct timer_base {
    struct spinlock lock;
    struct rb_tree timers; /* by deadline */
    struct timer *running; /* [a] its function is being called */
    nsec_t programmed;     /* what the hardware is set to; DEADLINE_NONE: nothing */
} __aligned(64);

static struct timer_base bases[CPUS_MAX] = {
    [0 ... CPUS_MAX - 1] = { .lock = SPINLOCK_INIT(RANK_TIMER), .programmed = DEADLINE_NONE },
};

void timer_init(struct timer *timer, void (*function)(struct timer *timer))
{
    *timer = (struct timer){ .function = function, .cpu = -1 };
}

bool timer_is_armed(const struct timer *timer)
{
    return __atomic_load_n(&timer->cpu, __ATOMIC_ACQUIRE) >= 0;
}

static struct timer *first_timer(const struct timer_base *base)
{
    struct rb_node *node = rb_first(&base->timers);

    return node ? rb_entry(node, struct timer, node) : NULL;
}

static void base_insert(struct timer_base *base, struct timer *timer)
{
    struct rb_node **link = &base->timers.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[timer->deadline >= rb_entry(parent, struct timer, node)->deadline];
    }
    rb_link(&timer->node, parent, link);
    rb_insert_fixup(&base->timers, &timer->node);
}

/* Interrupts off.  True if it was armed. */
static bool timer_disarm(struct timer *timer)
{
    for (;;) {
        int cpu = __atomic_load_n(&timer->cpu, __ATOMIC_ACQUIRE);
        if (cpu < 0)
            return false;
        struct timer_base *base = &bases[cpu];
        spin_lock(&base->lock);
        if (timer->cpu == cpu) {
            rb_remove(&base->timers, &timer->node);
            __atomic_store_n(&timer->cpu, -1, __ATOMIC_RELEASE);
            spin_unlock(&base->lock);
            return true;
        }
        spin_unlock(&base->lock);
    }
}

/* On this CPU, interrupts off.  False: another CPU has armed it in the meantime. */
static bool timer_arm(struct timer *timer, nsec_t deadline)
{
    unsigned cpu = cpu_current();
    struct timer_base *base = &bases[cpu];
    int expected = -1;

    spin_lock(&base->lock);
    bool is_ours = __atomic_compare_exchange_n(&timer->cpu, &expected, (int)cpu, false,
                                               __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    if (is_ours) {
        timer->deadline = deadline;
        base_insert(base, timer);
        if (deadline < base->programmed) {
            base->programmed = deadline;
            arch_timer_set(deadline);
        }
    }
    spin_unlock(&base->lock);
    return is_ours;
}

void timer_set(struct timer *timer, nsec_t deadline)
{
    unsigned long flags = arch_irq_save();

    do {
        timer_disarm(timer);
    } while (deadline != DEADLINE_NONE && !timer_arm(timer, deadline));
    arch_irq_restore(flags);
}

static bool is_running_elsewhere(const struct timer *timer)
{
    unsigned self = cpu_current();
    uint64_t online = cpus_online();

    for (unsigned cpu = 0; cpu < CPUS_MAX && online >> cpu; cpu++) {
        const struct timer *running = __atomic_load_n(&bases[cpu].running, __ATOMIC_ACQUIRE);
        if (cpu != self && running == timer)
            return true;
    }
    return false;
}

bool timer_cancel(struct timer *timer)
{
    unsigned long flags = arch_irq_save();
    bool was_armed = timer_disarm(timer);

    while (is_running_elsewhere(timer))
        arch_pause();
    /* Its function may have armed it again while it was waited for. */
    was_armed |= timer_disarm(timer);
    arch_irq_restore(flags);
    return was_armed;
}

/* Takes the first timer that is due off the tree, base->lock held; NULL: none is. */
static struct timer *take_due(struct timer_base *base, nsec_t now)
{
    struct timer *timer = first_timer(base);

    if (!timer || timer->deadline > now)
        return NULL;
    rb_remove(&base->timers, &timer->node);
    __atomic_store_n(&base->running, timer, __ATOMIC_RELEASE);
    __atomic_store_n(&timer->cpu, -1, __ATOMIC_RELEASE);
    return timer;
}

void timer_interrupt(void)
{
    struct timer_base *base = &bases[cpu_current()];
    struct timer *timer;

    spin_lock(&base->lock);
    base->programmed = INT64_MIN; /* set once, below, whatever the functions arm */
    for (;;) {
        nsec_t now = arch_clock_ns();
        while ((timer = take_due(base, now))) {
            void (*function)(struct timer *) = timer->function;
            spin_unlock(&base->lock);
            function(timer);
            __atomic_store_n(&base->running, NULL, __ATOMIC_RELEASE);
            spin_lock(&base->lock);
        }
        timer = first_timer(base);
        if (!timer || timer->deadline > arch_clock_ns())
            break;
    }
    base->programmed = timer ? timer->deadline : DEADLINE_NONE;
    if (timer)
        arch_timer_set(timer->deadline);
    spin_unlock(&base->lock);
}
