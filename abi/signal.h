// SPDX-License-Identifier: MIT
#pragma once
/* Signal numbers and structures of Linux on x86-64 (uapi/asm-generic/siginfo.h, arch/x86/.../signal.h). */
#include <stdint.h>

#define ABI_SIGHUP    1
#define ABI_SIGINT    2
#define ABI_SIGQUIT   3
#define ABI_SIGILL    4
#define ABI_SIGTRAP   5
#define ABI_SIGABRT   6
#define ABI_SIGBUS    7
#define ABI_SIGFPE    8
#define ABI_SIGKILL   9
#define ABI_SIGUSR1   10
#define ABI_SIGSEGV   11
#define ABI_SIGUSR2   12
#define ABI_SIGPIPE   13
#define ABI_SIGALRM   14
#define ABI_SIGTERM   15
#define ABI_SIGSTKFLT 16
#define ABI_SIGCHLD   17
#define ABI_SIGCONT   18
#define ABI_SIGSTOP   19
#define ABI_SIGTSTP   20
#define ABI_SIGTTIN   21
#define ABI_SIGTTOU   22
#define ABI_SIGURG    23
#define ABI_SIGXCPU   24
#define ABI_SIGXFSZ   25
#define ABI_SIGVTALRM 26
#define ABI_SIGPROF   27
#define ABI_SIGWINCH  28
#define ABI_SIGIO     29
#define ABI_SIGPWR    30
#define ABI_SIGSYS    31
#define ABI_SIGRTMIN  32
#define ABI_NSIG      64

#define ABI_SIG_DFL 0UL
#define ABI_SIG_IGN 1UL

#define ABI_SIG_BLOCK   0
#define ABI_SIG_UNBLOCK 1
#define ABI_SIG_SETMASK 2

#define ABI_SA_NOCLDSTOP 0x00000001UL
#define ABI_SA_NOCLDWAIT 0x00000002UL
#define ABI_SA_SIGINFO   0x00000004UL
#define ABI_SA_RESTORER  0x04000000UL
#define ABI_SA_ONSTACK   0x08000000UL
#define ABI_SA_RESTART   0x10000000UL
#define ABI_SA_NODEFER   0x40000000UL
#define ABI_SA_RESETHAND 0x80000000UL

#define ABI_SS_ONSTACK    1
#define ABI_SS_DISABLE    2
#define ABI_SS_AUTODISARM (1U << 31)
#define ABI_MINSIGSTKSZ   2048

/* si_code */
#define ABI_SI_USER       0
#define ABI_SI_KERNEL     0x80
#define ABI_SI_QUEUE      (-1)
#define ABI_SI_TIMER      (-2)
#define ABI_SI_MESGQ      (-3)
#define ABI_SI_ASYNCIO    (-4)
#define ABI_SI_SIGIO      (-5)
#define ABI_SI_TKILL      (-6)
#define ABI_ILL_ILLOPN    2
#define ABI_FPE_INTDIV    1
#define ABI_FPE_INTOVF    2
#define ABI_FPE_FLTDIV    3
#define ABI_FPE_FLTOVF    4
#define ABI_FPE_FLTUND    5
#define ABI_FPE_FLTRES    6
#define ABI_FPE_FLTINV    7
#define ABI_SEGV_MAPERR   1
#define ABI_SEGV_ACCERR   2
#define ABI_BUS_ADRALN    1
#define ABI_BUS_ADRERR    2
#define ABI_TRAP_BRKPT    1
#define ABI_TRAP_TRACE    2
#define ABI_TRAP_HWBKPT   4
#define ABI_CLD_EXITED    1
#define ABI_CLD_KILLED    2
#define ABI_CLD_DUMPED    3
#define ABI_CLD_TRAPPED   4
#define ABI_CLD_STOPPED   5
#define ABI_CLD_CONTINUED 6

struct abi_siginfo {
    int32_t si_signo;
    int32_t si_errno;
    int32_t si_code;
    int32_t pad0;
    union {
        struct {
            int32_t si_pid;
            uint32_t si_uid;
            uint64_t si_value; /* sigqueue */
        };
        struct {
            int32_t pid;
            uint32_t uid;
            int32_t si_status;
            int64_t si_utime;
            int64_t si_stime;
        } chld;
        struct {
            int32_t si_tid;
            int32_t si_overrun;
            uint64_t si_value;
        } timer;
        struct {
            uint64_t si_addr;
            int16_t si_addr_lsb;
        } fault;
        struct {
            int64_t si_band;
            int32_t si_fd;
        } poll;
        struct {
            uint64_t si_call_addr;
            int32_t si_syscall;
            uint32_t si_arch;
        } sys;
        uint8_t bytes[112];
    };
};
_Static_assert(sizeof(struct abi_siginfo) == 128, "siginfo_t");

/* struct sigaction as rt_sigaction(2) passes it. */
struct abi_sigaction {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct abi_stack {
    uint64_t ss_sp;
    int32_t ss_flags;
    int32_t pad;
    uint64_t ss_size;
};
