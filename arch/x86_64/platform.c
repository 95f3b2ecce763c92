// SPDX-License-Identifier: MIT
/*
 * The machine around the CPU, in order.
 */
#include "arch/x86_64/apic.h"
#include "arch/x86_64/call_patch.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/firmware.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/kernel_map.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/smp.h"
#include "kernel/panic.h"

void arch_idle(void)
{
    /* The shadow of sti covers hlt: an interrupt in between would be slept over. */
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

void arch_init(const struct boot_info *boot)
{
    paging_use_frames();  /* windows on devices need page tables */
    firmware_init(boot);  /* which controllers there are */
    clock_source_begin(); /* the measurement runs while the controllers are set up */
    if (!apic_init())
        panic("this machine has no local APIC");
    smp_init();
    ioapic_init();
    clock_source_init();
    apic_timer_init();
    call_patch_init();
    kernel_map_init();
}
