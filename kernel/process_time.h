// SPDX-License-Identifier: MIT
#pragma once
/*
 * What processes have used: getrusage(2), times(2), wait4's last argument, /proc/PID/stat and io.
 */
#include "abi/process.h"
#include "kernel/cpu_account.h"

struct process;
struct thread;

/* Calls and bytes of reading and writing, as /proc/PID/io counts them. */
struct io_counts {
    uint64_t read_bytes, written_bytes;
    uint64_t nreads, nwrites;
};

struct usage {
    struct cpu_split time;
    uint64_t minor_faults, major_faults;
    uint64_t nvoluntary, ninvoluntary; /* context switches */
    struct io_counts io;
};

void usage_add(struct usage *sum, const struct usage *more);
/* Of a thread up to now.  Takes its process's signals.lock. */
void thread_usage(struct thread *thread, struct usage *usage);
/* The same with that lock held: for a thread that leaves its process. */
void thread_usage_locked(struct thread *thread, struct usage *usage);
/* Of all threads, those that have ended included, without children.  Takes signals.lock; the table lock
 * may be held. */
void process_usage(struct process *process, struct usage *usage);
/* The largest size that the process or an earlier program of it had. */
uint64_t process_peak_pages(const struct process *process);
/* For a zombie and the children it waited for (wait4), table lock held. */
void process_rusage_with_children(struct process *process, struct abi_rusage *rusage);
/* The user time alone, and all of it: CPU clocks.  Any context. */
nsec_t process_user_time(struct process *process);

/* RLIMIT_CPU and RLIMIT_RTTIME of the running thread; called every few milliseconds, at interrupt level. */
void process_check_cpu_limits(struct thread *thread);
