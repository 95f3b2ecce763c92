// SPDX-License-Identifier: MIT
/*
 * Copies to and from the application.
 *
 * The range is checked to lie in the application half; then arch_app_copy() copies, its page faults
 * are handled like the application's own (vmspace_fault), and what cannot be had ends the copy at its
 * fixup.  A kernel thread has no application memory: everything is -EFAULT for it.
 *
 * The casts below are the only places where an __app pointer becomes one that can be followed.
 */
#include "kernel/usercopy.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/arch.h"
#include "kernel/call.h"
#include "kernel/thread.h"

#define STRING_CHUNK 128 /* read ahead at most; never over a page border */

bool app_range_ok(const void __app *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;

    return (start < APP_MAX) & (size <= APP_MAX - start); /* one jump, not two */
}

static bool is_ours(const void __app *address, size_t size)
{
    const struct thread *self = arch_current();

    return app_range_ok(address, size) && self && self->vmspace;
}

/* [address, address + size) in the arguments of a call that the kernel itself makes; NULL: not there. */
static void *find_in_call(const void __app *address, size_t size)
{
    const struct thread *self = arch_current();
    const struct call_context *call = self ? self->call : NULL;
    uintptr_t start = (uintptr_t)address;

    for (unsigned i = 0; call && i < ARRAY_SIZE(call->arg); i++) {
        uintptr_t arg = call->arg[i].start;
        if (arg && start >= arg && size <= call->arg[i].size &&
            start - arg <= call->arg[i].size - size)
            return (void *)start;
    }
    return NULL;
}

static size_t copy_in_call(void *to, const void *from, size_t n)
{
    if (!to || !from)
        return n;
    memcpy(to, from, n);
    return 0;
}

size_t copy_from_app_partial(void *to, const void __app *from, size_t n)
{
    if (unlikely(!is_ours(from, n)))
        return copy_in_call(to, find_in_call(from, n), n);
    return arch_app_copy(to, (const void *)(uintptr_t)from, n);
}

size_t copy_from_app_checked(void *to, const void __app *from, size_t n)
{
    return arch_app_copy(to, (const void *)(uintptr_t)from, n);
}

size_t copy_to_app_partial(void __app *to, const void *from, size_t n)
{
    if (unlikely(!is_ours(to, n)))
        return copy_in_call(find_in_call(to, n), from, n);
    return arch_app_copy((void *)(uintptr_t)to, from, n);
}

int copy_from_app(void *to, const void __app *from, size_t n)
{
    return n > 0 && copy_from_app_partial(to, from, n) > 0 ? -EFAULT : 0;
}

int copy_to_app(void __app *to, const void *from, size_t n)
{
    return n > 0 && copy_to_app_partial(to, from, n) > 0 ? -EFAULT : 0;
}

int zero_app(void __app *to, size_t n)
{
    if (n == 0)
        return 0;
    return !is_ours(to, n) || arch_app_zero((void *)(uintptr_t)to, n) > 0 ? -EFAULT : 0;
}

/* Bytes from `from` that can be read without reaching further than a string may. */
static size_t chunk_at(uintptr_t from, size_t max)
{
    size_t to_page_end = PAGE_SIZE - from % PAGE_SIZE;

    return MIN(MIN(max, to_page_end), (size_t)STRING_CHUNK);
}

long string_from_app(char *buf, const char __app *from, size_t size)
{
    uintptr_t start = (uintptr_t)from;

    for (size_t done = 0; done < size;) {
        size_t n = chunk_at(start + done, size - done);
        int err = copy_from_app(buf + done, (const char __app *)(start + done), n);
        if (err)
            return err;
        const char *end = memchr(buf + done, '\0', n);
        if (end)
            return end - buf;
        done += n;
    }
    return -ENAMETOOLONG;
}

long string_length_app(const char __app *from, size_t max)
{
    uintptr_t start = (uintptr_t)from;
    char buf[STRING_CHUNK];

    for (size_t done = 0; done < max;) {
        size_t n = chunk_at(start + done, max - done);
        int err = copy_from_app(buf, (const char __app *)(start + done), n);
        if (err)
            return err;
        const char *end = memchr(buf, '\0', n);
        if (end)
            return (long)(done + (size_t)(end - buf));
        done += n;
    }
    return (long)max;
}

int load_app32(uint32_t *value, const uint32_t __app *from)
{
    if (!is_ours(from, sizeof(*value)))
        return -EFAULT;
    return arch_app_load32(value, (const uint32_t *)(uintptr_t)from);
}

int cmpxchg_app32(uint32_t __app *address, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    if (!is_ours(address, sizeof(*seen)))
        return -EFAULT;
    return arch_app_cmpxchg32((uint32_t *)(uintptr_t)address, expected, desired, seen);
}
