// SPDX-License-Identifier: MIT
#pragma once
/* ptrace(2) of Linux on x86-64 (uapi/linux/ptrace.h, arch/x86/include/uapi/asm/ptrace.h, sys/user.h). */
#include <stdint.h>

#define ABI_PTRACE_TRACEME           0
#define ABI_PTRACE_PEEKTEXT          1
#define ABI_PTRACE_PEEKDATA          2
#define ABI_PTRACE_PEEKUSER          3
#define ABI_PTRACE_POKETEXT          4
#define ABI_PTRACE_POKEDATA          5
#define ABI_PTRACE_POKEUSER          6
#define ABI_PTRACE_CONT              7
#define ABI_PTRACE_KILL              8
#define ABI_PTRACE_SINGLESTEP        9
#define ABI_PTRACE_GETREGS           12
#define ABI_PTRACE_SETREGS           13
#define ABI_PTRACE_GETFPREGS         14
#define ABI_PTRACE_SETFPREGS         15
#define ABI_PTRACE_ATTACH            16
#define ABI_PTRACE_DETACH            17
#define ABI_PTRACE_OLDSETOPTIONS     21
#define ABI_PTRACE_SYSCALL           24
#define ABI_PTRACE_SYSEMU            31
#define ABI_PTRACE_SYSEMU_SINGLESTEP 32
#define ABI_PTRACE_SETOPTIONS        0x4200
#define ABI_PTRACE_GETEVENTMSG       0x4201
#define ABI_PTRACE_GETSIGINFO        0x4202
#define ABI_PTRACE_SETSIGINFO        0x4203
#define ABI_PTRACE_GETREGSET         0x4204
#define ABI_PTRACE_SETREGSET         0x4205
#define ABI_PTRACE_SEIZE             0x4206
#define ABI_PTRACE_INTERRUPT         0x4207
#define ABI_PTRACE_LISTEN            0x4208
#define ABI_PTRACE_PEEKSIGINFO       0x4209
#define ABI_PTRACE_GETSIGMASK        0x420a
#define ABI_PTRACE_SETSIGMASK        0x420b
#define ABI_PTRACE_GET_SYSCALL_INFO  0x420e

#define ABI_PTRACE_EVENT_FORK       1
#define ABI_PTRACE_EVENT_VFORK      2
#define ABI_PTRACE_EVENT_CLONE      3
#define ABI_PTRACE_EVENT_EXEC       4
#define ABI_PTRACE_EVENT_VFORK_DONE 5
#define ABI_PTRACE_EVENT_EXIT       6
#define ABI_PTRACE_EVENT_SECCOMP    7
#define ABI_PTRACE_EVENT_STOP       128

#define ABI_PTRACE_O_TRACESYSGOOD 1u
#define ABI_PTRACE_O_EXITKILL     (1u << 20)
#define ABI_PTRACE_O_MASK         (0xffu | ABI_PTRACE_O_EXITKILL)

#define ABI_PTRACE_EVENTMSG_SYSCALL_ENTRY 1
#define ABI_PTRACE_EVENTMSG_SYSCALL_EXIT  2

#define ABI_PTRACE_SYSCALL_INFO_NONE    0
#define ABI_PTRACE_SYSCALL_INFO_ENTRY   1
#define ABI_PTRACE_SYSCALL_INFO_EXIT    2
#define ABI_PTRACE_SYSCALL_INFO_SECCOMP 3

#define ABI_PTRACE_PEEKSIGINFO_SHARED 1u

#define ABI_NT_PRSTATUS   1
#define ABI_NT_PRFPREG    2
#define ABI_NT_X86_XSTATE 0x202

#define ABI_AUDIT_ARCH_X86_64 0xc000003eu

struct abi_ptrace_peeksiginfo_args {
    uint64_t off;
    uint32_t flags;
    int32_t nr;
};

struct abi_ptrace_syscall_info {
    uint8_t op;
    uint8_t pad[3];
    uint32_t arch;
    uint64_t instruction_pointer;
    uint64_t stack_pointer;
    union {
        struct {
            uint64_t nr;
            uint64_t args[6];
        } entry;
        struct {
            int64_t rval;
            uint8_t is_error;
        } exit;
        struct {
            uint64_t nr;
            uint64_t args[6];
            uint32_t ret_data;
        } seccomp;
    };
};

/* struct user_regs_struct, by word. */
enum {
    ABI_USER_R15,
    ABI_USER_R14,
    ABI_USER_R13,
    ABI_USER_R12,
    ABI_USER_RBP,
    ABI_USER_RBX,
    ABI_USER_R11,
    ABI_USER_R10,
    ABI_USER_R9,
    ABI_USER_R8,
    ABI_USER_RAX,
    ABI_USER_RCX,
    ABI_USER_RDX,
    ABI_USER_RSI,
    ABI_USER_RDI,
    ABI_USER_ORIG_RAX,
    ABI_USER_RIP,
    ABI_USER_CS,
    ABI_USER_EFLAGS,
    ABI_USER_RSP,
    ABI_USER_SS,
    ABI_USER_FS_BASE,
    ABI_USER_GS_BASE,
    ABI_USER_DS,
    ABI_USER_ES,
    ABI_USER_FS,
    ABI_USER_GS,
    ABI_USER_REGS
};
/* struct user: its registers come first, its debug registers last. */
#define ABI_USER_SIZE     912
#define ABI_USER_DEBUGREG 848
