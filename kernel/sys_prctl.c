// SPDX-License-Identifier: MIT
/*
 * prctl(2).  Options that Linux 6.1 has and that mean something here; the rest is EINVAL, as on a
 * Linux built without them.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

static long name_set(const char __app *from)
{
    char name[16] = "";
    size_t missing = copy_from_app_partial(name, from, sizeof(name) - 1);
    size_t got = sizeof(name) - 1 - missing;
    if (missing && strnlen(name, got) == got)
        return -EFAULT; /* the page ended before the name did */
    name[sizeof(name) - 1] = '\0';
    thread_set_name(thread_current(), name);
    if (thread_current() == process_current()->leader)
        process_set_comm(process_current(), name);
    return 0;
}

static long ambient(unsigned long operation, unsigned long capability)
{
    struct process *process = process_current();
    struct credentials *creds = &process->creds;
    if (operation == ABI_PR_CAP_AMBIENT_CLEAR_ALL) {
        if (capability)
            return -EINVAL;
        creds->cap_ambient = 0;
        return 0;
    }
    if (capability > ABI_CAP_LAST)
        return -EINVAL;
    uint64_t bit = 1ULL << capability;
    switch (operation) {
    case ABI_PR_CAP_AMBIENT_IS_SET:
        return !!(creds->cap_ambient & bit);
    case ABI_PR_CAP_AMBIENT_RAISE:
        if (!(creds->cap_permitted & creds->cap_inheritable & bit) ||
            (creds->securebits & ABI_SECBIT_NO_CAP_AMBIENT))
            return -EPERM;
        creds->cap_ambient |= bit;
        return 0;
    case ABI_PR_CAP_AMBIENT_LOWER:
        creds->cap_ambient &= ~bit;
        return 0;
    default:
        return -EINVAL;
    }
}

static long bounding_drop(unsigned long capability)
{
    struct credentials *creds = &process_current()->creds;
    if (!process_is_capable(ABI_CAP_SETPCAP))
        return -EPERM;
    if (capability > ABI_CAP_LAST)
        return -EINVAL;
    creds->cap_bounding &= ~(1ULL << capability);
    return 0;
}

static long securebits_set(unsigned long bits)
{
    struct credentials *creds = &process_current()->creds;
    unsigned locks = creds->securebits & ABI_SECBITS_LOCKS;
    if (locks >> 1 & (creds->securebits ^ (unsigned)bits) || locks & ~bits)
        return -EPERM;
    if (!process_is_capable(ABI_CAP_SETPCAP) || (bits & ~(unsigned long)ABI_SECBITS_ALL))
        return -EPERM;
    creds->securebits = (unsigned)bits;
    return 0;
}

static long keepcaps_set(unsigned long keep)
{
    struct credentials *creds = &process_current()->creds;
    if (keep > 1)
        return -EINVAL;
    if (creds->securebits & ABI_SECBIT_KEEP_CAPS << 1)
        return -EPERM; /* locked */
    creds->securebits &= ~ABI_SECBIT_KEEP_CAPS;
    if (keep)
        creds->securebits |= ABI_SECBIT_KEEP_CAPS;
    return 0;
}

static long int_to_app(unsigned long address, int value)
{
    return copy_to_app((void __app *)address, &value, sizeof(value));
}

/* Identity and capabilities. */
static long prctl_creds(int option, unsigned long a, unsigned long b, unsigned long c,
                        unsigned long d)
{
    struct credentials *creds = &process_current()->creds;
    switch (option) {
    case ABI_PR_GET_KEEPCAPS:
        return !!(creds->securebits & ABI_SECBIT_KEEP_CAPS);
    case ABI_PR_SET_KEEPCAPS:
        return keepcaps_set(a);
    case ABI_PR_CAPBSET_READ:
        return a > ABI_CAP_LAST ? -EINVAL : (long)(creds->cap_bounding >> a & 1);
    case ABI_PR_CAPBSET_DROP:
        return bounding_drop(a);
    case ABI_PR_GET_SECUREBITS:
        return creds->securebits;
    case ABI_PR_SET_SECUREBITS:
        return securebits_set(a);
    case ABI_PR_CAP_AMBIENT:
        return c || d ? -EINVAL : ambient(a, b);
    case ABI_PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b || c || d)
            return -EINVAL;
        creds->no_new_privs = true;
        return 0;
    case ABI_PR_GET_NO_NEW_PRIVS:
        return a || b || c || d ? -EINVAL : creds->no_new_privs;
    default:
        return -EINVAL;
    }
}

/* The process as a whole. */
static long prctl_process(int option, unsigned long a, unsigned long b, unsigned long c,
                          unsigned long d)
{
    struct process *process = process_current();
    switch (option) {
    case ABI_PR_SET_PDEATHSIG:
        if (a > ABI_NSIG)
            return -EINVAL;
        process->pdeath_signal = (int)a;
        return 0;
    case ABI_PR_GET_PDEATHSIG:
        return int_to_app(a, process->pdeath_signal);
    case ABI_PR_GET_DUMPABLE:
        return process->is_dumpable;
    case ABI_PR_SET_DUMPABLE:
        if (a > 1)
            return -EINVAL;
        process->is_dumpable = a;
        return 0;
    case ABI_PR_SET_CHILD_SUBREAPER:
        process->is_subreaper = a != 0;
        return 0;
    case ABI_PR_GET_CHILD_SUBREAPER:
        return int_to_app(a, process->is_subreaper);
    case ABI_PR_SET_THP_DISABLE:
        if (b || c || d)
            return -EINVAL;
        process->is_thp_disabled = a != 0;
        return 0;
    case ABI_PR_GET_THP_DISABLE:
        return a || b || c || d ? -EINVAL : process->is_thp_disabled;
    case ABI_PR_SET_PTRACER:
        return -EINVAL; /* as without Yama */
    default:
        return prctl_creds(option, a, b, c, d);
    }
}

/*
 * PR_SET_MM: where /proc/PID/cmdline and environ are, which who sets its title moves.  The rest is for those that
 * restore a process, and refused.
 */
static long memory_set(unsigned long which, unsigned long address)
{
    struct process *process = process_current();
    if (!process_is_capable(ABI_CAP_SYS_RESOURCE))
        return -EPERM;
    if (address < APP_MIN || !app_range_ok((const void __app *)address, 1))
        return -EINVAL;
    mutex_lock(&process->lock);
    uintptr_t *const bounds[] = { &process->arg_start, &process->arg_end, &process->env_start,
                                  &process->env_end };
    long err = -EINVAL;
    if (which - ABI_PR_SET_MM_ARG_START < ARRAY_SIZE(bounds)) {
        uintptr_t *bound = bounds[which - ABI_PR_SET_MM_ARG_START];
        uintptr_t before = *bound;
        *bound = address;
        err = process->arg_start <= process->arg_end && process->env_start <= process->env_end
                  ? 0
                  : -EINVAL;
        if (err)
            *bound = before;
    }
    mutex_unlock(&process->lock);
    return err;
}

/* ---- What is only kept ----------------------------------------------------------------- */

/* PR_MCE_KILL: when a memory error would kill the thread.  There is no handler of machine checks to ask for it. */
#define MCE_KILL_CLEAR   0
#define MCE_KILL_SET     1
#define MCE_KILL_LATE    0
#define MCE_KILL_DEFAULT 2

static long mce_kill_set(unsigned long operation, unsigned long policy)
{
    if (operation == MCE_KILL_CLEAR && policy == 0)
        policy = MCE_KILL_DEFAULT;
    else if (operation != MCE_KILL_SET || policy > MCE_KILL_DEFAULT)
        return -EINVAL;
    thread_current()->mce_kill_early = policy != MCE_KILL_DEFAULT && policy != MCE_KILL_LATE;
    thread_current()->has_mce_kill = policy != MCE_KILL_DEFAULT;
    return 0;
}

static long mce_kill_get(void)
{
    const struct thread *thread = thread_current();

    return thread->has_mce_kill ? thread->mce_kill_early : MCE_KILL_DEFAULT;
}

/*
 * PR_GET_SPECULATION_CTRL: what a Linux that was booted with mitigations=off says, for there are none here: application
 * and kernel share one ring.
 */
#define SPECULATION_STORE_BYPASS    0
#define SPECULATION_INDIRECT_BRANCH 1
#define SPECULATION_L1D_FLUSH       2
#define SPECULATION_ENABLE          2
#define SPECULATION_FORCE_DISABLE   8

static long speculation_get(unsigned long which)
{
    switch (which) {
    case SPECULATION_STORE_BYPASS:
    case SPECULATION_INDIRECT_BRANCH:
        return SPECULATION_ENABLE;
    case SPECULATION_L1D_FLUSH:
        return SPECULATION_FORCE_DISABLE;
    default:
        return -ENODEV;
    }
}

static long speculation_set(unsigned long which, unsigned long control)
{
    switch (which) {
    case SPECULATION_STORE_BYPASS:
        return -ENXIO;
    case SPECULATION_INDIRECT_BRANCH:
        return control == SPECULATION_ENABLE ? 0 : -EPERM;
    case SPECULATION_L1D_FLUSH:
        return -EPERM;
    default:
        return -ENODEV;
    }
}

static long prctl_kept(int option, unsigned long a, unsigned long b, unsigned long c,
                       unsigned long d)
{
    struct thread *thread = thread_current();
    switch (option) {
    case ABI_PR_SET_TIMERSLACK:
        thread->timer_slack_ns = (long)a <= 0 ? thread->default_timer_slack_ns : a;
        return 0;
    case ABI_PR_GET_TIMERSLACK:
        return (long)thread->timer_slack_ns;
    case ABI_PR_MCE_KILL:
        return c || d ? -EINVAL : mce_kill_set(a, b);
    case ABI_PR_GET_SPECULATION:
        return b || c || d ? -EINVAL : speculation_get(a);
    case ABI_PR_SET_SPECULATION:
        return c || d ? -EINVAL : speculation_set(a, b);
    case ABI_PR_SET_MM:
        return c || d ? -EINVAL : memory_set(a, b);
    case ABI_PR_MCE_KILL_GET:
        return a || b || c || d ? -EINVAL : mce_kill_get();
    default:
        return prctl_process(option, a, b, c, d);
    }
}

/* ---- The rest ----------------------------------------------------------------------------- */

long sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    struct thread *thread = thread_current();
    switch (option) {
    case ABI_PR_SET_NAME:
        return name_set((const char __app *)a);
    case ABI_PR_GET_NAME:
        return copy_to_app((void __app *)a, thread->name, sizeof(thread->name));
    case ABI_PR_GET_TIMING:
        return 0;
    case ABI_PR_SET_TIMING:
        return a ? -EINVAL : 0;
    case ABI_PR_GET_TSC:
        return int_to_app(a, 1); /* PR_TSC_ENABLE */
    case ABI_PR_SET_TSC:
        return a == 1 ? 0 : -EINVAL;
    case ABI_PR_GET_TID_ADDRESS: {
        uint64_t address = thread->clear_child_tid;
        return copy_to_app((void __app *)a, &address, sizeof(address));
    }
    case ABI_PR_GET_SECCOMP:
        return thread->seccomp.mode;
    case ABI_PR_SET_SECCOMP:
        return seccomp_set_mode(a, (const void __app *)b);
    default:
        return prctl_kept(option, a, b, c, d);
    }
}
