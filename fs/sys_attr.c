// SPDX-License-Identifier: MIT
/*
 * System calls that change or ask what belongs to a file rather than what is in it: mode, owner,
 * times, access.
 */
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/file.h"
#include "fs/vfs.h"
#include "kernel/clock.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- Applying a change to a name or a descriptor -------------------------------------------- */

static unsigned walk_flags_of(unsigned flags)
{
    return (flags & ABI_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
           (flags & ABI_AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

static int change_name(int dirfd, const char __app *name, unsigned flags,
                       struct inode_change *change)
{
    struct path_name text;
    struct path path;
    int err = path_name_init(&text, name);

    if (err)
        return err;
    err = path_walk(dirfd, text.text, walk_flags_of(flags), &path);
    path_name_fini(&text);
    if (err)
        return err;
    err = vfs_change(&path, change);
    path_put(&path);
    return err;
}

static int change_descriptor(int fd, struct inode_change *change)
{
    struct file *file = fd_get(fd);

    if (!file)
        return -EBADF;
    int err = -EOPNOTSUPP;
    if (file->path.dentry)
        err = vfs_change(&file->path, change);
    else if (!file_is_anonymous(file))
        err = vfs_change_inode(file->inode, change);
    file_put(file);
    return err;
}

/* ---- Mode ------------------------------------------------------------------------------------- */

long sys_fchmodat(int dirfd, const char __app *name, unsigned mode)
{
    struct inode_change change = { .valid = CHANGE_MODE, .mode = mode & 07777 };

    return change_name(dirfd, name, 0, &change);
}

long sys_chmod(const char __app *name, unsigned mode)
{
    return sys_fchmodat(ABI_AT_FDCWD, name, mode);
}

long sys_fchmod(int fd, unsigned mode)
{
    struct inode_change change = { .valid = CHANGE_MODE, .mode = mode & 07777 };

    return change_descriptor(fd, &change);
}

/* ---- Owner ------------------------------------------------------------------------------------- */

static struct inode_change owner_change(unsigned uid, unsigned gid)
{
    return (struct inode_change){
        .valid = (uid != ~0u ? CHANGE_UID : 0) | (gid != ~0u ? CHANGE_GID : 0),
        .uid = uid,
        .gid = gid,
    };
}

long sys_fchownat(int dirfd, const char __app *name, unsigned uid, unsigned gid, unsigned flags)
{
    struct inode_change change = owner_change(uid, gid);

    if (flags & ~(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
        return -EINVAL;
    return change_name(dirfd, name, flags, &change);
}

long sys_chown(const char __app *name, unsigned uid, unsigned gid)
{
    return sys_fchownat(ABI_AT_FDCWD, name, uid, gid, 0);
}

long sys_lchown(const char __app *name, unsigned uid, unsigned gid)
{
    return sys_fchownat(ABI_AT_FDCWD, name, uid, gid, ABI_AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, unsigned uid, unsigned gid)
{
    struct inode_change change = owner_change(uid, gid);

    return change_descriptor(fd, &change);
}

/* ---- Times --------------------------------------------------------------------------------------- */

static struct inode_change times_now(void)
{
    struct abi_timespec now = timespec_from_nsec(clock_realtime());

    return (struct inode_change){ .valid = CHANGE_ATIME | CHANGE_MTIME | CHANGE_NOW,
                                  .atime = now,
                                  .mtime = now };
}

static bool is_valid_time(const struct abi_timespec *time)
{
    return time->tv_nsec == ABI_UTIME_NOW || time->tv_nsec == ABI_UTIME_OMIT ||
           (uint64_t)time->tv_nsec < (uint64_t)NSEC_PER_SEC;
}

/* One of the two times; which: CHANGE_ATIME or CHANGE_MTIME. */
static void set_time(struct inode_change *change, unsigned which, struct abi_timespec *field,
                     const struct abi_timespec *time)
{
    if (time->tv_nsec == ABI_UTIME_OMIT)
        change->valid &= ~which;
    else if (time->tv_nsec != ABI_UTIME_NOW)
        *field = *time;
}

/* times NULL: now.  -EINVAL. */
static int times_change(const struct abi_timespec *times, struct inode_change *change)
{
    *change = times_now();
    if (!times)
        return 0;
    if (!is_valid_time(&times[0]) || !is_valid_time(&times[1]))
        return -EINVAL;
    if (times[0].tv_nsec != ABI_UTIME_NOW || times[1].tv_nsec != ABI_UTIME_NOW)
        change->valid &= ~CHANGE_NOW;
    set_time(change, CHANGE_ATIME, &change->atime, &times[0]);
    set_time(change, CHANGE_MTIME, &change->mtime, &times[1]);
    return 0;
}

static long change_times(int dirfd, const char __app *name, const struct abi_timespec *times,
                         unsigned flags)
{
    struct inode_change change;
    int err = times_change(times, &change);

    if (err)
        return err;
    if (!(change.valid & (CHANGE_ATIME | CHANGE_MTIME)))
        return 0; /* both UTIME_OMIT: not even the path is looked at */
    if (flags & ~(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
        return -EINVAL;
    if (name)
        return change_name(dirfd, name, flags, &change);
    return flags ? -EINVAL : change_descriptor(dirfd, &change);
}

long sys_utimensat(int dirfd, const char __app *name, const void __app *times_app, unsigned flags)
{
    struct abi_timespec times[2];

    if (times_app && copy_from_app(times, times_app, sizeof(times)))
        return -EFAULT;
    return change_times(dirfd, name, times_app ? times : NULL, flags);
}

long sys_futimesat(int dirfd, const char __app *name, const void __app *times_app)
{
    struct abi_timeval from[2];
    struct abi_timespec times[2];

    if (!times_app)
        return change_times(dirfd, name, NULL, 0);
    if (copy_from_app(from, times_app, sizeof(from)))
        return -EFAULT;
    for (unsigned i = 0; i < 2; i++) {
        if (from[i].tv_usec < 0 || from[i].tv_usec >= 1000000)
            return -EINVAL;
        times[i].tv_sec = from[i].tv_sec;
        times[i].tv_nsec = from[i].tv_usec * 1000;
    }
    return change_times(dirfd, name, times, 0);
}

long sys_utimes(const char __app *name, const void __app *times_app)
{
    return sys_futimesat(ABI_AT_FDCWD, name, times_app);
}

long sys_utime(const char __app *name, const void __app *times_app)
{
    int64_t seconds[2]; /* struct utimbuf */

    if (!times_app)
        return change_times(ABI_AT_FDCWD, name, NULL, 0);
    if (copy_from_app(seconds, times_app, sizeof(seconds)))
        return -EFAULT;
    struct abi_timespec times[2] = { { .tv_sec = seconds[0] }, { .tv_sec = seconds[1] } };
    return change_times(ABI_AT_FDCWD, name, times, 0);
}

/* ---- Access ----------------------------------------------------------------------------------------- */

static int access_place(const struct path *path, unsigned mode, bool by_effective)
{
    struct inode *inode = path->dentry->inode;
    unsigned type = inode->mode & ABI_S_IFMT;

    if (mode & ABI_X_OK && type == ABI_S_IFREG && path->mount->flags & ABI_MS_NOEXEC)
        return -EACCES;
    int err = by_effective ? inode_permission(inode, mode) : inode_permission_real(inode, mode);
    if (err || !(mode & ABI_W_OK))
        return err;
    return type == ABI_S_IFREG || type == ABI_S_IFDIR ? mount_want_write(path->mount) : 0;
}

long sys_faccessat2(int dirfd, const char __app *name, unsigned mode, unsigned flags)
{
    struct path_name text;
    struct path path;

    if (mode & ~7u || flags & ~(ABI_AT_EACCESS | ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
        return -EINVAL;
    int err = path_name_init(&text, name);
    if (err)
        return err;
    bool by_effective = flags & ABI_AT_EACCESS;
    err = path_walk(dirfd, text.text, walk_flags_of(flags) | (by_effective ? 0 : WALK_REAL_IDS),
                    &path);
    path_name_fini(&text);
    if (err)
        return err;
    if (mode)
        err = access_place(&path, mode, by_effective);
    path_put(&path);
    return err;
}

long sys_faccessat(int dirfd, const char __app *name, unsigned mode)
{
    return sys_faccessat2(dirfd, name, mode, 0);
}

long sys_access(const char __app *name, unsigned mode)
{
    return sys_faccessat2(ABI_AT_FDCWD, name, mode, 0);
}
