// SPDX-License-Identifier: MIT
/* Wait queues and readiness: no lost wake-up, timeouts, signals. */
#include "kernel/wait.h"

#include "abi/poll.h"
#include "arch/host/machine.h"
#include "kernel/clock.h"
#include "kernel/mutex.h"
#include "kernel/poll.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define NITEMS 500

static struct wait_queue queue;
static unsigned produced, consumed, woken;
static bool is_open;

static bool take_item(void)
{
    unsigned seen = __atomic_load_n(&produced, __ATOMIC_SEQ_CST);

    while (seen > 0)
        if (__atomic_compare_exchange_n(&produced, &seen, seen - 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return true;
    return false;
}

static void consume(void *arg)
{
    for (int i = 0; i < NITEMS; i++) {
        CHECK_EQ(wait_on(&queue, take_item(), DEADLINE_NONE), 0);
        __atomic_fetch_add(&consumed, 1, __ATOMIC_RELAXED);
    }
}

static void produce(void *arg)
{
    for (int i = 0; i < NITEMS; i++) {
        __atomic_fetch_add(&produced, 1, __ATOMIC_SEQ_CST);
        wake_one(&queue);
        if (i % 16 == 0)
            world_sleep(NSEC_PER_USEC);
    }
}

/* Each item wakes one consumer, so a wake-up that is lost leaves one asleep for ever. */
static void test_wake_one(void)
{
    struct thread *threads[6];

    for (int i = 0; i < 3; i++) {
        threads[i] = world_spawn(consume, NULL);
        threads[i + 3] = world_spawn(produce, NULL);
    }
    for (int i = 0; i < 6; i++)
        world_join(threads[i]);
    CHECK_EQ(consumed, 3 * NITEMS);
    CHECK_EQ(produced, 0);
    CHECK(list_is_empty(&queue.waiters));
}

static struct mutex condition_mutex = MUTEX_INIT(condition_mutex, RANK_OBJECT);

/* A condition may itself sleep on a lock. */
static bool is_open_locked(void)
{
    mutex_lock(&condition_mutex);
    bool open = is_open;
    mutex_unlock(&condition_mutex);
    return open;
}

static void wait_open(void *arg)
{
    CHECK_EQ(wait_on(&queue, is_open_locked(), DEADLINE_NONE), 0);
    __atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED);
}

static void test_wake_all(void)
{
    struct thread *threads[5];

    for (int i = 0; i < 5; i++)
        threads[i] = world_spawn(wait_open, NULL);
    for (int i = 0; i < 20; i++) {
        wake_all(&queue); /* for nothing */
        world_sleep(NSEC_PER_USEC);
    }
    CHECK_EQ(woken, 0);
    mutex_lock(&condition_mutex);
    world_sleep(NSEC_PER_MSEC);
    is_open = true;
    mutex_unlock(&condition_mutex);
    wake_all(&queue);
    for (int i = 0; i < 5; i++)
        world_join(threads[i]);
    CHECK_EQ(woken, 5);
}

static void test_timeout(void)
{
    nsec_t before = clock_monotonic();

    CHECK_EQ(wait_on(&queue, false, deadline_after(5 * NSEC_PER_MSEC)), -ETIMEDOUT);
    CHECK(clock_monotonic() - before >= 5 * NSEC_PER_MSEC);
    CHECK(clock_monotonic() - before < 6 * NSEC_PER_MSEC);
    CHECK_EQ(wait_on(&queue, false, before), -ETIMEDOUT);
    CHECK_EQ(wait_on(&queue, true, before), 0); /* the condition wins */
    CHECK(list_is_empty(&queue.waiters));
}

static void wait_interrupted(void *arg)
{
    CHECK_EQ(wait_on(&queue, false, DEADLINE_NONE), -EINTR);
    CHECK_EQ(wait_on(&queue, true, DEADLINE_NONE), 0);
    CHECK_EQ(wait_on_always(&queue, false, deadline_after(NSEC_PER_MSEC)), -ETIMEDOUT);
}

static void test_interrupt(void)
{
    struct thread *thread = world_spawn(wait_interrupted, NULL);

    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(READ_ONCE(thread->state), THREAD_SLEEPING);
    world_interrupt(thread);
    world_join(thread);
}

static unsigned notified;

static void notify(struct poll_watcher *watcher, unsigned events)
{
    notified |= events;
}

static void test_poll(void)
{
    struct poll_head head;
    struct poll_watcher one = { .notify = notify }, two = { .notify = notify };

    poll_head_init(&head);
    poll_watch(&head, &one);
    poll_watch(&head, &two);
    poll_wake(&head, ABI_POLLIN);
    CHECK_EQ(notified, ABI_POLLIN);
    poll_unwatch(&one);
    CHECK(!one.head);
    poll_unwatch(&one);
    poll_head_fini(&head);
    CHECK_EQ(notified, ABI_POLLIN | ABI_POLLHUP | ABI_POLLFREE);
    CHECK(!two.head);
    poll_unwatch(&two);
}

static void test(void)
{
    wait_queue_init(&queue);
    test_wake_one();
    test_wake_all();
    test_timeout();
    test_interrupt();
    test_poll();
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
