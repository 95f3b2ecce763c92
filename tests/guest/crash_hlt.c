// SPDX-License-Identifier: MIT
/*
 * A privileged instruction that musl and glibc stop with: SIGSEGV.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    puts("hlt");
    fflush(stdout);
    __asm__ volatile("hlt");
    puts("went on");
    return 0;
}
