// SPDX-License-Identifier: MIT
/*
 * An illegal instruction: SIGILL (status 132).
 * test: status=132 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    puts("ud2");
    fflush(stdout);
    __asm__ volatile("ud2");
    return 0;
}
