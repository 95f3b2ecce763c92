// SPDX-License-Identifier: MIT
/*
 * The least program in every way of linking it.
 * test: status=7 variants=dynamic,static,static-pie,nopie,musl,musl-static
 */
#include <stdio.h>

int main(int argc, char **argv)
{
    printf("hello %d %s\n", argc, argc > 1 ? argv[1] : "nobody");
    fprintf(stderr, "to stderr\n");
    return 7;
}
