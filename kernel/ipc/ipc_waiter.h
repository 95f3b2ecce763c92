// SPDX-License-Identifier: MIT
#pragma once
/*
 * A call that others finish: it lies on its caller's stack and on a list of the object that it waits for.
 *
 * Whoever changes the object, under its lock, looks through the list and finishes the calls that his change makes
 * possible.  So a call is done by the one that makes it possible, and nobody can slip in between.
 */
#include "kernel/spinlock.h"
#include "lib/list.h"

struct thread;

struct ipc_waiter {
    struct list node; /* the object's lock */
    int status;       /* [a] changes under the object's lock; IPC_PENDING: not finished yet */
    struct thread *thread;
};

#define IPC_PENDING 1

void ipc_waiter_init(struct ipc_waiter *waiter); /* for the running thread */
/* Takes it off its list and wakes its caller.  The object's lock is held. */
void ipc_waiter_finish(struct ipc_waiter *waiter, int status);
/*
 * Sleeps until somebody finishes it; lock is the object's, not held.  The status that it was given, or -EINTR or
 * -ETIMEDOUT and it is off the list.  is_realtime: the deadline is a time of CLOCK_REALTIME.
 */
int ipc_waiter_sleep(struct ipc_waiter *waiter, struct spinlock *lock, bool is_realtime,
                     nsec_t deadline) __must_check;
