// SPDX-License-Identifier: MIT
#include "kernel/syscall_count.h"

#include "abi/errno.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

#define ERRNO_MAX 192 /* Linux's end at 133 */

struct count {
    uint64_t succeeded, failed;    /* [a] */
    uint64_t jumps;                /* [a] */
    uint64_t seen[ERRNO_MAX / 64]; /* [a] a bit for each error */
};

static struct count *counts; /* [i] SYSCALL_MAX of them, NULL when off */

void syscall_count_start(void)
{
    counts = kzalloc(sizeof(*counts) * SYSCALL_MAX, ALLOC_WAIT);
    if (!counts)
        log_warning("trace: there is no memory to count calls");
}

void syscall_count(const struct syscall *row, long result)
{
    if (!counts || !row)
        return;
    struct count *count = &counts[row - syscalls];
    if (result >= 0 || result < -4095) {
        __atomic_fetch_add(&count->succeeded, 1, __ATOMIC_RELAXED);
        return;
    }
    unsigned long error = -result;
    if (error >= ERESTARTSYS && error <= ERESTART_RESTARTBLOCK)
        error = EINTR;
    __atomic_fetch_add(&count->failed, 1, __ATOMIC_RELAXED);
    if (error < ERRNO_MAX)
        __atomic_fetch_or(&count->seen[error / 64], 1ULL << (error % 64), __ATOMIC_RELAXED);
}

long syscall_count_jump(long nr, long result)
{
    syscall_count(&syscalls[nr], result);
    if (counts)
        __atomic_fetch_add(&counts[nr].jumps, 1, __ATOMIC_RELAXED);
    return result;
}

void syscall_count_take_back(const struct syscall *row)
{
    if (counts)
        __atomic_fetch_sub(&counts[row - syscalls].succeeded, 1, __ATOMIC_RELAXED);
}

static void row_report(const struct syscall *row, const struct count *count)
{
    char errors[256];
    int len = 0;
    errors[0] = '\0';
    for (unsigned error = 1; error < ERRNO_MAX && len < (int)sizeof(errors) - 5; error++) {
        if (count->seen[error / 64] >> (error % 64) & 1)
            len += format_string(errors + len, sizeof(errors) - (size_t)len, " %u", error);
    }
    console_control("calls %s %lu %lu %lu%s", row->name, (unsigned long)count->succeeded,
                    (unsigned long)count->failed, (unsigned long)count->jumps, errors);
}

void syscall_count_report(void)
{
    if (!counts)
        return;
    for (unsigned nr = 0; nr < SYSCALL_MAX; nr++) {
        if (counts[nr].succeeded || counts[nr].failed)
            row_report(&syscalls[nr], &counts[nr]);
    }
}
