// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"
#include "lib/firmware_info.h"

/* A counter of known rate to measure the TSC by. */
struct clock_reference {
    const char *name;
    uint64_t (*read)(void);
    void (*stop)(void); /* no longer needed; may be NULL */
    uint64_t hz;
    uint64_t mask;            /* it counts from 0 to mask and begins anew */
    unsigned first_window_us; /* what it needs for an estimate of half a percent */
};

/* The best one this machine has, running; NULL: none. */
const struct clock_reference *clock_reference_find(const struct firmware_info *firmware);
