// SPDX-License-Identifier: MIT
#include "lib/firmware_memory.h"

#include <string.h>

#define CHUNK 256 /* few calls of the reader: the search is a good part of a fast boot */

bool firmware_read(const struct firmware_memory *memory, paddr_t at, void *to, size_t len)
{
    return at + len >= at && memory->read(memory->context, at, to, len);
}

bool firmware_sum_is_zero(const struct firmware_memory *memory, paddr_t at, uint32_t len)
{
    uint8_t chunk[CHUNK], sum = 0;
    for (uint32_t done = 0; done < len;) {
        uint32_t n = MIN(len - done, (uint32_t)CHUNK);
        if (!firmware_read(memory, at + done, chunk, n))
            return false;
        for (uint32_t i = 0; i < n; i++)
            sum = (uint8_t)(sum + chunk[i]);
        done += n;
    }
    return sum == 0;
}

paddr_t firmware_find(const struct firmware_memory *memory, paddr_t start, paddr_t end,
                      const char *signature, size_t signature_len, uint32_t checksum_len)
{
    uint8_t chunk[CHUNK];
    for (paddr_t base = start; base < end; base += CHUNK) {
        size_t n = MIN(end - base, (paddr_t)CHUNK);
        if (!firmware_read(memory, base, chunk, n))
            return 0;
        for (size_t at = 0; at + 16 <= n; at += 16)
            if (chunk[at] == (uint8_t)signature[0] &&
                memcmp(chunk + at, signature, signature_len) == 0 &&
                firmware_sum_is_zero(memory, base + at, checksum_len))
                return base + at;
    }
    return 0;
}
