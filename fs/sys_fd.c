// SPDX-License-Identifier: MIT
/*
 * System calls on descriptors themselves: closing, duplicating, fcntl.
 */
#include "abi/fcntl.h"
#include "abi/signal.h"
#include "fs/async.h"
#include "fs/inotify.h"
#include "fs/locks.h"
#include "fs/memfd.h"
#include "fs/pipe.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/syscall.h"
#include "kernel/thread_files.h"
#include "kernel/usercopy.h"

/* ---- Closing and duplicating ------------------------------------------------------------ */

long sys_close(int fd)
{
    return fd_close(fd);
}

long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    if (flags & ~(ABI_CLOSE_RANGE_UNSHARE | ABI_CLOSE_RANGE_CLOEXEC) || first > last)
        return -EINVAL;
    if (flags & ABI_CLOSE_RANGE_UNSHARE) {
        int err = thread_files_unshare();
        if (err)
            return err;
    }
    fd_close_range(first, last, flags & ABI_CLOSE_RANGE_CLOEXEC);
    return 0;
}

static long duplicate(int fd, int min, bool close_on_exec)
{
    struct file *file = fd_get_raw(fd);

    if (!file)
        return -EBADF;
    int copy = fd_install(file, close_on_exec, min);
    if (copy < 0)
        file_put(file);
    return copy;
}

long sys_dup(int fd)
{
    return duplicate(fd, 0, false);
}

static long duplicate_to(int old, int new, bool close_on_exec)
{
    struct file *file;

    if (new < 0 || (uint64_t) new >= rlimit_current(LIMIT_NOFILE))
        return -EBADF;
    file = fd_get_raw(old);
    if (!file)
        return -EBADF;
    int err = fd_replace(new, file, close_on_exec);
    if (err < 0)
        file_put(file);
    return err;
}

long sys_dup2(int old, int new)
{
    if (old == new) {
        int flag = fd_get_cloexec(old);
        return flag < 0 ? flag : old;
    }
    return duplicate_to(old, new, false);
}

long sys_dup3(int old, int new, int flags)
{
    if ((unsigned)flags & ~ABI_O_CLOEXEC || old == new)
        return -EINVAL;
    return duplicate_to(old, new, flags);
}

/* ---- fcntl ---------------------------------------------------------------------------------- */

long file_change_flags(struct file *file, unsigned mask, unsigned flags)
{
    unsigned old = __atomic_load_n(&file->flags, __ATOMIC_RELAXED);
    unsigned new;

    if (flags & mask & ABI_O_DIRECT && !(old & ABI_O_DIRECT) &&
        (file->inode->mode & ABI_S_IFMT) == ABI_S_IFREG)
        return -EINVAL; /* as open(2) with it: no file system here bypasses the page cache */
    do {
        new = (old & ~mask) | (flags & mask);
    } while (!__atomic_compare_exchange_n(&file->flags, &old, new, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    if (new != old && file->ops->set_flags)
        return file->ops->set_flags(file, new);
    return 0;
}

static long set_flags(struct file *file, int fd, unsigned flags)
{
    const unsigned settable = ABI_O_APPEND | ABI_O_NONBLOCK | ABI_O_DIRECT | ABI_O_NOATIME;
    int err = 0;

    if (flags & ABI_O_NOATIME && !(file->flags & ABI_O_NOATIME) &&
        !inode_is_owner_or_capable(file->inode))
        return -EPERM;
    if ((flags ^ file->flags) & ABI_O_ASYNC && file->ops->is_async)
        err = file_async_set(file, fd, flags & ABI_O_ASYNC);
    return err ? err : file_change_flags(file, settable, flags);
}

/* A close under the call has released what the table held then, but not what the call got later. */
static int release_if_closed(struct file *file, int fd)
{
    if (likely(fd_means(fd, file)))
        return 0;
    locks_release(file->inode, files_current());
    return -EBADF;
}

static long record_lock(struct file *file, int fd, int command, unsigned long arg)
{
    struct abi_flock lock;
    int err = copy_from_app(&lock, (void __app *)arg, sizeof(lock));

    if (err)
        return err;
    err = locks_fcntl(file, command, &lock);
    if (!err && (command == ABI_F_SETLK || command == ABI_F_SETLKW) && lock.l_type != ABI_F_UNLCK)
        err = release_if_closed(file, fd);
    if (err || (command != ABI_F_GETLK && command != ABI_F_OFD_GETLK))
        return err;
    return copy_to_app((void __app *)arg, &lock, sizeof(lock));
}

static long set_owner_ex(struct file *file, unsigned long arg)
{
    struct abi_f_owner_ex owner;
    int err = copy_from_app(&owner, (void __app *)arg, sizeof(owner));

    if (err)
        return err;
    if ((unsigned)owner.type > ABI_F_OWNER_PGRP)
        return -EINVAL;
    return file_owner_set(&file->owner, owner.type == ABI_F_OWNER_PGRP ? -owner.pid : owner.pid,
                          owner.type == ABI_F_OWNER_TID);
}

static long get_owner_ex(const struct file *file, unsigned long arg)
{
    int pid = file_owner_pid(&file->owner);
    struct abi_f_owner_ex owner = { .type = pid < 0                 ? ABI_F_OWNER_PGRP
                                            : file->owner.is_thread ? ABI_F_OWNER_TID
                                                                    : ABI_F_OWNER_PID,
                                    .pid = pid < 0 ? -pid : pid };

    return copy_to_app((void __app *)arg, &owner, sizeof(owner));
}

static long set_signal(struct file *file, unsigned long signo)
{
    if (signo > ABI_NSIG)
        return -EINVAL;
    WRITE_ONCE(file->owner.signo, (int)signo);
    return 0;
}

/* What is allowed on an O_PATH descriptor too. */
static bool is_about_descriptor(int command)
{
    return command == ABI_F_DUPFD || command == ABI_F_DUPFD_CLOEXEC || command == ABI_F_GETFD ||
           command == ABI_F_SETFD || command == ABI_F_GETFL;
}

static long fcntl_descriptor(struct file *file, int fd, int command, unsigned long arg)
{
    switch (command) {
    case ABI_F_DUPFD:
    case ABI_F_DUPFD_CLOEXEC:
        if (arg >= rlimit_current(LIMIT_NOFILE) || arg > INT32_MAX)
            return -EINVAL;
        return duplicate(fd, (int)arg, command == ABI_F_DUPFD_CLOEXEC);
    case ABI_F_GETFD:
        return fd_get_cloexec(fd);
    case ABI_F_SETFD:
        return fd_set_cloexec(fd, arg & ABI_FD_CLOEXEC);
    default:
        return (long)__atomic_load_n(&file->flags, __ATOMIC_RELAXED);
    }
}

static long fcntl_file(struct file *file, int fd, int command, unsigned long arg)
{
    switch (command) {
    case ABI_F_SETFL:
        return set_flags(file, fd, (unsigned)arg);
    case ABI_F_GETLK:
    case ABI_F_SETLK:
    case ABI_F_SETLKW:
    case ABI_F_OFD_GETLK:
    case ABI_F_OFD_SETLK:
    case ABI_F_OFD_SETLKW:
        return record_lock(file, fd, command, arg);
    case ABI_F_SETOWN:
        return file_owner_set(&file->owner, (int)arg, false);
    case ABI_F_GETOWN:
        return file_owner_pid(&file->owner);
    case ABI_F_SETOWN_EX:
        return set_owner_ex(file, arg);
    case ABI_F_GETOWN_EX:
        return get_owner_ex(file, arg);
    case ABI_F_SETSIG:
        return set_signal(file, arg);
    case ABI_F_GETSIG:
        return file->owner.signo;
    case ABI_F_SETPIPE_SZ:
        return pipe_set_size(file, arg);
    case ABI_F_GETPIPE_SZ:
        return pipe_get_size(file);
    case ABI_F_ADD_SEALS:
        return memfd_add_seals(file, (unsigned)arg);
    case ABI_F_GET_SEALS:
        return memfd_get_seals(file);
    case ABI_F_NOTIFY:
        return dnotify_set(file, fd, files_current(), (unsigned)arg);
    case ABI_F_GETLEASE:
        return ABI_F_UNLCK;
    default:
        return -EINVAL; /* leases, write hints: as without them */
    }
}

long sys_fcntl(int fd, int command, unsigned long arg)
{
    struct file *file = fd_get_raw(fd);
    long result;

    if (!file)
        return -EBADF;
    if (is_about_descriptor(command))
        result = fcntl_descriptor(file, fd, command, arg);
    else if (file->flags & ABI_O_PATH)
        result = -EBADF;
    else
        result = fcntl_file(file, fd, command, arg);
    file_put(file);
    return result;
}
