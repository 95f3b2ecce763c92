// SPDX-License-Identifier: MIT
#pragma once
/*
 * For our bugs only, never for the application's arguments or a device's data.
 * assert stays on in release builds; debug_assert is for hot paths.
 */
#include "lib/compiler.h"

__noreturn __cold void panic(const char *format, ...) __printf(1, 2);

#define assert(condition)                                                                          \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition);                  \
    } while (0)

#ifdef STOUT_DEBUG
#define debug_assert(condition) assert(condition)
#else
#define debug_assert(condition) ((void)sizeof(condition))
#endif
