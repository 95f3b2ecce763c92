// SPDX-License-Identifier: MIT
/*
 * System calls that move bytes between a descriptor and memory, and what else acts on an open file's
 * data.  Checks only; the work is in fs/file.c and the file's ops.
 */
#include "abi/fcntl.h"
#include "abi/ioctl.h"
#include "abi/termios.h"
#include "abi/uio.h"
#include "fs/async.h"
#include "fs/fdtable.h"
#include "fs/inotify.h"
#include "fs/locks.h"
#include "fs/vfs.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- One buffer --------------------------------------------------------------------- */

long sys_read(int fd, void __app *buf, size_t count)
{
    struct fd_hold hold = fd_hold_raw(fd);
    struct io io;

    if (unlikely(!hold.file))
        return -EBADF;
    io_init_app(&io, buf, count);
    long n = file_read(hold.file, &io, NULL);
    fd_release(hold);
    return n;
}

long sys_write(int fd, const void __app *buf, size_t count)
{
    struct fd_hold hold = fd_hold_raw(fd);
    struct io io;

    if (unlikely(!hold.file))
        return -EBADF;
    io_init_app(&io, (void __app *)buf, count);
    long n = file_write(hold.file, &io, NULL);
    fd_release(hold);
    return n;
}

/* The file of a call with an offset: it must have positions. */
static int get_positioned(int fd, int64_t pos, struct file **out)
{
    if (pos < 0)
        return -EINVAL;
    *out = fd_get(fd);
    if (!*out)
        return -EBADF;
    if ((*out)->ops->seek)
        return 0;
    file_put(*out);
    return -ESPIPE;
}

long sys_pread64(int fd, void __app *buf, size_t count, long pos)
{
    int64_t position = pos;
    struct file *file;
    struct io io;
    int err = get_positioned(fd, pos, &file);

    if (err)
        return err;
    io_init_app(&io, buf, count);
    long n = file_read(file, &io, &position);
    file_put(file);
    return n;
}

long sys_pwrite64(int fd, const void __app *buf, size_t count, long pos)
{
    int64_t position = pos;
    struct file *file;
    struct io io;
    int err = get_positioned(fd, pos, &file);

    if (err)
        return err;
    io_init_app(&io, (void __app *)buf, count);
    long n = file_write(file, &io, &position);
    file_put(file);
    return n;
}

/* ---- Vectors -------------------------------------------------------------------------- */

typedef long (*transfer)(struct file *file, struct io *io, int64_t *pos);

/* What the flags of preadv2 and pwritev2 mean before the transfer. */
static int apply_flags(struct io *io, unsigned flags, bool is_write)
{
    const unsigned known =
        ABI_RWF_HIPRI | ABI_RWF_DSYNC | ABI_RWF_SYNC | ABI_RWF_NOWAIT | ABI_RWF_APPEND;

    if (flags & ~known)
        return -EOPNOTSUPP;
    io->nonblock = flags & ABI_RWF_NOWAIT;
    io->append = is_write && flags & ABI_RWF_APPEND;
    return 0;
}

static long sync_after(struct file *file, unsigned flags, long n)
{
    if (likely(!(flags & (ABI_RWF_DSYNC | ABI_RWF_SYNC))) || n <= 0 || !file->ops->fsync)
        return n;
    int err = file->ops->fsync(file, !(flags & ABI_RWF_SYNC));
    return err ? err : n;
}

/* pos NULL: the file's own. */
static long transfer_vector(struct file *file, const void __app *vector, unsigned long count,
                            int64_t *pos, unsigned flags, bool is_write)
{
    struct io io;
    long n = -EBADF;

    if (is_write ? file_can_write(file) : file_can_read(file))
        n = io_init_vector(&io, vector, count);
    if (!n) {
        n = apply_flags(&io, flags, is_write);
        if (!n)
            n = is_write ? file_write(file, &io, pos) : file_read(file, &io, pos);
        if (is_write)
            n = sync_after(file, flags, n);
        io_fini(&io);
    }
    return n;
}

/* At the file's own position. */
static long transfer_next(int fd, const void __app *vector, unsigned long count, unsigned flags,
                          bool is_write)
{
    struct fd_hold hold = fd_hold_raw(fd);

    if (unlikely(!hold.file))
        return -EBADF;
    long n = transfer_vector(hold.file, vector, count, NULL, flags, is_write);
    fd_release(hold);
    return n;
}

long sys_readv(int fd, const void __app *vector, unsigned long count)
{
    return transfer_next(fd, vector, count, 0, false);
}

long sys_writev(int fd, const void __app *vector, unsigned long count)
{
    return transfer_next(fd, vector, count, 0, true);
}

static long transfer_at(int fd, const void __app *vector, unsigned long count, long pos,
                        unsigned flags, bool is_write)
{
    int64_t position = pos;
    struct file *file;
    int err = get_positioned(fd, pos, &file);

    if (err)
        return err;
    long n = transfer_vector(file, vector, count, &position, flags, is_write);
    file_put(file);
    return n;
}

long sys_preadv(int fd, const void __app *vector, unsigned long count, long pos, long pos_high)
{
    return transfer_at(fd, vector, count, pos, 0, false);
}

long sys_pwritev(int fd, const void __app *vector, unsigned long count, long pos, long pos_high)
{
    return transfer_at(fd, vector, count, pos, 0, true);
}

static long transfer_with_flags(int fd, const void __app *vector, unsigned long count, long pos,
                                unsigned flags, bool is_write)
{
    if (pos != -1)
        return transfer_at(fd, vector, count, pos, flags, is_write);
    return transfer_next(fd, vector, count, flags, is_write);
}

long sys_preadv2(int fd, const void __app *vector, unsigned long count, long pos, long pos_high,
                 unsigned flags)
{
    return transfer_with_flags(fd, vector, count, pos, flags, false);
}

long sys_pwritev2(int fd, const void __app *vector, unsigned long count, long pos, long pos_high,
                  unsigned flags)
{
    return transfer_with_flags(fd, vector, count, pos, flags, true);
}

/* ---- Position and size -------------------------------------------------------------------- */

long sys_lseek(int fd, long offset, int whence)
{
    struct file *file = fd_get(fd);
    long result = -ESPIPE;

    if (!file)
        return -EBADF;
    if ((unsigned)whence > ABI_SEEK_HOLE) {
        result = -EINVAL;
    } else if (file->ops->seek) {
        mutex_lock(&file->position_lock);
        result = file->ops->seek(file, offset, whence);
        mutex_unlock(&file->position_lock);
    } else if (file_is_anonymous(file)) {
        result = 0; /* eventfd, epoll and the like take it and do nothing */
    }
    file_put(file);
    return result;
}

long sys_ftruncate(int fd, long length)
{
    struct file *file;
    long result = -EINVAL;

    if (length < 0)
        return -EINVAL;
    file = fd_get(fd);
    if (!file)
        return -EBADF;
    if (file_can_write(file) && (file->inode->mode & ABI_S_IFMT) == ABI_S_IFREG)
        result = vfs_truncate(file->inode, (uint64_t)length);
    if (!result && file->path.dentry)
        inotify_dentry_event(file->path.dentry, ABI_IN_MODIFY);
    file_put(file);
    return result;
}

static int truncate_place(const struct path *path, uint64_t length)
{
    struct inode *inode = path->dentry->inode;

    if (inode_is_dir(inode))
        return -EISDIR;
    if ((inode->mode & ABI_S_IFMT) != ABI_S_IFREG)
        return -EINVAL;
    int err = mount_want_write(path->mount);
    if (!err)
        err = inode_permission(inode, ABI_W_OK);
    if (!err)
        err = inode_begin_write(inode);
    if (err)
        return err;
    err = vfs_truncate(inode, length);
    inode_end_write(inode);
    if (!err)
        inotify_dentry_event(path->dentry, ABI_IN_MODIFY);
    return err;
}

long sys_truncate(const char __app *name, long length)
{
    struct path_name text;
    struct path path;

    if (length < 0)
        return -EINVAL;
    int err = path_name_init(&text, name);
    if (err)
        return err;
    err = path_walk(ABI_AT_FDCWD, text.text, WALK_FOLLOW, &path);
    path_name_fini(&text);
    if (err)
        return err;
    err = truncate_place(&path, (uint64_t)length);
    path_put(&path);
    return err;
}

static long allocate(struct file *file, int mode, int64_t offset, int64_t len)
{
    const int exclusive = ABI_FALLOC_PUNCH_HOLE | ABI_FALLOC_ZERO_RANGE |
                          ABI_FALLOC_COLLAPSE_RANGE | ABI_FALLOC_INSERT_RANGE;
    int64_t end;

    if (offset < 0 || len <= 0)
        return -EINVAL;
    if (mode & ~(exclusive | ABI_FALLOC_KEEP_SIZE | ABI_FALLOC_UNSHARE_RANGE))
        return -EOPNOTSUPP;
    /* More than one bit. */
    if ((mode & exclusive & ((mode & exclusive) - 1)) != 0 ||
        (mode & ABI_FALLOC_PUNCH_HOLE && !(mode & ABI_FALLOC_KEEP_SIZE)))
        return -EOPNOTSUPP;
    if (!file_can_write(file))
        return -EBADF;
    unsigned type = file->inode->mode & ABI_S_IFMT;
    if (type == ABI_S_IFIFO)
        return -ESPIPE;
    if (type == ABI_S_IFDIR)
        return -EISDIR;
    if (type != ABI_S_IFREG && type != ABI_S_IFBLK)
        return -ENODEV;
    if (__builtin_add_overflow(offset, len, &end))
        return -EFBIG;
    return file->ops->fallocate ? file->ops->fallocate(file, mode, offset, len) : -EOPNOTSUPP;
}

long sys_fallocate(int fd, int mode, long offset, long len)
{
    struct file *file = fd_get(fd);

    if (!file)
        return -EBADF;
    long result = allocate(file, mode, offset, len);
    file_put(file);
    return result;
}

/* ---- To the medium --------------------------------------------------------------------------- */

static long fsync_fd(int fd, bool data_only)
{
    struct file *file = fd_get(fd);

    if (!file)
        return -EBADF;
    long result = file->ops->fsync ? file->ops->fsync(file, data_only) : -EINVAL;
    file_put(file);
    return result;
}

long sys_fsync(int fd)
{
    return fsync_fd(fd, false);
}

long sys_fdatasync(int fd)
{
    return fsync_fd(fd, true);
}

static int superblock_sync(struct superblock *sb)
{
    return sb->ops && sb->ops->sync ? sb->ops->sync(sb) : 0;
}

/* The mounts must not stay locked while a disk writes: one at a time, by number, in which order they are listed. */
struct sync_search {
    int after;
    struct mount *found; /* with a reference */
};

static bool hold_after(struct mount *mount, void *arg)
{
    struct sync_search *search = arg;

    if (mount->id <= search->after)
        return true;
    search->found = mount_get(mount);
    return false;
}

void files_sync(void)
{
    struct sync_search search = { .after = 0 };

    for (;;) {
        search.found = NULL;
        mount_for_each(hold_after, &search);
        if (!search.found)
            return;
        search.after = search.found->id;
        (void)superblock_sync(search.found->sb); /* sync(2) reports nothing */
        mount_put(search.found);
    }
}

long sys_sync(void)
{
    files_sync();
    return 0;
}

long sys_syncfs(int fd)
{
    struct file *file = fd_get(fd);

    if (!file)
        return -EBADF;
    long result = superblock_sync(file->inode->sb);
    file_put(file);
    return result;
}

long sys_sync_file_range(int fd, long offset, long len, unsigned flags)
{
    struct file *file = fd_get(fd);
    long result = -ESPIPE;

    if (!file)
        return -EBADF;
    unsigned type = file->inode->mode & ABI_S_IFMT;
    if (flags & ~ABI_SYNC_FILE_RANGE_ALL || offset < 0 || len < 0 || offset > INT64_MAX - len)
        result = -EINVAL;
    else if (type == ABI_S_IFREG || type == ABI_S_IFBLK || type == ABI_S_IFDIR ||
             type == ABI_S_IFLNK)
        result = flags && file->ops->fsync ? file->ops->fsync(file, true) : 0;
    file_put(file);
    return result;
}

/* Advice about a file in memory changes nothing; it is checked as on Linux. */
long sys_fadvise64(int fd, long offset, long len, int advice)
{
    struct file *file = fd_get(fd);
    long result = 0;

    if (!file)
        return -EBADF;
    if ((file->inode->mode & ABI_S_IFMT) == ABI_S_IFIFO)
        result = -ESPIPE;
    else if (len < 0 || (unsigned)advice > ABI_POSIX_FADV_NOREUSE)
        result = -EINVAL;
    file_put(file);
    return result;
}

long sys_readahead(int fd, long offset, size_t count)
{
    struct file *file = fd_get(fd);
    long result = 0;

    if (!file)
        return -EBADF;
    if (!file_can_read(file))
        result = -EBADF;
    else if ((file->inode->mode & ABI_S_IFMT) != ABI_S_IFREG)
        result = -EINVAL;
    file_put(file);
    return result;
}

/* ---- Locks and ioctl ---------------------------------------------------------------------------- */

long sys_flock(int fd, unsigned operation)
{
    unsigned kind = operation & ~ABI_LOCK_NB;
    struct file *file;

    if (kind != ABI_LOCK_SH && kind != ABI_LOCK_EX && kind != ABI_LOCK_UN)
        return -EINVAL;
    file = fd_get(fd);
    if (!file)
        return -EBADF;
    long result = locks_flock(file, operation);
    file_put(file);
    return result;
}

static long set_nonblock(struct file *file, unsigned long arg)
{
    int on;
    int err = copy_from_app(&on, (void __app *)arg, sizeof(on));

    return err ? err : file_change_flags(file, ABI_O_NONBLOCK, on ? ABI_O_NONBLOCK : 0);
}

static long set_async(struct file *file, int fd, unsigned long arg)
{
    int on;
    int err = copy_from_app(&on, (void __app *)arg, sizeof(on));

    if (err || !on == !(file->flags & ABI_O_ASYNC))
        return err;
    return file_async_set(file, fd, on);
}

static long report_unread(struct file *file, unsigned long arg)
{
    int64_t left = (int64_t)file->inode->size - file->position;
    int value = (int)left;

    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

static long report_size(struct file *file, unsigned long arg)
{
    unsigned type = file->inode->mode & ABI_S_IFMT;
    int64_t size = (int64_t)file->inode->size;

    if (type != ABI_S_IFREG && type != ABI_S_IFDIR && type != ABI_S_IFLNK)
        return -ENOTTY;
    return copy_to_app((void __app *)arg, &size, sizeof(size));
}

static long ioctl_file(struct file *file, int fd, unsigned command, unsigned long arg)
{
    bool is_regular = (file->inode->mode & ABI_S_IFMT) == ABI_S_IFREG;

    switch (command) {
    case ABI_FIOCLEX:
        return fd_set_cloexec(fd, true);
    case ABI_FIONCLEX:
        return fd_set_cloexec(fd, false);
    case ABI_FIONBIO:
        return set_nonblock(file, arg);
    case ABI_FIOASYNC:
        return set_async(file, fd, arg);
    case ABI_FIOQSIZE:
        return report_size(file, arg);
    case ABI_FIONREAD:
        if (is_regular)
            return report_unread(file, arg);
        break;
    case ABI_FICLONE:
    case ABI_FICLONERANGE:
        if (is_regular && !file->ops->ioctl)
            return -EOPNOTSUPP;
        break;
    default:
        break;
    }
    return file->ops->ioctl ? file->ops->ioctl(file, command, arg) : -ENOTTY;
}

long sys_ioctl(int fd, unsigned command, unsigned long arg)
{
    struct file *file = fd_get(fd);

    if (!file)
        return -EBADF;
    long result = ioctl_file(file, fd, command, arg);
    file_put(file);
    return result;
}
