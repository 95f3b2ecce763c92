// SPDX-License-Identifier: MIT
#pragma once
/* poll(2) and select(2) (uapi/asm-generic/poll.h, linux/posix_types.h). */
#include <stdint.h>

#define ABI_POLLIN     0x0001u
#define ABI_POLLPRI    0x0002u
#define ABI_POLLOUT    0x0004u
#define ABI_POLLERR    0x0008u
#define ABI_POLLHUP    0x0010u
#define ABI_POLLNVAL   0x0020u
#define ABI_POLLRDNORM 0x0040u
#define ABI_POLLRDBAND 0x0080u
#define ABI_POLLWRNORM 0x0100u
#define ABI_POLLWRBAND 0x0200u
#define ABI_POLLMSG    0x0400u
#define ABI_POLLREMOVE 0x1000u
#define ABI_POLLRDHUP  0x2000u
#define ABI_POLLFREE   0x4000u /* inside the kernel: the poll_head itself goes away */

struct abi_pollfd {
    int32_t fd;
    int16_t events;
    int16_t revents;
};

#define ABI_FD_SETSIZE 1024
