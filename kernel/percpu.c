// SPDX-License-Identifier: MIT
/*
 * The boot CPU's entry is filled in before anything else, so thread_current(), spinlocks and uncontended mutexes
 * work from the first instruction that has GS.
 */
#include "kernel/percpu.h"

#include "kernel/thread.h"

extern char boot_stack_bottom[], boot_stack_top[];

struct thread thread_boot = {
    .kernel_stack_bottom = (uintptr_t)boot_stack_bottom,
    .kernel_stack_top = (uintptr_t)boot_stack_top,
    .refcount = 1,
    .state = THREAD_RUNNING,
    .name = "boot",
    .sched = { .affinity = CPU_MASK_ALL,
               .inherited = PRIORITY_NONE,
               .weight = 1024,
               .on_cpu = true },
    .sleep_timer = { .cpu = -1 },
};

struct percpu percpu_area[CPUS_MAX];

void percpu_init_boot(void)
{
    percpu_area[0].self = &percpu_area[0];
    percpu_area[0].current = &thread_boot;
    percpu_area[0].kernel_stack_top = thread_boot.kernel_stack_top;
}
