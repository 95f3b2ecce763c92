// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/boot_info.h"
#include "lib/compiler.h"

/* Where every loader's road ends: called once on the boot CPU, interrupts off. */
__noreturn void kernel_main(const struct boot_info *boot);
