// SPDX-License-Identifier: MIT
/*
 * sched_*(2), priorities, affinity, and locks that many threads want.
 * test: flags=-pthread cpus=2 timeout=60
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define NTHREADS 8
#define NROUNDS  2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, pi_mutex;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long counter, pi_counter, shared_value, turn;

static void test_policies(void)
{
    struct sched_param param = { .sched_priority = 10 };
    struct timespec interval;

    CHECK(sched_getscheduler(0) == SCHED_OTHER);
    CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
    CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
    CHECK_ERRNO(sched_get_priority_max(17), EINVAL);
    CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
    CHECK_ERRNO(sched_setscheduler(0, 17, &param), EINVAL);
    CHECK_ERRNO(sched_setscheduler(-1, SCHED_OTHER, &param), EINVAL);
    CHECK_ERRNO(sched_getscheduler(1 << 22), ESRCH);
    param.sched_priority = 0;
    CHECK(!sched_setscheduler(0, SCHED_BATCH, &param) && sched_getscheduler(0) == SCHED_BATCH);
    CHECK(!sched_setscheduler(0, SCHED_OTHER, &param));
    CHECK(!sched_getparam(0, &param) && param.sched_priority == 0);
    CHECK(!sched_rr_get_interval(0, &interval));
}

static void test_attr(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
    } attr;

    memset(&attr, 0xff, sizeof(attr));
    CHECK(!syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0));
    CHECK(attr.policy == SCHED_OTHER && attr.nice == 0 && attr.flags == 0);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attr, 20, 0), EINVAL);
    memset(&attr, 0, sizeof(attr));
    attr.size = 48;
    attr.nice = 3;
    CHECK(!syscall(SYS_sched_setattr, 0, &attr, 0));
    CHECK(getpriority(PRIO_PROCESS, 0) == 3);
    attr.size = 40;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attr, 0), E2BIG);
}

static void test_nice(void)
{
    errno = 0;
    CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
    CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0 && getpriority(PRIO_PROCESS, 0) == 19);
    CHECK_ERRNO(setpriority(9, 0, 0), EINVAL);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 1 << 22, 0), ESRCH);
}

static void test_affinity(void)
{
    cpu_set_t all, one, got;
    unsigned cpu, node;

    CHECK(!sched_getaffinity(0, sizeof(all), &all));
    for (int i = 0; i < 2; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        CHECK(!sched_setaffinity(0, sizeof(one), &one));
        CHECK(!sched_getaffinity(0, sizeof(got), &got) && CPU_EQUAL(&one, &got));
        CHECK(!syscall(SYS_getcpu, &cpu, &node, NULL) && cpu == (unsigned)i);
        CHECK(sched_getcpu() == i);
    }
    CPU_ZERO(&one);
    CHECK_ERRNO(sched_setaffinity(0, sizeof(one), &one), EINVAL);
    CHECK_ERRNO(sched_getaffinity(0, 3, &got), EINVAL);
    CHECK(!sched_setaffinity(0, sizeof(all), &all));
}

static void *contend(void *arg)
{
    long self = (long)arg;

    for (int i = 0; i < NROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        pthread_mutex_lock(&pi_mutex);
        pi_counter++;
        pthread_mutex_unlock(&pi_mutex);
        if (i % 8 == self) {
            pthread_rwlock_wrlock(&rwlock);
            shared_value++;
            pthread_rwlock_unlock(&rwlock);
        } else {
            pthread_rwlock_rdlock(&rwlock);
            CHECK(shared_value >= 0);
            pthread_rwlock_unlock(&rwlock);
        }
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void *take_turns(void *arg)
{
    long self = (long)arg;

    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % NTHREADS != self)
            pthread_cond_wait(&condition, &mutex);
        turn++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void run(void *(*function)(void *))
{
    pthread_t threads[NTHREADS];

    for (long i = 0; i < NTHREADS; i++)
        NEED(!pthread_create(&threads[i], NULL, function, (void *)i));
    for (int i = 0; i < NTHREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_locks(void)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    NEED(!pthread_mutex_init(&pi_mutex, &attr));
    run(contend);
    CHECK(counter == NTHREADS * NROUNDS && pi_counter == NTHREADS * NROUNDS);
    CHECK(shared_value == NTHREADS * NROUNDS / 8);
    run(take_turns);
    CHECK(turn == NTHREADS * 200);
}

static void *ends(void *arg)
{
    return arg;
}

static void test_many_threads(void)
{
    for (int round = 0; round < 40; round++) {
        pthread_t threads[25];
        for (long i = 0; i < 25; i++)
            NEED(!pthread_create(&threads[i], NULL, ends, (void *)i));
        for (long i = 0; i < 25; i++) {
            void *value;
            CHECK(!pthread_join(threads[i], &value) && value == (void *)i);
        }
    }
}

/* More busy threads than CPUs: all of them get on. */
static volatile int stop;
static volatile long progress[6];

static void *busy(void *arg)
{
    while (!stop)
        progress[(long)arg]++;
    return NULL;
}

static void test_preemption(void)
{
    pthread_t threads[6];

    for (long i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, busy, (void *)i);
    int64_t start = now_ns();
    sleep_ms(200);
    CHECK(now_ns() - start < 10000000000);
    stop = 1;
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        CHECK(progress[i] > 0);
    }
}

static volatile long counts[3];
static volatile bool is_over;

static void *count_up(void *arg)
{
    volatile long *count = arg;

    while (!is_over)
        (*count)++;
    return NULL;
}

static void start_on(pthread_t *thread, int cpu, int which)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    NEED(!pthread_create(thread, NULL, count_up, (void *)&counts[which]));
    NEED(!pthread_setaffinity_np(*thread, sizeof(one), &one));
}

static void wait_for_count(int which)
{
    long before = counts[which];

    while (counts[which] == before)
        sleep_ms(1);
}

/* A busy real-time thread does not keep an ordinary one that may run elsewhere, though it is busy there too. */
static void test_beside_realtime(void)
{
    struct sched_param param = { .sched_priority = 1 };
    cpu_set_t all, second;
    pthread_t threads[3];

    NEED(!sched_getaffinity(0, sizeof(all), &all));
    CPU_ZERO(&second);
    CPU_SET(1, &second);
    if (CPU_COUNT(&all) < 2 || sched_setaffinity(0, sizeof(second), &second))
        return; /* of this host's Linux */
    start_on(&threads[0], 0, 0);
    start_on(&threads[1], 0, 1);
    start_on(&threads[2], 1, 2);
    for (int i = 0; i < 3; i++)
        wait_for_count(i);
    (void)pthread_setschedparam(threads[0], SCHED_FIFO, &param); /* a container may not */
    wait_for_count(0);
    wait_for_count(1); /* a twentieth of the time, until it may run elsewhere */
    CHECK(!pthread_setaffinity_np(threads[1], sizeof(all), &all));
    for (int i = 0; i < 3; i++)
        wait_for_count(i);
    is_over = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK(!sched_setaffinity(0, sizeof(all), &all));
}

int main(void)
{
    test_policies();
    test_affinity();
    test_locks();
    test_many_threads();
    test_preemption();
    test_beside_realtime();
    test_attr();
    test_nice();
    return check_end();
}
