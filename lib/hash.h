// SPDX-License-Identifier: MIT
#pragma once
/*
 * Hashes for tables in memory.  They are not keyed: where an attacker could choose many keys, mix a
 * random seed in.
 */
#include "lib/compiler.h"

/* Every bit of value reaches every bit of the result (the finaliser of MurmurHash3; it is a
 * bijection). */
static inline uint64_t hash64(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ value >> 33;
}

static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
    return hash64(hash64(a) + b);
}

/* FNV-1a, mixed at the end because its low bits alone are weak for short texts. */
static inline uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
    const unsigned char *byte = data;
    uint64_t hash = 0xcbf29ce484222325ULL ^ seed;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3ULL;
    return hash64(hash);
}
