// SPDX-License-Identifier: MIT
#pragma once
/*
 * The host (arch/host/machine.c): all CPUs in one host thread, interrupts a flag, threads fibers.
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

struct fiber;

struct arch_vmspace {
};

struct arch_thread {
    struct fiber *fiber;
    uintptr_t tls;
};

struct thread *arch_current(void);
struct percpu *arch_percpu(void);
unsigned long arch_irq_save(void);
void arch_irq_restore(unsigned long flags);
void arch_irq_enable(void);
void arch_irq_disable(void);
bool arch_irq_enabled(void);
void arch_pause(void);
