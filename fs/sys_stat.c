// SPDX-License-Identifier: MIT
/*
 * System calls that tell about files and file systems.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/file.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- struct stat -------------------------------------------------------------------------- */

static void stat_from_inode(const struct inode *inode, struct abi_stat *out)
{
    out->st_dev = inode->sb->device;
    out->st_ino = inode->ino;
    out->st_nlink = inode->nlink;
    out->st_mode = inode->mode;
    out->st_uid = inode->uid;
    out->st_gid = inode->gid;
    out->st_rdev = inode->rdev;
    out->st_size = (int64_t)inode->size;
    out->st_blksize = PAGE_SIZE;
    out->st_blocks = (int64_t)inode_blocks(inode);
    out->st_atime_sec = (uint64_t)inode->atime.tv_sec;
    out->st_atime_nsec = (uint64_t)inode->atime.tv_nsec;
    out->st_mtime_sec = (uint64_t)inode->mtime.tv_sec;
    out->st_mtime_nsec = (uint64_t)inode->mtime.tv_nsec;
    out->st_ctime_sec = (uint64_t)inode->ctime.tv_sec;
    out->st_ctime_nsec = (uint64_t)inode->ctime.tv_nsec;
}

static long stat_inode(struct inode *inode, void __app *buf)
{
    struct abi_stat stat;

    int err = inode_refresh(inode);
    if (err)
        return err;
    memset(&stat, 0, sizeof(stat));
    stat_from_inode(inode, &stat);
    return copy_to_app(buf, &stat, sizeof(stat));
}

long sys_fstat(int fd, void __app *buf)
{
    struct file *file = fd_get_raw(fd);

    if (!file)
        return -EBADF;
    long result = stat_inode(file->inode, buf);
    file_put(file);
    return result;
}

static unsigned walk_flags_of(unsigned flags)
{
    return (flags & ABI_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
           (flags & ABI_AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

static long stat_name(int dirfd, const char __app *name, unsigned flags, void __app *buf)
{
    struct path_name text;
    struct path path;
    long result = path_name_init(&text, name);

    if (result)
        return result;
    result = path_walk(dirfd, text.text, walk_flags_of(flags), &path);
    path_name_fini(&text);
    if (result)
        return result;
    result = stat_inode(path.dentry->inode, buf);
    path_put(&path);
    return result;
}

/* glibc's fstat() is newfstatat(fd, "", buf, AT_EMPTY_PATH): look at one byte, then be fstat. */
static bool is_empty_name(const char __app *name)
{
    char first;

    return copy_from_app(&first, name, 1) == 0 && first == '\0';
}

long sys_newfstatat(int dirfd, const char __app *name, void __app *buf, unsigned flags)
{
    if (flags & ~(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_NO_AUTOMOUNT | ABI_AT_EMPTY_PATH))
        return -EINVAL;
    if (flags & ABI_AT_EMPTY_PATH && dirfd >= 0 && is_empty_name(name))
        return sys_fstat(dirfd, buf);
    return stat_name(dirfd, name, flags, buf);
}

long sys_stat(const char __app *name, void __app *buf)
{
    return stat_name(ABI_AT_FDCWD, name, 0, buf);
}

long sys_lstat(const char __app *name, void __app *buf)
{
    return stat_name(ABI_AT_FDCWD, name, ABI_AT_SYMLINK_NOFOLLOW, buf);
}

/* ---- struct statx --------------------------------------------------------------------------- */

static long statx_place(const struct path *path, struct inode *inode, void __app *buf)
{
    struct abi_statx statx;
    int err = inode_getattr(inode, &statx);

    if (err)
        return err;
    if (path->mount) {
        statx.stx_mask |= ABI_STATX_MNT_ID;
        statx.stx_mnt_id = (uint64_t)path->mount->id;
        statx.stx_attributes_mask |= ABI_STATX_ATTR_MOUNT_ROOT;
        if (path->dentry == path->mount->root)
            statx.stx_attributes |= ABI_STATX_ATTR_MOUNT_ROOT;
    }
    return copy_to_app(buf, &statx, sizeof(statx));
}

static long statx_descriptor(int fd, void __app *buf)
{
    struct file *file = fd_get_raw(fd);

    if (!file)
        return -EBADF;
    long result = statx_place(&file->path, file->inode, buf);
    file_put(file);
    return result;
}

long sys_statx(int dirfd, const char __app *name, unsigned flags, unsigned mask, void __app *buf)
{
    const unsigned known =
        ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_NO_AUTOMOUNT | ABI_AT_EMPTY_PATH | ABI_AT_STATX_SYNC_TYPE;
    struct path_name text;
    struct path path;

    if (mask & ABI_STATX_RESERVED || flags & ~known ||
        (flags & ABI_AT_STATX_SYNC_TYPE) == ABI_AT_STATX_SYNC_TYPE)
        return -EINVAL;
    if (flags & ABI_AT_EMPTY_PATH && dirfd >= 0 && is_empty_name(name))
        return statx_descriptor(dirfd, buf);
    long result = path_name_init(&text, name);
    if (result)
        return result;
    result = path_walk(dirfd, text.text, walk_flags_of(flags), &path);
    path_name_fini(&text);
    if (result)
        return result;
    result = statx_place(&path, path.dentry->inode, buf);
    path_put(&path);
    return result;
}

/* ---- struct statfs ------------------------------------------------------------------------------ */

static int64_t statfs_flags(const struct mount *mount)
{
    unsigned long flags = mount ? mount->flags | (mount->sb->flags & ABI_MS_RDONLY) : 0;

    return (int64_t)(ABI_ST_VALID | (flags & ABI_MS_RDONLY ? ABI_ST_RDONLY : 0) |
                     (flags & ABI_MS_NOSUID ? ABI_ST_NOSUID : 0) |
                     (flags & ABI_MS_NODEV ? ABI_ST_NODEV : 0) |
                     (flags & ABI_MS_NOEXEC ? ABI_ST_NOEXEC : 0) |
                     (flags & ABI_MS_NOATIME ? ABI_ST_NOATIME : ABI_ST_RELATIME));
}

/* pipefs and sockfs are not mounted anywhere and have nothing to tell but what they are. */
static int64_t magic_of(const struct inode *inode)
{
    switch (inode->mode & ABI_S_IFMT) {
    case ABI_S_IFIFO:
        return ABI_PIPEFS_MAGIC;
    case ABI_S_IFSOCK:
        return ABI_SOCKFS_MAGIC;
    default:
        return 0;
    }
}

static long statfs_place(const struct mount *mount, const struct inode *inode, void __app *buf)
{
    struct superblock *sb = inode->sb;
    struct abi_statfs statfs;

    memset(&statfs, 0, sizeof(statfs));
    statfs.f_type = magic_of(inode);
    statfs.f_bsize = PAGE_SIZE;
    statfs.f_frsize = PAGE_SIZE;
    statfs.f_namelen = ABI_NAME_MAX;
    statfs.f_fsid[0] = (int32_t)sb->device;
    statfs.f_flags = statfs_flags(mount);
    if (sb->ops && sb->ops->statfs) {
        int err = sb->ops->statfs(sb, &statfs);
        if (err)
            return err;
    }
    return copy_to_app(buf, &statfs, sizeof(statfs));
}

long sys_statfs(const char __app *name, void __app *buf)
{
    struct path_name text;
    struct path path;
    long result = path_name_init(&text, name);

    if (result)
        return result;
    result = path_walk(ABI_AT_FDCWD, text.text, WALK_FOLLOW, &path);
    path_name_fini(&text);
    if (result)
        return result;
    result = statfs_place(path.mount, path.dentry->inode, buf);
    path_put(&path);
    return result;
}

long sys_fstatfs(int fd, void __app *buf)
{
    struct file *file = fd_get_raw(fd);

    if (!file)
        return -EBADF;
    long result = statfs_place(file->path.mount, file->inode, buf);
    file_put(file);
    return result;
}
