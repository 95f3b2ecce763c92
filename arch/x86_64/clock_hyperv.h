// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/* Hyper-V's clocks.  All of these are harmless elsewhere: false, 0. */
void clock_hyperv_detect(void);
bool clock_hyperv_init(void) __must_check;
nsec_t clock_hyperv_read(void);
uint64_t clock_hyperv_tsc_hz(void);
uint64_t clock_hyperv_apic_hz(void);
