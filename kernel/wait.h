// SPDX-License-Identifier: MIT
#pragma once
/*
 * The one way to sleep: a queue, a condition, a deadline.
 *
 *     int err = wait_on(&pipe->readers, pipe_has_data(pipe), deadline);
 *
 * The condition is evaluated before each sleep, after the waiter is on the queue, so a
 * wake_all() that follows the change of the condition is never lost.  It is evaluated
 * without the queue's lock; what it reads must be safe to read so (atomics), or the
 * condition takes a lock of its own, which may be a mutex.  It is not evaluated again once it
 * was true, so it may take what it found.
 *
 * Results: 0, the condition holds (it wins over all else); -EINTR, a signal is
 * pending (callers turn it into -ERESTARTSYS where Linux restarts); -ETIMEDOUT.
 */
#include "abi/errno.h"
#include "kernel/spinlock.h"
#include "lib/list.h"

struct thread;

struct wait_queue {
    struct spinlock lock;
    unsigned nwaiters; /* [a] changed under lock */
    struct list waiters;
};

#define WAIT_QUEUE_INIT(name)                                                                      \
    {                                                                                              \
        .lock = SPINLOCK_INIT(RANK_WAIT), .waiters = LIST_INIT((name).waiters)                     \
    }
void wait_queue_init(struct wait_queue *queue);

/* Any context, interrupt level included.  wake_one wakes the longest waiter. */
void wake_all(struct wait_queue *queue);
void wake_one(struct wait_queue *queue);

/*
 * What a thread does before it sleeps interruptibly: take in what devices have for it, if they are polled at the
 * moment instead of interrupting (net/net.c).  NULL, or a function that may sleep on locks and ends early when
 * *is_woken becomes true, a signal is pending or the deadline has passed.  Set once, at boot.
 */
extern void (*wait_before_sleep)(const bool *is_woken, nsec_t deadline);

struct waiter {
    struct list node;
    struct thread *thread;
    bool is_woken; /* [a] so a wake-up is kept while the condition itself sleeps on a lock */
};

/* Which signals end a wait: none, those that end the process, or all. */
enum wait_ends { WAIT_ALWAYS, WAIT_KILLABLE, WAIT_INTERRUPTIBLE };

/* The pieces of wait_on; use the macros. */
void wait_begin(struct wait_queue *queue, struct waiter *waiter); /* on the queue from now on */
int wait_sleep(struct waiter *waiter, nsec_t deadline, enum wait_ends ends);
void wait_end(struct wait_queue *queue, struct waiter *waiter); /* off it */

#define WAIT_LOOP(queue_, condition, deadline_, ends_)                                             \
    ({                                                                                             \
        struct wait_queue *wq_ = (queue_);                                                         \
        nsec_t until_ = (deadline_);                                                               \
        struct waiter waiter_;                                                                     \
        int result_ = 0;                                                                           \
        bool holds_ = (condition);                                                                 \
        while (!holds_ && result_ == 0) {                                                          \
            wait_begin(wq_, &waiter_);                                                             \
            holds_ = (condition);                                                                  \
            if (!holds_)                                                                           \
                result_ = wait_sleep(&waiter_, until_, ends_);                                     \
            wait_end(wq_, &waiter_);                                                               \
            if (result_ != 0)                                                                      \
                holds_ = (condition);                                                              \
        }                                                                                          \
        holds_ ? 0 : result_;                                                                      \
    })

#define wait_on(queue, condition, deadline)                                                        \
    WAIT_LOOP(queue, condition, deadline, WAIT_INTERRUPTIBLE)
/* Only a signal that ends the process ends it: -EINTR. */
#define wait_on_killable(queue, condition, deadline)                                               \
    WAIT_LOOP(queue, condition, deadline, WAIT_KILLABLE)
/* Signals do not end it (only for waits that end soon by themselves). */
#define wait_on_always(queue, condition, deadline)                                                 \
    WAIT_LOOP(queue, condition, deadline, WAIT_ALWAYS)
