// SPDX-License-Identifier: MIT
/*
 * The descriptor limit: EMFILE, lowest free number, F_DUPFD at the limit.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

int main(void)
{
    struct rlimit limit;
    int fd = open("/dev/null", O_RDONLY), count = 0, ends[2];

    CHECK(!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur >= 1024);
    limit.rlim_cur = 200;
    CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
    while (dup(fd) >= 0)
        count++;
    CHECK(errno == EMFILE && count > 150 && count < 200);
    CHECK_ERRNO(pipe(ends), EMFILE);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    CHECK_ERRNO(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, 200), EINVAL);
    close(100), close(60);
    CHECK(dup(fd) == 60 && dup(fd) == 100);
    close(70);
    CHECK_ERRNO(pipe(ends), EMFILE); /* one is not enough, and none is lost */
    CHECK(dup(fd) == 70);
    limit.rlim_max = limit.rlim_cur - 1;
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    return check_end();
}
