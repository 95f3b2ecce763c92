// SPDX-License-Identifier: MIT
/*
 * execve(2) and execveat(2).
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/dcache.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "lib/format.h"
#include "loader/exec.h"

/* "/dev/fd/N" or "/dev/fd/N/name": what a program started by descriptor is told as its name. */
static int fd_path_set(struct exec *exec, int dirfd, const char *name)
{
    size_t size = 32 + strlen(name);
    exec->fd_path = kmalloc(size, ALLOC_WAIT);
    if (!exec->fd_path)
        return -ENOMEM;
    format_string(exec->fd_path, size, *name ? "/dev/fd/%d/%s" : "/dev/fd/%d", dirfd, name);
    return 0;
}

static int strings_collect(struct exec *exec, const void __app *argv, const void __app *envp)
{
    int err = strings_add_app(&exec->strings, argv, false);
    if (!err && exec->strings.argc == 0) {
        static const char *const empty[] = { "", NULL };
        log_warning_once("a program was started with an empty argv; it gets one empty argument");
        err = strings_add_kernel(&exec->strings, empty, false);
    }
    return err ? err : strings_add_app(&exec->strings, envp, true);
}

static int name_set(struct exec *exec, int dirfd, const char *name, unsigned flags)
{
    if (!*name && !(flags & ABI_AT_EMPTY_PATH))
        return -ENOENT;
    exec->name = name;
    exec->path = name;
    if (dirfd == ABI_AT_FDCWD || *name == '/')
        return 0;
    int err = fd_path_set(exec, dirfd, name);
    if (!err)
        exec->path = exec->fd_path;
    return err;
}

/* The process has changed its user to one that had too many processes, and still has. */
static int limit_check(void)
{
    struct process *process = process_current();

    if (READ_ONCE(process->was_over_limit) && process_user_has_too_many(false))
        return -EAGAIN;
    WRITE_ONCE(process->was_over_limit, false);
    return 0;
}

/* The new program's registers are where a tracer looks for them. */
static __noreturn void exec_leave(const struct regs *regs, int old_tid)
{
    struct thread *thread = thread_current();
    struct regs *at = arch_thread_regs(thread);
    *at = *regs;
    ptrace_exec(old_tid);
    if (READ_ONCE(thread->flags) & THREAD_CALL_STOPS)
        (void)ptrace_syscall_leave(0);
    arch_enter_app(at);
}

static long exec_run(int dirfd, const char __app *path, const void __app *argv,
                     const void __app *envp, unsigned flags)
{
    struct path_name name;
    struct regs regs;
    int err = path_name_init(&name, path);
    if (err)
        return err;
    err = limit_check();
    if (err) {
        path_name_fini(&name);
        return err;
    }
    int old_tid = thread_current()->tid;
    struct exec *exec = exec_create();
    err = exec ? name_set(exec, dirfd, name.text, flags) : -ENOMEM;
    if (!err)
        err = exec_open(exec, dirfd, flags);
    if (!err)
        err = strings_collect(exec, argv, envp);
    if (!err)
        err = exec_prepare(exec);
    if (!err)
        err = exec_commit(exec, &regs);
    if (exec)
        exec_destroy(exec);
    path_name_fini(&name);
    if (err)
        return err;
    exec_leave(&regs, old_tid);
}

long sys_execve(const char __app *path, const void __app *argv, const void __app *envp)
{
    return exec_run(ABI_AT_FDCWD, path, argv, envp, 0);
}

long sys_execveat(int dirfd, const char __app *path, const void __app *argv, const void __app *envp,
                  unsigned flags)
{
    if (flags & ~(ABI_AT_EMPTY_PATH | ABI_AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return exec_run(dirfd, path, argv, envp, flags);
}
