// SPDX-License-Identifier: MIT
#pragma once
/*
 * The table of system calls, made from kernel/syscalls.def and kernel/syscall_kinds.def: prototypes,
 * dispatch, strace and docs/syscalls.md all come from these two files.
 *
 * An implementation is ordinary C: long sys_read(int fd, void __app *buf, size_t count).  It runs
 * on the thread's kernel stack with interrupts on and returns a result or -errno.  Calls that need the
 * registers (clone, rt_sigreturn, execve) ask arch_thread_regs(thread_current()).
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/map.h"

struct regs;

/* The C type of each argument kind, and its number: typedef int arg_FD; ARG_FD */
#define KIND(kind, type, print) typedef type arg_##kind;
#include "kernel/syscall_kinds.def"
#undef KIND
#define KIND(kind, type, print) ARG_##kind,
enum arg_kind {
#include "kernel/syscall_kinds.def"
};
#undef KIND

/* An argument is written (KIND, name); these pick it apart. */
#define TYPE_OF(kind, name) arg_##kind
#define NAME_OF(kind, name) name
#define KIND_OF(kind, name) ARG_##kind

/* Prototypes: long sys_read(arg_FD fd, arg_OUT buf, arg_SIZE count); */
#define PARAM(i, arg)              TYPE_OF arg NAME_OF arg
#define PARAM_EMPTY                void
#define SYSCALL(name, result, ...) long sys_##name(MAP(PARAM, ##__VA_ARGS__));
#include "kernel/syscalls.def"
#undef SYSCALL

enum result_kind { RESULT_ZERO, RESULT_COUNT, RESULT_FD, RESULT_ADDRESS };

struct syscall {
    const char *name;
    long (*call)(const unsigned long reg[6]);
    enum result_kind result;
    unsigned char nargs;
    unsigned char kind[6];
};

#define SYSCALL_MAX 512
extern const struct syscall syscalls[SYSCALL_MAX];

/* What the entry code calls: finds the row, traces, calls.  Returns the result or -errno
 * (also -ERESTART*, which signal_deliver() settles). */
long syscall_dispatch(long nr, const unsigned long reg[6]);

/* What stands between a thread and its application (thread->work): signals, rescheduling, rseq, the
 * end of the process.  Interrupts on; the caller looks at thread->work again with interrupts off. */
void kernel_exit_work(struct regs *regs);
/* Calls of a number that the table lacks, so far. */
uint64_t syscall_unknown_count(void);
