// SPDX-License-Identifier: MIT
#pragma once
/*
 * printf-style formatting without floating point: d i u x X o c s p % with flags
 * (- 0 # + space), width, precision (also *), and the lengths hh h l ll z t j.
 *
 * Like snprintf(3): at most size bytes are written, the NUL included, and the
 * result is the length the whole text would have.
 */
#include <stdarg.h>

#include "lib/compiler.h"

int format_string(char *buf, size_t size, const char *format, ...) __printf(3, 4);
int format_string_va(char *buf, size_t size, const char *format, va_list args) __printf(3, 0);
