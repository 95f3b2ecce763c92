// SPDX-License-Identifier: MIT
/* What is made of kmalloc and nothing else, the same on the host. */
#include <string.h>

#include "kernel/mm/heap.h"

void *kzalloc(size_t size, unsigned flags)
{
    return kmalloc(size, flags | ALLOC_ZERO);
}

void *kcalloc(size_t count, size_t size, unsigned flags)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return kzalloc(bytes, flags);
}

char *kstrndup(const char *text, size_t len, unsigned flags)
{
    len = strnlen(text, len);
    char *copy = kmalloc(len + 1, flags);

    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *kstrdup(const char *text, unsigned flags)
{
    return kstrndup(text, strlen(text), flags);
}
