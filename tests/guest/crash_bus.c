// SPDX-License-Identifier: MIT
/*
 * A page behind the end of a mapped file: SIGBUS (status 135).
 * test: status=135 variants=dynamic
 */
#include "check.h"

#include <signal.h>

#include <fcntl.h>
#include <sys/mman.h>

int main(void)
{
    int fd = open("file", O_RDWR | O_CREAT, 0600);

    NEED(fd >= 0 && !ftruncate(fd, 4096));
    volatile char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(map != MAP_FAILED);
    map[0] = 1;
    puts("reading");
    fflush(stdout);
    return map[4096];
}
