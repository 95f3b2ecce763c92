// SPDX-License-Identifier: MIT
#pragma once
/*
 * Memory has run out for somebody who cannot be told: a page fault.
 */
#include "lib/compiler.h"

struct process;
struct vmspace;

void oom_init(void); /* its thread; boot */

/* A fault found no memory, even from the shrinkers: asks for a victim and waits.  May hold sleeping locks, for the
 * wait is bounded.  0: memory may have come back, try again; -ENOMEM: it is the running process that is killed. */
int oom_wait(void) __must_check;

/* The last reference of an address space is gone, and its memory is back.  Any thread that may sleep. */
void oom_memory_freed(const struct vmspace *vm);

/* /proc/PID/oom_score: as Linux's proc_oom_score() scales it. */
int oom_score(struct process *process);
