// SPDX-License-Identifier: MIT
/*
 * execve: the new address space, and the switch to it.  See loader/exec.h.
 */
#include "loader/exec.h"

#include <stdarg.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/mount.h"
#include "abi/process.h"
#include "fs/file.h"
#include "kernel/futex.h"
#include "kernel/mm/heap.h"
#include "kernel/posix_timer.h"
#include "kernel/process.h"
#include "kernel/profile.h"
#include "kernel/thread.h"
#include "kernel/thread_files.h"
#include "kernel/thread_fs.h"
#include "lib/format.h"

struct exec *exec_create(void)
{
    struct exec *exec = kzalloc(sizeof(*exec), ALLOC_WAIT);
    if (exec)
        strings_init(&exec->strings);
    return exec;
}

void exec_destroy(struct exec *exec)
{
    strings_fini(&exec->strings);
    if (exec->program.file)
        file_put(exec->program.file);
    if (exec->interpreter.file)
        file_put(exec->interpreter.file);
    if (exec->vm)
        vmspace_put(exec->vm);
    kfree(exec->fd_path);
    kfree(exec);
}

int exec_fail(struct exec *exec, int err, const char *format, ...)
{
    va_list args;
    if (exec->problem[0])
        return err;
    va_start(args, format);
    format_string_va(exec->problem, sizeof(exec->problem), format, args);
    va_end(args);
    return err;
}

/* ---- Set-user-id programs ---------------------------------------------------------- */

static void identity_choose(struct exec *exec)
{
    const struct credentials *creds = &process_current()->creds;
    const struct file *file = exec->program.file;
    const struct inode *inode = file->inode;
    const struct mount *mount = file->path.mount;
    exec->euid = creds->euid;
    exec->egid = creds->egid;
    if (creds->no_new_privs || (mount && (mount->flags & ABI_MS_NOSUID)))
        return;
    if (inode->mode & ABI_S_ISUID)
        exec->euid = inode->uid;
    if ((inode->mode & ABI_S_ISGID) && (inode->mode & 0010))
        exec->egid = inode->gid;
    exec->is_secure = exec->euid != creds->uid || exec->egid != creds->gid;
    /* A program that was already running under other ids is no less trusted than before. */
    if (exec->euid == creds->euid && exec->egid == creds->egid)
        exec->is_secure = creds->uid != creds->euid || creds->gid != creds->egid;
}

/* capabilities(7): "Transformation of capabilities during execve()", without file capabilities. */
static void identity_apply(const struct exec *exec, struct credentials *creds)
{
    bool is_root = !(creds->securebits & ABI_SECBIT_NOROOT) && (!exec->euid || !creds->uid);
    bool is_set_id =
        exec->euid != creds->euid || !creds_is_in_group(creds, creds->fsgid, exec->egid);
    uint64_t permitted = is_root ? creds->cap_inheritable | creds->cap_bounding : 0;
    bool has_gained = permitted & ~creds->cap_permitted;
    const struct thread_trace *trace = &thread_current()->trace;
    /* Whoever traces it could do with the new rights what it likes. */
    bool is_watched = thread_is_traced(trace) && !trace->is_privileged;

    creds->euid = exec->euid;
    creds->egid = exec->egid;
    if ((creds->no_new_privs || is_watched) && (is_set_id || has_gained)) {
        if (creds->no_new_privs || !(creds->cap_effective & 1ULL << ABI_CAP_SETUID)) {
            creds->euid = creds->uid;
            creds->egid = creds->gid;
        }
        permitted &= creds->cap_permitted;
    }
    creds->suid = creds->fsuid = creds->euid;
    creds->sgid = creds->fsgid = creds->egid;
    if (is_set_id)
        creds->cap_ambient = 0;
    creds->cap_permitted = permitted | creds->cap_ambient;
    creds->cap_effective = is_root && !exec->euid ? creds->cap_permitted : creds->cap_ambient;
    creds->securebits &= ~ABI_SECBIT_KEEP_CAPS;
}

/* ---- Preparing ------------------------------------------------------------------------ */

int exec_prepare(struct exec *exec)
{
    uintptr_t vdso = 0;
    int err = program_follow(exec);
    if (err)
        return err;
    identity_choose(exec);
    exec->is_randomized = process_is_randomized(exec->is_secure);
    err = strings_add_name(&exec->strings, exec->path);
    if (!err)
        err = vmspace_create(exec->is_randomized, &exec->vm);
    if (!err)
        err = image_map(exec);
    if (exec->interpreter.file)
        file_end_program(exec->interpreter.file); /* a library from here on */
    if (!err)
        err = vdso_map(exec->vm, &vdso);
    if (!err)
        err = stack_build(exec, vdso);
    if (err)
        return exec_fail(exec, err, "there is not enough memory to start %s", exec->path);
    return 0;
}

/* ---- The switch -------------------------------------------------------------------------- */

/* What has to be made before the point of no return. */
struct replacement {
    struct signal_handlers *handlers;
    struct fdtable *files;
};

static int replacement_make(struct replacement *new)
{
    struct process *process = process_current();
    int err = signal_handlers_copy(process->handlers, &new->handlers);
    if (err)
        return err;
    signal_handlers_reset(new->handlers);
    new->files = NULL;
    if (fdtable_is_shared(files_current()))
        err = fdtable_copy(files_current(), &new->files);
    if (err)
        signal_handlers_put(new->handlers);
    return err;
}

static void replacement_drop(struct replacement *new)
{
    if (new->handlers)
        signal_handlers_put(new->handlers);
    if (new->files)
        fdtable_put(new->files);
}

/* The process's own objects are exchanged; new gets the old ones. */
static void objects_exchange(struct process *process, struct replacement *new)
{
    mutex_lock(&process->lock);
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    struct signal_handlers *handlers = process->handlers;
    process->handlers = new->handlers;
    new->handlers = handlers;
    spin_unlock_irq(&process->signals.lock, flags);
    /* Those that shared it may have been this process's threads only. */
    if (new->files && fdtable_is_shared(process->files)) {
        struct fdtable *files = process->files;
        process->files = new->files;
        new->files = files;
    }
    mutex_unlock(&process->lock);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void description_set(struct exec *exec, struct process *process)
{
    struct file *old_exe;
    mutex_lock(&process->lock);
    struct credentials creds = process->creds;
    /* The memory is the new program's already. */
    process->is_dumpable = !exec->is_secure && creds.uid == creds.euid && creds.gid == creds.egid;
    identity_apply(exec, &creds);
    process_set_creds(process, &creds);
    old_exe = process->exe;
    process->exe = file_get(exec->program.file);
    process->arg_start = exec->arg_start;
    process->arg_end = exec->arg_end;
    process->env_start = exec->env_start;
    process->env_end = exec->env_end;
    memcpy(process->auxv, exec->auxv, sizeof(process->auxv));
    if (exec->is_secure) {
        process->pdeath_signal = 0;
        process->personality &= ~ABI_ADDR_NO_RANDOMIZE;
    }
    mutex_unlock(&process->lock);
    if (old_exe)
        file_put(old_exe);

    process_set_comm(process, base_name(exec->path));
    thread_set_name(thread_current(), base_name(exec->path));
    write_lock(&process_table_lock);
    process->has_execed = true;
    process->exit_signal = ABI_SIGCHLD;
    write_unlock(&process_table_lock);
}

static void vmspace_switch(struct exec *exec, struct process *process)
{
    struct thread *thread = thread_current();
    mutex_lock(&process->lock);
    struct vmspace *old = process->vmspace;
    if (old)
        process->peak_resident_pages = MAX(process->peak_resident_pages, old->peak_resident_pages);
    process->vmspace = exec->vm;
    /* Before the new rights are set, nobody may look who could look into the old memory. */
    process->is_dumpable &= !exec->is_secure;
    mutex_unlock(&process->lock);
    unsigned long flags = arch_irq_save();
    thread->vmspace = exec->vm;
    vmspace_activate(exec->vm);
    arch_irq_restore(flags);
    exec->vm = NULL;
    if (old)
        vmspace_put(old);
    process_end_vfork(process);
}

static void thread_reset(struct thread *thread)
{
    thread->clear_child_tid = 0;
    thread->robust_list = 0;
    thread->rseq_area = 0;
    thread->restart.function = NULL;
    thread->signals.altstack = (struct abi_stack){ .ss_flags = ABI_SS_DISABLE };
    arch_thread_reset_app(thread);
}

int exec_commit(struct exec *exec, struct regs *regs)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    struct replacement new;
    int err = replacement_make(&new);
    if (err)
        return err;
    err = process_kill_other_threads();
    if (err) {
        replacement_drop(&new);
        return err;
    }
    profile_flush();
    thread_release_attachments(thread);
    process_release_attachments(
        process); /* its threads use the process's directories and descriptors */
    thread_fs_to_process();
    thread_files_to_process();
    futex_thread_exec(thread); /* it wakes who waits in the old memory */
    objects_exchange(process, &new);
    fdtable_used_alone(process->files);
    replacement_drop(&new);
    posix_timers_exec(process);
    vmspace_switch(exec, process);
    fdtable_close_on_exec(process->files);
    description_set(exec, process);
    thread_reset(thread);
    arch_regs_init(regs, exec->entry, exec->sp);
    return 0;
}
