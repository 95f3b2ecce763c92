// SPDX-License-Identifier: MIT
/*
 * Resource usage: see kernel/process_time.h.
 */
#include "kernel/process_time.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/clock.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define KIB_PER_PAGE (PAGE_SIZE / 1024)

static void switches_add(struct abi_rusage *usage, const struct thread *thread)
{
    usage->ru_nvcsw += (int64_t)thread->sched.nvoluntary;
    usage->ru_nivcsw += (int64_t)thread->sched.ninvoluntary;
}

/* Another process's vmspace may go at any time: only the running process looks into its own. */
static uint64_t peak_pages(const struct process *process)
{
    if (process == process_current() && process->vmspace)
        return process->vmspace->peak_resident_pages;
    return process->peak_resident_pages;
}

void process_usage(struct process *process, struct abi_rusage *usage)
{
    struct thread *thread;
    memset(usage, 0, sizeof(*usage));
    usage->ru_utime = timeval_from_nsec(process_cpu_time(process));
    usage->ru_maxrss = (int64_t)(peak_pages(process) * KIB_PER_PAGE);
    usage->ru_minflt = (int64_t)process->minor_faults;
    usage->ru_majflt = (int64_t)process->major_faults;
    usage->ru_nvcsw = (int64_t)process->dead_nvoluntary;
    usage->ru_nivcsw = (int64_t)process->dead_ninvoluntary;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    list_for_each (thread, &process->threads, process_node)
        switches_add(usage, thread);
    spin_unlock_irq(&process->signals.lock, flags);
}

static void children_usage(const struct process *process, struct abi_rusage *usage)
{
    usage->ru_utime = timeval_from_nsec(process->children_cpu_time);
    usage->ru_maxrss = (int64_t)(process->children_peak_pages * KIB_PER_PAGE);
    usage->ru_minflt = (int64_t)process->children_minor_faults;
}

long sys_getrusage(int who, void __app *to)
{
    struct process *process = process_current();
    struct abi_rusage usage;
    memset(&usage, 0, sizeof(usage));
    switch (who) {
    case ABI_RUSAGE_SELF:
        process_usage(process, &usage);
        break;
    case ABI_RUSAGE_CHILDREN:
        read_lock(&process_table_lock);
        children_usage(process, &usage);
        read_unlock(&process_table_lock);
        break;
    case ABI_RUSAGE_THREAD:
        usage.ru_utime = timeval_from_nsec(sched_cpu_time(thread_current()));
        usage.ru_maxrss = (int64_t)(peak_pages(process) * KIB_PER_PAGE);
        switches_add(&usage, thread_current());
        break;
    default:
        return -EINVAL;
    }
    return copy_to_app(to, &usage, sizeof(usage));
}
