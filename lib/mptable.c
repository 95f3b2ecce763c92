// SPDX-License-Identifier: MIT
#include "lib/mptable.h"

#include <string.h>

#include "abi/errno.h"

#define POINTER_SIZE    16
#define HEADER_SIZE     44
#define BUSES_MAX       32
/* The specification numbers pins per IOAPIC; all known ones of its time have 24. */
#define PINS_PER_IOAPIC 24

/* Entry types and sizes, 4.3. */
#define ENTRY_CPU       0
#define ENTRY_BUS       1
#define ENTRY_IOAPIC    2
#define ENTRY_INTERRUPT 3
#define ENTRY_SIZE_MAX  20

struct reading {
    struct firmware_info *info;
    uint32_t isa_buses; /* bit n: bus n is ISA */
};

paddr_t mptable_find(const struct firmware_memory *memory, paddr_t start, paddr_t end)
{
    return firmware_find(memory, start, end, "_MP_", 4, POINTER_SIZE);
}

static void add_cpu(struct firmware_info *info, const uint8_t *entry)
{
    if (entry[3] & 1 && info->ncpus < FIRMWARE_CPUS_MAX)
        info->apic_id[info->ncpus++] = entry[1];
}

static void add_bus(struct reading *reading, const uint8_t *entry)
{
    if (entry[1] < BUSES_MAX && memcmp(entry + 2, "ISA", 3) == 0)
        reading->isa_buses |= 1u << entry[1];
}

static void add_ioapic(struct firmware_info *info, const uint8_t *entry)
{
    uint32_t paddr;
    memcpy(&paddr, entry + 4, 4);
    if (!(entry[3] & 1) || info->nioapics == FIRMWARE_IOAPICS_MAX)
        return;
    info->ioapic[info->nioapics] = (struct firmware_ioapic){
        .id = entry[1], .paddr = paddr, .gsi_base = info->nioapics * PINS_PER_IOAPIC
    };
    info->nioapics++;
}

static bool find_gsi_base(const struct firmware_info *info, uint8_t ioapic, uint32_t *base)
{
    for (unsigned i = 0; i < info->nioapics; i++) {
        if (info->ioapic[i].id == ioapic || ioapic == 0xff) {
            *base = info->ioapic[i].gsi_base;
            return true;
        }
    }
    return false;
}

/* An I/O interrupt of an ISA bus that is not wired one to one, edge, active high. */
static void add_interrupt(struct reading *reading, const uint8_t *entry)
{
    struct firmware_info *info = reading->info;
    uint8_t bus = entry[4], irq = entry[5], pin = entry[7];
    uint32_t base;
    if (entry[1] != 0 || bus >= BUSES_MAX || !(reading->isa_buses >> bus & 1) ||
        !find_gsi_base(info, entry[6], &base))
        return;
    struct firmware_override override = { .irq = irq,
                                          .gsi = base + pin,
                                          .active_low = (entry[2] & 3) == 3,
                                          .level = (entry[2] >> 2 & 3) == 3 };
    bool is_plain = override.gsi == irq && !override.active_low && !override.level;
    if (!is_plain && info->noverrides < FIRMWARE_OVERRIDES_MAX)
        info->override[info->noverrides++] = override;
}

static unsigned entry_size(uint8_t type)
{
    return type == ENTRY_CPU ? 20 : 8;
}

static void add_entry(struct reading *reading, const uint8_t *entry)
{
    switch (entry[0]) {
    case ENTRY_CPU:
        add_cpu(reading->info, entry);
        break;
    case ENTRY_BUS:
        add_bus(reading, entry);
        break;
    case ENTRY_IOAPIC:
        add_ioapic(reading->info, entry);
        break;
    case ENTRY_INTERRUPT:
        add_interrupt(reading, entry);
        break;
    default:
        break;
    }
}

int mptable_read(const struct firmware_memory *memory, paddr_t pointer, struct firmware_info *info)
{
    uint8_t header[HEADER_SIZE], entry[ENTRY_SIZE_MAX];
    uint32_t table;
    uint16_t length;
    if (pointer == 0 || !firmware_read(memory, pointer + 4, &table, 4) || table == 0 ||
        !firmware_read(memory, table, header, HEADER_SIZE) || memcmp(header, "PCMP", 4) != 0)
        return -EINVAL;
    memcpy(&length, header + 4, 2);
    if (length < HEADER_SIZE || !firmware_sum_is_zero(memory, table, length))
        return -EINVAL;

    struct reading reading = { .info = info };
    for (uint32_t at = HEADER_SIZE; at < length;) {
        uint8_t type;
        if (!firmware_read(memory, table + at, &type, 1))
            break;
        unsigned size = entry_size(type);
        if (size > length - at || !firmware_read(memory, table + at, entry, size))
            break;
        add_entry(&reading, entry);
        at += size;
    }
    return 0;
}
