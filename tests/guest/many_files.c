// SPDX-License-Identifier: MIT
/*
 * A million descriptors, or as many as the limit allows; then EMFILE, and all of it is given back.
 * test: memory=2G timeout=60 only=guest
 */
#include "check.h"

#include <fcntl.h>
#include <sys/resource.h>

#define MANY 1000000

int main(void)
{
    struct rlimit limit = { MANY + 10, MANY + 10 };
    int first = open("/dev/null", O_RDONLY), last = -1, count = 0;

    NEED(first >= 0);
    CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
    while ((last = dup(first)) >= 0)
        count++;
    CHECK(errno == EMFILE);
    CHECK(count == MANY + 10 - first - 1);
    CHECK(fcntl(MANY, F_GETFD) == 0);
    limit.rlim_cur = 100;
    CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_ERRNO(dup(first), EMFILE);
    CHECK(!close(50));
    CHECK(dup(first) == 50); /* the lowest free one */
    for (int fd = first + 1; fd < MANY + 10; fd++)
        CHECK(!close(fd));
    CHECK(dup(first) == first + 1);
    return check_end();
}
