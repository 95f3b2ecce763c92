// SPDX-License-Identifier: MIT
/*
 * Regular files of the host.
 *
 * read() and write() go to the server, so that what others write is seen at once and what we write is there for
 * them, with its errors, when the call returns.  The page cache is for mappings and sendfile() only.  The two are kept
 * one by three rules: before bytes are read or written, dirty pages of theirs are written back; when bytes are
 * written, clean pages that show them are dropped and those that a mapping has dirtied meanwhile get them, before
 * anybody else can look at either; and when the server tells of another size or time, all clean ones are dropped.
 *
 * A file that is opened with O_APPEND has a second fid, whose writes the server appends: then what others on the host
 * append stays, too.  Where the bytes went is seen by how long the file is afterwards.
 *
 * The pages are filled and written back through any open fid of the inode that allows it.  A mapping keeps its file
 * open, so there is one.
 */
#include "abi/fcntl.h"
#include "fs/ninep/ninep.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"

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

/* The fid by which this thread has just made the file, or NULL. */
static struct ninep_fid *take_created(struct inode *inode)
{
    struct ninep_inode *ninode = ninep_inode_of(inode);
    struct ninep_fid *fid = NULL;

    if (likely(!READ_ONCE(ninode->created)))
        return NULL;
    spin_lock(&client_of(inode)->lock);
    if (ninode->creator == thread_current()) {
        fid = ninode->created;
        ninode->created = NULL;
    }
    spin_unlock(&client_of(inode)->lock);
    return fid;
}

void ninep_keep_created(struct inode *inode, struct ninep_fid *fid)
{
    struct ninep_inode *ninode = ninep_inode_of(inode);

    spin_lock(&client_of(inode)->lock);
    struct ninep_fid *before = ninode->created;
    ninode->created = fid;
    ninode->creator = thread_current();
    spin_unlock(&client_of(inode)->lock);
    ninep_fid_put(before);
}

static void file_enter(struct file *file, struct ninep_file *nfile)
{
    struct inode *inode = file->inode;
    unsigned access = file->flags & ABI_O_ACCMODE;

    nfile->can_read = access != ABI_O_WRONLY;
    nfile->can_write = access != ABI_O_RDONLY;
    list_init(&nfile->node);
    spin_lock(&client_of(inode)->lock);
    list_push_back(&ninep_inode_of(inode)->files, &nfile->node);
    spin_unlock(&client_of(inode)->lock);
    file->private = nfile;
}

int ninep_open(struct inode *inode, struct file *file)
{
    unsigned flags = (file->flags & ABI_O_ACCMODE) | (inode_is_dir(inode) ? ABI_O_DIRECTORY : 0);
    struct ninep_file *nfile = kzalloc(sizeof(*nfile), ALLOC_WAIT);

    if (!nfile)
        return -ENOMEM;
    nfile->fid = take_created(inode);
    int err = nfile->fid ? 0 : open_fid(inode, flags, &nfile->fid);
    if (err) {
        kfree(nfile);
        return err;
    }
    if (file->flags & ABI_O_APPEND && (flags & ABI_O_ACCMODE) != ABI_O_RDONLY &&
        open_fid(inode, ABI_O_WRONLY | ABI_O_APPEND, &nfile->append) != 0)
        nfile->append = NULL; /* the mode forbids what the open that made it may do */
    file_enter(file, nfile);
    if (!READ_ONCE(ninep_inode_of(inode)->is_stale))
        return 0;
    mutex_lock(&inode->lock);
    (void)!ninep_refresh(inode); /* it is open: what was known of it will do */
    mutex_unlock(&inode->lock);
    return 0;
}

static int write_back(struct inode *inode, uint64_t start, uint64_t end)
{
    if (!inode->cache || READ_ONCE(inode->cache->npages) == 0)
        return 0;
    return pagecache_write_back(inode->cache, start, end);
}

/* close(2): the mapping's bytes are to be there for others. */
static void flush_op(struct file *file)
{
    const struct ninep_file *nfile = file->private;

    if (nfile->can_write)
        (void)!write_back(file->inode, 0, UINT64_MAX); /* they stay dirty */
}

void ninep_release(struct file *file)
{
    struct ninep_file *nfile = file->private;

    flush_op(file); /* the last user may have been a mapping */
    spin_lock(&client_of(file->inode)->lock);
    list_remove(&nfile->node);
    spin_unlock(&client_of(file->inode)->lock);
    ninep_fid_put(nfile->append);
    ninep_fid_put(nfile->fid);
    kfree(nfile);
}

/* ---- The page cache -------------------------------------------------------------------- */

/* An open fid of the inode to read from or write to, with a reference. */
static int borrow_fid(struct inode *inode, bool to_write, struct ninep_fid **out)
{
    struct ninep_fid *fid = NULL;
    struct ninep_file *nfile;

    spin_lock(&client_of(inode)->lock);
    list_for_each (nfile, &ninep_inode_of(inode)->files, node) {
        if (to_write ? nfile->can_write : nfile->can_read) {
            fid = ninep_fid_get(nfile->fid);
            break;
        }
    }
    spin_unlock(&client_of(inode)->lock);
    *out = fid;
    return fid ? 0 : open_fid(inode, to_write ? ABI_O_WRONLY : ABI_O_RDONLY, out);
}

static int cache_fill(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    uint64_t pos = index << PAGE_SHIFT, size = cache->size_bytes;
    struct ninep_fid *fid;

    if (pos >= size)
        return 0;
    int err = borrow_fid(cache->owner, false, &fid);
    if (err)
        return err;
    long n = ninep_read(fid, pos, frame_address(frame), (size_t)MIN(PAGE_SIZE, size - pos), false);
    ninep_fid_put(fid);
    return n < 0 ? (int)n : 0;
}

/* All len bytes. */
static int write_all(struct ninep_fid *fid, uint64_t pos, const char *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        long n = ninep_write(fid, pos + done, buf + done, len - done, false);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    return 0;
}

static int cache_write_back(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    uint64_t pos = index << PAGE_SHIFT, size = cache->size_bytes;
    struct ninep_fid *fid;

    if (pos >= size)
        return 0;
    int err = borrow_fid(cache->owner, true, &fid);
    if (err)
        return err;
    err = write_all(fid, pos, frame_address(frame), (size_t)MIN(PAGE_SIZE, size - pos));
    ninep_fid_put(fid);
    return err;
}

const struct pagecache_ops ninep_cache_ops = {
    .fill = cache_fill,
    .write_back = cache_write_back,
};

/* The n-th inode of a bucket, with a reference; NULL: there are not so many. */
static struct inode *nth_inode(struct ninep_fs *fs, size_t bucket, size_t n)
{
    struct inode *found = NULL;
    struct ninep_inode *ninode;

    spin_lock(&fs->client->lock);
    list_for_each (ninode, &fs->inodes[bucket], node) {
        if (n-- == 0)
            break;
    }
    if (&ninode->node != &fs->inodes[bucket])
        found = inode_try_get(ninode->inode) ? ninode->inode : NULL;
    spin_unlock(&fs->client->lock);
    return found;
}

int ninep_sync(struct superblock *sb)
{
    struct ninep_fs *fs = ninep_fs_of(sb);
    struct inode *inode;
    int result = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fs->inodes); i++) {
        for (size_t n = 0; (inode = nth_inode(fs, i, n)); n++) {
            int err = write_back(inode, 0, UINT64_MAX);
            result = result ? result : err;
            inode_put(inode);
        }
    }
    return result;
}

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

/* How much of len at pos there is, as far as that is known here rather than there. */
static size_t clamp_nameless(const struct inode *inode, int64_t pos, size_t len)
{
    uint64_t size = READ_ONCE(inode->size);

    if (likely(!READ_ONCE(ninep_inode_of(inode)->is_nameless)))
        return len;
    return (uint64_t)pos < size ? (size_t)MIN((uint64_t)len, size - (uint64_t)pos) : 0;
}

static long read_some(struct file *file, struct io *io, int64_t pos, void *buf, size_t size)
{
    const struct ninep_file *nfile = file->private;
    size_t len = clamp_nameless(file->inode, pos, MIN(io->remaining, size));
    long n = len ? ninep_read(nfile->fid, (uint64_t)pos, buf, len, NINEP_KILLABLE) : 0;

    return n > 0 ? io_write_to(io, buf, (size_t)n) : n;
}

static long file_read_op(struct file *file, struct io *io, int64_t *pos)
{
    size_t size = io->remaining;
    long done = 0, n = size ? write_back(file->inode, (uint64_t)*pos, (uint64_t)*pos + size) : 0;

    if (n || !size)
        return n;
    void *buf = bounce_create(file->inode, &size);
    if (!buf)
        return -ENOMEM;
    while (io->remaining > 0) {
        size_t wanted = MIN(io->remaining, size);
        n = read_some(file, io, *pos, buf, size);
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

/* ---- Writing --------------------------------------------------------------------------- */

int ninep_write_zeros(struct inode *inode, uint64_t from, uint64_t to)
{
    struct ninep_fid *fid;
    int err = borrow_fid(inode, true, &fid);

    if (err)
        return err;
    char *zeros = kzalloc(PAGE_SIZE, ALLOC_WAIT);
    err = zeros ? 0 : -ENOMEM;
    for (uint64_t pos = from; !err && pos < to; pos += PAGE_SIZE)
        err = write_all(fid, pos, zeros, (size_t)MIN(PAGE_SIZE, to - pos));
    kfree(zeros);
    ninep_fid_put(fid);
    return err;
}

/* The server takes set-id bits away only if it is no root. */
static void kill_suid(struct inode *inode)
{
    unsigned before = inode->mode;
    struct ninep_setattr change = { .valid = NINEP_SET_MODE };

    inode_kill_suid(inode);
    if (likely(inode->mode == before) || READ_ONCE(ninep_inode_of(inode)->is_nameless))
        return;
    change.mode = inode->mode & 07777;
    struct ninep_fid *fid = ninep_inode_fid(inode);
    (void)!ninep_setattr(fid, &change);
    ninep_fid_put(fid);
}

/* Where the file ends after bytes were appended, to which others may have appended more. */
static uint64_t end_of(struct inode *inode, uint64_t at_least)
{
    struct ninep_stat stat;

    return ninep_inode_ask(inode, &stat) ? at_least : MAX(at_least, stat.size);
}

struct writing {
    struct file *file;
    bool appends; /* the server finds the place, which may be behind ours */
    void *buf;
    size_t size;
};

/* Writes len bytes of the buffer, and has the page cache follow before a page can be filled or written back. */
static long write_piece(const struct writing *writing, uint64_t *pos, size_t len)
{
    const struct ninep_file *nfile = writing->file->private;
    struct inode *inode = writing->file->inode;
    bool appends = writing->appends;
    struct pagecache *cache = inode->cache;

    mutex_lock(&cache->lock);
    long n =
        ninep_write(appends ? nfile->append : nfile->fid, *pos, writing->buf, len, NINEP_KILLABLE);
    uint64_t end = n > 0 ? *pos + (uint64_t)n : 0;
    uint64_t after = n > 0 && appends ? end_of(inode, end) : end;
    if (n > 0 && after == end)
        pagecache_written_locked(cache, *pos, writing->buf, (size_t)n);
    mutex_unlock(&cache->lock);
    if (n <= 0)
        return n;
    if (after != end) {
        pagecache_set_size(cache, after);
        pagecache_invalidate(cache, inode->size, after);
    }
    *pos = after;
    return n;
}

static long write_pieces(const struct writing *writing, struct io *io, int64_t *pos, size_t allowed)
{
    uint64_t at = (uint64_t)*pos;
    size_t done = 0;

    while (done < allowed) {
        long len = io_peek_from(io, writing->buf, MIN(allowed - done, writing->size));
        long n = len > 0 ? write_piece(writing, &at, (size_t)len) : len;
        if (n <= 0)
            return done ? (long)done : n;
        io_advance(io, (size_t)n);
        done += (size_t)n;
        *pos = (int64_t)at;
        if (n < len)
            break;
    }
    return (long)done;
}

/* inode->lock held: the bytes before end are the server's now. */
static void written(struct inode *inode, uint64_t end)
{
    if (end > inode->size)
        WRITE_ONCE(inode->size, end);
    inode_touch(inode, false, true, true);
}

/* inode->lock held. */
static long write_locked(struct file *file, struct io *io, int64_t *pos, void *buf, size_t size)
{
    const struct ninep_file *nfile = file->private;
    struct inode *inode = file->inode;
    bool appends = file->flags & ABI_O_APPEND || io->append;
    long n = 0;

    if (appends) {
        n = ninep_refresh(inode);
        *pos = (int64_t)inode->size;
        appends = !n && nfile->append; /* without a name it may be longer there than here */
    }
    if (n && n != -ESTALE)
        return n;
    long allowed = file_write_limit((uint64_t)*pos, io->remaining);
    if (allowed <= 0)
        return allowed;
    n = write_back(inode, (uint64_t)*pos, (uint64_t)*pos + (uint64_t)allowed);
    if (n)
        return n;
    kill_suid(inode);
    n = write_pieces(&(struct writing){ file, appends, buf, size }, io, pos, (size_t)allowed);
    if (n > 0)
        written(inode, (uint64_t)*pos);
    return n;
}

static long file_write_op(struct file *file, struct io *io, int64_t *pos)
{
    size_t size = io->remaining;

    if (size == 0)
        return 0;
    void *buf = bounce_create(file->inode, &size);
    if (!buf)
        return -ENOMEM;
    mutex_lock(&file->inode->lock);
    long n = write_locked(file, io, pos, buf, size);
    mutex_unlock(&file->inode->lock);
    kfree(buf);
    return n;
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
    int err = write_back(file->inode, 0, UINT64_MAX);

    return err ? err : ninep_fsync(nfile->fid, data_only);
}

const struct file_ops ninep_file_ops = {
    .open = ninep_open,
    .flush = flush_op,
    .release = ninep_release,
    .read = file_read_op,
    .write = file_write_op,
    .seek = file_seek_op,
    .mmap = file_mmap_op,
    .fsync = file_fsync_op,
};
