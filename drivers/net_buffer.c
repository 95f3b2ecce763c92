// SPDX-License-Identifier: MIT
#include "drivers/net_buffer.h"

_Static_assert(2 * NET_BUFFER_SIZE == PAGE_SIZE, "two halves");
_Static_assert(NET_BUFFER_SPACE >= 12 + 14 + 4 + 1500 + 4,
               "a virtio header, a tagged Ethernet frame, its check sequence");

void net_buffer_pool_init(struct net_buffer_pool *pool, unsigned keep)
{
    *pool = (struct net_buffer_pool){ .lock = SPINLOCK_INIT(RANK_DRIVER), .keep = keep };
}

static struct net_buffer *net_buffer_of(struct netdev_buffer *buffer)
{
    return container_of(buffer, struct net_buffer, buffer);
}

static void release(struct netdev_buffer *buffer)
{
    net_buffer_free(net_buffer_of(buffer));
}

static void pool_push(struct net_buffer_pool *pool, struct net_buffer *buffer)
{
    buffer->buffer.next = pool->free;
    pool->free = &buffer->buffer;
    pool->nfree++;
}

/* Two more free buffers; pool->lock held. */
static bool pool_grow(struct net_buffer_pool *pool)
{
    struct frame *frame = frame_alloc(0, ALLOC_ATOMIC);
    if (!frame)
        return false;
    frame_get(frame);
    for (unsigned i = 0; i < 2; i++) {
        struct net_buffer *buffer = (void *)((char *)frame_address(frame) + i * NET_BUFFER_SIZE);
        *buffer = (struct net_buffer){
            .buffer = { .true_size = NET_BUFFER_SIZE, .release = release },
            .pool = pool,
            .frame = frame,
        };
        pool_push(pool, buffer);
    }
    return true;
}

struct net_buffer *net_buffer_alloc(struct net_buffer_pool *pool)
{
    struct net_buffer *buffer = NULL;
    unsigned long flags = spin_lock_irq(&pool->lock);
    if (pool->free || pool_grow(pool)) {
        buffer = net_buffer_of(pool->free);
        pool->free = buffer->buffer.next;
        pool->nfree--;
    }
    spin_unlock_irq(&pool->lock, flags);
    if (buffer)
        buffer->buffer.next = NULL;
    return buffer;
}

bool net_buffer_reserve(struct net_buffer_pool *pool, unsigned n)
{
    bool ok = true;
    unsigned long flags = spin_lock_irq(&pool->lock);
    while (ok && pool->nfree < n)
        ok = pool_grow(pool);
    spin_unlock_irq(&pool->lock, flags);
    return ok;
}

void net_buffer_free(struct net_buffer *buffer)
{
    struct net_buffer_pool *pool = buffer->pool;
    struct frame *surplus = NULL;
    unsigned long flags = spin_lock_irq(&pool->lock);
    if (pool->nfree < pool->keep)
        pool_push(pool, buffer);
    else
        surplus = buffer->frame;
    spin_unlock_irq(&pool->lock, flags);
    if (surplus)
        frame_put(surplus);
}
