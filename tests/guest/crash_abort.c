// SPDX-License-Identifier: MIT
/*
 * abort(): SIGABRT (status 134).
 * test: status=134 variants=dynamic,static,musl
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    puts("aborting");
    fflush(stdout);
    abort();
}
