// SPDX-License-Identifier: MIT
/*
 * Switching, sleeping and waking.
 *
 * The lock of a run queue is held across the switch: reschedule() takes it on the old thread's stack and
 * sched_finish_switch() releases it on the new one's.  So whoever holds the lock of the queue that a thread
 * belongs to (sched.cpu) sees it either running there or completely off its stack, and may queue it elsewhere.
 *
 * For that the thread changes its queue only under the lock of the one it leaves: who has locked a thread's queue and
 * found that it still is the one may trust it until the unlock.
 *
 * A sleeping thread belongs to the queue where it ran last.  thread_wake() claims it under that
 * queue's lock by making it READY, and sched_make_ready() chooses a CPU before it lets go of the lock.
 * A thread found running while marked SLEEPING has not given up its CPU yet: it is just
 * made RUNNING again, and its reschedule() notices.
 *
 * No tick: a slice is only timed while another thread is ready on the same CPU.  The timer is left alone if
 * it would come too early; sched_timer_tick() then sets it again.
 *
 * A real-time thread may never leave its CPU.  Others are not placed behind it while there is a CPU without one, and
 * who is there already is looked after every RESCUE_NS: moved to another CPU, or let in when it is time.
 *
 * need_resched and the running thread's THREAD_WORK_RESCHED go together, both under the lock.  A CPU is
 * interrupted only when the flag was not set yet.
 *
 * An idle CPU that was woken soon the last times looks at the flag for a while before it halts, and is not
 * interrupted meanwhile: threads that answer each other from two CPUs would else pay for a halt and an interrupt,
 * which are exits to a hypervisor, each time.
 */
#include "kernel/sched.h"

#include "kernel/cpu_account.h"
#include "kernel/lockcheck.h"
#include "kernel/mm/vmspace.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/rseq.h"
#include "kernel/runqueue.h"
#include "kernel/sched_queues.h"
#include "kernel/thread_reaper.h"

#define SLICE_LEAST_NS (100 * NSEC_PER_USEC)
#define RESCUE_NS      (10 * NSEC_PER_MSEC)
#define REAP_AT        16
#define POLL_FIRST_NS  (10 * NSEC_PER_USEC)
#define POLL_MAX_NS    (50 * NSEC_PER_USEC)
#define POLL_LOOKS     64 /* at the flag, between two looks at the clock */

extern struct thread thread_boot;

static struct runqueue queues[CPUS_MAX];
static uint64_t idle_cpus; /* [a] bit n: CPU n is idle and nobody has given it a thread yet */

struct runqueue *runqueue_of_cpu(unsigned cpu)
{
    return &queues[cpu];
}

static void slice_timer_fire(struct timer *timer)
{
    (void)timer;
    sched_timer_tick();
}

static void queue_init(unsigned cpu, struct thread *idle)
{
    struct runqueue *rq = &queues[cpu];

    spin_init(&rq->lock, RANK_SCHED);
    rq->cpu = cpu;
    rq->idle = idle;
    rq->current = idle;
    timer_init(&rq->slice_timer, slice_timer_fire);
    idle->sched.cpu = (int)cpu;
    idle->sched.on_cpu = true;
    idle->sched.weight = 1;
    idle->sched.slice_start = arch_clock_ns();
    idle->state = THREAD_RUNNING;
    percpu_area[cpu].idle = idle;
    percpu_area[cpu].runqueue = rq;
}

void sched_init(void)
{
    list_init(&thread_boot.pi_held);
    list_init(&thread_boot.process_node);
    thread_signals_init(&thread_boot.signals);
    queue_init(0, &thread_boot);
    reaper_init();
}

int sched_init_cpu(unsigned cpu)
{
    struct percpu *percpu = &percpu_area[cpu];
    void *stack = arch_kernel_stack_alloc(KERNEL_STACK_SIZE);
    if (!stack)
        return -ENOMEM;
    struct thread *idle = thread_alloc("idle", stack);
    if (!idle) {
        arch_kernel_stack_free(stack, KERNEL_STACK_SIZE);
        return -ENOMEM;
    }
    queue_init(cpu, idle);
    percpu->self = percpu;
    percpu->cpu = cpu;
    percpu->current = idle;
    percpu->kernel_stack_top = idle->kernel_stack_top;
    return 0;
}

/* ---- Placing ready threads ------------------------------------------------------ */

/* Makes the CPU look at its queue soon; rq->lock held.  True: it must be interrupted for it. */
static bool request_resched(struct runqueue *rq)
{
    __atomic_fetch_or(&rq->current->work, THREAD_WORK_RESCHED, __ATOMIC_RELAXED);
    struct percpu *percpu = &percpu_area[rq->cpu];
    bool was_set = __atomic_exchange_n(&percpu->need_resched, true, __ATOMIC_SEQ_CST);
    return !was_set && rq->cpu != cpu_current() &&
           !__atomic_load_n(&percpu->is_polling, __ATOMIC_SEQ_CST);
}

static void arm_slice(struct runqueue *rq)
{
    if (rq->nqueued == 0)
        return;
    nsec_t left = runqueue_slice_left(rq);
    if (rq->runs_realtime)
        left = MIN(left, RESCUE_NS);
    if (left == DEADLINE_NONE)
        return;
    nsec_t deadline = arch_clock_ns() + MAX(left, SLICE_LEAST_NS);
    if (!timer_is_armed(&rq->slice_timer) || rq->slice_timer.deadline > deadline)
        timer_set(&rq->slice_timer, deadline);
}

/* A thread was queued: what the CPU must do about it.  True: it must be interrupted. */
static bool react(struct runqueue *rq, const struct thread *thread)
{
    if (rq->current != rq->idle)
        runqueue_account(rq, arch_clock_ns());
    if (runqueue_preempts(rq, thread))
        return request_resched(rq);
    if (rq->cpu == cpu_current())
        arm_slice(rq);
    else if (!timer_is_armed(&rq->slice_timer))
        return request_resched(rq); /* only the CPU itself can set its timer */
    return false;
}

/* rq->lock held. */
static void mark_idle(const struct runqueue *rq, bool is_idle)
{
    uint64_t bit = 1ULL << rq->cpu;

    if (is_idle)
        __atomic_fetch_or(&idle_cpus, bit, __ATOMIC_RELAXED);
    else if (__atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & bit)
        __atomic_fetch_and(&idle_cpus, ~bit, __ATOMIC_RELAXED);
}

static unsigned queue_load(const struct runqueue *rq)
{
    return READ_ONCE(rq->nqueued) + (READ_ONCE(rq->current) != rq->idle);
}

static bool runs_realtime(const struct runqueue *rq)
{
    return READ_ONCE(rq->runs_realtime);
}

/* None is idle.  The previous one unless it runs a real-time thread: then the least loaded that does not. */
static unsigned choose_busy_cpu(unsigned previous, uint64_t allowed)
{
    unsigned chosen = allowed >> previous & 1 ? previous : (unsigned)__builtin_ctzll(allowed);

    if (likely(!runs_realtime(&queues[chosen])))
        return chosen;
    for (uint64_t rest = allowed; rest; rest &= rest - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(rest);
        if (!runs_realtime(&queues[cpu]) &&
            (runs_realtime(&queues[chosen]) ||
             queue_load(&queues[cpu]) < queue_load(&queues[chosen])))
            chosen = cpu;
    }
    return chosen;
}

/* An idle CPU that it returns is not marked so any more: it is to get the thread. */
static unsigned choose_cpu(const struct thread *thread)
{
    unsigned previous = (unsigned)thread->sched.cpu;
    uint64_t allowed = READ_ONCE(thread->sched.affinity) & cpus_online();
    uint64_t idle;

    assert(allowed != 0);
    while ((idle = __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & allowed)) {
        unsigned cpu = idle >> previous & 1 ? previous : (unsigned)__builtin_ctzll(idle);
        uint64_t bit = 1ULL << cpu;
        if (__atomic_fetch_and(&idle_cpus, ~bit, __ATOMIC_RELAXED) & bit)
            return cpu;
    }
    return choose_busy_cpu(previous, allowed);
}

void sched_make_ready(struct runqueue *rq, struct thread *thread, enum join how)
{
    unsigned cpu;

    while ((cpu = choose_cpu(thread)) != rq->cpu) {
        __atomic_store_n(&thread->sched.cpu, (int)cpu, __ATOMIC_RELEASE);
        spin_unlock(&rq->lock);
        rq = &queues[cpu];
        spin_lock(&rq->lock);
        if (likely(thread->sched.affinity >> cpu & 1))
            break;
        mark_idle(rq, rq->current == rq->idle); /* changed in the meantime */
    }
    runqueue_join(rq, thread, how);
    runqueue_insert(rq, thread);
    bool interrupt = react(rq, thread);
    spin_unlock(&rq->lock);
    if (interrupt)
        arch_send_reschedule(rq->cpu);
}

void thread_start(struct thread *thread)
{
    thread_list(thread);
    unsigned long flags = arch_irq_save();
    /* It can be found by its number already, and woken. */
    struct runqueue *rq = runqueue_lock_of(thread);
    assert(thread->state == THREAD_NEW);
    WRITE_ONCE(thread->state, THREAD_READY);
    sched_make_ready(rq, thread, JOIN_NEW);
    arch_irq_restore(flags);
}

struct runqueue *runqueue_lock_of(struct thread *thread)
{
    for (;;) {
        int cpu = READ_ONCE(thread->sched.cpu);
        struct runqueue *rq = &queues[cpu];
        spin_lock(&rq->lock);
        if (likely(__atomic_load_n(&thread->sched.cpu, __ATOMIC_ACQUIRE) == cpu))
            return rq;
        spin_unlock(&rq->lock);
    }
}

/*
 * Takes a thread that has given up its CPU out of its sleep, or one that is about to; rq->lock held.  The latter may be
 * changing its mind, run on and even end at any moment, so its state is only changed if it is still the same.
 */
static bool claim_sleeper(const struct runqueue *rq, struct thread *thread, bool *is_off)
{
    enum thread_state expected = THREAD_SLEEPING;

    *is_off = rq->current != thread;
    return __atomic_compare_exchange_n(&thread->state, &expected,
                                       *is_off ? THREAD_READY : THREAD_RUNNING, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool thread_wake(struct thread *thread)
{
    unsigned long flags = arch_irq_save();
    /* Who sleeps marks itself and then looks; who wakes changes something and then looks here. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    struct runqueue *rq = runqueue_lock_of(thread);
    bool is_off;
    bool is_sleeping = claim_sleeper(rq, thread, &is_off);

    if (is_sleeping && is_off)
        sched_make_ready(rq, thread, JOIN_WAKE);
    else
        spin_unlock(&rq->lock);
    arch_irq_restore(flags);
    return is_sleeping;
}

void runqueue_replace(struct runqueue *rq, struct thread *thread)
{
    bool interrupt = false;

    if (thread->sched.is_queued)
        interrupt = react(rq, thread);
    else if (rq->current == thread)
        interrupt = request_resched(rq);
    spin_unlock(&rq->lock);
    if (interrupt)
        arch_send_reschedule(rq->cpu);
}

/* ---- Balance ------------------------------------------------------------------- */

static void move_queued(struct runqueue *from, struct runqueue *to, struct thread *thread)
{
    runqueue_remove(from, thread);
    runqueue_leave(from, thread);
    runqueue_join(to, thread, JOIN_MOVED);
    runqueue_insert(to, thread);
}

/* An idle CPU looks for work.  The second lock is only tried, so the order does not matter. */
static void steal(struct runqueue *rq)
{
    uint64_t others = cpus_online() & ~(1ULL << rq->cpu);

    while (others) {
        unsigned busiest = (unsigned)__builtin_ctzll(others);
        for (uint64_t rest = others; rest; rest &= rest - 1) {
            unsigned cpu = (unsigned)__builtin_ctzll(rest);
            if (READ_ONCE(queues[cpu].nqueued) > READ_ONCE(queues[busiest].nqueued))
                busiest = cpu;
        }
        struct runqueue *from = &queues[busiest];
        if (READ_ONCE(from->nqueued) == 0)
            return;
        others &= ~(1ULL << busiest);
        if (!spin_try_lock(&from->lock))
            continue;
        struct thread *thread = runqueue_pick_for(from, rq->cpu);
        if (thread)
            move_queued(from, rq, thread);
        spin_unlock(&from->lock);
        if (thread)
            return;
    }
}

static bool may_push(const struct runqueue *from, const struct runqueue *to)
{
    return !runs_realtime(to) && (runs_realtime(from) || queue_load(to) + 1 < queue_load(from));
}

/* A busy CPU gives a thread to one that has two fewer, and one that runs a real-time thread to any that does not.
 * Returns that CPU if it must be interrupted, or -1. */
static int push(struct runqueue *rq)
{
    for (uint64_t rest = cpus_online() & ~(1ULL << rq->cpu); rest; rest &= rest - 1) {
        struct runqueue *to = &queues[__builtin_ctzll(rest)];
        if (!may_push(rq, to) || !spin_try_lock(&to->lock))
            continue;
        struct thread *thread = runqueue_pick_for(rq, to->cpu);
        bool interrupt = false;
        if (thread) {
            move_queued(rq, to, thread);
            interrupt = react(to, thread);
        }
        spin_unlock(&to->lock);
        if (thread)
            return interrupt ? (int)to->cpu : -1;
    }
    return -1;
}

/* ---- Switching ------------------------------------------------------------------ */

/* What becomes of the thread that ran.  The next one may be it. */
static void put_previous(struct runqueue *rq, struct thread *previous)
{
    if (previous == rq->idle)
        return;
    if (previous->state != THREAD_RUNNING) {
        previous->sched.nvoluntary++;
        runqueue_leave(rq, previous);
        return;
    }
    WRITE_ONCE(previous->state, THREAD_READY);
    if (previous->sched.affinity >> rq->cpu & 1)
        runqueue_insert(rq, previous);
    else
        runqueue_leave(rq, previous); /* sched_finish_switch() finds it another CPU */
}

static struct thread *take_next(struct runqueue *rq)
{
    struct thread *next = runqueue_pick(rq);

    if (!next) {
        steal(rq);
        next = runqueue_pick(rq);
    }
    if (next)
        runqueue_remove(rq, next);
    return next ? next : rq->idle;
}

static void switch_to(struct percpu *percpu, struct thread *previous, struct thread *next)
{
    struct runqueue *rq = percpu->runqueue;

    if (previous == rq->idle)
        cpu_account_wake();
    else if (previous->state == THREAD_READY)
        previous->sched.ninvoluntary++;
    WRITE_ONCE(rq->current, next);
    next->sched.on_cpu = true;
    next->sched.slice_start = previous->sched.slice_start;
    percpu->nswitches++;
    percpu->boot_previous = previous;
    percpu->current = next;
    percpu->kernel_stack_top = next->kernel_stack_top;
    rseq_switched(previous, next);
    if (next->vmspace)
        vmspace_activate(next->vmspace);
    else
        vmspace_rest();
    arch_switch(previous, next);
    sched_finish_switch();
}

/* The running thread gives up the CPU, unless it is still the best.  Interrupts off. */
static void reschedule(bool is_yield)
{
    struct percpu *percpu = arch_percpu();
    struct runqueue *rq = percpu->runqueue;

    spin_lock(&rq->lock);
    struct thread *previous = rq->current;
    nsec_t now = arch_clock_ns();
    runqueue_account(rq, now);
    previous->sched.slice_start = now;
    __atomic_store_n(&percpu->need_resched, false, __ATOMIC_RELAXED);
    __atomic_fetch_and(&previous->work, ~THREAD_WORK_RESCHED, __ATOMIC_RELAXED);
    runqueue_slice_is_over(rq);

    struct thread *next = is_yield ? runqueue_pick(rq) : NULL;
    if (next) {
        runqueue_remove(rq, next);
        WRITE_ONCE(previous->state, THREAD_READY);
        runqueue_requeue_last(rq, previous);
    } else {
        put_previous(rq, previous);
        next = take_next(rq);
    }
    if (next != rq->idle)
        WRITE_ONCE(next->state, THREAD_RUNNING);
    mark_idle(rq, next == rq->idle);
    WRITE_ONCE(rq->runs_realtime, is_realtime(next));
    if (next == previous) {
        arm_slice(rq);
        spin_unlock(&rq->lock);
        return;
    }
    switch_to(percpu, previous, next);
}

void sched_finish_switch(void)
{
    struct percpu *percpu = arch_percpu();
    struct runqueue *rq = percpu->runqueue;
    struct thread *previous = percpu->boot_previous;
    enum thread_state state = previous->state;
    bool is_homeless = state == THREAD_READY && previous != rq->idle && !previous->sched.is_queued;

    previous->sched.on_cpu = false;
    arm_slice(rq);
    if (is_homeless)
        sched_make_ready(rq, previous, JOIN_MOVED);
    else
        spin_unlock(&rq->lock);
    if (state == THREAD_DEAD) {
        thread_put(previous);
        reaper_wake(REAP_AT);
    }
}

void sched_prepare_sleep(void)
{
    __atomic_store_n(&thread_current()->state, THREAD_SLEEPING, __ATOMIC_SEQ_CST);
}

void sched_cancel_sleep(void)
{
    __atomic_store_n(&thread_current()->state, THREAD_RUNNING, __ATOMIC_SEQ_CST);
}

int sched_sleep(nsec_t deadline)
{
    struct thread *thread = thread_current();

    lockcheck_may_sleep();
    debug_assert(thread != arch_percpu()->idle);
    if (deadline != DEADLINE_NONE) {
        if (deadline <= arch_clock_ns()) {
            sched_cancel_sleep();
            return -ETIMEDOUT;
        }
        timer_set(&thread->sleep_timer, deadline);
    }
    unsigned long flags = arch_irq_save();
    if (READ_ONCE(thread->state) == THREAD_SLEEPING)
        reschedule(false);
    arch_irq_restore(flags);
    if (deadline != DEADLINE_NONE && !timer_cancel(&thread->sleep_timer))
        return -ETIMEDOUT;
    return 0;
}

void sched_yield(void)
{
    unsigned long flags = arch_irq_save();
    const struct percpu *percpu = arch_percpu();

    if (READ_ONCE(percpu->runqueue->nqueued) > 0 || READ_ONCE(percpu->need_resched))
        reschedule(true);
    arch_irq_restore(flags);
}

void sched_check(void)
{
    unsigned long flags = arch_irq_save();

    if (READ_ONCE(arch_percpu()->need_resched) ||
        READ_ONCE(thread_current()->work) & THREAD_WORK_RESCHED)
        reschedule(false);
    arch_irq_restore(flags);
}

bool sched_is_contended(void)
{
    return READ_ONCE(arch_percpu()->runqueue->nqueued) > 0;
}

void sched_timer_tick(void)
{
    struct runqueue *rq = arch_percpu()->runqueue;
    int pushed_to = -1;

    spin_lock(&rq->lock);
    runqueue_account(rq, arch_clock_ns());
    if (rq->nqueued > 0)
        pushed_to = push(rq);
    if (rq->nqueued > 0) {
        if (runqueue_slice_is_over(rq))
            request_resched(rq);
        else
            arm_slice(rq);
    }
    spin_unlock(&rq->lock);
    if (pushed_to >= 0)
        arch_send_reschedule((unsigned)pushed_to);
}

void sched_exit(void)
{
    thread_unlist(thread_current());
    arch_irq_disable();
    /* What it did comes before: for who waits until a thread is dead. */
    __atomic_store_n(&thread_current()->state, THREAD_DEAD, __ATOMIC_RELEASE);
    reschedule(false);
    panic("a dead thread runs");
}

/* Interrupts off, before and after.  Others' work may come without an interrupt while is_polling is set. */
static void idle_poll(struct percpu *percpu)
{
    nsec_t end = arch_clock_ns() + percpu->poll_ns;

    __atomic_store_n(&percpu->is_polling, true, __ATOMIC_SEQ_CST);
    arch_irq_enable();
    do {
        arch_pause(); /* seldom, as in kernel/spinlock.c */
        for (int i = 0; i < POLL_LOOKS && !READ_ONCE(percpu->need_resched); i++)
            continue;
    } while (!READ_ONCE(percpu->need_resched) && arch_clock_ns() < end);
    arch_irq_disable();
    /* Before the last look at need_resched: whoever sets it later interrupts. */
    __atomic_store_n(&percpu->is_polling, false, __ATOMIC_SEQ_CST);
}

/* Polls twice as long after a short wait, half as long after a long one. */
static void poll_adapt(struct percpu *percpu, nsec_t idle_ns)
{
    if (idle_ns > POLL_MAX_NS)
        percpu->poll_ns = percpu->poll_ns < POLL_FIRST_NS ? 0 : percpu->poll_ns / 2;
    else
        percpu->poll_ns = MIN(MAX(2 * percpu->poll_ns, POLL_FIRST_NS), POLL_MAX_NS);
}

/* Until there may be something to do.  Interrupts off. */
static void idle_wait(struct percpu *percpu)
{
    bool is_alone = (cpus_online() & (cpus_online() - 1)) == 0;
    nsec_t start = arch_clock_ns();

    if (!is_alone && percpu->poll_ns > 0)
        idle_poll(percpu);
    if (!__atomic_load_n(&percpu->need_resched, __ATOMIC_SEQ_CST))
        arch_idle();
    if (READ_ONCE(percpu->need_resched))
        poll_adapt(percpu, arch_clock_ns() - start);
}

void sched_idle_loop(void)
{
    struct percpu *percpu = arch_percpu();

    arch_irq_disable();
    assert(percpu->runqueue->current == percpu->idle);
    reschedule(false);
    for (;;) {
        reaper_wake(1);
        if (!READ_ONCE(percpu->need_resched))
            idle_wait(percpu);
        else
            reschedule(false);
    }
}
