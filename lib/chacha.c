// SPDX-License-Identifier: MIT
/*
 * ChaCha20's block function, written for size: it runs on general registers only and
 * feeds the random pool, not bulk encryption.
 */
#include "lib/chacha.h"

#include <string.h>

static inline uint32_t rotate(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

static inline void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

static void state_init(uint32_t x[16], const uint32_t *key, const uint32_t *input)
{
    /* "expand 32-byte k" */
    x[0] = 0x61707865;
    x[1] = 0x3320646e;
    x[2] = 0x79622d32;
    x[3] = 0x6b206574;
    memcpy(x + 4, key, 32);
    memcpy(x + 12, input, 16);
}

static void permute(uint32_t x[16])
{
    for (int i = 0; i < 10; i++) {
        quarter_round(&x[0], &x[4], &x[8], &x[12]);
        quarter_round(&x[1], &x[5], &x[9], &x[13]);
        quarter_round(&x[2], &x[6], &x[10], &x[14]);
        quarter_round(&x[3], &x[7], &x[11], &x[15]);
        quarter_round(&x[0], &x[5], &x[10], &x[15]);
        quarter_round(&x[1], &x[6], &x[11], &x[12]);
        quarter_round(&x[2], &x[7], &x[8], &x[13]);
        quarter_round(&x[3], &x[4], &x[9], &x[14]);
    }
}

void chacha_block(const uint32_t key[CHACHA_KEY_WORDS], const uint32_t input[4],
                  uint8_t out[CHACHA_BLOCK_BYTES])
{
    uint32_t start[16], x[16];
    state_init(start, key, input);
    memcpy(x, start, sizeof(x));
    permute(x);
    for (int i = 0; i < 16; i++)
        x[i] += start[i];
    memcpy(out, x, CHACHA_BLOCK_BYTES);
}

void chacha_derive(const uint32_t key[CHACHA_KEY_WORDS], const uint32_t input[4],
                   uint32_t out[CHACHA_KEY_WORDS])
{
    uint32_t x[16];
    state_init(x, key, input);
    permute(x);
    memcpy(out, x, 16);
    memcpy(out + 4, x + 12, 16);
}
