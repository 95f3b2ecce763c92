// SPDX-License-Identifier: MIT
#pragma once
/* clone(2), wait4(2), prctl(2), getrusage(2), capget(2) and their kin (uapi/linux/sched.h ...). */
#include <stdint.h>

#include "abi/capability.h"
#include "abi/time.h"

#define ABI_CSIGNAL              0x000000ffULL
#define ABI_CLONE_VM             0x00000100ULL
#define ABI_CLONE_FS             0x00000200ULL
#define ABI_CLONE_FILES          0x00000400ULL
#define ABI_CLONE_SIGHAND        0x00000800ULL
#define ABI_CLONE_PIDFD          0x00001000ULL
#define ABI_CLONE_PTRACE         0x00002000ULL
#define ABI_CLONE_VFORK          0x00004000ULL
#define ABI_CLONE_PARENT         0x00008000ULL
#define ABI_CLONE_THREAD         0x00010000ULL
#define ABI_CLONE_NEWNS          0x00020000ULL
#define ABI_CLONE_SYSVSEM        0x00040000ULL
#define ABI_CLONE_SETTLS         0x00080000ULL
#define ABI_CLONE_PARENT_SETTID  0x00100000ULL
#define ABI_CLONE_CHILD_CLEARTID 0x00200000ULL
#define ABI_CLONE_DETACHED       0x00400000ULL
#define ABI_CLONE_UNTRACED       0x00800000ULL
#define ABI_CLONE_CHILD_SETTID   0x01000000ULL
#define ABI_CLONE_NEWCGROUP      0x02000000ULL
#define ABI_CLONE_NEWUTS         0x04000000ULL
#define ABI_CLONE_NEWIPC         0x08000000ULL
#define ABI_CLONE_NEWUSER        0x10000000ULL
#define ABI_CLONE_NEWPID         0x20000000ULL
#define ABI_CLONE_NEWNET         0x40000000ULL
#define ABI_CLONE_IO             0x80000000ULL
#define ABI_CLONE_CLEAR_SIGHAND  0x100000000ULL
#define ABI_CLONE_INTO_CGROUP    0x200000000ULL
#define ABI_CLONE_NEWTIME        0x00000080ULL

#define ABI_CLONE_ARGS_SIZE_VER0 64
struct abi_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};

#define ABI_WNOHANG    0x00000001
#define ABI_WUNTRACED  0x00000002
#define ABI_WSTOPPED   ABI_WUNTRACED
#define ABI_WEXITED    0x00000004
#define ABI_WCONTINUED 0x00000008
#define ABI_WNOWAIT    0x01000000
#define ABI_WNOTHREAD  0x20000000
#define ABI_WALL       0x40000000
#define ABI_WCLONE     0x80000000U

#define ABI_P_ALL   0
#define ABI_P_PID   1
#define ABI_P_PGID  2
#define ABI_P_PIDFD 3

struct abi_rusage {
    struct abi_timeval ru_utime;
    struct abi_timeval ru_stime;
    int64_t ru_maxrss;
    int64_t ru_ixrss, ru_idrss, ru_isrss;
    int64_t ru_minflt, ru_majflt;
    int64_t ru_nswap, ru_inblock, ru_oublock, ru_msgsnd, ru_msgrcv, ru_nsignals;
    int64_t ru_nvcsw, ru_nivcsw;
};
_Static_assert(sizeof(struct abi_rusage) == 144, "struct rusage");

#define ABI_RUSAGE_SELF     0
#define ABI_RUSAGE_CHILDREN (-1)
#define ABI_RUSAGE_THREAD   1

#define ABI_PR_SET_PDEATHSIG       1
#define ABI_PR_GET_PDEATHSIG       2
#define ABI_PR_GET_DUMPABLE        3
#define ABI_PR_SET_DUMPABLE        4
#define ABI_PR_GET_UNALIGN         5
#define ABI_PR_GET_KEEPCAPS        7
#define ABI_PR_SET_KEEPCAPS        8
#define ABI_PR_GET_TIMING          13
#define ABI_PR_SET_TIMING          14
#define ABI_PR_SET_NAME            15
#define ABI_PR_GET_NAME            16
#define ABI_PR_GET_SECCOMP         21
#define ABI_PR_SET_SECCOMP         22
#define ABI_PR_CAPBSET_READ        23
#define ABI_PR_CAPBSET_DROP        24
#define ABI_PR_GET_TSC             25
#define ABI_PR_SET_TSC             26
#define ABI_PR_GET_SECUREBITS      27
#define ABI_PR_SET_SECUREBITS      28
#define ABI_PR_SET_TIMERSLACK      29
#define ABI_PR_GET_TIMERSLACK      30
#define ABI_PR_MCE_KILL            33
#define ABI_PR_MCE_KILL_GET        34
#define ABI_PR_SET_MM              35
#define ABI_PR_SET_MM_ARG_START    8
#define ABI_PR_SET_MM_ARG_END      9
#define ABI_PR_SET_MM_ENV_START    10
#define ABI_PR_SET_MM_ENV_END      11
#define ABI_PR_SET_CHILD_SUBREAPER 36
#define ABI_PR_GET_CHILD_SUBREAPER 37
#define ABI_PR_SET_NO_NEW_PRIVS    38
#define ABI_PR_GET_NO_NEW_PRIVS    39
#define ABI_PR_GET_TID_ADDRESS     40
#define ABI_PR_SET_THP_DISABLE     41
#define ABI_PR_GET_THP_DISABLE     42
#define ABI_PR_CAP_AMBIENT         47
#define ABI_PR_GET_SPECULATION     52
#define ABI_PR_SET_SPECULATION     53
#define ABI_PR_SET_VMA             0x53564d41
#define ABI_PR_SET_PTRACER         0x59616d61

#define ABI_PR_CAP_AMBIENT_IS_SET    1
#define ABI_PR_CAP_AMBIENT_RAISE     2
#define ABI_PR_CAP_AMBIENT_LOWER     3
#define ABI_PR_CAP_AMBIENT_CLEAR_ALL 4

#define ABI_CAP_MAC_OVERRIDE 32
#define ABI_CAP_SYSLOG       34
#define ABI_CAP_ALL          ((1ULL << (ABI_CAP_LAST + 1)) - 1)

#define ABI_CAPABILITY_VERSION_1 0x19980330u
#define ABI_CAPABILITY_VERSION_2 0x20071026u
#define ABI_CAPABILITY_VERSION_3 0x20080522u

struct abi_cap_header {
    uint32_t version;
    int32_t pid;
};

struct abi_cap_data {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};

#define ABI_SECBIT_NOROOT          0x01u
#define ABI_SECBIT_NO_SETUID_FIXUP 0x04u
#define ABI_SECBIT_KEEP_CAPS       0x10u
#define ABI_SECBIT_NO_CAP_AMBIENT  0x40u
#define ABI_SECBITS_ALL            0xffu
#define ABI_SECBITS_LOCKS          0xaau /* the bit below each can be changed no more */

#define ABI_ADDR_NO_RANDOMIZE 0x0040000u /* personality(2) */

/* rseq(2) */
#define ABI_RSEQ_FLAG_UNREGISTER   1
#define ABI_RSEQ_CPU_UNINITIALIZED ((uint32_t)-1)

struct abi_rseq {
    uint32_t cpu_id_start;
    uint32_t cpu_id;
    uint64_t rseq_cs;
    uint32_t flags;
    uint32_t pad[3];
};
_Static_assert(sizeof(struct abi_rseq) == 32, "struct rseq");

struct abi_rseq_cs {
    uint32_t version;
    uint32_t flags;
    uint64_t start_ip;
    uint64_t post_commit_offset;
    uint64_t abort_ip;
};
