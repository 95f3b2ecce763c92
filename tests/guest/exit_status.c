// SPDX-License-Identifier: MIT
/*
 * The status is the low byte; atexit handlers and buffered output come before it.
 * test: status=52 variants=dynamic,musl
 */
#include "check.h"

static void last(void)
{
    printf("atexit, no newline");
}

int main(void)
{
    atexit(last);
    printf("main\n");
    exit(0x1234 + 256);
}
