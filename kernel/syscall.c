// SPDX-License-Identifier: MIT
/*
 * System call dispatch: the table of kernel/syscalls.def made into typed calls, and the work between a
 * thread and its application.
 */
#include "kernel/syscall.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/syscall_nr.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "kernel/rseq.h"
#include "kernel/strace.h"
#include "kernel/thread.h"

/* One typed call per line of the table. */
#define VALUE(i, arg) (TYPE_OF arg) reg[i]
#define VALUE_EMPTY
#define SYSCALL(name, result, ...)                                                                 \
    static long call_##name(const unsigned long reg[6])                                            \
    {                                                                                              \
        (void)reg;                                                                                 \
        return sys_##name(MAP(VALUE, ##__VA_ARGS__));                                              \
    }
#include "kernel/syscalls.def"
#undef SYSCALL

#define ARG_KIND(i, arg) KIND_OF arg
#define ARG_KIND_EMPTY   0
#define SYSCALL(name_, result_, ...)                                                               \
    [SYS_##name_] = {                                                                              \
        .name = #name_,                                                                            \
        .call = call_##name_,                                                                      \
        .result = RESULT_##result_,                                                                \
        .nargs = COUNT_ARGS(__VA_ARGS__),                                                          \
        .kind = { MAP(ARG_KIND, ##__VA_ARGS__) },                                                  \
    },
const struct syscall syscalls[SYSCALL_MAX] = {
#include "kernel/syscalls.def"
};
#undef SYSCALL

/* ---- Numbers that the table lacks ----------------------------------------------- */

static uint64_t nunknown;
static uint64_t unknown_named[SYSCALL_MAX / 64]; /* a bit for each that the log has named */

uint64_t syscall_unknown_count(void)
{
    return __atomic_load_n(&nunknown, __ATOMIC_RELAXED);
}

static const struct {
    long nr;
    const char *name, *why;
} absent[] = {
#define ABSENT(name_, why_) { SYS_##name_, #name_, why_ },
#include "kernel/syscalls_absent.def"
#undef ABSENT
};

static void unknown_report(long nr)
{
    const char *comm = thread_current()->name;

    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
        if (absent[i].nr == nr) {
            log_info("system call %s (%ld) is not there, as %s (%s)", absent[i].name, nr,
                     absent[i].why, comm);
            return;
        }
    }
    log_info("system call %ld is not implemented (%s)", nr, comm);
}

static __cold long syscall_unknown(long nr)
{
    __atomic_fetch_add(&nunknown, 1, __ATOMIC_RELAXED);
    if (nr >= 0 && nr < SYSCALL_MAX) {
        uint64_t bit = 1ULL << (nr % 64);
        if (!(__atomic_fetch_or(&unknown_named[nr / 64], bit, __ATOMIC_RELAXED) & bit))
            unknown_report(nr);
    }
    return -ENOSYS;
}

/* ---- Dispatch ---------------------------------------------------------------------- */

static bool must_be_settled(long result)
{
    return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

/* The signal that ended a call may have gone to another thread meanwhile; the result is settled by
 * signal_deliver() all the same. */
static long have_settled(long result)
{
    __atomic_fetch_or(&thread_current()->work, THREAD_WORK_SIGNAL, __ATOMIC_RELAXED);
    return result;
}

static long call_traced(long nr, const unsigned long reg[6])
{
    bool is_known = (unsigned long)nr < SYSCALL_MAX && syscalls[nr].call;
    const struct syscall *row = is_known ? &syscalls[nr] : NULL;
    bool is_traced = thread_current()->flags & (THREAD_TRACED | THREAD_COUNTED);
    unsigned long copy[6]; /* the call may change the registers */
    memcpy(copy, reg, sizeof(copy));
    if (is_traced)
        strace_enter(row, copy);
    long result = row ? row->call(copy) : syscall_unknown(nr);
    if (is_traced)
        strace_leave(row, nr, copy, result);
    return result;
}

static long call_filtered(long nr, const unsigned long reg[6])
{
    long result;
    if (READ_ONCE(thread_current()->flags) & THREAD_FILTERED && !seccomp_allows(&nr, reg, &result))
        return result;
    return call_traced(nr, reg);
}

/* A call that somebody looks at, or one that the table lacks.  reg lies in the thread's registers, which a tracer
 * may change. */
static __cold long dispatch_slowly(long nr, const unsigned long reg[6])
{
    const struct thread *thread = thread_current();
    struct regs *regs = arch_thread_regs(thread_current());
    long result;
    if (!(READ_ONCE(thread->flags) & THREAD_CALL_STOPS))
        result = call_filtered(nr, reg);
    else if (ptrace_syscall_enter())
        result = call_filtered((int)arch_regs_syscall(regs), reg);
    else
        result = arch_regs_result(regs);
    if (READ_ONCE(thread->flags) & THREAD_CALL_STOPS)
        result = ptrace_syscall_leave(result);
    return must_be_settled(result) ? have_settled(result) : result;
}

long syscall_dispatch(long nr, const unsigned long reg[6])
{
    nr = (int)nr; /* as Linux: only eax counts */
    const struct syscall *row = &syscalls[nr & (SYSCALL_MAX - 1)];
    bool is_out = nr & ~(SYSCALL_MAX - 1L), is_absent = !row->call;
    /* One jump instead of three: an emulator pays for jumps, not for arithmetic. */
    if (unlikely((thread_current()->flags & THREAD_SLOW_CALLS) | is_out | is_absent))
        return dispatch_slowly(nr, reg);
    long result = row->call(reg);
    return unlikely(must_be_settled(result)) ? have_settled(result) : result;
}

/* ---- On the way back --------------------------------------------------------------------- */

void kernel_exit_work(struct regs *regs)
{
    struct thread *thread = thread_current();
    uint32_t work = READ_ONCE(thread->work);
    if (work & THREAD_WORK_EXIT)
        thread_exit(0); /* the process's status was settled by who ended it */
    if (work & THREAD_WORK_RESCHED)
        sched_check();
    if (work & THREAD_WORK_MASK)
        __atomic_fetch_and(&thread->work, ~THREAD_WORK_MASK, __ATOMIC_RELAXED);
    if (work & (THREAD_WORK_SIGNAL | THREAD_WORK_MASK))
        signal_deliver(regs);
    if (READ_ONCE(thread->work) & THREAD_WORK_RSEQ)
        rseq_update(regs);
}
