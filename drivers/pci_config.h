// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/* Finds a way to configuration space.  False: this machine has no PCI. */
bool pci_config_init(void);
/* size 1, 2 or 4, offset a multiple of it; all ones where nothing answers. */
uint32_t pci_config_read(unsigned bus, unsigned slot, unsigned function, unsigned offset,
                         unsigned size);
void pci_config_write(unsigned bus, unsigned slot, unsigned function, unsigned offset,
                      unsigned size, uint32_t value);
