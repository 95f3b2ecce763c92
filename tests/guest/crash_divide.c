// SPDX-License-Identifier: MIT
/*
 * A division by zero: SIGFPE (status 136).
 * test: status=136 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    volatile int zero = 0;

    puts("dividing");
    fflush(stdout);
    return 100 / zero;
}
