// SPDX-License-Identifier: MIT
/*
 * seccomp(2): a thread gives up system calls for good.
 *
 * In strict mode it has four left.  A filter is a program of classic BPF (lib/bpf.c) that sees a call's number and
 * arguments and says what is to become of it.  Filters only add up: each points to the one that was there before it,
 * all of them are asked, and the strictest answer counts.  So the filters of all threads are a tree, and a thread that
 * clones, forks or executes goes on at its place.  A filter has a reference from each thread and each filter that
 * points at it.
 *
 * A thread adds filters for itself, or with TSYNC for all threads of the process.  The latter is why they change under
 * process->signals.lock.  The thread that is moved may be asking its filters just then; they stay, since it is only
 * moved to filters that stand on its own ones.
 *
 * A thread without filters pays nothing: THREAD_FILTERED is one of the flags that make a call go the slow road
 * (kernel/syscall.c).  As in a Linux before 5.0 there is no notifying of another process.
 */
#include "kernel/seccomp.h"

#include "abi/bpf.h"
#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/ptrace.h"
#include "abi/seccomp.h"
#include "abi/syscall_nr.h"
#include "kernel/bpf_load.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

/* In instructions: of all filters that a thread has, and what one counts for beside its own. */
#define TOTAL_MAX   32768
#define FILTER_COST 4

#define FLAGS_KNOWN                                                                                \
    (ABI_SECCOMP_FILTER_FLAG_TSYNC | ABI_SECCOMP_FILTER_FLAG_LOG |                                 \
     ABI_SECCOMP_FILTER_FLAG_SPEC_ALLOW | ABI_SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

struct seccomp_filter {
    unsigned refcount;            /* [a] */
    bool must_log;                /* [i] whatever is not allowed */
    size_t n;                     /* [i] */
    struct seccomp_filter *older; /* [i] with a reference; NULL: it was the first */
    struct abi_sock_filter program[];
};

static struct seccomp_filter *filter_get(struct seccomp_filter *filter)
{
    if (filter)
        __atomic_fetch_add(&filter->refcount, 1, __ATOMIC_RELAXED);
    return filter;
}

static void filter_put(struct seccomp_filter *filter)
{
    while (filter && __atomic_sub_fetch(&filter->refcount, 1, __ATOMIC_ACQ_REL) == 0) {
        struct seccomp_filter *older = filter->older;
        kfree(filter);
        filter = older;
    }
}

/* ---- Asking ------------------------------------------------------------------------- */

/* The strictest answer; of equal ones that of the newest filter. */
static uint32_t filters_ask(const struct abi_seccomp_data *call, bool *must_log)
{
    const struct bpf_data data = { .bytes = (const uint8_t *)call,
                                   .size = sizeof(*call),
                                   .is_native = true };
    const struct thread_seccomp *own = &thread_current()->seccomp;
    uint32_t answer = ABI_SECCOMP_RET_ALLOW;
    const struct seccomp_filter *filter = __atomic_load_n(&own->newest, __ATOMIC_ACQUIRE);
    for (; filter; filter = filter->older) {
        uint32_t one = bpf_run(filter->program, &data);
        if ((int32_t)(one & ABI_SECCOMP_RET_ACTION) < (int32_t)(answer & ABI_SECCOMP_RET_ACTION)) {
            answer = one;
            *must_log = filter->must_log;
        }
    }
    return answer;
}

static struct abi_siginfo siginfo_of(const struct abi_seccomp_data *call, uint32_t answer)
{
    struct abi_siginfo info = { .si_signo = ABI_SIGSYS, .si_code = ABI_SYS_SECCOMP };
    info.si_errno = (int32_t)(answer & ABI_SECCOMP_RET_DATA);
    info.sys.si_call_addr = call->instruction_pointer;
    info.sys.si_syscall = call->nr;
    info.sys.si_arch = call->arch;
    return info;
}

static void call_log(const struct abi_seccomp_data *call, uint32_t answer)
{
    const struct thread *thread = thread_current();
    log_info("seccomp: %s[%d] makes system call %d at %lx (%x)", thread->name, thread->tid,
             call->nr, (unsigned long)call->instruction_pointer, answer);
}

static __noreturn void call_kill(const struct abi_seccomp_data *call, uint32_t answer)
{
    struct thread *thread = thread_current();
    uint32_t action = answer & ABI_SECCOMP_RET_ACTION;
    struct abi_siginfo info = siginfo_of(call, answer);
    if (action == ABI_SECCOMP_RET_KILL_THREAD && READ_ONCE(thread->process->nthreads) > 1)
        thread_exit_by(ABI_SIGSYS);
    signal_report_crash(ABI_SIGSYS, &info, arch_thread_regs(thread));
    process_exit(ABI_SIGSYS);
}

static bool call_is_allowed(long *nr, const unsigned long reg[6], bool is_traced, long *result);

/* The tracer decides, and may make another call of it, which is then asked about. */
static bool call_is_traced(long *nr, const unsigned long reg[6], uint32_t answer, long *result)
{
    const struct thread *thread = thread_current();
    struct regs *regs = arch_thread_regs(thread_current());
    *result = -ENOSYS;
    if (!thread_is_traced(&thread->trace) ||
        !ptrace_event_is_wanted(&thread->trace, ABI_PTRACE_EVENT_SECCOMP))
        return false;
    arch_regs_set_result(regs, -ENOSYS);
    ptrace_event(ABI_PTRACE_EVENT_SECCOMP, answer & ABI_SECCOMP_RET_DATA);
    *nr = (int)arch_regs_syscall(regs);
    *result = arch_regs_result(regs);
    if (signal_is_fatal_pending() || *nr < 0)
        return false;
    return call_is_allowed(nr, reg, true, result);
}

static bool call_is_allowed(long *nr, const unsigned long reg[6], bool is_traced, long *result)
{
    struct regs *regs = arch_thread_regs(thread_current());
    struct abi_seccomp_data call = {
        .nr = (int32_t)*nr,
        .arch = ABI_AUDIT_ARCH_X86_64,
        .instruction_pointer = arch_regs_pc(regs),
        .args = { reg[0], reg[1], reg[2], reg[3], reg[4], reg[5] },
    };
    bool must_log = false;
    uint32_t answer = filters_ask(&call, &must_log), value = answer & ABI_SECCOMP_RET_DATA;
    struct abi_siginfo info;
    switch (answer & ABI_SECCOMP_RET_ACTION) {
    case ABI_SECCOMP_RET_ALLOW:
        return true;
    case ABI_SECCOMP_RET_LOG:
        call_log(&call, answer);
        return true;
    case ABI_SECCOMP_RET_TRACE:
        return is_traced || call_is_traced(nr, reg, answer, result);
    case ABI_SECCOMP_RET_ERRNO:
        *result = -(long)MIN(value, 4095u);
        break;
    case ABI_SECCOMP_RET_USER_NOTIF:
        *result = -ENOSYS; /* nobody listens */
        break;
    case ABI_SECCOMP_RET_TRAP:
        *result = *nr; /* all registers are as they were */
        info = siginfo_of(&call, answer);
        signal_force(ABI_SIGSYS, &info);
        break;
    default:
        call_log(&call, answer);
        call_kill(&call, answer);
    }
    if (must_log)
        call_log(&call, answer);
    return false;
}

static bool strict_allows(long nr)
{
    return nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn;
}

bool seccomp_allows(long *nr, const unsigned long reg[6], long *result)
{
    if (READ_ONCE(thread_current()->seccomp.mode) != ABI_SECCOMP_MODE_STRICT)
        return call_is_allowed(nr, reg, false, result);
    if (!strict_allows(*nr))
        thread_exit_by(ABI_SIGKILL);
    return true;
}

/* ---- Threads that come and go ----------------------------------------------------------- */

void seccomp_inherit(struct thread *child)
{
    const struct thread *parent = thread_current();
    if (!(READ_ONCE(parent->flags) & THREAD_FILTERED))
        return;
    /* Of a thread of this process that is listed already, TSYNC may have been there first. */
    unsigned long flags = spin_lock_irq(&parent->process->signals.lock);
    struct seccomp_filter *old = child->seccomp.newest;
    child->seccomp = parent->seccomp;
    filter_get(child->seccomp.newest);
    __atomic_fetch_or(&child->flags, THREAD_FILTERED, __ATOMIC_RELAXED);
    spin_unlock_irq(&parent->process->signals.lock, flags);
    filter_put(old);
}

void seccomp_leave(struct thread *thread)
{
    filter_put(thread->seccomp.newest);
    thread->seccomp.newest = NULL;
}

/* ---- A new filter ---------------------------------------------------------------------------- */

static int filter_make(const void __app *from, unsigned flags, struct seccomp_filter **out)
{
    struct abi_sock_fprog program;
    if (copy_from_app(&program, from, sizeof(program)))
        return -EFAULT;
    if (program.len == 0 || program.len > ABI_BPF_MAXINSNS)
        return -EINVAL;
    if (!process_current()->creds.no_new_privs && !process_is_capable(ABI_CAP_SYS_ADMIN))
        return -EACCES;
    struct seccomp_filter *filter =
        kzalloc(sizeof(*filter) + program.len * sizeof(*filter->program), ALLOC_WAIT);
    if (!filter)
        return -ENOMEM;
    filter->refcount = 1;
    filter->n = program.len;
    filter->must_log = flags & ABI_SECCOMP_FILTER_FLAG_LOG;
    int err = bpf_load(filter->program, filter->n, program.filter);
    if (!err && !bpf_check_words(filter->program, filter->n, sizeof(struct abi_seccomp_data)))
        err = -EINVAL;
    if (err)
        kfree(filter);
    else
        *out = filter;
    return err;
}

static bool stands_on(const struct seccomp_filter *filter, const struct seccomp_filter *older)
{
    while (filter && filter != older)
        filter = filter->older;
    return filter == older;
}

/* The number of a thread that cannot be moved to the running one's filters, or 0.  signals.lock held. */
static int tsync_find_other(const struct thread *self)
{
    struct thread *thread;
    list_for_each (thread, &self->process->threads, process_node) {
        const struct thread_seccomp *other = &thread->seccomp;
        if (thread == self || other->mode == ABI_SECCOMP_MODE_DISABLED)
            continue;
        if (other->mode != ABI_SECCOMP_MODE_FILTER ||
            !stands_on(self->seccomp.newest, other->newest))
            return thread->tid;
    }
    return 0;
}

/* What the threads had is kept by what they get: they may be asking it. */
static void tsync_move(struct thread *self)
{
    struct thread *thread;
    list_for_each (thread, &self->process->threads, process_node) {
        if (thread == self)
            continue;
        struct seccomp_filter *old = thread->seccomp.newest;
        __atomic_store_n(&thread->seccomp.newest, filter_get(self->seccomp.newest),
                         __ATOMIC_RELEASE);
        thread->seccomp.nfilters = self->seccomp.nfilters;
        WRITE_ONCE(thread->seccomp.mode, ABI_SECCOMP_MODE_FILTER);
        __atomic_fetch_or(&thread->flags, THREAD_FILTERED, __ATOMIC_RELEASE);
        filter_put(old); /* never the last one */
    }
}

/* signals.lock held. */
static long filter_attach(struct thread *self, struct seccomp_filter *filter, unsigned flags)
{
    struct thread_seccomp *own = &self->seccomp;
    size_t total = filter->n;
    if (own->mode == ABI_SECCOMP_MODE_STRICT)
        return -EINVAL;
    for (const struct seccomp_filter *older = own->newest; older; older = older->older)
        total += older->n + FILTER_COST;
    if (total > TOTAL_MAX)
        return -ENOMEM;
    bool is_for_all = flags & ABI_SECCOMP_FILTER_FLAG_TSYNC;
    int other = is_for_all ? tsync_find_other(self) : 0;
    if (other)
        return flags & ABI_SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other;
    filter->older = own->newest; /* with the thread's reference */
    __atomic_store_n(&own->newest, filter, __ATOMIC_RELEASE);
    own->nfilters++;
    WRITE_ONCE(own->mode, ABI_SECCOMP_MODE_FILTER);
    __atomic_fetch_or(&self->flags, THREAD_FILTERED, __ATOMIC_RELEASE);
    if (is_for_all)
        tsync_move(self);
    return 0;
}

static long filter_set(unsigned flags, const void __app *program)
{
    struct thread *self = thread_current();
    struct seccomp_filter *filter;
    if (flags & ~FLAGS_KNOWN)
        return -EINVAL;
    int err = filter_make(program, flags, &filter);
    if (err)
        return err;
    unsigned long irq = spin_lock_irq(&self->process->signals.lock);
    long result = filter_attach(self, filter, flags);
    spin_unlock_irq(&self->process->signals.lock, irq);
    if (result)
        kfree(filter);
    return result;
}

static long strict_set(void)
{
    struct thread *self = thread_current();
    unsigned long irq = spin_lock_irq(&self->process->signals.lock);
    bool is_free = self->seccomp.mode != ABI_SECCOMP_MODE_FILTER;
    if (is_free) {
        self->seccomp.mode = ABI_SECCOMP_MODE_STRICT;
        __atomic_fetch_or(&self->flags, THREAD_FILTERED, __ATOMIC_RELAXED);
    }
    spin_unlock_irq(&self->process->signals.lock, irq);
    return is_free ? 0 : -EINVAL;
}

/* ---- The calls ---------------------------------------------------------------------------------- */

static long action_is_available(const void __app *from)
{
    uint32_t action;
    if (copy_from_app(&action, from, sizeof(action)))
        return -EFAULT;
    switch (action) {
    case ABI_SECCOMP_RET_KILL_PROCESS:
    case ABI_SECCOMP_RET_KILL_THREAD:
    case ABI_SECCOMP_RET_TRAP:
    case ABI_SECCOMP_RET_ERRNO:
    case ABI_SECCOMP_RET_TRACE:
    case ABI_SECCOMP_RET_LOG:
    case ABI_SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

long seccomp_set_mode(unsigned long mode, const void __app *program)
{
    switch (mode) {
    case ABI_SECCOMP_MODE_STRICT:
        return strict_set();
    case ABI_SECCOMP_MODE_FILTER:
        return filter_set(0, program);
    default:
        return -EINVAL;
    }
}

long sys_seccomp(unsigned operation, unsigned flags, const void __app *arg)
{
    switch (operation) {
    case ABI_SECCOMP_SET_MODE_STRICT:
        return flags || arg ? -EINVAL : strict_set();
    case ABI_SECCOMP_SET_MODE_FILTER:
        return filter_set(flags, arg);
    case ABI_SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_is_available(arg);
    default:
        return -EINVAL; /* GET_NOTIF_SIZES as well: see above */
    }
}
