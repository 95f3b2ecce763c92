// SPDX-License-Identifier: MIT
/*
 * Each CPU's descriptor tables and control registers.
 *
 * Flat 64-bit segments of ring 0; a TSS only for the interrupt stacks (no ring change ever loads rsp0).
 * Every gate is an interrupt gate with an IST stack: trap_entry.S says why.
 */
#include <string.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/memory.h"
#include "arch/x86_64/offsets.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/vector.h"
#include "kernel/mm/frame.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

#define IST_COUNT      5
#define IST_STACK_SIZE 4096

/* SDM 3A, figure 8-11. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
} __packed;

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __packed;

struct gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, reserved;
};

struct cpu_tables {
    uint64_t gdt[5];
    struct tss tss;
    uint8_t ist_stack[IST_COUNT][IST_STACK_SIZE] __aligned(16);
};

extern char trap_stubs[], syscall_entry[];

static struct gate idt[256];
static struct cpu_tables boot_tables;

static void idt_fill(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uintptr_t entry = (uintptr_t)trap_stubs + 16 * (uintptr_t)i;
        unsigned ist = i == VECTOR_NMI             ? IST_NMI
                       : i == VECTOR_DOUBLE_FAULT  ? IST_DOUBLE_FAULT
                       : i == VECTOR_MACHINE_CHECK ? IST_MACHINE_CHECK
                       : i == VECTOR_DEBUG         ? IST_DEBUG
                                                   : IST_TRAP;
        idt[i] = (struct gate){ .offset0 = (uint16_t)entry,
                                .selector = KERNEL_CS,
                                .ist = (uint8_t)ist,
                                .type = 0x8e,
                                .offset1 = (uint16_t)(entry >> 16),
                                .offset2 = (uint32_t)(entry >> 32) };
    }
}

static void gdt_fill(struct cpu_tables *tables)
{
    uintptr_t tss = (uintptr_t)&tables->tss;
    tables->gdt[0] = 0;
    tables->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
    tables->gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
    tables->gdt[3] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ULL << 40 |
                     (tss >> 24 & 0xff) << 56;
    tables->gdt[4] = tss >> 32;
    tables->tss.iomap = sizeof(struct tss);
    for (unsigned i = 0; i < IST_COUNT; i++)
        tables->tss.ist[i] = (uintptr_t)(tables->ist_stack[i] + IST_STACK_SIZE);
}

static void load_tables(struct cpu_tables *tables)
{
    struct table_pointer gdt = { sizeof(tables->gdt) - 1, (uintptr_t)tables->gdt };
    struct table_pointer idtr = { sizeof(idt) - 1, (uintptr_t)idt };
    __asm__ volatile("lgdt %0\n\t"
                     "mov %1, %%ss\n\t"
                     "mov %1, %%ds\n\t"
                     "mov %1, %%es\n\t"
                     "pushq %2\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tlidt %3\n\t"
                     "ltr %w4" ::"m"(gdt),
                     "r"(KERNEL_DS), "i"(KERNEL_CS), "m"(idtr), "r"(0x18)
                     : "rax", "memory");
}

static void enable_features(void)
{
    const struct cpu_features *f = &cpu_features;
    write_cr0((read_cr0() | CR0_WP | CR0_MP | CR0_NE) & ~(uint64_t)(CR0_EM | CR0_TS));
    uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;
    cr4 |= f->has_pge ? CR4_PGE : 0;
    cr4 |= f->has_fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= f->has_xsave ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
    if (f->has_xsave)
        __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)f->xcr0), "d"((uint32_t)(f->xcr0 >> 32)));
    __asm__ volatile("fninit");

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    wrmsr(MSR_STAR, (uint64_t)KERNEL_CS << 32); /* SYSRET is never used */
    wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
    wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC);
}

static void cpu_init(unsigned cpu, struct cpu_tables *tables)
{
    struct percpu *percpu = &percpu_area[cpu];
    percpu->self = percpu;
    percpu->cpu = cpu;
    percpu->arch = tables;
    gdt_fill(tables);
    load_tables(tables);
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_GS_BASE, (uintptr_t)percpu);
    enable_features();
    vector_init_cpu();
}

void cpu_init_boot(void)
{
    cpu_detect();
    memory_init();
    idt_fill();
    percpu_init_boot();
    cpu_init(0, &boot_tables);
}

void cpu_init_secondary(unsigned cpu)
{
    unsigned order = 0;
    while (PAGE_SIZE << order < sizeof(struct cpu_tables))
        order++;
    struct frame *frame = frame_alloc(order, ALLOC_ATOMIC | ALLOC_ZERO);
    if (!frame)
        panic("no memory for the descriptor tables of CPU %u", cpu);
    cpu_init(cpu, frame_address(frame));
}
