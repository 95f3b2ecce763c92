// SPDX-License-Identifier: MIT
/*
 * The other CPUs: starting them, and making them do things.
 *
 * All are started at once (INIT, then start-up IPIs, SDM 3A 9.4.4).  They run trampoline.S, where
 * each draws a number: CPU numbers are given in the order of arrival.  Stack and per-CPU area of every number
 * were made before by sched_init_cpu().
 *
 * A call on other CPUs has one slot, under call_lock; spinning for it is done with interrupts on,
 * so the spinning CPU answers calls meanwhile and nobody waits in a circle.
 */
#include "arch/x86_64/smp.h"

#include <string.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/firmware.h"
#include "arch/x86_64/paging.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"

#define STARTUP_TRIES   20
#define STARTUP_WAIT_NS (5 * NSEC_PER_MSEC)
#define INIT_WAIT_NS    (10 * NSEC_PER_MSEC) /* only before the Pentium 4's successors */

/* trampoline.S; the words are in the copy at TRAMPOLINE_PADDR. */
extern const char trampoline_start[], trampoline_end[];
extern char trampoline_root[], trampoline_max[];

__noreturn void smp_secondary_main(unsigned cpu);
/* Read by the trampoline: where the stack of each CPU begins. */
uintptr_t smp_stack_top[CPUS_MAX];

static unsigned ncpus_up = 1; /* [a] */
static uint32_t apic_ids[CPUS_MAX];

static struct {
    struct spinlock lock;
    void (*function)(void *);
    void *arg;
    uint64_t pending; /* [a] CPUs that have yet to do it */
} call = { .lock = SPINLOCK_INIT(RANK_IPI) };

void smp_init(void)
{
    apic_ids[0] = apic_id();
}

unsigned arch_cpu_count(void)
{
    return __atomic_load_n(&ncpus_up, __ATOMIC_ACQUIRE);
}

uint32_t smp_apic_id(unsigned cpu)
{
    return apic_ids[cpu < arch_cpu_count() ? cpu : 0];
}

uint64_t smp_all_cpus(void)
{
    unsigned n = arch_cpu_count();
    return n >= 64 ? UINT64_MAX : (1ULL << n) - 1;
}

void arch_send_reschedule(unsigned cpu)
{
    apic_send(smp_apic_id(cpu), VECTOR_RESCHEDULE);
}

/* ---- Calls ---------------------------------------------------------------------- */

void smp_call_interrupt(void)
{
    uint64_t bit = 1ULL << cpu_current();
    if (!(__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE) & bit))
        return;
    call.function(call.arg);
    __atomic_fetch_and(&call.pending, ~bit, __ATOMIC_RELEASE);
}

static void call_others(uint64_t mask, void (*function)(void *), void *arg)
{
    debug_assert(arch_irq_enabled());
    spin_lock(&call.lock);
    call.function = function;
    call.arg = arg;
    __atomic_store_n(&call.pending, mask, __ATOMIC_SEQ_CST);
    for (uint64_t left = mask; left != 0; left &= left - 1)
        apic_send(smp_apic_id((unsigned)__builtin_ctzll(left)), VECTOR_CALL);
    while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE) != 0)
        arch_pause();
    spin_unlock(&call.lock);
}

void arch_call_on_cpus(uint64_t mask, void (*function)(void *), void *arg)
{
    uint64_t self = 1ULL << cpu_current();
    mask &= smp_all_cpus();
    if (mask & ~self)
        call_others(mask & ~self, function, arg);
    if (mask & self) {
        unsigned long flags = arch_irq_save();
        function(arg);
        arch_irq_restore(flags);
    }
}

/* ---- Start ------------------------------------------------------------------------ */

void smp_secondary_main(unsigned cpu)
{
    wrmsr(MSR_GS_BASE, (uintptr_t)&percpu_area[cpu]);
    cpu_init_secondary(cpu);
    apic_init_cpu();
    apic_timer_init_cpu();
    clock_source_init_cpu(cpu);
    apic_ids[cpu] = apic_id();
    /* In order of the numbers, so that a count says which are up. */
    while (__atomic_load_n(&ncpus_up, __ATOMIC_ACQUIRE) != cpu)
        arch_pause();
    __atomic_store_n(&ncpus_up, cpu + 1, __ATOMIC_RELEASE);
    cpu_start_secondary(cpu);
}

/* Idle threads and stacks for CPUs 1 to ncpus - 1; how many CPUs there is memory for. */
static unsigned prepare_cpus(unsigned ncpus)
{
    for (unsigned cpu = 1; cpu < ncpus; cpu++) {
        if (sched_init_cpu(cpu)) {
            log_warning("no memory for CPU %u and those after it", cpu);
            return cpu;
        }
        smp_stack_top[cpu] = percpu_area[cpu].kernel_stack_top;
    }
    return ncpus;
}

/* The word of the trampoline's copy that this symbol names. */
static uint32_t *trampoline_word(const char *symbol)
{
    return arch_direct_map(TRAMPOLINE_PADDR + (paddr_t)(symbol - trampoline_start));
}

static void prepare_trampoline(unsigned ncpus)
{
    memcpy(arch_direct_map(TRAMPOLINE_PADDR), trampoline_start,
           (size_t)(trampoline_end - trampoline_start));
    *trampoline_word(trampoline_root) = (uint32_t)paging_kernel_root();
    *trampoline_word(trampoline_max) = ncpus;
    paging_map_trampoline(true);
}

static void wait_ns(nsec_t duration, unsigned ncpus)
{
    nsec_t end = arch_clock_ns() + duration;
    while (arch_clock_ns() < end && arch_cpu_count() < ncpus)
        arch_pause();
}

/* Old CPUs need time after INIT; those made since, and virtual ones, do not (Linux's
 * smp_quirk_init_udelay() found the same line). */
static bool is_slow_after_init(void)
{
    uint32_t family = cpuid(1, 0).eax >> 8 & 15;
    return !cpu_features.is_virtual && family != 6 && family != 15;
}

static void send_startup(unsigned id)
{
    apic_send_startup(id, TRAMPOLINE_PADDR >> PAGE_SHIFT);
}

/* To ncpus - 1 others.  Those that are not wanted stay in wait-for-SIPI, where nothing can become of them. */
static void send_to_others(const struct firmware_info *firmware, unsigned ncpus,
                           void (*send)(unsigned))
{
    unsigned left = ncpus - 1;
    for (unsigned i = 0; i < firmware->ncpus && left > 0; i++) {
        if (firmware->apic_id[i] == apic_ids[0])
            continue;
        send(firmware->apic_id[i]);
        left--;
    }
}

static void start_cpus(const struct firmware_info *firmware, unsigned ncpus)
{
    send_to_others(firmware, ncpus, apic_send_init);
    if (is_slow_after_init())
        wait_ns(INIT_WAIT_NS, ncpus);
    /* A CPU that runs ignores further start-up IPIs. */
    for (unsigned try = 0; try < STARTUP_TRIES && arch_cpu_count() < ncpus; try++) {
        send_to_others(firmware, ncpus, send_startup);
        wait_ns(STARTUP_WAIT_NS, ncpus);
    }
}

void arch_smp_start(void)
{
    const struct firmware_info *firmware = arch_firmware();
    unsigned ncpus = (unsigned)MIN(option_number("cpus", CPUS_MAX), firmware->ncpus);
    ncpus = MIN(ncpus, (unsigned)CPUS_MAX);
    if (ncpus < 2)
        return;
    ncpus = prepare_cpus(ncpus);
    prepare_trampoline(ncpus);
    start_cpus(firmware, ncpus);
    if (arch_cpu_count() < ncpus) {
        /* The trampoline stays mapped: they may still come. */
        log_warning("%u of %u CPUs did not start", ncpus - arch_cpu_count(), ncpus);
        return;
    }
    paging_map_trampoline(false);
    log_info("%u CPUs", ncpus);
}
