// SPDX-License-Identifier: MIT
/*
 * Resource usage, and the limits on CPU time: see kernel/process_time.h.
 *
 * A thread that ends adds what it used to process->dead, under signals.lock, so that a sum is complete at
 * any time; a reaped child's goes to its parent's process->children, under the table lock.
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

/* ---- Sums ------------------------------------------------------------------------------ */

void usage_add(struct usage *sum, const struct usage *more)
{
    sum->time.user += more->time.user;
    sum->time.system += more->time.system;
    sum->minor_faults += more->minor_faults;
    sum->major_faults += more->major_faults;
    sum->nvoluntary += more->nvoluntary;
    sum->ninvoluntary += more->ninvoluntary;
    sum->io.read_bytes += more->io.read_bytes;
    sum->io.written_bytes += more->io.written_bytes;
    sum->io.nreads += more->io.nreads;
    sum->io.nwrites += more->io.nwrites;
}

static struct cpu_split thread_split(struct thread *thread)
{
    struct cpu_account *account = &thread->cpu_account;

    cpu_account_settle(account, sched_cpu_time(thread));
    return (struct cpu_split){ account->settled[CPU_USER] + account->settled[CPU_NICE],
                               account->settled[CPU_SYSTEM] };
}

void thread_usage_locked(struct thread *thread, struct usage *usage)
{
    *usage = (struct usage){ .time = thread_split(thread),
                             .minor_faults = READ_ONCE(thread->minor_faults),
                             .major_faults = READ_ONCE(thread->major_faults),
                             .nvoluntary = READ_ONCE(thread->sched.nvoluntary),
                             .ninvoluntary = READ_ONCE(thread->sched.ninvoluntary),
                             .io = thread->io };
}

void thread_usage(struct thread *thread, struct usage *usage)
{
    unsigned long flags = spin_lock_irq(&thread->process->signals.lock);
    thread_usage_locked(thread, usage);
    spin_unlock_irq(&thread->process->signals.lock, flags);
}

void process_usage(struct process *process, struct usage *usage)
{
    struct thread *thread;
    struct usage one;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    *usage = process->dead;
    list_for_each (thread, &process->threads, process_node) {
        thread_usage_locked(thread, &one);
        usage_add(usage, &one);
    }
    spin_unlock_irq(&process->signals.lock, flags);
}

nsec_t process_user_time(struct process *process)
{
    struct thread *thread;
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    nsec_t time = process->dead.time.user;
    list_for_each (thread, &process->threads, process_node)
        time += thread_split(thread).user;
    spin_unlock_irq(&process->signals.lock, flags);
    return time;
}

/* Another process's vmspace may go at any time: only the running process looks into its own. */
uint64_t process_peak_pages(const struct process *process)
{
    uint64_t peak = process->peak_resident_pages;
    if (process == process_current() && process->vmspace)
        peak = MAX(peak, process->vmspace->peak_resident_pages);
    return peak;
}

/* ---- getrusage ------------------------------------------------------------------------------ */

static void rusage_fill(struct abi_rusage *to, const struct usage *usage, uint64_t peak_pages)
{
    memset(to, 0, sizeof(*to));
    to->ru_utime = timeval_from_nsec(usage->time.user);
    to->ru_stime = timeval_from_nsec(usage->time.system);
    to->ru_maxrss = (int64_t)(peak_pages * KIB_PER_PAGE);
    to->ru_minflt = (int64_t)usage->minor_faults;
    to->ru_majflt = (int64_t)usage->major_faults;
    to->ru_nvcsw = (int64_t)usage->nvoluntary;
    to->ru_nivcsw = (int64_t)usage->ninvoluntary;
}

void process_rusage_with_children(struct process *process, struct abi_rusage *rusage)
{
    struct usage usage;
    process_usage(process, &usage);
    usage_add(&usage, &process->children_usage);
    rusage_fill(rusage, &usage, MAX(process_peak_pages(process), process->children_peak_pages));
}

long sys_getrusage(int who, void __app *to)
{
    struct process *process = process_current();
    uint64_t peak = process_peak_pages(process);
    struct abi_rusage rusage;
    struct usage usage;
    switch (who) {
    case ABI_RUSAGE_SELF:
        process_usage(process, &usage);
        break;
    case ABI_RUSAGE_CHILDREN:
        read_lock(&process_table_lock);
        usage = process->children_usage;
        peak = process->children_peak_pages;
        read_unlock(&process_table_lock);
        break;
    case ABI_RUSAGE_THREAD:
        thread_usage(thread_current(), &usage);
        break;
    default:
        return -EINVAL;
    }
    rusage_fill(&rusage, &usage, peak);
    return copy_to_app(to, &rusage, sizeof(rusage));
}

/* ---- Limits ------------------------------------------------------------------------------------ */

/* As Linux: SIGKILL at the hard limit, SIGXCPU at the soft one, which then moves on by step. */
static void limit_check_time(struct process *process, int resource, uint64_t used, uint64_t step)
{
    struct abi_rlimit *limit = &process->limits.limit[resource];
    uint64_t soft = READ_ONCE(limit->cur), hard = READ_ONCE(limit->max);

    if (used >= hard) {
        (void)signal_send_process(process, ABI_SIGKILL, NULL);
    } else if (used >= soft && __atomic_compare_exchange_n(&limit->cur, &soft, soft + step, false,
                                                           __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        (void)signal_send_computing(process, ABI_SIGXCPU, NULL);
    }
}

void process_check_cpu_limits(struct thread *thread)
{
    struct process *process = thread->process;
    const struct abi_rlimit *limit = process->limits.limit;

    if (READ_ONCE(limit[LIMIT_CPU].cur) != LIMIT_INFINITY)
        limit_check_time(process, LIMIT_CPU, (uint64_t)(process_cpu_time(process) / NSEC_PER_SEC),
                         1);
    if (READ_ONCE(limit[LIMIT_RTTIME].cur) != LIMIT_INFINITY && sched_is_realtime(thread)) {
        nsec_t used = sched_cpu_time(thread) - thread->sched.rt_start;
        limit_check_time(process, LIMIT_RTTIME, (uint64_t)(used / NSEC_PER_USEC),
                         NSEC_PER_SEC / NSEC_PER_USEC);
    }
}
