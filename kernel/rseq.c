// SPDX-License-Identifier: MIT
/*
 * Restartable sequences.
 *
 * A thread registers a struct rseq.  Whenever it has been away from its CPU, the kernel writes the
 * CPU's number there, and if the program counter is inside the sequence that rseq_cs names, sets it to the
 * sequence's abort handler, which must be preceded by the signature given at registration.
 */
#include "kernel/rseq.h"

#include "abi/errno.h"
#include "abi/process.h"
#include "abi/signal.h"
#include "kernel/percpu.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

static void __app *area_field(const struct thread *thread, size_t offset)
{
    return (void __app *)(thread->rseq_area + offset);
}

/* The copy may sleep and come back elsewhere: then rseq_switched() has asked for another round. */
static int cpu_write(struct thread *thread)
{
    unsigned cpu = cpu_current();
    uint32_t cpus[2] = { cpu, cpu }; /* cpu_id_start, cpu_id */
    thread->rseq_cpu = cpu;
    return copy_to_app(area_field(thread, 0), cpus, sizeof(cpus));
}

static int sequence_read(const struct thread *thread, uint64_t address, struct abi_rseq_cs *cs)
{
    uint32_t signature;
    if (address >= APP_MAX || copy_from_app(cs, (const void __app *)address, sizeof(*cs)))
        return -EFAULT;
    if (cs->start_ip >= APP_MAX || cs->start_ip + cs->post_commit_offset >= APP_MAX ||
        cs->abort_ip >= APP_MAX || cs->version != 0)
        return -EINVAL;
    if (cs->abort_ip - cs->start_ip < cs->post_commit_offset)
        return -EINVAL; /* the handler must lie outside */
    if (copy_from_app(&signature, (const void __app *)(cs->abort_ip - 4), sizeof(signature)))
        return -EFAULT;
    return signature == thread->rseq_signature ? 0 : -EINVAL;
}

static int sequence_abort(const struct thread *thread, struct regs *regs)
{
    struct abi_rseq_cs cs;
    uint64_t address, none = 0;
    void __app *field = area_field(thread, offsetof(struct abi_rseq, rseq_cs));
    if (copy_from_app(&address, field, sizeof(address)))
        return -EFAULT;
    if (!address)
        return 0;
    int err = sequence_read(thread, address, &cs);
    if (err)
        return err;
    if (copy_to_app(field, &none, sizeof(none)))
        return -EFAULT;
    if (arch_regs_pc(regs) - cs.start_ip < cs.post_commit_offset)
        arch_regs_set_pc(regs, cs.abort_ip);
    return 0;
}

void rseq_update(struct regs *regs)
{
    struct thread *thread = thread_current();
    __atomic_fetch_and(&thread->work, ~THREAD_WORK_RSEQ, __ATOMIC_RELAXED);
    if (!thread->rseq_area)
        return;
    if (sequence_abort(thread, regs) || cpu_write(thread)) {
        thread->rseq_area = 0;
        struct abi_siginfo info = { .si_signo = ABI_SIGSEGV, .si_code = ABI_SI_KERNEL };
        signal_force(ABI_SIGSEGV, &info);
    }
}

static long rseq_unregister(struct thread *thread, uintptr_t area, unsigned len, unsigned signature)
{
    struct abi_rseq empty = { .cpu_id = ABI_RSEQ_CPU_UNINITIALIZED };
    if (thread->rseq_area != area || !thread->rseq_area)
        return -EINVAL;
    if (thread->rseq_len != len)
        return -EINVAL;
    if (thread->rseq_signature != signature)
        return -EPERM;
    if (copy_to_app(area_field(thread, 0), &empty, sizeof(empty)))
        return -EFAULT;
    thread->rseq_area = 0;
    return 0;
}

long sys_rseq(void __app *area, unsigned len, unsigned flags, unsigned signature)
{
    struct thread *thread = thread_current();
    uintptr_t address = (uintptr_t)area;
    if (flags & ABI_RSEQ_FLAG_UNREGISTER) {
        if (flags & ~ABI_RSEQ_FLAG_UNREGISTER)
            return -EINVAL;
        return rseq_unregister(thread, address, len, signature);
    }
    if (flags)
        return -EINVAL;
    if (thread->rseq_area) {
        if (thread->rseq_area != address || thread->rseq_len != len)
            return -EINVAL;
        return thread->rseq_signature != signature ? -EPERM : -EBUSY;
    }
    if (address % 32 || len != sizeof(struct abi_rseq))
        return -EINVAL;
    if (!app_range_ok(area, len))
        return -EFAULT;
    thread->rseq_area = address;
    thread->rseq_len = len;
    thread->rseq_signature = signature;
    __atomic_fetch_or(&thread->work, THREAD_WORK_RSEQ, __ATOMIC_RELAXED);
    return 0;
}
