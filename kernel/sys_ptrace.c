// SPDX-License-Identifier: MIT
/*
 * ptrace(2): its requests.  Most want a tracee that is stopped; only SIGKILL could then make it go on meanwhile, and
 * a thread that is on its way out uses nothing of what a tracer changes.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/ptrace.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define WORD sizeof(uint64_t)

/* ---- Memory --------------------------------------------------------------------- */

static long memory_move(struct thread *thread, uintptr_t address, uint64_t *word, bool write)
{
    struct vmspace *vm = process_vmspace(thread->process);
    long n = vm ? vmspace_force(vm, address, word, WORD, write) : -EFAULT;
    if (vm)
        vmspace_put(vm);
    return n == (long)WORD ? 0 : -EIO;
}

static long memory_peek(struct thread *thread, uintptr_t address, void __app *to)
{
    uint64_t word;
    long err = memory_move(thread, address, &word, false);
    return err ? err : copy_to_app(to, &word, WORD);
}

/* ---- Registers --------------------------------------------------------------------- */

static long user_peek(struct thread *thread, uintptr_t offset, void __app *to)
{
    if (offset % WORD || offset >= ABI_USER_SIZE)
        return -EIO;
    uint64_t word = 0; /* what lies between is what no debugger reads */
    if (offset / WORD < ABI_USER_REGS)
        word = arch_trace_reg_get(thread, (unsigned)(offset / WORD));
    else if (offset >= ABI_USER_DEBUGREG)
        word = arch_trace_debug_get(thread, (unsigned)((offset - ABI_USER_DEBUGREG) / WORD));
    return copy_to_app(to, &word, WORD);
}

static long user_poke(struct thread *thread, uintptr_t offset, uint64_t value)
{
    if (offset % WORD || offset >= ABI_USER_SIZE)
        return -EIO;
    if (offset / WORD < ABI_USER_REGS)
        return arch_trace_reg_set(thread, (unsigned)(offset / WORD), value);
    if (offset < ABI_USER_DEBUGREG)
        return -EIO;
    return arch_trace_debug_set(thread, (unsigned)((offset - ABI_USER_DEBUGREG) / WORD), value);
}

static void regs_get(struct thread *thread, uint64_t *regs)
{
    for (unsigned i = 0; i < ABI_USER_REGS; i++)
        regs[i] = arch_trace_reg_get(thread, i);
}

static int regs_set(struct thread *thread, const uint64_t *regs, size_t n)
{
    int err = 0;
    for (unsigned i = 0; i < n && !err; i++)
        err = arch_trace_reg_set(thread, i, regs[i]);
    return err;
}

static long regs_move(struct thread *thread, void __app *at, size_t size, bool write)
{
    uint64_t regs[ABI_USER_REGS];
    if (!write) {
        regs_get(thread, regs);
        return copy_to_app(at, regs, size);
    }
    if (copy_from_app(regs, at, size))
        return -EFAULT;
    return regs_set(thread, regs, size / WORD);
}

static long vector_move(struct thread *thread, void __app *at, size_t size, bool whole, bool write)
{
    void *buf = kzalloc(arch_trace_vector_size(true), ALLOC_WAIT);
    if (!buf)
        return -ENOMEM;
    long err = 0;
    if (!write) {
        arch_trace_vector_get(thread, whole, buf);
        err = copy_to_app(at, buf, size);
    } else if (copy_from_app(buf, at, size)) {
        err = -EFAULT;
    } else {
        err = arch_trace_vector_set(thread, whole, buf);
    }
    kfree(buf);
    return err;
}

static long regset_move(struct thread *thread, unsigned long type, void __app *vector, bool write)
{
    struct {
        uint64_t base, len;
    } piece; /* struct iovec */
    bool is_regs = type == ABI_NT_PRSTATUS, whole = type == ABI_NT_X86_XSTATE;
    if (!is_regs && !whole && type != ABI_NT_PRFPREG)
        return -EINVAL;
    if (copy_from_app(&piece, vector, sizeof(piece)))
        return -EFAULT;
    size_t full = is_regs ? ABI_USER_REGS * WORD : arch_trace_vector_size(whole);
    size_t size = MIN((size_t)piece.len, full);
    if (piece.len % WORD || (write && !is_regs && size < full))
        return -EINVAL;
    void __app *at = (void __app *)piece.base;
    long err =
        is_regs ? regs_move(thread, at, size, write) : vector_move(thread, at, size, whole, write);
    piece.len = size;
    return err ? err : copy_to_app(vector, &piece, sizeof(piece));
}

/* ---- Signals ---------------------------------------------------------------------------- */

static long siginfo_move(struct thread *thread, void __app *at, bool write)
{
    struct signal_shared *shared = &thread->process->signals;
    struct abi_siginfo info;
    if (write && copy_from_app(&info, at, sizeof(info)))
        return -EFAULT;
    unsigned long flags = spin_lock_irq(&shared->lock);
    struct abi_siginfo *own = thread->trace.is_stopped ? thread->trace.info : NULL;
    if (own && write)
        *own = info;
    else if (own)
        info = *own;
    spin_unlock_irq(&shared->lock, flags);
    if (!own)
        return -EINVAL;
    return write ? 0 : copy_to_app(at, &info, sizeof(info));
}

static long siginfo_peek(struct thread *thread, const void __app *from, char __app *to)
{
    struct abi_ptrace_peeksiginfo_args args;
    struct signal_shared *shared = &thread->process->signals;
    struct abi_siginfo info;
    int done = 0;
    if (copy_from_app(&args, from, sizeof(args)))
        return -EFAULT;
    if (args.flags & ~ABI_PTRACE_PEEKSIGINFO_SHARED || args.nr < 0)
        return -EINVAL;
    struct signal_queue *queue = args.flags ? &shared->pending : &thread->signals.pending;
    for (; done < args.nr; done++) {
        unsigned long flags = spin_lock_irq(&shared->lock);
        bool is_there = signal_queue_peek(queue, args.off + (unsigned)done, &info);
        spin_unlock_irq(&shared->lock, flags);
        if (!is_there)
            break;
        if (copy_to_app(to + (size_t)done * sizeof(info), &info, sizeof(info)))
            return done ? done : -EFAULT;
    }
    return done;
}

static long sigmask_move(struct thread *thread, size_t size, void __app *at, bool write)
{
    struct signal_shared *shared = &thread->process->signals;
    uint64_t mask;
    if (size != sizeof(mask))
        return -EINVAL;
    if (!write) {
        mask = thread->signals.has_saved_blocked ? thread->signals.saved_blocked
                                                 : thread->signals.blocked;
        return copy_to_app(at, &mask, sizeof(mask));
    }
    if (copy_from_app(&mask, at, sizeof(mask)))
        return -EFAULT;
    mask &= ~(SIGNAL_BIT(ABI_SIGKILL) | SIGNAL_BIT(ABI_SIGSTOP));
    unsigned long flags = spin_lock_irq(&shared->lock);
    thread->signals.blocked = mask;
    __atomic_fetch_or(&thread->work, THREAD_WORK_SIGNAL, __ATOMIC_RELAXED);
    spin_unlock_irq(&shared->lock, flags);
    return 0;
}

/* ---- What kind of stop ---------------------------------------------------------------------- */

static size_t call_info_fill(struct thread *thread, struct abi_ptrace_syscall_info *info)
{
    const struct regs *regs = arch_thread_regs(thread);
    long result = arch_regs_result(regs);
    unsigned long args[6];
    switch (info->op) {
    case ABI_PTRACE_SYSCALL_INFO_ENTRY:
    case ABI_PTRACE_SYSCALL_INFO_SECCOMP:
        info->entry.nr = (uint64_t)arch_regs_syscall(regs);
        arch_regs_syscall_args(regs, args);
        memcpy(info->entry.args, args, sizeof(args));
        if (info->op == ABI_PTRACE_SYSCALL_INFO_ENTRY)
            return offsetof(struct abi_ptrace_syscall_info, entry) + sizeof(info->entry);
        info->seccomp.ret_data = (uint32_t)thread->trace.message;
        return offsetof(struct abi_ptrace_syscall_info, seccomp.ret_data) + sizeof(uint32_t);
    case ABI_PTRACE_SYSCALL_INFO_EXIT:
        info->exit.rval = result;
        info->exit.is_error = result < 0 && result >= -4095;
        return offsetof(struct abi_ptrace_syscall_info, exit.is_error) + sizeof(uint8_t);
    default:
        return offsetof(struct abi_ptrace_syscall_info, entry);
    }
}

static uint8_t stop_op(struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    uint8_t op = ABI_PTRACE_SYSCALL_INFO_NONE;
    unsigned long flags = spin_lock_irq(&shared->lock);
    const struct abi_siginfo *info = thread->trace.info;
    int code = info ? info->si_code : 0;
    if (code == (ABI_SIGTRAP | 0x80))
        op = (uint8_t)thread->trace.message;
    else if (code == (ABI_SIGTRAP | ABI_PTRACE_EVENT_SECCOMP << 8))
        op = ABI_PTRACE_SYSCALL_INFO_SECCOMP;
    spin_unlock_irq(&shared->lock, flags);
    return op;
}

static long call_info(struct thread *thread, size_t size, void __app *to)
{
    const struct regs *regs = arch_thread_regs(thread);
    struct abi_ptrace_syscall_info info = {
        .op = stop_op(thread),
        .arch = ABI_AUDIT_ARCH_X86_64,
        .instruction_pointer = arch_regs_pc(regs),
        .stack_pointer = arch_regs_sp(regs),
    };
    size_t actual = call_info_fill(thread, &info);
    return copy_to_app(to, &info, MIN(size, actual)) ? -EFAULT : (long)actual;
}

/* ---- Going on --------------------------------------------------------------------------------- */

static long resume(struct thread *thread, enum trace_resume how, unsigned long signo)
{
    struct signal_shared *shared = &thread->process->signals;
    bool is_step = how == TRACE_STEP || how == TRACE_EMULATE_STEP;
    if (signo > ABI_NSIG)
        return -EIO;
    unsigned long flags = spin_lock_irq(&shared->lock);
    bool is_stopped = thread->trace.is_stopped;
    if (is_stopped) {
        thread->trace.must_skip_calls = how == TRACE_EMULATE || how == TRACE_EMULATE_STEP;
        if (how == TRACE_CONT)
            __atomic_fetch_and(&thread->flags, ~THREAD_CALL_STOPS, __ATOMIC_RELAXED);
        else
            __atomic_fetch_or(&thread->flags, THREAD_CALL_STOPS, __ATOMIC_RELAXED);
        arch_trace_step(thread, is_step);
        thread->trace.is_answered = true;
        ptrace_resume_locked(thread, (int)signo);
    }
    spin_unlock_irq(&shared->lock, flags);
    return is_stopped ? 0 : -ESRCH;
}

static long detach(struct thread *thread, unsigned long signo)
{
    struct signal_shared *shared = &thread->process->signals;
    if (signo > ABI_NSIG)
        return -EIO;
    write_lock(&process_table_lock);
    unsigned long flags = spin_lock_irq(&shared->lock);
    thread->trace.code = (int)signo;
    thread->trace.is_answered = true;
    thread->trace.must_skip_calls = false;
    spin_unlock_irq(&shared->lock, flags);
    ptrace_unlink(thread);
    write_unlock(&process_table_lock);
    return 0;
}

static long options_set(struct thread *thread, unsigned long options)
{
    if (options & ~(unsigned long)ABI_PTRACE_O_MASK)
        return -EINVAL;
    thread->trace.options = (unsigned)options;
    return 0;
}

static long interrupt(struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    if (!thread->trace.is_seized)
        return -EIO;
    unsigned long flags = spin_lock_irq(&shared->lock);
    thread->trace.must_trap = true;
    if (thread->trace.is_listening)
        ptrace_resume_locked(thread, 0);
    signal_kick(thread, THREAD_WORK_SIGNAL);
    spin_unlock_irq(&shared->lock, flags);
    return 0;
}

static long listen(struct thread *thread)
{
    struct signal_shared *shared = &thread->process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    struct thread_trace *trace = &thread->trace;
    bool may = trace->is_seized && trace->is_stopped && trace->info &&
               trace->info->si_code >> 8 == ABI_PTRACE_EVENT_STOP;
    if (may) {
        trace->is_listening = true;
        if (trace->must_notify)
            ptrace_resume_locked(thread, 0);
    }
    spin_unlock_irq(&shared->lock, flags);
    return may ? 0 : -EIO;
}

/* ---- The door ------------------------------------------------------------------------------------ */

static long request_state(struct thread *thread, long request, unsigned long addr,
                          unsigned long data)
{
    void __app *at = (void __app *)data;
    unsigned long message = thread->trace.message;
    switch (request) {
    case ABI_PTRACE_CONT:
        return resume(thread, TRACE_CONT, data);
    case ABI_PTRACE_SYSCALL:
        return resume(thread, TRACE_CALLS, data);
    case ABI_PTRACE_SINGLESTEP:
        return resume(thread, TRACE_STEP, data);
    case ABI_PTRACE_SYSEMU:
        return resume(thread, TRACE_EMULATE, data);
    case ABI_PTRACE_SYSEMU_SINGLESTEP:
        return resume(thread, TRACE_EMULATE_STEP, data);
    case ABI_PTRACE_DETACH:
        return detach(thread, data);
    case ABI_PTRACE_SETOPTIONS:
    case ABI_PTRACE_OLDSETOPTIONS:
        return options_set(thread, data);
    case ABI_PTRACE_LISTEN:
        return listen(thread);
    case ABI_PTRACE_GETEVENTMSG:
        return copy_to_app(at, &message, sizeof(message));
    case ABI_PTRACE_GET_SYSCALL_INFO:
        return call_info(thread, addr, at);
    case ABI_PTRACE_PEEKSIGINFO:
        return siginfo_peek(thread, (const void __app *)addr, at);
    default:
        return -EIO;
    }
}

static long request_memory(struct thread *thread, long request, unsigned long addr,
                           unsigned long data)
{
    void __app *at = (void __app *)data;
    size_t regs_size = ABI_USER_REGS * WORD;
    uint64_t word = data;
    switch (request) {
    case ABI_PTRACE_PEEKTEXT:
    case ABI_PTRACE_PEEKDATA:
        return memory_peek(thread, addr, at);
    case ABI_PTRACE_POKETEXT:
    case ABI_PTRACE_POKEDATA:
        return memory_move(thread, addr, &word, true);
    case ABI_PTRACE_PEEKUSER:
        return user_peek(thread, addr, at);
    case ABI_PTRACE_POKEUSER:
        return user_poke(thread, addr, data);
    case ABI_PTRACE_GETREGS:
    case ABI_PTRACE_SETREGS:
        return regs_move(thread, at, regs_size, request == ABI_PTRACE_SETREGS);
    case ABI_PTRACE_GETFPREGS:
    case ABI_PTRACE_SETFPREGS:
        return vector_move(thread, at, arch_trace_vector_size(false), false,
                           request == ABI_PTRACE_SETFPREGS);
    case ABI_PTRACE_GETREGSET:
    case ABI_PTRACE_SETREGSET:
        return regset_move(thread, addr, at, request == ABI_PTRACE_SETREGSET);
    case ABI_PTRACE_GETSIGINFO:
    case ABI_PTRACE_SETSIGINFO:
        return siginfo_move(thread, at, request == ABI_PTRACE_SETSIGINFO);
    case ABI_PTRACE_GETSIGMASK:
    case ABI_PTRACE_SETSIGMASK:
        return sigmask_move(thread, addr, at, request == ABI_PTRACE_SETSIGMASK);
    default:
        return request_state(thread, request, addr, data);
    }
}

static bool is_tracee(struct thread *thread, bool wants_stopped)
{
    struct signal_shared *shared = &thread->process->signals;
    const struct thread_trace *trace = &thread->trace;
    unsigned long flags = spin_lock_irq(&shared->lock);
    bool is_ready = trace->is_stopped && !trace->is_listening;
    bool is_so = trace->tracer == thread_current() && (is_ready || !wants_stopped);
    spin_unlock_irq(&shared->lock, flags);
    return is_so;
}

static long attach(struct thread *thread, bool seize, unsigned long addr, unsigned long options)
{
    if (!seize)
        return ptrace_attach(thread, false, 0);
    if (addr || options & ~(unsigned long)ABI_PTRACE_O_MASK)
        return -EIO;
    return ptrace_attach(thread, true, (unsigned)options);
}

static long request_run(struct thread *thread, long request, unsigned long addr, unsigned long data)
{
    if (request == ABI_PTRACE_ATTACH || request == ABI_PTRACE_SEIZE)
        return attach(thread, request == ABI_PTRACE_SEIZE, addr, data);
    bool is_free = request == ABI_PTRACE_KILL || request == ABI_PTRACE_INTERRUPT;
    if (!is_tracee(thread, !is_free))
        return -ESRCH;
    if (request == ABI_PTRACE_INTERRUPT)
        return interrupt(thread);
    if (request == ABI_PTRACE_KILL)
        return signal_send_thread(thread, ABI_SIGKILL, NULL) == 0 ? 0 : -ESRCH;
    return request_memory(thread, request, addr, data);
}

long sys_ptrace(long request, int pid, unsigned long addr, unsigned long data)
{
    if (request == ABI_PTRACE_TRACEME)
        return ptrace_traceme();
    struct thread *thread = pid > 0 ? thread_find(pid) : NULL;
    if (!thread)
        return -ESRCH;
    long result = request_run(thread, request, addr, data);
    thread_put(thread);
    return result;
}
