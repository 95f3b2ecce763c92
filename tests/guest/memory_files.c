// SPDX-License-Identifier: MIT
/*
 * A file that grows beyond the memory: ENOSPC or ENOMEM, then unlink gives it all back, many times.
 * test: memory=64M only=guest timeout=60
 */
#include "check.h"

#include <fcntl.h>

int main(void)
{
    static char block[1 << 20];
    long first = 0;

    memset(block, 'f', sizeof block);
    for (int round = 0; round < 3; round++) {
        int fd = open("/tmp/big", O_RDWR | O_CREAT | O_EXCL, 0600);
        long blocks = 0;
        NEED(fd >= 0);
        while (blocks < 1000 && write(fd, block, sizeof block) == sizeof block)
            blocks++;
        /* The last one was short, perhaps; the next must say why. */
        CHECK(blocks < 64 && write(fd, block, sizeof block) < 0);
        CHECK(errno == ENOSPC || errno == ENOMEM);
        CHECK(pread(fd, block, 4096, 0) == 4096 && block[0] == 'f');
        close(fd);
        CHECK(!unlink("/tmp/big"));
        if (round == 0)
            first = blocks;
        CHECK(blocks >= first - 2);
    }
    CHECK(first > 10);
    return check_end();
}
