// SPDX-License-Identifier: MIT
/*
 * Bits are taken from the low end of a 64-bit buffer.  One refill leaves at least 56 in it, if the input has them,
 * and a length and a distance with their extra bits take at most 48; a count below zero shows afterwards that bits
 * were taken that are not there (they read as zeros).  A code's bits come highest first, so the table of short codes
 * is by reversed codes.
 */
#include "lib/inflate.h"

#include <string.h>

#define LENGTH_MAX    15
#define BITS_OF_MATCH 48
#define END_OF_BLOCK  256
#define FIRST_LENGTH  257
#define HEADER_SIZE   18 /* gzip's with BGZF's extra field */
#define TRAILER_SIZE  8  /* CRC and size */

struct bit_reader {
    const uint8_t *in, *end;
    uint64_t bits;
    int nbits;
};

struct output {
    uint8_t *start, *at, *end;
};

/* What a symbol means: base plus so many extra bits. */
struct range {
    uint16_t base;
    uint8_t extra;
};

static const struct range lengths[] = {
    { 3, 0 },   { 4, 0 },   { 5, 0 },   { 6, 0 },   { 7, 0 },   { 8, 0 },  { 9, 0 },  { 10, 0 },
    { 11, 1 },  { 13, 1 },  { 15, 1 },  { 17, 1 },  { 19, 2 },  { 23, 2 }, { 27, 2 }, { 31, 2 },
    { 35, 3 },  { 43, 3 },  { 51, 3 },  { 59, 3 },  { 67, 4 },  { 83, 4 }, { 99, 4 }, { 115, 4 },
    { 131, 5 }, { 163, 5 }, { 195, 5 }, { 227, 5 }, { 258, 0 },
};

static const struct range distances[] = {
    { 1, 0 },     { 2, 0 },     { 3, 0 },     { 4, 0 },      { 5, 1 },      { 7, 1 },
    { 9, 2 },     { 13, 2 },    { 17, 3 },    { 25, 3 },     { 33, 4 },     { 49, 4 },
    { 65, 5 },    { 97, 5 },    { 129, 6 },   { 193, 6 },    { 257, 7 },    { 385, 7 },
    { 513, 8 },   { 769, 8 },   { 1025, 9 },  { 1537, 9 },   { 2049, 10 },  { 3073, 10 },
    { 4097, 11 }, { 6145, 11 }, { 8193, 12 }, { 12289, 12 }, { 16385, 13 }, { 24577, 13 },
};

/* ---- Bits --------------------------------------------------------------------------- */

static __always_inline void bits_refill(struct bit_reader *r)
{
    if (likely(r->end - r->in >= 8 && r->nbits >= 0)) {
        uint64_t next;
        memcpy(&next, r->in, sizeof(next));
        r->bits |= next << r->nbits;
        r->in += (63 - r->nbits) >> 3;
        r->nbits |= 56;
        return;
    }
    for (; r->nbits >= 0 && r->nbits <= 56 && r->in < r->end; r->nbits += 8)
        r->bits |= (uint64_t)*r->in++ << r->nbits;
}

/* count: at most 16. */
static __always_inline unsigned bits_take(struct bit_reader *r, unsigned count)
{
    unsigned value = (unsigned)r->bits & ((1u << count) - 1);

    r->bits >>= count;
    r->nbits -= (int)count;
    return value;
}

static unsigned bits_reversed(unsigned value, unsigned count)
{
    unsigned reversed = 0;

    for (; count > 0; count--, value >>= 1)
        reversed = reversed << 1 | (value & 1);
    return reversed;
}

/* ---- Codes -------------------------------------------------------------------------- */

/* From the codes' lengths; false: there are more codes than such lengths allow. */
static bool huffman_build(struct huffman *h, const uint8_t *length, unsigned n)
{
    unsigned count[LENGTH_MAX + 1] = { 0 }, next[LENGTH_MAX + 1];
    unsigned code = 0, index = 0;

    for (unsigned i = 0; i < n; i++)
        count[length[i]]++;
    for (unsigned len = 1; len <= LENGTH_MAX; len++) {
        next[len] = code;
        h->first_code[len] = (uint16_t)code;
        h->first_index[len] = (uint16_t)index;
        code += count[len];
        index += count[len];
        if (code > 1u << len)
            return false;
        h->limit[len] = code << (16 - len);
        code <<= 1;
    }
    h->limit[16] = UINT32_MAX;
    memset(h->fast, 0, sizeof(h->fast));
    for (unsigned i = 0; i < n; i++) {
        unsigned len = length[i];
        if (len == 0)
            continue;
        code = next[len]++;
        h->symbol[h->first_index[len] + code - h->first_code[len]] = (uint16_t)i;
        if (len > HUFFMAN_FAST_BITS)
            continue;
        for (unsigned at = bits_reversed(code, len); at < ARRAY_SIZE(h->fast); at += 1u << len)
            h->fast[at] = (uint16_t)(len << 9 | i);
    }
    return true;
}

/* A code that the table does not have; -1: there is no such code. */
static int huffman_take_long(const struct huffman *h, struct bit_reader *r)
{
    unsigned top = bits_reversed((unsigned)r->bits & 0xffff, 16);
    unsigned len = 1;

    while (top >= h->limit[len])
        len++;
    if (len > LENGTH_MAX)
        return -1;
    bits_take(r, len);
    return h->symbol[h->first_index[len] + (top >> (16 - len)) - h->first_code[len]];
}

static __always_inline int huffman_take(const struct huffman *h, struct bit_reader *r)
{
    unsigned found = h->fast[r->bits & (ARRAY_SIZE(h->fast) - 1)];

    if (unlikely(found == 0))
        return huffman_take_long(h, r);
    bits_take(r, found >> 9);
    return (int)(found & 511);
}

static bool codes_fixed(struct inflate_work *work)
{
    uint8_t length[HUFFMAN_SYMBOLS];

    memset(length, 8, 144);
    memset(length + 144, 9, 112);
    memset(length + 256, 7, 24);
    memset(length + 280, 8, 8);
    if (!huffman_build(&work->literals, length, HUFFMAN_SYMBOLS))
        return false;
    memset(length, 5, 32);
    return huffman_build(&work->distances, length, 32);
}

/* RFC 1951, 3.2.7: the lengths of both sets, run by run; false: damaged. */
static bool lengths_read(struct bit_reader *r, const struct huffman *h, uint8_t *length, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        bits_refill(r);
        int symbol = huffman_take(h, r);
        unsigned count = 1;
        uint8_t value = 0;

        if (symbol < 0 || (symbol == 16 && i == 0))
            return false;
        if (symbol < 16)
            value = (uint8_t)symbol;
        else if (symbol == 16)
            value = length[i - 1], count = 3 + bits_take(r, 2);
        else
            count = symbol == 17 ? 3 + bits_take(r, 3) : 11 + bits_take(r, 7);
        if (count > n - i || r->nbits < 0)
            return false;
        memset(length + i, value, count);
        i += count;
    }
    return true;
}

static bool codes_read(struct inflate_work *work, struct bit_reader *r)
{
    static const uint8_t order[] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                     11, 4,  12, 3, 13, 2, 14, 1, 15 };
    uint8_t length[HUFFMAN_SYMBOLS + 32] = { 0 };

    bits_refill(r);
    unsigned nliterals = 257 + bits_take(r, 5), ndistances = 1 + bits_take(r, 5);
    unsigned nlengths = 4 + bits_take(r, 4);

    for (unsigned i = 0; i < nlengths; i++) {
        bits_refill(r);
        length[order[i]] = (uint8_t)bits_take(r, 3);
    }
    if (r->nbits < 0 || nliterals > HUFFMAN_SYMBOLS || !huffman_build(&work->literals, length, 19))
        return false;
    memset(length, 0, 19);
    return lengths_read(r, &work->literals, length, nliterals + ndistances) &&
           huffman_build(&work->literals, length, nliterals) &&
           huffman_build(&work->distances, length + nliterals, ndistances);
}

/* ---- Blocks -------------------------------------------------------------------------- */

/* It may write up to 7 bytes beyond length, where there is room for them. */
static __always_inline void match_copy(struct output *out, size_t distance, size_t length)
{
    uint8_t *to = out->at, *end = to + length;
    const uint8_t *from = to - distance;

    out->at = end;
    if (likely(distance >= 8 && (size_t)(out->end - end) >= 8)) {
        for (; to < end; to += 8, from += 8) {
            uint64_t word;
            memcpy(&word, from, sizeof(word));
            memcpy(to, &word, sizeof(word));
        }
        return;
    }
    while (to < end)
        *to++ = *from++;
}

/* The rest of a match whose length has this symbol; false: damaged. */
static __always_inline bool match_read(const struct huffman *h, struct bit_reader *r,
                                       struct output *out, unsigned symbol)
{
    if (unlikely(symbol - FIRST_LENGTH >= ARRAY_SIZE(lengths)))
        return false;
    struct range range = lengths[symbol - FIRST_LENGTH];
    size_t length = range.base + bits_take(r, range.extra);
    int code = huffman_take(h, r);

    if (unlikely((unsigned)code >= ARRAY_SIZE(distances)))
        return false;
    range = distances[code];
    size_t distance = range.base + bits_take(r, range.extra);
    if (unlikely(r->nbits < 0 || distance > (size_t)(out->at - out->start) ||
                 length > (size_t)(out->end - out->at)))
        return false;
    match_copy(out, distance, length);
    return true;
}

static bool block_coded(const struct inflate_work *work, struct bit_reader *reader,
                        struct output *output)
{
    struct bit_reader r = *reader;
    struct output out = *output;
    bool is_good = true;

    while (is_good) {
        if (r.nbits < BITS_OF_MATCH)
            bits_refill(&r);
        int symbol = huffman_take(&work->literals, &r);
        if (likely((unsigned)symbol < END_OF_BLOCK)) {
            is_good = r.nbits >= 0 && out.at < out.end;
            if (is_good)
                *out.at++ = (uint8_t)symbol;
        } else if (symbol == END_OF_BLOCK) {
            break;
        } else {
            is_good = match_read(&work->distances, &r, &out, (unsigned)symbol);
        }
    }
    *reader = r;
    *output = out;
    return is_good && r.nbits >= 0;
}

static bool block_stored(struct bit_reader *r, struct output *out)
{
    bits_take(r, (unsigned)r->nbits & 7);
    bits_refill(r);
    unsigned length = bits_take(r, 16), check = bits_take(r, 16);

    if (r->nbits < 0 || length != (check ^ 0xffff) || length > (size_t)(out->end - out->at))
        return false;
    for (; length > 0 && r->nbits > 0; length--)
        *out->at++ = (uint8_t)bits_take(r, 8);
    if (length > (size_t)(r->end - r->in))
        return false;
    if (length > 0) {
        r->bits = 0; /* what a refill had read ahead */
        memcpy(out->at, r->in, length);
        out->at += length;
        r->in += length;
    }
    return true;
}

long inflate_block(struct inflate_work *work, const void *in, size_t size, void *out, size_t room)
{
    struct bit_reader r = { .in = in, .end = (const uint8_t *)in + size };
    struct output output = { .start = out, .at = out, .end = (uint8_t *)out + room };
    bool is_last = false, is_good = true;

    while (is_good && !is_last) {
        bits_refill(&r);
        is_last = bits_take(&r, 1);
        unsigned kind = bits_take(&r, 2);
        if (r.nbits < 0)
            return -1;
        if (kind == 0)
            is_good = block_stored(&r, &output);
        else if (kind == 1)
            is_good = codes_fixed(work) && block_coded(work, &r, &output);
        else
            is_good = kind == 2 && codes_read(work, &r) && block_coded(work, &r, &output);
    }
    return is_good ? output.at - output.start : -1;
}

bool gzip_block_read(const uint8_t *at, size_t room, struct gzip_block *out)
{
    /* Deflate, an extra field of 6 bytes; time, flags and system may be anything. */
    if (room < HEADER_SIZE || memcmp(at, "\x1f\x8b\x08\x04", 4) != 0 ||
        memcmp(at + 10, "\x06\0BC\x02\0", 6) != 0)
        return false;
    size_t whole = 1 + (size_t)(at[16] | at[17] << 8);
    if (whole > room || whole < HEADER_SIZE + TRAILER_SIZE)
        return false;
    *out = (struct gzip_block){ .data = at + HEADER_SIZE,
                                .size = whole - HEADER_SIZE - TRAILER_SIZE,
                                .whole = whole };
    return true;
}
