// SPDX-License-Identifier: MIT
/*
 * System calls that open, make, move and remove names.  They copy the path once, walk, and leave the
 * rest to fs/open.c and fs/vfs.c.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "fs/open.h"
#include "fs/vfs.h"
#include "fs/walk.h"
#include "kernel/mm/heap.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- Opening --------------------------------------------------------------------------- */

/* The descriptor comes first, so that a full table creates no file. */
static long open_request(int dirfd, const char *name, struct open_request *request)
{
    struct file *file;
    int fd = fd_reserve(0);

    if (fd < 0)
        return fd;
    int err = file_open_request(dirfd, name, request, &file);
    if (err) {
        fd_unreserve(fd);
        return err == -EINTR ? -ERESTARTSYS : err;
    }
    fd_fill(fd, file, request->flags & ABI_O_CLOEXEC);
    return fd;
}

static long open_name(int dirfd, const char __app *name, struct open_request *request)
{
    struct path_name text;
    int err = path_name_init(&text, name);

    if (err)
        return err;
    long fd = open_request(dirfd, text.text, request);
    path_name_fini(&text);
    return fd;
}

long sys_openat(int dirfd, const char __app *name, int flags, unsigned mode)
{
    struct open_request request;

    open_request_init(&request, (unsigned)flags, mode);
    return open_name(dirfd, name, &request);
}

long sys_open(const char __app *name, int flags, unsigned mode)
{
    return sys_openat(ABI_AT_FDCWD, name, flags, mode);
}

long sys_creat(const char __app *name, unsigned mode)
{
    return sys_openat(ABI_AT_FDCWD, name, ABI_O_CREAT | ABI_O_WRONLY | ABI_O_TRUNC, mode);
}

/* A newer program may pass a longer structure if what we do not know is zero. */
static int open_how_copy(struct abi_open_how *how, const void __app *from, size_t size)
{
    const char __app *rest = (const char __app *)from + sizeof(*how);

    if (size < sizeof(*how))
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    for (size_t i = sizeof(*how); i < size; i++, rest++) {
        char byte;
        if (copy_from_app(&byte, rest, 1))
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    return copy_from_app(how, from, sizeof(*how));
}

long sys_openat2(int dirfd, const char __app *name, const void __app *how_app, size_t size)
{
    struct open_request request;
    struct abi_open_how how;
    int err = open_how_copy(&how, how_app, size);

    if (!err)
        err = open_request_init_how(&request, &how);
    return err ? err : open_name(dirfd, name, &request);
}

/* ---- Making names ------------------------------------------------------------------------- */

/* A path argument, walked to the directory of its last part. */
struct name_walk {
    struct path_name text;
    struct walk walk;
};

static int name_begin(struct name_walk *name, int dirfd, const char __app *from)
{
    int err = path_name_init(&name->text, from);

    if (err)
        return err;
    err = walk_begin(&name->walk, dirfd, NULL, name->text.text, 0);
    if (!err) {
        err = walk_to_parent(&name->walk);
        if (err)
            walk_end(&name->walk);
    }
    if (err)
        path_name_fini(&name->text);
    return err;
}

static void name_end(struct name_walk *name)
{
    walk_end(&name->walk);
    path_name_fini(&name->text);
}

/* Locks the directory and looks the last part up. */
static int name_lock(struct name_walk *name, struct dentry **last)
{
    struct dentry *dir = name->walk.path.dentry;

    mutex_lock(&dir->inode->lock);
    int err = dentry_lookup(dir, name->walk.name, name->walk.len, last);
    if (err)
        mutex_unlock(&dir->inode->lock);
    return err;
}

static void name_unlock(struct name_walk *name, struct dentry *last)
{
    mutex_unlock(&name->walk.path.dentry->inode->lock);
    dentry_put(last); /* perhaps the last reference to a large file: not under the lock */
}

/* The same, for a name to be made.  is_dir: a trailing slash is fine. */
static int name_lock_new(struct name_walk *name, bool is_dir, struct dentry **last)
{
    if (name->walk.kind != WALK_NORMAL)
        return -EEXIST;
    int err = name_lock(name, last);
    if (err || is_dir || !name->walk.has_trailing_slash)
        return err;
    err = (*last)->inode ? -EEXIST : -ENOENT;
    name_unlock(name, *last);
    return err;
}

long sys_mkdirat(int dirfd, const char __app *path, unsigned mode)
{
    struct name_walk name;
    struct dentry *last;
    int err = name_begin(&name, dirfd, path);

    if (err)
        return err;
    err = name_lock_new(&name, true, &last);
    if (!err) {
        err = vfs_mkdir_at(&name.walk.path, last, mode & ~fs_context_umask());
        name_unlock(&name, last);
    }
    name_end(&name);
    return err;
}

long sys_mkdir(const char __app *path, unsigned mode)
{
    return sys_mkdirat(ABI_AT_FDCWD, path, mode);
}

static int mknod_check(unsigned mode)
{
    switch (mode & ABI_S_IFMT) {
    case 0:
    case ABI_S_IFREG:
    case ABI_S_IFCHR:
    case ABI_S_IFBLK:
    case ABI_S_IFIFO:
    case ABI_S_IFSOCK:
        return 0;
    case ABI_S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

long sys_mknodat(int dirfd, const char __app *path, unsigned mode, unsigned device)
{
    struct name_walk name;
    struct dentry *last;
    unsigned type = mode & ABI_S_IFMT;
    int err = mknod_check(mode);

    if (!err)
        err = name_begin(&name, dirfd, path);
    if (err)
        return err;
    err = name_lock_new(&name, false, &last);
    if (!err) {
        mode &= ~fs_context_umask();
        if (type == 0 || type == ABI_S_IFREG)
            err = vfs_create_at(&name.walk.path, last, mode);
        else
            err = vfs_mknod_at(&name.walk.path, last, mode, device);
        name_unlock(&name, last);
    }
    name_end(&name);
    return err;
}

long sys_mknod(const char __app *path, unsigned mode, unsigned device)
{
    return sys_mknodat(ABI_AT_FDCWD, path, mode, device);
}

static int symlink_to(const char *target, int dirfd, const char __app *path)
{
    struct name_walk name;
    struct dentry *last;
    int err = name_begin(&name, dirfd, path);

    if (err)
        return err;
    err = name_lock_new(&name, false, &last);
    if (!err) {
        err = vfs_symlink_at(&name.walk.path, last, target);
        name_unlock(&name, last);
    }
    name_end(&name);
    return err;
}

long sys_symlinkat(const char __app *target, int dirfd, const char __app *path)
{
    struct path_name text;
    int err = path_name_init(&text, target);

    if (err)
        return err;
    err = *text.text ? symlink_to(text.text, dirfd, path) : -ENOENT;
    path_name_fini(&text);
    return err;
}

long sys_symlink(const char __app *target, const char __app *path)
{
    return sys_symlinkat(target, ABI_AT_FDCWD, path);
}

static int link_to(const struct path *from, int dirfd, const char __app *path)
{
    struct name_walk name;
    struct dentry *last;
    int err = name_begin(&name, dirfd, path);

    if (err)
        return err;
    err = name_lock_new(&name, false, &last);
    if (!err) {
        err =
            from->mount == name.walk.path.mount ? vfs_link_at(from, &name.walk.path, last) : -EXDEV;
        name_unlock(&name, last);
    }
    name_end(&name);
    return err;
}

long sys_linkat(int from_dirfd, const char __app *from, int dirfd, const char __app *path,
                unsigned flags)
{
    struct path_name text;
    struct path place;
    unsigned walk_flags = flags & ABI_AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0;

    if (flags & ~(ABI_AT_SYMLINK_FOLLOW | ABI_AT_EMPTY_PATH))
        return -EINVAL;
    if (flags & ABI_AT_EMPTY_PATH) {
        if (!process_has_capability(ABI_CAP_DAC_READ_SEARCH))
            return -ENOENT;
        walk_flags |= WALK_EMPTY;
    }
    int err = path_name_init(&text, from);
    if (err)
        return err;
    err = path_walk(from_dirfd, text.text, walk_flags, &place);
    path_name_fini(&text);
    if (err)
        return err;
    err = link_to(&place, dirfd, path);
    path_put(&place);
    return err;
}

long sys_link(const char __app *from, const char __app *path)
{
    return sys_linkat(ABI_AT_FDCWD, from, ABI_AT_FDCWD, path, 0);
}

/* ---- Removing and moving --------------------------------------------------------------------- */

static int unlink_last(struct name_walk *name)
{
    struct dentry *last;

    if (name->walk.kind != WALK_NORMAL)
        return -EISDIR;
    int err = name_lock(name, &last);
    if (err)
        return err;
    if (!name->walk.has_trailing_slash)
        err = vfs_unlink_at(&name->walk.path, last);
    else if (!last->inode)
        err = -ENOENT;
    else
        err = inode_is_dir(last->inode) ? -EISDIR : -ENOTDIR;
    name_unlock(name, last);
    return err;
}

static int rmdir_last(struct name_walk *name)
{
    struct dentry *last;

    switch (name->walk.kind) {
    case WALK_DOTDOT:
        return -ENOTEMPTY;
    case WALK_DOT:
        return -EINVAL;
    case WALK_ROOT:
        return -EBUSY;
    default:
        break;
    }
    int err = name_lock(name, &last);
    if (err)
        return err;
    err = vfs_rmdir_at(&name->walk.path, last);
    name_unlock(name, last);
    return err;
}

long sys_unlinkat(int dirfd, const char __app *path, unsigned flags)
{
    struct name_walk name;

    if (flags & ~ABI_AT_REMOVEDIR)
        return -EINVAL;
    int err = name_begin(&name, dirfd, path);
    if (err)
        return err;
    err = flags & ABI_AT_REMOVEDIR ? rmdir_last(&name) : unlink_last(&name);
    name_end(&name);
    return err;
}

long sys_unlink(const char __app *path)
{
    return sys_unlinkat(ABI_AT_FDCWD, path, 0);
}

long sys_rmdir(const char __app *path)
{
    return sys_unlinkat(ABI_AT_FDCWD, path, ABI_AT_REMOVEDIR);
}

static int rename_names(struct name_walk *from, int to_dirfd, const char __app *to_path,
                        unsigned flags)
{
    struct name_walk *to = from + 1;
    int err = name_begin(to, to_dirfd, to_path);

    if (err)
        return err;
    err = vfs_rename(&from->walk, &to->walk, flags);
    name_end(to);
    return err;
}

long sys_renameat2(int from_dirfd, const char __app *from_path, int to_dirfd,
                   const char __app *to_path, unsigned flags)
{
    if (flags & ~(ABI_RENAME_NOREPLACE | ABI_RENAME_EXCHANGE) ||
        flags == (ABI_RENAME_NOREPLACE | ABI_RENAME_EXCHANGE))
        return -EINVAL;
    /* Two walks are too much for the stack. */
    struct name_walk *names = kmalloc(2 * sizeof(*names), ALLOC_WAIT);
    if (!names)
        return -ENOMEM;
    int err = name_begin(names, from_dirfd, from_path);
    if (!err) {
        err = rename_names(names, to_dirfd, to_path, flags);
        name_end(names);
    }
    kfree(names);
    return err;
}

long sys_renameat(int from_dirfd, const char __app *from_path, int to_dirfd,
                  const char __app *to_path)
{
    return sys_renameat2(from_dirfd, from_path, to_dirfd, to_path, 0);
}

long sys_rename(const char __app *from_path, const char __app *to_path)
{
    return sys_renameat2(ABI_AT_FDCWD, from_path, ABI_AT_FDCWD, to_path, 0);
}

/* ---- Reading links ------------------------------------------------------------------------------ */

static long readlink_inode(struct inode *inode, void __app *buf, size_t size)
{
    if (inode->link) {
        size_t len = MIN((size_t)inode->size, size);
        return copy_to_app(buf, inode->link, len) ? -EFAULT : (long)len;
    }
    char *text = kmalloc(ABI_PATH_MAX, ALLOC_WAIT);
    if (!text)
        return -ENOMEM;
    long len = inode->ops->readlink(inode, text, ABI_PATH_MAX);
    if (len >= 0) {
        len = MIN(len, (long)size);
        if (copy_to_app(buf, text, (size_t)len))
            len = -EFAULT;
    }
    kfree(text);
    return len;
}

long sys_readlinkat(int dirfd, const char __app *path, void __app *buf, int size)
{
    struct path_name text;
    struct path place;

    if (size <= 0)
        return -EINVAL;
    long result = path_name_init(&text, path);
    if (result)
        return result;
    bool is_empty = !*text.text;
    result = path_walk(dirfd, text.text, WALK_EMPTY, &place);
    path_name_fini(&text);
    if (result)
        return result;
    struct inode *inode = place.dentry->inode;
    if ((inode->mode & ABI_S_IFMT) != ABI_S_IFLNK || (!inode->link && !inode->ops->readlink)) {
        result = is_empty ? -ENOENT : -EINVAL;
    } else {
        result = readlink_inode(inode, buf, (size_t)size);
        if (result >= 0 && !mount_want_write(place.mount))
            inode_touch(inode, true, false, false);
    }
    path_put(&place);
    return result;
}

long sys_readlink(const char __app *path, void __app *buf, int size)
{
    return sys_readlinkat(ABI_AT_FDCWD, path, buf, size);
}
