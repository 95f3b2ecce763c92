// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/boot_info.h"

/* Fills boot from the tables of the protocol that magic names (boot_entry.S). */
void boot_info_read(struct boot_info *boot, uint32_t magic, uint64_t info_paddr);
/* The first C function: never returns. */
__noreturn void boot_main(uint32_t magic, uint32_t info_paddr, uint64_t delta);
