// SPDX-License-Identifier: MIT
#include "lib/bitmap.h"

/* invert: all ones to look for clear bits. */
static size_t find(const uint64_t *map, size_t nbits, size_t start, uint64_t invert)
{
    if (start >= nbits)
        return nbits;

    size_t index = start / 64;
    uint64_t word = (map[index] ^ invert) & (~0ULL << (start % 64));
    while (word == 0) {
        if (++index >= BITMAP_WORDS(nbits))
            return nbits;
        word = map[index] ^ invert;
    }
    size_t bit = index * 64 + (size_t)__builtin_ctzll(word);
    return MIN(bit, nbits);
}

size_t bitmap_find_set(const uint64_t *map, size_t nbits, size_t start)
{
    return find(map, nbits, start, 0);
}

size_t bitmap_find_clear(const uint64_t *map, size_t nbits, size_t start)
{
    return find(map, nbits, start, ~0ULL);
}

size_t bitmap_find_clear_run(const uint64_t *map, size_t nbits, size_t start, size_t count)
{
    for (;;) {
        start = bitmap_find_clear(map, nbits, start);
        if (start >= nbits || count > nbits - start)
            return nbits;
        size_t end = bitmap_find_set(map, start + count, start);
        if (end >= start + count)
            return start;
        start = end;
    }
}

/* One word after the other. */
static void change_range(uint64_t *map, size_t start, size_t count, bool set)
{
    while (count > 0) {
        size_t n = MIN(count, 64 - start % 64);
        uint64_t mask = (n == 64 ? ~0ULL : (1ULL << n) - 1) << (start % 64);
        if (set)
            map[start / 64] |= mask;
        else
            map[start / 64] &= ~mask;
        start += n;
        count -= n;
    }
}

void bitmap_set_range(uint64_t *map, size_t start, size_t count)
{
    change_range(map, start, count, true);
}

void bitmap_clear_range(uint64_t *map, size_t start, size_t count)
{
    change_range(map, start, count, false);
}

/* Kernighan's loop: the kernel cannot count on popcnt, and __builtin_popcount would need libgcc. */
size_t bitmap_count(const uint64_t *map, size_t nbits)
{
    size_t count = 0;

    for (size_t i = 0; i < BITMAP_WORDS(nbits); i++) {
        uint64_t word = map[i];
        if (i == nbits / 64)
            word &= (1ULL << (nbits % 64)) - 1;
        for (; word != 0; word &= word - 1)
            count++;
    }
    return count;
}
