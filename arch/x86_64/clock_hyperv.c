// SPDX-License-Identifier: MIT
/*
 * Hyper-V's reference time (Hypervisor Top Level Functional Specification, chapter 12): 100 ns units
 * since the partition was made, from the TSC by a page that the host keeps, or from an MSR.
 */
#include "arch/x86_64/clock_hyperv.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "kernel/mm/frame.h"

#define MSR_HV_GUEST_OS_ID      0x40000000
#define MSR_HV_REFERENCE        0x40000020
#define MSR_HV_REFERENCE_TSC    0x40000021
#define MSR_HV_TSC_FREQUENCY    0x40000022
#define MSR_HV_APIC_FREQUENCY   0x40000023
#define HV_ACCESS_REFERENCE     (1u << 1) /* CPUID 0x40000003, EAX */
#define HV_ACCESS_REFERENCE_TSC (1u << 9)
#define HV_ACCESS_FREQUENCIES   (1u << 11)
/* Bit 63: open source; the rest names nobody. */
#define HV_OS_ID                (1ULL << 63 | 0x53ULL << 48)

struct reference_page {
    uint32_t sequence; /* 0: not valid at the moment, read the MSR */
    uint32_t reserved;
    uint64_t scale;
    int64_t offset;
};

static uint32_t access;
static struct reference_page *page;

void clock_hyperv_detect(void)
{
    uint32_t base = clock_hypervisor_base("Microsoft Hv");
    if (base == 0 || clock_hypervisor_base("KVMKVMKVM\0\0\0") != 0)
        return;
    access = cpuid(base + 3, 0).eax;
    wrmsr(MSR_HV_GUEST_OS_ID, HV_OS_ID);
}

bool clock_hyperv_init(void)
{
    if (!(access & HV_ACCESS_REFERENCE_TSC) || !(access & HV_ACCESS_REFERENCE))
        return false;
    struct frame *frame = frame_alloc(0, ALLOC_ATOMIC | ALLOC_ZERO);
    if (!frame)
        return false;
    page = frame_address(frame);
    wrmsr(MSR_HV_REFERENCE_TSC, frame_paddr(frame) | 1);
    return true;
}

nsec_t clock_hyperv_read(void)
{
    uint32_t sequence;
    uint64_t units;
    do {
        sequence = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
        if (sequence == 0)
            return (nsec_t)rdmsr(MSR_HV_REFERENCE) * 100;
        units = (uint64_t)((unsigned __int128)rdtsc_ordered() * page->scale >> 64) +
                (uint64_t)page->offset;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&page->sequence, __ATOMIC_RELAXED) != sequence);
    return (nsec_t)units * 100;
}

uint64_t clock_hyperv_tsc_hz(void)
{
    return access & HV_ACCESS_FREQUENCIES ? rdmsr(MSR_HV_TSC_FREQUENCY) : 0;
}

uint64_t clock_hyperv_apic_hz(void)
{
    return access & HV_ACCESS_FREQUENCIES ? rdmsr(MSR_HV_APIC_FREQUENCY) : 0;
}
