// SPDX-License-Identifier: MIT
/*
 * The calls that make small file objects: pipe, eventfd, timerfd, signalfd, inotify, memfd, pidfd.
 * Arguments are checked here; the objects are in files of their own.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "fs/event_objects.h"
#include "fs/inotify.h"
#include "fs/memfd.h"
#include "fs/pipe.h"
#include "fs/procfs.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/thread_files.h"
#include "kernel/usercopy.h"

/* EFD_, TFD_, SFD_ and IN_ have the values of O_NONBLOCK and O_CLOEXEC. */
#define COMMON_FLAGS (ABI_O_NONBLOCK | ABI_O_CLOEXEC)

/* A descriptor for a new file, whose reference is used up in any case. */
static long install(int err, struct file *file, unsigned flags)
{
    if (err)
        return err;
    int fd = fd_install(file, flags & ABI_O_CLOEXEC, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

/* ---- Pipes ---------------------------------------------------------------------- */

/* Both descriptors, or none. */
static int pipe_reserve(int fd[2])
{
    fd[0] = fd_reserve(0);
    if (fd[0] < 0)
        return fd[0];
    fd[1] = fd_reserve(0);
    if (fd[1] >= 0)
        return 0;
    fd_unreserve(fd[0]);
    return fd[1];
}

long sys_pipe2(void __app *fds, int flags)
{
    if ((unsigned)flags & ABI_O_EXCL)
        return -ENOPKG; /* O_NOTIFICATION_PIPE without watch queues, as Linux built so */
    if ((unsigned)flags & ~(COMMON_FLAGS | ABI_O_DIRECT))
        return -EINVAL;
    struct file *end[2];
    int fd[2];
    int err = pipe_create((unsigned)flags & ~ABI_O_CLOEXEC, &end[0], &end[1]);
    if (err)
        return err;
    err = pipe_reserve(fd);
    if (err)
        goto put_files;
    if (copy_to_app(fds, fd, sizeof(fd)) != 0) {
        err = -EFAULT;
        fd_unreserve(fd[0]);
        fd_unreserve(fd[1]);
        goto put_files;
    }
    fd_fill(fd[0], end[0], (unsigned)flags & ABI_O_CLOEXEC);
    fd_fill(fd[1], end[1], (unsigned)flags & ABI_O_CLOEXEC);
    return 0;

put_files:
    file_put(end[0]);
    file_put(end[1]);
    return err;
}

long sys_pipe(void __app *fds)
{
    return sys_pipe2(fds, 0);
}

/* ---- eventfd, timerfd, signalfd ---------------------------------------------------- */

long sys_eventfd2(unsigned count, unsigned flags)
{
    if (flags & ~(COMMON_FLAGS | ABI_EFD_SEMAPHORE))
        return -EINVAL;
    struct file *file = NULL;
    int err = eventfd_create(count, flags & ABI_O_NONBLOCK, flags & ABI_EFD_SEMAPHORE, &file);
    return install(err, file, flags);
}

long sys_eventfd(unsigned count)
{
    return sys_eventfd2(count, 0);
}

static int timerfd_clock_check(int clock)
{
    switch (clock) {
    case ABI_CLOCK_MONOTONIC:
    case ABI_CLOCK_REALTIME:
    case ABI_CLOCK_BOOTTIME:
        return 0;
    case ABI_CLOCK_REALTIME_ALARM:
    case ABI_CLOCK_BOOTTIME_ALARM:
        return process_is_capable(ABI_CAP_WAKE_ALARM) ? 0 : -EPERM;
    default:
        return -EINVAL;
    }
}

long sys_timerfd_create(int clock, unsigned flags)
{
    if (flags & ~COMMON_FLAGS)
        return -EINVAL;
    int err = timerfd_clock_check(clock);
    if (err)
        return err;
    struct file *file = NULL;
    err = timerfd_create_file(clock, flags & ABI_O_NONBLOCK, &file);
    return install(err, file, flags);
}

/* The file of a descriptor that must be a timerfd; -EBADF, -EINVAL. */
static int timerfd_of_fd(int fd, struct file **out)
{
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    if (!file_is_timerfd(file)) {
        file_put(file);
        return -EINVAL;
    }
    *out = file;
    return 0;
}

long sys_timerfd_settime(int fd, unsigned flags, const void __app *value, void __app *old)
{
    struct abi_itimerspec spec, before;
    if (copy_from_app(&spec, value, sizeof(spec)) != 0)
        return -EFAULT;
    if (flags & ~(unsigned)(ABI_TFD_TIMER_ABSTIME | ABI_TFD_TIMER_CANCEL_ON_SET))
        return -EINVAL;
    struct file *file;
    int err = timerfd_of_fd(fd, &file);
    if (err)
        return err;
    err = timerfd_set(file, (int)flags, &spec, &before);
    file_put(file);
    if (!err && old)
        err = copy_to_app(old, &before, sizeof(before));
    return err;
}

long sys_timerfd_gettime(int fd, void __app *value)
{
    struct abi_itimerspec spec;
    struct file *file;
    int err = timerfd_of_fd(fd, &file);
    if (err)
        return err;
    timerfd_get(file, &spec);
    file_put(file);
    return copy_to_app(value, &spec, sizeof(spec));
}

static long signalfd_change(int fd, uint64_t mask)
{
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    bool is_ours = file_is_signalfd(file);
    if (is_ours)
        signalfd_set_mask(file, mask);
    file_put(file);
    return is_ours ? fd : -EINVAL;
}

long sys_signalfd4(int fd, const void __app *mask, size_t mask_size, unsigned flags)
{
    uint64_t set;
    if (mask_size != sizeof(set))
        return -EINVAL;
    if (copy_from_app(&set, mask, sizeof(set)) != 0)
        return -EFAULT;
    if (flags & ~COMMON_FLAGS)
        return -EINVAL;
    if (fd != -1)
        return signalfd_change(fd, set);
    struct file *file = NULL;
    int err = signalfd_create(set, flags & ABI_O_NONBLOCK, &file);
    return install(err, file, flags);
}

long sys_signalfd(int fd, const void __app *mask, size_t mask_size)
{
    return sys_signalfd4(fd, mask, mask_size, 0);
}

/* ---- inotify ---------------------------------------------------------------------------- */

long sys_inotify_init1(unsigned flags)
{
    if (flags & ~COMMON_FLAGS)
        return -EINVAL;
    struct file *file = NULL;
    int err = inotify_create(flags & ABI_O_NONBLOCK, &file);
    return install(err, file, flags);
}

long sys_inotify_init(void)
{
    return sys_inotify_init1(0);
}

/* The inode that path means, which the caller may read; its place is put by path_put(). */
static int inotify_find(const char __app *path, unsigned mask, struct path *place)
{
    struct path_name name;
    int err = path_name_init(&name, path);
    if (err)
        return err;
    unsigned walk = mask & ABI_IN_DONT_FOLLOW ? 0 : WALK_FOLLOW;
    if (mask & ABI_IN_ONLYDIR)
        walk |= WALK_DIRECTORY;
    err = path_walk(ABI_AT_FDCWD, name.text, walk, place);
    path_name_fini(&name);
    if (err)
        return err;
    err = inode_permission(place->dentry->inode, 4);
    if (err)
        path_put(place);
    return err;
}

long sys_inotify_add_watch(int fd, const char __app *path, unsigned mask)
{
    if (!(mask & (ABI_IN_ALL_EVENTS | ABI_IN_UNMOUNT | ABI_IN_Q_OVERFLOW | ABI_IN_IGNORED |
                  ABI_IN_ONLYDIR | ABI_IN_DONT_FOLLOW | ABI_IN_EXCL_UNLINK | ABI_IN_MASK_CREATE |
                  ABI_IN_MASK_ADD | ABI_IN_ISDIR | ABI_IN_ONESHOT)))
        return -EINVAL;
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    long result = -EINVAL;
    if ((mask & ABI_IN_MASK_ADD) && (mask & ABI_IN_MASK_CREATE))
        goto put_file;
    if (!file_is_inotify(file))
        goto put_file;
    struct path place;
    result = inotify_find(path, mask, &place);
    if (result)
        goto put_file;
    result = inotify_add(file, place.dentry->inode, mask);
    path_put(&place);

put_file:
    file_put(file);
    return result;
}

long sys_inotify_rm_watch(int fd, int watch)
{
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    int err = file_is_inotify(file) ? inotify_remove(file, watch) : -EINVAL;
    file_put(file);
    return err;
}

/* ---- memfd --------------------------------------------------------------------------------- */

#define MFD_CLOEXEC       1u
#define MFD_ALLOW_SEALING 2u
#define MFD_HUGETLB       4u
#define MFD_NAME_MAX      249 /* NAME_MAX less "memfd:" */

long sys_memfd_create(const char __app *name, unsigned flags)
{
    /* Large pages from a pool: there is none, which Linux without hugetlbfs tells so. */
    if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        return flags & MFD_HUGETLB ? -ENOSYS : -EINVAL;
    char text[MFD_NAME_MAX + 1];
    long len = string_from_app(text, name, sizeof(text));
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    struct file *file = NULL;
    int err = memfd_create_file(text, 0, &file);
    if (!err && flags & MFD_ALLOW_SEALING)
        file->inode->seals = 0;
    return install(err, file, flags & MFD_CLOEXEC ? ABI_O_CLOEXEC : 0);
}

/* ---- pidfd ---------------------------------------------------------------------------------- */

long sys_pidfd_open(int pid, unsigned flags)
{
    if (flags & ~ABI_O_NONBLOCK || pid <= 0)
        return -EINVAL;
    struct process *process = process_find(pid);
    if (!process) {
        /* A thread that does not lead its process has a number, but no process of that number. */
        struct thread *thread = thread_find(pid);
        if (!thread)
            return -ESRCH;
        thread_put(thread);
        return -EINVAL;
    }
    struct file *file = NULL;
    int err = pidfd_create(process, flags, &file);
    process_put(process);
    return install(err, file, ABI_O_CLOEXEC);
}

/* Whether the running process may send signo to target (kill(2)). */
static bool may_signal(struct process *target, int signo)
{
    struct process *self = process_current();
    if (self == target || process_is_capable(ABI_CAP_KILL))
        return true;
    const struct credentials *from = &self->creds, *to = &target->creds;
    if (from->euid == to->suid || from->euid == to->uid || from->uid == to->suid ||
        from->uid == to->uid)
        return true;
    return signo == ABI_SIGCONT && self->sid == target->sid;
}

static int pidfd_info(int signo, const void __app *from, struct process *target,
                      struct abi_siginfo *info)
{
    *info = (struct abi_siginfo){ .si_signo = signo, .si_code = ABI_SI_USER };
    struct process *self = process_current();
    info->si_pid = self->pid;
    info->si_uid = self->creds.uid;
    if (!from)
        return 0;
    if (copy_from_app(info, from, sizeof(*info)) != 0)
        return -EFAULT;
    if (info->si_signo != signo)
        return -EINVAL;
    /* Nobody but the kernel says what the kernel or tkill() would say. */
    if ((info->si_code >= 0 || info->si_code == ABI_SI_TKILL) && self != target)
        return -EPERM;
    return 0;
}

long sys_pidfd_send_signal(int pidfd, int signo, void __app *from, unsigned flags)
{
    if (flags)
        return -EINVAL;
    struct file *file = fd_get(pidfd);
    if (!file)
        return -EBADF;
    struct process *target = pidfd_process(file);
    if (!target)
        target = procfs_directory_process(file); /* killall(1) does it so */
    struct abi_siginfo info;
    int err = target ? 0 : -EBADF;
    if (!err && (signo < 0 || signo > ABI_NSIG))
        err = -EINVAL;
    if (!err)
        err = pidfd_info(signo, from, target, &info);
    if (!err && !may_signal(target, signo))
        err = -EPERM;
    if (!err && READ_ONCE(target->state) == PROCESS_REAPED)
        err = -ESRCH;
    if (!err && signo != 0)
        err = signal_send_process(target, signo, &info);
    if (err == -ESRCH && READ_ONCE(target->state) != PROCESS_REAPED)
        err = 0; /* a zombie exists, and takes no notice */
    file_put(file);
    return err;
}

long sys_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
    if (flags)
        return -EINVAL;
    struct file *file = fd_get(pidfd);
    if (!file)
        return -EBADF;
    struct process *target = pidfd_process(file);
    struct file *found = NULL;
    long result = target ? -ESRCH : -EBADF;
    struct thread *leader = target ? thread_find(target->pid) : NULL;
    struct fdtable *files = target ? files_of_thread(target, leader) : NULL;
    if (files && !ptrace_may_access(target))
        result = -EPERM;
    else if (files)
        result = (found = fdtable_file(files, fd)) != NULL ? 0 : -EBADF;
    if (files)
        fdtable_put(files);
    if (leader)
        thread_put(leader);
    file_put(file);
    return found ? install(0, found, ABI_O_CLOEXEC) : result;
}

/* There are no namespaces, so no descriptor refers to one. */
long sys_setns(int fd, unsigned flags)
{
    struct file *file = fd_get(fd);

    (void)flags;
    if (!file)
        return -EBADF;
    file_put(file);
    return -EINVAL;
}
