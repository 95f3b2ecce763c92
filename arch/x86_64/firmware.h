// SPDX-License-Identifier: MIT
#pragma once
#include "arch/arch.h"
#include "kernel/boot_info.h"
#include "lib/acpi_tables.h"

/* Reads the firmware's tables; arch_firmware() tells what they said. */
void firmware_init(const struct boot_info *boot);
/* For the DSDT, which is only looked at on the way out. */
extern const struct firmware_memory firmware_memory;
