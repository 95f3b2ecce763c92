// SPDX-License-Identifier: MIT
#pragma once
/*
 * The random pool: ChaCha20 with fast key erasure (Bernstein), seeded from the CPU, virtio-rng and
 * timing; per-CPU output needs no shared lock.  Any context for entropy_add; threads and
 * boot for random_bytes.
 */
#include "lib/compiler.h"

void entropy_init(void);
/* bits: a careful estimate of what is unpredictable in data. */
void entropy_add(const void *data, size_t len, unsigned bits);
bool entropy_is_ready(void);
void random_bytes(void *buf, size_t len);
uint64_t random64(void);
