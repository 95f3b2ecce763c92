// SPDX-License-Identifier: MIT
#include "kernel/smp.h"

#include "kernel/percpu.h"

static uint64_t online = 1; /* the boot CPU */

uint64_t cpus_online(void)
{
    return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

void cpu_start_secondary(unsigned cpu)
{
    __atomic_fetch_or(&online, 1ULL << cpu, __ATOMIC_RELEASE);
    sched_idle_loop();
}
