// SPDX-License-Identifier: MIT
#pragma once
/*
 * Records of different sizes from one writer to one reader without a lock; the writer may be an interrupt.  A record
 * lies in one piece: what does not fit before the end of the memory begins at its front again.
 */
#include "lib/compiler.h"

#define RECORD_ALIGN 8u

struct record_ring {
    char *data;
    size_t size; /* a power of two, at least a page */
    size_t head; /* [a] bytes ever written; the writer's */
    size_t tail; /* [a] and read; the reader's */
};

void record_ring_init(struct record_ring *ring, void *memory, size_t size);
/* Room for a record of at most max bytes, aligned to RECORD_ALIGN; NULL: there is none. */
void *record_ring_reserve(struct record_ring *ring, size_t max) __must_check;
/* The record that was reserved last is complete with len bytes (0: there is none after all). */
void record_ring_commit(struct record_ring *ring, const void *record, size_t len);
/* The oldest record, NULL: none.  It stays until it is released. */
void *record_ring_first(struct record_ring *ring, size_t *len) __must_check;
void record_ring_release(struct record_ring *ring);
size_t record_ring_used(const struct record_ring *ring); /* bytes; from either side */
