// SPDX-License-Identifier: MIT
#pragma once
/*
 * Where time comes from: clock.c chooses among the TSC, kvm-clock and Hyper-V's reference page.
 */
#include "arch/arch.h"

/* Takes the first sample of the reference clock, if one will be needed; the more useful work is
 * done before clock_source_init(), the less that one has to wait. */
void clock_source_begin(void);
/* From here on arch_clock_ns() runs. */
void clock_source_init(void);
void clock_source_init_cpu(unsigned cpu); /* each secondary */
uint64_t clock_tsc_hz(void);
uint64_t clock_tsc_from_ns(nsec_t duration); /* up to an hour */
/* Called now and then with interrupts off: measures the TSC more precisely if it is time for that. */
void clock_refine(void);

/* a * b / c in 128 bits; the quotient must fit. */
static inline uint64_t clock_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low, high, remainder;
    __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "r"(b) : "cc");
    __asm__("divq %4" : "=a"(low), "=d"(remainder) : "a"(low), "d"(high), "r"(c) : "cc");
    return low;
}

/* The paravirtual leaves of the hypervisor whose 12-byte signature this is (CPUID 0x4000xx00); 0: not it. */
uint32_t clock_hypervisor_base(const char *signature);
