// SPDX-License-Identifier: MIT
#pragma once
/* Resource limits by their Linux numbers (getrlimit(2)). */
#include <stdint.h>

#define RLIMIT_COUNT     16
#define LIMIT_CPU        0
#define LIMIT_FSIZE      1
#define LIMIT_DATA       2
#define LIMIT_STACK      3
#define LIMIT_CORE       4
#define LIMIT_RSS        5
#define LIMIT_NPROC      6
#define LIMIT_NOFILE     7
#define LIMIT_MEMLOCK    8
#define LIMIT_AS         9
#define LIMIT_LOCKS      10
#define LIMIT_SIGPENDING 11
#define LIMIT_MSGQUEUE   12
#define LIMIT_NICE       13
#define LIMIT_RTPRIO     14
#define LIMIT_RTTIME     15
#define LIMIT_INFINITY   (~0ULL)

struct abi_rlimit {
    uint64_t cur;
    uint64_t max;
};

struct rlimit_table {
    struct abi_rlimit limit[RLIMIT_COUNT];
};

/* Of the running process; LIMIT_INFINITY in a kernel thread. */
uint64_t rlimit_current(int resource);
void rlimit_table_init(struct rlimit_table *table);
/* A limit of the running process, as its creator wants it; of descriptors there are never more than the kernel's. */
void rlimit_set(int resource, const struct abi_rlimit *limit);
