// SPDX-License-Identifier: MIT
/*
 * raise(SIGKILL): status 137.
 * test: status=137 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    puts("killing");
    fflush(stdout);
    raise(SIGKILL);
    return 0;
}
