// SPDX-License-Identifier: MIT
#pragma once
/*
 * Decompression by deflate (RFC 1951), from memory to memory, and the blocks of a blocked gzip file (BGZF, section 4 of
 * the SAM specification): gzip members, each with its compressed size in the header's extra field, so that one can
 * be found without decompressing those before it.  Nothing of the input is trusted.
 */
#include "lib/compiler.h"

#define HUFFMAN_FAST_BITS 9
#define HUFFMAN_SYMBOLS   288

/* A set of codes: those of up to HUFFMAN_FAST_BITS bits by a table, longer ones by comparison. */
struct huffman {
    uint16_t fast
        [1
         << HUFFMAN_FAST_BITS]; /* by the next bits: length << 9 | symbol; 0: a longer code, or none */
    uint16_t symbol[HUFFMAN_SYMBOLS];         /* in the order of their codes */
    uint16_t first_code[16], first_index[16]; /* by length */
    uint32_t limit[17]; /* by length: the first code behind those, as the top bits of 16 */
};

/* Scratch memory, which the caller has; it need not be initialised. */
struct inflate_work {
    struct huffman literals, distances;
};

/* Bytes written to out, at most room; -1: the data are damaged, or are more. */
long inflate_block(struct inflate_work *work, const void *in, size_t size, void *out,
                   size_t room) __must_check;

struct gzip_block {
    const uint8_t *data; /* deflate's */
    size_t size;
    size_t whole; /* with header and trailer: where the next block begins */
};

/* The block at `at`, which has room bytes at most; false: there is none. */
bool gzip_block_read(const uint8_t *at, size_t room, struct gzip_block *out) __must_check;
