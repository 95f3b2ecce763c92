// SPDX-License-Identifier: MIT
/* Spinlocks, mutexes and reader-writer locks under several CPUs and many interleavings. */
#include "arch/host/machine.h"
#include "kernel/mutex.h"
#include "kernel/rwlock.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define NTHREADS 6
#define NROUNDS  200

static struct spinlock spinlock = SPINLOCK_INIT(RANK_ENTROPY);
static struct mutex mutex = MUTEX_INIT(mutex, RANK_OBJECT);
static struct rwlock rwlock;
static unsigned inside, total, readers, writers, most_readers, nsent;

static void pass_time(void)
{
    for (int i = 0; i < 3; i++)
        arch_irq_restore(arch_irq_save()); /* other CPUs may run here */
}

static void enter_and_leave(void)
{
    CHECK_EQ(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0);
    pass_time();
    total++;
    CHECK_EQ(__atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED), 1);
}

static void use_spinlock(void *arg)
{
    for (int i = 0; i < NROUNDS; i++) {
        unsigned long flags = spin_lock_irq(&spinlock);
        CHECK(spin_is_held(&spinlock));
        enter_and_leave();
        spin_unlock_irq(&spinlock, flags);
        sched_yield();
    }
}

static void use_mutex(void *arg)
{
    for (int i = 0; i < NROUNDS; i++) {
        if (i % 5 == 0) {
            if (!mutex_try_lock(&mutex))
                mutex_lock(&mutex);
        } else {
            mutex_lock(&mutex);
        }
        CHECK(mutex_is_held(&mutex));
        enter_and_leave();
        if (i % 7 == 0)
            world_sleep(NSEC_PER_USEC);
        mutex_unlock(&mutex);
        CHECK(!mutex_is_held(&mutex));
    }
}

static void read_once(void)
{
    read_lock(&rwlock);
    unsigned now = __atomic_add_fetch(&readers, 1, __ATOMIC_RELAXED);
    if (now > READ_ONCE(most_readers))
        WRITE_ONCE(most_readers, now);
    CHECK_EQ(writers, 0);
    world_sleep(NSEC_PER_USEC);
    CHECK_EQ(writers, 0);
    __atomic_sub_fetch(&readers, 1, __ATOMIC_RELAXED);
    read_unlock(&rwlock);
}

static void write_once(bool downgrades)
{
    write_lock(&rwlock);
    CHECK(rwlock_is_written(&rwlock));
    CHECK_EQ(readers, 0);
    CHECK_EQ(writers++, 0);
    world_sleep(NSEC_PER_USEC);
    CHECK_EQ(readers, 0);
    CHECK_EQ(--writers, 0);
    total++;
    if (downgrades) {
        write_downgrade(&rwlock);
        CHECK_EQ(writers, 0);
        read_unlock(&rwlock);
    } else {
        write_unlock(&rwlock);
    }
}

static void use_rwlock(void *arg)
{
    uintptr_t number = (uintptr_t)arg;

    for (uintptr_t i = 0; i < NROUNDS; i++) {
        if ((i + number) % 4 == 0)
            write_once(i % 8 == 0);
        else
            read_once();
    }
}

/* To send an interrupt takes long in a virtual machine: nobody may have to spin for that time. */
static void check_free_to_send(void)
{
    CHECK(!spin_is_held(&mutex.lock));
    CHECK(!spin_is_held(&rwlock.lock));
    __atomic_fetch_add(&nsent, 1, __ATOMIC_RELAXED);
}

static void run_all(void (*function)(void *))
{
    struct thread *threads[NTHREADS];

    total = 0;
    for (uintptr_t i = 0; i < NTHREADS; i++)
        threads[i] = world_spawn(function, (void *)i);
    for (int i = 0; i < NTHREADS; i++)
        world_join(threads[i]);
}

static void test(void)
{
    run_all(use_spinlock);
    CHECK_EQ(total, NTHREADS * NROUNDS);
    machine_watch_reschedule(check_free_to_send);
    run_all(use_mutex);
    CHECK_EQ(total, NTHREADS * NROUNDS);
    CHECK_EQ((uintptr_t)mutex.owner, 0);
    rwlock_init(&rwlock, RANK_VMSPACE);
    run_all(use_rwlock);
    CHECK_EQ(total, NTHREADS * NROUNDS / 4);
    CHECK(most_readers > 1);
    CHECK(nsent > 0);
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
