// SPDX-License-Identifier: MIT
/*
 * The 82574L and its kin on PCI Express (82574 Family Datasheet): what VMware and QEMU's q35 show by default.  Its
 * descriptors are the 8254x ones unless one asks for others; it has message interrupts, of which one is enough.
 */
#include "drivers/e1000e.h"

#include "drivers/e1000_core.h"

#define VENDOR_INTEL 0x8086

static const struct e1000_model model = { .eeprom_shift = 2,
                                          .eeprom_done = 1u << 1,
                                          .has_msi = true };

static int probe(struct device *device)
{
    return e1000_probe(device, &model);
}

const struct driver e1000e_driver = {
    .name = "e1000e",
    .bus = BUS_PCI,
    .ids = (const struct device_id[]){ { .vendor = VENDOR_INTEL, .device = 0x10d3 }, /* 82574L */
                                       { .vendor = VENDOR_INTEL, .device = 0x10f6 }, /* 82574LA */
                                       { 0 } },
    .probe = probe,
};
