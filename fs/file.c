// SPDX-License-Identifier: MIT
/*
 * Open files: their life, reading and writing, and what mmap asks.
 *
 * A struct file never leaves the pool of files: fd_get() of fs/fdtable.c takes references without a
 * lock, so memory that was once a file must stay one.  refcount 0 means free; it is raised from zero
 * only by file_alloc(), as its last act.
 */
#include "fs/file.h"

#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "abi/mman.h"
#include "abi/mount.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "fs/async.h"
#include "fs/devfs.h"
#include "fs/epoll.h"
#include "fs/inotify.h"
#include "fs/locks.h"
#include "fs/memfd.h"
#include "fs/pipe.h"
#include "fs/vfs.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_source.h"
#include "kernel/panic.h"
#include "kernel/process_files.h"
#include "kernel/rlimit.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "lib/format.h"

#define ACCESSES_PER_CLOCK 64

static struct spinlock pool_lock = SPINLOCK_INIT(RANK_FILE_POOL);
static struct file *pool; /* pool_lock; linked by private */
static unsigned nopen;    /* pool_lock: files that are not in the pool */
static uint64_t last_id;  /* [a] */

/* ---- The pool --------------------------------------------------------------------- */

static struct file *pool_take(void)
{
    spin_lock(&pool_lock);
    struct file *file = pool;
    if (file) {
        pool = file->private;
        nopen++;
    }
    spin_unlock(&pool_lock);
    return file;
}

static void pool_give(struct file *file)
{
    spin_lock(&pool_lock);
    file->private = pool;
    pool = file;
    nopen--;
    spin_unlock(&pool_lock);
}

/* A page full of files; one of them is the result. */
static struct file *pool_grow(void)
{
    struct frame *frame = frame_alloc(0, ALLOC_ZERO);

    if (!frame)
        return NULL;
    struct file *file = frame_address(frame);
    spin_lock(&pool_lock);
    nopen += PAGE_SIZE / sizeof(*file);
    spin_unlock(&pool_lock);
    for (size_t i = 1; i < PAGE_SIZE / sizeof(*file); i++)
        pool_give(&file[i]);
    return file;
}

unsigned file_count(void)
{
    return READ_ONCE(nopen);
}

static struct file *file_alloc(const struct file_ops *ops, unsigned flags)
{
    struct file *file = pool_take();

    if (!file)
        file = pool_grow();
    if (!file)
        return NULL;
    memset((char *)file + sizeof(file->refcount), 0, sizeof(*file) - sizeof(file->refcount));
    file->ops = ops;
    file->flags = flags & ~(ABI_O_CREAT | ABI_O_EXCL | ABI_O_TRUNC | ABI_O_CLOEXEC);
    mutex_init(&file->position_lock, RANK_FILE_POSITION);
    file->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&file->refcount, 1, __ATOMIC_RELEASE);
    return file;
}
_Static_assert(offsetof(struct file, refcount) == 0, "file_alloc clears what is behind refcount");

/* ---- Anonymous files ------------------------------------------------------------------ */

static int anonymous_statfs(struct superblock *sb, struct abi_statfs *out)
{
    if (!out->f_type) /* sockets have inodes here too */
        out->f_type = ABI_ANON_INODE_MAGIC;
    return 0;
}

static const struct file_system anonymous_type = { .name = "anon_inodefs" };
static const struct superblock_ops anonymous_ops = { .statfs = anonymous_statfs };
static struct superblock anonymous_sb = { .refcount = 1,
                                          .type = &anonymous_type,
                                          .ops = &anonymous_ops,
                                          .watches = LIST_INIT(anonymous_sb.watches),
                                          .next_ino = 1 };
static struct mount anonymous_mount = { .refcount = 1, .sb = &anonymous_sb };
static struct inode *anonymous_inode; /* shared, as Linux's is */

void file_cache_init(void)
{
    anonymous_sb.device = device_number_anonymous();
    list_init(&anonymous_mount.node);
    if (inode_create(&anonymous_sb, 0600, &anonymous_inode) != 0)
        panic("no memory for the inode of anonymous files");
}

int file_create(const struct file_ops *ops, void *private, unsigned flags, struct file **out)
{
    struct file *file = file_alloc(ops, flags);

    if (!file)
        return -ENOMEM;
    file->private = private;
    file->inode = inode_get(anonymous_inode);
    *out = file;
    return 0;
}

int file_create_with_inode(const struct file_ops *ops, void *private, unsigned flags, unsigned mode,
                           struct file **out)
{
    struct inode *inode;
    int err = inode_create(&anonymous_sb, mode, &inode);

    if (err)
        return err;
    err = file_create(ops, private, flags, out);
    if (err) {
        inode_put(inode);
        return err;
    }
    inode_put((*out)->inode);
    (*out)->inode = inode;
    return 0;
}

bool file_is_anonymous(const struct file *file)
{
    return file->inode == anonymous_inode;
}

int file_place(struct file *file, struct path *out)
{
    char name[ABI_NAME_MAX + 1];

    if (file->path.dentry) {
        *out = file->path;
        path_get(out);
        return 0;
    }
    if (file->ops->link_text)
        (void)file->ops->link_text(file, name, sizeof(name));
    else
        format_string(name, sizeof(name), "anon_inode:[%s]",
                      file->ops->kind ? file->ops->kind : "");
    int err = dentry_create_anonymous(file->inode->sb, name, inode_get(file->inode), &out->dentry);
    if (err)
        return err;
    out->mount = mount_get(&anonymous_mount);
    return 0;
}

/* ---- Opening ------------------------------------------------------------------------------ */

static bool wants_write(unsigned flags)
{
    return ((flags & ABI_O_ACCMODE) == ABI_O_WRONLY) | ((flags & ABI_O_ACCMODE) == ABI_O_RDWR);
}

static int open_device(struct file *file, struct inode *inode)
{
    if (file->path.mount->flags & ABI_MS_NODEV)
        return -EACCES;
    file->ops = device_file_ops(inode->mode, inode->rdev);
    if (!file->ops)
        return -ENXIO;
    return file->ops->open ? file->ops->open(inode, file) : 0;
}

static int open_inode(struct file *file, struct inode *inode)
{
    switch (inode->mode & ABI_S_IFMT) {
    case ABI_S_IFLNK:
        return -ELOOP;
    case ABI_S_IFSOCK:
        return -ENXIO;
    case ABI_S_IFIFO:
        if (!inode->file_ops)
            return fifo_open(inode, file);
        break;
    case ABI_S_IFCHR:
    case ABI_S_IFBLK:
        if (!inode->file_ops)
            return open_device(file, inode);
        break;
    case ABI_S_IFDIR:
        if (wants_write(file->flags))
            return -EISDIR;
        break;
    default:
        if (wants_write(file->flags)) {
            int err = mount_want_write(file->path.mount);
            if (err)
                return err;
        }
        break;
    }
    if (!inode->file_ops)
        return -ENXIO;
    file->ops = inode->file_ops;
    return file->ops->open ? file->ops->open(inode, file) : 0;
}

static void file_free(struct file *file)
{
    inode_put(file->inode); /* before the path, which may be the last that keeps its file system */
    if (file->path.dentry)
        path_put(&file->path);
    pool_give(file);
}

int file_open_path(const struct path *path, unsigned flags, struct file **out)
{
    static const struct file_ops path_ops = { .kind = "path" }; /* O_PATH: nothing but a place */
    struct file *file = file_alloc(&path_ops, flags | ABI_O_LARGEFILE);

    if (!file)
        return -ENOMEM;
    file->path = *path;
    path_get(path);
    file->inode = inode_get(path->dentry->inode);
    if (flags & ABI_O_PATH) {
        file->flags = flags & (ABI_O_PATH | ABI_O_DIRECTORY | ABI_O_NOFOLLOW);
    } else {
        int err = open_inode(file, file->inode);
        if (err) {
            file->ops = &path_ops; /* never was open: nothing to release but the place */
            file->flags = ABI_O_PATH;
            file_put(file);
            return err;
        }
        inotify_file_event(file, ABI_IN_OPEN);
        file->flags &= ~ABI_O_NOCTTY; /* open() of terminals has looked at it */
    }
    *out = file;
    return 0;
}

int file_begin_program(struct file *file)
{
    int err = inode_begin_run(file->inode);

    file->is_program = !err;
    return err;
}

void file_end_program(struct file *file)
{
    if (file->is_program)
        inode_end_run(file->inode);
    file->is_program = false;
}

/* ---- References ------------------------------------------------------------------------------ */

struct file *file_get(struct file *file)
{
    __atomic_fetch_add(&file->refcount, 1, __ATOMIC_RELAXED);
    return file;
}

static void file_release(struct file *file)
{
    epoll_file_released(file);
    file_async_release(file);
    file_end_program(file);
    if (file->is_writer)
        inode_end_write(file->inode);
    if (!(file->flags & ABI_O_PATH)) {
        dnotify_closed(file, NULL);
        locks_release(file->inode, file);
        inotify_file_event(file,
                           wants_write(file->flags) ? ABI_IN_CLOSE_WRITE : ABI_IN_CLOSE_NOWRITE);
        if (file->ops->release)
            file->ops->release(file);
    }
    file_owner_fini(&file->owner);
    file_free(file);
}

void file_put(struct file *file)
{
    if (__atomic_sub_fetch(&file->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        file_release(file);
}

/* ---- Reading and writing ------------------------------------------------------------------------ */

bool file_can_read(const struct file *file)
{
    return !(file->flags & ABI_O_PATH) && (file->flags & ABI_O_ACCMODE) != ABI_O_WRONLY &&
           (file->flags & ABI_O_ACCMODE) != ABI_O_ACCMODE;
}

bool file_can_write(const struct file *file)
{
    return !(file->flags & ABI_O_PATH) && wants_write(file->flags);
}

/* Without a jump, of which each costs as much as the comparison; a number, for `|`. */
static unsigned is_before(const struct abi_timespec *a, const struct abi_timespec *b)
{
    return (a->tv_sec < b->tv_sec) | ((a->tv_sec == b->tv_sec) & (a->tv_nsec <= b->tv_nsec));
}

/* Relative atime (mount(8)): only if it is not younger than the last change, or a day old, which is looked at when an
 * open file is read for the first time and then now and then: the clock costs as much as a short read. */
static bool atime_is_due(struct file *file)
{
    const struct inode *inode = file->inode;

    if (unlikely(is_before(&inode->atime, &inode->mtime) | is_before(&inode->atime, &inode->ctime)))
        return true;
    if (file->naccesses++ % ACCESSES_PER_CLOCK != 0)
        return false;
    return clock_realtime() / NSEC_PER_SEC - inode->atime.tv_sec >= 24 * 3600L;
}

static __always_inline void accessed(struct file *file)
{
    const struct mount *mount = file->path.mount;

    if (mount && !file->ops->is_memory && !(file->flags & ABI_O_NOATIME) &&
        !((mount->flags | mount->sb->flags) & (ABI_MS_NOATIME | ABI_MS_RDONLY)) &&
        unlikely(atime_is_due(file)))
        inode_touch(file->inode, true, false, false);
    inotify_file_event(file, ABI_IN_ACCESS);
}

void file_accessed(struct file *file)
{
    accessed(file);
}

/* The file's own position is in use, and has to be kept from others meanwhile. */
static bool has_position(const struct file *file)
{
    return file->ops->seek && !file->ops->is_memory;
}

long file_read(struct file *file, struct io *io, int64_t *pos)
{
    int64_t unused = 0;
    unsigned flags = file->flags;

    if (unlikely(!file_can_read(file)))
        return -EBADF;
    if (unlikely(!file->ops->read))
        return -EINVAL;
    if (unlikely(!io_is_possible(io)))
        return -EFAULT;
    io->nonblock |= (flags & ABI_O_NONBLOCK) != 0;
    bool is_locked = !pos && has_position(file);
    if (is_locked)
        mutex_lock(&file->position_lock);
    long n = file->ops->read(file, io, pos ? pos : is_locked ? &file->position : &unused);
    struct io_counts *counts = &thread_current()->io;
    counts->nreads++;
    if (n > 0) {
        counts->read_bytes += (uint64_t)n;
        accessed(file);
    }
    if (is_locked)
        mutex_unlock(&file->position_lock);
    return n;
}

static __cold long write_through(struct file *file, long n)
{
    int err =
        file->ops->fsync ? file->ops->fsync(file, (file->flags & ABI_O_SYNC) != ABI_O_SYNC) : 0;
    return err ? err : n;
}

long file_write(struct file *file, struct io *io, int64_t *pos)
{
    int64_t unused = 0;
    unsigned flags = file->flags;

    if (unlikely(!file_can_write(file)))
        return -EBADF;
    if (unlikely(!file->ops->write))
        return -EINVAL;
    if (unlikely(!io_is_possible(io)))
        return -EFAULT;
    io->nonblock |= (flags & ABI_O_NONBLOCK) != 0;
    bool is_locked = !pos && has_position(file);
    if (is_locked)
        mutex_lock(&file->position_lock);
    long n = file->ops->write(file, io, pos ? pos : is_locked ? &file->position : &unused);
    struct io_counts *counts = &thread_current()->io;
    counts->nwrites++;
    if (n > 0) {
        counts->written_bytes += (uint64_t)n;
        inotify_file_event(file, ABI_IN_MODIFY);
        if (unlikely(file->flags & ABI_O_DSYNC))
            n = write_through(file, n);
    }
    if (is_locked)
        mutex_unlock(&file->position_lock);
    return n;
}

long file_read_kernel(struct file *file, void *buf, size_t len, int64_t pos)
{
    struct io io;

    io_init_kernel(&io, buf, len);
    return file_read(file, &io, &pos);
}

unsigned file_poll(struct file *file)
{
    if (!file->ops->poll)
        return ABI_POLLIN | ABI_POLLOUT | ABI_POLLRDNORM | ABI_POLLWRNORM;
    return file->ops->poll(file);
}

long file_write_limit(uint64_t pos, size_t len)
{
    uint64_t limit = rlimit_current(LIMIT_FSIZE);

    if (pos >= limit) {
        signal_send_thread(thread_current(), ABI_SIGXFSZ, NULL);
        return -EFBIG;
    }
    limit = MIN(limit, (uint64_t)INT64_MAX);
    return pos < limit ? (long)MIN((uint64_t)len, limit - pos) : -EFBIG;
}

int64_t file_seek_in(struct file *file, int64_t offset, int whence, uint64_t size)
{
    int64_t base = 0;

    switch (whence) {
    case ABI_SEEK_SET:
        break;
    case ABI_SEEK_CUR:
        base = file->position;
        break;
    case ABI_SEEK_END:
        base = (int64_t)size;
        break;
    case ABI_SEEK_DATA:
    case ABI_SEEK_HOLE:
        if (offset < 0 || (uint64_t)offset >= size)
            return -ENXIO;
        base = whence == ABI_SEEK_HOLE ? (int64_t)size - offset : 0;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, offset, &offset))
        return offset > 0 ? -EINVAL : -EOVERFLOW;
    if (offset < 0)
        return -EINVAL;
    file->position = offset;
    return offset;
}

bool dir_emit_dots(struct file *file, struct dir_context *context)
{
    if (context->pos == 0) {
        if (!context->emit(context, ".", 1, file->inode->ino, 4, 1))
            return false;
        context->pos = 1;
    }
    if (context->pos == 1) {
        struct dentry *parent = dentry_get_parent(file->path.dentry);
        bool fits = context->emit(context, "..", 2, parent->inode->ino, 4, 2);
        dentry_put(parent);
        if (!fits)
            return false;
        context->pos = 2;
    }
    return true;
}

/* ---- mmap ---------------------------------------------------------------------------------------- */

static int map_check(const struct file *file, unsigned prot, unsigned flags, unsigned *max_prot)
{
    bool is_shared = (flags & ABI_MAP_TYPE) != ABI_MAP_PRIVATE;
    const struct mount *mount = file->path.mount;
    unsigned seals = file->inode->seals & (ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE);

    if (!file_can_read(file))
        return -EACCES;
    *max_prot = ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC;
    if (is_shared && !file_can_write(file)) {
        if (prot & ABI_PROT_WRITE)
            return -EACCES;
        *max_prot &= ~ABI_PROT_WRITE;
    }
    if (is_shared && seals) {
        if (prot & ABI_PROT_WRITE)
            return -EPERM;
        *max_prot &= ~ABI_PROT_WRITE;
    }
    if (mount && mount->flags & ABI_MS_NOEXEC) {
        if (prot & ABI_PROT_EXEC)
            return -EPERM;
        *max_prot &= ~ABI_PROT_EXEC;
    }
    return file->ops->mmap || file->ops->mmap_at ? 0 : -ENODEV;
}

int map_source_open(int fd, unsigned prot, unsigned flags, struct map_source *source)
{
    struct file *file = fd_get(fd);

    if (!file)
        return -EBADF;
    source->file = file;
    source->cache = NULL;
    source->is_zero = false;
    int err = map_check(file, prot, flags, &source->max_prot);
    if (!err && file->ops->mmap_at)
        err = file->ops->mmap_at(file, source->length, &source->offset, &source->cache);
    else if (!err)
        err = file->ops->mmap(file, prot, flags, &source->cache, &source->is_zero);
    if (err) {
        file_put(file);
        return err;
    }
    file_accessed(file);
    return 0;
}

void map_source_close(struct map_source *source)
{
    if (source->cache)
        pagecache_put(source->cache);
    file_put(source->file);
}

long map_source_path(struct file *file, char *buf, size_t size)
{
    if (file->ops->link_text)
        return file->ops->link_text(file, buf, size);
    if (file->path.dentry)
        return path_text(&file->path, buf, size);
    return format_string(buf, size, "anon_inode:[%s]", file->ops->kind ? file->ops->kind : "");
}

void map_source_identity(struct file *file, uint64_t *device, uint64_t *inode)
{
    *device = file->inode->sb->device;
    *inode = file->inode->ino;
}
