// SPDX-License-Identifier: MIT
/*
 * The end: power off and reset, each by the first way that works.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/firmware.h"
#include "kernel/options.h"

#define DEBUG_EXIT          0xf4   /* QEMU's isa-debug-exit: its status is value * 2 + 1 */
#define PM1_SCI_ENABLE      0x0001 /* ACPI specification 4.8.3.2.1 */
#define PM1_SLEEP_TYPE      10
#define PM1_SLEEP           0x2000
#define SLEEP_CONTROL_TYPE  2 /* 4.8.3.7 */
#define SLEEP_CONTROL_SLEEP 0x20
#define ACPI_ENABLE_SPINS   1000000
#define KEYBOARD            0x64
#define KEYBOARD_RESET      0xfe
#define KEYBOARD_BUSY       0x02
#define KEYBOARD_SPINS      1000  /* each leaves the virtual machine */
#define RESET_PORT          0xcf9 /* chip sets since the PIIX */
#define SETTLE_SPINS        100000

static void settle(void)
{
    for (unsigned i = 0; i < SETTLE_SPINS; i++)
        arch_pause();
}

static void register_write8(const struct firmware_register *reg, uint8_t value)
{
    if (reg->address == 0)
        return;
    if (reg->space == 1)
        outb((uint16_t)reg->address, value);
    else if (reg->space == 0 && reg->address < 1ULL << 32)
        *(volatile uint8_t *)arch_direct_map(reg->address) = value;
}

static void acpi_enable(const struct firmware_info *firmware)
{
    if (firmware->smi_command == 0 || firmware->acpi_enable == 0 ||
        inw(firmware->pm1a_control) & PM1_SCI_ENABLE)
        return;
    outb(firmware->smi_command, firmware->acpi_enable);
    for (unsigned i = 0; i < ACPI_ENABLE_SPINS; i++)
        if (inw(firmware->pm1a_control) & PM1_SCI_ENABLE)
            return;
}

static void acpi_power_off(void)
{
    const struct firmware_info *firmware = arch_firmware();
    uint8_t type[2];
    if (firmware->dsdt == 0 || acpi_find_s5(&firmware_memory, firmware, type))
        return;
    if (firmware->pm1a_control != 0) {
        acpi_enable(firmware);
        outw(firmware->pm1a_control, (uint16_t)((type[0] & 7) << PM1_SLEEP_TYPE | PM1_SLEEP));
        if (firmware->pm1b_control != 0)
            outw(firmware->pm1b_control, (uint16_t)((type[1] & 7) << PM1_SLEEP_TYPE | PM1_SLEEP));
    }
    register_write8(&firmware->sleep_control,
                    (uint8_t)((type[0] & 7) << SLEEP_CONTROL_TYPE | SLEEP_CONTROL_SLEEP));
    settle();
}

void arch_power_off(int status)
{
    arch_irq_disable();
    if (option_bool("debugexit", false))
        outb(DEBUG_EXIT, (uint8_t)status);
    acpi_power_off();
    /* microvm has no power button; with -no-reboot a reset ends it. */
    arch_reset();
}

void arch_reset(void)
{
    const struct firmware_info *firmware = arch_firmware();
    arch_irq_disable();
    if (firmware->reset.address != 0) {
        register_write8(&firmware->reset, firmware->reset_value);
        settle();
    }
    /* All ones: there is no such controller (microvm). */
    for (unsigned i = 0; i < KEYBOARD_SPINS; i++) {
        uint8_t status = inb(KEYBOARD);
        if (status == 0xff || !(status & KEYBOARD_BUSY))
            break;
        arch_pause();
    }
    outb(KEYBOARD, KEYBOARD_RESET);
    outb(RESET_PORT, 0x06);
    /* A triple fault: an interrupt with an empty table. */
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __packed empty = { 0, 0 };
    __asm__ volatile("lidt %0; int3" ::"m"(empty));
    arch_halt();
}
