// SPDX-License-Identifier: MIT
/*
 * /proc/PID/stat, status, statm and limits, and the same of single threads.
 */
#include "abi/capability.h"
#include "fs/procfs_internal.h"
#include "fs/tty.h"
#include "kernel/clock.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/signal_quota.h"
#include "kernel/thread.h"
#include "kernel/thread_fs.h"

char proc_state_of(struct process *process, struct thread *thread)
{
    if (READ_ONCE(process->state) != PROCESS_ALIVE)
        return 'Z';
    if (READ_ONCE(process->signals.is_stopping))
        return 'T';
    if (thread && READ_ONCE(thread->trace.is_stopped))
        return 't';
    if (!thread || READ_ONCE(thread->state) == THREAD_DEAD)
        return 'X';
    return READ_ONCE(thread->state) == THREAD_SLEEPING ? 'S' : 'R';
}

/* Everything that has to be asked under a lock, once. */
struct snapshot {
    int ppid, pgid, sid, foreground;
    unsigned tty, nthreads;
    struct usage usage, children;
    uint64_t pending, shared_pending, blocked, ignored, caught;
    int nice, policy, rt_priority, cpu;
    uint64_t affinity;
    int seccomp_mode;
    unsigned nseccomp_filters;
};

static void snapshot_signals(struct snapshot *out, struct process *process, struct thread *thread)
{
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    out->shared_pending = process->signals.pending.set;
    if (thread) {
        out->pending = thread->signals.pending.set;
        out->blocked = thread->signals.blocked;
        out->seccomp_mode = thread->seccomp.mode;
        out->nseccomp_filters = thread->seccomp.nfilters;
    }
    for (int signo = 1; process->handlers && signo <= ABI_NSIG; signo++) {
        uint64_t handler = process->handlers->action[signo - 1].handler;
        if (handler == ABI_SIG_IGN)
            out->ignored |= SIGNAL_BIT(signo);
        else if (handler != ABI_SIG_DFL)
            out->caught |= SIGNAL_BIT(signo);
    }
    spin_unlock_irq(&process->signals.lock, flags);
}

static void snapshot_thread(struct snapshot *out, struct thread *thread)
{
    out->nice = thread->sched.nice;
    out->policy = thread->sched.policy;
    out->rt_priority = thread->sched.rt_priority;
    out->cpu = READ_ONCE(thread->sched.cpu);
    out->affinity = thread->sched.affinity;
}

static void snapshot_take(struct snapshot *out, const struct pseudo_ref *ref, struct thread *thread)
{
    struct process *process = ref->process;
    *out = (struct snapshot){ .affinity = 1 };
    read_lock(&process_table_lock);
    out->ppid = process->parent ? process->parent->pid : 0;
    out->pgid = process->pgid;
    out->sid = process->sid;
    out->nthreads = process->nthreads;
    out->children = process->children_usage;
    read_unlock(&process_table_lock);
    out->tty = tty_number_of(process, &out->foreground);
    if (thread && proc_is_thread(ref))
        thread_usage(thread, &out->usage);
    else
        process_usage(process, &out->usage);
    snapshot_signals(out, process, thread);
    if (thread)
        snapshot_thread(out, thread);
}

/* ---- stat -------------------------------------------------------------------------- */

static int kernel_priority(const struct snapshot *s)
{
    return s->rt_priority ? -1 - s->rt_priority : 20 + s->nice;
}

static void stat_print(struct text *text, const struct pseudo_ref *ref, const struct snapshot *s,
                       struct vmspace *vm, struct thread *thread)
{
    struct process *p = ref->process;
    const char *comm = thread ? thread->name : p->comm;
    nsec_t start = proc_is_thread(ref) && thread ? thread->start_time : p->start_time;
    const struct usage *own = &s->usage, *children = &s->children;
    text_printf(text, "%d (%s) %c %d %d %d %u %d 0 %llu %llu %llu %llu ", proc_tid(ref), comm,
                proc_state_of(p, thread), s->ppid, s->pgid, s->sid, s->tty, s->foreground,
                (unsigned long long)own->minor_faults, (unsigned long long)children->minor_faults,
                (unsigned long long)own->major_faults, (unsigned long long)children->major_faults);
    text_printf(text, "%llu %llu %llu %llu %d %d %u 0 %llu ", ticks_of(own->time.user),
                ticks_of(own->time.system), ticks_of(children->time.user),
                ticks_of(children->time.system), kernel_priority(s), s->nice, s->nthreads,
                ticks_of(start));
    text_printf(text, "%llu %llu %llu ", vm ? (unsigned long long)vm->mapped_bytes : 0,
                vm ? (unsigned long long)vm->resident_pages : 0,
                (unsigned long long)p->limits.limit[LIMIT_RSS].cur);
    /* startcode endcode startstack kstkesp kstkeip */
    text_printf(text, "1 1 %lu 0 0 ", p->arg_start & ~15UL);
    text_printf(text, "%llu %llu %llu %llu 0 0 0 ", (unsigned long long)s->pending & 0x7fffffff,
                (unsigned long long)s->blocked & 0x7fffffff,
                (unsigned long long)s->ignored & 0x7fffffff,
                (unsigned long long)s->caught & 0x7fffffff);
    text_printf(text, "%d %d %d %d 0 0 0 ", p->exit_signal, s->cpu, s->rt_priority, s->policy);
    text_printf(text, "0 0 %lu %lu %lu %lu %lu %d\n", vm ? vm->brk_start : 0, p->arg_start,
                p->arg_end, p->env_start, p->env_end, p->exit_status);
}

int proc_pid_stat(const struct pseudo_ref *ref, struct text *text)
{
    struct snapshot snapshot;
    struct thread *thread = proc_thread_of(ref);
    struct vmspace *vm = process_vmspace(ref->process);
    snapshot_take(&snapshot, ref, thread);
    stat_print(text, ref, &snapshot, vm, thread);
    if (vm)
        vmspace_put(vm);
    if (thread)
        thread_put(thread);
    return 0;
}

/* ---- statm --------------------------------------------------------------------------- */

int proc_pid_statm(const struct pseudo_ref *ref, struct text *text)
{
    struct vmspace *vm = process_vmspace(ref->process);
    if (!vm) {
        text_printf(text, "0 0 0 0 0 0 0\n");
        return 0;
    }
    text_printf(text, "%llu %llu %llu %llu 0 %llu 0\n",
                (unsigned long long)vm->mapped_bytes / PAGE_SIZE,
                (unsigned long long)vm->resident_pages,
                (unsigned long long)MIN(vm->shared_bytes / PAGE_SIZE, vm->resident_pages),
                (unsigned long long)vm->exec_bytes / PAGE_SIZE,
                (unsigned long long)(vm->data_bytes + vm->stack_bytes) / PAGE_SIZE);
    vmspace_put(vm);
    return 0;
}

/* ---- status ---------------------------------------------------------------------------- */

static const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "R (running)";
    case 'S':
        return "S (sleeping)";
    case 'T':
        return "T (stopped)";
    case 't':
        return "t (tracing stop)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "X (dead)";
    }
}

static void status_identity(struct text *text, const struct pseudo_ref *ref,
                            const struct snapshot *s, struct thread *thread)
{
    struct process *p = ref->process;
    const struct credentials *creds = &p->creds;
    struct fs_context *fs = fs_of_thread(p, thread);
    text_printf(text, "Name:\t");
    text_escape(text, thread ? thread->name : p->comm, "\n");
    text_printf(text, "\nUmask:\t%04o\n", fs ? fs->umask : 0);
    if (fs)
        fs_context_put(fs);
    text_printf(text, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
                state_name(proc_state_of(p, thread)), p->pid, proc_tid(ref), s->ppid,
                thread ? ptrace_tracer_tid(thread) : 0);
    text_printf(text, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t256\nGroups:\t",
                creds->uid, creds->euid, creds->suid, creds->fsuid, creds->gid, creds->egid,
                creds->sgid, creds->fsgid);
    for (unsigned i = 0; i < MIN(creds->ngroups, (unsigned)NGROUPS); i++)
        text_printf(text, "%u ", creds->groups[i]);
    text_printf(text, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid, proc_tid(ref),
                s->pgid, s->sid);
}

static void kib_line(struct text *text, const char *name, uint64_t bytes)
{
    text_printf(text, "%s:\t%8llu kB\n", name, (unsigned long long)bytes / 1024);
}

static void status_memory(struct text *text, struct vmspace *vm)
{
    uint64_t resident = vm->resident_pages * PAGE_SIZE;
    uint64_t peak = MAX(vm->peak_resident_pages * PAGE_SIZE, resident);
    uint64_t shared = MIN(vm->shared_bytes, resident);
    kib_line(text, "VmPeak", vm->mapped_bytes);
    kib_line(text, "VmSize", vm->mapped_bytes);
    kib_line(text, "VmLck", vm->locked_bytes);
    kib_line(text, "VmPin", 0);
    kib_line(text, "VmHWM", peak);
    kib_line(text, "VmRSS", resident);
    kib_line(text, "RssAnon", resident - shared);
    kib_line(text, "RssFile", shared);
    kib_line(text, "RssShmem", 0);
    kib_line(text, "VmData", vm->data_bytes);
    kib_line(text, "VmStk", vm->stack_bytes);
    kib_line(text, "VmExe", vm->exec_bytes);
    kib_line(text, "VmLib", 0);
    kib_line(text, "VmPTE", vm->resident_pages * 8);
    kib_line(text, "VmSwap", 0);
    text_printf(text, "HugetlbPages:\t%8u kB\nCoreDumping:\t0\nTHP_enabled:\t1\n", 0u);
}

static void status_signals(struct text *text, struct process *p, const struct snapshot *s)
{
    const struct credentials *creds = &p->creds;
    text_printf(text, "Threads:\t%u\nSigQ:\t%u/%llu\n", s->nthreads,
                signal_quota_count(p->creds.uid),
                (unsigned long long)p->limits.limit[LIMIT_SIGPENDING].cur);
    const struct {
        const char *name;
        uint64_t set;
    } lines[] = {
        { "SigPnd", s->pending },
        { "ShdPnd", s->shared_pending },
        { "SigBlk", s->blocked },
        { "SigIgn", s->ignored },
        { "SigCgt", s->caught },
        { "CapInh", creds->cap_inheritable },
        { "CapPrm", creds->cap_permitted },
        { "CapEff", creds->cap_effective },
        { "CapBnd", creds->cap_bounding },
        { "CapAmb", creds->cap_ambient },
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        text_printf(text, "%s:\t%016llx\n", lines[i].name, (unsigned long long)lines[i].set);
    text_printf(text, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%u\n", creds->no_new_privs,
                s->seccomp_mode, s->nseccomp_filters);
    text_printf(text, "Speculation_Store_Bypass:\tvulnerable\n");
    text_printf(text, "SpeculationIndirectBranch:\talways enabled\n");
}

/* "0-3" or "0,2-3". */
static void cpu_list(struct text *text, uint64_t mask)
{
    const char *separator = "";
    for (unsigned cpu = 0; cpu < 64; cpu++) {
        if (!(mask >> cpu & 1))
            continue;
        unsigned last = cpu;
        while (last < 63 && mask >> (last + 1) & 1)
            last++;
        text_printf(text, last > cpu ? "%s%u-%u" : "%s%u", separator, cpu, last);
        separator = ",";
        cpu = last;
    }
}

static void status_sched(struct text *text, const struct snapshot *s, const struct thread *thread)
{
    unsigned ncpus = arch_cpu_count();
    uint64_t mask = s->affinity & (ncpus >= 64 ? ~0ULL : (1ULL << ncpus) - 1);
    text_printf(text, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", (unsigned long long)mask);
    cpu_list(text, mask);
    text_printf(text, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    text_printf(text, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
                thread ? (unsigned long long)thread->sched.nvoluntary : 0,
                thread ? (unsigned long long)thread->sched.ninvoluntary : 0);
}

int proc_pid_status(const struct pseudo_ref *ref, struct text *text)
{
    struct snapshot snapshot;
    struct thread *thread = proc_thread_of(ref);
    struct vmspace *vm = process_vmspace(ref->process);
    snapshot_take(&snapshot, ref, thread);
    status_identity(text, ref, &snapshot, thread);
    if (vm)
        status_memory(text, vm);
    status_signals(text, ref->process, &snapshot);
    status_sched(text, &snapshot, thread);
    if (vm)
        vmspace_put(vm);
    if (thread)
        thread_put(thread);
    return 0;
}

/* ---- limits -------------------------------------------------------------------------------- */

static void limit_value(struct text *text, uint64_t value)
{
    if (value == LIMIT_INFINITY)
        text_printf(text, "%-20s ", "unlimited");
    else
        text_printf(text, "%-20llu ", (unsigned long long)value);
}

int proc_pid_limits(const struct pseudo_ref *ref, struct text *text)
{
    static const struct {
        const char *name, *unit;
    } rows[RLIMIT_COUNT] = {
        [LIMIT_CPU] = { "Max cpu time", "seconds" },
        [LIMIT_FSIZE] = { "Max file size", "bytes" },
        [LIMIT_DATA] = { "Max data size", "bytes" },
        [LIMIT_STACK] = { "Max stack size", "bytes" },
        [LIMIT_CORE] = { "Max core file size", "bytes" },
        [LIMIT_RSS] = { "Max resident set", "bytes" },
        [LIMIT_NPROC] = { "Max processes", "processes" },
        [LIMIT_NOFILE] = { "Max open files", "files" },
        [LIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
        [LIMIT_AS] = { "Max address space", "bytes" },
        [LIMIT_LOCKS] = { "Max file locks", "locks" },
        [LIMIT_SIGPENDING] = { "Max pending signals", "signals" },
        [LIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
        [LIMIT_NICE] = { "Max nice priority", "" },
        [LIMIT_RTPRIO] = { "Max realtime priority", "" },
        [LIMIT_RTTIME] = { "Max realtime timeout", "us" },
    };
    mutex_lock(&ref->process->lock);
    struct rlimit_table limits = ref->process->limits;
    mutex_unlock(&ref->process->lock);
    text_printf(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (int i = 0; i < RLIMIT_COUNT; i++) {
        text_printf(text, "%-25s ", rows[i].name);
        limit_value(text, limits.limit[i].cur);
        limit_value(text, limits.limit[i].max);
        text_printf(text, "%-10s\n", rows[i].unit);
    }
    return 0;
}
