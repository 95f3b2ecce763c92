// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between kernel/sched.c and kernel/sched_policy.c only.
 */
#include "kernel/runqueue.h"

struct runqueue *runqueue_of_cpu(unsigned cpu);
/* Locks the queue that thread belongs to.  Interrupts off. */
struct runqueue *runqueue_lock_of(struct thread *thread);
/* A CPU for a thread that is READY but not in any queue any more.  Interrupts off, no queue locked. */
void sched_migrate(struct thread *thread);
/* Unlocks it after thread's place in it may have changed, and makes the CPU look again. */
void runqueue_replace(struct runqueue *rq, struct thread *thread);
