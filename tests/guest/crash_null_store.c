// SPDX-License-Identifier: MIT
/*
 * A store through a null pointer: SIGSEGV.
 * test: status=139 variants=dynamic,static,musl
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    volatile int *volatile pointer = NULL;

    puts("storing");
    fflush(stdout);
    *pointer = 1;
    return 0;
}
