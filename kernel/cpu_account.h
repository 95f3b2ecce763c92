// SPDX-License-Identifier: MIT
#pragma once
/*
 * Where CPU time went: the application or the kernel.  The sums are exact (kernel/sched.c); how they are
 * split comes from samples.  And the load average, which is sampled at the same moments.
 */
#include "lib/compiler.h"

struct thread;

enum cpu_class { CPU_USER, CPU_SYSTEM, CPU_NICE, CPU_CLASSES };

/* The time of one thread, or of one CPU.  Samples are counted by the CPU concerned, without a lock; the
 * rest is the reader's: whoever settles holds a lock of its own. */
struct cpu_account {
    uint32_t samples[CPU_CLASSES];
    uint32_t settled_samples[CPU_CLASSES];
    nsec_t settled[CPU_CLASSES];
};

/* What has been used; only ever grows. */
struct cpu_split {
    nsec_t user, system;
};

/* Splits what of total is not in account->settled yet, as the samples since then were. */
void cpu_account_settle(struct cpu_account *account, nsec_t total);

/* Called by the scheduler when this CPU leaves its idle thread.  A run queue's lock may be held. */
void cpu_account_wake(void);

struct cpu_times {
    nsec_t user, nice, system, idle;
};
/* Since boot.  Any thread. */
void cpu_times_get(unsigned cpu, struct cpu_times *times);

#define LOAD_SHIFT 16 /* as sysinfo(2) has it */
void load_average_get(unsigned long average[3]);
