// SPDX-License-Identifier: MIT
#pragma once
/*
 * Timers of processes: timer_create(2) and setitimer(2), on the wall clocks and on CPU time.
 */
#include "abi/signal.h"
#include "abi/time.h"
#include "lib/compiler.h"

struct process;

/* execve: timers made by timer_create go, interval timers stay. */
void posix_timers_exec(struct process *process);
/* The process ends (its last thread is the caller) or was never started: frees process->timers. */
void posix_timers_exit(struct process *process);
/* A signal with si_code SI_TIMER was taken from a queue and is about to be delivered to the running
 * process: fills in si_overrun. */
void posix_timer_signal_taken(struct abi_siginfo *info);
