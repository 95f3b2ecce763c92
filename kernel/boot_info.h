// SPDX-License-Identifier: MIT
#pragma once
/*
 * What every loader's protocol ends in (arch/x86_64/boot_info.c fills it); nothing
 * after that knows the loader.  All of it has been checked: counts are within the
 * arrays, ranges do not wrap, strings end.
 */
#include "lib/compiler.h"

#define BOOT_RANGES_MAX  128
#define BOOT_MODULES_MAX 8
#define BOOT_CMDLINE_MAX 2048

enum boot_memory { BOOT_RAM, BOOT_RESERVED, BOOT_ACPI_RECLAIMABLE, BOOT_ACPI_NVS };

struct boot_range {
    paddr_t start;
    uint64_t size;
    enum boot_memory kind;
};

struct boot_module {
    paddr_t start;
    uint64_t size;
};

struct boot_info {
    const char *loader;   /* "PVH", "multiboot 2", ... for the log */
    paddr_t kernel_start; /* where the image really is: [start, end) */
    paddr_t kernel_end;
    paddr_t acpi_rsdp; /* 0: none handed over, search for it */
    unsigned nranges;
    unsigned nmodules;
    struct boot_range range[BOOT_RANGES_MAX];
    struct boot_module module[BOOT_MODULES_MAX];
    char cmdline[BOOT_CMDLINE_MAX];
};
