// SPDX-License-Identifier: MIT
/*
 * A breakpoint without a debugger: SIGTRAP (status 133).
 * test: status=133 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    puts("int3");
    fflush(stdout);
    __asm__ volatile("int3");
    return 0;
}
