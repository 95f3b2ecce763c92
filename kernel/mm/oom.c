// SPDX-License-Identifier: MIT
/*
 * When memory has run out.  A system call that needs some gets -ENOMEM; a page fault has nobody to tell,
 * so the process that faulted is killed, after a report that says what used the memory.  By then
 * every shrinker has been asked (kernel/mm/frame.c).
 */
#include "abi/signal.h"
#include "kernel/log.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"

static unsigned long long mib(uint64_t npages)
{
    return npages >> (20 - PAGE_SHIFT);
}

static void oom_report(const struct vmspace *vm, const struct process *process)
{
    struct frame_stats stats;

    frame_get_stats(&stats);
    log_error("out of memory: %s (pid %d) has %llu MiB resident, %llu MiB mapped", process->comm,
              process->pid, mib(vm->resident_pages), (unsigned long long)vm->mapped_bytes >> 20);
    log_error("  of %llu MiB: application %llu, files %llu, slabs %llu, kernel %llu, free %llu",
              mib(stats.total_pages), mib(stats.app_pages), mib(stats.cache_pages),
              mib(stats.slab_pages), mib(stats.kernel_pages), mib(stats.free_pages));
    log_error("  it is killed; give the machine more memory (stout run -m)");
}

void oom_kill_current(struct vmspace *vm)
{
    struct thread *self = arch_current();

    if (!self || !self->process || signal_is_fatal_pending())
        return;
    oom_report(vm, self->process);
    signal_send_process(self->process, ABI_SIGKILL, NULL);
}
