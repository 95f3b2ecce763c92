// SPDX-License-Identifier: MIT
/*
 * A load from the upper half of the address space must not succeed.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    /* On Linux a fault for sure; in one address space it must be one wherever nothing is mapped. */
    volatile int *volatile pointer = (int *)0xffffc0ffee000000;

    puts("loading");
    fflush(stdout);
    return *pointer;
}
