// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between kernel/thread.c and kernel/sched.c only.
 */
#include "lib/compiler.h"

struct thread;

void reaper_init(void);
/* Frees, on a thread of its own, what thread_put() has gathered, if it is at least that much. */
void reaper_wake(unsigned least);
/* The same by the caller, who may sleep. */
void threads_reap(void);
/* A thread on a given stack, without a start: idle threads.  NULL: no memory. */
struct thread *thread_alloc(const char *name, void *stack);
/* thread_start(): from now on thread_find() finds it. */
void thread_list(struct thread *thread);
