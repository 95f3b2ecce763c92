// SPDX-License-Identifier: MIT
/*
 * System calls for extended attributes.  Names, sizes and who may do what are checked here
 * (xattr(7)); the values are the file system's.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "abi/xattr.h"
#include "fs/file.h"
#include "fs/inotify.h"
#include "fs/vfs.h"
#include "kernel/mm/heap.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- Where: a name or a descriptor ---------------------------------------------------------- */

/* The place and its inode; place->dentry is NULL for an anonymous file, which file keeps. */
struct target {
    struct path path;
    struct inode *inode;
    struct file *file;
};

static int target_by_name(struct target *target, const char __app *name, unsigned walk_flags)
{
    struct path_name text;
    int err = path_name_init(&text, name);

    if (err)
        return err;
    err = path_walk(ABI_AT_FDCWD, text.text, walk_flags, &target->path);
    path_name_fini(&text);
    target->file = NULL;
    target->inode = err ? NULL : target->path.dentry->inode;
    return err;
}

static int target_by_descriptor(struct target *target, int fd)
{
    target->file = fd_get(fd);
    if (!target->file)
        return -EBADF;
    target->path = target->file->path;
    target->inode = target->file->inode;
    return 0;
}

static void target_end(struct target *target)
{
    if (target->file)
        file_put(target->file);
    else
        path_put(&target->path);
}

/* ---- Checks ------------------------------------------------------------------------------------ */

static int name_copy(char *name, const char __app *from)
{
    long len = string_from_app(name, from, ABI_XATTR_NAME_MAX + 1);

    if (len == -ENAMETOOLONG || len == 0)
        return -ERANGE;
    return len < 0 ? (int)len : 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(name, prefix, len) == 0;
}

static int user_permission(const struct inode *inode, unsigned mask)
{
    unsigned type = inode->mode & ABI_S_IFMT;

    if (type != ABI_S_IFREG && type != ABI_S_IFDIR)
        return mask & ABI_W_OK ? -EPERM : -ENODATA;
    if (type == ABI_S_IFDIR && inode->mode & ABI_S_ISVTX && mask & ABI_W_OK &&
        !inode_is_owner_or_capable(inode))
        return -EPERM;
    return 0;
}

static int permission(const struct target *target, const char *name, unsigned mask)
{
    struct inode *inode = target->inode;
    int err = mask & ABI_W_OK ? mount_want_write(target->path.mount) : 0;

    if (err)
        return err;
    if (has_prefix(name, "security.")) {
        if (mask & ABI_W_OK && !process_has_capability(ABI_CAP_SYS_ADMIN))
            return -EPERM;
        return 0;
    }
    if (has_prefix(name, "trusted.")) {
        if (!process_has_capability(ABI_CAP_SYS_ADMIN))
            return mask & ABI_W_OK ? -EPERM : -ENODATA;
        return 0;
    }
    if (!has_prefix(name, "user."))
        return -EOPNOTSUPP;
    err = user_permission(inode, mask);
    return err ? err : inode_permission(inode, mask);
}

/* ---- Setting and removing ------------------------------------------------------------------------- */

/* value NULL: removes. */
static int set_value(const struct target *target, const char *name, const void *value, size_t size,
                     int flags)
{
    struct inode *inode = target->inode;
    int err = permission(target, name, ABI_W_OK);

    if (err)
        return err;
    if (!inode->ops || !inode->ops->setxattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    err = inode->ops->setxattr(inode, name, value, size, flags);
    if (!err)
        inode_touch(inode, false, false, true);
    mutex_unlock(&inode->lock);
    if (!err && target->path.dentry)
        inotify_dentry_event(target->path.dentry, ABI_IN_ATTRIB);
    return err;
}

static long set(const struct target *target, const char __app *name_app, const void __app *value,
                size_t size, int flags)
{
    char name[ABI_XATTR_NAME_MAX + 1];

    if (flags & ~(ABI_XATTR_CREATE | ABI_XATTR_REPLACE))
        return -EINVAL;
    int err = name_copy(name, name_app);
    if (err)
        return err;
    if (size > ABI_XATTR_SIZE_MAX)
        return -E2BIG;
    char *buf = kmalloc(size ? size : 1, ALLOC_WAIT);
    if (!buf)
        return -ENOMEM;
    err = size ? copy_from_app(buf, value, size) : 0;
    if (!err)
        err = set_value(target, name, buf, size, flags);
    kfree(buf);
    return err;
}

static long set_by_name(const char __app *path, const char __app *name, const void __app *value,
                        size_t size, int flags, unsigned walk_flags)
{
    struct target target;
    long result = target_by_name(&target, path, walk_flags);

    if (result)
        return result;
    result = set(&target, name, value, size, flags);
    target_end(&target);
    return result;
}

long sys_setxattr(const char __app *path, const char __app *name, const void __app *value,
                  size_t size, int flags)
{
    return set_by_name(path, name, value, size, flags, WALK_FOLLOW);
}

long sys_lsetxattr(const char __app *path, const char __app *name, const void __app *value,
                   size_t size, int flags)
{
    return set_by_name(path, name, value, size, flags, 0);
}

long sys_fsetxattr(int fd, const char __app *name, const void __app *value, size_t size, int flags)
{
    struct target target;
    long result = target_by_descriptor(&target, fd);

    if (result)
        return result;
    result = set(&target, name, value, size, flags);
    target_end(&target);
    return result;
}

static long remove(const struct target *target, const char __app *name_app)
{
    char name[ABI_XATTR_NAME_MAX + 1];
    int err = name_copy(name, name_app);

    return err ? err : set_value(target, name, NULL, 0, 0);
}

static long remove_by_name(const char __app *path, const char __app *name, unsigned walk_flags)
{
    struct target target;
    long result = target_by_name(&target, path, walk_flags);

    if (result)
        return result;
    result = remove(&target, name);
    target_end(&target);
    return result;
}

long sys_removexattr(const char __app *path, const char __app *name)
{
    return remove_by_name(path, name, WALK_FOLLOW);
}

long sys_lremovexattr(const char __app *path, const char __app *name)
{
    return remove_by_name(path, name, 0);
}

long sys_fremovexattr(int fd, const char __app *name)
{
    struct target target;
    long result = target_by_descriptor(&target, fd);

    if (result)
        return result;
    result = remove(&target, name);
    target_end(&target);
    return result;
}

/* ---- Getting ------------------------------------------------------------------------------------------ */

static long get_value(const struct target *target, const char *name, void *buf, size_t size)
{
    struct inode *inode = target->inode;
    long result = permission(target, name, ABI_R_OK);

    if (result)
        return result;
    if (!inode->ops || !inode->ops->getxattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    result = inode->ops->getxattr(inode, name, buf, size);
    mutex_unlock(&inode->lock);
    return result;
}

static long get(const struct target *target, const char __app *name_app, void __app *value,
                size_t size)
{
    char name[ABI_XATTR_NAME_MAX + 1];
    int err = name_copy(name, name_app);

    if (err)
        return err;
    size = MIN(size, (size_t)ABI_XATTR_SIZE_MAX);
    char *buf = kmalloc(size ? size : 1, ALLOC_WAIT);
    if (!buf)
        return -ENOMEM;
    long result = get_value(target, name, buf, size);
    if (result > 0 && size && copy_to_app(value, buf, (size_t)result))
        result = -EFAULT;
    kfree(buf);
    return result;
}

static long get_by_name(const char __app *path, const char __app *name, void __app *value,
                        size_t size, unsigned walk_flags)
{
    struct target target;
    long result = target_by_name(&target, path, walk_flags);

    if (result)
        return result;
    result = get(&target, name, value, size);
    target_end(&target);
    return result;
}

long sys_getxattr(const char __app *path, const char __app *name, void __app *value, size_t size)
{
    return get_by_name(path, name, value, size, WALK_FOLLOW);
}

long sys_lgetxattr(const char __app *path, const char __app *name, void __app *value, size_t size)
{
    return get_by_name(path, name, value, size, 0);
}

long sys_fgetxattr(int fd, const char __app *name, void __app *value, size_t size)
{
    struct target target;
    long result = target_by_descriptor(&target, fd);

    if (result)
        return result;
    result = get(&target, name, value, size);
    target_end(&target);
    return result;
}

/* ---- Listing ------------------------------------------------------------------------------------------- */

/* trusted.* is not for everybody's eyes. */
static long without_trusted(char *list, long len)
{
    long kept = 0;

    for (long at = 0; at < len;) {
        long size = (long)strlen(list + at) + 1;
        if (!has_prefix(list + at, "trusted.")) {
            memmove(list + kept, list + at, (size_t)size);
            kept += size;
        }
        at += size;
    }
    return kept;
}

/* The whole list into a buffer of the largest size, so that it can be filtered. */
static long list_names(const struct target *target, char *buf)
{
    struct inode *inode = target->inode;

    if (!inode->ops || !inode->ops->listxattr)
        return 0;
    mutex_lock(&inode->lock);
    long len = inode->ops->listxattr(inode, buf, ABI_XATTR_LIST_MAX);
    mutex_unlock(&inode->lock);
    if (len == -ERANGE)
        return -E2BIG;
    return len > 0 && !process_has_capability(ABI_CAP_SYS_ADMIN) ? without_trusted(buf, len) : len;
}

static long list(const struct target *target, void __app *out, size_t size)
{
    if (!target->inode->xattrs && (!target->inode->ops || !target->inode->ops->listxattr))
        return 0;
    char *buf = kmalloc(ABI_XATTR_LIST_MAX, ALLOC_WAIT);
    if (!buf)
        return -ENOMEM;
    long len = list_names(target, buf);
    if (len > 0 && size) {
        if ((size_t)len > size)
            len = -ERANGE;
        else if (copy_to_app(out, buf, (size_t)len))
            len = -EFAULT;
    }
    kfree(buf);
    return len;
}

static long list_by_name(const char __app *path, void __app *out, size_t size, unsigned walk_flags)
{
    struct target target;
    long result = target_by_name(&target, path, walk_flags);

    if (result)
        return result;
    result = list(&target, out, size);
    target_end(&target);
    return result;
}

long sys_listxattr(const char __app *path, void __app *out, size_t size)
{
    return list_by_name(path, out, size, WALK_FOLLOW);
}

long sys_llistxattr(const char __app *path, void __app *out, size_t size)
{
    return list_by_name(path, out, size, 0);
}

long sys_flistxattr(int fd, void __app *out, size_t size)
{
    struct target target;
    long result = target_by_descriptor(&target, fd);

    if (result)
        return result;
    result = list(&target, out, size);
    target_end(&target);
    return result;
}
