// SPDX-License-Identifier: MIT
/*
 * Pid 1: made from nothing but the manifest.  Its first code runs in the kernel, as its own thread, since
 * descriptors and directories are opened by and for the running process; then it execs the program.
 */
#include "loader/first.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/file.h"
#include "fs/tty.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/manifest.h"
#include "kernel/process.h"
#include "kernel/strace.h"
#include "kernel/thread.h"
#include "kernel/thread_fs.h"
#include "lib/format.h"
#include "loader/exec.h"

/* As shells have it. */
#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND  127

static __noreturn void start_failed(int err, const char *sentence)
{
    char line[320];
    int len = format_string(line, sizeof(line) - 1, "stout: %s.\n", sentence);
    (void)console_write(CONSOLE_STDERR, line, MIN((size_t)len, sizeof(line) - 2), false);
    log_info("%s (error %d)", sentence, -err);
    process_exit((err == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN) << 8);
}

static void cwd_enter(const char *name)
{
    char sentence[256];
    struct path place;
    struct fs_context *fs = fs_current();
    int err = path_walk(ABI_AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &place);
    if (err) {
        format_string(sentence, sizeof(sentence), "the working directory %s is not in the image",
                      name);
        start_failed(-EACCES, sentence);
    }
    fs_context_replace(&fs->cwd, fs, &place);
}

static void user_become(const struct manifest *manifest)
{
    struct credentials *creds = &process_current()->creds;
    creds->uid = creds->euid = creds->suid = creds->fsuid = manifest->uid;
    creds->gid = creds->egid = creds->sgid = creds->fsgid = manifest->gid;
    creds->ngroups = manifest->ngroups;
    memcpy(creds->groups, manifest->groups, sizeof(creds->groups));
    if (manifest->uid) {
        creds->cap_effective = 0;
        creds->cap_permitted = 0;
    }
}

static void limits_set(const struct manifest *manifest)
{
    for (int resource = 0; resource < RLIMIT_COUNT; resource++)
        if (manifest->limits_given & (1U << resource))
            rlimit_set(resource, &manifest->limits[resource]);
}

static int first_prepare(struct exec *exec, const struct manifest *manifest)
{
    exec->name = manifest->program;
    exec->path = manifest->program;
    int err = strings_add_kernel(&exec->strings, manifest->argv, false);
    if (!err)
        err = strings_add_kernel(&exec->strings, manifest->envp, true);
    if (err == -E2BIG)
        return exec_fail(exec, err, "the arguments and the environment are too long for %s",
                         exec->path);
    if (!err)
        err = exec_open(exec, ABI_AT_FDCWD, 0);
    return err ? err : exec_prepare(exec);
}

static void first_begin(void *arg)
{
    const struct manifest *manifest = arg;
    struct regs regs;
    if (stdio_install(manifest->stdio))
        start_failed(-ENOMEM, "descriptors 0 to 2 cannot be opened");
    cwd_enter(manifest->cwd);
    user_become(manifest);
    limits_set(manifest);
    strace_thread_start(thread_current());

    struct exec *exec = exec_create();
    if (!exec)
        start_failed(-ENOMEM, "there is not enough memory to start the program");
    int err = first_prepare(exec, manifest);
    if (!err)
        err = exec_commit(exec, &regs);
    if (err)
        start_failed(err, exec->problem[0] ? exec->problem : "the program cannot be started");
    exec_destroy(exec);
    arch_enter_app(&regs);
}

static int first_create(struct process **out)
{
    struct process *process;
    int err = process_create(NULL, 0, &process);
    if (err)
        return err;
    err = fdtable_create(&process->files);
    if (!err)
        err = fs_context_create(&process->fs);
    if (!err)
        err = signal_handlers_create(&process->handlers);
    if (!err)
        err = arch_thread_init_app(process->leader, NULL);
    if (!err)
        err = process_publish(process, NULL);
    if (err) {
        process_discard(process);
        return err;
    }
    *out = process;
    return 0;
}

int process_start_first(const struct manifest *manifest)
{
    struct process *process;
    int err = first_create(&process);
    if (err)
        return err;
    vdso_init();
    __atomic_store_n(&process_first, process, __ATOMIC_RELEASE); /* kernel/control.c looks for it */
    thread_set_entry(process->leader, first_begin, (void *)(uintptr_t)manifest);
    thread_start(process->leader);
    return 0;
}
