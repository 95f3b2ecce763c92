// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/* The date of the battery-backed clock, taken to be UTC, to the second.  False: there is none. */
bool rtc_read(nsec_t *realtime) __must_check;
