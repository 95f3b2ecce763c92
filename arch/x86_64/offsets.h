// SPDX-License-Identifier: MIT
#pragma once
/*
 * Offsets of C structures that the assembly uses; trap.c checks them at compile time.
 */
#define PERCPU_CURRENT   8
#define PERCPU_STACK_TOP 16
#define PERCPU_SCRATCH   24

#define THREAD_KERNEL_SP        0
#define THREAD_STACK_BOTTOM     8
#define THREAD_STACK_TOP        16
#define THREAD_WORK             24
#define THREAD_FLAGS            28
#define THREAD_PROCESS          32
#define THREAD_TID              40
#define THREAD_SLOW_FLAGS       0x1e00
#define THREAD_COUNTED_FLAG     0x1000
#define THREAD_WORK_SIGNAL_FLAG 1

#define PROCESS_PID 4

/* A result that is not the application's: -ERESTARTSYS to -ERESTART_RESTARTBLOCK. */
#define RESTART_LAST 516
#define NRESTARTS    5
#define CALL_NUMBERS 512

#define REGS_SIZE     168
#define REGS_R15      0
#define REGS_R14      8
#define REGS_R13      16
#define REGS_R12      24
#define REGS_RBP      32
#define REGS_RBX      40
#define REGS_R11      48
#define REGS_RAX      56
#define REGS_RCX      64
#define REGS_RDI      72
#define REGS_RSI      80
#define REGS_RDX      88
#define REGS_R10      96
#define REGS_R8       104
#define REGS_R9       112
#define REGS_ORIG_RAX 120
#define REGS_RIP      128
#define REGS_CS       136
#define REGS_RFLAGS   144
#define REGS_RSP      152
#define REGS_SS       160
/* The application's registers lie this far below the top of its thread's kernel stack: struct regs and
 * a word for 16-byte alignment. */
#define REGS_FROM_TOP 176

#define JMP_RCX 0xe1ff /* the bytes of jmp *%rcx */

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10

#define RFLAGS_USUAL 0x202 /* interrupts on, and the bit that is always 1 */

#define IST_TRAP          1
#define IST_NMI           2
#define IST_DOUBLE_FAULT  3
#define IST_MACHINE_CHECK 4
#define IST_DEBUG         5

#define VECTOR_DEBUG         1
#define VECTOR_NMI           2
#define VECTOR_DOUBLE_FAULT  8
#define VECTOR_PROTECTION    13
#define VECTOR_PAGE_FAULT    14
#define VECTOR_MACHINE_CHECK 18
