// SPDX-License-Identifier: MIT
/*
 * The application's memory on the host: one array.  What lies outside is a bad address.
 */
#include <string.h>

#include "abi/errno.h"
#include "arch/arch.h"
#include "arch/host/machine.h"

char machine_app[MACHINE_APP_SIZE] __aligned(4096);

static bool is_app(const void *pointer)
{
    return (const char *)pointer >= machine_app &&
           (const char *)pointer < machine_app + sizeof(machine_app);
}

static size_t app_room(const void *pointer, size_t n)
{
    return MIN(n, (size_t)(machine_app + sizeof(machine_app) - (const char *)pointer));
}

/* One side is the application's; the other is the kernel's and good. */
size_t arch_app_copy(void *to, const void *from, size_t n)
{
    if (!is_app(to) && !is_app(from))
        return n;
    size_t len = is_app(to) ? app_room(to, n) : app_room(from, n);
    memmove(to, from, len);
    return n - len;
}

size_t arch_app_zero(void *to, size_t n)
{
    size_t len = is_app(to) ? app_room(to, n) : 0;

    if (len > 0)
        memset(to, 0, len);
    return n - len;
}

int arch_app_load32(uint32_t *value, const uint32_t *address)
{
    if (!is_app(address))
        return -EFAULT;
    *value = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    arch_pause(); /* here it would fault, and others run */
    return 0;
}

int arch_app_cmpxchg32(uint32_t *address, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    if (!is_app(address))
        return -EFAULT;
    *seen = expected;
    __atomic_compare_exchange_n(address, seen, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    arch_pause();
    return 0;
}
