// SPDX-License-Identifier: MIT
#pragma once
/* sched_setscheduler(2), sched_setattr(2), getpriority(2) (include/uapi/linux/sched.h, sched/types.h). */
#include <stdint.h>

#define ABI_SCHED_OTHER         0
#define ABI_SCHED_FIFO          1
#define ABI_SCHED_RR            2
#define ABI_SCHED_BATCH         3
#define ABI_SCHED_IDLE          5
#define ABI_SCHED_DEADLINE      6
#define ABI_SCHED_RESET_ON_FORK 0x40000000

#define ABI_SCHED_FLAG_RESET_ON_FORK  0x01
#define ABI_SCHED_FLAG_RECLAIM        0x02
#define ABI_SCHED_FLAG_DL_OVERRUN     0x04
#define ABI_SCHED_FLAG_KEEP_POLICY    0x08
#define ABI_SCHED_FLAG_KEEP_PARAMS    0x10
#define ABI_SCHED_FLAG_UTIL_CLAMP_MIN 0x20
#define ABI_SCHED_FLAG_UTIL_CLAMP_MAX 0x40
#define ABI_SCHED_FLAG_ALL            0x7f

#define ABI_SCHED_ATTR_SIZE_VER0 48

struct abi_sched_param {
    int32_t sched_priority;
};

struct abi_sched_attr {
    uint32_t size;
    uint32_t sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime;
    uint64_t sched_deadline;
    uint64_t sched_period;
    uint32_t sched_util_min;
    uint32_t sched_util_max;
};
_Static_assert(sizeof(struct abi_sched_attr) == 56, "struct sched_attr");

#define ABI_PRIO_PROCESS 0
#define ABI_PRIO_PGRP    1
#define ABI_PRIO_USER    2
