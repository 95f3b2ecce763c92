// SPDX-License-Identifier: MIT
/*
 * lib/acpi_tables.c and lib/mptable.c on tables made here, whole and damaged.
 */
#include <string.h>

#include "abi/errno.h"
#include "lib/acpi_tables.h"
#include "lib/mptable.h"
#include "tests/host/check.h"

#define MEMORY_SIZE 65536
#define RSDP        0x100
#define RSDT        0x200
#define XSDT        0x300
#define MADT        0x400
#define FADT        0x600
#define MCFG        0x800
#define HPET        0x900
#define DSDT        0xa00

static uint8_t bytes[MEMORY_SIZE];

static bool read_bytes(void *context, paddr_t at, void *to, size_t len)
{
    if (at > MEMORY_SIZE || len > MEMORY_SIZE - at)
        return false;
    memcpy(to, bytes + at, len);
    return true;
}

static const struct firmware_memory memory = { .read = read_bytes };

static void put(uint32_t at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static void fix_sum(uint32_t at, uint32_t len, uint32_t sum_at)
{
    uint8_t sum = 0;
    bytes[sum_at] = 0;
    for (uint32_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[at + i]);
    bytes[sum_at] = (uint8_t)-sum;
}

static void put_header(uint32_t at, const char *signature, uint32_t len)
{
    memcpy(bytes + at, signature, 4);
    put(at + 4, len, 4);
}

static void seal(uint32_t at)
{
    uint32_t len;
    memcpy(&len, bytes + at + 4, 4);
    fix_sum(at, len, at + 9);
}

static void make_madt(void)
{
    uint32_t at = MADT + 44;
    for (unsigned i = 0; i < 3; i++, at += 8) { /* the third is not enabled */
        put(at, 0x0800, 2);
        put(at + 3, i * 2, 1);
        put(at + 4, i < 2, 4);
    }
    put(at, 0x1009, 2); /* x2APIC */
    put(at + 4, 300, 4);
    put(at + 8, 1, 4);
    at += 16;
    put(at, 0x0c01, 2); /* IOAPIC */
    put(at + 2, 7, 1);
    put(at + 4, 0xfec00000, 4);
    put(at + 8, 24, 4);
    at += 12;
    put(at, 0x0a02, 2); /* IRQ 9: low, level */
    put(at + 3, 9, 1);
    put(at + 4, 20, 4);
    put(at + 8, 0xf, 2);
    at += 10;
    put_header(MADT, "APIC", at - MADT);
    seal(MADT);
}

static void make_fadt(void)
{
    put_header(FADT, "FACP", 244 + 12);
    put(FADT + 40, DSDT, 4);
    put(FADT + 48, 0xb2, 4);
    put(FADT + 52, 2, 1);
    put(FADT + 64, 0x604, 4);
    put(FADT + 76, 0x608, 4);
    put(FADT + 112, 1u << 10 | 1u << 8, 4);
    put(FADT + 116, 1, 1);
    put(FADT + 120, 0xcf9, 8);
    put(FADT + 128, 0xf, 1);
    seal(FADT);
}

static void make_dsdt(void)
{
    static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x01, 0, 0 };
    put_header(DSDT, "DSDT", 600);
    memcpy(bytes + DSDT + 36 + 200, s5, sizeof(s5)); /* over the edge of the first window */
    seal(DSDT);
}

static void make_acpi(void)
{
    memset(bytes, 0, sizeof(bytes));
    make_madt();
    make_fadt();
    make_dsdt();
    put_header(MCFG, "MCFG", 60);
    put(MCFG + 44, 0xb0000000, 8);
    put(MCFG + 55, 255, 1);
    seal(MCFG);
    put_header(HPET, "HPET", 56);
    put(HPET + 44, 0xfed00000, 8);
    seal(HPET);
    put_header(RSDT, "RSDT", 36 + 8);
    put(RSDT + 36, MADT, 4);
    put(RSDT + 40, FADT, 4);
    seal(RSDT);
    put_header(XSDT, "XSDT", 36 + 32);
    put(XSDT + 36, FADT, 8);
    put(XSDT + 44, MADT, 8);
    put(XSDT + 52, MCFG, 8);
    put(XSDT + 60, HPET, 8);
    seal(XSDT);
    memcpy(bytes + RSDP, "RSD PTR ", 8);
    put(RSDP + 15, 2, 1);
    put(RSDP + 16, RSDT, 4);
    put(RSDP + 20, 36, 4);
    put(RSDP + 24, XSDT, 8);
    fix_sum(RSDP, 20, RSDP + 8);
    fix_sum(RSDP, 36, RSDP + 32);
}

static void test_acpi(void)
{
    struct firmware_info info = { 0 };
    uint8_t type[2] = { 0 };
    make_acpi();
    CHECK_EQ(acpi_find_rsdp(&memory, 0, 0x1000), RSDP);
    CHECK_EQ(acpi_read_tables(&memory, RSDP, &info), 0);
    CHECK_EQ(info.ncpus, 3);
    CHECK_EQ(info.apic_id[1], 2);
    CHECK_EQ(info.apic_id[2], 300);
    CHECK_EQ(info.nioapics, 1);
    CHECK_EQ(info.ioapic[0].gsi_base, 24);
    CHECK_EQ(info.noverrides, 1);
    CHECK_EQ(info.override[0].gsi, 20);
    CHECK(info.override[0].level && info.override[0].active_low);
    CHECK_EQ(info.necams, 1);
    CHECK_EQ(info.ecam[0].bus_last, 255);
    CHECK_EQ(info.hpet, 0xfed00000);
    CHECK_EQ(info.pm1a_control, 0x604);
    CHECK_EQ(info.pm_timer, 0x608);
    CHECK(info.pm_timer_is_32bit);
    CHECK_EQ(info.reset.address, 0xcf9);
    CHECK_EQ(info.reset_value, 0xf);
    CHECK_EQ(acpi_find_s5(&memory, &info, type), 0);
    CHECK_EQ(type[0], 5);
    CHECK_EQ(type[1], 1);
}

/* Without the XSDT the RSDT serves; a table with a wrong sum does not count. */
static void test_damaged(void)
{
    struct firmware_info info = { 0 };
    uint8_t type[2];
    make_acpi();
    bytes[XSDT + 40] ^= 1;
    bytes[FADT + 200] ^= 1;
    CHECK_EQ(acpi_read_tables(&memory, RSDP, &info), 0);
    CHECK_EQ(info.ncpus, 3);
    CHECK_EQ(info.necams, 0);
    CHECK_EQ(info.pm1a_control, 0);
    CHECK_EQ(acpi_find_s5(&memory, &info, type), -ENOENT);
    bytes[RSDP + 9] ^= 1;
    CHECK_EQ(acpi_find_rsdp(&memory, 0, 0x1000), 0);
    CHECK_EQ(acpi_read_tables(&memory, RSDP, &info), -EINVAL);
    CHECK_EQ(acpi_read_tables(&memory, 0, &info), -EINVAL);
    CHECK_EQ(acpi_read_tables(&memory, MEMORY_SIZE - 4, &info), -EINVAL);
    CHECK_EQ(acpi_read_tables(&memory, UINT64_MAX - 4, &info), -EINVAL);
}

/* Entry lengths that lead nowhere, and a table longer than memory. */
static void test_lengths(void)
{
    struct firmware_info info = { 0 };
    make_acpi();
    bytes[MADT + 45] = 0;
    seal(MADT);
    CHECK_EQ(acpi_read_tables(&memory, RSDP, &info), 0);
    CHECK_EQ(info.ncpus, 0);
    make_acpi();
    put(MADT + 4, 0xfffff000, 4);
    put(FADT + 4, 4, 4);
    CHECK_EQ(acpi_read_tables(&memory, RSDP, &info), 0);
    CHECK_EQ(info.ncpus, 0);
}

#define MP_POINTER 0x2000
#define MP_TABLE   0x2100

static void make_mptable(void)
{
    static const uint8_t entries[] = {
        0, 0, 0x14, 3,   0,   0,   0,   0,   0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, /* CPU 0 */
        0, 1, 0x14, 1,   0,   0,   0,   0,   0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, /* CPU 1 */
        0, 2, 0x14, 0,   0,   0,   0,   0,   0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, /* not usable */
        1, 0, 'I',  'S', 'A', ' ', ' ', ' ', 2, 9, 0x11, 1, 0, 0, 0xc0, 0xfe, 3, 0, 0, 0, 0,
        4, 9, 4,                           /* one to one */
        3, 0, 15,   0,   0,   5,   9,   5, /* level, low */
        3, 0, 0,    0,   0,   0,   9,   2, /* the timer */
    };
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes + MP_POINTER, "_MP_", 4);
    put(MP_POINTER + 4, MP_TABLE, 4);
    put(MP_POINTER + 8, 1, 1);
    fix_sum(MP_POINTER, 16, MP_POINTER + 10);
    memcpy(bytes + MP_TABLE, "PCMP", 4);
    put(MP_TABLE + 4, 44 + sizeof(entries), 2);
    memcpy(bytes + MP_TABLE + 44, entries, sizeof(entries));
    fix_sum(MP_TABLE, 44 + sizeof(entries), MP_TABLE + 7);
}

static void test_mptable(void)
{
    struct firmware_info info = { 0 };
    make_mptable();
    CHECK_EQ(mptable_find(&memory, 0, MEMORY_SIZE), MP_POINTER);
    CHECK_EQ(mptable_read(&memory, MP_POINTER, &info), 0);
    CHECK_EQ(info.ncpus, 2);
    CHECK_EQ(info.nioapics, 1);
    CHECK_EQ(info.ioapic[0].paddr, 0xfec00000);
    CHECK_EQ(info.noverrides, 2);
    CHECK_EQ(info.override[0].irq, 5);
    CHECK(info.override[0].level);
    CHECK_EQ(info.override[1].gsi, 2);
    bytes[MP_TABLE + 50] ^= 1;
    CHECK_EQ(mptable_read(&memory, MP_POINTER, &info), -EINVAL);
    CHECK_EQ(mptable_read(&memory, 0, &info), -EINVAL);
}

int main(void)
{
    test_acpi();
    test_damaged();
    test_lengths();
    test_mptable();
    return 0;
}
