// SPDX-License-Identifier: MIT
/*
 * Return addresses by the chain of frame pointers, within the running thread's kernel stack.
 */
#include "arch/x86_64/cpu.h"
#include "kernel/thread.h"

struct frame_record {
    const struct frame_record *next;
    uintptr_t return_address;
};

static size_t walk(const struct frame_record *record, uintptr_t *addresses, size_t max)
{
    const struct thread *thread = thread_current();
    size_t n = 0;
    while (n < max && thread) {
        uintptr_t at = (uintptr_t)record;
        if (at < thread->kernel_stack_bottom || at % 8 != 0 ||
            at + sizeof(*record) > thread->kernel_stack_top)
            break;
        addresses[n++] = record->return_address;
        if (record->next <= record)
            break;
        record = record->next;
    }
    return n;
}

size_t arch_backtrace(uintptr_t *addresses, size_t max)
{
    return walk(__builtin_frame_address(0), addresses, max);
}

size_t arch_backtrace_of(const struct regs *regs, uintptr_t *addresses, size_t max)
{
    if (max == 0)
        return 0;
    addresses[0] = regs->rip;
    return 1 + walk((const struct frame_record *)regs->rbp, addresses + 1, max - 1);
}

/* SDM 2A, CALL: e8 with a 32-bit offset, or ff /2 with a register or memory operand. */
bool arch_follows_call(const uint8_t before[8])
{
    if (before[3] == 0xe8)
        return true;
    for (unsigned len = 2; len <= 7; len++) {
        uint8_t opcode = before[8 - len], modrm = before[9 - len];
        if (opcode == 0xff && (modrm >> 3 & 7) == 2)
            return true;
    }
    return false;
}
