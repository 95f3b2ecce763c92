// SPDX-License-Identifier: MIT
#pragma once
/*
 * The MultiProcessor Specification 1.4's tables, from before ACPI; QEMU's microvm without ACPI has
 * them.  The same rules as in lib/acpi_tables.h.
 */
#include "lib/firmware_info.h"
#include "lib/firmware_memory.h"

/* The floating pointer in [start, end), which begins on a multiple of 16; 0: none. */
paddr_t mptable_find(const struct firmware_memory *memory, paddr_t start, paddr_t end);
/* Adds the CPUs, IOAPICs and ISA interrupts.  -EINVAL: no valid table there. */
int mptable_read(const struct firmware_memory *memory, paddr_t pointer,
                 struct firmware_info *info) __must_check;
