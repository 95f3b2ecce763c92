// SPDX-License-Identifier: MIT
#pragma once
/* timer_create(2), setitimer(2), times(2), gettimeofday(2). */
#include "abi/time.h"

#define ABI_SIGEV_SIGNAL    0
#define ABI_SIGEV_NONE      1
#define ABI_SIGEV_THREAD    2
#define ABI_SIGEV_THREAD_ID 4

struct abi_sigevent {
    uint64_t sigev_value;
    int32_t sigev_signo;
    int32_t sigev_notify;
    int32_t sigev_tid;
    uint8_t reserved[44];
};
_Static_assert(sizeof(struct abi_sigevent) == 64, "struct sigevent");

#define ABI_ITIMER_REAL    0
#define ABI_ITIMER_VIRTUAL 1
#define ABI_ITIMER_PROF    2

struct abi_itimerval {
    struct abi_timeval it_interval;
    struct abi_timeval it_value;
};

struct abi_tms {
    int64_t tms_utime, tms_stime, tms_cutime, tms_cstime;
};

struct abi_timezone {
    int32_t tz_minuteswest, tz_dsttime;
};

#define ABI_CLK_TCK 100 /* clock_t of times(2) and /proc */
