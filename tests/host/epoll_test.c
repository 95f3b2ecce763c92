// SPDX-License-Identifier: MIT
/* epoll on several CPUs: no wake-up is lost, whatever waits, re-arms, nests or goes away meanwhile. */
#include "fs/epoll.h"

#include "abi/errno.h"
#include "abi/poll.h"
#include "arch/host/machine.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/poll.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define NITEMS     200
#define NCONSUMERS 3

/* ---- Files ----------------------------------------------------------------------------- */

int file_create(const struct file_ops *ops, void *private, unsigned flags, struct file **out)
{
    struct file *file = kzalloc(sizeof(*file), ALLOC_WAIT);

    CHECK(file);
    file->refcount = 1;
    file->ops = ops;
    file->private = private;
    *out = file;
    return 0;
}

unsigned file_poll(struct file *file)
{
    return file->ops->poll(file);
}

/* As in fs/file.c: the watches end first. */
static void file_end(struct file *file)
{
    epoll_file_released(file);
    file->ops->release(file);
    kfree(file);
}

/* What is watched: readable while it holds something. */
struct store {
    struct poll_head head;
    unsigned held; /* [a] */
};

static unsigned store_poll(struct file *file)
{
    const struct store *store = file->private;

    return __atomic_load_n(&store->held, __ATOMIC_SEQ_CST) ? ABI_POLLIN : 0;
}

static void store_release(struct file *file)
{
    struct store *store = file->private;

    poll_head_fini(&store->head);
    kfree(store);
}

static const struct file_ops store_ops = { .poll = store_poll, .release = store_release };

static struct file *store_create(void)
{
    struct store *store = kzalloc(sizeof(*store), ALLOC_WAIT);
    struct file *file;

    CHECK(store);
    poll_head_init(&store->head);
    CHECK_EQ(file_create(&store_ops, store, 0, &file), 0);
    file->poll_head = &store->head;
    return file;
}

static void store_put(struct file *file)
{
    struct store *store = file->private;

    __atomic_fetch_add(&store->held, 1, __ATOMIC_SEQ_CST);
    poll_wake(&store->head, ABI_POLLIN);
}

static bool store_take(struct file *file)
{
    struct store *store = file->private;
    unsigned held = __atomic_load_n(&store->held, __ATOMIC_SEQ_CST);

    while (held > 0)
        if (__atomic_compare_exchange_n(&store->held, &held, held - 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return true;
    return false;
}

/* ---- epolls ------------------------------------------------------------------------------ */

static struct file *store, *epolls[2];
static unsigned ntaken;
static bool must_stop;

static struct file *epoll_new(void)
{
    struct file *file;

    CHECK_EQ(epoll_create(0, &file), 0);
    return file;
}

static int control(struct file *epoll, int op, struct file *target, uint32_t events)
{
    struct abi_epoll_event event = { .events = events, .data = 7 };

    return epoll_control(epoll, op, target, 1, &event);
}

/* Every thread has a place of its own for its events. */
static long wait_for(struct file *epoll, nsec_t deadline)
{
    size_t place = (uintptr_t)thread_current()->tid % 64 * sizeof(struct abi_epoll_event);

    return epoll_wait(epoll, machine_app + place, 1, deadline);
}

static bool all_are_taken(void)
{
    return __atomic_load_n(&ntaken, __ATOMIC_SEQ_CST) == NITEMS;
}

static bool take_one(void)
{
    if (!store_take(store))
        return false;
    __atomic_fetch_add(&ntaken, 1, __ATOMIC_SEQ_CST);
    return true;
}

static void produce(void *arg)
{
    for (int i = 0; i < NITEMS; i++) {
        store_put(store);
        if (i % 8 == 0)
            world_sleep(NSEC_PER_USEC);
    }
}

/* At its end every consumer wakes another with a thing that nobody takes. */
static void consume_level(void *arg)
{
    while (!all_are_taken()) {
        CHECK_EQ(wait_for(arg, DEADLINE_NONE), 1);
        if (!all_are_taken())
            take_one();
    }
    store_put(store);
}

/* By edges all must be taken before the next wait. */
static void consume_edges(void *arg)
{
    while (!all_are_taken()) {
        CHECK_EQ(wait_for(arg, DEADLINE_NONE), 1);
        while (!all_are_taken() && take_one())
            ;
    }
    store_put(store);
}

static unsigned inside;

static void consume_once(void *arg)
{
    while (!all_are_taken()) {
        CHECK_EQ(wait_for(arg, DEADLINE_NONE), 1);
        CHECK_EQ(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0); /* nobody else was told */
        if (!all_are_taken())
            take_one();
        __atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
        CHECK_EQ(control(arg, ABI_EPOLL_CTL_MOD, store, ABI_POLLIN | ABI_EPOLLONESHOT), 0);
    }
    store_put(store);
}

/* The outer one says that the inner one has something; another may be quicker. */
static void consume_nested(void *arg)
{
    while (!all_are_taken()) {
        CHECK_EQ(wait_for(epolls[1], DEADLINE_NONE), 1);
        if (wait_for(epolls[0], 0) == 1 && !all_are_taken())
            take_one();
    }
    store_put(store);
}

static void begin(void)
{
    ntaken = 0;
    store = store_create();
    for (int i = 0; i < 2; i++)
        epolls[i] = epoll_new();
}

static void run(void (*consume)(void *), struct file *const of[NCONSUMERS])
{
    struct thread *threads[NCONSUMERS + 1];

    for (int i = 0; i < NCONSUMERS; i++)
        threads[i] = world_spawn_app(consume, of[i]);
    threads[NCONSUMERS] = world_spawn_app(produce, NULL);
    for (int i = 0; i <= NCONSUMERS; i++)
        world_join(threads[i]);
    CHECK_EQ(ntaken, NITEMS);
}

static void end(void)
{
    file_end(store);
    CHECK_EQ(wait_for(epolls[0], 0), 0); /* its watch went with it */
    for (int i = 0; i < 2; i++)
        file_end(epolls[i]);
}

static void test_one_epoll(void (*consume)(void *), uint32_t events)
{
    begin();
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, store, events), 0);
    run(consume, (struct file *const[]){ epolls[0], epolls[0], epolls[0] });
    end();
}

static void test_exclusive(void)
{
    uint32_t events = ABI_POLLIN | ABI_EPOLLEXCLUSIVE;

    begin();
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, epolls[1], events), -EINVAL);
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, store, events | ABI_EPOLLONESHOT), -EINVAL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(control(epolls[i], ABI_EPOLL_CTL_ADD, store, events), 0);
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_MOD, store, ABI_POLLIN), -EINVAL);
    run(consume_level, (struct file *const[]){ epolls[0], epolls[1], epolls[0] });
    end();
}

static void test_nested(void)
{
    struct file *more[4];

    begin();
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, store, ABI_POLLIN), 0);
    CHECK_EQ(control(epolls[1], ABI_EPOLL_CTL_ADD, epolls[0], ABI_POLLIN), 0);
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, epolls[1], ABI_POLLIN), -ELOOP);
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, epolls[0], ABI_POLLIN), -EINVAL);
    for (int i = 0; i < 4; i++) {
        more[i] = epoll_new();
        CHECK_EQ(control(more[i], ABI_EPOLL_CTL_ADD, i ? more[i - 1] : epolls[1], ABI_POLLIN),
                 i < 3 ? 0 : -ELOOP);
    }
    run(consume_nested, (struct file *const[]){ NULL, NULL, NULL });
    for (int i = 0; i < 4; i++)
        file_end(more[i]);
    end();
}

/* ---- While another looks ----------------------------------------------------------------- */

static void look_on(void *arg)
{
    while (!READ_ONCE(must_stop))
        CHECK_EQ(wait_for(arg, 0), 1);
}

/* What is ready all the time is found by everybody, also at the moment when somebody else takes it up. */
static void test_always_ready(void)
{
    struct thread *threads[NCONSUMERS];

    begin();
    store_put(store);
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, store, ABI_POLLIN), 0);
    CHECK_EQ(control(epolls[1], ABI_EPOLL_CTL_ADD, epolls[0], ABI_POLLIN), 0);
    WRITE_ONCE(must_stop, false);
    for (int i = 0; i < NCONSUMERS; i++)
        threads[i] = world_spawn_app(look_on, epolls[i % 2]);
    for (int i = 0; i < 300; i++)
        machine_compute(NSEC_PER_USEC);
    WRITE_ONCE(must_stop, true);
    for (int i = 0; i < NCONSUMERS; i++)
        world_join(threads[i]);
    CHECK(store_take(store));
    CHECK_EQ(wait_for(epolls[1], 0), 0);
    end();
}

/* ---- Removal ------------------------------------------------------------------------------ */

static void add_and_remove(void *arg)
{
    for (int i = 0; i < 100; i++) {
        struct file *own = store_create();
        CHECK_EQ(control(arg, ABI_EPOLL_CTL_ADD, own, ABI_POLLIN), 0);
        CHECK_EQ(control(arg, ABI_EPOLL_CTL_ADD, own, ABI_POLLIN), -EEXIST);
        store_put(own);
        if (i % 3 == 0)
            CHECK_EQ(control(arg, ABI_EPOLL_CTL_DEL, own, 0), 0);
        if (i % 3 == 0)
            CHECK_EQ(control(arg, ABI_EPOLL_CTL_DEL, own, 0), -ENOENT);
        file_end(own); /* ready, and perhaps looked at right now */
    }
}

static void look(void *arg)
{
    while (!READ_ONCE(must_stop))
        CHECK(wait_for(arg, deadline_after(NSEC_PER_USEC)) <= 1);
}

static void test_removal(void)
{
    struct thread *threads[4];

    begin();
    WRITE_ONCE(must_stop, false);
    for (int i = 0; i < 4; i++)
        threads[i] = world_spawn_app(i < 2 ? add_and_remove : look, epolls[0]);
    world_join(threads[0]);
    world_join(threads[1]);
    WRITE_ONCE(must_stop, true);
    world_join(threads[2]);
    world_join(threads[3]);
    end();
}

/* ---- Ends of a wait ----------------------------------------------------------------------- */

static void wait_interrupted(void *arg)
{
    CHECK_EQ(wait_for(arg, DEADLINE_NONE), -EINTR);
}

static void wait_faulting(void *arg)
{
    CHECK_EQ(epoll_wait(arg, (void __app *)16, 1, 0), -EFAULT);
    CHECK_EQ(wait_for(arg, 0), 1); /* what could not be told is still there */
}

static void test_ends(void)
{
    begin();
    CHECK_EQ(control(epolls[0], ABI_EPOLL_CTL_ADD, store, ABI_POLLIN), 0);
    nsec_t before = clock_monotonic();
    CHECK_EQ(wait_for(epolls[0], before + NSEC_PER_MSEC), 0);
    CHECK(clock_monotonic() - before >= NSEC_PER_MSEC);
    struct thread *thread = world_spawn_app(wait_interrupted, epolls[0]);
    world_sleep(NSEC_PER_MSEC);
    world_interrupt(thread);
    world_join(thread);
    store_put(store);
    world_join(world_spawn_app(wait_faulting, epolls[0]));
    CHECK(store_take(store));
    end();
}

static void test(void)
{
    test_one_epoll(consume_level, ABI_POLLIN);
    test_one_epoll(consume_edges, ABI_POLLIN | ABI_EPOLLET);
    test_one_epoll(consume_once, ABI_POLLIN | ABI_EPOLLONESHOT);
    test_exclusive();
    test_nested();
    test_always_ready();
    test_removal();
    test_ends();
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
