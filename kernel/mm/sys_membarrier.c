// SPDX-License-Identifier: MIT
/*
 * membarrier(2): an interrupt to the CPUs concerned is a full barrier there, and its return
 * serialises the instruction stream (iret), which is what SYNC_CORE asks for.
 *
 * The RSEQ commands are answered as by a kernel without restartable sequences' half of it (-EINVAL, not in
 * MEMBARRIER_CMD_QUERY): an interrupt here does not restart one.
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
#define CMD_ALL                        127

static void barrier_here(void *arg)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
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

long sys_membarrier(int command, unsigned flags, int cpu)
{
    struct vmspace *vm = thread_current()->vmspace;

    if (flags != 0)
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
        __atomic_fetch_or(&vm->membarrier, (unsigned)command, __ATOMIC_RELAXED);
        return 0;
    case CMD_PRIVATE_EXPEDITED:
        return barrier_private(vm, CMD_REGISTER_PRIVATE_EXPEDITED);
    case CMD_PRIVATE_SYNC_CORE:
        return barrier_private(vm, CMD_REGISTER_PRIVATE_SYNC_CORE);
    default:
        return -EINVAL;
    }
}
