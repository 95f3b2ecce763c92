// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

#define CPUS_MAX 64

uint64_t cpus_online(void); /* bit n: CPU n runs threads */
/* The rest of a secondary CPU's start, on its own idle thread's stack; never returns. */
__noreturn void cpu_start_secondary(unsigned cpu);
