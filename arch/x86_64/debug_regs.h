// SPDX-License-Identifier: MIT
#pragma once
/*
 * The debug registers, DR0-DR3, DR6 and DR7 (SDM 3B, 17.2), of threads whose tracer sets them.
 *
 * A CPU has them loaded while such a thread runs, in the kernel too: what the kernel reads and writes of watched memory
 * on the thread's behalf traps as well, and goes on (trap_on_own_stack()), as on Linux.
 */
#include <stdint.h>

#include "lib/compiler.h"

struct regs;
struct thread;
struct debug_regs;

#define DEBUG_STATUS_SLOTS 0xfu
#define DEBUG_STATUS_STEP  0x4000u

/* Those of next, in place of previous'. */
void debug_regs_switch(const struct thread *previous, const struct thread *next);
/* The running thread's, after a change. */
void debug_regs_load(const struct thread *thread);
/* The running thread goes on after its tracer has had it. */
void debug_regs_resume(const struct thread *thread);
void debug_regs_free(struct thread *thread);
/* What the CPU says about a debug exception, once: DEBUG_STATUS_*.  Interrupts off since. */
unsigned debug_status_take(void);
/* Of a debug exception of the running thread, keeps for its tracer and returns what is true of its registers.  Behind
 * a breakpoint of an instruction it can go on. */
unsigned debug_regs_hit(struct regs *regs, unsigned status);
