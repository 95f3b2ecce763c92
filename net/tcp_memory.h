// SPDX-License-Identifier: MIT
#pragma once
/*
 * What all connections together have to send and have received, bounded as Linux bounds it by tcp_mem (tcp(7)).
 *
 * Below the bound a connection may queue what its send buffer allows; above it no more than keeps it going, so
 * that many connections to slow readers cannot take the memory that the rest of the system lives on.  At twice the
 * bound what arrives is dropped, but for the next bytes of a stream of which little waits to be read; the peer sends
 * it again.
 *
 * What a closed socket left to lwIP is not counted, nor is what waits for a gap before it.
 *
 * Locking: net_lock is held.
 */
#include <stdbool.h>
#include <stddef.h>

/* A connection has `now` bytes queued, unacknowledged or unread instead of `before`. */
void tcp_memory_charge(size_t before, size_t now);
/* What a connection may queue whose send buffer allows limit. */
size_t tcp_memory_limit(size_t limit);
/* Whether a connection may receive data of which it keeps true_size bytes already; is_next: what it waits for. */
bool tcp_memory_may_receive(size_t true_size, bool is_next);
/* All of it, in bytes. */
size_t tcp_memory_total(void);
void tcp_memory_init(void);
