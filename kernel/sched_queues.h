// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between kernel/sched.c and kernel/sched_policy.c only.
 */
#include "kernel/runqueue.h"

struct runqueue *runqueue_of_cpu(unsigned cpu);
/* Locks the queue that thread belongs to.  Interrupts off. */
struct runqueue *runqueue_lock_of(struct thread *thread);
/*
 * Queues a thread that is READY, off its stack and in no queue: on a CPU that may run it, an idle one first.
 * Interrupts off; rq, which it belongs to, is locked and is unlocked here.
 */
void sched_make_ready(struct runqueue *rq, struct thread *thread, enum join how);
/* Unlocks it after thread's place in it may have changed, and makes the CPU look again. */
void runqueue_replace(struct runqueue *rq, struct thread *thread);
