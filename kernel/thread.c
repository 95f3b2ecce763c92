// SPDX-License-Identifier: MIT
/*
 * Threads: making them, finding them by tid, and freeing them.
 *
 * The last reference may be dropped where nothing may sleep (a thread's own by the scheduler, in the middle
 * of a switch), but giving back a stack changes page tables and may have to wait for other CPUs.  So
 * thread_put() only puts the thread on a list; what is on it is freed before the next thread is made,
 * which then finds a stack in the cache, or by the reaper thread when a few have gathered or a CPU is idle.
 *
 * Lock: thread_lock (RANK_THREAD) covers the tid bitmap and how many are in it, the tree of tids and the list.
 */
#include "kernel/thread.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/thread_reaper.h"
#include "lib/bitmap.h"

#define STACK_CACHE_SIZE 4
#define REAP_AT          16
#define TIMER_SLACK_NS   50000 /* as Linux: PR_GET_TIMERSLACK */
/* Linux does not reuse the numbers below this one, which belong to what starts first. */
#define TID_RESERVED     300
#define THREADS_LEAST    20UL /* as Linux: MIN_THREADS */

/* Only its own CPU uses it, with interrupts off. */
struct stack_cache {
    void *stack[STACK_CACHE_SIZE];
    unsigned n;
} __aligned(64);

static struct stack_cache stack_caches[CPUS_MAX];
static struct spinlock thread_lock = SPINLOCK_INIT(RANK_THREAD);
static uint64_t tid_map[BITMAP_WORDS(TID_MAX + 1)];
static unsigned ntids;
static size_t tid_next = 1; /* 0 is nobody's and never looked at */
static struct rb_tree tid_tree;
static struct list dead_threads = LIST_INIT(dead_threads);
static unsigned ndead;
static struct thread *reaper;

/* ---- Numbers --------------------------------------------------------------- */

/* As Linux: their stacks may take an eighth of memory.  So a fork bomb leaves room for who ends it. */
unsigned thread_limit(void)
{
    static unsigned limit; /* [a] */

    if (unlikely(READ_ONCE(limit) == 0)) {
        struct frame_stats stats;
        frame_get_stats(&stats);
        uint64_t fit = stats.total_pages * PAGE_SIZE / 8 / KERNEL_STACK_SIZE;
        WRITE_ONCE(limit, (unsigned)MIN(MAX(fit, THREADS_LEAST), (uint64_t)TID_MAX));
    }
    return READ_ONCE(limit);
}

int tid_alloc(int wanted)
{
    unsigned limit = thread_limit();
    unsigned long flags = spin_lock_irq(&thread_lock);
    if (ntids >= limit) {
        spin_unlock_irq(&thread_lock, flags);
        return -EAGAIN;
    }
    size_t tid = (size_t)wanted;
    int err = wanted && bitmap_test(tid_map, tid) ? -EEXIST : 0;
    if (!wanted)
        tid = bitmap_find_clear(tid_map, TID_MAX + 1, tid_next);
    if (tid > TID_MAX)
        tid = bitmap_find_clear(tid_map, TID_MAX + 1, TID_RESERVED);
    if (tid > TID_MAX)
        err = -EAGAIN;
    if (!err) {
        bitmap_set(tid_map, tid);
        tid_next = wanted ? tid_next : tid + 1;
        ntids++;
    }
    spin_unlock_irq(&thread_lock, flags);
    return err ? err : (int)tid;
}

int tid_last(void)
{
    return (int)READ_ONCE(tid_next) - 1;
}

void tid_free(int tid)
{
    unsigned long flags = spin_lock_irq(&thread_lock);
    assert(tid > 0 && bitmap_test(tid_map, (size_t)tid));
    bitmap_clear(tid_map, (size_t)tid);
    ntids--;
    spin_unlock_irq(&thread_lock, flags);
}

static void tid_insert(struct thread *thread)
{
    struct rb_node **link = &tid_tree.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[thread->tid > rb_entry(parent, struct thread, tid_node)->tid];
    }
    rb_link(&thread->tid_node, parent, link);
    rb_insert_fixup(&tid_tree, &thread->tid_node);
}

struct thread *thread_find(int tid)
{
    unsigned long flags = spin_lock_irq(&thread_lock);
    struct rb_node *node = tid_tree.root;
    struct thread *found = NULL;

    while (node && !found) {
        struct thread *thread = rb_entry(node, struct thread, tid_node);
        if (thread->tid == tid)
            found = thread_get(thread);
        else
            node = node->child[tid > thread->tid];
    }
    spin_unlock_irq(&thread_lock, flags);
    return found;
}

/* The tree holds a reference. */
void thread_list(struct thread *thread)
{
    if (!thread->tid)
        return;
    unsigned long flags = spin_lock_irq(&thread_lock);
    tid_insert(thread_get(thread));
    __atomic_fetch_or(&thread->flags, THREAD_LISTED, __ATOMIC_RELAXED);
    spin_unlock_irq(&thread_lock, flags);
}

void thread_unlist(struct thread *thread)
{
    unsigned long flags = spin_lock_irq(&thread_lock);
    bool was_listed =
        __atomic_fetch_and(&thread->flags, ~THREAD_LISTED, __ATOMIC_RELAXED) & THREAD_LISTED;
    if (was_listed)
        rb_remove(&tid_tree, &thread->tid_node);
    spin_unlock_irq(&thread_lock, flags);
    if (was_listed)
        thread_put(thread);
}

void thread_exchange_tid(struct thread *a, struct thread *b)
{
    unsigned long flags = spin_lock_irq(&thread_lock);
    bool a_listed = READ_ONCE(a->flags) & THREAD_LISTED;
    bool b_listed = READ_ONCE(b->flags) & THREAD_LISTED;
    int tid = a->tid;

    if (a_listed)
        rb_remove(&tid_tree, &a->tid_node);
    if (b_listed)
        rb_remove(&tid_tree, &b->tid_node);
    a->tid = b->tid;
    b->tid = tid;
    if (a_listed)
        tid_insert(a);
    if (b_listed)
        tid_insert(b);
    spin_unlock_irq(&thread_lock, flags);
}

/* ---- Stacks ------------------------------------------------------------------ */

static void *stack_alloc(void)
{
    unsigned long flags = arch_irq_save();
    struct stack_cache *cache = &stack_caches[cpu_current()];
    void *stack = cache->n > 0 ? cache->stack[--cache->n] : NULL;

    arch_irq_restore(flags);
    return stack ? stack : arch_kernel_stack_alloc(KERNEL_STACK_SIZE);
}

static void stack_free(void *stack)
{
    unsigned long flags = arch_irq_save();
    struct stack_cache *cache = &stack_caches[cpu_current()];
    bool has_room = cache->n < STACK_CACHE_SIZE;

    if (has_room)
        cache->stack[cache->n++] = stack;
    arch_irq_restore(flags);
    if (!has_room)
        arch_kernel_stack_free(stack, KERNEL_STACK_SIZE);
}

/* ---- Life --------------------------------------------------------------------- */

static void thread_free(struct thread *thread)
{
    thread_signals_fini(thread);
    arch_thread_fini(thread);
    if (thread->tid)
        tid_free(thread->tid);
    if (thread->process)
        process_put(thread->process);
    stack_free((void *)thread->kernel_stack_bottom);
    kfree(thread);
}

void threads_reap(void)
{
    for (;;) {
        struct thread *thread = NULL;
        unsigned long flags = spin_lock_irq(&thread_lock);
        if (ndead > 0) {
            thread = list_first(&dead_threads, struct thread, free_node);
            list_remove(&thread->free_node);
            __atomic_store_n(&ndead, ndead - 1, __ATOMIC_RELAXED);
        }
        spin_unlock_irq(&thread_lock, flags);
        if (!thread)
            return;
        thread_free(thread);
    }
}

void reaper_wake(unsigned least)
{
    if (__atomic_load_n(&ndead, __ATOMIC_RELAXED) >= least && reaper)
        thread_wake(reaper);
}

static void reaper_run(void *arg)
{
    (void)arg;
    for (;;) {
        sched_prepare_sleep();
        if (__atomic_load_n(&ndead, __ATOMIC_SEQ_CST) == 0)
            sched_sleep(DEADLINE_NONE);
        else
            sched_cancel_sleep();
        threads_reap();
    }
}

void reaper_init(void)
{
    reaper = thread_create_kernel("reaper", reaper_run, NULL);
    if (!reaper)
        panic("no memory for the first threads");
    thread_start(reaper);
}

struct thread *thread_get(struct thread *thread)
{
    __atomic_fetch_add(&thread->refcount, 1, __ATOMIC_RELAXED);
    return thread;
}

void thread_put(struct thread *thread)
{
    unsigned before = __atomic_fetch_sub(&thread->refcount, 1, __ATOMIC_ACQ_REL);

    assert(before > 0);
    if (before > 1)
        return;
    unsigned long flags = spin_lock_irq(&thread_lock);
    list_push_back(&dead_threads, &thread->free_node);
    __atomic_store_n(&ndead, ndead + 1, __ATOMIC_SEQ_CST);
    spin_unlock_irq(&thread_lock, flags);
}

static void sleep_timer_fire(struct timer *timer)
{
    thread_wake(container_of(timer, struct thread, sleep_timer));
}

struct thread *thread_alloc(const char *name, void *stack)
{
    struct thread *thread = kzalloc(sizeof(*thread), ALLOC_WAIT);

    if (!thread)
        return NULL;
    thread->kernel_stack_bottom = (uintptr_t)stack;
    thread->kernel_stack_top = (uintptr_t)stack + KERNEL_STACK_SIZE;
    thread->refcount = 1;
    thread->state = THREAD_NEW;
    thread->sched.affinity = CPU_MASK_ALL;
    thread->sched.inherited = PRIORITY_NONE;
    thread->sched.cpu = (int)cpu_current();
    timer_init(&thread->sleep_timer, sleep_timer_fire);
    list_init(&thread->pi_held);
    list_init(&thread->process_node);
    thread_signals_init(&thread->signals);
    thread_set_name(thread, name);
    thread->start_time = clock_monotonic();
    return thread;
}

static struct thread *thread_create(const char *name)
{
    threads_reap();
    void *stack = stack_alloc();
    if (!stack)
        return NULL;
    struct thread *thread = thread_alloc(name, stack);
    if (!thread)
        stack_free(stack);
    return thread;
}

struct thread *thread_create_kernel(const char *name, void (*function)(void *), void *arg)
{
    struct thread *thread = thread_create(name);

    if (!thread)
        return NULL;
    sched_entity_init(thread, NULL);
    thread_set_entry(thread, function, arg);
    return thread;
}

int thread_create_app(struct process *process, const char *name, int tid, struct thread **out)
{
    struct thread *thread = thread_create(name);

    if (!thread)
        return -ENOMEM;
    tid = tid_alloc(tid);
    if (tid < 0) {
        thread_put(thread);
        return tid;
    }
    thread->tid = tid;
    thread->process = process_get(process);
    sched_entity_init(thread, thread_current()->process ? thread_current() : NULL);
    thread->timer_slack_ns = thread->default_timer_slack_ns = TIMER_SLACK_NS;
    *out = thread;
    return 0;
}

/* The first code on a new thread's stack: in the middle of a switch, interrupts off. */
static void thread_trampoline(void *arg)
{
    struct thread *thread = arg;

    sched_finish_switch();
    arch_irq_enable();
    thread->start_function(thread->start_arg);
    sched_exit();
}

void thread_set_entry(struct thread *thread, void (*function)(void *), void *arg)
{
    thread->start_function = function;
    thread->start_arg = arg;
    arch_thread_init(thread, thread_trampoline, thread);
}

void thread_set_name(struct thread *thread, const char *name)
{
    size_t len = strnlen(name, sizeof(thread->name) - 1);

    memmove(thread->name, name, len);
    memset(thread->name + len, 0, sizeof(thread->name) - len);
}
