// SPDX-License-Identifier: MIT
/*
 * A write to a pipe without reader: SIGPIPE (status 141).
 * test: status=141 variants=dynamic
 */
#include "check.h"

#include <signal.h>

int main(void)
{
    int ends[2];

    NEED(!pipe(ends));
    close(ends[0]);
    puts("writing");
    fflush(stdout);
    return (int)write(ends[1], "x", 1);
}
