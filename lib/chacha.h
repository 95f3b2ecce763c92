// SPDX-License-Identifier: MIT
#pragma once
/*
 * ChaCha20 (RFC 8439, 2.3) and HChaCha20 (draft-irtf-cfrg-xchacha, 2.2), pure.
 */
#include "lib/compiler.h"

#define CHACHA_KEY_WORDS   8
#define CHACHA_BLOCK_BYTES 64

/* One block of key stream; input is the counter and the nonce, words 12 to 15 of the state. */
void chacha_block(const uint32_t key[CHACHA_KEY_WORDS], const uint32_t input[4],
                  uint8_t out[CHACHA_BLOCK_BYTES]);
/* A new key out of a key and 16 bytes, one way. */
void chacha_derive(const uint32_t key[CHACHA_KEY_WORDS], const uint32_t input[4],
                   uint32_t out[CHACHA_KEY_WORDS]);
