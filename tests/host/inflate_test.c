// SPDX-License-Identifier: MIT
/*
 * inflate_block() against zlib, which makes what it reads; then damage, of which nothing may come but a refusal or
 * other bytes.
 */
#include "lib/inflate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/host/check.h"

#define SIZE 70000

static struct inflate_work work;
static uint8_t plain[SIZE], packed[2 * SIZE], out[SIZE];
static uint32_t state = 1;

static uint32_t chance(uint32_t below)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

/* Text of that many different bytes, in which what came before comes again. */
static void make_plain(size_t size, unsigned letters, unsigned again)
{
    for (size_t i = 0; i < size;) {
        if (i > 0 && chance(100) < again) {
            size_t distance = 1 + chance((uint32_t)MIN(i, 32768U));
            for (size_t n = 3 + chance(300); n > 0 && i < size; n--, i++)
                plain[i] = plain[i - distance];
        } else {
            plain[i++] = (uint8_t)chance(letters);
        }
    }
}

static size_t pack(size_t size, int level, int strategy)
{
    z_stream z = {
        .next_in = plain, .avail_in = (uInt)size, .next_out = packed, .avail_out = sizeof(packed)
    };

    CHECK_EQ(deflateInit2(&z, level, Z_DEFLATED, -15, 9, strategy), Z_OK);
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    CHECK_EQ(deflateEnd(&z), Z_OK);
    return z.total_out;
}

/* From memory of exactly these sizes, so that the sanitizer sees a step beyond. */
static long unpack(size_t size, size_t room)
{
    uint8_t *from = malloc(size), *to = malloc(room);

    memcpy(from, packed, size);
    long n = inflate_block(&work, from, size, to, room);
    CHECK(n <= (long)room);
    memcpy(out, to, room);
    free(from);
    free(to);
    return n;
}

static void test_round(size_t size, unsigned letters, unsigned again, int level, int strategy)
{
    make_plain(size, letters, again);
    size_t npacked = pack(size, level, strategy);

    CHECK_EQ(unpack(npacked, size), (long)size);
    CHECK_EQ(memcmp(out, plain, size), 0);
    CHECK_EQ(unpack(npacked, size + 1), (long)size);
    CHECK_EQ(unpack(npacked - 1, size), -1);
    if (size > 0)
        CHECK_EQ(unpack(npacked, size - 1), -1);
}

static void test_rounds(void)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 300, 4096, 32768, SIZE - 1 };
    static const unsigned letters[] = { 1, 2, 40, 256 };

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(letters); j++) {
            for (int level = 0; level <= 9; level += 3)
                test_round(sizes[i], letters[j], j * 15, level, Z_DEFAULT_STRATEGY);
            test_round(sizes[i], letters[j], 20, 9, Z_FIXED);
            test_round(sizes[i], letters[j], 0, 9, Z_HUFFMAN_ONLY);
        }
    }
}

/* All lengths of codes: how often a letter comes doubles from one to the next. */
static void test_long_codes(void)
{
    size_t size = 0;

    for (unsigned letter = 0; letter < 16; letter++) {
        for (size_t n = 1UL << letter; n > 0 && size < SIZE - 1; n--)
            plain[size++] = (uint8_t)(letter * 11);
    }
    size_t npacked = pack(size, 9, Z_HUFFMAN_ONLY);
    CHECK_EQ(unpack(npacked, size), (long)size);
    CHECK_EQ(memcmp(out, plain, size), 0);
}

static void test_damage(void)
{
    make_plain(9000, 60, 30);
    size_t npacked = pack(9000, 9, Z_DEFAULT_STRATEGY);

    for (unsigned i = 0; i < 3000; i++) {
        size_t at = chance((uint32_t)npacked);
        uint8_t old = packed[at];
        packed[at] ^= (uint8_t)(1 + chance(255));
        (void)!unpack(npacked, 9000);
        packed[at] = old;
    }
    CHECK_EQ(unpack(npacked, 9000), 9000);
}

static void test_blocks(void)
{
    /* The end-of-file block of BGZF. */
    static const uint8_t block[] =
        "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0";
    struct gzip_block found;

    CHECK(gzip_block_read(block, 28, &found));
    CHECK_EQ(found.whole, 28);
    CHECK_EQ(inflate_block(&work, found.data, found.size, out, 0), 0);
    CHECK(!gzip_block_read(block, 27, &found));
    CHECK(!gzip_block_read(block, 17, &found));
    CHECK(!gzip_block_read(block + 1, 27, &found));
}

int main(void)
{
    test_rounds();
    test_long_codes();
    test_damage();
    test_blocks();
    return 0;
}
