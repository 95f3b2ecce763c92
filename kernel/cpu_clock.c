// SPDX-License-Identifier: MIT
/*
 * CPU time is only known when it is looked at: nothing happens at the moment when a clock reaches a value.
 * Who waits for that looks again when it could be so at the earliest, which is when all CPUs did
 * nothing else; a millisecond is the finest step, as with Linux's tick.
 */
#include "kernel/cpu_clock.h"

#include "abi/errno.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* The bits of a clock number below the inverted pid. */
#define TYPE_MASK 3
#define TYPE_VIRT 1
#define TYPE_COUNT                                                                                 \
    3 /* PROF, VIRT, SCHED; 3 is a descriptor's clock.  PROF is SCHED here, of one fineness */
#define IS_THREAD  4
#define PID_SHIFT  3
#define LEAST_STEP NSEC_PER_MSEC

static int thread_clock_get(int tid, struct cpu_clock *cpu_clock)
{
    struct thread *thread = tid ? thread_find(tid) : thread_get(thread_current());

    if (!thread)
        return -EINVAL;
    if (thread->process != process_current()) {
        thread_put(thread);
        return -EINVAL;
    }
    cpu_clock->thread = thread;
    return 0;
}

static int process_clock_get(int pid, struct cpu_clock *cpu_clock)
{
    bool is_self = pid == 0 || pid == thread_current()->tid;

    cpu_clock->process = is_self ? process_get(process_current()) : process_find(pid);
    return cpu_clock->process ? 0 : -EINVAL;
}

int cpu_clock_get(int clock, struct cpu_clock *cpu_clock)
{
    *cpu_clock = (struct cpu_clock){ 0 };
    if (clock == ABI_CLOCK_PROCESS_CPUTIME_ID)
        return process_clock_get(0, cpu_clock);
    if (clock == ABI_CLOCK_THREAD_CPUTIME_ID)
        return thread_clock_get(0, cpu_clock);
    if (clock >= 0 || (clock & TYPE_MASK) >= TYPE_COUNT)
        return -EINVAL;
    cpu_clock->is_user = (clock & TYPE_MASK) == TYPE_VIRT;
    int pid = ~(clock >> PID_SHIFT);
    return clock & IS_THREAD ? thread_clock_get(pid, cpu_clock) : process_clock_get(pid, cpu_clock);
}

void cpu_clock_put(struct cpu_clock *cpu_clock)
{
    if (cpu_clock->process)
        process_put(cpu_clock->process);
    if (cpu_clock->thread)
        thread_put(cpu_clock->thread);
    *cpu_clock = (struct cpu_clock){ 0 };
}

nsec_t cpu_clock_time(const struct cpu_clock *cpu_clock)
{
    if (cpu_clock->thread && cpu_clock->is_user) {
        struct usage usage;
        thread_usage(cpu_clock->thread, &usage);
        return usage.time.user;
    }
    if (cpu_clock->thread)
        return sched_cpu_time(cpu_clock->thread);
    return cpu_clock->is_user ? process_user_time(cpu_clock->process)
                              : process_cpu_time(cpu_clock->process);
}

nsec_t cpu_clock_deadline(const struct cpu_clock *cpu_clock, nsec_t target)
{
    nsec_t left = target - cpu_clock_time(cpu_clock);

    if (cpu_clock->process)
        left /= MAX(arch_cpu_count(), 1u);
    return deadline_after(MAX(left, LEAST_STEP));
}
