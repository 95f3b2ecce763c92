// SPDX-License-Identifier: MIT
/*
 * The default action of SIGTERM ends even the first process: status 143.
 * test: status=143 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    puts("terminating");
    fflush(stdout);
    kill(getpid(), SIGTERM);
    for (;;)
        pause();
}
