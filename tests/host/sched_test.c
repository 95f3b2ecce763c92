// SPDX-License-Identifier: MIT
/* The scheduler: shares of the CPU, latency, priorities, affinity, stealing, and the lives of threads. */
#include "kernel/sched.h"

#include "abi/errno.h"
#include "arch/host/machine.h"
#include "kernel/clock.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

static bool must_stop;
static unsigned norder;
static uintptr_t order[16];

static void burn(void *arg)
{
    while (!READ_ONCE(must_stop))
        machine_compute(50 * NSEC_PER_USEC);
}

static struct thread *spawn_burner(int nice, uint64_t affinity)
{
    struct thread *thread;

    CHECK_EQ(thread_create_app(&world_process, "burner", 0, &thread), 0);
    sched_set_nice(thread, nice);
    CHECK_EQ(sched_set_affinity(thread, affinity), 0);
    thread_set_entry(thread, burn, NULL);
    thread_get(thread);
    thread_start(thread);
    return thread;
}

static nsec_t time_of(struct thread *thread)
{
    return sched_cpu_time(thread);
}

static void check_near(nsec_t value, nsec_t expected, int percent)
{
    nsec_t difference = value > expected ? value - expected : expected - value;

    if (difference * 100 > expected * percent)
        fprintf(stderr, "%lld is not within %d%% of %lld\n", (long long)value, percent,
                (long long)expected);
    CHECK(difference * 100 <= expected * percent);
}

static void test_fair(void)
{
    struct thread *threads[3];

    WRITE_ONCE(must_stop, false);
    threads[0] = spawn_burner(0, 1);
    threads[1] = spawn_burner(0, 1);
    threads[2] = spawn_burner(5, 1); /* weight 335 of 1024 */
    world_sleep(NSEC_PER_SEC);
    nsec_t times[3];
    for (int i = 0; i < 3; i++)
        times[i] = time_of(threads[i]);
    WRITE_ONCE(must_stop, true);
    for (int i = 0; i < 3; i++)
        world_join(threads[i]);
    check_near(times[0], times[1], 5);
    check_near(times[2] * 1024, times[0] * 335, 8);
    check_near(times[0] + times[1] + times[2], NSEC_PER_SEC, 5);
}

/* A thread that mostly sleeps runs soon after its event, however busy the CPU is. */
static void test_latency(void)
{
    struct thread *threads[4];
    nsec_t worst = 0;

    WRITE_ONCE(must_stop, false);
    for (int i = 0; i < 4; i++)
        threads[i] = spawn_burner(0, 1);
    sched_set_nice(thread_current(), 0);
    CHECK_EQ(sched_set_affinity(thread_current(), 1), 0);
    for (int i = 0; i < 100; i++) {
        nsec_t due = deadline_after(NSEC_PER_MSEC);
        sched_prepare_sleep();
        sched_sleep(due);
        worst = MAX(worst, clock_monotonic() - due);
    }
    WRITE_ONCE(must_stop, true);
    for (int i = 0; i < 4; i++)
        world_join(threads[i]);
    CHECK(worst < NSEC_PER_MSEC);
    CHECK_EQ(sched_set_affinity(thread_current(), CPU_MASK_ALL), 0);
    sched_set_nice(thread_current(), -10);
}

static void note(void *arg)
{
    order[norder++] = (uintptr_t)arg;
    machine_compute(NSEC_PER_MSEC);
}

static void test_realtime(void)
{
    struct thread *threads[4];
    static const int priorities[4] = { 10, 30, 20, 30 };

    norder = 0;
    CHECK_EQ(sched_set_affinity(thread_current(), 1), 0);
    sched_set_policy(thread_current(), SCHED_POLICY_FIFO, 50);
    for (uintptr_t i = 0; i < 4; i++) {
        threads[i] = thread_create_kernel("rt", note, (void *)i);
        CHECK_EQ(sched_set_affinity(threads[i], 1), 0);
        sched_set_policy(threads[i], SCHED_POLICY_FIFO, priorities[i]);
        thread_get(threads[i]);
        thread_start(threads[i]);
    }
    CHECK_EQ(norder, 0); /* all less urgent than this one */
    for (int i = 0; i < 4; i++)
        world_join(threads[i]);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(order[1], 3);
    CHECK_EQ(order[2], 2);
    CHECK_EQ(order[3], 0);
    sched_set_policy(thread_current(), SCHED_POLICY_OTHER, 0);
    CHECK_EQ(sched_set_affinity(thread_current(), CPU_MASK_ALL), 0);
}

static unsigned nwoken;

static void wake_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        world_sleep(10 * NSEC_PER_MSEC);
        __atomic_fetch_add(&nwoken, 1, __ATOMIC_RELAXED);
    }
}

/* A busy real-time thread has its CPU to itself, but keeps nobody there who may go elsewhere: neither who is queued
 * behind it nor who slept there.  All CPUs are busy. */
static void test_beside_realtime(void)
{
    struct thread *others[CPUS_MAX];
    unsigned ncpus = arch_cpu_count();

    WRITE_ONCE(must_stop, false);
    CHECK_EQ(sched_set_affinity(thread_current(), 2), 0);
    for (unsigned i = 1; i < ncpus; i++)
        others[i] = spawn_burner(0, 1ULL << i);
    struct thread *queued = spawn_burner(0, 1), *realtime = spawn_burner(0, 1);
    struct thread *sleeper = thread_get(thread_create_kernel("sleeper", wake_up, NULL));
    CHECK_EQ(sched_set_affinity(sleeper, 1), 0);
    thread_start(sleeper);
    world_sleep(5 * NSEC_PER_MSEC);
    sched_set_policy(realtime, SCHED_POLICY_FIFO, 1);
    world_sleep(NSEC_PER_MSEC);
    nsec_t before = time_of(queued), start = clock_monotonic();
    CHECK_EQ(sched_set_affinity(queued, CPU_MASK_ALL), 0);
    CHECK_EQ(sched_set_affinity(sleeper, CPU_MASK_ALL), 0);
    world_sleep(200 * NSEC_PER_MSEC);
    CHECK(time_of(queued) - before > 50 * NSEC_PER_MSEC);
    CHECK_EQ(READ_ONCE(nwoken), 5);
    check_near(time_of(realtime), clock_monotonic() - start, 10);
    WRITE_ONCE(must_stop, true);
    world_join(queued);
    world_join(realtime);
    world_join(sleeper);
    for (unsigned i = 1; i < ncpus; i++)
        world_join(others[i]);
    CHECK_EQ(sched_set_affinity(thread_current(), CPU_MASK_ALL), 0);
}

/* Who has nowhere else to go gets a twentieth. */
static void test_under_realtime(void)
{
    WRITE_ONCE(must_stop, false);
    CHECK_EQ(sched_set_affinity(thread_current(), 2), 0);
    struct thread *ordinary = spawn_burner(0, 1), *realtime = spawn_burner(0, 1);
    sched_set_policy(realtime, SCHED_POLICY_FIFO, 1);
    world_sleep(NSEC_PER_SEC);
    nsec_t before = time_of(ordinary);
    world_sleep(5 * NSEC_PER_SEC);
    check_near(time_of(ordinary) - before, 250 * NSEC_PER_MSEC, 30);
    WRITE_ONCE(must_stop, true);
    world_join(ordinary);
    world_join(realtime);
    CHECK_EQ(sched_set_affinity(thread_current(), CPU_MASK_ALL), 0);
}

static void stay(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg;

    CHECK_EQ(sched_set_affinity(thread_current(), 1ULL << cpu), 0);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cpu_current(), cpu);
        if (i % 3)
            world_sleep(NSEC_PER_USEC);
        else
            machine_compute(NSEC_PER_USEC);
    }
}

static void test_affinity(void)
{
    struct thread *threads[9];
    unsigned ncpus = arch_cpu_count();

    for (uintptr_t i = 0; i < 9; i++)
        threads[i] = world_spawn(stay, (void *)(i % ncpus));
    for (int i = 0; i < 9; i++)
        world_join(threads[i]);
    CHECK_EQ(sched_set_affinity(thread_current(), 1ULL << 63), -EINVAL);
    CHECK_EQ(sched_set_affinity(thread_current(), 0), -EINVAL);

    WRITE_ONCE(must_stop, false);
    threads[0] = spawn_burner(0, 1); /* moved while it runs, and while it is ready */
    threads[1] = spawn_burner(0, 1);
    world_sleep(5 * NSEC_PER_MSEC);
    CHECK_EQ(sched_set_affinity(threads[0], 1ULL << (ncpus - 1)), 0);
    CHECK_EQ(sched_set_affinity(threads[1], 1ULL << (ncpus - 1)), 0);
    world_sleep(5 * NSEC_PER_MSEC);
    CHECK_EQ(READ_ONCE(threads[0]->sched.cpu), ncpus - 1);
    CHECK_EQ(READ_ONCE(threads[1]->sched.cpu), ncpus - 1);
    WRITE_ONCE(must_stop, true);
    world_join(threads[0]);
    world_join(threads[1]);
}

/* As many busy threads as CPUs: each gets one. */
static void test_spread(void)
{
    unsigned ncpus = arch_cpu_count();
    struct thread *threads[CPUS_MAX];

    WRITE_ONCE(must_stop, false);
    for (unsigned i = 0; i < ncpus; i++)
        threads[i] = spawn_burner(0, i ? 1 : CPU_MASK_ALL);
    for (unsigned i = 0; i < ncpus; i++)
        CHECK_EQ(sched_set_affinity(threads[i], CPU_MASK_ALL), 0);
    world_sleep(20 * NSEC_PER_MSEC);
    nsec_t before[CPUS_MAX];
    for (unsigned i = 0; i < ncpus; i++)
        before[i] = time_of(threads[i]);
    world_sleep(100 * NSEC_PER_MSEC);
    for (unsigned i = 0; i < ncpus; i++)
        check_near(time_of(threads[i]) - before[i], 100 * NSEC_PER_MSEC, 15);
    WRITE_ONCE(must_stop, true);
    for (unsigned i = 0; i < ncpus; i++)
        world_join(threads[i]);
}

static void yielder(void *arg)
{
    for (int i = 0; i < 20; i++) {
        order[(uintptr_t)arg]++;
        sched_yield();
    }
}

static void test_yield(void)
{
    struct thread *threads[2];

    order[0] = order[1] = 0;
    CHECK_EQ(sched_set_affinity(thread_current(), 1), 0);
    for (uintptr_t i = 0; i < 2; i++) {
        threads[i] = thread_create_kernel("yielder", yielder, (void *)i);
        CHECK_EQ(sched_set_affinity(threads[i], 1), 0);
        thread_get(threads[i]);
        thread_start(threads[i]);
    }
    for (int i = 0; i < 10; i++)
        sched_yield();
    CHECK(order[0] > 0 && order[1] > 0);
    world_join(threads[0]);
    world_join(threads[1]);
    CHECK_EQ(sched_set_affinity(thread_current(), CPU_MASK_ALL), 0);
}

static void die(void *arg)
{
    (*(unsigned *)arg)++;
}

static void test_lives(void)
{
    unsigned nran = 0, references = world_process.refcount;
    int first = tid_alloc(0);

    tid_free(first);
    for (int i = 0; i < 500; i++) {
        struct thread *thread = world_spawn_app(die, &nran);
        int tid = thread->tid;
        CHECK(tid > first - 1);
        struct thread *found = thread_find(tid);
        CHECK(!found || found == thread);
        if (found)
            thread_put(found);
        world_join(thread);
        CHECK(!thread_find(tid));
    }
    CHECK_EQ(nran, 500);
    world_sleep(10 * NSEC_PER_MSEC);
    CHECK_EQ(world_process.refcount, references); /* all freed by the reaper */
    CHECK(!thread_find(0));
    CHECK(!thread_find(-1));
}

static void test_limit(void)
{
    static int tids[TID_MAX];
    unsigned n = 0;
    int tid;

    while (n < TID_MAX && (tid = tid_alloc(0)) > 0)
        tids[n++] = tid;
    CHECK(n <= thread_limit() && n + 64 > thread_limit()); /* the rest are the world's own */
    CHECK_EQ(tid_alloc(0), -EAGAIN);
    tid_free(tids[--n]);
    tids[n] = tid_alloc(0);
    CHECK(tids[n++] > 0);
    while (n > 0)
        tid_free(tids[--n]);
}

/* Threads that wake each other all the time, from all CPUs. */
static struct thread *ring[5];
static unsigned tokens[5], passes;

static void pass_on(void *arg)
{
    uintptr_t i = (uintptr_t)arg;

    while (!__atomic_load_n(&ring[(i + 1) % 5], __ATOMIC_ACQUIRE))
        sched_yield();
    for (int round = 0; round < 400; round++) {
        for (;;) {
            sched_prepare_sleep();
            if (__atomic_load_n(&tokens[i], __ATOMIC_SEQ_CST) > 0)
                break;
            sched_sleep(DEADLINE_NONE);
        }
        sched_cancel_sleep();
        __atomic_fetch_sub(&tokens[i], 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&passes, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&tokens[(i + 1) % 5], 1, __ATOMIC_SEQ_CST);
        thread_wake(ring[(i + 1) % 5]);
    }
}

static void test_ring(void)
{
    tokens[0] = 1;
    tokens[2] = 1;
    for (uintptr_t i = 0; i < 5; i++) {
        struct thread *thread = thread_get(world_spawn(pass_on, (void *)i));
        __atomic_store_n(&ring[i], thread, __ATOMIC_RELEASE); /* the one before may wake it late */
    }
    for (int i = 0; i < 5; i++)
        world_join(ring[i]);
    for (int i = 0; i < 5; i++)
        thread_put(ring[i]);
    CHECK_EQ(passes, 5 * 400);
}

/*
 * A thread that all CPUs wake all the time.  A waker that locked the queue the thread is leaving must not take its next
 * sleep, which begins on another CPU, for the one it came for: TSan sees it when their locks do not order the two.
 */
static struct thread *sleepy;
#define SLEEPS 5000
static unsigned sleeps;

static void wake_often(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&sleeps, __ATOMIC_RELAXED) < SLEEPS) {
        thread_wake(sleepy);
        world_sleep(NSEC_PER_USEC);
    }
}

static void sleep_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SLEEPS; i++) {
        world_sleep(NSEC_PER_MSEC);
        __atomic_fetch_add(&sleeps, 1, __ATOMIC_RELAXED);
    }
}

static void test_many_wakers(void)
{
    struct thread *wakers[6];

    sleepy = thread_get(world_spawn(sleep_often, NULL));
    for (int i = 0; i < 6; i++)
        wakers[i] = world_spawn(wake_often, NULL);
    world_join(sleepy);
    for (int i = 0; i < 6; i++)
        world_join(wakers[i]);
    thread_put(sleepy);
    CHECK_EQ(sleeps, SLEEPS);
}

static void test_idle(void)
{
    unsigned ncpus = arch_cpu_count();
    nsec_t before = 0, after = 0;

    for (unsigned i = 0; i < ncpus; i++)
        before += sched_idle_time(i);
    world_sleep(NSEC_PER_SEC);
    for (unsigned i = 0; i < ncpus; i++)
        after += sched_idle_time(i);
    check_near(after - before, ncpus * NSEC_PER_SEC, 1);
    CHECK_EQ(sched_nready(), 1);
}

static void test(void)
{
    test_lives();
    test_limit();
    test_ring();
    test_many_wakers();
    test_yield();
    test_affinity();
    machine_set_calm(true);
    test_fair();
    test_latency();
    test_realtime();
    test_beside_realtime();
    test_under_realtime();
    test_spread();
    test_idle();
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
