// SPDX-License-Identifier: MIT
/*
 * The registers of a tracee (ptrace(2)), as Linux shows them.
 *
 * The general ones lie on its kernel stack, where it entered the kernel; the vector state is put into its memory before
 * it stops.  The TLS base would be overwritten when the thread leaves the CPU, so the tracer has a copy, which the
 * tracee takes back.
 *
 * A single step is TF in the flags that the tracee goes on with.  It is taken away where the tracee stops next, so
 * nobody sees it, and a step that outlives its tracer is forgotten (trap.c).
 *
 * What would not come back from the kernel is refused: a pc or a stack outside of the application half, which a
 * thread in ring 0 could go on with; and GS, which is not the application's.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/ptrace.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/debug_regs.h"
#include "arch/x86_64/offsets.h"
#include "arch/x86_64/vector.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"

/* What SETREGS may change of the flags: CF PF AF ZF SF TF DF OF NT RF AC. */
#define FLAGS_CHANGED 0x00054dd5ULL
#define SW_OFFSET     464 /* XCR0, as debuggers look for it */
#define LEGACY_SIZE   512

void arch_trace_begin(struct thread *thread)
{
    unsigned long flags = arch_irq_save();
    vector_save(thread);
    arch_irq_restore(flags);
    thread->arch.traced_fs_base = arch_tls_get(thread);
    arch_trace_step(thread, false);
}

void arch_trace_end(struct thread *thread)
{
    arch_tls_set(thread, thread->arch.traced_fs_base);
    debug_regs_resume(thread);
}

void arch_trace_step(struct thread *thread, bool on)
{
    struct regs *regs = arch_thread_regs(thread);
    if (on)
        regs->rflags |= RFLAGS_TF;
    else if (thread->arch.is_stepping)
        regs->rflags &= ~(uint64_t)RFLAGS_TF;
    thread->arch.is_stepping = on;
    if (thread == thread_current() && thread->arch.debug)
        debug_regs_load(thread);
}

bool arch_trace_is_stepping(const struct thread *thread)
{
    return thread->arch.is_stepping;
}

/* ---- General registers ------------------------------------------------------------ */

/* The words of struct user_regs_struct that struct regs has, by their place in it. */
static const uint8_t place_in_regs[ABI_USER_REGS] = {
#define PLACE(name_, field_) [ABI_USER_##name_] = offsetof(struct regs, field_) + 1
    PLACE(R15, r15), PLACE(R14, r14),       PLACE(R13, r13), PLACE(R12, r12),
    PLACE(RBP, rbp), PLACE(RBX, rbx),       PLACE(R11, r11), PLACE(R10, r10),
    PLACE(R9, r9),   PLACE(R8, r8),         PLACE(RAX, rax), PLACE(RCX, rcx),
    PLACE(RDX, rdx), PLACE(RSI, rsi),       PLACE(RDI, rdi), PLACE(ORIG_RAX, orig_rax),
    PLACE(RIP, rip), PLACE(EFLAGS, rflags), PLACE(RSP, rsp),
#undef PLACE
};

static uint64_t *word_in_regs(struct thread *thread, unsigned word)
{
    char *regs = (char *)arch_thread_regs(thread);
    uint8_t place = place_in_regs[word];
    return place ? (uint64_t *)(void *)(regs + place - 1) : NULL;
}

uint64_t arch_trace_reg_get(struct thread *thread, unsigned word)
{
    const uint64_t *at = word_in_regs(thread, word);
    if (at)
        return *at;
    switch (word) {
    case ABI_USER_CS:
        return 0x33;
    case ABI_USER_SS:
        return 0x2b;
    case ABI_USER_FS_BASE:
        return thread->arch.traced_fs_base;
    default:
        return 0;
    }
}

int arch_trace_reg_set(struct thread *thread, unsigned word, uint64_t value)
{
    uint64_t *at = word_in_regs(thread, word);
    switch (word) {
    case ABI_USER_RIP:
    case ABI_USER_RSP:
        if (value >= APP_MAX)
            return -EIO;
        break;
    case ABI_USER_EFLAGS:
        value = (*at & ~FLAGS_CHANGED) | (value & FLAGS_CHANGED);
        break;
    case ABI_USER_FS_BASE:
        if (value >= APP_MAX)
            return -EIO;
        thread->arch.traced_fs_base = value;
        return 0;
    case ABI_USER_GS_BASE:
        return value ? -EIO : 0;
    default:
        break;
    }
    if (at)
        *at = value;
    return 0; /* segments are what they are */
}

/* ---- Vector state --------------------------------------------------------------------- */

size_t arch_trace_vector_size(bool whole)
{
    return whole && cpu_features.has_xsave ? cpu_features.xsave_size : LEGACY_SIZE;
}

void arch_trace_vector_get(struct thread *thread, bool whole, void *buf)
{
    vector_copy_out(thread, buf, arch_trace_vector_size(whole));
    uint64_t features = cpu_features.xcr0;
    if (whole && cpu_features.has_xsave)
        memcpy((char *)buf + SW_OFFSET, &features, sizeof(features));
}

int arch_trace_vector_set(struct thread *thread, bool whole, void *buf)
{
    bool is_extended = whole && cpu_features.has_xsave;
    return vector_copy_in(thread, buf, arch_trace_vector_size(whole), is_extended);
}
