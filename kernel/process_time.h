// SPDX-License-Identifier: MIT
#pragma once
/*
 * What processes have used: getrusage(2), wait4's last argument.  CPU time is not split between
 * the application and the kernel (they share ring 0 and most calls are short): all of it is user time.
 */
#include "abi/process.h"

struct process;
struct thread;

/* Of process without its children.  Takes signals.lock; the table lock may be held. */
void process_usage(struct process *process, struct abi_rusage *usage);
