// SPDX-License-Identifier: MIT
#pragma once

/* Maps the controllers that the firmware named and masks all lines. */
void ioapic_init(void);
