// SPDX-License-Identifier: MIT
/*
 * The local APIC.
 *
 * x2APIC is used under a hypervisor (an access is one MSR, and KVM handles it without leaving the
 * kernel) and wherever the firmware turned it on, because there is no way back.  On bare metal it would
 * want interrupt remapping, so the memory-mapped registers stay in use there.
 *
 * Locking: none.  Each CPU touches its own registers, with interrupts off where two writes belong together.
 */
#include "arch/x86_64/apic.h"

#include "arch/arch.h"

/* Offsets of the memory-mapped registers; MSR 0x800 + offset / 16 in x2APIC mode. */
#define REG_ID            0x020
#define REG_TPR           0x080
#define REG_EOI           0x0b0
#define REG_SPURIOUS      0x0f0
#define REG_ESR           0x280
#define REG_ICR           0x300
#define REG_ICR_HIGH      0x310
#define REG_LVT_TIMER     0x320
#define REG_LVT_THERMAL   0x330
#define REG_LVT_PERF      0x340
#define REG_LVT_LINT0     0x350
#define REG_LVT_LINT1     0x360
#define REG_LVT_ERROR     0x370
#define REG_TIMER_INITIAL 0x380
#define REG_TIMER_CURRENT 0x390
#define REG_TIMER_DIVIDE  0x3e0

#define BASE_X2APIC 0x400
#define BASE_ENABLE 0x800
#define BASE_PADDR  0x000ffffffffff000ULL

#define SPURIOUS_ENABLE  0x100
#define LVT_MASKED       0x10000
#define LVT_NMI          0x400
#define LVT_TSC_DEADLINE 0x40000
#define DIVIDE_BY_16     3

#define ICR_INIT       0x500
#define ICR_STARTUP    0x600
#define ICR_NMI        0x400
#define ICR_BUSY       0x1000
#define ICR_ASSERT     0x4000
#define ICR_OTHERS     0xc0000
#define ICR_BUSY_SPINS 1000

/* The 8259s: ports and the words that remap and mask them. */
#define PIC1 0x20
#define PIC2 0xa0

static bool is_x2apic;
static volatile uint32_t *window; /* xAPIC */

static uint32_t apic_read(unsigned reg)
{
    if (is_x2apic)
        return (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
    return window[reg / 4];
}

static void apic_write(unsigned reg, uint32_t value)
{
    if (is_x2apic)
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        window[reg / 4] = value;
}

/* Masked 8259s can still raise the spurious interrupt of line 7: it must not look like an exception. */
static void pic_disable(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } words[] = {
        { PIC1, 0x11 },
        { PIC2, 0x11 }, /* ICW1: cascade, ICW4 follows */
        { PIC1 + 1, VECTOR_PIC_FIRST },
        { PIC2 + 1, VECTOR_PIC_FIRST + 8 },
        { PIC1 + 1, 4 },
        { PIC2 + 1, 2 }, /* ICW3: the second hangs on line 2 */
        { PIC1 + 1, 1 },
        { PIC2 + 1, 1 }, /* ICW4: 8086 mode */
        { PIC1 + 1, 0xff },
        { PIC2 + 1, 0xff }, /* all masked */
    };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        outb(words[i].port, words[i].value);
}

static void apic_enable(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | BASE_ENABLE;
    wrmsr(MSR_APIC_BASE, is_x2apic ? base | BASE_X2APIC : base);
    apic_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(REG_TPR, 0);
    apic_write(REG_LVT_TIMER, LVT_MASKED);
    apic_write(REG_LVT_LINT0, LVT_MASKED);
    apic_write(REG_LVT_ERROR, LVT_MASKED);
}

bool apic_init(void)
{
    pic_disable();
    if (!(cpuid(1, 0).edx & 1U << 9))
        return false;
    uint64_t base = rdmsr(MSR_APIC_BASE);
    is_x2apic = cpu_features.has_x2apic && (cpu_features.is_virtual || base & BASE_X2APIC);
    if (!is_x2apic) {
        window = arch_map_device(base & BASE_PADDR, PAGE_SIZE);
        if (!window)
            return false;
    }
    apic_enable();
    /* NMI comes to the boot CPU, as the MultiProcessor specification wires it. */
    apic_write(REG_LVT_LINT1, LVT_NMI);
    return true;
}

void apic_init_cpu(void)
{
    apic_enable();
    apic_write(REG_LVT_LINT1, LVT_MASKED);
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(REG_ID);
    return is_x2apic ? id : id >> 24;
}

void apic_eoi(void)
{
    apic_write(REG_EOI, 0);
}

static void icr_write(uint32_t to, uint32_t command)
{
    if (is_x2apic) {
        /* This write is not serialising: what the other CPU is to see must be stored before (SDM 3A, 11.12.3). */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + REG_ICR / 16, (uint64_t)to << 32 | command);
        return;
    }
    unsigned long flags = arch_irq_save();
    for (unsigned i = 0; !cpu_features.is_virtual && i < ICR_BUSY_SPINS; i++) {
        if (!(apic_read(REG_ICR) & ICR_BUSY))
            break;
        arch_pause();
    }
    apic_write(REG_ICR_HIGH, to << 24);
    apic_write(REG_ICR, command);
    arch_irq_restore(flags);
}

void apic_send(uint32_t to, unsigned vector)
{
    icr_write(to, ICR_ASSERT | vector);
}

void apic_send_init(uint32_t to)
{
    icr_write(to, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(uint32_t to, unsigned page)
{
    icr_write(to, ICR_ASSERT | ICR_STARTUP | page);
}

void apic_send_nmi_to_others(void)
{
    if (is_x2apic || window)
        icr_write(0, ICR_OTHERS | ICR_ASSERT | ICR_NMI);
}

void apic_timer_setup(unsigned vector, bool tsc_deadline)
{
    apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
    apic_write(REG_LVT_TIMER,
               vector == 0 ? LVT_MASKED : vector | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
    /* The mode must be set before the first deadline is written (SDM 3A, 11.5.4.1). */
    if (!is_x2apic)
        __asm__ volatile("mfence" ::: "memory");
}

void apic_timer_count(uint32_t initial)
{
    apic_write(REG_TIMER_INITIAL, initial);
}

uint32_t apic_timer_current(void)
{
    return apic_read(REG_TIMER_CURRENT);
}
