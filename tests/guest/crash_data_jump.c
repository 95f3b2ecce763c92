// SPDX-License-Identifier: MIT
/*
 * A jump into data, which is not executable: SIGSEGV.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

static unsigned char code[] = { 0xc3 };

int main(void)
{
    void (*volatile function)(void) = (void (*)(void))(void *)code;

    puts("jumping");
    fflush(stdout);
    function();
    puts("came back");
    return 0;
}
