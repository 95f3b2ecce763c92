// SPDX-License-Identifier: MIT
/*
 * A store to a non-canonical address: SIGSEGV by general protection.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    volatile int *volatile pointer = (int *)0x8000000000000000;

    puts("storing");
    fflush(stdout);
    *pointer = 1;
    return 0;
}
