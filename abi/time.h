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

/* adjtimex(2) */
struct abi_timex {
    uint32_t modes;
    int32_t pad1;
    int64_t offset;
    int64_t freq;
    int64_t maxerror;
    int64_t esterror;
    int32_t status;
    int32_t pad2;
    int64_t constant;
    int64_t precision;
    int64_t tolerance;
    struct abi_timeval time;
    int64_t tick;
    int64_t pps[8]; /* of a pulse per second; jitter's shift padded to 8 bytes */
    int32_t tai;
    int32_t reserved[11];
};
_Static_assert(sizeof(struct abi_timex) == 208, "struct timex");

#define ABI_ADJ_SETOFFSET         0x0100u
#define ABI_ADJ_NANO              0x2000u
#define ABI_ADJ_OFFSET_SINGLESHOT 0x8001u
#define ABI_ADJ_OFFSET_SS_READ    0xa001u
#define ABI_STA_UNSYNC            0x0040
#define ABI_TIME_ERROR            5
