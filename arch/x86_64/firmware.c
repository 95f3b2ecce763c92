// SPDX-License-Identifier: MIT
/*
 * Where the firmware's tables are: the loader hands over ACPI's root pointer, or it is searched where a BIOS
 * puts it; without ACPI there may be the older MultiProcessor tables.  All of them lie below 4 GiB, which
 * is in the direct map from the start.
 */
#include "arch/x86_64/firmware.h"

#include <string.h>

#include "kernel/log.h"
#include "lib/mptable.h"

#define REACH      0x100000000ULL
#define BDA_EBDA   0x40e /* real-mode segment of the extended BIOS data area */
#define EBDA_FIRST 0x80000
#define BIOS_DATA  0xe0000
#define BIOS_CODE  0xf0000
#define BIOS_END   0x100000

static struct firmware_info info;

static bool low_read(void *context, paddr_t at, void *to, size_t len)
{
    if (at >= REACH || len > REACH - at)
        return false;
    memcpy(to, arch_direct_map(at), len);
    return true;
}

const struct firmware_memory firmware_memory = { .read = low_read };

/* The first KiB of the extended BIOS data area, if there is one. */
static paddr_t ebda(void)
{
    uint16_t segment = 0;
    if (!low_read(NULL, BDA_EBDA, &segment, sizeof(segment)))
        return 0;
    paddr_t start = (paddr_t)segment << 4;
    return start >= EBDA_FIRST && start < BIOS_DATA ? start : 0;
}

static paddr_t find_rsdp(void)
{
    paddr_t start = ebda(), found = 0;
    if (start != 0)
        found = acpi_find_rsdp(&firmware_memory, start, start + 1024);
    return found ? found : acpi_find_rsdp(&firmware_memory, BIOS_DATA, BIOS_END);
}

static paddr_t find_mptable(void)
{
    paddr_t start = ebda(), found = 0;
    if (start != 0)
        found = mptable_find(&firmware_memory, start, start + 1024);
    if (found == 0)
        found = mptable_find(&firmware_memory, BIOS_CODE, BIOS_END);
    /* The last KiB of 639 or 640 KiB of base memory. */
    return found ? found : mptable_find(&firmware_memory, 0x9fc00, 0xa0000);
}

void firmware_init(const struct boot_info *boot)
{
    paddr_t rsdp = boot->acpi_rsdp ? boot->acpi_rsdp : find_rsdp();
    bool has_acpi = acpi_read_tables(&firmware_memory, rsdp, &info) == 0;
    bool has_mptable = false;
    if (info.ncpus == 0)
        has_mptable = mptable_read(&firmware_memory, find_mptable(), &info) == 0;
    log_info("firmware: %s, %u CPUs, %u IOAPICs",
             has_acpi      ? "ACPI"
             : has_mptable ? "MultiProcessor tables"
                           : "no tables",
             info.ncpus, info.nioapics);
}

const struct firmware_info *arch_firmware(void)
{
    return &info;
}
