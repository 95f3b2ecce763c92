// SPDX-License-Identifier: MIT
#pragma once

/* Chooses how large blocks are moved; after cpu_detect().  memcpy and so on work before it. */
void memory_init(void);
