// SPDX-License-Identifier: MIT
#pragma once
/*
 * Clocks of CPU time: CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, and the negative clock numbers of
 * clock_getcpuclockid(3), which hold a pid or a tid.
 */
#include "abi/time.h"
#include "lib/compiler.h"

struct process;
struct thread;

struct cpu_clock {
    struct process *process; /* with a reference; or */
    struct thread *thread;   /* with a reference */
    bool is_user;            /* what the kernel did for it does not count */
};

static inline bool clock_is_cpu(int clock)
{
    return clock < 0 || clock == ABI_CLOCK_PROCESS_CPUTIME_ID ||
           clock == ABI_CLOCK_THREAD_CPUTIME_ID;
}

/* -EINVAL: no such clock. */
int cpu_clock_get(int clock, struct cpu_clock *cpu_clock) __must_check;
void cpu_clock_put(struct cpu_clock *cpu_clock);
nsec_t cpu_clock_time(const struct cpu_clock *cpu_clock); /* any context */
/* When it may show target at the earliest; no sooner than a millisecond from now. */
nsec_t cpu_clock_deadline(const struct cpu_clock *cpu_clock, nsec_t target);
