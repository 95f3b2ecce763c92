// SPDX-License-Identifier: MIT
#include "lib/acpi_tables.h"

#include <string.h>

#include "abi/errno.h"

#define TABLE_SIZE_MAX (1u << 20)
#define TABLES_MAX     64

/* RSDP, 5.2.5.3. */
#define RSDP_V1_SIZE  20
#define RSDP_REVISION 15
#define RSDP_RSDT     16
#define RSDP_XSDT     24
#define RSDP_V2_SIZE  36

/* Table header, 5.2.6. */
#define HEADER_SIZE   36
#define HEADER_LENGTH 4

/* FADT, 5.2.9. */
#define FADT_DSDT             40
#define FADT_SMI_COMMAND      48
#define FADT_ACPI_ENABLE      52
#define FADT_PM1A_CONTROL     64
#define FADT_PM1B_CONTROL     68
#define FADT_PM_TIMER         76
#define FADT_FLAGS            112
#define FADT_RESET            116
#define FADT_RESET_VALUE      128
#define FADT_X_DSDT           140
#define FADT_SLEEP_CONTROL    244
#define FADT_FLAG_TIMER_32BIT (1u << 8)
#define FADT_FLAG_RESET       (1u << 10)

/* MADT, 5.2.12. */
#define MADT_ENTRIES      44
#define MADT_LOCAL_APIC   0
#define MADT_IOAPIC       1
#define MADT_OVERRIDE     2
#define MADT_LOCAL_X2APIC 9
#define MADT_CPU_ENABLED  1u

/* A table whose header has been checked. */
struct table {
    const struct firmware_memory *memory;
    paddr_t at;
    uint32_t length;
    char signature[4];
};

/* Little-endian integers inside a table; 0 beyond its end, which is what an older, shorter
 * revision of a table means. */
static uint64_t table_get(const struct table *table, uint32_t offset, unsigned size)
{
    uint8_t bytes[8] = { 0 };
    if (offset + size > table->length ||
        !firmware_read(table->memory, table->at + offset, bytes, size))
        return 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static struct firmware_register table_get_register(const struct table *table, uint32_t offset)
{
    return (struct firmware_register){ .space = (uint8_t)table_get(table, offset, 1),
                                       .address = table_get(table, offset + 4, 8) };
}

static bool table_open(const struct firmware_memory *memory, paddr_t at, struct table *table)
{
    uint8_t header[HEADER_SIZE];
    if (at == 0 || !firmware_read(memory, at, header, sizeof(header)))
        return false;
    memcpy(table->signature, header, 4);
    memcpy(&table->length, header + HEADER_LENGTH, 4);
    table->memory = memory;
    table->at = at;
    return table->length >= HEADER_SIZE && table->length <= TABLE_SIZE_MAX &&
           firmware_sum_is_zero(memory, at, table->length);
}

static bool rsdp_is_valid(const struct firmware_memory *memory, paddr_t at)
{
    char signature[8];
    return firmware_read(memory, at, signature, 8) && memcmp(signature, "RSD PTR ", 8) == 0 &&
           firmware_sum_is_zero(memory, at, RSDP_V1_SIZE);
}

paddr_t acpi_find_rsdp(const struct firmware_memory *memory, paddr_t start, paddr_t end)
{
    return firmware_find(memory, start, end, "RSD PTR ", 8, RSDP_V1_SIZE);
}

/* ---- MADT -------------------------------------------------------------------- */

static void add_cpu(struct firmware_info *info, uint32_t apic_id, uint32_t flags)
{
    if (!(flags & MADT_CPU_ENABLED) || info->ncpus == FIRMWARE_CPUS_MAX)
        return;
    for (unsigned i = 0; i < info->ncpus; i++)
        if (info->apic_id[i] == apic_id)
            return;
    info->apic_id[info->ncpus++] = apic_id;
}

static void add_override(struct firmware_info *info, const struct table *madt, uint32_t at)
{
    if (info->noverrides == FIRMWARE_OVERRIDES_MAX)
        return;
    uint32_t flags = (uint32_t)table_get(madt, at + 8, 2);
    info->override[info->noverrides++] = (struct firmware_override){
        .irq = (uint8_t)table_get(madt, at + 3, 1),
        .gsi = (uint32_t)table_get(madt, at + 4, 4),
        .active_low = (flags & 3) == 3,
        .level = (flags >> 2 & 3) == 3,
    };
}

static void add_ioapic(struct firmware_info *info, const struct table *madt, uint32_t at)
{
    if (info->nioapics == FIRMWARE_IOAPICS_MAX)
        return;
    info->ioapic[info->nioapics++] = (struct firmware_ioapic){
        .id = (uint8_t)table_get(madt, at + 2, 1),
        .paddr = table_get(madt, at + 4, 4),
        .gsi_base = (uint32_t)table_get(madt, at + 8, 4),
    };
}

static void read_madt(const struct table *madt, struct firmware_info *info)
{
    for (uint32_t at = MADT_ENTRIES; at + 2 <= madt->length;) {
        uint8_t type = (uint8_t)table_get(madt, at, 1), len = (uint8_t)table_get(madt, at + 1, 1);
        if (len < 2 || len > madt->length - at)
            return;
        if (type == MADT_LOCAL_APIC && len >= 8)
            add_cpu(info, (uint32_t)table_get(madt, at + 3, 1),
                    (uint32_t)table_get(madt, at + 4, 4));
        else if (type == MADT_LOCAL_X2APIC && len >= 16)
            add_cpu(info, (uint32_t)table_get(madt, at + 4, 4),
                    (uint32_t)table_get(madt, at + 8, 4));
        else if (type == MADT_IOAPIC && len >= 12)
            add_ioapic(info, madt, at);
        else if (type == MADT_OVERRIDE && len >= 10)
            add_override(info, madt, at);
        at += len;
    }
}

/* ---- The other tables ---------------------------------------------------------- */

static void read_fadt(const struct table *fadt, struct firmware_info *info)
{
    uint32_t flags = (uint32_t)table_get(fadt, FADT_FLAGS, 4);
    info->dsdt = table_get(fadt, FADT_X_DSDT, 8);
    if (info->dsdt == 0)
        info->dsdt = table_get(fadt, FADT_DSDT, 4);
    info->smi_command = (uint16_t)table_get(fadt, FADT_SMI_COMMAND, 4);
    info->acpi_enable = (uint8_t)table_get(fadt, FADT_ACPI_ENABLE, 1);
    info->pm1a_control = (uint16_t)table_get(fadt, FADT_PM1A_CONTROL, 4);
    info->pm1b_control = (uint16_t)table_get(fadt, FADT_PM1B_CONTROL, 4);
    info->pm_timer = (uint16_t)table_get(fadt, FADT_PM_TIMER, 4);
    info->pm_timer_is_32bit = flags & FADT_FLAG_TIMER_32BIT;
    info->sleep_control = table_get_register(fadt, FADT_SLEEP_CONTROL);
    if (flags & FADT_FLAG_RESET) {
        info->reset = table_get_register(fadt, FADT_RESET);
        info->reset_value = (uint8_t)table_get(fadt, FADT_RESET_VALUE, 1);
    }
}

/* PCI Firmware Specification 3.3, 4.1.2. */
static void read_mcfg(const struct table *mcfg, struct firmware_info *info)
{
    for (uint32_t at = 44; at + 16 <= mcfg->length && info->necams < FIRMWARE_ECAMS_MAX; at += 16) {
        struct firmware_ecam ecam = {
            .paddr = table_get(mcfg, at, 8),
            .segment = (uint16_t)table_get(mcfg, at + 8, 2),
            .bus_first = (uint8_t)table_get(mcfg, at + 10, 1),
            .bus_last = (uint8_t)table_get(mcfg, at + 11, 1),
        };
        if (ecam.paddr != 0 && ecam.paddr % 4096 == 0 && ecam.bus_first <= ecam.bus_last)
            info->ecam[info->necams++] = ecam;
    }
}

/* IA-PC HPET Specification 1.0a, 3.2.4; only in memory space. */
static void read_hpet(const struct table *table, struct firmware_info *info)
{
    struct firmware_register base = table_get_register(table, 40);
    if (base.space == 0)
        info->hpet = base.address;
}

static void read_table(const struct table *table, struct firmware_info *info)
{
    static const struct {
        char signature[5];
        void (*read)(const struct table *table, struct firmware_info *info);
    } readers[] = {
        { "APIC", read_madt }, { "FACP", read_fadt }, { "MCFG", read_mcfg }, { "HPET", read_hpet }
    };
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (memcmp(table->signature, readers[i].signature, 4) == 0)
            readers[i].read(table, info);
}

/* The XSDT or RSDT that the RSDP names; entry size in *width. */
static bool open_root(const struct firmware_memory *memory, paddr_t rsdp, struct table *root,
                      unsigned *width)
{
    uint8_t bytes[RSDP_V2_SIZE] = { 0 };
    uint32_t rsdt;
    uint64_t xsdt;
    if (rsdp == 0 || !rsdp_is_valid(memory, rsdp) ||
        !firmware_read(memory, rsdp, bytes, RSDP_V1_SIZE))
        return false;
    if (bytes[RSDP_REVISION] >= 2 && firmware_read(memory, rsdp, bytes, RSDP_V2_SIZE) &&
        firmware_sum_is_zero(memory, rsdp, RSDP_V2_SIZE)) {
        memcpy(&xsdt, bytes + RSDP_XSDT, 8);
        *width = 8;
        if (table_open(memory, xsdt, root) && memcmp(root->signature, "XSDT", 4) == 0)
            return true;
    }
    memcpy(&rsdt, bytes + RSDP_RSDT, 4);
    *width = 4;
    return table_open(memory, rsdt, root) && memcmp(root->signature, "RSDT", 4) == 0;
}

int acpi_read_tables(const struct firmware_memory *memory, paddr_t rsdp, struct firmware_info *info)
{
    struct table root, table;
    unsigned width;
    if (!open_root(memory, rsdp, &root, &width))
        return -EINVAL;
    for (unsigned i = 0; i < TABLES_MAX; i++) {
        uint32_t at = HEADER_SIZE + i * width;
        if (at + width > root.length)
            break;
        if (table_open(memory, table_get(&root, at, width), &table))
            read_table(&table, info);
    }
    return 0;
}

/* ---- \_S5 ------------------------------------------------------------------------ */

/* An integer constant of AML (20.2.3): its value and how many bytes it takes; 0: not one. */
static unsigned aml_integer(const uint8_t *aml, unsigned len, uint8_t *value)
{
    if (len < 1)
        return 0;
    if (aml[0] == 0x00 || aml[0] == 0x01) { /* ZeroOp, OneOp */
        *value = aml[0];
        return 1;
    }
    if (aml[0] == 0x0a && len >= 2) { /* BytePrefix */
        *value = aml[1];
        return 2;
    }
    if (aml[0] == 0x0b && len >= 3) { /* WordPrefix */
        *value = aml[1];
        return 3;
    }
    return 0;
}

/* aml follows the name: Package, its length, the number of elements, the elements (20.2.5.4). */
static bool aml_read_s5(const uint8_t *aml, unsigned len, uint8_t type[2])
{
    if (len < 4 || aml[0] != 0x12)
        return false;
    unsigned at = 1 + (aml[1] >> 6) + 1 + 1;
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = at < len ? aml_integer(aml + at, len - at, &type[i]) : 0;
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

int acpi_find_s5(const struct firmware_memory *memory, const struct firmware_info *info,
                 uint8_t type[2])
{
    struct table dsdt;
    if (!table_open(memory, info->dsdt, &dsdt) || memcmp(dsdt.signature, "DSDT", 4) != 0)
        return -ENOENT;
    for (uint32_t at = HEADER_SIZE; at < dsdt.length;) {
        /* Windows that overlap by the longest match: a name, a package, two words. */
        uint8_t window[256];
        uint32_t n = MIN(dsdt.length - at, (uint32_t)sizeof(window));
        if (!firmware_read(memory, dsdt.at + at, window, n))
            return -ENOENT;
        for (uint32_t i = 0; i + 4 < n; i++)
            if (window[i] == '_' && memcmp(window + i, "_S5_", 4) == 0 &&
                aml_read_s5(window + i + 4, n - i - 4, type))
                return 0;
        if (n < sizeof(window))
            break;
        at += sizeof(window) - 32;
    }
    return -ENOENT;
}
