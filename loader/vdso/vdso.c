// SPDX-License-Identifier: MIT
/*
 * The code of the vDSO.  It runs as part of the application, on its stack, and knows nothing but its
 * arguments and the page of clock data below it.  What it cannot answer it asks the kernel.
 */
#include <stddef.h>

#include "abi/errno.h"
#include "abi/syscall_nr.h"
#include "abi/time.h"
#include "kernel/vdso_data.h"

#define NSEC_PER_SEC 1000000000LL

#define CLOCKS_REALTIME                                                                            \
    (1u << ABI_CLOCK_REALTIME | 1u << ABI_CLOCK_REALTIME_COARSE | 1u << ABI_CLOCK_TAI)
#define CLOCKS_MONOTONIC                                                                           \
    (1u << ABI_CLOCK_MONOTONIC | 1u << ABI_CLOCK_MONOTONIC_RAW |                                   \
     1u << ABI_CLOCK_MONOTONIC_COARSE | 1u << ABI_CLOCK_BOOTTIME)
#define CLOCKS_COARSE (1u << ABI_CLOCK_REALTIME_COARSE | 1u << ABI_CLOCK_MONOTONIC_COARSE)

/* vdso.ld: the page before the first. */
extern const struct vdso_data vvar __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct abi_timespec *ts);
int __vdso_gettimeofday(struct abi_timeval *tv, void *zone);
int64_t __vdso_time(int64_t *result);
int __vdso_clock_getres(int clock, struct abi_timespec *ts);
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static long system_call(long nr, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static uint64_t counter_read(void)
{
    uint32_t low, high;
    /* Not before the loads of the sequence: SDM 2B, RDTSC. */
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* Nanoseconds of a clock of the two kinds; 0: the kernel must say. */
static int time_read(unsigned clock, int64_t *ns)
{
    const volatile struct vdso_data *data = &vvar;
    unsigned bit = clock < 32 ? 1u << clock : 0;
    uint32_t sequence;
    if (!(bit & (CLOCKS_REALTIME | CLOCKS_MONOTONIC)))
        return 0;
    do {
        sequence = __atomic_load_n(&data->sequence, __ATOMIC_ACQUIRE);
        if (data->kind != VDSO_CLOCK_TSC)
            return 0;
        uint64_t elapsed = counter_read() - data->counter_base;
        if ((int64_t)elapsed < 0)
            elapsed = 0; /* this CPU's counter is a little behind the one that set the base */
        *ns = data->ns_base + (int64_t)(((unsigned __int128)elapsed * data->mult) >> data->shift);
        if (bit & CLOCKS_REALTIME)
            *ns += data->realtime_offset;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((sequence & 1) || sequence != data->sequence);
    return 1;
}

int __vdso_clock_gettime(int clock, struct abi_timespec *ts)
{
    int64_t ns;
    if (!time_read((unsigned)clock, &ns))
        return (int)system_call(SYS_clock_gettime, clock, (long)ts, 0);
    ts->tv_sec = ns / NSEC_PER_SEC;
    ts->tv_nsec = ns % NSEC_PER_SEC;
    return 0;
}

int __vdso_gettimeofday(struct abi_timeval *tv, void *zone)
{
    int64_t ns;
    if (zone || !tv || !time_read(ABI_CLOCK_REALTIME, &ns))
        return (int)system_call(SYS_gettimeofday, (long)tv, (long)zone, 0);
    tv->tv_sec = ns / NSEC_PER_SEC;
    tv->tv_usec = ns % NSEC_PER_SEC / 1000;
    return 0;
}

int64_t __vdso_time(int64_t *result)
{
    int64_t ns;
    if (!time_read(ABI_CLOCK_REALTIME, &ns))
        return system_call(SYS_time, (long)result, 0, 0);
    int64_t seconds = ns / NSEC_PER_SEC;
    if (result)
        *result = seconds;
    return seconds;
}

int __vdso_clock_getres(int clock, struct abi_timespec *ts)
{
    unsigned bit = (unsigned)clock < 32 ? 1u << clock : 0;
    if (!(bit & (CLOCKS_REALTIME | CLOCKS_MONOTONIC)) || (bit & CLOCKS_COARSE))
        return (int)system_call(SYS_clock_getres, clock, (long)ts, 0);
    if (ts)
        *ts = (struct abi_timespec){ .tv_nsec = 1 };
    return 0;
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    return (int)system_call(SYS_getcpu, (long)cpu, (long)node, (long)unused);
}

/* The names without the prefix, which some C libraries look for. */
int clock_gettime(int, struct abi_timespec *) __attribute__((weak, alias("__vdso_clock_gettime")));
int gettimeofday(struct abi_timeval *, void *) __attribute__((weak, alias("__vdso_gettimeofday")));
int64_t time(int64_t *) __attribute__((weak, alias("__vdso_time")));
int clock_getres(int, struct abi_timespec *) __attribute__((weak, alias("__vdso_clock_getres")));
int getcpu(unsigned *, unsigned *, void *) __attribute__((weak, alias("__vdso_getcpu")));
