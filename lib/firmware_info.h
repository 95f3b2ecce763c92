// SPDX-License-Identifier: MIT
#pragma once
/*
 * What a PC's firmware says about the machine, collected from its tables by lib/acpi_tables.c or
 * lib/mptable.c.  Everything has been checked: counts are within the arrays.
 */
#include "lib/compiler.h"

#define FIRMWARE_CPUS_MAX      64
#define FIRMWARE_IOAPICS_MAX   8
#define FIRMWARE_OVERRIDES_MAX 24
#define FIRMWARE_ECAMS_MAX     4

struct firmware_ioapic {
    paddr_t paddr;
    uint32_t gsi_base; /* global system interrupt of its first pin */
    uint8_t id;
};

/* An ISA interrupt that is not wired to the pin of its own number, edge-triggered, active high. */
struct firmware_override {
    uint8_t irq;
    bool level, active_low;
    uint32_t gsi;
};

/* A window on the configuration space of PCI buses [bus_first, bus_last]. */
struct firmware_ecam {
    paddr_t paddr; /* of bus 0, also if bus_first is not */
    uint16_t segment;
    uint8_t bus_first, bus_last;
};

/* ACPI generic address: space 0 memory, 1 I/O ports.  address 0: there is none. */
struct firmware_register {
    uint8_t space;
    uint64_t address;
};

struct firmware_info {
    unsigned ncpus; /* usable ones, the boot CPU among them */
    unsigned nioapics;
    unsigned noverrides;
    unsigned necams;
    uint32_t apic_id[FIRMWARE_CPUS_MAX];
    struct firmware_ioapic ioapic[FIRMWARE_IOAPICS_MAX];
    struct firmware_override override[FIRMWARE_OVERRIDES_MAX];
    struct firmware_ecam ecam[FIRMWARE_ECAMS_MAX];
    paddr_t hpet;      /* 0: none */
    uint16_t pm_timer; /* port of the 3.579545 MHz counter; 0: none */
    bool pm_timer_is_32bit;

    /* Power. */
    paddr_t dsdt;                                     /* 0: none */
    uint16_t smi_command, pm1a_control, pm1b_control; /* ports; 0: none */
    uint8_t acpi_enable;                              /* value for smi_command */
    struct firmware_register sleep_control; /* instead of PM1 where the hardware is reduced */
    struct firmware_register reset;
    uint8_t reset_value;
};
