// SPDX-License-Identifier: MIT
/* Threads that run out of memory at once: nobody is refused what a shrinker would still give. */
#include <string.h>

#include "arch/host/machine.h"
#include "kernel/boot_info.h"
#include "kernel/mm/frame.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define RAM_SIZE (16UL << 20)
#define GIVEN    16 /* frames, each time the shrinker is asked */
#define NTHREADS 6
#define ROUNDS   300

static char ram[RAM_SIZE] __aligned(4096);
static struct spinlock stock_lock = SPINLOCK_INIT(RANK_RECLAIM);
static struct list stock = LIST_INIT(stock);
static void (*in_shrinker)(void);

void *arch_direct_map(paddr_t paddr)
{
    return ram + paddr;
}

static void stock_add(struct frame *frame)
{
    unsigned long irq = spin_lock_irq(&stock_lock);
    list_push_back(&stock, &frame->node);
    spin_unlock_irq(&stock_lock, irq);
}

static struct frame *stock_take(void)
{
    struct frame *frame = NULL;
    unsigned long irq = spin_lock_irq(&stock_lock);

    if (!list_is_empty(&stock)) {
        frame = list_first(&stock, struct frame, node);
        list_remove(&frame->node);
    }
    spin_unlock_irq(&stock_lock, irq);
    return frame;
}

static size_t give_stock(size_t npages)
{
    struct frame *frame;
    size_t given = 0;

    if (in_shrinker)
        in_shrinker();
    while (given < MIN(npages, GIVEN) && (frame = stock_take())) {
        frame_put(frame);
        given++;
    }
    return given;
}

/* All there is becomes the shrinker's. */
static void fill_memory(void)
{
    static struct boot_info boot = { .nranges = 1, .range = { { 0, RAM_SIZE, BOOT_RAM } } };
    static struct shrinker shrinker = { .name = "stock", .shrink = give_stock };
    struct frame *frame;

    frame_init(&boot);
    while ((frame = frame_alloc(0, ALLOC_APP | ALLOC_NORECLAIM)))
        stock_add(frame);
    shrinker_register(&shrinker);
}

/* ---- The second comes while the first is at it ---------------------------------------------- */

static struct thread *second;
static struct frame *of_second;

static void be_second(void *arg)
{
    (void)arg;
    of_second = frame_alloc(0, ALLOC_APP);
}

/* On in the first one's shrinker only when the second has nothing to do but wait for it, or has given up. */
static void start_second(void)
{
    enum thread_state state;

    in_shrinker = NULL;
    second = world_spawn(be_second, NULL);
    while ((state = __atomic_load_n(&second->state, __ATOMIC_ACQUIRE)) != THREAD_SLEEPING &&
           state != THREAD_DEAD)
        world_sleep(NSEC_PER_USEC);
}

static void test_two(void)
{
    in_shrinker = start_second;
    struct frame *frame = frame_alloc(0, ALLOC_APP);
    CHECK(frame);
    world_join(second);
    CHECK(of_second);
    stock_add(frame);
    stock_add(of_second);
}

/* ---- Many, again and again ------------------------------------------------------------------- */

static void rest(void)
{
    world_sleep(NSEC_PER_USEC);
}

static void use_memory(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct frame *frame = frame_alloc(0, ALLOC_APP);
        CHECK(frame);
        stock_add(frame);
    }
}

static void test_many(void)
{
    struct thread *threads[NTHREADS];

    in_shrinker = rest;
    for (int i = 0; i < NTHREADS; i++)
        threads[i] = world_spawn(use_memory, NULL);
    for (int i = 0; i < NTHREADS; i++)
        world_join(threads[i]);
    in_shrinker = NULL;
}

/* What is really gone is refused. */
static void test_none(void)
{
    struct frame *frame;

    while ((frame = stock_take()) || (frame = frame_alloc(0, ALLOC_APP)))
        continue;
    CHECK(!frame_alloc(0, ALLOC_APP));
}

static void test(void)
{
    fill_memory();
    test_two();
    test_many();
    test_none();
}

int main(void)
{
    machine_run(3, 1, test);
}
