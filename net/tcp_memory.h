// SPDX-License-Identifier: MIT
#pragma once
/*
 * What all connections together have to send, bounded as Linux bounds it by tcp_mem (tcp(7)).
 *
 * Below the bound a connection may queue what its send buffer allows; above it no more than keeps it going, so
 * that many connections to slow readers cannot take the memory that the rest of the system lives on.
 *
 * What a closed socket left to lwIP is not counted.
 *
 * Locking: net_lock is held.
 */
#include <stddef.h>

/* A connection has `now` bytes queued or unacknowledged instead of `before`. */
void tcp_memory_charge(size_t before, size_t now);
/* What a connection may queue whose send buffer allows limit. */
size_t tcp_memory_limit(size_t limit);
void tcp_memory_init(void);
