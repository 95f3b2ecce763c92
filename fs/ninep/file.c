// SPDX-License-Identifier: MIT
/*
 * Regular files of the host.
 *
 * read() and write() go to the server, so that what others write is seen at once and what we write is there for
 * them, with its errors, when the call returns.  The page cache is for mappings and sendfile() only.  The two are kept
 * one by three rules: before bytes are read or written, dirty pages of theirs are written back; after bytes are
 * written, the pages that show them are dropped; and when the server tells of another size or time, all clean ones are.
 *
 * The pages are filled and written back through any open fid of the inode that allows it.  A mapping keeps its file
 * open, so there is one.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "fs/ninep/ninep.h"
#include "kernel/mm/heap.h"

/* ---- Opening ------------------------------------------------------------------------- */

static struct ninep_client *client_of(const struct inode *inode)
{
    return ninep_fs_of(inode->sb)->client;
}

/* An open fid of the inode, which nobody else has. */
static int open_fid(struct inode *inode, unsigned flags, struct ninep_fid **out)
{
    struct ninep_fid *name = ninep_inode_fid(inode);
    int err = ninep_walk(name, NULL, out);

    ninep_fid_put(name);
    if (err)
        return err;
    err = ninep_lopen(*out, flags);
    if (err)
        ninep_fid_put(*out);
    return err;
}

int ninep_open(struct inode *inode, struct file *file)
{
    struct ninep_inode *ninode = ninep_inode_of(inode);
    unsigned access = file->flags & ABI_O_ACCMODE;
    struct ninep_file *nfile = kzalloc(sizeof(*nfile), ALLOC_WAIT);

    if (!nfile)
        return -ENOMEM;
    int err = open_fid(inode, access | (inode_is_dir(inode) ? ABI_O_DIRECTORY : 0), &nfile->fid);
    if (err) {
        kfree(nfile);
        return err;
    }
    nfile->can_read = access != ABI_O_WRONLY;
    nfile->can_write = access != ABI_O_RDONLY;
    list_init(&nfile->node);
    spin_lock(&client_of(inode)->lock);
    list_push_back(&ninode->files, &nfile->node);
    spin_unlock(&client_of(inode)->lock);
    file->private = nfile;
    if (!READ_ONCE(ninode->is_stale))
        return 0;
    mutex_lock(&inode->lock);
    (void)!ninep_refresh(inode); /* it is open: what was known of it will do */
    mutex_unlock(&inode->lock);
    return 0;
}

void ninep_release(struct file *file)
{
    struct ninep_file *nfile = file->private;

    spin_lock(&client_of(file->inode)->lock);
    list_remove(&nfile->node);
    spin_unlock(&client_of(file->inode)->lock);
    ninep_fid_put(nfile->fid);
    kfree(nfile);
}

/* ---- The page cache -------------------------------------------------------------------- */

/* An open fid to read from, with a reference; NULL: there is none. */
static struct ninep_fid *find_open_fid(struct inode *inode)
{
    struct ninep_fid *fid = NULL;
    struct ninep_file *nfile;

    spin_lock(&client_of(inode)->lock);
    list_for_each (nfile, &ninep_inode_of(inode)->files, node) {
        if (nfile->can_read) {
            fid = ninep_fid_get(nfile->fid);
            break;
        }
    }
    spin_unlock(&client_of(inode)->lock);
    return fid;
}

static int cache_fill(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    struct inode *inode = cache->owner;
    struct ninep_fid *fid = find_open_fid(inode);

    if (!fid)
        return -EIO;
    long n = ninep_read(fid, index << PAGE_SHIFT, frame_address(frame), PAGE_SIZE, false);
    ninep_fid_put(fid);
    return n < 0 ? (int)n : 0;
}

const struct pagecache_ops ninep_cache_ops = {
    .fill = cache_fill,
};

/* ---- Reading --------------------------------------------------------------------------- */

/* A buffer for up to *len bytes, which becomes what it holds. */
static void *bounce_create(const struct inode *inode, size_t *len)
{
    void *buf = NULL;

    *len = MIN(*len, (size_t)client_of(inode)->data_max);
    while (!buf && *len > 0) {
        buf = kmalloc(*len, ALLOC_WAIT);
        if (!buf)
            *len = *len > PAGE_SIZE ? *len / 2 : 0;
    }
    return buf;
}

static long read_some(struct ninep_fid *fid, struct io *io, int64_t pos, void *buf, size_t size)
{
    long n = ninep_read(fid, (uint64_t)pos, buf, MIN(io->remaining, size), NINEP_KILLABLE);

    return n > 0 ? io_write_to(io, buf, (size_t)n) : n;
}

static long file_read_op(struct file *file, struct io *io, int64_t *pos)
{
    const struct ninep_file *nfile = file->private;
    size_t size = io->remaining;
    void *buf = size ? bounce_create(file->inode, &size) : NULL;
    long done = 0, n = 0;

    if (!buf)
        return io->remaining ? -ENOMEM : 0;
    while (io->remaining > 0) {
        size_t wanted = MIN(io->remaining, size);
        n = read_some(nfile->fid, io, *pos, buf, size);
        if (n <= 0)
            break;
        *pos += n;
        done += n;
        if ((size_t)n < wanted)
            break;
    }
    kfree(buf);
    return done ? done : n;
}

/* ---- The rest -------------------------------------------------------------------------- */

static int64_t file_seek_op(struct file *file, int64_t offset, int whence)
{
    if (whence != ABI_SEEK_SET && whence != ABI_SEEK_CUR) {
        int err = inode_refresh(file->inode);
        if (err)
            return err;
    }
    return file_seek_in(file, offset, whence, READ_ONCE(file->inode->size));
}

static int file_mmap_op(struct file *file, unsigned prot, unsigned flags, struct pagecache **cache,
                        bool *is_zero)
{
    int err = inode_refresh(file->inode);

    if (err)
        return err;
    *cache = pagecache_get(file->inode->cache);
    *is_zero = false;
    return 0;
}

static int file_fsync_op(struct file *file, bool data_only)
{
    const struct ninep_file *nfile = file->private;

    return ninep_fsync(nfile->fid, data_only);
}

const struct file_ops ninep_file_ops = {
    .open = ninep_open,
    .release = ninep_release,
    .read = file_read_op,
    .seek = file_seek_op,
    .mmap = file_mmap_op,
    .fsync = file_fsync_op,
};
