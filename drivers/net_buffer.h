// SPDX-License-Identifier: MIT
#pragma once
/*
 * Receive buffers of network cards: halves of page frames, recycled by a pool.
 *
 * The first bytes of a half describe it, the rest is for the device.  Each half holds a reference on its
 * frame, so a frame goes back to the allocator when both of its halves have.
 *
 * Any context; locking: pool->lock (irq spinlock).
 */
#include "kernel/mm/frame.h"
#include "kernel/netdev.h"
#include "kernel/spinlock.h"

#define NET_BUFFER_SIZE 2048UL

struct net_buffer_pool {
    struct spinlock lock;
    struct netdev_buffer *free;
    unsigned nfree;
    unsigned keep; /* free buffers beyond these go back to the frame allocator */
};

struct net_buffer {
    struct netdev_buffer buffer;
    struct net_buffer_pool *pool;
    struct frame *frame;
} __aligned(64);

#define NET_BUFFER_SPACE (NET_BUFFER_SIZE - sizeof(struct net_buffer))

void net_buffer_pool_init(struct net_buffer_pool *pool, unsigned keep);
/* NULL: no memory. */
struct net_buffer *net_buffer_alloc(struct net_buffer_pool *pool) __must_check;
/* Makes sure that the next n allocations succeed (one thread allocates).  False: no memory. */
bool net_buffer_reserve(struct net_buffer_pool *pool, unsigned n) __must_check;
void net_buffer_free(struct net_buffer *buffer);

/* Where the device writes. */
static inline void *net_buffer_space(struct net_buffer *buffer)
{
    return buffer + 1;
}
