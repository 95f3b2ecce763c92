// SPDX-License-Identifier: MIT
#pragma once
/* epoll(7) (uapi/linux/eventpoll.h); the events are those of poll(2). */
#include <stdint.h>

#define ABI_EPOLL_CLOEXEC 02000000

#define ABI_EPOLL_CTL_ADD 1
#define ABI_EPOLL_CTL_DEL 2
#define ABI_EPOLL_CTL_MOD 3

#define ABI_EPOLLEXCLUSIVE (1u << 28)
#define ABI_EPOLLWAKEUP    (1u << 29)
#define ABI_EPOLLONESHOT   (1u << 30)
#define ABI_EPOLLET        (1u << 31)

/* Packed on x86-64 only. */
struct abi_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
_Static_assert(sizeof(struct abi_epoll_event) == 12, "struct epoll_event");
