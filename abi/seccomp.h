// SPDX-License-Identifier: MIT
#pragma once
/* seccomp(2) (uapi/linux/seccomp.h). */
#include <stdint.h>

#define ABI_SECCOMP_MODE_DISABLED 0
#define ABI_SECCOMP_MODE_STRICT   1
#define ABI_SECCOMP_MODE_FILTER   2

#define ABI_SECCOMP_SET_MODE_STRICT  0
#define ABI_SECCOMP_SET_MODE_FILTER  1
#define ABI_SECCOMP_GET_ACTION_AVAIL 2
#define ABI_SECCOMP_GET_NOTIF_SIZES  3

#define ABI_SECCOMP_FILTER_FLAG_TSYNC       0x01u
#define ABI_SECCOMP_FILTER_FLAG_LOG         0x02u
#define ABI_SECCOMP_FILTER_FLAG_SPEC_ALLOW  0x04u
#define ABI_SECCOMP_FILTER_FLAG_TSYNC_ESRCH 0x10u

#define ABI_SECCOMP_RET_KILL_PROCESS 0x80000000u
#define ABI_SECCOMP_RET_KILL_THREAD  0x00000000u
#define ABI_SECCOMP_RET_TRAP         0x00030000u
#define ABI_SECCOMP_RET_ERRNO        0x00050000u
#define ABI_SECCOMP_RET_USER_NOTIF   0x7fc00000u
#define ABI_SECCOMP_RET_TRACE        0x7ff00000u
#define ABI_SECCOMP_RET_LOG          0x7ffc0000u
#define ABI_SECCOMP_RET_ALLOW        0x7fff0000u
#define ABI_SECCOMP_RET_ACTION       0xffff0000u
#define ABI_SECCOMP_RET_DATA         0x0000ffffu

#define ABI_SYS_SECCOMP 1 /* si_code of SIGSYS */

struct abi_seccomp_data {
    int32_t nr;
    uint32_t arch;
    uint64_t instruction_pointer;
    uint64_t args[6];
};
