// SPDX-License-Identifier: MIT
#pragma once
/*
 * The static ACPI tables (ACPI specification 6.4, chapter 5): pure functions over a reader of
 * physical memory.  All of it was written by somebody else: signatures, lengths and checksums are
 * verified, and a table that is wrong is as good as absent.  No AML interpreter.
 */
#include "lib/firmware_info.h"
#include "lib/firmware_memory.h"

/* The RSDP in [start, end), which begins on a multiple of 16; 0: none. */
paddr_t acpi_find_rsdp(const struct firmware_memory *memory, paddr_t start, paddr_t end);
/* Adds what the tables behind rsdp say to *info.  -EINVAL: there are no tables. */
int acpi_read_tables(const struct firmware_memory *memory, paddr_t rsdp,
                     struct firmware_info *info) __must_check;
/* The sleep types of S5 for PM1a and PM1b, from the DSDT's \_S5 package.  -ENOENT. */
int acpi_find_s5(const struct firmware_memory *memory, const struct firmware_info *info,
                 uint8_t type[2]) __must_check;
