// SPDX-License-Identifier: MIT
/* Timers: order, moving, cancelling while the function runs elsewhere. */
#include "kernel/timer.h"

#include "arch/host/machine.h"
#include "kernel/clock.h"
#include "kernel/thread.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define NTIMERS 64

struct probe {
    struct timer timer;
    nsec_t fired_at;
    unsigned nfired;
};

static struct probe probes[NTIMERS];
static nsec_t last_deadline;

static void probe_fire(struct timer *timer)
{
    struct probe *probe = container_of(timer, struct probe, timer);

    probe->fired_at = clock_monotonic();
    probe->nfired++;
    CHECK(timer->deadline >= last_deadline);
    CHECK(probe->fired_at >= timer->deadline);
    CHECK(!timer_is_armed(timer));
    last_deadline = timer->deadline;
}

static void test_order(void)
{
    nsec_t start = clock_monotonic();

    for (int i = 0; i < NTIMERS; i++) {
        timer_init(&probes[i].timer, probe_fire);
        timer_set(&probes[i].timer, start + NSEC_PER_MSEC + (i * 37 % NTIMERS) * NSEC_PER_USEC);
    }
    timer_set(&probes[3].timer, start + 5 * NSEC_PER_MSEC); /* moved */
    CHECK(timer_cancel(&probes[5].timer));
    CHECK(!timer_cancel(&probes[5].timer));
    world_sleep(2 * NSEC_PER_MSEC);
    for (int i = 0; i < NTIMERS; i++)
        CHECK_EQ(probes[i].nfired, i != 3 && i != 5);
    world_sleep(4 * NSEC_PER_MSEC);
    CHECK_EQ(probes[3].nfired, 1);
    CHECK(probes[3].fired_at - probes[3].timer.deadline < 100 * NSEC_PER_USEC);
}

static void test_past(void)
{
    struct probe probe = { 0 };

    last_deadline = 0;
    timer_init(&probe.timer, probe_fire);
    timer_set(&probe.timer, 1);
    machine_compute(100 * NSEC_PER_USEC);
    CHECK_EQ(probe.nfired, 1);
    timer_set(&probe.timer, DEADLINE_NONE);
    CHECK(!timer_is_armed(&probe.timer));
}

static struct timer periodic;
static unsigned nticks;
static bool is_inside;

static void periodic_fire(struct timer *timer)
{
    is_inside = true;
    for (int i = 0; i < 8; i++)
        arch_pause(); /* the other CPUs run meanwhile */
    nticks++;
    timer_set(timer, deadline_after(10 * NSEC_PER_USEC));
    is_inside = false;
}

/* timer_cancel() on one CPU against a function that sets its timer again on another. */
static void cancel_often(void *arg)
{
    CHECK_EQ(sched_set_affinity(thread_current(), 1ULL << (uintptr_t)arg % arch_cpu_count()), 0);
    for (int i = 0; i < 300; i++) {
        machine_compute(7 * NSEC_PER_USEC);
        timer_cancel(&periodic);
        CHECK(!is_inside);
        CHECK(!timer_is_armed(&periodic));
        timer_set(&periodic, deadline_after(5 * NSEC_PER_USEC));
    }
    timer_cancel(&periodic);
}

static void spin(void *arg)
{
    CHECK_EQ(sched_set_affinity(thread_current(), 1ULL << (uintptr_t)arg % arch_cpu_count()), 0);
    machine_compute(5 * NSEC_PER_MSEC);
}

static void test_cancel(void)
{
    timer_init(&periodic, periodic_fire);
    struct thread *a = world_spawn(cancel_often, (void *)1);
    struct thread *b = world_spawn(spin, (void *)0);
    world_join(a);
    world_join(b);
    CHECK(nticks > 10);
    CHECK(!timer_is_armed(&periodic));
}

static unsigned nset;

static void clock_was_set(struct clock_watcher *watcher)
{
    nset++;
}

static void test_clock(void)
{
    struct clock_watcher watcher = { .notify = clock_was_set };
    struct abi_timespec ts = { .tv_sec = -1 };
    nsec_t nsec;

    clock_watch(&watcher);
    clock_set_realtime(1000 * NSEC_PER_SEC);
    CHECK(clock_realtime() - 1000 * NSEC_PER_SEC < NSEC_PER_MSEC);
    nsec_t in_a_second = clock_realtime() + NSEC_PER_SEC;
    CHECK(clock_realtime_to_deadline(in_a_second) - clock_monotonic() <= NSEC_PER_SEC);
    clock_unwatch(&watcher);
    clock_set_realtime(2000 * NSEC_PER_SEC);
    CHECK_EQ(nset, 1);
    CHECK_EQ(clock_realtime_to_deadline(DEADLINE_NONE), DEADLINE_NONE);

    CHECK(nsec_from_timespec(&ts, &nsec) < 0);
    ts = (struct abi_timespec){ INT64_MAX, 0 };
    CHECK_EQ(nsec_from_timespec(&ts, &nsec), 0);
    CHECK_EQ(nsec, DEADLINE_NONE);
    CHECK_EQ(deadline_after(nsec), DEADLINE_NONE);
    ts = timespec_from_nsec(-1);
    CHECK_EQ(ts.tv_sec, -1);
    CHECK_EQ(ts.tv_nsec, NSEC_PER_SEC - 1);
}

static void test(void)
{
    test_order();
    test_past();
    test_cancel();
    test_clock();
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
