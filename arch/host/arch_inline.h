// SPDX-License-Identifier: MIT
#pragma once
/*
 * The host: CPUs are pthreads, interrupts a flag, the current thread a thread-local.
 */
#include <stdbool.h>
#include <stdint.h>

struct percpu;
struct thread;

struct regs {
    uint64_t pc, sp, result;
    uint64_t args[6];
    int64_t syscall;
};

struct arch_thread {
    void *fiber;
    uintptr_t tls;
};

struct thread *arch_current(void);
struct percpu *arch_percpu(void);
unsigned long arch_irq_save(void);
void arch_irq_restore(unsigned long flags);
void arch_irq_enable(void);
void arch_irq_disable(void);
bool arch_irq_enabled(void);

static inline void arch_pause(void)
{
    __builtin_ia32_pause();
}
