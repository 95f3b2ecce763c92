// SPDX-License-Identifier: MIT
/*
 * futex(2) itself: values, time-outs, bitsets, requeue, wake_op, PI, robust lists, errors.
 * test: flags=-pthread cpus=2
 */
#include "asleep.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static uint32_t word, other;
static int woken;

static long futex(uint32_t *address, int op, uint32_t value, const void *timeout,
                  uint32_t *address2, uint32_t value3)
{
    return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}

struct sleeper {
    int tid; /* 0 until it runs */
    long mask;
};

static void *sleeper(void *arg)
{
    struct sleeper *self = arg;

    __atomic_store_n(&self->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    if (self->mask)
        futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)self->mask);
    else
        futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void start(pthread_t *threads, int n, long mask)
{
    static struct sleeper sleepers[6];

    woken = 0;
    for (int i = 0; i < n; i++) {
        sleepers[i] = (struct sleeper){ .mask = mask };
        NEED(!pthread_create(&threads[i], NULL, sleeper, &sleepers[i]));
    }
    for (int i = 0; i < n; i++) {
        while (!__atomic_load_n(&sleepers[i].tid, __ATOMIC_SEQ_CST))
            sleep_ms(1);
        wait_asleep(sleepers[i].tid);
    }
}

static void wait_woken(int n)
{
    while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) < n)
        sleep_ms(1);
    CHECK(woken == n);
}

static void join(pthread_t *threads, int n)
{
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void test_wait(void)
{
    struct timespec short_time = { 0, 20000000 }, bad = { 0, 1000000000 }, negative = { -1, 0 };
    int64_t start_ns = now_ns();

    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &short_time, NULL, 0), ETIMEDOUT);
    CHECK(now_ns() - start_ns >= 20000000);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &negative, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((uint32_t *)64, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
    CHECK(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    /* An absolute time in the past. */
    struct timespec past = { 1, 0 };
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, ~0u), ETIMEDOUT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0u),
                ETIMEDOUT);
}

static void test_wake(void)
{
    pthread_t threads[6];

    start(threads, 6, 0);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0) == 2);
    wait_woken(2);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 4);
    join(threads, 6);

    start(threads, 2, 1);
    CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 2) == 0);
    CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 3) == 2);
    join(threads, 2);
}

static void test_requeue(void)
{
    pthread_t threads[5];

    start(threads, 5, 0);
    CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)100L, &other, 7), EAGAIN);
    CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2L, &other, 0) == 3);
    wait_woken(1);
    CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 2);
    CHECK(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)100L, &other, 0) == 2);
    CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 2);
    join(threads, 5);
}

static void test_wake_op(void)
{
    pthread_t threads[2];

    start(threads, 2, 0);
    other = 5;
    /* other += 3; wake one of word, and one of other if the old value was 5. */
    uint32_t op = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5);
    CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1L, &other, op) == 1);
    CHECK(other == 8);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 5, NULL, NULL, 0) == 1);
    join(threads, 2);
}

static bool is_held, is_tried;

static void *hold_pi(void *arg)
{
    uint32_t *lock = arg;

    CHECK(futex(lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
    __atomic_store_n(&is_held, true, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&is_tried, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    wait_asleep(getpid()); /* it wants the lock */
    CHECK(futex(lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
    return NULL;
}

static void test_pi(void)
{
    static uint32_t lock;
    pthread_t thread;

    pthread_create(&thread, NULL, hold_pi, &lock);
    while (!__atomic_load_n(&is_held, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    CHECK_ERRNO(futex(&lock, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
    __atomic_store_n(&is_tried, true, __ATOMIC_SEQ_CST);
    CHECK(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
    CHECK((lock & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid));
    CHECK_ERRNO(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    CHECK(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
    CHECK(lock == 0);
    pthread_join(thread, NULL);
}

static pthread_mutex_t robust;

static void *die_holding(void *arg)
{
    pthread_mutex_lock(&robust);
    return arg;
}

static void test_robust(void)
{
    pthread_mutexattr_t attr;
    pthread_t thread;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attr);
    pthread_create(&thread, NULL, die_holding, NULL);
    pthread_join(thread, NULL);
    CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD);
    CHECK(!pthread_mutex_consistent(&robust));
    CHECK(!pthread_mutex_unlock(&robust));
}

static void nothing(int number)
{
    (void)number;
}

static void *send_later(void *arg)
{
    wait_asleep(getpid());
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

static void test_signal(void)
{
    struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
    pthread_t self = pthread_self(), thread;

    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, send_later, &self);
    /* With a time-out it is not restarted, even with SA_RESTART: signal(7). */
    struct timespec long_time = { 15, 0 };
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &long_time, NULL, 0), EINTR);
    pthread_join(thread, NULL);
}

int main(void)
{
    test_wait();
    test_wake();
    test_requeue();
    test_wake_op();
    test_pi();
    test_robust();
    test_signal();
    return check_end();
}
