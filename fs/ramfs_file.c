// SPDX-License-Identifier: MIT
/*
 * Regular files of the RAM file system: a page cache with a size.
 *
 * Readers take no lock of the inode: they clamp to the size they saw, as Linux's do.  Writers hold
 * inode->lock, so appends do not overlap, and the size grows only after the bytes are there.
 */
#include "abi/fcntl.h"
#include "abi/signal.h"
#include "fs/inotify.h"
#include "fs/memfd.h"
#include "fs/ramfs.h"
#include "fs/ramfs_packed.h"
#include "kernel/mm/frame.h"
#include "kernel/rlimit.h"
#include "kernel/signal.h"
#include "kernel/thread.h"

static struct ramfs *ramfs_of(const struct inode *inode)
{
    return inode->sb->private;
}

void ramfs_account(struct inode *inode)
{
    uint64_t npages = MAX(READ_ONCE(inode->cache->npages), packed_pages(inode->cache));
    uint64_t blocks = npages * (PAGE_SIZE / 512);
    uint64_t before = inode->blocks;

    if (likely(blocks == before))
        return;
    inode->blocks = blocks;
    __atomic_add_fetch(&ramfs_of(inode)->used_blocks, blocks - before, __ATOMIC_RELAXED);
}

static long ramfs_file_read(struct file *file, struct io *io, int64_t *pos)
{
    struct inode *inode = file->inode;
    long done = 0;

    while (io->remaining > 0) {
        uint64_t size = READ_ONCE(inode->size);
        size_t len;
        void *buf = io_front(io, &len);

        if (*pos < 0 || (uint64_t)*pos >= size)
            break;
        len = (size_t)MIN((uint64_t)len, size - (uint64_t)*pos);
        long n = pagecache_read(inode->cache, (uint64_t)*pos, buf, len, io->is_app);
        if (n <= 0)
            return done ? done : n;
        io_advance(io, (size_t)n);
        *pos += n;
        done += n;
        if ((size_t)n < len)
            break;
    }
    return done;
}

/* ---- Writing ------------------------------------------------------------------------- */

/* How many of len bytes at pos the limits and seals allow; -EFBIG, -EPERM. */
static long write_allowed(const struct inode *inode, uint64_t pos, size_t len)
{
    long allowed = file_write_limit(pos, len);

    if (likely(!(inode->seals & ~ABI_F_SEAL_SEAL)) || allowed < 0)
        return allowed;
    if (inode->seals & (ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if (inode->seals & ABI_F_SEAL_GROW && pos + (uint64_t)allowed > inode->size) {
        /* Linux writes the whole pages that lie inside. */
        uint64_t end = ALIGN_DOWN(inode->size, PAGE_SIZE);
        return end > pos ? (long)(end - pos) : -EPERM;
    }
    return allowed;
}

/* With a limit on the file system: how much of len at pos fits; near the limit a page at a time. */
static long room_for(struct inode *inode, uint64_t pos, size_t len)
{
    struct ramfs *fs = ramfs_of(inode);
    struct frame *frame;

    if (!fs->max_blocks)
        return (long)len;
    ramfs_account(inode);
    uint64_t used = __atomic_load_n(&fs->used_blocks, __ATOMIC_RELAXED);
    if (likely(used + len / 512 + 2 * PAGE_SIZE / 512 <= fs->max_blocks))
        return (long)len;
    len = MIN(len, (size_t)(PAGE_SIZE - pos % PAGE_SIZE));
    if (used + PAGE_SIZE / 512 <= fs->max_blocks)
        return (long)len;
    if (pagecache_page(inode->cache, pos / PAGE_SIZE, false, &frame) != 0)
        return -ENOSPC;
    frame_put(frame);
    return (long)len;
}

static long write_pieces(struct inode *inode, struct io *io, uint64_t pos, size_t allowed)
{
    size_t done = 0;

    while (done < allowed) {
        size_t len;
        const void *buf = io_front(io, &len);
        long n = room_for(inode, pos + done, MIN(len, allowed - done));

        if (n > 0)
            n = pagecache_write(inode->cache, pos + done, buf, len = (size_t)n, io->is_app);
        if (n <= 0)
            return done ? (long)done : n;
        io_advance(io, (size_t)n);
        done += (size_t)n;
        if ((size_t)n < len)
            break;
    }
    return (long)done;
}

static void size_grow(struct inode *inode, uint64_t end)
{
    if (end <= inode->size)
        return;
    pagecache_set_size(inode->cache, end);
    WRITE_ONCE(inode->size, end);
}

/* inode->lock held. */
static long write_locked(struct file *file, struct io *io, int64_t *pos)
{
    struct inode *inode = file->inode;

    if (file->flags & ABI_O_APPEND || io->append)
        *pos = (int64_t)inode->size;
    long allowed = write_allowed(inode, (uint64_t)*pos, io->remaining);
    if (allowed < 0)
        return allowed;
    inode_kill_suid(inode);
    long done = write_pieces(inode, io, (uint64_t)*pos, (size_t)allowed);
    ramfs_account(inode);
    if (done <= 0)
        return done;
    *pos += done;
    size_grow(inode, (uint64_t)*pos);
    inode_touch(inode, false, true, true);
    return done;
}

static long ramfs_file_write(struct file *file, struct io *io, int64_t *pos)
{
    struct inode *inode = file->inode;

    if (io->remaining == 0)
        return 0;
    mutex_lock(&inode->lock);
    long done = write_locked(file, io, pos);
    mutex_unlock(&inode->lock);
    return done;
}

/* ---- The rest --------------------------------------------------------------------------- */

/* The first page at or after index that is no hole, or UINT64_MAX. */
static uint64_t next_data(struct inode *inode, uint64_t index)
{
    return index < packed_pages(inode->cache) ? index : pagecache_next_present(inode->cache, index);
}

static int64_t seek_data(struct inode *inode, uint64_t offset, uint64_t size)
{
    uint64_t index = next_data(inode, offset / PAGE_SIZE);

    if (index == UINT64_MAX || index >= (size + PAGE_SIZE - 1) / PAGE_SIZE)
        return -ENXIO;
    return (int64_t)MAX(offset, index * PAGE_SIZE);
}

static int64_t seek_hole(struct inode *inode, uint64_t offset, uint64_t size)
{
    uint64_t index = offset / PAGE_SIZE;

    while (index * PAGE_SIZE < size && next_data(inode, index) == index)
        index++;
    return (int64_t)MIN(MAX(offset, index * PAGE_SIZE), size);
}

static int64_t ramfs_file_seek(struct file *file, int64_t offset, int whence)
{
    struct inode *inode = file->inode;
    uint64_t size = READ_ONCE(inode->size);
    int64_t to;

    if (whence != ABI_SEEK_DATA && whence != ABI_SEEK_HOLE)
        return file_seek_in(file, offset, whence, size);
    if (offset < 0 || (uint64_t)offset >= size)
        return -ENXIO;
    to = whence == ABI_SEEK_DATA ? seek_data(inode, (uint64_t)offset, size)
                                 : seek_hole(inode, (uint64_t)offset, size);
    if (to >= 0)
        file->position = to;
    return to;
}

static int ramfs_file_open(struct inode *inode, struct file *file)
{
    return file->flags & ABI_O_DIRECT ? -EINVAL : 0; /* as tmpfs: there is nothing to bypass */
}

static int ramfs_file_mmap(struct file *file, unsigned prot, unsigned flags,
                           struct pagecache **cache, bool *is_zero)
{
    *cache = pagecache_get(file->inode->cache);
    *is_zero = false;
    return 0;
}

static int ramfs_file_fsync(struct file *file, bool data_only)
{
    return 0; /* the memory is the medium */
}

static int allocate_page(struct inode *inode, uint64_t pos)
{
    struct frame *frame;
    long room = room_for(inode, pos, 1);

    if (room < 0)
        return (int)room;
    if (signal_is_fatal_pending())
        return -EINTR;
    int err = pagecache_page(inode->cache, pos / PAGE_SIZE, true, &frame);
    if (!err)
        frame_put(frame);
    return err;
}

/* Brings in the pages of [start, end), or leaves none behind that has not been used meanwhile. */
static int allocate_pages(struct inode *inode, uint64_t start, uint64_t end)
{
    uint64_t pos = ALIGN_DOWN(start, PAGE_SIZE);
    int err = 0;

    for (; !err && pos < end; pos += PAGE_SIZE)
        err = allocate_page(inode, pos);
    if (err)
        pagecache_drop_zeros(inode->cache, start / PAGE_SIZE, pos / PAGE_SIZE);
    return err;
}

static int punch(struct inode *inode, uint64_t start, uint64_t end)
{
    if (inode->seals & (ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE))
        return -EPERM;
    int err = pagecache_punch(inode->cache, start, end);
    ramfs_account(inode);
    return err;
}

/* inode->lock held; the range has been checked. */
static int allocate(struct inode *inode, int mode, uint64_t start, uint64_t end)
{
    if (!(mode & ABI_FALLOC_KEEP_SIZE) && end > inode->size) {
        if (inode->seals & ABI_F_SEAL_GROW)
            return -EPERM;
        if (end > rlimit_current(LIMIT_FSIZE)) {
            signal_send_thread(thread_current(), ABI_SIGXFSZ, NULL);
            return -EFBIG;
        }
    }
    struct frame_stats stats;
    frame_get_stats(&stats);
    if ((end - start) / PAGE_SIZE > stats.total_pages)
        return -ENOSPC;
    int err = allocate_pages(inode, start, end);
    ramfs_account(inode);
    if (err)
        return err == -ENOMEM ? -ENOSPC : err;
    if (!(mode & ABI_FALLOC_KEEP_SIZE))
        size_grow(inode, end);
    return 0;
}

static int ramfs_file_fallocate(struct file *file, int mode, int64_t offset, int64_t len)
{
    struct inode *inode = file->inode;
    uint64_t start = (uint64_t)offset;
    uint64_t end = start + (uint64_t)len;
    int err;

    if (mode & ~(ABI_FALLOC_KEEP_SIZE | ABI_FALLOC_PUNCH_HOLE))
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    if (mode & ABI_FALLOC_PUNCH_HOLE)
        err = punch(inode, start, end);
    else
        err = allocate(inode, mode, start, end);
    if (!err)
        inode_touch(inode, false, true, true);
    mutex_unlock(&inode->lock);
    return err;
}

const struct file_ops ramfs_file_ops = {
    .read = ramfs_file_read,
    .write = ramfs_file_write,
    .seek = ramfs_file_seek,
    .open = ramfs_file_open,
    .mmap = ramfs_file_mmap,
    .fsync = ramfs_file_fsync,
    .fallocate = ramfs_file_fallocate,
};
