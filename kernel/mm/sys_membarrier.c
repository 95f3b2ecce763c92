// SPDX-License-Identifier: MIT
/*
 * membarrier(2): an interrupt to the CPUs concerned is a full barrier there, and its return
 * serialises the instruction stream (iret), which is what SYNC_CORE asks for.  For RSEQ it also cuts the restartable
 * sequence that the interrupted thread may be in: it leaves it on its way back to the application.
 */
#include "abi/errno.h"
#include "kernel/mm/vmspace.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"

#define CMD_QUERY                      0
#define CMD_GLOBAL                     1
#define CMD_GLOBAL_EXPEDITED           2
#define CMD_REGISTER_GLOBAL_EXPEDITED  4
#define CMD_PRIVATE_EXPEDITED          8
#define CMD_REGISTER_PRIVATE_EXPEDITED 16
#define CMD_PRIVATE_SYNC_CORE          32
#define CMD_REGISTER_PRIVATE_SYNC_CORE 64
#define CMD_PRIVATE_RSEQ               128
#define CMD_REGISTER_PRIVATE_RSEQ      256
#define CMD_ALL                        511
#define FLAG_CPU                       1 /* for PRIVATE_RSEQ: on that CPU only */

static void barrier_here(void *arg)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void cut_sequence_here(void *arg)
{
    struct thread *thread = thread_current();

    if (thread->vmspace == arg && thread->rseq_area)
        __atomic_fetch_or(&thread->work, THREAD_WORK_RSEQ, __ATOMIC_RELAXED);
}

static uint64_t all_cpus(void)
{
    unsigned n = arch_cpu_count();

    return n >= 64 ? ~0ULL : (1ULL << n) - 1;
}

static void barrier_on(uint64_t cpus)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (cpus)
        arch_call_on_cpus(cpus, barrier_here, NULL);
}

static long barrier_private(struct vmspace *vm, unsigned registration)
{
    if (!(__atomic_load_n(&vm->membarrier, __ATOMIC_RELAXED) & registration))
        return -EPERM;
    barrier_on(__atomic_load_n(&vm->active_cpus, __ATOMIC_SEQ_CST));
    return 0;
}

static long barrier_rseq(struct vmspace *vm, unsigned flags, int cpu)
{
    uint64_t cpus = __atomic_load_n(&vm->active_cpus, __ATOMIC_SEQ_CST);

    if (!(__atomic_load_n(&vm->membarrier, __ATOMIC_RELAXED) & CMD_REGISTER_PRIVATE_RSEQ))
        return -EPERM;
    if (flags & FLAG_CPU && cpu >= 0)
        cpus &= cpu < 64 ? 1ULL << cpu : 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (cpus)
        arch_call_on_cpus(cpus, cut_sequence_here, vm);
    return 0;
}

long sys_membarrier(int command, unsigned flags, int cpu)
{
    struct vmspace *vm = thread_current()->vmspace;

    if (flags & ~(command == CMD_PRIVATE_RSEQ ? FLAG_CPU : 0u))
        return -EINVAL;
    switch (command) {
    case CMD_QUERY:
        return CMD_ALL;
    case CMD_GLOBAL:
    case CMD_GLOBAL_EXPEDITED:
        barrier_on(all_cpus());
        return 0;
    case CMD_REGISTER_GLOBAL_EXPEDITED:
    case CMD_REGISTER_PRIVATE_EXPEDITED:
    case CMD_REGISTER_PRIVATE_SYNC_CORE:
    case CMD_REGISTER_PRIVATE_RSEQ:
        __atomic_fetch_or(&vm->membarrier, (unsigned)command, __ATOMIC_RELAXED);
        return 0;
    case CMD_PRIVATE_EXPEDITED:
        return barrier_private(vm, CMD_REGISTER_PRIVATE_EXPEDITED);
    case CMD_PRIVATE_SYNC_CORE:
        return barrier_private(vm, CMD_REGISTER_PRIVATE_SYNC_CORE);
    case CMD_PRIVATE_RSEQ:
        return barrier_rseq(vm, flags, cpu);
    default:
        return -EINVAL;
    }
}
