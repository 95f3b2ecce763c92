// SPDX-License-Identifier: MIT
#pragma once
/*
 * seccomp(2): which system calls a thread may make.  kernel/seccomp.c has the theory.
 */
#include <stdbool.h>

#include "lib/compiler.h"

/* What a filter may answer besides allow, as /proc/sys/kernel/seccomp names it; SECCOMP_FILTER_FLAG_LOG logs it all. */
#define SECCOMP_LOGGED "kill_process kill_thread trap errno trace log"

struct process;
struct seccomp_filter;
struct thread;

/* In struct thread.  Changed under process->signals.lock; the thread itself reads without. */
struct thread_seccomp {
    struct seccomp_filter *newest; /* with a reference; NULL: none */
    unsigned nfilters;
    int mode; /* ABI_SECCOMP_MODE_* */
};

/*
 * Asks about a call of the running thread that has THREAD_FILTERED.  False: it is not made, and *result is what the
 * application gets.  A tracer may make *nr another one.
 */
bool seccomp_allows(long *nr, const unsigned long reg[6], long *result) __must_check;
/* A new thread, listed but not yet started, gets the running thread's filters. */
void seccomp_inherit(struct thread *child);
/* The running thread has ended: it is not in its process any more. */
void seccomp_leave(struct thread *thread);
/* prctl(PR_SET_SECCOMP) */
long seccomp_set_mode(unsigned long mode, const void __app *program);
