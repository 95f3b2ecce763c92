// SPDX-License-Identifier: MIT
#pragma once
/*
 * Stacks to switch between, inside one host thread.
 */
#include <stdbool.h>
#include <stddef.h>

struct fiber;

/* Begins in function(arg), which must not return, on stack[0, size).  NULL: the running host thread itself. */
struct fiber *fiber_create(void *stack, size_t size, void (*function)(void *), void *arg);
void fiber_destroy(struct fiber *fiber);
/* Leaves from, which is running, and continues to; returns when somebody switches back.  is_ordered: what
 * from did happens before what to does next, as for two threads of one CPU. */
void fiber_switch(struct fiber *from, struct fiber *to, bool is_ordered);
