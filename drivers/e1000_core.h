// SPDX-License-Identifier: MIT
#pragma once
/*
 * What Intel's gigabit cards have in common: all but how a card is known, how its EEPROM is read and which
 * interrupts it has.
 */
#include "kernel/driver.h"

struct e1000_model {
    /* EEPROM read register: where the address of a word goes, and the bit that says it was read. */
    unsigned eeprom_shift;
    uint32_t eeprom_done;
    bool has_msi;
};

/* driver.probe for a card of this model. */
int e1000_probe(struct device *device, const struct e1000_model *model);
