// SPDX-License-Identifier: MIT
#pragma once
/*
 * Per-CPU data.  On x86-64 GS points to it; the entry code uses the first fields by offset
 * (arch/x86_64/offsets.h checks them).
 */
#include "arch/arch.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/spinlock.h"
#include "lib/compiler.h"

struct thread;

#define HELD_SPINLOCKS_MAX 12

struct held_spinlock {
    const struct spinlock *lock;
    bool in_interrupt;
};

struct percpu {
    struct percpu *self;
    struct thread *current;
    uintptr_t kernel_stack_top; /* of current */
    uintptr_t scratch;          /* entry code */
    unsigned cpu;
    bool need_resched; /* [a] look for another thread before returning to the application */
    bool in_interrupt;
    bool interrupted_app;           /* the last interrupt found the application, not the kernel */
    const struct regs *interrupted; /* the registers it found there; NULL: none yet */
    bool is_polling;                /* [a] idle, and looks at need_resched by itself */
    uint8_t lock_depth;             /* spinlocks held: no sleep while nonzero (debug) */
    nsec_t poll_ns;                 /* sched: how long to look before halting */
    struct thread *idle;
    struct thread *boot_previous; /* sched: the thread that was switched away from */
    struct vmspace *vmspace;      /* whose page table is loaded; NULL: the kernel's */
    bool vmspace_rests;           /* kernel/mm/vmspace.c: the table is loaded but not in use, */
    uint64_t flushes_seen;        /* and TLB flushes after this one have not reached the CPU */
    struct runqueue *runqueue;
    void *arch; /* arch/x86_64: descriptors, timer */
    uint64_t nsyscalls;
    uint64_t ninterrupts;
    uint64_t nswitches;
    struct held_spinlock held[HELD_SPINLOCKS_MAX]; /* lock_depth of them (debug) */
} __aligned(64);

extern struct percpu percpu_area[CPUS_MAX];

/* The machine calls it before it makes percpu_area[0] the boot CPU's. */
void percpu_init_boot(void);

static inline unsigned cpu_current(void)
{
    return arch_percpu()->cpu;
}
