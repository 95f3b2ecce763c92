// SPDX-License-Identifier: MIT
/*
 * The 8254x family (PCI/PCI-X Family of Gigabit Ethernet Controllers, 317453): what VirtualBox, VMware and
 * QEMU show by default.  It has a wired interrupt only.
 */
#include "drivers/e1000.h"

#include "drivers/e1000_core.h"

#define VENDOR_INTEL 0x8086

static const struct e1000_model model = { .eeprom_shift = 8, .eeprom_done = 1u << 4 };

static int probe(struct device *device)
{
    return e1000_probe(device, &model);
}

const struct driver e1000_driver = {
    .name = "e1000",
    .bus = BUS_PCI,
    .ids = (const struct device_id[]){ { .vendor = VENDOR_INTEL, .device = 0x100e }, /* 82540EM */
                                       { .vendor = VENDOR_INTEL, .device = 0x100f }, /* 82545EM */
                                       { .vendor = VENDOR_INTEL, .device = 0x1004 }, /* 82543GC */
                                       { .vendor = VENDOR_INTEL, .device = 0x100c }, /* 82544GC */
                                       { 0 } },
    .probe = probe,
};
