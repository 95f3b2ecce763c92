// SPDX-License-Identifier: MIT
/*
 * Endless recursion meets the end of the stack: SIGSEGV, not a dead machine.
 * test: status=139 timeout=30
 */
#include "check.h"

#include <signal.h>

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int depth(int n)
{
    volatile char frame[4096];

    frame[0] = (char)n;
    return depth(n + 1) + frame[0];
}

int main(void)
{
    puts("recursing");
    fflush(stdout);
    return depth(0);
}
