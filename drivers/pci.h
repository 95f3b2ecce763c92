// SPDX-License-Identifier: MIT
#pragma once
/*
 * PCI (PCI Local Bus 3.0, PCI Express Base): configuration space, base addresses, interrupts.
 *
 * Configuration accesses are serialised here.  The rest is for probing, by one thread.
 */
#include "arch/arch.h"
#include "kernel/driver.h"

#define PCI_VENDOR_ID      0x00
#define PCI_DEVICE_ID      0x02
#define PCI_COMMAND        0x04
#define PCI_STATUS         0x06
#define PCI_CLASS          0x08 /* revision, interface, subclass, class */
#define PCI_HEADER_TYPE    0x0e
#define PCI_BAR            0x10
#define PCI_SECONDARY_BUS  0x19
#define PCI_SUBSYSTEM_ID   0x2e
#define PCI_CAPABILITIES   0x34
#define PCI_INTERRUPT_LINE 0x3c
#define PCI_INTERRUPT_PIN  0x3d

#define PCI_COMMAND_IO           0x001
#define PCI_COMMAND_MEMORY       0x002
#define PCI_COMMAND_MASTER       0x004
#define PCI_COMMAND_NO_INTERRUPT 0x400

#define PCI_CAPABILITY_MSI    0x05
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX   0x11

#define PCI_BARS 6

struct pci_bar {
    paddr_t paddr;
    uint64_t size; /* 0: there is none, or the firmware gave it no place */
    bool is_io;
};

struct pci_device {
    struct device device; /* BUS_PCI */
    uint8_t bus, slot, function;
    uint32_t class; /* class << 16 | subclass << 8 | interface */
    uint8_t msix;   /* offset of the MSI-X capability; 0: none, or not enabled */
    uint16_t msix_count;
    char *msix_table;
    struct pci_bar bar[PCI_BARS]; /* after pci_enable() */
};

uint8_t pci_read8(const struct pci_device *pci, unsigned offset);
uint16_t pci_read16(const struct pci_device *pci, unsigned offset);
uint32_t pci_read32(const struct pci_device *pci, unsigned offset);
void pci_write8(const struct pci_device *pci, unsigned offset, uint8_t value);
void pci_write16(const struct pci_device *pci, unsigned offset, uint16_t value);
void pci_write32(const struct pci_device *pci, unsigned offset, uint32_t value);

/* The offset of the first capability with this id behind `after` (0: from the start); 0: none. */
uint8_t pci_find_capability(const struct pci_device *pci, uint8_t id, uint8_t after);

/* Reads the base addresses and turns on memory decoding and bus mastering. */
void pci_enable(struct pci_device *pci);
void pci_disable(const struct pci_device *pci);

/* A window on [offset, offset + size) of a memory BAR.  -EINVAL: it is not that large; -ENOMEM. */
int pci_map_bar(const struct pci_device *pci, unsigned index, uint64_t offset, uint64_t size,
                void **window) __must_check;

/* One message interrupt -> handler on cpu.  -ENODEV: the device has none; -ENOSPC: no vector left. */
int pci_msi_enable(const struct pci_device *pci, unsigned cpu, irq_handler handler,
                   void *arg) __must_check;
/* Turns MSI-X on with all vectors masked.  -ENODEV: the device has none. */
int pci_msix_enable(struct pci_device *pci) __must_check;
/* Table entry -> handler on cpu.  -EINVAL: no such entry; -ENOSPC: no vector left. */
int pci_msix_set(struct pci_device *pci, unsigned entry, unsigned cpu, irq_handler handler,
                 void *arg) __must_check;
/* An entry that was set -> another CPU. */
void pci_msix_aim(const struct pci_device *pci, unsigned entry, unsigned cpu);
/* The wired interrupt, shared.  -ENODEV: none is routed. */
int pci_connect_intx(const struct pci_device *pci, irq_handler handler, void *arg) __must_check;

/* Walks all buses and offers what it finds to the drivers. */
void pci_init(void);
