// SPDX-License-Identifier: MIT
/*
 * Standard input, byte by byte to its end.
 * test: stdin=some,words/without.newline
 */
#include "check.h"

#include <poll.h>
#include <sys/stat.h>

int main(void)
{
    struct stat info;
    int c, count = 0;

    CHECK(!isatty(0) && !isatty(1) && !isatty(2));
    CHECK(!fstat(0, &info) && !fstat(1, &info));
    struct pollfd look = { .fd = 0, .events = POLLIN };
    CHECK(poll(&look, 1, 5000) == 1 && (look.revents & POLLIN));
    while ((c = getchar()) != EOF) {
        putchar(c);
        count++;
    }
    printf("\n%d bytes\n", count);
    CHECK(getchar() == EOF);
    return check_end();
}
