// SPDX-License-Identifier: MIT
#pragma once
/*
 * The scheduler: per-CPU run queues, fair by virtual deadline (Stoica and Abdel-Wahab, EEVDF),
 * preemptive where the application was interrupted; work stealing; idle in hlt with
 * no periodic tick.
 *
 * A thread's life: THREAD_NEW -> thread_start() -> THREAD_READY <-> RUNNING -> SLEEPING -> READY ... -> DEAD.
 * Sleeping is two steps, so that a wake-up between them is not lost: sched_prepare_sleep() marks
 * the running thread as sleeping; then sched_sleep() gives the CPU away unless thread_wake() came before.
 */
#include "lib/compiler.h"
#include "lib/rbtree.h"

struct thread;
struct runqueue;

#define CPU_MASK_ALL (~0ULL)

/* Policies as Linux numbers them. */
#define SCHED_POLICY_OTHER 0
#define SCHED_POLICY_FIFO  1
#define SCHED_POLICY_RR    2
#define SCHED_POLICY_BATCH 3
#define SCHED_POLICY_IDLE  5

/* One scale for all policies, less is more urgent: 0-98 real time, 100-139 nice -20 to 19. */
#define PRIORITY_NONE 255

enum thread_state { THREAD_NEW, THREAD_READY, THREAD_RUNNING, THREAD_SLEEPING, THREAD_DEAD };

/* The scheduler's part of a thread.  [q] lock of the run queue it is on */
struct sched_entity {
    struct rb_node node; /* [q] in the run queue by virtual deadline */
    int64_t vruntime;    /* [q] weighted ns run; off the queue: relative to the queue's average */
    int64_t vdeadline;   /* [q] where its slice ends; FIFO and RR: in cpu_time */
    nsec_t
        slice_start; /* [q] since when its time is not yet accounted; off the queue: when it left */
    nsec_t cpu_time; /* [q] total ns run */
    int64_t weight;  /* nice 0: 1024 */
    int nice;
    int policy;      /* SCHED_POLICY_* */
    int rt_priority; /* 1-99 for FIFO and RR, else 0 */
    int inherited;   /* [q] priority lent by waiters of PI futexes, or PRIORITY_NONE */
    uint64_t rt_key; /* [q] order in the real-time queue; 0: not real time */
    bool reset_on_fork;
    uint16_t ioprio; /* [a] ioprio_set(2): only kept */
    int cpu;         /* [a] the run queue it belongs to; written under the lock of the one before */
    bool is_queued;  /* [q] */
    bool on_cpu;     /* [a] still on its stack; a waker on another CPU waits for false */
    uint64_t affinity;   /* bit n: may run on CPU n */
    nsec_t rt_start;     /* [q] cpu_time when it last became ready after a sleep: RLIMIT_RTTIME */
    uint64_t nvoluntary; /* context switches */
    uint64_t ninvoluntary;
};

/* Once the heap works: the stack that the boot CPU runs on becomes its idle thread. */
void sched_init(void);
/* Makes the idle thread of another CPU and fills in its percpu_area, on the boot CPU, before the other one is
 * started; it then runs on percpu_area[cpu].kernel_stack_top.  -ENOMEM. */
int sched_init_cpu(unsigned cpu);
/* The boot CPU and each secondary end here: the idle loop.  Never returns. */
__noreturn void sched_idle_loop(void);

/* Puts a new thread on a run queue.  Any context. */
void thread_start(struct thread *thread);
/* Makes a sleeping thread ready; false if it was not sleeping.  Any context. */
bool thread_wake(struct thread *thread);
void sched_prepare_sleep(void);
/* 0: woken; -ETIMEDOUT: the deadline passed.  DEADLINE_NONE: no deadline.  Interrupts on. */
int sched_sleep(nsec_t deadline);
/* After sched_prepare_sleep(): do not sleep after all. */
void sched_cancel_sleep(void);
/* Gives the CPU to another ready thread, if there is one. */
void sched_yield(void);
/* The reschedule point of long kernel loops and of every return to the application. */
void sched_check(void);
/* Other threads are ready on this CPU: it will not be idle when the caller sleeps. */
bool sched_is_contended(void);
/* Called by the timer at interrupt level: is the running thread's slice over? */
void sched_timer_tick(void);
/* The running thread is done and will never run again; its reference is dropped by the next one. */
__noreturn void sched_exit(void);
/* sched_setaffinity: moves the thread if it has to.  -EINVAL: no such CPU in the mask. */
int sched_set_affinity(struct thread *thread, uint64_t mask) __must_check;
void sched_set_nice(struct thread *thread, int nice);
/* Arguments have been checked. */
void sched_set_policy(struct thread *thread, int policy, int rt_priority);
/* The most urgent priority of those who wait for what thread holds, or PRIORITY_NONE. */
void sched_set_inherited(struct thread *thread, int priority);
int sched_priority(const struct thread *thread); /* what it has now, inheritance included */
nsec_t sched_slice(void);
/* A new thread's part; parent: whose nice, policy and affinity it takes over, or NULL for a kernel thread. */
void sched_entity_init(struct thread *thread, const struct thread *parent);
/* Who was switched away from may run elsewhere now.  First thing on a new thread's stack. */
void sched_finish_switch(void);
unsigned sched_nready(void); /* ready and running threads, for loadavg */
nsec_t sched_idle_time(unsigned cpu);
nsec_t sched_cpu_time(struct thread *thread);        /* up to now */
bool sched_is_realtime(const struct thread *thread); /* by policy or by inheritance */
