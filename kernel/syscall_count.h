// SPDX-License-Identifier: MIT
#pragma once
/*
 * How often each system call was made, and with which errors: what `strace -c` tells on Linux.  The manifest's
 * trace class "counts" turns it on; the table goes to the control channel when the machine ends, a line a call:
 *
 *     calls NAME SUCCEEDED FAILED JUMPS [ERRNO...]
 *
 * JUMPS of them went straight from the program's jump to their function (arch/x86_64/call_table.c), as they do when
 * nobody counts.
 * A call that a signal ended counts as EINTR, restarted or not.
 */
#include "kernel/syscall.h"

/* Once, at boot, before any application runs.  Without memory nothing is counted, and the log says so. */
void syscall_count_start(void);
/* row may be NULL (a number that is not in the table); result is as sys_*() returned it. */
void syscall_count(const struct syscall *row, long result);
/* The same for a call that jumped; returns result. */
long syscall_count_jump(long nr, long result);
/* What was counted as a success was none. */
void syscall_count_take_back(const struct syscall *row);
void syscall_count_report(void);
