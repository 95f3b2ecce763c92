// SPDX-License-Identifier: MIT
/*
 * Linux's rt_sigframe (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h): what a handler finds on
 * its stack, and what rt_sigreturn takes back.
 *
 * Programs look into it - the JVM, Go and V8 resume from it, unwinders walk it - so each field is where Linux
 * has it.  From the stack's top downwards: the vector state as XSAVE lays it out, 64-byte aligned; then
 * return address, ucontext and siginfo, so that the handler starts with rsp + 8 divisible by 16.
 *
 * cs and ss are shown as 0x33 and 0x2b, what they are in ring 3; what comes back in them is ignored.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/offsets.h"
#include "arch/x86_64/vector.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define RED_ZONE       128
#define SHOWN_CS       0x33
#define SHOWN_SS       0x2b
#define UC_FLAGS       7 /* UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
#define MAGIC1         0x46505853u
#define MAGIC2         0x46505845u
#define LEGACY_SIZE    512
#define SW_OFFSET      464 /* sw_reserved in the legacy area */
#define HEADER_SIZE    64
/* What sigreturn may change of the flags: CF PF AF ZF SF TF DF OF RF AC. */
#define FLAGS_RESTORED 0x00050dd5ULL

struct sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
        rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate;
    uint64_t reserved[8];
};
_Static_assert(sizeof(struct sigcontext) == 256, "struct sigcontext");

struct ucontext {
    uint64_t flags, link;
    struct abi_stack stack;
    struct sigcontext mcontext;
    uint64_t sigmask;
};

struct rt_sigframe {
    uint64_t pretcode;
    struct ucontext uc;
    struct abi_siginfo info;
};

struct fpx_sw_bytes {
    uint32_t magic1, extended_size;
    uint64_t xfeatures;
    uint32_t xstate_size, padding[7];
};

static size_t vector_frame_size(void)
{
    return cpu_features.xsave_size + (cpu_features.has_xsave ? 4 : 0);
}

size_t arch_signal_frame_size(void)
{
    return sizeof(struct rt_sigframe) + vector_frame_size() + 64 + 16;
}

static int push_vector_state(uintptr_t at)
{
    struct thread *thread = thread_current();
    unsigned long flags = arch_irq_save();
    vector_save(thread);
    arch_irq_restore(flags);
    vector_complete(thread);
    uint8_t *area = thread->arch.xsave;
    if (copy_to_app((void __app *)at, area, cpu_features.xsave_size))
        return -EFAULT;
    if (!cpu_features.has_xsave)
        return 0;
    struct fpx_sw_bytes sw = { .magic1 = MAGIC1,
                               .extended_size = (uint32_t)vector_frame_size(),
                               .xfeatures = cpu_features.xcr0,
                               .xstate_size = cpu_features.xsave_size };
    uint32_t magic2 = MAGIC2;
    /* x87 and SSE are always there for whoever reads the legacy area only. */
    uint64_t present;
    memcpy(&present, area + LEGACY_SIZE, 8);
    present |= 3;
    if (copy_to_app((void __app *)(at + SW_OFFSET), &sw, sizeof(sw)) ||
        copy_to_app((void __app *)(at + LEGACY_SIZE), &present, sizeof(present)) ||
        copy_to_app((void __app *)(at + cpu_features.xsave_size), &magic2, sizeof(magic2)))
        return -EFAULT;
    return 0;
}

static void fill_sigcontext(struct sigcontext *sc, const struct regs *r, uint64_t blocked,
                            uintptr_t fpstate)
{
    const struct arch_thread *arch = &thread_current()->arch;
    *sc = (struct sigcontext){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rdi = r->rdi,
        .rsi = r->rsi,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .rdx = r->rdx,
        .rax = r->rax,
        .rcx = r->rcx,
        .rsp = r->rsp,
        .rip = r->rip,
        .rflags = r->rflags,
        .cs = SHOWN_CS,
        .ss = SHOWN_SS,
        .err = arch->trap_error,
        .trapno = arch->trap_number,
        .oldmask = blocked,
        .cr2 = arch->trap_cr2,
        .fpstate = fpstate,
    };
}

int arch_signal_push(struct regs *regs, const struct abi_siginfo *info,
                     const struct abi_sigaction *action, uint64_t blocked,
                     const struct abi_stack *altstack, uintptr_t sp_top)
{
    if (!(action->flags & ABI_SA_RESTORER))
        return -EFAULT; /* as Linux: on x86-64 there is no other way back */
    if (action->handler >= APP_MAX)
        return -EFAULT; /* iretq would fault on it, or it is the kernel's */
    uintptr_t sp = sp_top ? sp_top : regs->rsp - RED_ZONE;
    uintptr_t fpstate = ALIGN_DOWN(sp - vector_frame_size(), 64);
    uintptr_t at = ALIGN_DOWN(fpstate - sizeof(struct rt_sigframe), 16) - 8;
    struct rt_sigframe frame = {
        .pretcode = action->restorer,
        .uc = { .flags = UC_FLAGS, .stack = *altstack, .sigmask = blocked },
        .info = *info,
    };
    if (!cpu_features.has_xsave)
        frame.uc.flags &= ~1ULL;
    fill_sigcontext(&frame.uc.mcontext, regs, blocked, fpstate);
    if (push_vector_state(fpstate) || copy_to_app((void __app *)at, &frame, sizeof(frame)))
        return -EFAULT;

    regs->rdi = (uint64_t)info->si_signo;
    regs->rsi = at + offsetof(struct rt_sigframe, info);
    regs->rdx = at + offsetof(struct rt_sigframe, uc);
    regs->rax = 0;
    regs->rip = action->handler;
    regs->rsp = at;
    regs->rflags &= ~(uint64_t)(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    arch_regs_forget_syscall(regs);
    vector_reset(thread_current());
    return 0;
}

/* As on Linux, what cannot be loaded ends the program. */
static int check_vector_state(uint8_t *area, bool is_extended)
{
    static const uint64_t header[HEADER_SIZE / 8] = { 3 };
    if (cpu_features.has_xsave && !is_extended)
        memcpy(area + LEGACY_SIZE, header, HEADER_SIZE);
    return vector_check(area, is_extended);
}

static int pop_vector_state(uintptr_t at)
{
    struct thread *thread = thread_current();
    uint8_t *area = thread->arch.xsave;
    vector_reset(thread);
    if (at == 0)
        return 0;
    struct fpx_sw_bytes sw;
    uint32_t magic2 = 0;
    if (copy_from_app(&sw, (const void __app *)(at + SW_OFFSET), sizeof(sw)))
        return -EFAULT;
    bool is_extended = cpu_features.has_xsave && sw.magic1 == MAGIC1 &&
                       sw.xstate_size == cpu_features.xsave_size &&
                       copy_from_app(&magic2, (const void __app *)(at + sw.xstate_size), 4) == 0 &&
                       magic2 == MAGIC2;
    size_t size = is_extended ? cpu_features.xsave_size : LEGACY_SIZE;
    if (copy_from_app(area, (const void __app *)at, size)) {
        vector_reset(thread);
        return -EFAULT;
    }
    int err = check_vector_state(area, is_extended);
    if (err)
        vector_reset(thread);
    return err;
}

int arch_signal_pop(struct regs *regs, uint64_t *blocked, struct abi_stack *altstack)
{
    struct ucontext uc;
    /* The handler's ret took the return address off. */
    uintptr_t at = regs->rsp - 8 + offsetof(struct rt_sigframe, uc);
    if (copy_from_app(&uc, (const void __app *)at, sizeof(uc)))
        return -EFAULT;
    const struct sigcontext *sc = &uc.mcontext;
    if (sc->rip >= APP_MAX || sc->rsp > APP_MAX)
        return -EFAULT;
    if (pop_vector_state(sc->fpstate))
        return -EFAULT;
    uint64_t flags = (regs->rflags & ~FLAGS_RESTORED) | (sc->rflags & FLAGS_RESTORED);
    *regs = (struct regs){
        .r8 = sc->r8,
        .r9 = sc->r9,
        .r10 = sc->r10,
        .r11 = sc->r11,
        .r12 = sc->r12,
        .r13 = sc->r13,
        .r14 = sc->r14,
        .r15 = sc->r15,
        .rdi = sc->rdi,
        .rsi = sc->rsi,
        .rbp = sc->rbp,
        .rbx = sc->rbx,
        .rdx = sc->rdx,
        .rax = sc->rax,
        .rcx = sc->rcx,
        .rsp = sc->rsp,
        .rip = sc->rip,
        .rflags = flags | RFLAGS_IF | 2,
        .cs = KERNEL_CS,
        .ss = KERNEL_DS,
        .orig_rax = (uint64_t)-1,
    };
    *blocked = uc.sigmask;
    *altstack = uc.stack;
    return 0;
}
