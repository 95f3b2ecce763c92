// SPDX-License-Identifier: MIT
#pragma once
/* Device registers: one access each, neither torn, merged nor moved across another. */
#include "lib/compiler.h"

#define MMIO_ACCESS(bits)                                                                          \
    static inline uint##bits##_t mmio_read##bits(const volatile void *address)                     \
    {                                                                                              \
        uint##bits##_t value = *(const volatile uint##bits##_t *)address;                          \
        __asm__ volatile("" ::: "memory");                                                         \
        return value;                                                                              \
    }                                                                                              \
    static inline void mmio_write##bits(volatile void *address, uint##bits##_t value)              \
    {                                                                                              \
        __asm__ volatile("" ::: "memory");                                                         \
        *(volatile uint##bits##_t *)address = value;                                               \
    }
MMIO_ACCESS(8)
MMIO_ACCESS(16)
MMIO_ACCESS(32)
#undef MMIO_ACCESS
