// SPDX-License-Identifier: MIT
#pragma once
/*
 * The inline part of the contract on x86-64.  GS points to this CPU's struct percpu, always.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;
struct thread;

/*
 * The application's registers as the entry code saves them, in the order of Linux's pt_regs.
 * orig_rax: the system call's number, or -1 after a fault or an interrupt.
 */
struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, rax, rcx;
    union {
        struct {
            uint64_t rdi, rsi, rdx, r10, r8, r9;
        };
        unsigned long args[6]; /* of a system call */
    };
    uint64_t orig_rax;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct debug_regs;
struct stub_page;

struct arch_vmspace {
    struct stub_page *stubs[8]; /* of patched calls, from the first on: call_patch.c */
};

struct arch_thread {
    uintptr_t fs_base; /* the application's TLS */
    void *xsave;       /* vector state while not running; NULL for kernel threads */
    int vector_cpu;    /* the CPU whose registers may still hold the state, or -1 */
    uint64_t trap_cr2; /* the last fault's address, number and error code: for signal frames */
    uint64_t trap_number;
    uint64_t trap_error;
    uintptr_t traced_fs_base; /* stopped for a tracer: fs_base, which it may change */
    bool is_stepping;         /* TF in its flags is its tracer's */
    unsigned debug_status;    /* of its last debug exception: debug_regs.h */
    struct debug_regs *debug; /* NULL: nobody has set any */
};

static inline struct percpu *arch_percpu(void)
{
    struct percpu *percpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(percpu));
    return percpu;
}

/* Not volatile on purpose: a thread's identity does not change while its code runs. */
static inline struct thread *arch_current(void)
{
    struct thread *thread;
    __asm__("mov %%gs:8, %0" : "=r"(thread));
    return thread;
}

static inline bool arch_irq_enabled(void)
{
    unsigned long flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags & 0x200;
}

static inline void arch_irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void arch_irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline unsigned long arch_irq_save(void)
{
    unsigned long flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return flags;
}

static inline void arch_irq_restore(unsigned long flags)
{
    if (flags & 0x200)
        arch_irq_enable();
}

static inline void arch_pause(void)
{
    __asm__ volatile("pause");
}
