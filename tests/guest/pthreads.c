// SPDX-License-Identifier: MIT
/*
 * POSIX threads: create, join, mutexes, conditions, barriers, once, keys, cancellation, detach.
 * test: flags=-pthread cpus=2 variants=dynamic,static,musl timeout=40 roads=patched
 */
#include "check.h"

#include <pthread.h>
#include <semaphore.h>

#define THREADS 16
#define ROUNDS  2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static long counter;
static int once_runs, destroyed, turn;
static __thread int local = 5;

static void run_once(void)
{
    once_runs++;
}

static void destroy(void *value)
{
    __atomic_add_fetch(&destroyed, value != NULL, __ATOMIC_RELAXED);
}

static void *count(void *arg)
{
    pthread_once(&once, run_once);
    pthread_setspecific(key, arg);
    CHECK(local == 5);
    local = (int)(long)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_barrier_wait(&barrier);
    CHECK(local == (int)(long)arg);
    return arg;
}

static void test_mutexes(void)
{
    pthread_t threads[THREADS];

    pthread_key_create(&key, destroy);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        NEED(!pthread_create(&threads[i], NULL, count, (void *)(i + 1)));
    for (long i = 0; i < THREADS; i++) {
        void *result;
        CHECK(!pthread_join(threads[i], &result));
        CHECK(result == (void *)(i + 1));
    }
    CHECK(counter == THREADS * ROUNDS);
    CHECK(once_runs == 1 && destroyed == THREADS && local == 5);
}

static void *take_turns(void *arg)
{
    int me = (int)(long)arg;

    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 500; i++) {
        while (turn != me)
            pthread_cond_wait(&condition, &mutex);
        turn = !me;
        pthread_cond_broadcast(&condition);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void test_conditions(void)
{
    pthread_t one, two;
    struct timespec soon;

    pthread_create(&one, NULL, take_turns, (void *)0L);
    pthread_create(&two, NULL, take_turns, (void *)1L);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    CHECK(turn == 0);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    int64_t start = now_ns();
    pthread_mutex_lock(&mutex);
    CHECK(pthread_cond_timedwait(&condition, &mutex, &soon) == ETIMEDOUT);
    CHECK(now_ns() - start >= 15000000);
    CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
    pthread_mutex_unlock(&mutex);
}

static void *wait_for_ever(void *arg)
{
    for (;;)
        sleep(1000);
    return arg;
}

static void test_cancel(void)
{
    pthread_t thread;
    void *result = NULL;

    pthread_create(&thread, NULL, wait_for_ever, NULL);
    sleep_ms(10);
    CHECK(!pthread_cancel(thread));
    CHECK(!pthread_join(thread, &result) && result == PTHREAD_CANCELED);
}

static sem_t ready;

static void *announce(void *arg)
{
    sem_post(&ready);
    return arg;
}

static void test_many_short(void)
{
    pthread_attr_t attr;
    struct timespec soon;

    sem_init(&ready, 0, 0);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 65536);
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        NEED(!pthread_create(&thread, &attr, announce, NULL));
        sem_wait(&ready);
    }
    clock_gettime(CLOCK_REALTIME, &soon);
    CHECK_ERRNO(sem_timedwait(&ready, &soon), ETIMEDOUT);
}

static void test_attributes(void)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t checked, inherit;
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checked, &attr);
    CHECK(pthread_mutex_unlock(&checked) == EPERM);
    CHECK(!pthread_mutex_lock(&checked) && pthread_mutex_lock(&checked) == EDEADLK);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_DEFAULT);
    CHECK(!pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
    CHECK(!pthread_mutex_init(&inherit, &attr));
    CHECK(!pthread_mutex_lock(&inherit) && !pthread_mutex_unlock(&inherit));
    CHECK(!pthread_rwlock_rdlock(&rwlock) && !pthread_rwlock_tryrdlock(&rwlock));
    CHECK(pthread_rwlock_trywrlock(&rwlock) == EBUSY);
}

int main(void)
{
    test_mutexes();
    test_conditions();
    test_cancel();
    test_many_short();
    test_attributes();
    return check_end();
}
