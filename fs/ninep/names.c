// SPDX-License-Identifier: MIT
/*
 * Changing names and attributes.
 *
 * A new file is made and opened by one message, because its mode may forbid what the open that makes it may do (git
 * writes objects of mode 0444).  The open fid waits at the inode for that open, which the same thread does next.
 *
 * A file whose name is gone cannot be asked about or changed by its fid any more.  What can be seen of it then is seen
 * by those who have it open here: its attributes are the inode's fields, and its size is kept by writing zeros where it
 * ends.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "abi/xattr.h"
#include "fs/ninep/ninep.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* ---- New names ------------------------------------------------------------------------- */

static const struct credentials *credentials(void)
{
    const struct process *process = thread_current()->process;

    return process ? &process->creds : NULL;
}

/* The group of what is made in dir. */
static uint32_t group_in(const struct inode *dir)
{
    const struct credentials *creds = credentials();

    return dir->mode & ABI_S_ISGID ? dir->gid : creds ? creds->fsgid : 0;
}

/* The server makes files as the user that it is.  If it may, it gives them to ours. */
static void owner_set(struct inode *inode)
{
    const struct credentials *creds = credentials();
    struct ninep_fs *fs = ninep_fs_of(inode->sb);
    struct ninep_setattr change = { .valid = NINEP_SET_UID, .uid = creds ? creds->fsuid : 0 };

    if (change.uid == inode->uid || READ_ONCE(fs->cannot_chown))
        return;
    struct ninep_fid *fid = ninep_inode_fid(inode);
    int err = ninep_setattr(fid, &change);
    ninep_fid_put(fid);
    if (!err)
        inode->uid = change.uid;
    else if (err == -EPERM)
        WRITE_ONCE(fs->cannot_chown, true);
}

/* The server has made the name. */
static int name_made(struct inode *dir, struct dentry *dentry)
{
    int err = ninep_lookup(dir, dentry);

    if (!err && !dentry->inode)
        err = -ENOENT; /* and somebody has removed it */
    if (!err)
        owner_set(dentry->inode);
    return err;
}

static int create_op(struct inode *dir, struct dentry *dentry, unsigned mode)
{
    struct ninep_fid *open, *dir_fid = ninep_inode_fid(dir);
    int err = ninep_walk(dir_fid, NULL, &open);

    ninep_fid_put(dir_fid);
    if (err)
        return err;
    err = ninep_lcreate(open, dentry->name, ABI_O_RDWR | ABI_O_CREAT | ABI_O_EXCL, mode & 07777,
                        group_in(dir));
    if (!err)
        err = name_made(dir, dentry);
    if (err)
        ninep_fid_put(open);
    else
        ninep_keep_created(dentry->inode, open);
    return err;
}

static int mkdir_op(struct inode *dir, struct dentry *dentry, unsigned mode)
{
    struct ninep_fid *dir_fid = ninep_inode_fid(dir);
    int err = ninep_mkdir(dir_fid, dentry->name, (mode & 07777) | (dir->mode & ABI_S_ISGID),
                          group_in(dir));

    ninep_fid_put(dir_fid);
    return err ? err : name_made(dir, dentry);
}

static int mknod_op(struct inode *dir, struct dentry *dentry, unsigned mode, uint64_t rdev)
{
    struct ninep_fid *dir_fid = ninep_inode_fid(dir);
    int err = ninep_mknod(dir_fid, dentry->name, mode, rdev, group_in(dir));

    ninep_fid_put(dir_fid);
    if (err == -ENXIO) /* QEMU since its answer to CVE-2023-2861 makes no FIFOs and sockets */
        err = -EPERM;
    return err ? err : name_made(dir, dentry);
}

static int symlink_op(struct inode *dir, struct dentry *dentry, const char *target)
{
    struct ninep_fid *dir_fid = ninep_inode_fid(dir);
    int err = ninep_symlink(dir_fid, dentry->name, target, group_in(dir));

    ninep_fid_put(dir_fid);
    return err ? err : name_made(dir, dentry);
}

static int link_op(struct inode *inode, struct inode *dir, struct dentry *dentry)
{
    if (READ_ONCE(ninep_inode_of(inode)->is_nameless))
        return -ENOENT;
    struct ninep_fid *dir_fid = ninep_inode_fid(dir), *fid = ninep_inode_fid(inode);
    int err = ninep_link(dir_fid, fid, dentry->name);

    ninep_fid_put(fid);
    ninep_fid_put(dir_fid);
    if (!err)
        err = ninep_lookup(dir, dentry);
    if (!err && !dentry->inode)
        err = -ENOENT; /* and somebody has removed it */
    if (!err)
        inode->nlink++;
    return err;
}

/* ---- Names that go ------------------------------------------------------------------------ */

/* inode->lock held: dentry is its name no more. */
static void name_lost(struct dentry *dentry)
{
    struct inode *inode = dentry->inode;
    struct ninep_inode *ninode = ninep_inode_of(inode);

    bool was_fid = READ_ONCE(ninode->dentry) == dentry;

    if (was_fid)
        WRITE_ONCE(ninode->is_nameless, true);
    if (inode_is_dir(inode))
        inode->nlink = 0;
    else if (inode->nlink > 0)
        inode->nlink--;
    inode_touch(inode, false, false, true);
    ninep_forget_name(dentry);
    if (was_fid && inode->nlink > 0)
        ninep_find_name(inode);
}

static int remove(struct inode *dir, struct dentry *dentry, bool is_dir)
{
    struct ninep_fid *dir_fid = ninep_inode_fid(dir);
    int err = ninep_unlinkat(dir_fid, dentry->name, is_dir);

    ninep_fid_put(dir_fid);
    if (!err)
        name_lost(dentry);
    return err;
}

static int unlink_op(struct inode *dir, struct dentry *dentry)
{
    return remove(dir, dentry, false);
}

static int rmdir_op(struct inode *dir, struct dentry *dentry)
{
    return remove(dir, dentry, true);
}

static int rename_op(struct inode *from_dir, struct dentry *from, struct inode *to_dir,
                     struct dentry *to, unsigned flags)
{
    if (flags & ~ABI_RENAME_NOREPLACE) /* fs/vfs.c has looked that to is not there */
        return -EINVAL;
    struct ninep_fid *from_fid = ninep_inode_fid(from_dir), *to_fid = ninep_inode_fid(to_dir);
    int err = ninep_renameat(from_fid, from->name, to_fid, to->name);

    ninep_fid_put(to_fid);
    ninep_fid_put(from_fid);
    if (!err && to->inode)
        name_lost(to);
    return err;
}

/* ---- Attributes ----------------------------------------------------------------------------- */

static void setattr_translate(const struct inode_change *change, struct ninep_setattr *out)
{
    bool is_now = change->valid & CHANGE_NOW;
    unsigned times = change->valid & (CHANGE_ATIME | CHANGE_MTIME);

    *out = (struct ninep_setattr){ .mode = change->mode & 07777,
                                   .uid = change->uid,
                                   .gid = change->gid,
                                   .size = change->size,
                                   .atime = change->atime,
                                   .mtime = change->mtime };
    out->valid = (change->valid & CHANGE_MODE ? NINEP_SET_MODE : 0) |
                 (change->valid & CHANGE_UID ? NINEP_SET_UID : 0) |
                 (change->valid & CHANGE_GID ? NINEP_SET_GID : 0) |
                 (change->valid & CHANGE_SIZE ? NINEP_SET_SIZE : 0) |
                 (times & CHANGE_ATIME ? NINEP_SET_ATIME : 0) |
                 (times & CHANGE_MTIME ? NINEP_SET_MTIME : 0);
    if (!is_now) /* by its own clock whoever may write may set them */
        out->valid |= (times & CHANGE_ATIME ? NINEP_SET_ATIME_TO : 0) |
                      (times & CHANGE_MTIME ? NINEP_SET_MTIME_TO : 0);
}

/* The fields and the page cache follow what the server did, or all there is if it cannot. */
static int fields_change(struct inode *inode, const struct inode_change *change)
{
    /* A page that shows the new end is not to be zeroed here, and so dirty: the server has done it. */
    if (change->valid & CHANGE_SIZE && inode->cache)
        pagecache_invalidate(inode->cache, change->size, change->size + 1);
    return inode_change_fields(inode, change);
}

static int setattr_nameless(struct inode *inode, const struct inode_change *change)
{
    int err = 0;

    WRITE_ONCE(ninep_inode_of(inode)->is_nameless, true);
    if (change->valid & CHANGE_SIZE && change->size < inode->size)
        err = ninep_write_zeros(inode, change->size, inode->size);
    else if (change->valid & CHANGE_SIZE && change->size > inode->size)
        err = ninep_write_zeros(inode, change->size - 1, change->size);
    return err ? err : fields_change(inode, change);
}

static int setattr_op(struct inode *inode, const struct inode_change *change)
{
    struct ninep_setattr message;
    int err = ninep_refresh(inode); /* is the fid's name still this file's? */

    if (err == -ESTALE)
        return setattr_nameless(inode, change);
    if (err)
        return err;
    setattr_translate(change, &message);
    struct ninep_fid *fid = ninep_inode_fid(inode);
    if (message.valid)
        err = ninep_setattr(fid, &message);
    ninep_fid_put(fid);
    return err ? err : fields_change(inode, change);
}

/* ---- Extended attributes ---------------------------------------------------------------------- */

/* The value of name, or the names for "", as getxattr(2) and listxattr(2) give them. */
static long xattr_read(struct inode *inode, const char *name, void *buf, size_t size)
{
    struct ninep_fid *value, *fid = ninep_inode_fid(inode);
    uint64_t total = 0;
    long n = ninep_xattrwalk(fid, name, &value, &total);
    size_t done = 0;

    ninep_fid_put(fid);
    if (n)
        return n;
    if (total > ABI_XATTR_SIZE_MAX)
        n = -E2BIG;
    else if (size > 0 && total > size)
        n = -ERANGE;
    while (!n && size > 0 && done < total) {
        long got = ninep_read(value, done, (char *)buf + done, (size_t)total - done, false);
        n = got > 0 ? 0 : got ? got : -EIO;
        done += got > 0 ? (size_t)got : 0;
    }
    ninep_fid_put(value);
    return n ? n : (long)total;
}

static long getxattr_op(struct inode *inode, const char *name, void *buf, size_t size)
{
    return xattr_read(inode, name, buf, size);
}

static long listxattr_op(struct inode *inode, char *buf, size_t size)
{
    return xattr_read(inode, "", buf, size);
}

/* fid is taken over. */
static int xattr_write(struct ninep_fid *fid, const char *name, const void *buf, size_t size,
                       int flags)
{
    long n = ninep_xattrcreate(fid, name, size, flags);

    for (size_t done = 0; n >= 0 && done < size; done += (size_t)n) {
        n = ninep_write(fid, done, (const char *)buf + done, size - done, false);
        if (n < 0)
            break;
    }
    int err = ninep_fid_clunk(fid); /* which sets it */
    return n < 0 ? (int)n : err;
}

static int setxattr_op(struct inode *inode, const char *name, const void *buf, size_t size,
                       int flags)
{
    if (buf && size == 0)
        return -EOPNOTSUPP; /* no message says so: size 0 removes */
    struct ninep_fid *own, *fid = ninep_inode_fid(inode);
    int err = ninep_walk(fid, NULL, &own);

    ninep_fid_put(fid);
    return err ? err : xattr_write(own, name, buf, size, flags);
}

const struct inode_ops ninep_inode_ops = {
    .lookup = ninep_lookup,
    .create = create_op,
    .mkdir = mkdir_op,
    .mknod = mknod_op,
    .symlink = symlink_op,
    .link = link_op,
    .unlink = unlink_op,
    .rmdir = rmdir_op,
    .rename = rename_op,
    .readlink = ninep_readlink_op,
    .setattr = setattr_op,
    .getattr = ninep_getattr_op,
    .getxattr = getxattr_op,
    .setxattr = setxattr_op,
    .listxattr = listxattr_op,
    .evict = ninep_evict,
};
