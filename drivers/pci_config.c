// SPDX-License-Identifier: MIT
/*
 * Access to PCI configuration space: by the ports 0xcf8 and 0xcfc where they work, which reach the first
 * 256 bytes of a function, else (and for the rest) by the memory window that ACPI's MCFG names.
 *
 * Windows are mapped a bus at a time (1 MiB), when first used.  Locking: config_lock (irq spinlock) because
 * the two ports belong together.
 */
#include "drivers/pci_config.h"

#include "arch/arch.h"
#include "drivers/mmio.h"
#include "kernel/spinlock.h"
#include "lib/firmware_info.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ENABLE       0x80000000u
#define PORT_REACH   256
#define ECAM_REACH   4096
#define BUS_WINDOW   0x100000UL

static struct spinlock config_lock = SPINLOCK_INIT(RANK_DRIVER);
static bool has_ports;
static char *bus_window[256]; /* [a] */

static bool ports_work(void)
{
    uint32_t before = arch_port_read32(PORT_ADDRESS);
    arch_port_write32(PORT_ADDRESS, ENABLE);
    bool works = arch_port_read32(PORT_ADDRESS) == ENABLE;
    arch_port_write32(PORT_ADDRESS, before);
    return works;
}

bool pci_config_init(void)
{
    has_ports = ports_work();
    return has_ports || arch_firmware()->necams > 0;
}

/* The bus's window, mapped if need be; NULL: no table names it, or there is no memory. */
static char *window_of(unsigned bus)
{
    char *window = __atomic_load_n(&bus_window[bus], __ATOMIC_ACQUIRE);
    const struct firmware_info *firmware = arch_firmware();
    for (unsigned i = 0; !window && i < firmware->necams; i++) {
        const struct firmware_ecam *ecam = &firmware->ecam[i];
        if (ecam->segment != 0 || bus < ecam->bus_first || bus > ecam->bus_last)
            continue;
        window = arch_map_device(ecam->paddr + bus * BUS_WINDOW, BUS_WINDOW);
        __atomic_store_n(&bus_window[bus], window, __ATOMIC_RELEASE);
    }
    return window;
}

static char *ecam_register(unsigned bus, unsigned slot, unsigned function, unsigned offset)
{
    char *window = offset < ECAM_REACH ? window_of(bus) : NULL;
    return window ? window + (slot << 15 | function << 12 | offset) : NULL;
}

static uint32_t port_read(unsigned offset, unsigned size)
{
    uint16_t port = (uint16_t)(PORT_DATA + (offset & 3));
    if (size == 1)
        return arch_port_read8(port);
    return size == 2 ? arch_port_read16(port) : arch_port_read32(port);
}

static void port_write(unsigned offset, unsigned size, uint32_t value)
{
    uint16_t port = (uint16_t)(PORT_DATA + (offset & 3));
    if (size == 1)
        arch_port_write8(port, (uint8_t)value);
    else if (size == 2)
        arch_port_write16(port, (uint16_t)value);
    else
        arch_port_write32(port, value);
}

static void port_select(unsigned bus, unsigned slot, unsigned function, unsigned offset)
{
    arch_port_write32(PORT_ADDRESS,
                      ENABLE | bus << 16 | slot << 11 | function << 8 | (offset & ~3u));
}

uint32_t pci_config_read(unsigned bus, unsigned slot, unsigned function, unsigned offset,
                         unsigned size)
{
    if (has_ports && offset < PORT_REACH) {
        unsigned long flags = spin_lock_irq(&config_lock);
        port_select(bus, slot, function, offset);
        uint32_t value = port_read(offset, size);
        spin_unlock_irq(&config_lock, flags);
        return value;
    }
    const char *reg = ecam_register(bus, slot, function, offset);
    if (!reg)
        return UINT32_MAX;
    if (size == 1)
        return mmio_read8(reg);
    return size == 2 ? mmio_read16(reg) : mmio_read32(reg);
}

void pci_config_write(unsigned bus, unsigned slot, unsigned function, unsigned offset,
                      unsigned size, uint32_t value)
{
    if (has_ports && offset < PORT_REACH) {
        unsigned long flags = spin_lock_irq(&config_lock);
        port_select(bus, slot, function, offset);
        port_write(offset, size, value);
        spin_unlock_irq(&config_lock, flags);
        return;
    }
    char *reg = ecam_register(bus, slot, function, offset);
    if (!reg)
        return;
    if (size == 1)
        mmio_write8(reg, (uint8_t)value);
    else if (size == 2)
        mmio_write16(reg, (uint16_t)value);
    else
        mmio_write32(reg, value);
}
