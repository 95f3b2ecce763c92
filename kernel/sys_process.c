// SPDX-License-Identifier: MIT
/*
 * System calls about processes themselves: their numbers, groups and sessions, their ends.
 */
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

long sys_getpid(void)
{
    return process_current()->pid;
}

long sys_gettid(void)
{
    return thread_current()->tid;
}

long sys_getppid(void)
{
    read_lock(&process_table_lock);
    const struct process *parent = process_current()->parent;
    int pid = parent ? parent->pid : 0;
    read_unlock(&process_table_lock);
    return pid;
}

long sys_set_tid_address(void __app *address)
{
    thread_current()->clear_child_tid = (uintptr_t)address;
    return thread_current()->tid;
}

long sys_exit(int code)
{
    thread_exit(code);
}

long sys_exit_group(int code)
{
    process_exit((code & 0xff) << 8);
}

/* ---- Groups and sessions -------------------------------------------------------- */

/* The field of process pid (0: the running one), or -ESRCH. */
static long id_of(int pid, size_t field)
{
    struct process *process = pid ? process_find(pid) : process_get(process_current());
    if (!process)
        return -ESRCH;
    int value = READ_ONCE(*(const int *)((const char *)process + field));
    process_put(process);
    return value;
}

long sys_getpgid(int pid)
{
    return id_of(pid, offsetof(struct process, pgid));
}

long sys_getpgrp(void)
{
    return process_current()->pgid;
}

long sys_getsid(int pid)
{
    return id_of(pid, offsetof(struct process, sid));
}

struct group_search {
    int pgid, sid;
    bool was_found;
};

static bool group_visit(struct process *process, void *arg)
{
    struct group_search *search = arg;
    if (process->pgid != search->pgid || (search->sid && process->sid != search->sid))
        return true;
    search->was_found = true;
    return false;
}

/* Whether a process of the group exists; sid 0: in any session. */
static bool group_exists(int pgid, int sid)
{
    struct group_search search = { .pgid = pgid, .sid = sid };
    process_for_each(group_visit, &search);
    return search.was_found;
}

/* setpgid's rules (POSIX; as Linux orders the checks). [t] held for writing. */
static int group_check(const struct process *target, int pgid, bool is_new_known)
{
    const struct process *self = process_current();
    if (target != self) {
        if (target->parent != self)
            return -ESRCH;
        if (target->sid != self->sid)
            return -EPERM;
        if (target->has_execed)
            return -EACCES;
    }
    if (target->sid == target->pid)
        return -EPERM; /* a session leader stays where it is */
    return pgid == target->pid || is_new_known ? 0 : -EPERM;
}

long sys_setpgid(int pid, int pgid)
{
    if (pgid < 0)
        return -EINVAL;
    struct process *target = pid ? process_find(pid) : process_get(process_current());
    if (!target)
        return -ESRCH;
    if (pgid == 0)
        pgid = target->pid;
    bool is_known = pgid != target->pid && group_exists(pgid, process_current()->sid);
    write_lock(&process_table_lock);
    int err = target->state == PROCESS_ALIVE ? group_check(target, pgid, is_known) : -ESRCH;
    if (!err)
        target->pgid = pgid;
    write_unlock(&process_table_lock);
    process_put(target);
    return err;
}

long sys_setsid(void)
{
    struct process *process = process_current();
    if (group_exists(process->pid, 0))
        return -EPERM;
    write_lock(&process_table_lock);
    process->sid = process->pid;
    process->pgid = process->pid;
    WRITE_ONCE(process->tty_claim, 0);
    write_unlock(&process_table_lock);
    return process->pid;
}

/* ---- The machine's ------------------------------------------------------------------ */

long sys_arch_prctl(int code, unsigned long address)
{
    return arch_prctl(code, address);
}

long sys_personality(unsigned long personality)
{
    struct process *process = process_current();
    unsigned old = process->personality;
    if (personality == 0xffffffffUL)
        return old;
    if (personality & ~(unsigned long)ABI_ADDR_NO_RANDOMIZE)
        log_warning_once("personality %lx is remembered and has no effect", personality);
    process->personality = (unsigned)personality;
    return old;
}
