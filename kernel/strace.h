// SPDX-License-Identifier: MIT
#pragma once
/*
 * System calls, signals and exits as lines of text on the program's standard error, decoded from
 * the table of kernel/syscall.h.  The manifest's trace list turns it on: "syscalls", "signals", "all";
 * "counts" only counts (kernel/syscall_count.h), "files" notes which files were used
 * (kernel/archive_use.h).  A thread whose THREAD_TRACED flag is set is traced, one with THREAD_COUNTED
 * counted; clone passes the flags on.
 */
#include "lib/compiler.h"

struct abi_siginfo;
struct syscall;
struct thread;

/* classes: the manifest's list, or NULL.  Unknown classes are named in the log. */
void strace_configure(const char *classes);
/* Marks the first thread of a program; the others inherit. */
void strace_thread_start(struct thread *thread);
/* Around a call; row is NULL for a number that is not in the table. */
void strace_enter(const struct syscall *row, const unsigned long reg[6]);
void strace_leave(const struct syscall *row, long nr, const unsigned long reg[6], long result);
void strace_signal(const struct abi_siginfo *info);
/* The process has ended with this wait status. */
void strace_exit(int wait_status);
