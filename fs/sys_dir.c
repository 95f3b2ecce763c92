// SPDX-License-Identifier: MIT
/*
 * System calls about directories: the current one and the root, the umask, listings.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/dirent.h"
#include "abi/fcntl.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread_fs.h"
#include "kernel/usercopy.h"

/* ---- Current directory and root ----------------------------------------------------------- */

/* A directory the process may search, references taken. */
static int walk_to_directory(const char __app *name, struct path *out)
{
    struct path_name text;
    int err = path_name_init(&text, name);

    if (err)
        return err;
    err = path_walk(ABI_AT_FDCWD, text.text, WALK_FOLLOW | WALK_DIRECTORY, out);
    path_name_fini(&text);
    if (err)
        return err;
    err = inode_permission(out->dentry->inode, ABI_X_OK);
    if (err)
        path_put(out);
    return err;
}

long sys_chdir(const char __app *name)
{
    struct fs_context *fs = fs_current();
    struct path path;
    int err = walk_to_directory(name, &path);

    if (!err)
        fs_context_replace(&fs->cwd, fs, &path);
    return err;
}

long sys_fchdir(int fd)
{
    struct fs_context *fs = fs_current();
    struct file *file = fd_get_raw(fd);
    int err = -ENOTDIR;

    if (!file)
        return -EBADF;
    if (file->path.dentry && inode_is_dir(file->inode))
        err = inode_permission(file->inode, ABI_X_OK);
    if (!err) {
        struct path path = file->path;
        path_get(&path);
        fs_context_replace(&fs->cwd, fs, &path);
    }
    file_put(file);
    return err;
}

long sys_chroot(const char __app *name)
{
    struct fs_context *fs = fs_current();
    struct path path;
    int err = walk_to_directory(name, &path);

    if (!err && !process_has_capability(ABI_CAP_SYS_CHROOT)) {
        path_put(&path);
        err = -EPERM;
    }
    if (!err)
        fs_context_replace(&fs->root, fs, &path);
    return err;
}

static long getcwd_text(char *text, void __app *buf, size_t size)
{
    struct path cwd;
    long len = -ENOENT;

    fs_context_get_cwd(&cwd);
    if (!cwd.dentry->is_unlinked)
        len = path_text_marked(&cwd, text, ABI_PATH_MAX);
    path_put(&cwd);
    if (len < 0)
        return len;
    if ((size_t)len + 1 > size)
        return -ERANGE;
    return copy_to_app(buf, text, (size_t)len + 1) ? -EFAULT : len + 1;
}

long sys_getcwd(void __app *buf, size_t size)
{
    char *text = kmalloc(ABI_PATH_MAX, ALLOC_WAIT);

    if (!text)
        return -ENOMEM;
    long len = getcwd_text(text, buf, size);
    kfree(text);
    return len;
}

long sys_umask(unsigned mask)
{
    return __atomic_exchange_n(&fs_current()->umask, mask & 0777, __ATOMIC_RELAXED);
}

/* ---- Listings --------------------------------------------------------------------------------- */

struct listing {
    struct dir_context context;
    char __app *at; /* where the next record goes */
    size_t left;
    bool is_old; /* getdents: the type is the record's last byte */
    int err;     /* why it stopped, if not because the directory ended */
};

/* The largest record: header, name, NUL, type, padding. */
#define RECORD_MAX ALIGN_UP(sizeof(struct abi_dirent64) + ABI_NAME_MAX + 3, 8)

static bool listing_emit(struct dir_context *context, const char *name, size_t len, uint64_t ino,
                         unsigned type, int64_t next_pos)
{
    struct listing *listing = container_of(context, struct listing, context);
    unsigned char record[RECORD_MAX] __aligned(8);
    struct abi_dirent64 *entry = (void *)record;
    struct abi_dirent *old = (void *)record;
    char *text = listing->is_old ? old->d_name : entry->d_name;
    size_t size =
        ALIGN_UP((size_t)(text - (char *)record) + len + (listing->is_old ? 2u : 1u), (size_t)8);

    if (len > ABI_NAME_MAX) {
        listing->err = -EIO;
        return false;
    }
    if (size > listing->left) {
        listing->err = -EINVAL;
        return false;
    }
    memset(record + size - 8, 0, 8);
    entry->d_ino = ino;
    entry->d_off = next_pos;
    entry->d_reclen = (uint16_t)size;
    memcpy(text, name, len);
    text[len] = '\0';
    if (listing->is_old)
        record[size - 1] = (unsigned char)type;
    else
        entry->d_type = (uint8_t)type;
    if (copy_to_app(listing->at, record, size)) {
        listing->err = -EFAULT;
        return false;
    }
    listing->at += size;
    listing->left -= size;
    context->pos = next_pos;
    return true;
}

static long list_directory(struct file *file, struct listing *listing, size_t size)
{
    if (!file->ops->iterate)
        return -ENOTDIR;
    if (file->path.dentry && file->path.dentry->is_unlinked)
        return -ENOENT;
    mutex_lock(&file->position_lock);
    listing->context.pos = file->position;
    int err = file->ops->iterate(file, &listing->context);
    file->position = listing->context.pos;
    mutex_unlock(&file->position_lock);
    if (listing->left < size) {
        file_accessed(file);
        return (long)(size - listing->left);
    }
    return err ? err : listing->err;
}

static long getdents(int fd, void __app *buf, unsigned size, bool is_old)
{
    struct file *file = fd_get(fd);
    struct listing listing = {
        .context = { .emit = listing_emit }, .at = buf, .left = size, .is_old = is_old
    };

    if (!file)
        return -EBADF;
    long result = list_directory(file, &listing, size);
    file_put(file);
    return result;
}

long sys_getdents64(int fd, void __app *buf, unsigned size)
{
    return getdents(fd, buf, size, false);
}

long sys_getdents(int fd, void __app *buf, unsigned size)
{
    return getdents(fd, buf, size, true);
}
