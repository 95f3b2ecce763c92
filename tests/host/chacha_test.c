// SPDX-License-Identifier: MIT
/* lib/chacha.c against the vectors of RFC 8439 (2.3.2) and of the XChaCha draft (2.2.1). */
#include "lib/chacha.h"

#include <string.h>

#include "tests/host/check.h"

static void key_make(uint32_t key[CHACHA_KEY_WORDS])
{
    uint8_t bytes[32];

    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    memcpy(key, bytes, sizeof(bytes));
}

static void test_block(void)
{
    static const uint8_t nonce[16] = { 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0 };
    static const uint8_t expected[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e
    };
    uint32_t key[CHACHA_KEY_WORDS], input[4];
    uint8_t out[CHACHA_BLOCK_BYTES];

    key_make(key);
    memcpy(input, nonce, sizeof(input));
    chacha_block(key, input, out);
    CHECK(memcmp(out, expected, sizeof(expected)) == 0);
}

static void test_derive(void)
{
    static const uint8_t nonce[16] = {
        0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0, 0x31, 0x41, 0x59, 0x27
    };
    static const uint8_t expected[32] = { 0x82, 0x41, 0x3b, 0x42, 0x27, 0xb2, 0x7b, 0xfe,
                                          0xd3, 0x0e, 0x42, 0x50, 0x8a, 0x87, 0x7d, 0x73,
                                          0xa0, 0xf9, 0xe4, 0xd5, 0x8a, 0x74, 0xa8, 0x53,
                                          0xc1, 0x2e, 0xc4, 0x13, 0x26, 0xd3, 0xec, 0xdc };
    uint32_t key[CHACHA_KEY_WORDS], input[4], out[CHACHA_KEY_WORDS];

    key_make(key);
    memcpy(input, nonce, sizeof(input));
    chacha_derive(key, input, out);
    CHECK(memcmp(out, expected, sizeof(expected)) == 0);
    /* In place, as the random pool uses it. */
    chacha_derive(key, input, key);
    CHECK(memcmp(key, expected, sizeof(expected)) == 0);
}

int main(void)
{
    test_block();
    test_derive();
    return 0;
}
