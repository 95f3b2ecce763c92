// SPDX-License-Identifier: MIT
#pragma once
/*
 * The kernel around the scheduler, for its tests: one process, and signals that are only a flag.
 */
#include "kernel/thread.h"

extern struct process world_process;

/* A started kernel thread; with a reference, for world_join(). */
struct thread *world_spawn(void (*function)(void *), void *arg);
/* The same as a thread of world_process, with a tid. */
struct thread *world_spawn_app(void (*function)(void *), void *arg);
/* Waits until it has ended, and drops the reference. */
void world_join(struct thread *thread);
/* A signal for thread becomes pending. */
void world_interrupt(struct thread *thread);
void world_sleep(nsec_t duration);
