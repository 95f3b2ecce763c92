// SPDX-License-Identifier: MIT
#pragma once
/* Checks for the unit tests: the first one that fails says where and ends the test. */
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(value, expected)                                                                  \
    do {                                                                                           \
        long long value_ = (long long)(value), expected_ = (long long)(expected);                  \
        if (value_ != expected_) {                                                                 \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #value, value_,   \
                    expected_);                                                                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
