// SPDX-License-Identifier: MIT
/*
 * The machine's part of threads: switching, TLS, and the application's registers.
 */
#include "kernel/thread.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/debug_regs.h"
#include "arch/x86_64/offsets.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/vector.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/usercopy.h"

struct thread *switch_stacks(struct thread *previous, struct thread *next);
void thread_begin(void);

static uintptr_t fs_base_read(void)
{
    uintptr_t base;
    if (!cpu_features.has_fsgsbase)
        return rdmsr(MSR_FS_BASE);
    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

static void fs_base_write(uintptr_t base)
{
    if (cpu_features.has_fsgsbase)
        __asm__ volatile("wrfsbase %0" ::"r"(base));
    else
        wrmsr(MSR_FS_BASE, base);
}

struct thread *arch_switch(struct thread *previous, struct thread *next)
{
    if (previous->arch.xsave) {
        vector_save(previous);
        previous->arch.fs_base = fs_base_read();
    }
    if (next->arch.xsave)
        fs_base_write(next->arch.fs_base);
    debug_regs_switch(previous, next);
    return switch_stacks(previous, next);
}

void arch_thread_init(struct thread *thread, void (*function)(void *), void *arg)
{
    /* Below the place of the application's registers, which arch_enter_app() writes. */
    uintptr_t *sp = (uintptr_t *)(thread->kernel_stack_top - 2UL * REGS_FROM_TOP);
    *--sp = (uintptr_t)thread_begin;
    *--sp = 0;                   /* rbp */
    *--sp = 0;                   /* rbx */
    *--sp = (uintptr_t)arg;      /* r12 */
    *--sp = (uintptr_t)function; /* r13 */
    *--sp = 0;                   /* r14 */
    *--sp = 0;                   /* r15 */
    thread->kernel_sp = (uintptr_t)sp;
}

int arch_thread_init_app(struct thread *thread, const struct thread *parent)
{
    int err = vector_alloc(thread);
    if (err || !parent)
        return err;
    if (parent == thread_current()) {
        unsigned long flags = arch_irq_save();
        vector_save(thread_current());
        thread_current()->arch.fs_base = fs_base_read();
        arch_irq_restore(flags);
    }
    memcpy(thread->arch.xsave, parent->arch.xsave, cpu_features.xsave_size);
    thread->arch.fs_base = parent->arch.fs_base;
    return 0;
}

void arch_thread_fini(struct thread *thread)
{
    vector_free(thread);
    debug_regs_free(thread);
}

void arch_thread_reset_app(struct thread *thread)
{
    vector_reset(thread);
    arch_tls_set(thread, 0);
    thread->arch.debug_status = 0;
    if (thread->arch.debug) {
        debug_regs_free(thread);
        debug_regs_load(thread);
    }
}

struct regs *arch_thread_regs(struct thread *thread)
{
    return thread->process ? (struct regs *)(thread->kernel_stack_top - REGS_FROM_TOP) : NULL;
}

void arch_enter_app(const struct regs *regs)
{
    struct regs *at = arch_thread_regs(thread_current());
    memmove(at, regs, sizeof(*at));
    exit_to_app(at);
    enter_app(at);
}

uintptr_t arch_tls_get(struct thread *thread)
{
    if (thread == thread_current())
        thread->arch.fs_base = fs_base_read();
    return thread->arch.fs_base;
}

void arch_tls_set(struct thread *thread, uintptr_t base)
{
    thread->arch.fs_base = base;
    if (thread == thread_current())
        fs_base_write(base);
}

long arch_prctl(int code, unsigned long address)
{
    enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };
    uint64_t base = 0;

    switch (code) {
    case ARCH_SET_FS:
        if (address >= APP_MAX)
            return -EPERM;
        arch_tls_set(thread_current(), address);
        return 0;
    case ARCH_SET_GS:
        log_warning_once("arch_prctl(ARCH_SET_GS) is refused: in ring 0 GS belongs to the kernel");
        return -EPERM;
    case ARCH_GET_FS:
        base = arch_tls_get(thread_current());
        return copy_to_app((void __app *)address, &base, sizeof(base));
    case ARCH_GET_GS: /* as the application sees it: never set */
        return copy_to_app((void __app *)address, &base, sizeof(base));
    default:
        return -EINVAL;
    }
}

/* ---- Registers --------------------------------------------------------------- */

void arch_regs_init(struct regs *regs, uintptr_t pc, uintptr_t sp)
{
    *regs = (struct regs){ .rip = pc,
                           .rsp = sp,
                           .cs = KERNEL_CS,
                           .ss = KERNEL_DS,
                           .rflags = RFLAGS_IF | 2,
                           .orig_rax = (uint64_t)-1 };
}

uintptr_t arch_regs_pc(const struct regs *regs)
{
    return regs->rip;
}

void arch_regs_set_pc(struct regs *regs, uintptr_t pc)
{
    regs->rip = pc;
}

uintptr_t arch_regs_fp(const struct regs *regs)
{
    return regs->rbp;
}

uintptr_t arch_regs_sp(const struct regs *regs)
{
    return regs->rsp;
}

void arch_regs_set_sp(struct regs *regs, uintptr_t sp)
{
    regs->rsp = sp;
}

long arch_regs_result(const struct regs *regs)
{
    return (long)regs->rax;
}

void arch_regs_set_result(struct regs *regs, long result)
{
    regs->rax = (uint64_t)result;
}

long arch_regs_syscall(const struct regs *regs)
{
    return (long)regs->orig_rax;
}

void arch_regs_syscall_args(const struct regs *regs, unsigned long args[6])
{
    memcpy(args, regs->args, sizeof(regs->args));
}

void arch_regs_forget_syscall(struct regs *regs)
{
    regs->orig_rax = (uint64_t)-1;
}

void arch_regs_restart_syscall(struct regs *regs, long nr)
{
    regs->rax = nr >= 0 ? (uint64_t)nr : regs->orig_rax;
    regs->rip -= 2; /* syscall is 0f 05 */
    regs->rcx = regs->rip;
}

void arch_regs_print(const struct regs *r)
{
    log_error("rip=%016lx rsp=%016lx rflags=%08lx", r->rip, r->rsp, r->rflags);
    log_error("rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx", r->rax, r->rbx, r->rcx, r->rdx);
    log_error("rsi=%016lx rdi=%016lx rbp=%016lx r8 =%016lx", r->rsi, r->rdi, r->rbp, r->r8);
    log_error("r9 =%016lx r10=%016lx r11=%016lx r12=%016lx", r->r9, r->r10, r->r11, r->r12);
    log_error("r13=%016lx r14=%016lx r15=%016lx", r->r13, r->r14, r->r15);
}
