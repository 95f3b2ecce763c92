// SPDX-License-Identifier: MIT
/*
 * Who runs next: earliest eligible virtual deadline first (Stoica and Abdel-Wahab, 1995).
 *
 * A thread's vruntime is the time it ran divided by its weight.  The weighted average of the vruntimes of
 * all members is the queue's virtual time: what each would have had on an ideal machine.  Who is
 * not ahead of the average is eligible; of those the one whose slice ends first, in virtual time, runs.
 *
 *     average = zero + weighted_sum / load
 *
 * A thread that leaves keeps its distance to the average, so it neither gains nor loses by moving to
 * another CPU.  While it sleeps a lead decays at the rate of the clock; on waking it may be up
 * to half a slice behind and asks for a quarter of a slice first, so a thread that mostly waits
 * runs at once when its event comes.  Without a lead decaying, a program that burnt its share would
 * respond late for ever; without the bounds a long sleeper could keep the CPU.
 *
 * Real-time threads come first, by priority, then by the order in which they became ready.  When they have used
 * 950 ms of a second the others have what is left of it, so that a busy one cannot keep the machine for ever.
 */
#include "kernel/runqueue.h"

#include "kernel/panic.h"

#define WEIGHT_ONE  1024
#define WEIGHT_IDLE 3
#define NICE_0      120 /* on the scale of priorities */
#define PICK_LOOKS  16  /* ineligible threads passed over before the search gives up */

/* /proc/sys/kernel/sched_rt_period_us and sched_rt_runtime_us */
#define RT_PERIOD_NS  NSEC_PER_SEC
#define RT_RUNTIME_NS (950 * NSEC_PER_MSEC)

/* Each step of nice is a factor of 1.25, as in Linux. */
static const int nice_weight[40] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15,
};

/* ---- Members -------------------------------------------------------------------- */

static int64_t average(const struct runqueue *rq)
{
    return rq->load > 0 ? rq->zero + rq->weighted_sum / rq->load : rq->zero;
}

/* Keeps the sum's terms small, so that it never overflows. */
static void rebase(struct runqueue *rq)
{
    if (rq->load == 0) {
        rq->weighted_sum = 0;
        return;
    }
    int64_t step = rq->weighted_sum / rq->load;
    rq->zero += step;
    rq->weighted_sum -= step * rq->load;
}

static int64_t virtual_slice(const struct thread *thread, nsec_t slice)
{
    return slice * WEIGHT_ONE / thread->sched.weight;
}

int sched_priority(const struct thread *thread)
{
    const struct sched_entity *entity = &thread->sched;
    bool has_rt = entity->policy == SCHED_POLICY_FIFO || entity->policy == SCHED_POLICY_RR;
    int own = has_rt ? 99 - entity->rt_priority : NICE_0 + entity->nice;

    return MIN(own, entity->inherited);
}

void entity_refresh(struct runqueue *rq, struct thread *thread)
{
    struct sched_entity *entity = &thread->sched;
    int priority = sched_priority(thread);

    if (priority < 100) {
        entity->rt_key = (uint64_t)(priority + 1) << 48 | ++rq->rt_sequence;
        entity->weight = WEIGHT_ONE;
        return;
    }
    entity->rt_key = 0;
    entity->weight = nice_weight[priority - 100];
    if (entity->policy == SCHED_POLICY_IDLE && entity->inherited == PRIORITY_NONE)
        entity->weight = WEIGHT_IDLE;
}

static void join_fair(struct runqueue *rq, struct thread *thread, enum join how, nsec_t now)
{
    struct sched_entity *entity = &thread->sched;
    int64_t ahead = entity->vruntime;
    int64_t most_behind = virtual_slice(thread, SLICE_NS);
    nsec_t request = SLICE_NS;

    if (how == JOIN_WAKE) {
        ahead -= now - entity->slice_start;
        most_behind /= 2;
        if (entity->policy == SCHED_POLICY_OTHER)
            request /= 4;
    }
    ahead = MAX(ahead, -most_behind);
    ahead = MIN(ahead, 8 * most_behind);
    rebase(rq);
    entity->vruntime = average(rq) + ahead;
    entity->vdeadline = entity->vruntime + virtual_slice(thread, request);
    rq->weighted_sum += (entity->vruntime - rq->zero) * entity->weight;
    rq->load += entity->weight;
}

void runqueue_join(struct runqueue *rq, struct thread *thread, enum join how)
{
    nsec_t now = arch_clock_ns();

    if (how != JOIN_MOVED)
        thread->sched.rt_start = thread->sched.cpu_time;
    if (is_realtime(thread)) {
        if (how != JOIN_MOVED)
            entity_refresh(rq, thread); /* to the end of its priority */
        thread->sched.vdeadline = thread->sched.cpu_time + RR_SLICE_NS;
    } else {
        join_fair(rq, thread, how, now);
    }
    thread->sched.slice_start = now;
    __atomic_store_n(&thread->sched.cpu, (int)rq->cpu, __ATOMIC_RELEASE);
}

void runqueue_leave(struct runqueue *rq, struct thread *thread)
{
    struct sched_entity *entity = &thread->sched;

    if (is_realtime(thread)) {
        entity->vruntime = 0;
    } else {
        int64_t behind = average(rq);
        rq->weighted_sum -= (entity->vruntime - rq->zero) * entity->weight;
        rq->load -= entity->weight;
        entity->vruntime -= behind;
        rebase(rq);
    }
    entity->slice_start = arch_clock_ns();
}

/* ---- Trees -------------------------------------------------------------------- */

static bool comes_before(const struct thread *a, const struct thread *b)
{
    if (is_realtime(a))
        return a->sched.rt_key < b->sched.rt_key;
    return a->sched.vdeadline < b->sched.vdeadline;
}

void runqueue_insert(struct runqueue *rq, struct thread *thread)
{
    struct rb_tree *tree = is_realtime(thread) ? &rq->realtime : &rq->fair;
    struct rb_node **link = &tree->root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[!comes_before(thread, rb_entry(parent, struct thread, sched.node))];
    }
    rb_link(&thread->sched.node, parent, link);
    rb_insert_fixup(tree, &thread->sched.node);
    thread->sched.is_queued = true;
    __atomic_store_n(&rq->nqueued, rq->nqueued + 1, __ATOMIC_RELAXED);
}

void runqueue_remove(struct runqueue *rq, struct thread *thread)
{
    rb_remove(is_realtime(thread) ? &rq->realtime : &rq->fair, &thread->sched.node);
    thread->sched.is_queued = false;
    __atomic_store_n(&rq->nqueued, rq->nqueued - 1, __ATOMIC_RELAXED);
}

void runqueue_requeue_last(struct runqueue *rq, struct thread *thread)
{
    if (is_realtime(thread)) {
        entity_refresh(rq, thread);
    } else {
        struct rb_node *last = rb_last(&rq->fair);
        if (last) {
            int64_t end = rb_entry(last, struct thread, sched.node)->sched.vdeadline;
            thread->sched.vdeadline = MAX(thread->sched.vdeadline, end);
        }
    }
    runqueue_insert(rq, thread);
}

static bool has_used_rt(const struct runqueue *rq)
{
    return rq->rt_used >= RT_RUNTIME_NS;
}

struct thread *runqueue_pick(struct runqueue *rq)
{
    struct rb_node *node = rb_first(&rq->realtime);

    if (node && !(has_used_rt(rq) && rq->fair.root))
        return rb_entry(node, struct thread, sched.node);
    node = rb_first(&rq->fair);
    if (!node)
        return NULL;
    struct thread *first = rb_entry(node, struct thread, sched.node);
    int64_t virtual_time = average(rq);
    for (int i = 0; node && i < PICK_LOOKS; i++, node = rb_next(node)) {
        struct thread *thread = rb_entry(node, struct thread, sched.node);
        if (thread->sched.vruntime <= virtual_time)
            return thread;
    }
    return first;
}

static struct thread *first_allowed(struct rb_tree *tree, unsigned cpu)
{
    for (struct rb_node *node = rb_first(tree); node; node = rb_next(node)) {
        struct thread *thread = rb_entry(node, struct thread, sched.node);
        if (thread->sched.affinity >> cpu & 1)
            return thread;
    }
    return NULL;
}

struct thread *runqueue_pick_for(struct runqueue *rq, unsigned cpu)
{
    struct thread *thread = first_allowed(&rq->realtime, cpu);

    return thread ? thread : first_allowed(&rq->fair, cpu);
}

/* ---- The running thread --------------------------------------------------------- */

static void account_rt(struct runqueue *rq, nsec_t now, nsec_t ran)
{
    if (now - rq->rt_period >= RT_PERIOD_NS) {
        rq->rt_period = now;
        rq->rt_used = 0;
    } else if (is_realtime(rq->current)) {
        rq->rt_used += ran;
    }
}

void runqueue_account(struct runqueue *rq, nsec_t now)
{
    struct thread *thread = rq->current;
    struct sched_entity *entity = &thread->sched;
    nsec_t ran = now - entity->slice_start;

    if (ran <= 0)
        return;
    entity->slice_start = now;
    __atomic_store_n(&entity->cpu_time, entity->cpu_time + ran, __ATOMIC_RELAXED);
    account_rt(rq, now, ran);
    if (thread == rq->idle || is_realtime(thread))
        return;
    int64_t virtual_ran = ran * WEIGHT_ONE / entity->weight;
    entity->vruntime += virtual_ran;
    rq->weighted_sum += virtual_ran * entity->weight;
}

bool runqueue_slice_is_over(struct runqueue *rq)
{
    struct thread *thread = rq->current;
    struct sched_entity *entity = &thread->sched;

    if (thread == rq->idle)
        return false;
    if (!is_realtime(thread)) {
        if (entity->vruntime < entity->vdeadline)
            return false;
        entity->vdeadline = entity->vruntime + virtual_slice(thread, SLICE_NS);
        return true;
    }
    if (has_used_rt(rq) && rq->fair.root)
        return true;
    if (entity->policy != SCHED_POLICY_RR || entity->cpu_time < entity->vdeadline)
        return false;
    entity->vdeadline = entity->cpu_time + RR_SLICE_NS;
    entity_refresh(rq, thread);
    return true;
}

nsec_t runqueue_slice_left(const struct runqueue *rq)
{
    const struct thread *thread = rq->current;
    const struct sched_entity *entity = &thread->sched;

    if (thread == rq->idle)
        return DEADLINE_NONE;
    if (!is_realtime(thread))
        return (entity->vdeadline - entity->vruntime) * entity->weight / WEIGHT_ONE;
    return entity->policy == SCHED_POLICY_RR ? entity->vdeadline - entity->cpu_time : DEADLINE_NONE;
}

bool runqueue_preempts(const struct runqueue *rq, const struct thread *thread)
{
    const struct thread *current = rq->current;

    if (current == rq->idle)
        return true;
    if (is_realtime(thread) != is_realtime(current))
        return is_realtime(thread) != has_used_rt(rq);
    if (is_realtime(thread)) /* equal priority waits its turn */
        return thread->sched.rt_key >> 48 < current->sched.rt_key >> 48;
    if (thread->sched.policy != SCHED_POLICY_OTHER)
        return false;
    return comes_before(thread, current) && thread->sched.vruntime <= average(rq);
}
