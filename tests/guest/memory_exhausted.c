// SPDX-License-Identifier: MIT
/*
 * Memory runs out: mmap refuses what can never be there, and the program that touches too much is
 * stopped with SIGKILL, as Linux's out-of-memory killer does.  The machine stays sound.
 * test: memory=64M linux=137 timeout=60
 */
#include "check.h"

#include <sys/mman.h>

int main(void)
{
    /* Mode 0 overcommit: a single mapping far beyond all memory is refused. */
    void *huge = mmap(NULL, 64UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (huge != MAP_FAILED || errno != ENOMEM) {
        puts("a mapping of 64 GiB was granted");
        return 1;
    }
    for (int i = 0; i < 1000; i++) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            continue;
        for (int at = 0; at < 1 << 20; at += 4096)
            p[at] = 1;
    }
    puts("1000 MiB were granted in a machine of 64");
    return 1;
}
