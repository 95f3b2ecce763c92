// SPDX-License-Identifier: MIT
/* Futexes as the C libraries use them: locks, conditions, PI locks, robust lists, and their limits. */
#include "kernel/futex.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/futex.h"
#include "arch/host/machine.h"
#include "kernel/clock.h"
#include "kernel/mm/vmspace.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define NTHREADS 5
#define NROUNDS  100

/* Private memory everywhere. */
int vmspace_shared_key(struct vmspace *vm, uintptr_t address, struct pagecache **cache,
                       uint64_t *index)
{
    *cache = NULL;
    return 0;
}

struct pagecache *pagecache_get(struct pagecache *cache)
{
    return cache;
}

void pagecache_put(struct pagecache *cache)
{
}

static uint32_t *const word = (uint32_t *)machine_app;
static unsigned inside, total;

static uintptr_t at(const uint32_t *pointer)
{
    return (uintptr_t)pointer;
}

static void run_all(void (*function)(void *))
{
    struct thread *threads[NTHREADS];

    memset(machine_app, 0, 4096);
    total = 0;
    for (uintptr_t i = 0; i < NTHREADS; i++)
        threads[i] = world_spawn_app(function, (void *)i);
    for (int i = 0; i < NTHREADS; i++)
        world_join(threads[i]);
}

/* ---- A lock of three states (Drepper, Futexes Are Tricky) ------------------------------ */

static uint32_t exchange(uint32_t *address, uint32_t value)
{
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);
}

static bool change(uint32_t *address, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(address, &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static void lock(uint32_t *address)
{
    if (change(address, 0, 1))
        return;
    while (exchange(address, 2) != 0) {
        long err = futex_wait(at(address), 0, 2, DEADLINE_NONE, FUTEX_BITSET_ANY);
        CHECK(err == 0 || err == -EAGAIN);
    }
}

static void unlock(uint32_t *address)
{
    if (exchange(address, 0) == 2)
        CHECK(futex_wake(at(address), 0, 1, FUTEX_BITSET_ANY) <= 1);
}

static void in_critical_section(void)
{
    CHECK_EQ(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0);
    machine_compute(NSEC_PER_USEC);
    total++;
    CHECK_EQ(__atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED), 1);
}

static void use_lock(void *arg)
{
    for (int i = 0; i < NROUNDS; i++) {
        lock(word);
        in_critical_section();
        unlock(word);
    }
}

/* ---- Waiting --------------------------------------------------------------------------- */

static long result[NTHREADS];
static nsec_t deadline = DEADLINE_NONE;
static unsigned wait_flags;
static uint32_t bitset_of[NTHREADS];

static void wait_here(void *arg)
{
    uintptr_t i = (uintptr_t)arg;

    long err = futex_wait(at(word), wait_flags, 7, deadline,
                          bitset_of[i] ? bitset_of[i] : FUTEX_BITSET_ANY);
    WRITE_ONCE(result[i], err);
}

static void spawn_waiters(struct thread **threads, int n, void (*function)(void *))
{
    *word = 7;
    for (uintptr_t i = 0; i < (uintptr_t)n; i++) {
        result[i] = 999;
        threads[i] = world_spawn_app(function, (void *)i);
        world_sleep(NSEC_PER_MSEC); /* so that they queue in this order */
    }
}

static void join_all(struct thread **threads, int n)
{
    for (int i = 0; i < n; i++)
        world_join(threads[i]);
}

static void test_wait(void *arg)
{
    struct thread *threads[NTHREADS];

    CHECK_EQ(futex_wait(at(word), 0, *word + 1, DEADLINE_NONE, FUTEX_BITSET_ANY), -EAGAIN);
    CHECK_EQ(futex_wait(at(word) + 1, 0, 0, DEADLINE_NONE, FUTEX_BITSET_ANY), -EINVAL);
    CHECK_EQ(futex_wait(0x1000, 0, 0, DEADLINE_NONE, FUTEX_BITSET_ANY), -EFAULT);
    CHECK_EQ(futex_wake(~7UL, 0, 1, FUTEX_BITSET_ANY), -EFAULT);
    nsec_t before = clock_monotonic();
    CHECK_EQ(futex_wait(at(word), 0, *word, before + 3 * NSEC_PER_MSEC, FUTEX_BITSET_ANY),
             -ETIMEDOUT);
    CHECK(clock_monotonic() >= before + 3 * NSEC_PER_MSEC);

    spawn_waiters(threads, NTHREADS, wait_here);
    CHECK_EQ(futex_wake(at(word), 0, 2, FUTEX_BITSET_ANY), 2);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(READ_ONCE(result[0]), 0);
    CHECK_EQ(READ_ONCE(result[1]), 0);
    CHECK_EQ(READ_ONCE(result[2]), 999); /* in the order in which they came */
    world_interrupt(threads[3]);
    world_join(threads[3]);
    CHECK_EQ(result[3], -EINTR);
    CHECK_EQ(futex_wake(at(word), 0, INT32_MAX, FUTEX_BITSET_ANY), 2);
    CHECK_EQ(futex_wake(at(word), 0, INT32_MAX, FUTEX_BITSET_ANY), 0);
    for (int i = 0; i < NTHREADS; i++)
        if (i != 3)
            world_join(threads[i]);
}

static void test_bitset(void *arg)
{
    struct thread *threads[3];

    for (int i = 0; i < 3; i++)
        bitset_of[i] = 1u << i;
    spawn_waiters(threads, 3, wait_here);
    CHECK_EQ(futex_wake(at(word), 0, 9, 1u << 1), 1);
    world_join(threads[1]);
    CHECK_EQ(futex_wake(at(word), 0, 9, FUTEX_BITSET_ANY), 2);
    world_join(threads[0]);
    world_join(threads[2]);
    memset(bitset_of, 0, sizeof(bitset_of));
}

static void test_realtime_deadline(void *arg)
{
    struct thread *threads[1];

    wait_flags = FUTEX_REALTIME;
    deadline = clock_realtime() + 1000 * NSEC_PER_SEC;
    nsec_t before = clock_monotonic();
    spawn_waiters(threads, 1, wait_here);
    clock_set_realtime(deadline - 5 * NSEC_PER_MSEC); /* now it is near */
    join_all(threads, 1);
    CHECK_EQ(result[0], -ETIMEDOUT);
    CHECK(clock_monotonic() - before < 20 * NSEC_PER_MSEC);
    wait_flags = 0;
    deadline = DEADLINE_NONE;
}

static void test_requeue(void *arg)
{
    struct thread *threads[NTHREADS];
    uint32_t expected = 8;

    spawn_waiters(threads, NTHREADS, wait_here);
    CHECK_EQ(futex_requeue(at(word), at(word + 1), 0, 1, 2, &expected), -EAGAIN);
    expected = 7;
    CHECK_EQ(futex_requeue(at(word), at(word + 1), 0, -1, 2, &expected), -EINVAL);
    CHECK_EQ(futex_requeue(at(word), at(word + 1), 0, 1, 2, &expected), 3);
    CHECK_EQ(futex_wake(at(word), 0, 9, FUTEX_BITSET_ANY), 2);
    CHECK_EQ(futex_wake(at(word + 1), 0, 9, FUTEX_BITSET_ANY), 2);
    join_all(threads, NTHREADS);
    spawn_waiters(threads, 2, wait_here);
    CHECK_EQ(futex_requeue(at(word), at(word), 0, 0, INT32_MAX, NULL), 2); /* onto itself */
    CHECK_EQ(futex_wake(at(word), 0, 9, FUTEX_BITSET_ANY), 2);
    join_all(threads, 2);
}

static uint32_t wake_op_code(unsigned op, unsigned argument, unsigned compare, unsigned with)
{
    return op << 28 | compare << 24 | (argument & 0xfff) << 12 | (with & 0xfff);
}

static void test_wake_op(void *arg)
{
    struct thread *threads[2];

    word[1] = 5;
    spawn_waiters(threads, 2, wait_here);
    CHECK_EQ(futex_wake_op(at(word + 1), at(word), 0, 1, 1,
                           wake_op_code(ABI_FUTEX_OP_ADD, 0xfff, ABI_FUTEX_OP_CMP_EQ, 8)),
             0);
    CHECK_EQ(*word, 6); /* 7 + -1 */
    CHECK_EQ(futex_wake_op(at(word), at(word + 1), 0, 1, 1,
                           wake_op_code(ABI_FUTEX_OP_SET, 9, ABI_FUTEX_OP_CMP_GT, 4)),
             1);
    CHECK_EQ(word[1], 9);
    CHECK_EQ(futex_wake_op(at(word + 1), at(word), 0, 1, 1,
                           wake_op_code(ABI_FUTEX_OP_OR | 8, 3, ABI_FUTEX_OP_CMP_LE, 6)),
             1);
    CHECK_EQ(*word, 6 | 8);
    CHECK_EQ(futex_wake_op(at(word), at(word), 0, 1, 1, wake_op_code(5, 0, 0, 0)), -ENOSYS);
    join_all(threads, 2);
}

static void wait_for_any(void *arg)
{
    struct futex_wait_entry entries[3];

    for (int i = 0; i < 3; i++)
        entries[i] = (struct futex_wait_entry){ .address = at(word + i), .expected = 7 };
    result[0] = futex_wait_any(entries, 3, 0, deadline);
}

static void test_wait_any(void *arg)
{
    struct thread *threads[1];

    word[1] = word[2] = 7;
    spawn_waiters(threads, 1, wait_for_any);
    CHECK_EQ(futex_wake(at(word + 2), 0, 1, FUTEX_BITSET_ANY), 1);
    join_all(threads, 1);
    CHECK_EQ(result[0], 2);
    CHECK_EQ(futex_wake(at(word), 0, 1, FUTEX_BITSET_ANY), 0);
    word[2] = 8;
    wait_for_any(NULL);
    CHECK_EQ(result[0], -EAGAIN);
    word[2] = 7;
    deadline = deadline_after(NSEC_PER_MSEC);
    wait_for_any(NULL);
    CHECK_EQ(result[0], -ETIMEDOUT);
    deadline = DEADLINE_NONE;
}

/* ---- PI locks ---------------------------------------------------------------------------- */

static uint32_t own_tid(void)
{
    return (uint32_t)thread_current()->tid;
}

static void pi_lock(void)
{
    if (!change(word, 0, own_tid()))
        CHECK_EQ(futex_lock_pi(at(word), 0, DEADLINE_NONE, false), 0);
    CHECK_EQ(READ_ONCE(*word) & ABI_FUTEX_TID_MASK, own_tid());
}

static void pi_unlock(void)
{
    if (!change(word, own_tid(), 0))
        CHECK_EQ(futex_unlock_pi(at(word), 0), 0);
}

static void use_pi_lock(void *arg)
{
    for (int i = 0; i < NROUNDS; i++) {
        if (i % 5 == 0) {
            long err = futex_lock_pi(at(word), 0, deadline_after(20 * NSEC_PER_USEC), false);
            CHECK(err == 0 || err == -ETIMEDOUT);
            if (err)
                continue;
        } else {
            pi_lock();
        }
        in_critical_section();
        pi_unlock();
    }
}

static void pi_take(void *arg)
{
    result[(uintptr_t)arg] = futex_lock_pi(at(word), 0, DEADLINE_NONE, false);
    if (result[(uintptr_t)arg] == 0) {
        result[(uintptr_t)arg] = *word;
        pi_unlock();
    }
}

static void test_pi(void *arg)
{
    struct thread *waiter;

    *word = 0;
    pi_lock();
    CHECK_EQ(futex_lock_pi(at(word), 0, DEADLINE_NONE, false), -EDEADLK);
    waiter = world_spawn_app(pi_take, (void *)0);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(*word, own_tid() | ABI_FUTEX_WAITERS);
    CHECK_EQ(thread_current()->sched.inherited, sched_priority(waiter));
    sched_set_policy(waiter, SCHED_POLICY_FIFO, 40);
    world_interrupt(waiter);
    world_join(waiter);
    CHECK_EQ(result[0], -EINTR);
    CHECK_EQ(thread_current()->sched.inherited, PRIORITY_NONE);
    pi_unlock();
    CHECK_EQ(*word, 0);
    CHECK_EQ(futex_unlock_pi(at(word), 0), -EPERM);
    *word = 12345; /* nobody has this tid */
    CHECK_EQ(futex_lock_pi(at(word), 0, DEADLINE_NONE, false), -ESRCH);
    CHECK_EQ(futex_lock_pi(at(word), 0, DEADLINE_NONE, true), -EWOULDBLOCK);
    *word = ABI_FUTEX_OWNER_DIED;
    CHECK_EQ(futex_lock_pi(at(word), 0, DEADLINE_NONE, true), 0);
    CHECK_EQ(*word, own_tid() | ABI_FUTEX_OWNER_DIED);
    *word = own_tid();
    pi_unlock();
}

static void die_with_lock(void *arg)
{
    pi_lock();
    world_sleep(5 * NSEC_PER_MSEC);
    futex_thread_exit(thread_current());
}

static void test_pi_owner_dies(void *arg)
{
    *word = 0;
    struct thread *owner = world_spawn_app(die_with_lock, NULL);
    world_sleep(NSEC_PER_MSEC);
    struct thread *first = world_spawn_app(pi_take, (void *)1);
    uint32_t first_tid = (uint32_t)first->tid;
    world_sleep(NSEC_PER_MSEC);
    struct thread *second = world_spawn_app(pi_take, (void *)2);
    world_join(owner);
    world_join(first);
    world_join(second);
    CHECK_EQ(result[1], first_tid | ABI_FUTEX_WAITERS | ABI_FUTEX_OWNER_DIED);
    CHECK_EQ(result[2] & ABI_FUTEX_OWNER_DIED, 0);
}

static void wait_to_requeue(void *arg)
{
    uintptr_t i = (uintptr_t)arg;

    result[i] = futex_wait_requeue_pi(at(word + 1), 0, 7, deadline, FUTEX_BITSET_ANY, at(word));
    if (result[i] == 0) {
        in_critical_section();
        pi_unlock();
    }
}

static void test_requeue_pi(void *arg)
{
    struct thread *threads[4];
    uint32_t expected = 7;

    memset(machine_app, 0, 4096);
    word[1] = 7;
    total = 0;
    for (uintptr_t i = 0; i < 4; i++)
        threads[i] = world_spawn_app(wait_to_requeue, (void *)i);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(futex_wake(at(word + 1), 0, 1, FUTEX_BITSET_ANY), -EINVAL);
    CHECK_EQ(futex_requeue_pi(at(word + 1), at(word + 2), 0, 1, 1, &expected), -EINVAL);
    pi_lock();
    CHECK_EQ(futex_requeue_pi(at(word + 1), at(word), 0, 1, INT32_MAX, &expected), 4);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(total, 0);
    pi_unlock();
    join_all(threads, 4);
    CHECK_EQ(total, 4);
    CHECK_EQ(*word & ABI_FUTEX_TID_MASK, 0);
    deadline = deadline_after(NSEC_PER_MSEC);
    CHECK_EQ(futex_wait_requeue_pi(at(word + 1), 0, 7, deadline, FUTEX_BITSET_ANY, at(word)),
             -ETIMEDOUT);
    deadline = DEADLINE_NONE;
}

/* ---- Exit -------------------------------------------------------------------------------- */

struct robust_node {
    uint64_t next;
    uint32_t futex;
};

static void die_robustly(void *arg)
{
    struct abi_robust_list_head *head = (void *)(machine_app + 1024);
    struct robust_node *node = (void *)(machine_app + 2048);

    head->next = (uintptr_t)&node[0];
    head->futex_offset = offsetof(struct robust_node, futex);
    head->list_op_pending = (uintptr_t)&node[2];
    node[0] = (struct robust_node){ (uintptr_t)&node[1], own_tid() | ABI_FUTEX_WAITERS };
    node[1] = (struct robust_node){ (uintptr_t)head, 77 }; /* not ours */
    node[2] = (struct robust_node){ 0, own_tid() };
    thread_current()->robust_list = (uintptr_t)head;
    thread_current()->clear_child_tid = at(word);
    __atomic_store_n(word, 7, __ATOMIC_RELEASE);
    world_sleep(5 * NSEC_PER_MSEC);
    futex_thread_exit(thread_current());
}

static void test_exit(void *arg)
{
    struct robust_node *node = (void *)(machine_app + 2048);
    struct thread *thread = world_spawn_app(die_robustly, NULL);

    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != 7)
        world_sleep(NSEC_PER_USEC);
    CHECK_EQ(futex_wait(at(word), FUTEX_SHARED, 7, DEADLINE_NONE, FUTEX_BITSET_ANY), 0);
    CHECK_EQ(*word, 0);
    CHECK_EQ(node[0].futex, ABI_FUTEX_WAITERS | ABI_FUTEX_OWNER_DIED);
    CHECK_EQ(node[1].futex, 77);
    CHECK_EQ(node[2].futex, ABI_FUTEX_OWNER_DIED);
    world_join(thread);
}

static void die_confused(void *arg)
{
    struct abi_robust_list_head *head = (void *)(machine_app + 1024 + 64 * (uintptr_t)arg);

    switch ((uintptr_t)arg) {
    case 0: /* a list that never ends */
        *head = (struct abi_robust_list_head){ .next = (uintptr_t)(machine_app + 3000) };
        *(uint64_t *)(machine_app + 3000) = (uintptr_t)(machine_app + 3000);
        break;
    case 1: /* into nowhere */
        *head = (struct abi_robust_list_head){ .next = 0x1234567800 };
        break;
    default:
        head = (void *)0x10;
        break;
    }
    thread_current()->robust_list = (uintptr_t)head;
    thread_current()->clear_child_tid = 0x20;
    futex_thread_exit(thread_current());
}

static void run_app(void (*function)(void *))
{
    struct thread *thread = world_spawn_app(function, NULL);

    world_join(thread);
}

static void test(void)
{
    run_all(use_lock);
    CHECK_EQ(total, NTHREADS * NROUNDS);
    run_app(test_wait);
    run_app(test_bitset);
    run_app(test_requeue);
    run_app(test_wake_op);
    run_app(test_wait_any);
    run_app(test_realtime_deadline);
    run_app(test_pi);
    run_app(test_pi_owner_dies);
    run_all(use_pi_lock);
    CHECK(total >= NTHREADS * NROUNDS * 4 / 5);
    CHECK_EQ(*word & ABI_FUTEX_TID_MASK, 0);
    run_app(test_requeue_pi);
    run_app(test_exit);
    run_all(die_confused);
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
