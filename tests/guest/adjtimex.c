// SPDX-License-Identifier: MIT
/*
 * adjtimex, clock_adjtime: what is told of a clock that nobody synchronises, and who may not change it.
 * test: flags=-D_GNU_SOURCE
 */
#include "check.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

/* glibc's own adjtimex() makes the other call of the two, clock_adjtime. */
static int adjtimex_call(struct timex *timex)
{
    return (int)syscall(SYS_adjtimex, timex);
}

int main(void)
{
    struct timex timex = { 0 };
    struct timeval left = { 1, 1 }, none = { 0, 0 };
    int state;

    CHECK((state = adjtimex_call(&timex)) == TIME_ERROR || state == TIME_OK);
    CHECK(timex.tick == 10000 && timex.precision == 1 && timex.tolerance == 500 << 16);
    CHECK(timex.time.tv_sec >= time(NULL) - 60 && timex.time.tv_usec >= 0);
    memset(&timex, 0, sizeof timex);
    CHECK(clock_adjtime(CLOCK_REALTIME, &timex) == state);
    CHECK(!adjtime(NULL, &left) && left.tv_sec == 0 && left.tv_usec == 0);
    CHECK(!adjtime(&none, &left) && left.tv_sec == 0 && left.tv_usec == 0);
    CHECK_ERRNO(clock_adjtime(CLOCK_MONOTONIC, &timex), EOPNOTSUPP);
    CHECK_ERRNO(clock_adjtime(77, &timex), EINVAL);
    CHECK_ERRNO(adjtimex_call((struct timex *)1), EFAULT);
    NEED(!setuid(65534));
    timex.modes = ADJ_SETOFFSET;
    CHECK_ERRNO(adjtimex_call(&timex), EPERM);
    timex.modes = ADJ_FREQUENCY;
    CHECK_ERRNO(adjtimex_call(&timex), EPERM);
    timex.modes = 0;
    CHECK(adjtimex_call(&timex) == state);
    return check_end();
}
