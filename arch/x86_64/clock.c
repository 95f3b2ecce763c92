// SPDX-License-Identifier: MIT
/*
 * The monotonic clock.
 *
 * The TSC is used wherever its rate is known or can be measured; only under KVM and Hyper-V without an
 * invariant TSC (the machine may move to a host of another rate) their own clock pages are.
 * (TCG has no invariant bit either, but there the TSC is as good as the host's.)
 *
 * The rate comes from CPUID, from the hypervisor, or from a reference clock (clock_reference.c).
 * Measuring for milliseconds would cost more than the rest of the boot, so it is done in steps: the
 * first estimate takes a fraction of a millisecond and is a few parts in a thousand off; later,
 * when a timer is set anyway, one more look at the reference clock over a longer time makes it better, down to
 * about one part in a million.  The clock never jumps: a new rate continues from the old reading.
 *
 *     ns = ns_base + ((tsc - tsc_base) * mult >> shift)
 *
 * Locking: tsc.sequence is a sequence lock, odd while the rate is changed, which happens under
 * refine.lock (only tried: whoever comes second has nothing to do).
 */
#include "arch/x86_64/clock.h"

#include <string.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock_hyperv.h"
#include "arch/x86_64/clock_kvm.h"
#include "arch/x86_64/clock_reference.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/firmware.h"
#include "arch/x86_64/rtc.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/spinlock.h"
#include "kernel/vdso_data.h"

#define SAMPLE_TRIES          5
#define TSC_HZ_GUESS          1000000000u
#define DURATION_MAX          (3600 * NSEC_PER_SEC)
#define HYPERVISOR_LEAVES_TSC 0x10 /* VMware's, also offered by others: TSC and bus rate in kHz */

enum source { SOURCE_NONE, SOURCE_TSC, SOURCE_KVM, SOURCE_HYPERV };

/* A simultaneous reading of the TSC and the reference clock. */
struct sample {
    uint64_t tsc, ticks;
};

static enum source source;

static struct {
    uint32_t sequence; /* [a] */
    uint32_t mult, shift;
    uint64_t tsc_base;
    int64_t ns_base;
    uint64_t hz;
} tsc;

/* Steps of the measurement: when, and how wrong the rate may be before (parts per million). */
static const struct {
    nsec_t after;
    uint64_t error_ppm;
} steps[] = {
    { 5 * NSEC_PER_MSEC, 10000 },
    { 40 * NSEC_PER_MSEC, 1000 },
    { 1 * NSEC_PER_SEC, 200 },
    { 10 * NSEC_PER_SEC, 20 },
};

static struct {
    struct spinlock lock;
    const struct clock_reference *reference; /* NULL: nothing to measure against */
    struct sample start;
    uint64_t due; /* [a] TSC; UINT64_MAX: done */
    unsigned step;
} refine = { .lock = SPINLOCK_INIT(RANK_TSC), .due = UINT64_MAX };

uint32_t clock_hypervisor_base(const char *signature)
{
    if (!cpu_features.is_virtual)
        return 0;
    for (uint32_t base = 0x40000000; base < 0x40001000; base += 0x100) {
        struct cpuid r = cpuid(base, 0);
        char text[12];
        memcpy(text, &r.ebx, 4);
        memcpy(text + 4, &r.ecx, 4);
        memcpy(text + 8, &r.edx, 4);
        if (memcmp(text, signature, 12) == 0)
            return base;
    }
    return 0;
}

/* ---- Reading ------------------------------------------------------------------- */

static nsec_t tsc_read(void)
{
    uint32_t sequence;
    int64_t ns;
    do {
        while ((sequence = __atomic_load_n(&tsc.sequence, __ATOMIC_ACQUIRE)) & 1)
            arch_pause();
        /* Below zero by a few cycles where the CPUs' counters are not quite the same. */
        int64_t delta = (int64_t)(rdtsc_ordered() - tsc.tsc_base);
        ns = tsc.ns_base;
        if (delta > 0)
            ns += (int64_t)((unsigned __int128)(uint64_t)delta * tsc.mult >> tsc.shift);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&tsc.sequence, __ATOMIC_RELAXED) != sequence);
    return ns;
}

nsec_t arch_clock_ns(void)
{
    if (likely(source == SOURCE_TSC))
        return tsc_read();
    if (source == SOURCE_KVM)
        return clock_kvm_read();
    if (source == SOURCE_HYPERV)
        return clock_hyperv_read();
    return 0;
}

uint64_t clock_tsc_hz(void)
{
    return tsc.hz ? tsc.hz : TSC_HZ_GUESS;
}

uint64_t clock_tsc_from_ns(nsec_t duration)
{
    return clock_muldiv((uint64_t)MIN(duration, DURATION_MAX), clock_tsc_hz(), NSEC_PER_SEC);
}

static nsec_t realtime_read(void)
{
    nsec_t realtime;
    if (source != SOURCE_HYPERV && clock_kvm_realtime(&realtime))
        return realtime;
    uint64_t seconds = option_number("realtime", 0);
    if (rtc_read(&realtime))
        return realtime - arch_clock_ns();
    if (seconds == 0)
        log_warning("no clock tells the date: it is 1970");
    return (nsec_t)seconds * NSEC_PER_SEC;
}

/* Read once, when first asked: a CMOS clock takes many port accesses and counts whole seconds. */
nsec_t arch_realtime_at_boot(void)
{
    static nsec_t at_boot;
    nsec_t value = __atomic_load_n(&at_boot, __ATOMIC_RELAXED);
    if (likely(value != 0))
        return value;
    nsec_t now = realtime_read();
    if (__atomic_compare_exchange_n(&at_boot, &value, now, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        return now;
    return value;
}

/* ---- The TSC's rate --------------------------------------------------------------- */

/* From now on the clock runs with hz.  goes_on: from what it shows; else from ns at the TSC's `at`. */
static void tsc_set_rate(uint64_t hz, bool goes_on, uint64_t at, nsec_t ns)
{
    uint32_t shift = 32;
    uint64_t mult = clock_muldiv(NSEC_PER_SEC, 1ULL << shift, hz);
    while (mult > UINT32_MAX) {
        mult >>= 1;
        shift--;
    }
    unsigned long flags = vdso_clock_begin();
    __atomic_store_n(&tsc.sequence, tsc.sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (goes_on) {
        /* From here on nobody is told a time by the old rate, however long this takes. */
        at = rdtsc_ordered();
        ns =
            tsc.ns_base + (int64_t)((unsigned __int128)(at - tsc.tsc_base) * tsc.mult >> tsc.shift);
    }
    tsc.mult = (uint32_t)mult;
    tsc.shift = shift;
    tsc.tsc_base = at;
    tsc.ns_base = ns;
    tsc.hz = hz;
    __atomic_store_n(&tsc.sequence, tsc.sequence + 1, __ATOMIC_RELEASE);
    vdso_clock_end(flags, VDSO_CLOCK_TSC, at, ns, tsc.mult, shift);
}

/* What somebody who knows says; 0: nobody does. */
static uint64_t tsc_hz_told(void)
{
    uint64_t hz = clock_kvm_tsc_hz();
    if (hz == 0)
        hz = clock_hyperv_tsc_hz();
    if (hz == 0 && cpu_features.is_virtual &&
        cpuid(0x40000000, 0).eax >= 0x40000000 + HYPERVISOR_LEAVES_TSC)
        hz = cpuid(0x40000000 + HYPERVISOR_LEAVES_TSC, 0).eax * 1000ULL;
    if (hz == 0 && cpuid(0, 0).eax >= 0x15) {
        struct cpuid r = cpuid(0x15, 0);
        if (r.eax != 0 && r.ebx != 0 && r.ecx != 0)
            hz = (uint64_t)r.ecx * r.ebx / r.eax;
    }
    return hz;
}

/* The reading that took the shortest time: the TSC of its middle belongs to it. */
static struct sample sample_take(void)
{
    struct sample best = { 0, 0 };
    uint64_t shortest = UINT64_MAX;
    for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = rdtsc_ordered();
        uint64_t ticks = refine.reference->read();
        uint64_t after = rdtsc_ordered();
        if (after - before < shortest) {
            shortest = after - before;
            best = (struct sample){ before + shortest / 2, ticks };
        }
    }
    return best;
}

static void first_estimate(void)
{
    const struct clock_reference *reference = refine.reference;
    uint64_t wanted = reference->hz * (uint64_t)reference->first_window_us / 1000000;
    uint64_t give_up = rdtsc() + 20 * (uint64_t)TSC_HZ_GUESS / 1000;
    while (((reference->read() - refine.start.ticks) & reference->mask) < wanted &&
           rdtsc() < give_up)
        arch_pause();
    struct sample now = sample_take();
    uint64_t ticks = (now.ticks - refine.start.ticks) & reference->mask;
    uint64_t hz =
        ticks < wanted ? 0 : clock_muldiv(now.tsc - refine.start.tsc, reference->hz, ticks);
    if (hz < 1000000) {
        log_warning("the %s stands still: taking the TSC to run at 1 GHz", reference->name);
        refine.reference = NULL;
        hz = TSC_HZ_GUESS;
    }
    tsc_set_rate(hz, false, refine.start.tsc, 0);
}

static void step_begin(unsigned step)
{
    refine.step = step;
    uint64_t due = UINT64_MAX;
    if (step < ARRAY_SIZE(steps))
        due = refine.start.tsc + clock_tsc_from_ns(steps[step].after);
    else if (refine.reference->stop)
        refine.reference->stop();
    __atomic_store_n(&refine.due, due, __ATOMIC_RELAXED);
}

/* The reference's ticks since refine.start, its wraps counted by what the TSC says; 0: too long
 * ago to tell. */
static uint64_t ticks_since_start(const struct sample *now)
{
    const struct clock_reference *reference = refine.reference;
    uint64_t estimate = clock_muldiv(now->tsc - refine.start.tsc, reference->hz, tsc.hz);
    uint64_t ticks = (now->ticks - refine.start.ticks) & reference->mask;
    uint64_t period = reference->mask + 1;
    if (period == 0)
        return ticks;
    if (estimate / 1000000 * steps[refine.step].error_ppm > period / 4)
        return 0;
    if (estimate > ticks)
        ticks += (estimate - ticks + period / 2) / period * period;
    return ticks;
}

static void refine_step(void)
{
    struct sample now = sample_take();
    uint64_t ticks = ticks_since_start(&now);
    if (ticks == 0) {
        refine.start = now;
        step_begin(refine.step);
        return;
    }
    uint64_t hz = clock_muldiv(now.tsc - refine.start.tsc, refine.reference->hz, ticks);
    if (hz > tsc.hz + tsc.hz / 50 || hz < tsc.hz - tsc.hz / 50) {
        log_warning("the TSC and the %s disagree: %lu Hz after %lu Hz", refine.reference->name,
                    (unsigned long)hz, (unsigned long)tsc.hz);
        step_begin(ARRAY_SIZE(steps));
        return;
    }
    tsc_set_rate(hz, true, 0, 0);
    step_begin(refine.step + 1);
}

void clock_refine(void)
{
    if (likely(rdtsc() < __atomic_load_n(&refine.due, __ATOMIC_RELAXED)))
        return;
    if (!spin_try_lock(&refine.lock))
        return;
    if (rdtsc() >= refine.due)
        refine_step();
    spin_unlock(&refine.lock);
}

/* ---- Start --------------------------------------------------------------------------- */

void clock_source_begin(void)
{
    clock_kvm_detect();
    clock_hyperv_detect();
    if (tsc_hz_told() != 0)
        return;
    refine.reference = clock_reference_find(arch_firmware());
    if (refine.reference)
        refine.start = sample_take();
}

void clock_source_init(void)
{
    uint64_t hz = tsc_hz_told();
    if (hz == 0 && !refine.reference)
        hz = apic_timer_measure_tsc();
    bool is_steady = cpu_features.has_invariant_tsc || option_bool("tsc", false);
    if (!is_steady && clock_kvm_init()) {
        tsc.hz = hz;
        source = SOURCE_KVM;
    } else if (!is_steady && clock_hyperv_init()) {
        tsc.hz = hz;
        source = SOURCE_HYPERV;
    } else {
        /* Starting where kvm-clock stands makes its wall clock right for the TSC as well. */
        if (hz != 0) {
            nsec_t ns = clock_kvm_init() ? clock_kvm_read() : 0;
            tsc_set_rate(hz, false, rdtsc_ordered(), ns);
        } else if (refine.reference) {
            first_estimate();
        } else {
            log_warning("nothing tells the TSC's rate: taking it to be 1 GHz");
            tsc_set_rate(TSC_HZ_GUESS, false, rdtsc_ordered(), 0);
        }
        source = SOURCE_TSC;
        if (refine.reference)
            step_begin(0);
    }
    log_info("clock: %s, TSC %lu kHz%s%s",
             source == SOURCE_TSC   ? "TSC"
             : source == SOURCE_KVM ? "kvm-clock"
                                    : "Hyper-V page",
             (unsigned long)(clock_tsc_hz() / 1000), refine.reference ? " by the " : "",
             refine.reference ? refine.reference->name : "");
}

const char *arch_clock_name(void)
{
    return source == SOURCE_KVM      ? "kvm-clock"
           : source == SOURCE_HYPERV ? "hyperv_clocksource_tsc_page"
                                     : "tsc";
}

void clock_source_init_cpu(unsigned cpu)
{
    if (source == SOURCE_KVM)
        clock_kvm_init_cpu(cpu);
}
