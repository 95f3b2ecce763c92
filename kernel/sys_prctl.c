// SPDX-License-Identifier: MIT
/*
 * prctl(2).  Options that Linux 6.1 has and that mean something here; the rest is EINVAL, as on a
 * Linux built without them.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define TIMER_SLACK_NS 50000

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
    if (!process_is_capable(ABI_CAP_SETPCAP) || (bits & ~ABI_SECBITS_ALL))
        return -EPERM;
    creds->securebits = (unsigned)bits;
    return 0;
}

static long keepcaps_set(unsigned long keep)
{
    struct credentials *creds = &process_current()->creds;
    if (keep > 1)
        return -EINVAL;
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
    case ABI_PR_SET_TIMERSLACK:
        return 0; /* timers here are exact: no slack is ever taken */
    case ABI_PR_GET_TIMERSLACK:
        return TIMER_SLACK_NS;
    case ABI_PR_GET_TID_ADDRESS: {
        uint64_t address = thread->clear_child_tid;
        return copy_to_app((void __app *)a, &address, sizeof(address));
    }
    case ABI_PR_GET_SECCOMP:
    case ABI_PR_SET_SECCOMP:
        log_warning_once("prctl: there is no seccomp here");
        return -EINVAL;
    default:
        return prctl_process(option, a, b, c, d);
    }
}
