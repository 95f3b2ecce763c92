// SPDX-License-Identifier: MIT
/*
 * Where a patched call goes (trap_entry.S): straight to the function of its row, whose arguments are in their
 * registers already.
 *
 * That saves no more registers than C changes.  A call that copies all of them to a child, or loads others, goes by
 * patched_fully, as a traced thread does; so does a number that the table lacks.  What only reads a number of the
 * thread or its process does not even need a stack, and is done where it came in.
 */
#include "abi/syscall_nr.h"
#include "arch/x86_64/call_patch.h"
#include "kernel/options.h"
#include "kernel/syscall.h"

typedef void call_function(void); /* of any type: the entry code calls it */

extern call_function patched_fully; /* trap_entry.S */
extern const char patched_entry[], patched_getpid[], patched_gettid[];

/* Later lines count. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define SYSCALL(name, result, ...) [SYS_##name] = (call_function *)sys_##name,
call_function *const call_table[SYSCALL_MAX] = {
    [0 ... SYSCALL_MAX - 1] = patched_fully,
#include "kernel/syscalls.def"
    [SYS_exit] = patched_fully, /* a tracer may look at them last */
    [SYS_exit_group] = patched_fully,
    [SYS_clone] = patched_fully,
    [SYS_clone3] = patched_fully,
    [SYS_fork] = patched_fully,
    [SYS_vfork] = patched_fully,
    [SYS_execve] = patched_fully,
    [SYS_execveat] = patched_fully,
    [SYS_rt_sigreturn] = patched_fully,
};
#undef SYSCALL

uintptr_t arch_call_entry(void)
{
    return option_bool("sysinfo", true) ? (uintptr_t)patched_entry : 0;
}

uintptr_t call_entry(uint64_t nr)
{
    if (nr == SYS_getpid)
        return (uintptr_t)patched_getpid;
    return (uintptr_t)(nr == SYS_gettid ? patched_gettid : patched_entry);
}
