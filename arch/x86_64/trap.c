// SPDX-License-Identifier: MIT
/*
 * Faults, interrupts and system calls, after trap_entry.S has put struct regs on the thread's kernel stack.
 *
 * An exception of the application becomes a signal as Linux's arch/x86/kernel/traps.c decides it.  One of the
 * kernel is a page fault at an instruction of the fixup table (usercopy.S), or our bug.
 */
#include "arch/x86_64/trap.h"

#include <stddef.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "arch/x86_64/call_patch.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/debug_regs.h"
#include "arch/x86_64/halt_check.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/offsets.h"
#include "arch/x86_64/vector.h"
#include "kernel/log.h"
#include "kernel/mm/vmspace.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"

_Static_assert(offsetof(struct percpu, current) == PERCPU_CURRENT, "offsets.h");
_Static_assert(offsetof(struct percpu, kernel_stack_top) == PERCPU_STACK_TOP, "offsets.h");
_Static_assert(offsetof(struct percpu, scratch) == PERCPU_SCRATCH, "offsets.h");
_Static_assert(offsetof(struct thread, kernel_sp) == THREAD_KERNEL_SP, "offsets.h");
_Static_assert(offsetof(struct thread, kernel_stack_bottom) == THREAD_STACK_BOTTOM, "offsets.h");
_Static_assert(offsetof(struct thread, kernel_stack_top) == THREAD_STACK_TOP, "offsets.h");
_Static_assert(offsetof(struct thread, work) == THREAD_WORK, "offsets.h");
_Static_assert(offsetof(struct thread, flags) == THREAD_FLAGS, "offsets.h");
_Static_assert(offsetof(struct thread, process) == THREAD_PROCESS, "offsets.h");
_Static_assert(offsetof(struct thread, tid) == THREAD_TID, "offsets.h");
_Static_assert(offsetof(struct process, pid) == PROCESS_PID, "offsets.h");
_Static_assert(THREAD_SLOW_CALLS == THREAD_SLOW_FLAGS, "offsets.h");
_Static_assert(THREAD_COUNTED == THREAD_COUNTED_FLAG, "offsets.h");
_Static_assert((THREAD_SLOW_CALLS & (SYSCALL_MAX - 1)) == 0, "offsets.h");
_Static_assert(THREAD_WORK_SIGNAL == THREAD_WORK_SIGNAL_FLAG, "offsets.h");
_Static_assert(SYSCALL_MAX == CALL_NUMBERS && ERESTART_RESTARTBLOCK == RESTART_LAST, "offsets.h");
_Static_assert(ERESTART_RESTARTBLOCK - ERESTARTSYS + 1 == NRESTARTS, "offsets.h");
_Static_assert(sizeof(struct regs) == REGS_SIZE, "offsets.h");
_Static_assert(offsetof(struct regs, rip) == REGS_RIP, "offsets.h");
_Static_assert(offsetof(struct regs, args) == REGS_RDI, "offsets.h");

/* Page-fault error code (SDM 3A, 4.7). */
#define PF_WRITE 2u
#define PF_FETCH 16u

#define FIRST_INTERRUPT 32

struct fixup {
    uint64_t at, to;
};

extern const struct fixup fixup_table_start[], fixup_table_end[];
extern char text_start[], text_end[];
/* trap_entry.S */
extern const char syscall_leave[], syscall_left[], patched_leave[], patched_left[], trap_iret[];

struct machine_frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

void trap_dispatch(struct regs *regs, unsigned vector, unsigned error);
bool syscall_from_app(struct regs *regs);
void trap_on_own_stack(unsigned vector, struct machine_frame *frame);
__noreturn void trap_bad_stack(unsigned vector, uint64_t error, const struct machine_frame *frame);

bool regs_are_app(const struct regs *regs)
{
    const struct thread *thread = thread_current();
    if (likely(regs->rsp >> 47 == 0))
        return true;
    /* An application whose rsp is wild; our own code has no business with that rip on any other stack. */
    return regs->rip >> 47 == 0 &&
           (regs->rsp <= thread->kernel_stack_bottom || regs->rsp > thread->kernel_stack_top);
}

static uint64_t fixup_find(uint64_t rip)
{
    for (const struct fixup *fixup = fixup_table_start; fixup < fixup_table_end; fixup++)
        if (fixup->at == rip)
            return fixup->to;
    return 0;
}

static const char *trap_name(unsigned vector)
{
    static const char *const names[] = { "divide error",
                                         "debug",
                                         "NMI",
                                         "breakpoint",
                                         "overflow",
                                         "bound range",
                                         "invalid opcode",
                                         "device not available",
                                         "double fault",
                                         "coprocessor segment",
                                         "invalid TSS",
                                         "segment not present",
                                         "stack fault",
                                         "general protection fault",
                                         "page fault",
                                         "reserved",
                                         "x87 error",
                                         "alignment check",
                                         "machine check",
                                         "SIMD error",
                                         "virtualization",
                                         "control protection" };
    return vector < ARRAY_SIZE(names) ? names[vector] : "exception";
}

static __noreturn void kernel_fault(struct regs *regs, unsigned vector, unsigned error,
                                    uint64_t cr2)
{
    arch_regs_print(regs);
    panic("%s in the kernel at %lx, error %x, address %lx", trap_name(vector),
          (unsigned long)regs->rip, error, (unsigned long)cr2);
}

static unsigned access_of(unsigned error)
{
    return error & PF_WRITE ? PT_WRITE : error & PF_FETCH ? PT_EXEC : PT_READ;
}

static void app_page_fault(unsigned error, uint64_t cr2)
{
    struct thread *thread = thread_current();
    struct fault_result result = { ABI_SIGSEGV, ABI_SEGV_MAPERR };
    if (cr2 < APP_MAX && vmspace_fault(thread->vmspace, cr2, access_of(error), &result) == 0)
        return;
    /* Linux's error code, as its programs see it in the signal frame: user mode is bit 2. */
    thread->arch.trap_number = VECTOR_PAGE_FAULT;
    thread->arch.trap_error = error | 4;
    thread->arch.trap_cr2 = cr2;
    signal_force_fault(result.signo, result.code, cr2);
}

/* true: try the instruction again, or continue at the fixup. */
static bool kernel_page_fault(struct regs *regs, unsigned error, uint64_t cr2)
{
    uint64_t fixup = fixup_find(regs->rip);
    struct thread *thread = thread_current();
    if (!fixup)
        return false;
    struct fault_result result;
    if ((regs->rflags & RFLAGS_IF) && thread->vmspace && cr2 < APP_MAX) {
        arch_irq_enable();
        int err = vmspace_fault(thread->vmspace, cr2, access_of(error), &result);
        arch_irq_disable();
        if (err == 0)
            return true;
    }
    regs->rip = fixup;
    return true;
}

/* Of the exception flags that are raised and not masked: x87's and SSE's lie in the same order. */
static int float_code(unsigned raised)
{
    if (raised & 1)
        return ABI_FPE_FLTINV;
    if (raised & 4)
        return ABI_FPE_FLTDIV;
    if (raised & 8)
        return ABI_FPE_FLTOVF;
    return raised & 0x12 ? ABI_FPE_FLTUND : ABI_FPE_FLTRES;
}

static int simd_code(void)
{
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return float_code(mxcsr & ~(mxcsr >> 7) & 0x3f);
}

static int x87_code(void)
{
    uint16_t status, control;
    __asm__ volatile("fnstsw %0" : "=m"(status));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return float_code(status & ~control & 0x3fu);
}

/* A step that a tracer asked for, who may be gone, or the program's own; a watched address; the instruction int1. */
static void debug_exception(struct regs *regs, unsigned status)
{
    struct thread *thread = thread_current();
    bool is_wanted = !arch_trace_is_stepping(thread) || thread_is_traced(&thread->trace);
    unsigned hits = debug_regs_hit(regs, status);
    int code = ABI_TRAP_BRKPT;
    if (hits & DEBUG_STATUS_STEP)
        code = ABI_TRAP_TRACE;
    else if (hits)
        code = ABI_TRAP_HWBKPT;
    arch_trace_step(thread, false);
    thread->arch.trap_number = VECTOR_DEBUG;
    thread->arch.trap_error = 0;
    if (is_wanted && (hits || !status))
        signal_force_fault(ABI_SIGTRAP, code, regs->rip);
}

static void app_exception(struct regs *regs, unsigned vector, unsigned error)
{
    struct thread *thread = thread_current();
    thread->arch.trap_number = vector;
    thread->arch.trap_error = error;
    switch (vector) {
    case 0:
        signal_force_fault(ABI_SIGFPE, ABI_FPE_INTDIV, regs->rip);
        return;
    case 3:
        signal_force_fault(ABI_SIGTRAP, ABI_SI_KERNEL, 0);
        return;
    case 6:
        signal_force_fault(ABI_SIGILL, ABI_ILL_ILLOPN, regs->rip);
        return;
    case 11:
    case 12:
        signal_force_fault(ABI_SIGBUS, ABI_SI_KERNEL, 0);
        return;
    case 16:
        signal_force_fault(ABI_SIGFPE, x87_code(), regs->rip);
        return;
    case 17:
        signal_force_fault(ABI_SIGBUS, ABI_BUS_ADRALN, 0);
        return;
    case 19:
        signal_force_fault(ABI_SIGFPE, simd_code(), regs->rip);
        return;
    default:
        signal_force_fault(ABI_SIGSEGV, ABI_SI_KERNEL, 0);
        return;
    }
}

static void exception(struct regs *regs, unsigned vector, unsigned error, bool is_app)
{
    uint64_t cr2 = vector == VECTOR_PAGE_FAULT ? read_cr2() : 0;
    if (is_app) {
        unsigned status = vector == VECTOR_DEBUG ? debug_status_take() : 0;
        arch_irq_enable();
        if (vector == VECTOR_PAGE_FAULT)
            app_page_fault(error, cr2);
        else if (vector == VECTOR_DEBUG)
            debug_exception(regs, status);
        else
            app_exception(regs, vector, error);
    } else if (vector == VECTOR_PROTECTION && regs->rip == (uintptr_t)trap_iret &&
               regs->rflags & RFLAGS_NT) {
        /* A patched call brings the application's flags with it, and iretq does not take NT. */
        regs->rflags &= ~(uint64_t)RFLAGS_NT;
    } else if (vector != VECTOR_PAGE_FAULT || !kernel_page_fault(regs, error, cr2)) {
        kernel_fault(regs, vector, error, cr2);
    }
}

void trap_dispatch(struct regs *regs, unsigned vector, unsigned error)
{
    bool is_app = regs_are_app(regs);
    bool is_event = !is_app || call_patch_settle(regs, vector == VECTOR_DEBUG);
    if (vector >= FIRST_INTERRUPT) {
        arch_percpu()->interrupted_app = is_app;
        arch_percpu()->interrupted = regs;
        arch_irq_dispatch(vector);
        if (is_app && unlikely(halt_is_suspected(regs))) {
            arch_irq_enable();
            halt_check(regs);
        }
    } else if (is_event) {
        exception(regs, vector, error, is_app);
    }
    if (is_app) {
        exit_to_app(regs);
        return;
    }
    /* There may be work for the thread now. */
    if (regs->rip - (uintptr_t)syscall_leave < (uintptr_t)(syscall_left - syscall_leave))
        regs->rip = (uintptr_t)syscall_leave;
    if (regs->rip - (uintptr_t)patched_leave < (uintptr_t)(patched_left - patched_leave))
        regs->rip = (uintptr_t)patched_leave;
    arch_irq_disable();
}

void exit_to_app(struct regs *regs)
{
    struct thread *thread = thread_current();
    for (;;) {
        arch_irq_disable();
        uint32_t work = READ_ONCE(thread->work);
        if (likely((work & ~THREAD_WORK_VECTOR) == 0)) {
            if (unlikely(work & THREAD_WORK_VECTOR))
                vector_restore(thread);
            return;
        }
        arch_irq_enable();
        kernel_exit_work(regs);
    }
}

/* The flags that the short way back restores; the others must be RFLAGS_USUAL. */
#define RFLAGS_STATUS 0x8d5u

/* The short way back keeps every register: rcx is the pc and r11 the flags, as after the syscall instruction. */
static bool is_short_way_enough(const struct regs *regs)
{
    return cpu_features.has_lahf && regs->rcx == regs->rip && regs->r11 == regs->rflags &&
           (regs->rflags & ~(uint64_t)RFLAGS_STATUS) == RFLAGS_USUAL && regs->rsp >> 47 == 0;
}

/* Called by syscall_entry, and returns, with interrupts on.  True: see is_short_way_enough(). */
bool syscall_from_app(struct regs *regs)
{
    const struct thread *thread = thread_current();
    if (unlikely(!(regs->r11 & RFLAGS_IF))) {
        arch_irq_enable(); /* the application had turned them off; it gets them back on */
        regs->rflags |= RFLAGS_IF;
    }
    if (unlikely(call_patch_is_due(regs->rip)))
        call_patch(regs);
    /* The number is eax: Linux ignores the upper half. */
    regs->rax = (uint64_t)syscall_dispatch((long)regs->orig_rax, regs->args);
    while (unlikely(READ_ONCE(thread->work))) {
        exit_to_app(regs);
        arch_irq_enable();
    }
    return is_short_way_enough(regs);
}

static bool is_stopping;

void arch_stop_other_cpus(void)
{
    __atomic_store_n(&is_stopping, true, __ATOMIC_SEQ_CST);
    apic_send_nmi_to_others();
}

void trap_on_own_stack(unsigned vector, struct machine_frame *frame)
{
    if (vector == VECTOR_NMI) {
        if (__atomic_load_n(&is_stopping, __ATOMIC_SEQ_CST))
            arch_halt();
        return;
    }
    if (vector == VECTOR_DEBUG) {
        /* A single step into the syscall entry, or the kernel has touched what a tracer watches. */
        frame->rflags &= ~(uint64_t)RFLAGS_TF;
        (void)debug_status_take();
        return;
    }
    panic("%s at %lx, stack %lx, address %lx", trap_name(vector), (unsigned long)frame->rip,
          (unsigned long)frame->rsp, (unsigned long)read_cr2());
}

void trap_bad_stack(unsigned vector, uint64_t error, const struct machine_frame *frame)
{
    const struct thread *thread = thread_current();
    log_error("thread %d (%.16s), kernel stack %lx-%lx", thread->tid, thread->name,
              (unsigned long)thread->kernel_stack_bottom, (unsigned long)thread->kernel_stack_top);
    panic("%s (%u, error %lx) at %lx with a bad stack pointer %lx, address %lx", trap_name(vector),
          vector, (unsigned long)error, (unsigned long)frame->rip, (unsigned long)frame->rsp,
          (unsigned long)read_cr2());
}
