// SPDX-License-Identifier: MIT
#pragma once
/*
 * Restartable sequences (rseq(2)): per-CPU data without atomics in the application.
 */
#include "kernel/percpu.h"
#include "kernel/thread.h"

struct regs;

/* Before the return to the application, and before a signal frame is built: writes the CPU's number
 * and takes the application out of a sequence that was cut.  A bad area is a SIGSEGV. */
void rseq_update(struct regs *regs);

/* Called by every switch: a thread that was preempted must not go on inside a sequence, one that comes to another
 * CPU must learn its number.  A thread that sleeps in a call is in no sequence. */
static inline void rseq_switched(struct thread *previous, struct thread *next)
{
    if (previous->rseq_area && previous->state == THREAD_READY)
        __atomic_fetch_or(&previous->work, THREAD_WORK_RSEQ, __ATOMIC_RELAXED);
    if (next->rseq_area && next->rseq_cpu != cpu_current())
        __atomic_fetch_or(&next->work, THREAD_WORK_RSEQ, __ATOMIC_RELAXED);
}
