// SPDX-License-Identifier: MIT
#pragma once
/*
 * Physical memory as the parsers of firmware tables see it.
 */
#include "lib/compiler.h"

struct firmware_memory {
    /* False if [at, at + len) is out of reach. */
    bool (*read)(void *context, paddr_t at, void *to, size_t len);
    void *context;
};

bool firmware_read(const struct firmware_memory *memory, paddr_t at, void *to,
                   size_t len) __must_check;
/* Whether the bytes of [at, at + len) can be read and add up to zero. */
bool firmware_sum_is_zero(const struct firmware_memory *memory, paddr_t at, uint32_t len);
/* The first multiple of 16 in [start, end) where signature stands before checksum_len bytes that add up
 * to zero; 0: nowhere.  start is a multiple of 16, signature_len at most 16. */
paddr_t firmware_find(const struct firmware_memory *memory, paddr_t start, paddr_t end,
                      const char *signature, size_t signature_len, uint32_t checksum_len);
