// SPDX-License-Identifier: MIT
#pragma once
/*
 * Timers of processes: timer_create(2) and setitimer(2), on the wall clocks and on CPU time.
 */
#include "abi/signal.h"
#include "abi/timer.h"
#include "lib/compiler.h"

struct process;

/* execve: timers made by timer_create go, interval timers stay. */
void posix_timers_exec(struct process *process);
/* The process ends (its last thread is the caller) or was never started: frees process->timers. */
void posix_timers_exit(struct process *process);
/* A signal with si_code SI_TIMER was taken from a queue and is about to be delivered to the running
 * process: fills in si_overrun. */
void posix_timer_signal_taken(struct abi_siginfo *info);

/* ---- For kernel/sys_timer.c; all act on the running process ---- */

/* What a timer is set to; value 0: disarmed. */
struct timer_setting {
    nsec_t value; /* time left; a time of the clock if is_absolute */
    nsec_t interval;
    bool is_absolute;
};

/* The new timer's id, or -EINVAL, -EAGAIN, -ENOMEM, -EOPNOTSUPP. */
int posix_timer_create(int clock, const struct abi_sigevent *event) __must_check;
/* -EINVAL: no such timer.  old may be NULL. */
int posix_timer_set(int id, const struct timer_setting *setting,
                    struct timer_setting *old) __must_check;
int posix_timer_get(int id, struct timer_setting *setting) __must_check;
int posix_timer_overrun(int id);
int posix_timer_delete(int id);
/* which: ABI_ITIMER_*.  -ENOMEM. */
int itimer_set(int which, const struct timer_setting *setting,
               struct timer_setting *old) __must_check;
void itimer_get(int which, struct timer_setting *setting);
