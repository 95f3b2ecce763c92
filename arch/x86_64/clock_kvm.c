// SPDX-License-Identifier: MIT
/*
 * kvm-clock (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst).
 *
 * The host writes into a page of ours, per CPU: at TSC value t it was s ns, and the TSC runs at this rate.  The
 * version is odd while it writes.  With the flag "stable" one CPU's record is good for all; without,
 * each CPU uses its own and the last reading that anybody made is a lower bound, so that time does not go
 * backwards between CPUs.
 */
#include "arch/x86_64/clock_kvm.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "kernel/mm/frame.h"
#include "kernel/percpu.h"

#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define KVM_FEATURE_CLOCK   (1u << 3)  /* CPUID base + 1, EAX: the two MSRs above */
#define KVM_FEATURE_STABLE  (1u << 24) /* the flag below can be relied on */
#define CLOCK_ENABLE        1u
#define CLOCK_FLAG_STABLE   1u

struct kvm_clock {
    uint32_t version, pad;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t mult;
    int8_t shift;
    uint8_t flags;
    uint8_t pad2[2];
};

struct kvm_wall_clock {
    uint32_t version, sec, nsec;
};

/* The records of all CPUs in one frame; they must not cross a page. */
_Static_assert(sizeof(struct kvm_clock) == 32, "kvm-clock ABI");
_Static_assert(CPUS_MAX * 32 + 16 <= PAGE_SIZE, "one frame");

static uint32_t features;
static struct kvm_clock *clocks;
static bool can_be_stable;
static uint64_t last_reading; /* [a] */

void clock_kvm_detect(void)
{
    uint32_t base = clock_hypervisor_base("KVMKVMKVM\0\0\0");
    if (base != 0)
        features = cpuid(base + 1, 0).eax;
}

void clock_kvm_init_cpu(unsigned cpu)
{
    wrmsr(MSR_KVM_SYSTEM_TIME, arch_direct_paddr(&clocks[cpu]) | CLOCK_ENABLE);
}

bool clock_kvm_init(void)
{
    if (clocks)
        return true;
    if (!(features & KVM_FEATURE_CLOCK))
        return false;
    struct frame *frame = frame_alloc(0, ALLOC_ATOMIC | ALLOC_ZERO);
    if (!frame)
        return false;
    clocks = frame_address(frame);
    can_be_stable = features & KVM_FEATURE_STABLE;
    clock_kvm_init_cpu(0);
    return true;
}

static uint64_t record_read(const struct kvm_clock *clock, uint8_t *flags)
{
    uint32_t version;
    uint64_t ns;
    do {
        while ((version = __atomic_load_n(&clock->version, __ATOMIC_ACQUIRE)) & 1)
            arch_pause();
        uint64_t delta = rdtsc_ordered() - clock->tsc_timestamp;
        delta = clock->shift < 0 ? delta >> -clock->shift : delta << clock->shift;
        ns = clock->system_time + (uint64_t)((unsigned __int128)delta * clock->mult >> 32);
        *flags = clock->flags;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&clock->version, __ATOMIC_RELAXED) != version);
    return ns;
}

nsec_t clock_kvm_read(void)
{
    uint8_t flags;
    unsigned long irq = arch_irq_save();
    unsigned cpu = can_be_stable && clocks[0].flags & CLOCK_FLAG_STABLE ? 0 : cpu_current();
    uint64_t ns = record_read(&clocks[cpu], &flags);
    arch_irq_restore(irq);
    if (can_be_stable && flags & CLOCK_FLAG_STABLE)
        return (nsec_t)ns;
    uint64_t last = __atomic_load_n(&last_reading, __ATOMIC_RELAXED);
    while (last < ns)
        if (__atomic_compare_exchange_n(&last_reading, &last, ns, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return (nsec_t)ns;
    return (nsec_t)last;
}

uint64_t clock_kvm_tsc_hz(void)
{
    if (!clock_kvm_init() || clocks[0].mult == 0)
        return 0;
    uint64_t hz = clock_muldiv(NSEC_PER_SEC, 1ULL << 32, clocks[0].mult);
    int shift = clocks[0].shift;
    return shift < 0 ? hz << -shift : hz >> shift;
}

bool clock_kvm_realtime(nsec_t *realtime)
{
    if (!clocks)
        return false;
    /* Behind the records. */
    struct kvm_wall_clock *wall = (void *)((char *)clocks + PAGE_SIZE - 16);
    wrmsr(MSR_KVM_WALL_CLOCK, arch_direct_paddr(wall));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *realtime = (nsec_t)READ_ONCE(wall->sec) * NSEC_PER_SEC + READ_ONCE(wall->nsec);
    return true;
}
