// SPDX-License-Identifier: MIT
#include "net/tcp_memory.h"

#include "kernel/mm/frame.h"
#include "net/net.h"

#define SHARE 8 /* of the memory that is free at boot, one part: Linux's tcp_mem[1] */
#define UNDER_PRESSURE                                                                             \
    (16U << 10) /* a connection beyond that; a packet or two beyond twice as much */
#define AT_THE_END (4U << 10)

static size_t bound, total;

void tcp_memory_charge(size_t before, size_t now)
{
    assert_held(&net_lock);
    total += now - before;
}

size_t tcp_memory_limit(size_t limit)
{
    assert_held(&net_lock);
    if (total < bound)
        return limit;
    return MIN(limit, total < 2 * bound ? UNDER_PRESSURE : AT_THE_END);
}

bool tcp_memory_may_receive(size_t true_size, bool is_next)
{
    assert_held(&net_lock);
    return total < 2 * bound || (is_next && true_size < UNDER_PRESSURE);
}

size_t tcp_memory_total(void)
{
    assert_held(&net_lock);
    return total;
}

void tcp_memory_init(void)
{
    bound = frame_free_bytes() / SHARE;
}
