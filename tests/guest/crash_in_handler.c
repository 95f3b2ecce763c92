// SPDX-License-Identifier: MIT
/*
 * A fault inside the SIGSEGV handler, which is blocked there: the program ends.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

static void handler(int number)
{
    volatile int *volatile pointer = NULL;

    (void)number;
    puts("handler");
    fflush(stdout);
    *pointer = 1;
}

int main(void)
{
    volatile int *volatile pointer = NULL;

    signal(SIGSEGV, handler);
    *pointer = 1;
    return 0;
}
