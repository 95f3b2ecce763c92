// SPDX-License-Identifier: MIT
/* lib/bitmap.c against one byte for each bit. */
#include "lib/bitmap.h"

#include <string.h>

#include "tests/host/check.h"

#define NBITS 200

static uint64_t map[BITMAP_WORDS(NBITS)];
static bool model[NBITS];

static size_t model_find(size_t start, size_t count, bool value)
{
    for (size_t i = start; i + count <= NBITS; i++) {
        size_t n = 0;
        while (n < count && model[i + n] == value)
            n++;
        if (n == count)
            return i;
    }
    return NBITS;
}

static void change(size_t start, size_t count, bool value)
{
    if (value)
        bitmap_set_range(map, start, count);
    else
        bitmap_clear_range(map, start, count);
    memset(model + start, value, count);
}

static void compare(void)
{
    size_t count = 0;

    for (size_t i = 0; i < NBITS; i++) {
        CHECK_EQ(bitmap_test(map, i), model[i]);
        CHECK_EQ(bitmap_find_set(map, NBITS, i), model_find(i, 1, true));
        CHECK_EQ(bitmap_find_clear(map, NBITS, i), model_find(i, 1, false));
        count += model[i];
    }
    CHECK_EQ(bitmap_count(map, NBITS), count);
    for (size_t run = 1; run < 80; run += 13)
        CHECK_EQ(bitmap_find_clear_run(map, NBITS, run, run), model_find(run, run, false));
}

int main(void)
{
    srand(1);
    for (int i = 0; i < 2000; i++) {
        size_t start = (size_t)rand() % NBITS;
        change(start, (size_t)rand() % (NBITS - start + 1), rand() & 1);
        compare();
    }
    return 0;
}
