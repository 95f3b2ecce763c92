// SPDX-License-Identifier: MIT
#pragma once
/*
 * A CPU's run queue; between kernel/runqueue.c, sched.c and sched_policy.c only.
 *
 * A thread is a member of the queue while it is ready or running; ready ones are in a tree as well,
 * the running one is not.  All functions: rq->lock held, interrupts off.
 */
#include "kernel/spinlock.h"
#include "kernel/thread.h"

#define SLICE_NS    (3 * NSEC_PER_MSEC)
#define RR_SLICE_NS (100 * NSEC_PER_MSEC)

struct runqueue {
    struct spinlock lock;    /* RANK_SCHED */
    unsigned cpu;            /* [i] */
    struct thread *idle;     /* [i] */
    struct thread *current;  /* [a] written under lock */
    bool runs_realtime;      /* [a] current is a real-time thread; written under lock */
    struct rb_tree fair;     /* ready threads by vdeadline */
    struct rb_tree realtime; /* ready threads by rt_key */
    unsigned nqueued;        /* [a] in both trees; written under lock */
    uint64_t rt_sequence;
    nsec_t rt_period;     /* when it began */
    nsec_t rt_used;       /* by real-time threads, in this period */
    int64_t zero;         /* the average and all vruntimes are kept as differences to it */
    int64_t weighted_sum; /* of weight * (vruntime - zero) over the fair members */
    int64_t load;         /* sum of their weights */
    struct timer slice_timer;
} __aligned(64);

enum join { JOIN_NEW, JOIN_WAKE, JOIN_MOVED };

/* Weight, and place in the real-time order, from policy, nice and inheritance; not a member. */
void entity_refresh(struct runqueue *rq, struct thread *thread);
void runqueue_join(struct runqueue *rq, struct thread *thread, enum join how);
void runqueue_leave(struct runqueue *rq, struct thread *thread);
void runqueue_insert(struct runqueue *rq, struct thread *thread);
void runqueue_remove(struct runqueue *rq, struct thread *thread);
/* Behind everybody else: sched_yield(). */
void runqueue_requeue_last(struct runqueue *rq, struct thread *thread);
/* The ready thread that should run, left in its tree; NULL: none. */
struct thread *runqueue_pick(struct runqueue *rq);
/* Some ready thread that may run on cpu, for another queue; NULL: none. */
struct thread *runqueue_pick_for(struct runqueue *rq, unsigned cpu);
/* Accounts the running thread's time up to now. */
void runqueue_account(struct runqueue *rq, nsec_t now);
/* The running thread's slice is over; it gets a new one. */
bool runqueue_slice_is_over(struct runqueue *rq);
/* How long until then; DEADLINE_NONE: it has no slice. */
nsec_t runqueue_slice_left(const struct runqueue *rq);
/* Whether thread, just queued, should run instead of the running one. */
bool runqueue_preempts(const struct runqueue *rq, const struct thread *thread);

static inline bool is_realtime(const struct thread *thread)
{
    return thread->sched.rt_key != 0;
}
