// SPDX-License-Identifier: MIT
#pragma once
/*
 * A world for the tests of fs/: one thread in one process, fake RAM for page frames, locks that check
 * their rank and are otherwise always free, and a mounted, empty root.  The application's memory is the
 * test's own, but for addresses below 64 KiB, which are bad.  A wait that would sleep ends as if by
 * a signal.
 */
#include "kernel/process.h"

void world_init(uint64_t ram_bytes);
void world_check_idle(void); /* no lock is held, interrupts are on */
extern struct process world_process;
extern uint64_t world_limit[16];
extern unsigned world_signals;   /* sent so far */
extern char world_control[1024]; /* lines to the tool */
/* Memory of a boot module: its address in the fake RAM, and where the test can write it. */
void *world_ram(uint64_t paddr);
