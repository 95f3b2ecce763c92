// SPDX-License-Identifier: MIT
/*
 * The firmware's tables on any bytes.  The first byte says what the input is; sums are made right, or the fuzzer would
 * never get past them.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/acpi_tables.h"
#include "lib/mptable.h"

#define BASE 0x1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static bool read_input(void *context, paddr_t at, void *to, size_t len)
{
    const struct input *input = context;
    if (at < BASE || at - BASE > input->size || len > input->size - (at - BASE))
        return false;
    memcpy(to, input->data + (at - BASE), len);
    return true;
}

static void fix_sum(uint8_t *bytes, size_t size, size_t at, size_t len, size_t sum_at)
{
    uint8_t sum = 0;
    if (at + len > size || at + len < at || sum_at >= at + len)
        return;
    bytes[sum_at] = 0;
    for (size_t i = at; i < at + len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[sum_at] = (uint8_t)-sum;
}

/* RSDP at 0, RSDT at 64 with one table at 128: that one is the input's. */
static void frame_acpi(uint8_t *bytes, size_t size)
{
    static const char signatures[4][5] = { "APIC", "FACP", "MCFG", "HPET" };
    uint32_t rsdt = BASE + 64, table = BASE + 128, length = 40;
    if (size < 128 + 40)
        return;
    memcpy(bytes, "RSD PTR ", 8);
    bytes[15] = 0;
    memcpy(bytes + 16, &rsdt, 4);
    fix_sum(bytes, size, 0, 20, 8);
    memcpy(bytes + 64, "RSDT", 4);
    memcpy(bytes + 68, &length, 4);
    memcpy(bytes + 64 + 36, &table, 4);
    fix_sum(bytes, size, 64, length, 64 + 9);
    memcpy(bytes + 128, signatures[bytes[128] % 4], 4);
    memcpy(&length, bytes + 132, 4);
    fix_sum(bytes, size, 128, length, 128 + 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct firmware_info info = { 0 };
    uint8_t type[2];
    if (size < 64)
        return 0;
    uint8_t *bytes = malloc(size);
    memcpy(bytes, data, size);
    struct input input = { bytes, size };
    struct firmware_memory memory = { read_input, &input };
    if (bytes[20] & 1) {
        frame_acpi(bytes, size);
    } else {
        uint16_t length;
        memcpy(&length, bytes + 20, 2);
        fix_sum(bytes, size, 16, length, 16 + 7);
    }
    (void)acpi_find_rsdp(&memory, BASE, BASE + size);
    if (acpi_read_tables(&memory, BASE, &info) == 0)
        (void)!acpi_find_s5(&memory, &info, type);
    (void)mptable_find(&memory, BASE, BASE + size);
    (void)!mptable_read(&memory, BASE, &info);
    if (info.ncpus > FIRMWARE_CPUS_MAX || info.nioapics > FIRMWARE_IOAPICS_MAX ||
        info.noverrides > FIRMWARE_OVERRIDES_MAX || info.necams > FIRMWARE_ECAMS_MAX)
        abort();
    free(bytes);
    return 0;
}
