// SPDX-License-Identifier: MIT
/*
 * memcpy, memmove and memset without vector registers.
 *
 * Plain moves of 64 bits, with a tail that overlaps what was moved before instead of a loop over single
 * bytes.  Large blocks use rep movsb and rep stosb where the CPU says that they are fast (ERMS); an
 * emulator says so too, but interprets each byte, so there the moves go on (measured under QEMU's TCG: 450
 * against 4,500 cycles for a KiB).
 */
#include "arch/x86_64/memory.h"

#include <string.h>

#include "arch/x86_64/cpu.h"

#define STRING_MIN 512

/* All in the first page of the text: an emulator runs a loop that crosses a page four times slower. */
#define MEMORY_TEXT __section(".text.memory")

static bool has_fast_strings;

void memory_init(void)
{
    has_fast_strings =
        !cpu_features.is_emulated && cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx & 1U << 9;
}

/* Unaligned words. */
struct word8 {
    uint64_t v;
} __attribute__((packed, may_alias));
struct word4 {
    uint32_t v;
} __attribute__((packed, may_alias));

static inline uint64_t get8(const void *p)
{
    return ((const struct word8 *)p)->v;
}

static inline void put8(void *p, uint64_t v)
{
    ((struct word8 *)p)->v = v;
}

static inline uint32_t get4(const void *p)
{
    return ((const struct word4 *)p)->v;
}

static inline void put4(void *p, uint32_t v)
{
    ((struct word4 *)p)->v = v;
}

/* n < 16; all is read before anything is written. */
static inline void move_small(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n >= 8) {
        uint64_t a = get8(from), b = get8(from + n - 8);
        put8(to, a);
        put8(to + n - 8, b);
    } else if (n >= 4) {
        uint32_t a = get4(from), b = get4(from + n - 4);
        put4(to, a);
        put4(to + n - 4, b);
    } else if (n > 0) {
        uint8_t a = from[0], b = from[n / 2], c = from[n - 1];
        to[0] = a;
        to[n / 2] = b;
        to[n - 1] = c;
    }
}

static inline void move32(uint8_t *to, const uint8_t *from)
{
    uint64_t a = get8(from), b = get8(from + 8), c = get8(from + 16), d = get8(from + 24);
    put8(to, a);
    put8(to + 8, b);
    put8(to + 16, c);
    put8(to + 24, d);
}

/* Forwards; correct for to < from as well, since each step reads before it writes. */
static MEMORY_TEXT void move_forwards(uint8_t *to, const uint8_t *from, size_t n)
{
    /* The tail overlaps the last step: read it before it may be overwritten (to < from). */
    const uint8_t *last = from + n - 16;
    uint64_t tail0 = get8(last), tail1 = get8(last + 8);
    uint8_t *tail = to + n - 16;
    for (; n >= 32; n -= 32, to += 32, from += 32)
        move32(to, from);
    if (n >= 16) {
        uint64_t a = get8(from), b = get8(from + 8);
        put8(to, a);
        put8(to + 8, b);
    }
    put8(tail, tail0);
    put8(tail + 8, tail1);
}

static MEMORY_TEXT void move_backwards(uint8_t *to, const uint8_t *from, size_t n)
{
    uint64_t head0 = get8(from), head1 = get8(from + 8);
    uint8_t *start = to;
    for (; n >= 32; n -= 32)
        move32(to + n - 32, from + n - 32);
    if (n >= 16) {
        uint64_t a = get8(from + n - 16), b = get8(from + n - 8);
        put8(to + n - 16, a);
        put8(to + n - 8, b);
    }
    put8(start, head0);
    put8(start + 8, head1);
}

MEMORY_TEXT void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    if (n < 16) {
        move_small(to, from, n);
    } else if (n >= STRING_MIN && has_fast_strings) {
        void *d = to;
        const void *s = from;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    } else {
        move_forwards(to, from, n);
    }
    return to;
}

MEMORY_TEXT void *memmove(void *to, const void *from, size_t n)
{
    if (n < 16)
        move_small(to, from, n);
    else if ((uintptr_t)to - (uintptr_t)from >= n)
        move_forwards(to, from, n);
    else
        move_backwards(to, from, n);
    return to;
}

MEMORY_TEXT void *memset(void *to, int value, size_t n)
{
    uint8_t *p = to, *end = p + n;
    uint64_t word = 0x0101010101010101ULL * (uint8_t)value;
    if (n < 8) {
        while (p < end)
            *p++ = (uint8_t)value;
        return to;
    }
    if (n >= STRING_MIN && has_fast_strings) {
        __asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(value) : "memory");
        return to;
    }
    for (; end - p >= 64; p += 64) {
        put8(p, word);
        put8(p + 8, word);
        put8(p + 16, word);
        put8(p + 24, word);
        put8(p + 32, word);
        put8(p + 40, word);
        put8(p + 48, word);
        put8(p + 56, word);
    }
    for (; end - p >= 8; p += 8)
        put8(p, word);
    put8(end - 8, word);
    return to;
}
