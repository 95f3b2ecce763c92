// SPDX-License-Identifier: MIT
/*
 * What can be changed about a thread's scheduling, and asked about it.
 */
#include "abi/errno.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/sched_queues.h"

/* Kernel threads do what interrupts have left over (packets, completions), so they come early. */
#define KERNEL_NICE (-10)

void sched_entity_init(struct thread *thread, const struct thread *parent)
{
    struct sched_entity *entity = &thread->sched;

    entity->nice = thread->process ? 0 : KERNEL_NICE;
    if (parent) {
        bool keeps = !parent->sched.reset_on_fork;
        entity->nice = keeps ? parent->sched.nice : MAX(parent->sched.nice, 0);
        entity->policy = keeps ? parent->sched.policy : SCHED_POLICY_OTHER;
        entity->rt_priority = keeps ? parent->sched.rt_priority : 0;
        entity->ioprio = READ_ONCE(parent->sched.ioprio);
        entity->affinity = READ_ONCE(parent->sched.affinity);
    }
    entity->slice_start = arch_clock_ns();
    unsigned long flags = arch_irq_save();
    struct runqueue *rq = arch_percpu()->runqueue;
    spin_lock(&rq->lock);
    entity_refresh(rq, thread);
    spin_unlock_irq(&rq->lock, flags);
}

/* set changes what the weight and the order depend on, while the thread is in no sum and no tree. */
static void change(struct thread *thread, void (*set)(struct sched_entity *entity, int a, int b),
                   int a, int b)
{
    unsigned long flags = arch_irq_save();
    struct runqueue *rq = runqueue_lock_of(thread);
    bool was_queued = thread->sched.is_queued;
    bool is_running = rq->current == thread;

    if (is_running)
        runqueue_account(rq, arch_clock_ns());
    if (was_queued)
        runqueue_remove(rq, thread);
    if (was_queued || is_running)
        runqueue_leave(rq, thread);
    set(&thread->sched, a, b);
    entity_refresh(rq, thread);
    if (was_queued || is_running)
        runqueue_join(rq, thread, JOIN_MOVED);
    if (was_queued)
        runqueue_insert(rq, thread);
    runqueue_replace(rq, thread);
    arch_irq_restore(flags);
}

static void set_nice(struct sched_entity *entity, int nice, int unused)
{
    (void)unused;
    entity->nice = nice;
}

void sched_set_nice(struct thread *thread, int nice)
{
    change(thread, set_nice, nice, 0);
}

static void set_policy(struct sched_entity *entity, int policy, int rt_priority)
{
    entity->policy = policy;
    entity->rt_priority = rt_priority;
}

void sched_set_policy(struct thread *thread, int policy, int rt_priority)
{
    change(thread, set_policy, policy, rt_priority);
}

static void set_inherited(struct sched_entity *entity, int priority, int unused)
{
    (void)unused;
    entity->inherited = priority;
}

void sched_set_inherited(struct thread *thread, int priority)
{
    if (READ_ONCE(thread->sched.inherited) != priority)
        change(thread, set_inherited, priority, 0);
}

int sched_set_affinity(struct thread *thread, uint64_t mask)
{
    if (!(mask & cpus_online()))
        return -EINVAL;

    unsigned long flags = arch_irq_save();
    struct runqueue *rq = runqueue_lock_of(thread);
    WRITE_ONCE(thread->sched.affinity, mask);
    bool must_move = !(mask >> rq->cpu & 1);
    if (must_move && thread->sched.is_queued) {
        runqueue_remove(rq, thread);
        runqueue_leave(rq, thread);
        sched_make_ready(rq, thread, JOIN_MOVED);
    } else if (must_move && rq->current == thread) {
        runqueue_replace(rq, thread); /* it is moved when it is off its stack */
    } else {
        spin_unlock(&rq->lock);
    }
    arch_irq_restore(flags);
    if (thread == thread_current())
        sched_check();
    return 0;
}

nsec_t sched_slice(void)
{
    return SLICE_NS;
}

unsigned sched_nready(void)
{
    unsigned nready = 0;

    for (uint64_t rest = cpus_online(); rest; rest &= rest - 1) {
        const struct runqueue *rq = runqueue_of_cpu((unsigned)__builtin_ctzll(rest));
        nready += READ_ONCE(rq->nqueued) + (READ_ONCE(rq->current) != rq->idle);
    }
    return nready;
}

nsec_t sched_cpu_time(struct thread *thread)
{
    unsigned long flags = arch_irq_save();
    struct runqueue *rq = runqueue_lock_of(thread);
    nsec_t time = thread->sched.cpu_time;

    if (rq->current == thread)
        time += MAX(arch_clock_ns() - thread->sched.slice_start, (nsec_t)0);
    spin_unlock_irq(&rq->lock, flags);
    return time;
}

bool sched_is_realtime(const struct thread *thread)
{
    return READ_ONCE(thread->sched.rt_key) != 0;
}

nsec_t sched_idle_time(unsigned cpu)
{
    return sched_cpu_time(runqueue_of_cpu(cpu)->idle);
}
