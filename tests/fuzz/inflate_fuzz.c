// SPDX-License-Identifier: MIT
/* Any bytes at all as a compressed block, with room for less, as much or more than they are. */
#include <stdlib.h>

#include "lib/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t rooms[] = { 0, 1, 100, 4096, 32768 };
    static struct inflate_work work;
    struct gzip_block block;

    if (gzip_block_read(data, size, &block) && block.whole > size)
        abort();
    for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
        uint8_t *out = malloc(rooms[i]);
        if (inflate_block(&work, data, size, out, rooms[i]) > (long)rooms[i])
            abort();
        free(out);
    }
    return 0;
}
