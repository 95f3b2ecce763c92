// SPDX-License-Identifier: MIT
#pragma once

/* Kernel stacks that are not in use are given back when memory is short, from now on. */
void kernel_map_init(void);
