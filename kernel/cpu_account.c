// SPDX-License-Identifier: MIT
/*
 * Sampling.
 *
 * To read the clock at each entry into the kernel and each way out would cost more than many a system call.
 * So a CPU that is not idle looks every few milliseconds at what it is doing, as Linux's tick does, and the
 * exact sum of a thread's time is split in the proportion of its samples.  The time between two looks is
 * random: with a fixed one, work that is begun by timers would always be met at the same point.  Time
 * for which there is no sample at all counts as the application's, as on Linux.
 *
 * A split, once told, stays (account->settled): neither part ever shrinks.
 *
 * The timer is set when a CPU leaves its idle thread and not set again when it is found idle, so
 * an idle CPU is left alone.  A load sample that nobody took was one of an idle machine.
 */
#include "kernel/cpu_account.h"

#include "kernel/clock.h"
#include "kernel/percpu.h"
#include "kernel/process_time.h"
#include "kernel/runqueue.h"
#include "kernel/thread.h"
#include "kernel/timer.h"

#define SAMPLE_PERIOD (4 * NSEC_PER_MSEC) /* on average */
#define COUNT_MAX     (1u << 20)

struct cpu_sampler {
    struct timer timer;
    struct spinlock lock; /* settled parts of account */
    struct cpu_account account;
    uint64_t random;
} __aligned(64);

static struct cpu_sampler samplers[CPUS_MAX] = {
    [0 ... CPUS_MAX - 1] = { .lock = SPINLOCK_INIT(RANK_CPU_ACCOUNT) },
};

/* ---- Splitting ---------------------------------------------------------------------- */

/* The samples of each class since from, or since ever if from is NULL; returns their sum. */
static uint64_t count_samples(const struct cpu_account *account, const uint32_t *from,
                              uint64_t count[CPU_CLASSES])
{
    uint64_t all = 0;

    for (int i = 0; i < CPU_CLASSES; i++) {
        count[i] = READ_ONCE(account->samples[i]) - (from ? from[i] : 0);
        all += count[i];
    }
    while (all > COUNT_MAX) { /* so that products fit */
        all = 0;
        for (int i = 0; i < CPU_CLASSES; i++)
            all += count[i] /= 2;
    }
    return all;
}

void cpu_account_settle(struct cpu_account *account, nsec_t total)
{
    uint64_t count[CPU_CLASSES];
    nsec_t rest = total;

    for (int i = 0; i < CPU_CLASSES; i++)
        rest -= account->settled[i];
    if (rest <= 0)
        return;
    uint64_t all = count_samples(account, account->settled_samples, count);
    if (all == 0)
        all = count_samples(account, NULL, count);
    nsec_t left = rest;
    for (int i = 0; all > 0 && i < CPU_CLASSES; i++) {
        uint64_t share = (uint64_t)rest / all * count[i] + (uint64_t)rest % all * count[i] / all;
        account->settled[i] += (nsec_t)share;
        account->settled_samples[i] = READ_ONCE(account->samples[i]);
        left -= (nsec_t)share;
    }
    account->settled[all > 0 && count[CPU_SYSTEM] > all / 2 ? CPU_SYSTEM : CPU_USER] += left;
}

/* ---- The load average ---------------------------------------------------------------- */

#define LOAD_ONE    (1UL << LOAD_SHIFT)
#define LOAD_PERIOD (5 * NSEC_PER_SEC)
#define LOAD_STEPS  1000 /* after so many without load nothing is left */

static struct {
    struct spinlock lock;
    unsigned long average[3]; /* times LOAD_ONE */
    nsec_t next;              /* [a] when a sample is due */
} load = { .lock = SPINLOCK_INIT(RANK_CPU_ACCOUNT), .next = LOAD_PERIOD };

static void load_step(unsigned long active)
{
    /* exp(-5 s / 1, 5, 15 min), times LOAD_ONE */
    static const unsigned long decay[3] = { 60296, 64453, 65173 };

    for (int i = 0; i < 3; i++)
        load.average[i] =
            (load.average[i] * decay[i] + active * (LOAD_ONE - decay[i])) >> LOAD_SHIFT;
}

/* Samples that are overdue were not taken because all CPUs were idle. */
static void load_sample(void)
{
    nsec_t now = clock_monotonic();

    if (now < READ_ONCE(load.next))
        return;
    unsigned long flags = spin_lock_irq(&load.lock);
    nsec_t missed = (now - load.next) / LOAD_PERIOD;
    for (nsec_t i = 0; i < MIN(missed, (nsec_t)LOAD_STEPS); i++)
        load_step(0);
    if (now >= load.next) {
        load_step(sched_nready() * LOAD_ONE);
        WRITE_ONCE(load.next, load.next + (missed + 1) * LOAD_PERIOD);
    }
    spin_unlock_irq(&load.lock, flags);
}

void load_average_get(unsigned long average[3])
{
    load_sample();
    unsigned long flags = spin_lock_irq(&load.lock);
    for (int i = 0; i < 3; i++)
        average[i] = load.average[i];
    spin_unlock_irq(&load.lock, flags);
}

/* ---- The samples ----------------------------------------------------------------------- */

static nsec_t random_period(struct cpu_sampler *sampler)
{
    sampler->random = sampler->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (nsec_t)((sampler->random >> 33) % (2 * SAMPLE_PERIOD));
}

static void sample(struct timer *timer)
{
    struct cpu_sampler *sampler = container_of(timer, struct cpu_sampler, timer);
    struct percpu *percpu = arch_percpu();
    struct thread *thread = percpu->current;

    if (thread == percpu->idle)
        return;
    enum cpu_class class = percpu->interrupted_app ? CPU_USER : CPU_SYSTEM;
    struct cpu_account *account = &thread->cpu_account;
    WRITE_ONCE(account->samples[class], account->samples[class] + 1);
    if (class == CPU_USER && thread->sched.nice > 0)
        class = CPU_NICE;
    account = &sampler->account;
    WRITE_ONCE(account->samples[class], account->samples[class] + 1);
    timer_set(timer, arch_clock_ns() + random_period(sampler));
    load_sample();
    if (thread->process)
        process_check_cpu_limits(thread);
}

void cpu_account_wake(void)
{
    struct cpu_sampler *sampler = &samplers[cpu_current()];

    if (unlikely(!sampler->timer.function))
        timer_init(&sampler->timer, sample);
    if (timer_is_armed(&sampler->timer))
        return;
    timer_set(&sampler->timer, arch_clock_ns() + random_period(sampler));
}

void cpu_times_get(unsigned cpu, struct cpu_times *times)
{
    struct cpu_sampler *sampler = &samplers[cpu];
    struct cpu_account *account = &sampler->account;
    nsec_t now = clock_monotonic(), idle = MIN(sched_idle_time(cpu), now);
    unsigned long flags = spin_lock_irq(&sampler->lock);

    cpu_account_settle(account, now - idle);
    *times = (struct cpu_times){ .user = account->settled[CPU_USER],
                                 .nice = account->settled[CPU_NICE],
                                 .system = account->settled[CPU_SYSTEM],
                                 .idle = idle };
    spin_unlock_irq(&sampler->lock, flags);
}
