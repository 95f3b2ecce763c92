// SPDX-License-Identifier: MIT
#pragma once
/*
 * Vectors and who handles them.
 */
#include "arch/arch.h"
#include "arch/x86_64/apic.h"

/* Called by trap.c for every vector from 32 on, interrupts off. */
void arch_irq_dispatch(unsigned vector);

/* A vector with no handler yet, the same on all CPUs.  -ENOSPC. */
int irq_vector_alloc(irq_handler handler, void *arg) __must_check;
/* One more handler on vector (shared wired interrupts).  -ENOMEM. */
int irq_vector_share(int vector, irq_handler handler, void *arg) __must_check;
void irq_vector_free(int vector);
uint64_t irq_vector_count(unsigned vector); /* interrupts so far, all CPUs */
