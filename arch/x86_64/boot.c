// SPDX-License-Identifier: MIT
/*
 * From boot_entry.S to kernel_main().
 */
#include "arch/x86_64/boot_info.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "kernel/log.h"
#include "kernel/main.h"

extern char image_start[], image_end[];

static struct boot_info boot_info;

static void map_high_ram(const struct boot_info *boot)
{
    for (unsigned i = 0; i < boot->nranges; i++) {
        const struct boot_range *range = &boot->range[i];
        if (range->kind != BOOT_RAM || range->start + range->size <= 1ULL << 32)
            continue;
        if (arch_map_ram(range->start, range->size) < 0)
            log_warning("RAM at %lx (%lu MiB) is out of the direct map's reach and not used",
                        (unsigned long)range->start, (unsigned long)(range->size >> 20));
    }
}

void boot_main(uint32_t magic, uint32_t info_paddr, uint64_t delta)
{
    cpu_init_boot();
    paging_init(delta);
    boot_info_read(&boot_info, magic, info_paddr);
    boot_info.kernel_start = image_paddr(image_start);
    boot_info.kernel_end = image_paddr(image_end);
    map_high_ram(&boot_info);
    kernel_main(&boot_info);
}
