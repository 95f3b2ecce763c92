// SPDX-License-Identifier: MIT
#pragma once
/*
 * Patched system calls (call_patch.c).
 */
#include "arch/arch.h"
#include "kernel/percpu.h"

#define CALL_COUNT_BITS 5

/*
 * How often the syscall instruction before pc was executed of late, in whichever address space.  Of two sites that
 * share the place, the one that is there keeps it for CALL_COUNT_HIT calls of the other for each of its own.
 */
#define CALL_COUNT_HIT 4
struct call_count {
    uintptr_t pc;
    uint32_t n;
};

extern struct call_count call_counts[CPUS_MAX][1 << CALL_COUNT_BITS];
extern uint32_t call_patch_limit;

/* The kernel option patch_calls: off, or a number of calls. */
void call_patch_init(void);
/* Where a patched site goes whose number is nr; SYSCALL_MAX: any number. */
uintptr_t call_entry(uint64_t nr);
/* Tries to turn the call that regs came with into a jump.  Takes vm->lock. */
void call_patch(const struct regs *regs);
/* The application's registers as they are if it was interrupted in a stub: in the site that it stands for.  False: a
 * single step has only gone over the jump to the stub, and is no step. */
bool call_patch_settle(struct regs *regs, bool is_step);

/* Counts a call that returns to pc; true: it is time to patch it, or to try again. */
static inline bool call_patch_is_due(uintptr_t pc)
{
    size_t hash = pc * 0x9e3779b97f4a7c15 >> (64 - CALL_COUNT_BITS);
    struct call_count *count = &call_counts[cpu_current()][hash];
    if (unlikely(count->pc != pc)) {
        if (count->n > 0) {
            count->n--;
            return false;
        }
        count->pc = pc;
    }
    count->n += CALL_COUNT_HIT;
    if (likely(count->n < call_patch_limit))
        return false;
    count->n = 0;
    return true;
}
