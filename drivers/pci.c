// SPDX-License-Identifier: MIT
/*
 * PCI devices: what the firmware set up is taken as it is.  Buses behind bridges are reached by the
 * numbers the firmware gave them.  Base addresses of a device whose decoding is off, which are 0, have been left to us
 * (QEMU's qboot assigns none); they come from the top of what chipsets leave to PCI below 4 GiB.
 */
#include "drivers/pci.h"

#include "abi/errno.h"
#include "drivers/mmio.h"
#include "drivers/pci_config.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

#define SLOTS             32
#define FUNCTIONS         8
#define STATUS_CAPABILITY 0x10
#define HEADER_MULTI      0x80
#define HEADER_BRIDGE     0x01
#define CAPABILITIES_MAX  48 /* 192 bytes of at least 4 */
#define BRIDGE_MEMORY     0x20
#define BRIDGE_BARS       2

#define BAR_IO       1u
#define BAR_TYPE     6u
#define BAR_64BIT    4u
#define BAR_IO_MASK  0xfffffffcu
#define BAR_MEM_MASK 0xfffffff0u

#define WINDOW_START 0xe0000000u
#define WINDOW_END   0xfec00000u

/* MSI capability, 6.8.1: the data come after an address of four or eight bytes. */
#define MSI_CONTROL  2
#define MSI_ADDRESS  4
#define MSI_ENABLE   0x0001
#define MSI_MULTIPLE 0x0070
#define MSI_64BIT    0x0080

/* MSI-X capability, 6.8.2. */
#define MSIX_CONTROL       2
#define MSIX_TABLE         4
#define MSIX_COUNT         0x07ff
#define MSIX_ENABLE        0x8000
#define MSIX_ENTRY_SIZE    16
#define MSIX_ENTRY_DATA    8
#define MSIX_ENTRY_CONTROL 12
#define MSIX_ENTRY_MASKED  1u

uint8_t pci_read8(const struct pci_device *pci, unsigned offset)
{
    return (uint8_t)pci_config_read(pci->bus, pci->slot, pci->function, offset, 1);
}

uint16_t pci_read16(const struct pci_device *pci, unsigned offset)
{
    return (uint16_t)pci_config_read(pci->bus, pci->slot, pci->function, offset, 2);
}

uint32_t pci_read32(const struct pci_device *pci, unsigned offset)
{
    return pci_config_read(pci->bus, pci->slot, pci->function, offset, 4);
}

void pci_write8(const struct pci_device *pci, unsigned offset, uint8_t value)
{
    pci_config_write(pci->bus, pci->slot, pci->function, offset, 1, value);
}

void pci_write16(const struct pci_device *pci, unsigned offset, uint16_t value)
{
    pci_config_write(pci->bus, pci->slot, pci->function, offset, 2, value);
}

void pci_write32(const struct pci_device *pci, unsigned offset, uint32_t value)
{
    pci_config_write(pci->bus, pci->slot, pci->function, offset, 4, value);
}

uint8_t pci_find_capability(const struct pci_device *pci, uint8_t id, uint8_t after)
{
    if (!(pci_read16(pci, PCI_STATUS) & STATUS_CAPABILITY))
        return 0;
    uint8_t at = pci_read8(pci, after ? after + 1u : PCI_CAPABILITIES) & 0xfc;
    for (unsigned i = 0; at >= 0x40 && i < CAPABILITIES_MAX; i++) {
        uint16_t head = pci_read16(pci, at);
        if ((head & 0xff) == id)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

void pci_disable(const struct pci_device *pci)
{
    uint16_t command = pci_read16(pci, PCI_COMMAND);
    pci_write16(pci, PCI_COMMAND, command & (uint16_t)~PCI_COMMAND_MASTER);
}

/* ---- Base addresses --------------------------------------------------------------------- */

/* Writes all ones and reads back which bits the device keeps. */
static uint32_t bar_probe(const struct pci_device *pci, unsigned offset, uint32_t value)
{
    pci_write32(pci, offset, UINT32_MAX);
    uint32_t kept = pci_read32(pci, offset);
    pci_write32(pci, offset, value);
    return kept;
}

/* The lowest address of the window that a device has, or devices behind a bridge; else *top. */
static void window_avoid(const struct pci_device *pci, uint64_t *top)
{
    bool is_bridge = (pci_read8(pci, PCI_HEADER_TYPE) & 0x7f) == HEADER_BRIDGE;
    uint64_t behind = (uint64_t)(pci_read16(pci, BRIDGE_MEMORY) & 0xfff0) << 16;

    if (is_bridge && behind >= WINDOW_START)
        *top = MIN(*top, behind);
    for (unsigned i = 0; i < (is_bridge ? BRIDGE_BARS : PCI_BARS); i++) {
        uint32_t low = pci_read32(pci, PCI_BAR + 4 * i);
        if (!(low & BAR_IO) && (low & BAR_MEM_MASK) >= WINDOW_START)
            *top = MIN(*top, low & BAR_MEM_MASK);
        if ((low & (BAR_IO | BAR_TYPE)) == BAR_64BIT)
            i++;
    }
}

/* Below everything that the firmware has given addresses of the window to: bus 0 shows it all. */
static uint64_t window_top(void)
{
    uint64_t top = WINDOW_END;

    for (unsigned i = 0; i < SLOTS * FUNCTIONS; i++) {
        struct pci_device pci = { .slot = (uint8_t)(i / FUNCTIONS),
                                  .function = (uint8_t)(i % FUNCTIONS) };
        bool is_there = pci_read16(&pci, PCI_VENDOR_ID) != 0xffff;
        if (is_there)
            window_avoid(&pci, &top);
        if (pci.function == 0 && !(is_there && pci_read8(&pci, PCI_HEADER_TYPE) & HEADER_MULTI))
            i += FUNCTIONS - 1;
    }
    return top;
}

/* Where a block of memory of that size, a power of two, is free; 0: there is no room. */
static uint64_t window_take(uint64_t size)
{
    static uint64_t top;

    if (!top)
        top = window_top();
    if (size > top - WINDOW_START)
        return 0;
    uint64_t at = ALIGN_DOWN(top - size, size);
    if (at < WINDOW_START)
        return 0;
    top = at;
    return at;
}

static void bar_assign(const struct pci_device *pci, unsigned offset, struct pci_bar *bar)
{
    bool is_power = bar->size != 0 && (bar->size & (bar->size - 1)) == 0;

    bar->paddr = is_power ? window_take(MAX(bar->size, PAGE_SIZE)) : 0;
    if (bar->paddr)
        pci_write32(pci, offset, (uint32_t)bar->paddr);
}

static bool bar_is_sound(const struct pci_bar *bar)
{
    return bar->paddr != 0 && bar->size != 0 && (bar->size & (bar->size - 1)) == 0 &&
           bar->paddr % bar->size == 0 && bar->paddr + bar->size > bar->paddr;
}

/* One base address; how many registers it takes. */
static unsigned read_bar(const struct pci_device *pci, unsigned index, bool may_assign,
                         struct pci_bar *bar)
{
    unsigned offset = PCI_BAR + 4 * index, nregisters = 1;
    uint32_t low = pci_read32(pci, offset), kept = bar_probe(pci, offset, low);
    bar->is_io = low & BAR_IO;
    uint64_t mask = kept & (bar->is_io ? BAR_IO_MASK : BAR_MEM_MASK);
    bar->paddr = low & (bar->is_io ? BAR_IO_MASK : BAR_MEM_MASK);
    if (!bar->is_io && (low & BAR_TYPE) == BAR_64BIT && index + 1 < PCI_BARS) {
        uint32_t high = pci_read32(pci, offset + 4);
        bar->paddr |= (uint64_t)high << 32;
        mask |= (uint64_t)bar_probe(pci, offset + 4, high) << 32;
        nregisters = 2;
    } else if (mask != 0) {
        mask |= 0xffffffff00000000ULL;
    }
    bar->size = ~mask + 1;
    if (may_assign && bar->paddr == 0 && !bar->is_io)
        bar_assign(pci, offset, bar);
    if (!bar_is_sound(bar))
        bar->size = 0;
    return nregisters;
}

/* The addresses are nonsense while they are probed, so decoding is off meanwhile; and it goes on in one step
 * with the rest, because each change makes an emulator rebuild its map of the machine. */
void pci_enable(struct pci_device *pci)
{
    uint16_t command = pci_read16(pci, PCI_COMMAND);
    uint16_t decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
    if (command & decode)
        pci_write16(pci, PCI_COMMAND, command & (uint16_t)~decode);
    for (unsigned i = 0; i < PCI_BARS;)
        i += read_bar(pci, i, !(command & decode), &pci->bar[i]);
    pci_write16(pci, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

int pci_map_bar(const struct pci_device *pci, unsigned index, uint64_t offset, uint64_t size,
                void **window)
{
    const struct pci_bar *bar = index < PCI_BARS ? &pci->bar[index] : NULL;
    if (!bar || bar->is_io || size == 0 || offset > bar->size || size > bar->size - offset)
        return -EINVAL;
    *window = arch_map_device(bar->paddr + offset, size);
    return *window ? 0 : -ENOMEM;
}

/* ---- Interrupts ---------------------------------------------------------------------------- */

static void disable_intx(const struct pci_device *pci)
{
    pci_write16(pci, PCI_COMMAND, pci_read16(pci, PCI_COMMAND) | PCI_COMMAND_NO_INTERRUPT);
}

int pci_msi_enable(const struct pci_device *pci, unsigned cpu, irq_handler handler, void *arg)
{
    uint8_t at = pci_find_capability(pci, PCI_CAPABILITY_MSI, 0);
    if (at == 0)
        return -ENODEV;
    uint64_t address;
    uint32_t data;
    int vector = arch_msi_alloc(cpu, handler, arg, &address, &data);
    if (vector < 0)
        return vector;
    uint16_t control = pci_read16(pci, at + MSI_CONTROL) & (uint16_t)~MSI_MULTIPLE;
    unsigned data_at = at + MSI_ADDRESS + 4;
    pci_write32(pci, at + MSI_ADDRESS, (uint32_t)address);
    if (control & MSI_64BIT) {
        pci_write32(pci, data_at, (uint32_t)(address >> 32));
        data_at += 4;
    }
    pci_write16(pci, data_at, (uint16_t)data);
    disable_intx(pci);
    pci_write16(pci, at + MSI_CONTROL, control | MSI_ENABLE);
    return 0;
}

int pci_msix_enable(struct pci_device *pci)
{
    uint8_t at = pci_find_capability(pci, PCI_CAPABILITY_MSIX, 0);
    if (at == 0)
        return -ENODEV;
    uint16_t control = pci_read16(pci, at + MSIX_CONTROL);
    uint32_t table = pci_read32(pci, at + MSIX_TABLE);
    uint16_t count = (control & MSIX_COUNT) + 1;
    void *window;
    int err = pci_map_bar(pci, table & 7, table & ~7u, (uint64_t)count * MSIX_ENTRY_SIZE, &window);
    if (err)
        return err;
    for (unsigned i = 0; i < count; i++)
        mmio_write32((char *)window + (size_t)i * MSIX_ENTRY_SIZE + MSIX_ENTRY_CONTROL,
                     MSIX_ENTRY_MASKED);
    disable_intx(pci);
    pci_write16(pci, at + MSIX_CONTROL, (control & MSIX_COUNT) | MSIX_ENABLE);
    pci->msix = at;
    pci->msix_count = count;
    pci->msix_table = window;
    return 0;
}

int pci_msix_set(struct pci_device *pci, unsigned entry, unsigned cpu, irq_handler handler,
                 void *arg)
{
    if (!pci->msix || entry >= pci->msix_count)
        return -EINVAL;
    uint64_t address;
    uint32_t data;
    int vector = arch_msi_alloc(cpu, handler, arg, &address, &data);
    if (vector < 0)
        return vector;
    char *at = pci->msix_table + (size_t)entry * MSIX_ENTRY_SIZE;
    mmio_write32(at, (uint32_t)address);
    mmio_write32(at + 4, (uint32_t)(address >> 32));
    mmio_write32(at + MSIX_ENTRY_DATA, data);
    mmio_write32(at + MSIX_ENTRY_CONTROL, 0);
    return 0;
}

/* Masked meanwhile, as PCI wants it; what comes in between is pending then. */
void pci_msix_aim(const struct pci_device *pci, unsigned entry, unsigned cpu)
{
    char *at = pci->msix_table + (size_t)entry * MSIX_ENTRY_SIZE;
    uint64_t address = arch_msi_address(cpu);
    mmio_write32(at + MSIX_ENTRY_CONTROL, MSIX_ENTRY_MASKED);
    mmio_write32(at, (uint32_t)address);
    mmio_write32(at + 4, (uint32_t)(address >> 32));
    mmio_write32(at + MSIX_ENTRY_CONTROL, 0);
}

/* Which wire a pin leads to only AML would tell.  But the firmware routes it to an ISA interrupt of the
 * 8259 as well, and writes that down: the I/O APIC has the same line. */
int pci_connect_intx(const struct pci_device *pci, irq_handler handler, void *arg)
{
    uint8_t line = pci_read8(pci, PCI_INTERRUPT_LINE);
    bool level, active_low;
    if (pci_read8(pci, PCI_INTERRUPT_PIN) == 0 || line == 0 || line >= 16)
        return -ENODEV;
    unsigned gsi = arch_isa_irq(line, &level, &active_low);
    return arch_irq_connect(gsi, true, active_low, handler, arg);
}

/* ---- Finding them ---------------------------------------------------------------------------- */

/* Buses left to visit and seen, a bit each: a bridge that leads back does no harm. */
struct scan {
    uint64_t seen[4];
    uint64_t todo[4];
};

static void scan_add(struct scan *scan, unsigned bus)
{
    uint64_t bit = 1ULL << bus % 64;
    if (!(scan->seen[bus / 64] & bit))
        scan->todo[bus / 64] |= bit;
    scan->seen[bus / 64] |= bit;
}

static bool scan_next(struct scan *scan, unsigned *bus)
{
    for (unsigned i = 0; i < ARRAY_SIZE(scan->todo); i++) {
        if (scan->todo[i] == 0)
            continue;
        *bus = i * 64 + (unsigned)__builtin_ctzll(scan->todo[i]);
        scan->todo[i] &= scan->todo[i] - 1;
        return true;
    }
    return false;
}

static void offer(const struct pci_device *found)
{
    struct pci_device *pci = kmalloc(sizeof(*pci), ALLOC_WAIT);
    if (!pci)
        return;
    *pci = *found;
    pci->device.handle = pci;
    pci->class = pci_read32(pci, PCI_CLASS) >> 8;
    format_string(pci->device.name, sizeof(pci->device.name), "pci %02x:%02x.%x", pci->bus,
                  pci->slot, pci->function);
    log_debug("%s: %04x:%04x, class %06x", pci->device.name, pci->device.id.vendor,
              pci->device.id.device, pci->class);
    if (device_probe(&pci->device))
        kfree(pci);
}

/* False: nothing there. */
static bool scan_function(struct scan *scan, unsigned bus, unsigned slot, unsigned function,
                          uint8_t *header)
{
    uint32_t id = pci_config_read(bus, slot, function, PCI_VENDOR_ID, 4);
    if ((id & 0xffff) == 0xffff || (id & 0xffff) == 0)
        return false;
    struct pci_device found = {
        .device = { .bus = BUS_PCI,
                    .id = { .vendor = (uint16_t)id, .device = (uint16_t)(id >> 16) } },
        .bus = (uint8_t)bus,
        .slot = (uint8_t)slot,
        .function = (uint8_t)function,
    };
    *header = pci_read8(&found, PCI_HEADER_TYPE);
    if ((*header & 0x7f) == HEADER_BRIDGE) {
        uint8_t secondary = pci_read8(&found, PCI_SECONDARY_BUS);
        if (secondary != 0)
            scan_add(scan, secondary);
    } else if ((*header & 0x7f) == 0) {
        offer(&found);
    }
    return true;
}

void pci_init(void)
{
    if (!pci_config_init())
        return;
    struct scan scan = { 0 };
    unsigned bus;
    scan_add(&scan, 0);
    while (scan_next(&scan, &bus)) {
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            uint8_t header = 0, ignored;
            if (!scan_function(&scan, bus, slot, 0, &header) || !(header & HEADER_MULTI))
                continue;
            for (unsigned function = 1; function < FUNCTIONS; function++)
                (void)scan_function(&scan, bus, slot, function, &ignored);
        }
    }
}
