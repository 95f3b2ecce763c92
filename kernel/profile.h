// SPDX-License-Identifier: MIT
#pragma once
/*
 * The sampling profiler (docs/profiling.md): what each CPU does, looked at some times a second.
 *
 * kernel/profile.c takes the samples, kernel/profile_report.c tells the tool of them.
 */
#include "lib/compiler.h"

struct regs;

#define PROFILE_HZ_MAX     10000u
#define PROFILE_FRAMES_MAX 64u    /* of the kernel */
#define PROFILE_WORDS_MAX  4u     /* on the kernel's stack, above the interrupted function's */
#define PROFILE_STACK_MAX  32768u /* bytes of the application's stack */

#define PROFILE_IN_INTERRUPT                                                                       \
    1u /* frames[0] is the handler of an interrupt, the rest what that interrupted */

struct profile_sample {
    nsec_t time;
    int pid, tid; /* 0: a thread of the kernel */
    char name[16];
    uint16_t flags, nframes, nwords;
    uint32_t stack_bytes;
    uintptr_t pc, sp, fp; /* of the application; pc 0: none */
    uintptr_t words[PROFILE_WORDS_MAX];
    uintptr_t data[]; /* nframes return addresses, then the application's stack from sp on */
};

extern bool profile_is_on; /* [a] */

/* The kernel option profile=HZ, and the word "profile HZ" of the control channel (0: stop). */
void profile_init(void);
/* Waits until all samples so far are with the tool: the process, or its image, is about to go. */
void profile_flush(void);
/* Likewise, and no more samples are taken: the machine ends. */
void profile_finish(void);
/* An interrupt's handler is done: the sample that became due meanwhile is its.  Interrupt level. */
void profile_interrupt_done(uintptr_t handler);

/* ---- Between the two files ---- */

struct profile_cpu_counts {
    uint64_t nidle, nlost, nlate; /* samples of an idle CPU; without room; periods without any */
};

void profile_start_on(uint64_t mask, unsigned hz); /* arms the timers */
void profile_stop_all(void);                       /* no timer runs when it returns */
int profile_alloc(unsigned number) __must_check;   /* of a CPU; -ENOMEM */
void profile_free(unsigned number);
/* The oldest sample of cpu, NULL: none; to be released. */
struct profile_sample *profile_first(unsigned cpu) __must_check;
void profile_release(unsigned cpu);
void profile_get_counts(unsigned cpu, struct profile_cpu_counts *counts);
void profile_wake_reporter(void); /* a ring is half full; interrupt level */

/* fs/profile_file.c: up to size bytes of /tmp/perf-PID.map, what just-in-time compilers say of their code. */
long profile_read_jit_map(int pid, uint64_t offset, char *buf, size_t size);
