// SPDX-License-Identifier: MIT
/*
 * A call through a null pointer ends the program with SIGSEGV (status 139).
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    void (*volatile function)(void) = NULL;

    puts("calling");
    fflush(stdout);
    function();
    return 0;
}
