// SPDX-License-Identifier: MIT
#pragma once
/*
 * Bitmaps in arrays of 64-bit words: bit n is bit n % 64 of word n / 64.  The caller locks.
 */
#include "lib/compiler.h"

#define BITMAP_WORDS(nbits) (((nbits) + 63) / 64)

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
    return map[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
    map[bit / 64] |= 1ULL << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
    map[bit / 64] &= ~(1ULL << (bit % 64));
}

/* The first bit at or after start with that value, or nbits. */
size_t bitmap_find_set(const uint64_t *map, size_t nbits, size_t start);
size_t bitmap_find_clear(const uint64_t *map, size_t nbits, size_t start);
/* The first run of count clear bits at or after start, or nbits. */
size_t bitmap_find_clear_run(const uint64_t *map, size_t nbits, size_t start, size_t count);
void bitmap_set_range(uint64_t *map, size_t start, size_t count);
void bitmap_clear_range(uint64_t *map, size_t start, size_t count);
size_t bitmap_count(const uint64_t *map, size_t nbits);
