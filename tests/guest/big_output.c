// SPDX-License-Identifier: MIT
/*
 * Four megabytes of every byte on stdout: the channel is byte-exact, in order and complete.
 * test: timeout=60
 */
#include "check.h"

int main(void)
{
    static unsigned char block[7919];
    unsigned state = 1;

    for (int round = 0; round < 530; round++) {
        for (unsigned i = 0; i < sizeof block; i++)
            block[i] = (unsigned char)((state = state * 1664525 + 1013904223) >> 24);
        size_t size = 1 + state % sizeof block;
        for (size_t at = 0; at < size;) {
            ssize_t n = write(1, block + at, size - at);
            if (n <= 0)
                return 1;
            at += (size_t)n;
        }
    }
    return 0;
}
