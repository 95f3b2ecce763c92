// SPDX-License-Identifier: MIT
/*
 * TLB shootdown: each CPU that has the address space loaded drops the range itself.
 */
#include "arch/x86_64/cpu.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

#define PAGES_BY_ONE 33 /* more: the whole TLB is cheaper (Linux found the same number) */

struct tlb_range {
    uintptr_t start, end;
};

static void flush_here(void *arg)
{
    const struct tlb_range *range = arg;
    if (range->end - range->start > PAGES_BY_ONE * PAGE_SIZE) {
        write_cr3(read_cr3());
        return;
    }
    for (uintptr_t page = range->start; page < range->end; page += PAGE_SIZE)
        invlpg(page);
}

void arch_tlb_flush(uint64_t mask, uintptr_t start, uintptr_t end)
{
    struct tlb_range range = { ALIGN_DOWN(start, PAGE_SIZE), end };
    unsigned long flags = arch_irq_save();
    uint64_t self = 1ULL << cpu_current();
    if (mask & self)
        flush_here(&range);
    arch_irq_restore(flags);
    mask &= ~self;
    if (mask)
        arch_call_on_cpus(mask, flush_here, &range);
}
