// SPDX-License-Identifier: MIT
/*
 * From each loader's own tables to struct boot_info.
 *
 * Everything here was written by somebody else: counts and lengths are clamped, strings are copied with
 * a bound, ranges that wrap are dropped.  All tables lie below 4 GiB, which the boot page tables
 * map (boot_entry.S).
 */
#include "arch/x86_64/boot_info.h"

#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/paging.h"

#define PVH_MAGIC 0x336ec578u
#define MB1_MAGIC 0x2badb002u
#define MB2_MAGIC 0x36d76289u
#define LOW_LIMIT 0x100000000ULL

/* Xen's public/arch-x86/hvm/start_info.h, version 1. */
struct pvh_start_info {
    uint32_t magic, version, flags, nmodules;
    uint64_t modules, cmdline, rsdp;
    uint64_t memmap;
    uint32_t nmemmap, reserved;
};

struct pvh_module {
    uint64_t address, size, cmdline, reserved;
};

struct pvh_range {
    uint64_t address, size;
    uint32_t type, reserved;
};

/* Multiboot 1, 3.3: only what is used. */
struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, nmodules, modules;
    uint32_t symbols[4], mmap_length, mmap;
};

struct mb1_module {
    uint32_t start, end, cmdline, reserved;
};

struct mb1_range {
    uint32_t size; /* of the rest */
    uint64_t address, length;
    uint32_t type;
} __packed;

/* Multiboot 2, 3.6. */
struct mb2_tag {
    uint32_t type, size;
};

/* The tag that holds it lies in memory that is given away later. */
static uint8_t rsdp_copy[36];

static const void *low_memory(uint64_t paddr, uint64_t size)
{
    if (paddr == 0 || paddr >= LOW_LIMIT || size > LOW_LIMIT - paddr)
        return NULL;
    return arch_direct_map(paddr);
}

/* type: the e820 number, which all three protocols use. */
static void add_range(struct boot_info *boot, uint64_t start, uint64_t size, uint32_t type)
{
    static const enum boot_memory kind[] = { BOOT_RESERVED, BOOT_RAM, BOOT_RESERVED,
                                             BOOT_ACPI_RECLAIMABLE, BOOT_ACPI_NVS };
    if (size == 0 || start + size < start || boot->nranges == BOOT_RANGES_MAX)
        return;
    boot->range[boot->nranges++] = (struct boot_range){
        .start = start, .size = size, .kind = type < ARRAY_SIZE(kind) ? kind[type] : BOOT_RESERVED
    };
}

static void add_module(struct boot_info *boot, uint64_t start, uint64_t size)
{
    if (size == 0 || start + size < start || boot->nmodules == BOOT_MODULES_MAX)
        return;
    boot->module[boot->nmodules++] = (struct boot_module){ .start = start, .size = size };
}

static void set_cmdline(struct boot_info *boot, uint64_t paddr, uint64_t max)
{
    const char *text = low_memory(paddr, 1);
    if (!text)
        return;
    size_t len = strnlen(text, MIN(max, BOOT_CMDLINE_MAX - 1));
    memcpy(boot->cmdline, text, len);
    boot->cmdline[len] = '\0';
}

static void read_pvh(struct boot_info *boot, uint64_t paddr)
{
    const struct pvh_start_info *info = low_memory(paddr, sizeof(*info));
    boot->loader = "PVH";
    if (!info || info->magic != PVH_MAGIC)
        return;
    set_cmdline(boot, info->cmdline, BOOT_CMDLINE_MAX);
    boot->acpi_rsdp = info->rsdp;
    uint32_t nmodules = MIN(info->nmodules, (uint32_t)BOOT_MODULES_MAX);
    const struct pvh_module *module = low_memory(info->modules, nmodules * sizeof(*module));
    for (uint32_t i = 0; module && i < nmodules; i++)
        add_module(boot, module[i].address, module[i].size);
    if (info->version < 1)
        return;
    uint32_t nranges = MIN(info->nmemmap, (uint32_t)BOOT_RANGES_MAX);
    const struct pvh_range *range = low_memory(info->memmap, nranges * sizeof(*range));
    for (uint32_t i = 0; range && i < nranges; i++)
        add_range(boot, range[i].address, range[i].size, range[i].type);
}

static void read_mb1(struct boot_info *boot, uint64_t paddr)
{
    const struct mb1_info *info = low_memory(paddr, sizeof(*info));
    boot->loader = "multiboot 1";
    if (!info)
        return;
    if (info->flags & 4)
        set_cmdline(boot, info->cmdline, BOOT_CMDLINE_MAX);
    if (info->flags & 8) {
        uint32_t n = MIN(info->nmodules, (uint32_t)BOOT_MODULES_MAX);
        const struct mb1_module *module = low_memory(info->modules, n * sizeof(*module));
        for (uint32_t i = 0; module && i < n; i++)
            if (module[i].end > module[i].start)
                add_module(boot, module[i].start, module[i].end - module[i].start);
    }
    if (!(info->flags & 64))
        return;
    uint64_t at = info->mmap, end = at + info->mmap_length;
    while (at + sizeof(struct mb1_range) <= end) {
        const struct mb1_range *range = low_memory(at, sizeof(*range));
        if (!range || range->size < sizeof(*range) - 4)
            return;
        add_range(boot, range->address, range->length, range->type);
        at += range->size + 4ULL;
    }
}

static void read_mb2_memory(struct boot_info *boot, const uint8_t *tag, uint32_t size)
{
    uint32_t entry_size;
    memcpy(&entry_size, tag + 8, 4);
    if (entry_size < 24)
        return;
    for (uint32_t at = 16; at + entry_size <= size; at += entry_size) {
        uint64_t start, length;
        uint32_t type;
        memcpy(&start, tag + at, 8);
        memcpy(&length, tag + at + 8, 8);
        memcpy(&type, tag + at + 16, 4);
        add_range(boot, start, length, type);
    }
}

static void read_mb2_tag(struct boot_info *boot, const uint8_t *tag, uint64_t paddr,
                         const struct mb2_tag *head)
{
    uint32_t start, end;
    switch (head->type) {
    case 1: /* command line */
        set_cmdline(boot, paddr + 8, head->size - 8);
        break;
    case 3: /* module */
        if (head->size < 16)
            break;
        memcpy(&start, tag + 8, 4);
        memcpy(&end, tag + 12, 4);
        if (end > start)
            add_module(boot, start, end - start);
        break;
    case 6: /* memory map */
        if (head->size >= 16)
            read_mb2_memory(boot, tag, head->size);
        break;
    case 14: /* a copy of the ACPI 1.0 RSDP; the 2.0 one, if there is one, comes later and wins */
    case 15:
        memcpy(rsdp_copy, tag + 8, MIN(head->size - 8, sizeof(rsdp_copy)));
        boot->acpi_rsdp = image_paddr(rsdp_copy);
        break;
    default:
        break;
    }
}

static void read_mb2(struct boot_info *boot, uint64_t paddr)
{
    boot->loader = "multiboot 2";
    const uint32_t *total = low_memory(paddr, 8);
    if (!total || !low_memory(paddr, *total))
        return;
    uint64_t end = paddr + *total;
    for (uint64_t at = paddr + 8; at + 8 <= end;) {
        const struct mb2_tag *tag = arch_direct_map(at);
        if (tag->type == 0 || tag->size < 8 || tag->size > end - at)
            return;
        read_mb2_tag(boot, (const uint8_t *)tag, at, tag);
        at += ALIGN_UP((uint64_t)tag->size, 8);
    }
}

void boot_info_read(struct boot_info *boot, uint32_t magic, uint64_t info_paddr)
{
    if (magic == PVH_MAGIC)
        read_pvh(boot, info_paddr);
    else if (magic == MB2_MAGIC)
        read_mb2(boot, info_paddr);
    else if (magic == MB1_MAGIC)
        read_mb1(boot, info_paddr);
    else
        boot->loader = "unknown";
}
