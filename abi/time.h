// SPDX-License-Identifier: MIT
#pragma once
/* Time structures and clock numbers (include/uapi/linux/time.h). */
#include <stdint.h>

struct abi_timespec {
    int64_t tv_sec;
    int64_t tv_nsec;
};

struct abi_timeval {
    int64_t tv_sec;
    int64_t tv_usec;
};

struct abi_itimerspec {
    struct abi_timespec it_interval;
    struct abi_timespec it_value;
};

#define ABI_CLOCK_REALTIME           0
#define ABI_CLOCK_MONOTONIC          1
#define ABI_CLOCK_PROCESS_CPUTIME_ID 2
#define ABI_CLOCK_THREAD_CPUTIME_ID  3
#define ABI_CLOCK_MONOTONIC_RAW      4
#define ABI_CLOCK_REALTIME_COARSE    5
#define ABI_CLOCK_MONOTONIC_COARSE   6
#define ABI_CLOCK_BOOTTIME           7
#define ABI_CLOCK_REALTIME_ALARM     8
#define ABI_CLOCK_BOOTTIME_ALARM     9
#define ABI_CLOCK_TAI                11
#define ABI_TIMER_ABSTIME            1
