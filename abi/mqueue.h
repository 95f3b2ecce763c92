// SPDX-License-Identifier: MIT
#pragma once
/* POSIX message queues: mq_open(2) and its kin (uapi/linux/mqueue.h). */
#include <stdint.h>

#define ABI_MQ_PRIO_MAX       32768
#define ABI_MQ_COOKIE_SIZE    32 /* mq_notify with SIGEV_THREAD: what the descriptor gets */
#define ABI_MQ_NOTIFY_WOKEN   1  /* in its last byte */
#define ABI_MQ_NOTIFY_REMOVED 2

struct abi_mq_attr {
    int64_t flags, maxmsg, msgsize, curmsgs;
    int64_t reserved[4];
};
_Static_assert(sizeof(struct abi_mq_attr) == 64, "struct mq_attr");
