// SPDX-License-Identifier: MIT
#pragma once
/*
 * The page of clock data that the vDSO reads in every process ("[vvar]").
 *
 * The machine's clock calls vdso_clock_end() once it knows its source, kernel/clock.c
 * vdso_set_realtime() whenever the offset of CLOCK_REALTIME changes.  Both work before memory
 * does: loader/vdso.c attaches the page later.
 *
 *     monotonic ns = ns_base + (((counter - counter_base) * mult) >> shift)   (128-bit product)
 *
 * This header is read by the vDSO's own code as well (loader/vdso/), so it is plain C.
 */
#include <stdint.h>

#define VDSO_CLOCK_NONE 0u /* no clock for the application: make the system call */
#define VDSO_CLOCK_TSC  1u

struct vdso_data {
    uint32_t sequence; /* odd while being changed */
    uint32_t kind;     /* VDSO_CLOCK_* */
    uint64_t counter_base;
    int64_t ns_base;
    uint32_t mult;
    uint32_t shift;
    int64_t realtime_offset; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
};

/* Any context; changes are serialised.  Between the two nobody reads the clock, so that the counter as it is there can
 * be the new base without a step back. */
unsigned long vdso_clock_begin(void);
void vdso_clock_end(unsigned long flags, uint32_t kind, uint64_t counter_base, int64_t ns_base,
                    uint32_t mult, uint32_t shift);
void vdso_set_realtime(int64_t offset);
/* From now on page is what the applications see. */
void vdso_attach(struct vdso_data *page);
