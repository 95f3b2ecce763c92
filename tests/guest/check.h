// SPDX-License-Identifier: MIT
#pragma once
/*
 * Checks for the guest tests: ordinary Linux programs that must behave alike on Linux and in Stout.
 *
 * A failed check prints its line and errno and the program goes on; check_end() gives the
 * exit status.  What a program prints is compared with what it printed on Linux, so a result
 * that Linux defines may simply be printed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int check_failures;

static inline void check_report(const char *file, int line, const char *text)
{
    int err = errno;

    printf("FAIL %s:%d: %s (errno %d %s)\n", file, line, text, err, strerror(err));
    fflush(stdout);
    __atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_report(__FILE__, __LINE__, #condition);                                          \
    } while (0)

/* The call returns -1 and sets errno to the given value. */
#define CHECK_ERRNO(call, expected)                                                                \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long result_ = (long)(call);                                                               \
        if (result_ != -1 || errno != (expected))                                                  \
            check_report(__FILE__, __LINE__, #call " fails with " #expected);                      \
    } while (0)

/* For what the rest of a test cannot do without. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_report(__FILE__, __LINE__, #condition);                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* This host's Linux lacks what the test is about; says so and ends.  The guest must have it: run.py. */
static inline void unable(const char *what)
{
    printf("unable: %s\n", what);
    exit(77);
}

static inline int check_end(void)
{
    puts(check_failures ? "failed" : "passed");
    return check_failures != 0;
}

static inline int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void sleep_ms(int milliseconds)
{
    struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };

    while (nanosleep(&time, &time) && errno == EINTR)
        ;
}
