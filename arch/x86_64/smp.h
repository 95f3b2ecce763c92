// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/* Where the other CPUs begin: a page of the first MiB, which the frame allocator leaves alone. */
#define TRAMPOLINE_PADDR 0x8000

void smp_init(void);                /* the boot CPU's part; the local APIC works */
uint32_t smp_apic_id(unsigned cpu); /* the boot CPU's if there is no such CPU */
uint64_t smp_all_cpus(void);        /* a bit for each CPU that is up */
void smp_call_interrupt(void);      /* VECTOR_CALL */
