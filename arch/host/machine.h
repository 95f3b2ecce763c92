// SPDX-License-Identifier: MIT
#pragma once
/*
 * What a unit test asks of the host machine, beside the contract of arch/arch.h.
 */
#include "lib/compiler.h"

/* Starts ncpus CPUs and the scheduler, runs test in a kernel thread on the first, and exits with status 0 when
 * it returns.  The same seed gives the same interleaving. */
__noreturn void machine_run(unsigned ncpus, uint64_t seed, void (*test)(void));
/* From now on CPUs are switched only where one waits: for tests that measure. */
void machine_set_calm(bool is_calm);
/* watch is called on the sender's CPU with each interrupt that asks another CPU to reschedule. */
void machine_watch_reschedule(void (*watch)(void));
/* Lets time pass on the running CPU, as a computation of the application would: interrupts come in. */
void machine_compute(nsec_t duration);
/* Memory that stands for the application's; everything else is a bad address to it. */
#define MACHINE_APP_SIZE 65536
extern char machine_app[MACHINE_APP_SIZE];
