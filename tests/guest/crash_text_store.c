// SPDX-License-Identifier: MIT
/*
 * A store to the program text: SIGSEGV, the text stays.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    unsigned char *volatile pointer = (unsigned char *)(void *)main;

    puts("storing");
    fflush(stdout);
    *pointer = 0xc3;
    return 0;
}
