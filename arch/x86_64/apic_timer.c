// SPDX-License-Identifier: MIT
/*
 * One timer interrupt at a time, per CPU: the TSC deadline where the CPU has it, else the local APIC's
 * countdown.  Its rate is known under the hypervisors that emulate it in nanoseconds; elsewhere it
 * is measured.  A countdown that is not long enough, or a rate a little off, only costs an interrupt that
 * sets the timer again.
 *
 * Locking: each CPU its own, interrupts off.
 */
#include "abi/errno.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/clock_hyperv.h"
#include "arch/x86_64/cpu.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/timer.h"

#define DIVIDER      16
#define EMULATED_HZ  1000000000u /* QEMU and KVM: the bus runs at 1 GHz */
#define MEASURE_NS   (300 * NSEC_PER_USEC)
#define SAMPLE_TRIES 5
#define DURATION_MAX (3600 * NSEC_PER_SEC)

static bool use_deadline;
static uint64_t count_hz;
static nsec_t deadlines[CPUS_MAX] = { [0 ... CPUS_MAX - 1] = DEADLINE_NONE };

static uint64_t bus_hz_told(void)
{
    if (clock_hypervisor_base("TCGTCGTCGTCG") || clock_hypervisor_base("KVMKVMKVM\0\0\0"))
        return EMULATED_HZ;
    uint64_t hz = clock_hyperv_apic_hz();
    if (hz == 0 && cpu_features.is_virtual && cpuid(0x40000000, 0).eax >= 0x40000010)
        hz = cpuid(0x40000010, 0).ebx * 1000ULL;
    if (hz == 0 && cpuid(0, 0).eax >= 0x15)
        hz = cpuid(0x15, 0).ecx; /* the core crystal (SDM 3A, 11.5.4) */
    return hz;
}

static uint64_t bus_hz_measure(void)
{
    apic_timer_setup(0, false);
    apic_timer_count(UINT32_MAX);
    nsec_t start = arch_clock_ns(), now;
    uint32_t first = apic_timer_current();
    do {
        arch_pause();
        now = arch_clock_ns();
    } while (now - start < MEASURE_NS);
    uint32_t passed = first - apic_timer_current();
    apic_timer_count(0);
    return clock_muldiv((uint64_t)passed * DIVIDER, NSEC_PER_SEC, (uint64_t)(now - start));
}

/* The count and the TSC at the same time: the quickest of some readings, as in clock.c. */
static uint32_t sample_count(uint64_t *tsc)
{
    uint32_t count = 0;
    uint64_t shortest = UINT64_MAX;
    for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = rdtsc_ordered();
        uint32_t current = apic_timer_current();
        uint64_t took = rdtsc_ordered() - before;
        if (took >= shortest)
            continue;
        shortest = took;
        count = current;
        *tsc = before + took / 2;
    }
    return count;
}

uint64_t apic_timer_measure_tsc(void)
{
    uint64_t start, now, hz = bus_hz_told() / DIVIDER;
    if (hz == 0)
        return 0;
    uint32_t wanted = (uint32_t)clock_muldiv(MEASURE_NS, hz, NSEC_PER_SEC), passed;
    apic_timer_setup(0, false);
    apic_timer_count(UINT32_MAX);
    uint32_t first = sample_count(&start);
    do {
        arch_pause();
        passed = first - sample_count(&now);
    } while (passed < wanted);
    apic_timer_count(0);
    return clock_muldiv(now - start, hz, passed);
}

void apic_timer_init(void)
{
    use_deadline = cpu_features.has_tsc_deadline;
    if (!use_deadline) {
        uint64_t hz = bus_hz_told();
        if (hz == 0)
            hz = bus_hz_measure();
        count_hz = MAX(hz / DIVIDER, 1000);
        log_info("timer: local APIC, %lu kHz", (unsigned long)(count_hz / 1000));
    }
    apic_timer_init_cpu();
}

void apic_timer_init_cpu(void)
{
    apic_timer_setup(VECTOR_TIMER, use_deadline);
}

static void program(nsec_t deadline)
{
    if (deadline == DEADLINE_NONE) {
        if (use_deadline)
            wrmsr(MSR_TSC_DEADLINE, 0);
        else
            apic_timer_count(0);
        return;
    }
    nsec_t now = arch_clock_ns();
    nsec_t wait = deadline > now ? MIN(deadline - now, DURATION_MAX) : 0;
    if (use_deadline) {
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + clock_tsc_from_ns(wait) + 1);
        return;
    }
    uint64_t count = clock_muldiv((uint64_t)wait, count_hz, NSEC_PER_SEC) + 1;
    apic_timer_count((uint32_t)MIN(count, UINT32_MAX));
}

void arch_timer_set(nsec_t deadline)
{
    unsigned long flags = arch_irq_save();
    deadlines[cpu_current()] = deadline;
    clock_refine(); /* first: the wait is counted at the rate that it finds */
    program(deadline);
    arch_irq_restore(flags);
}

void apic_timer_interrupt(void)
{
    nsec_t *deadline = &deadlines[cpu_current()];
    clock_refine();
    if (*deadline == DEADLINE_NONE)
        return;
    if (arch_clock_ns() < *deadline) {
        program(*deadline);
        return;
    }
    *deadline = DEADLINE_NONE;
    timer_interrupt();
}
