// SPDX-License-Identifier: MIT
/*
 * System calls that move bytes from descriptor to descriptor: sendfile, copy_file_range, splice, tee,
 * vmsplice.
 *
 * From a file with a page cache the frames themselves are handed to the other side's write, several
 * at a time, so there is one copy in all, or none: a TCP connection keeps references to the frames, and what they
 * hold when they are sent, and sent again, is what the peer gets (as in Linux).  Everything else goes through a page
 * of the kernel's.
 *
 * Bytes that were taken out of a stream must arrive.  Where the stream can be peeked at (pipes), only
 * what the other side took is consumed.  Else the other side is waited for until it has room
 * (POLLOUT), and the page is then written without O_NONBLOCK.
 */
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/uio.h"
#include "fs/file.h"
#include "fs/pipe.h"
#include "kernel/mm/heap.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"
#include "kernel/wait.h"

#define LENGTH_MAX 0x7ffff000UL

static const unsigned char zeros[PAGE_SIZE] __aligned(64);

/* ---- Waiting until a file is ready ------------------------------------------------------- */

struct ready_waiter {
    struct poll_watcher watcher;
    struct wait_queue queue;
};

static void ready_notify(struct poll_watcher *watcher, unsigned events)
{
    wake_all(&container_of(watcher, struct ready_waiter, watcher)->queue);
}

/* -EAGAIN, -ERESTARTSYS. */
static int wait_ready(struct file *file, unsigned events, bool nonblock)
{
    struct ready_waiter waiter;

    events |= ABI_POLLERR | ABI_POLLHUP;
    if (file_poll(file) & events)
        return 0;
    if (nonblock)
        return -EAGAIN;
    if (!file->poll_head)
        return 0;
    wait_queue_init(&waiter.queue);
    waiter.watcher.notify = ready_notify;
    poll_watch(file->poll_head, &waiter.watcher);
    int err = wait_on(&waiter.queue, file_poll(file) & events, DEADLINE_NONE);
    poll_unwatch(&waiter.watcher);
    return err ? -ERESTARTSYS : 0;
}

/* ---- From a page cache ------------------------------------------------------------------------ */

#define BATCH_PAGES 32

struct batch {
    struct io io;
    struct abi_iovec piece[BATCH_PAGES];
    struct frame *frame[BATCH_PAGES];
};

/* The piece of the page at pos: its frame, or zeros for a hole. */
static int batch_add(struct batch *batch, struct pagecache *cache, uint64_t pos, size_t len)
{
    unsigned i = batch->io.npieces;
    const void *data = zeros;
    int err = pagecache_page(cache, pos / PAGE_SIZE, cache->ops != NULL, &batch->frame[i]);

    if (!err)
        data = frame_address(batch->frame[i]);
    else if (err == -ENOENT)
        batch->frame[i] = NULL;
    else
        return err;
    batch->io.is_pages &= batch->frame[i] != NULL;
    batch->piece[i] = (struct abi_iovec){ .base = (uintptr_t)data + pos % PAGE_SIZE, .len = len };
    batch->io.npieces++;
    batch->io.remaining += len;
    return 0;
}

static int batch_fill(struct batch *batch, struct inode *inode, uint64_t pos, size_t len)
{
    uint64_t size = READ_ONCE(inode->size);
    int err = 0;

    io_init_kernel(&batch->io, NULL, 0);
    batch->io.npieces = 0;
    batch->io.piece = batch->piece;
    batch->io.is_pages = true;
    while (!err && len > 0 && pos < size && batch->io.npieces < BATCH_PAGES) {
        size_t step = (size_t)MIN(MIN((uint64_t)len, PAGE_SIZE - pos % PAGE_SIZE), size - pos);
        err = batch_add(batch, inode->cache, pos, step);
        pos += step;
        len -= step;
    }
    batch->io.has_more = !err && len > 0 && pos < size;
    return batch->io.npieces ? 0 : err;
}

static void batch_drop(struct batch *batch, unsigned nframes)
{
    for (unsigned i = 0; i < nframes; i++) {
        if (batch->frame[i])
            frame_put(batch->frame[i]);
    }
}

static long send_from_cache(struct file *in, int64_t *in_pos, struct file *out, int64_t *out_pos,
                            size_t len)
{
    struct batch batch;
    long done = 0;

    while (len > 0) {
        long n = batch_fill(&batch, in->inode, (uint64_t)*in_pos, len);
        unsigned nframes = batch.io.npieces;
        size_t offered = batch.io.remaining;
        if (!n && nframes)
            n = file_write(out, &batch.io, out_pos);
        batch_drop(&batch, nframes);
        if (n <= 0)
            return done ? done : n;
        *in_pos += n;
        done += n;
        len -= (size_t)n;
        if ((size_t)n < offered || signal_is_fatal_pending())
            break;
    }
    if (done)
        file_accessed(in);
    return done;
}

/* ---- Through a page ------------------------------------------------------------------------------ */

struct relay {
    struct file *in, *out;
    int64_t *in_pos, *out_pos; /* NULL: the file's own */
    char *page;
    bool nonblock;
};

static int64_t *own_position(struct file *file, int64_t *pos, int64_t *unused)
{
    if (pos)
        return pos;
    return file->ops->seek ? &file->position : unused;
}

/* All of the page, whatever O_NONBLOCK says: the bytes are ours now. */
static long relay_write(struct relay *relay, size_t len)
{
    int64_t unused = 0;
    size_t done = 0;

    while (done < len) {
        struct io io;
        io_init_kernel(&io, relay->page + done, len - done);
        long n = relay->out->ops->write(relay->out, &io,
                                        own_position(relay->out, relay->out_pos, &unused));
        if (n <= 0)
            return done ? (long)done : n;
        done += (size_t)n;
    }
    return (long)done;
}

/* Takes n bytes, which were peeked at before, out of the stream. */
static void relay_consume(struct relay *relay, size_t n)
{
    int64_t unused = 0;
    struct io io;

    io_init_kernel(&io, relay->page, n);
    io.nonblock = true;
    (void)relay->in->ops->read(relay->in, &io, &unused);
}

/* From a pipe: only what the other side took is consumed.  0: there is nothing to peek at. */
static long relay_peeked(struct relay *relay, size_t len, bool nonblock)
{
    int64_t unused = 0;
    struct io io;
    int err = wait_ready(relay->in, ABI_POLLIN, nonblock);

    if (err)
        return err;
    io_init_kernel(&io, relay->page, MIN(len, PAGE_SIZE));
    long n = relay->in->ops->peek(relay->in, &io, 0);
    if (n <= 0)
        return n;
    io_init_kernel(&io, relay->page, (size_t)n);
    io.nonblock = nonblock;
    n = relay->out->ops->write(relay->out, &io, own_position(relay->out, relay->out_pos, &unused));
    if (n > 0)
        relay_consume(relay, (size_t)n);
    return n;
}

/* One page at most; is_first: it may wait for input. */
static long relay_step(struct relay *relay, size_t len, bool is_first)
{
    int64_t unused = 0;
    struct io io;
    int err = wait_ready(relay->out, ABI_POLLOUT, relay->nonblock || !is_first);

    if (err)
        return err;
    if (relay->in->ops->peek) {
        long peeked = relay_peeked(relay, len, relay->nonblock || !is_first);
        if (peeked)
            return peeked;
    }
    io_init_kernel(&io, relay->page, MIN(len, PAGE_SIZE));
    io.nonblock = relay->nonblock || !is_first || relay->in->flags & ABI_O_NONBLOCK;
    long n = relay->in->ops->read(relay->in, &io, own_position(relay->in, relay->in_pos, &unused));
    return n > 0 ? relay_write(relay, (size_t)n) : n;
}

static long relay_run(struct relay *relay, size_t len)
{
    size_t done = 0;
    long n = 0;

    if (!relay->in->ops->read || !relay->out->ops->write)
        return -EINVAL;
    relay->page = kmalloc(PAGE_SIZE, ALLOC_WAIT);
    if (!relay->page)
        return -ENOMEM;
    while (done < len) {
        n = relay_step(relay, len - done, done == 0);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    kfree(relay->page);
    return done ? (long)done : n;
}

/* ---- sendfile ---------------------------------------------------------------------------------------- */

static int check_range(int64_t pos, size_t *len)
{
    if (pos < 0)
        return -EINVAL;
    *len = MIN(*len, LENGTH_MAX);
    return pos > INT64_MAX - (int64_t)*len ? -EINVAL : 0;
}

static long send(struct file *in, int64_t *in_pos, struct file *out, int64_t *out_pos, size_t len)
{
    if (in->inode->cache)
        return send_from_cache(in, in_pos, out, out_pos, len);
    struct relay relay = { .in = in, .out = out, .in_pos = in_pos, .out_pos = out_pos };
    return relay_run(&relay, len);
}

static long sendfile_files(struct file *out, struct file *in, int64_t *pos, size_t count)
{
    unsigned type = in->inode->mode & ABI_S_IFMT;

    if (!file_can_read(in) || !file_can_write(out))
        return -EBADF;
    if (type != ABI_S_IFREG && type != ABI_S_IFBLK)
        return -EINVAL;
    if (out->flags & ABI_O_APPEND || !out->ops->write || !in->ops->read)
        return -EINVAL;
    int err = check_range(*pos, &count);
    return err ? err : send(in, pos, out, NULL, count);
}

static long sendfile_at(int out_fd, struct file *in, int64_t *pos, size_t count)
{
    struct file *out = fd_get(out_fd);

    if (!out)
        return -EBADF;
    long n = sendfile_files(out, in, pos, count);
    file_put(out);
    return n;
}

long sys_sendfile(int out_fd, int in_fd, void __app *offset, size_t count)
{
    struct file *in = fd_get(in_fd);
    int64_t pos;
    long n;

    if (!in)
        return -EBADF;
    if (!offset) {
        pos = in->position;
        n = sendfile_at(out_fd, in, &pos, count);
        if (n > 0)
            in->position = pos;
    } else if (copy_from_app(&pos, offset, sizeof(pos))) {
        n = -EFAULT;
    } else if (!in->ops->seek) {
        n = -ESPIPE;
    } else {
        n = sendfile_at(out_fd, in, &pos, count);
        if (n > 0 && copy_to_app(offset, &pos, sizeof(pos)))
            n = -EFAULT;
    }
    file_put(in);
    return n;
}

/* ---- copy_file_range ----------------------------------------------------------------------------------- */

static long copy_range(struct file *in, int64_t *in_pos, struct file *out, int64_t *out_pos,
                       size_t len)
{
    if (inode_is_dir(in->inode) || inode_is_dir(out->inode))
        return -EISDIR;
    if ((in->inode->mode & ABI_S_IFMT) != ABI_S_IFREG ||
        (out->inode->mode & ABI_S_IFMT) != ABI_S_IFREG)
        return -EINVAL;
    if (!file_can_read(in) || !file_can_write(out) || out->flags & ABI_O_APPEND)
        return -EBADF;
    int err = check_range(*in_pos, &len);
    if (!err)
        err = check_range(*out_pos, &len);
    if (err)
        return err == -EINVAL && *in_pos >= 0 && *out_pos >= 0 ? -EOVERFLOW : err;
    uint64_t size = READ_ONCE(in->inode->size);
    if ((uint64_t)*in_pos >= size)
        return 0;
    len = (size_t)MIN((uint64_t)len, size - (uint64_t)*in_pos);
    if (in->inode == out->inode && *in_pos < *out_pos + (int64_t)len &&
        *out_pos < *in_pos + (int64_t)len)
        return -EINVAL;
    return len ? send(in, in_pos, out, out_pos, len) : 0;
}

/* An optional offset in application memory, else the file's own position. */
static int offset_get(const struct file *file, const void __app *offset, int64_t *pos)
{
    if (offset)
        return copy_from_app(pos, offset, sizeof(*pos));
    *pos = file->position;
    return 0;
}

static int offset_set(struct file *file, void __app *offset, int64_t pos)
{
    if (offset)
        return copy_to_app(offset, &pos, sizeof(pos));
    file->position = pos;
    return 0;
}

static long copy_range_offsets(struct file *in, void __app *in_offset, struct file *out,
                               void __app *out_offset, size_t len)
{
    int64_t in_pos;
    int64_t out_pos;
    long n = -EFAULT;

    if (!offset_get(in, in_offset, &in_pos) && !offset_get(out, out_offset, &out_pos))
        n = copy_range(in, &in_pos, out, &out_pos, len);
    if (n > 0 && (offset_set(in, in_offset, in_pos) || offset_set(out, out_offset, out_pos)))
        n = -EFAULT;
    return n;
}

long sys_copy_file_range(int in_fd, void __app *in_offset, int out_fd, void __app *out_offset,
                         size_t len, unsigned flags)
{
    struct file *in = fd_get(in_fd);
    struct file *out = fd_get(out_fd);
    long n = -EBADF;

    if (in && out)
        n = flags ? -EINVAL : copy_range_offsets(in, in_offset, out, out_offset, len);
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return n;
}

/* ---- splice ---------------------------------------------------------------------------------------------- */

static long splice_offsets(struct file *in, void __app *in_offset, struct file *out,
                           void __app *out_offset, size_t len, unsigned flags)
{
    int64_t in_pos;
    int64_t out_pos;
    struct relay relay = { .in = in, .out = out, .nonblock = flags & ABI_SPLICE_F_NONBLOCK };

    if (in_offset) {
        if (copy_from_app(&in_pos, in_offset, sizeof(in_pos)))
            return -EFAULT;
        relay.in_pos = &in_pos;
    }
    if (out_offset) {
        if (copy_from_app(&out_pos, out_offset, sizeof(out_pos)))
            return -EFAULT;
        relay.out_pos = &out_pos;
    }
    if ((in_offset && in_pos < 0) || (out_offset && out_pos < 0))
        return -EINVAL;
    if (!file_is_pipe(out) && out->flags & ABI_O_NONBLOCK)
        relay.nonblock = true;
    long n = relay_run(&relay, len);
    if (n > 0 && ((in_offset && copy_to_app(in_offset, &in_pos, sizeof(in_pos))) ||
                  (out_offset && copy_to_app(out_offset, &out_pos, sizeof(out_pos)))))
        return -EFAULT;
    return n;
}

static long splice_files(struct file *in, void __app *in_offset, struct file *out,
                         void __app *out_offset, size_t len, unsigned flags)
{
    bool from_pipe = file_is_pipe(in);
    bool to_pipe = file_is_pipe(out);

    if (!file_can_read(in) || !file_can_write(out))
        return -EBADF;
    if ((from_pipe && in_offset) || (to_pipe && out_offset))
        return -ESPIPE;
    if (!from_pipe && !to_pipe)
        return -EINVAL;
    if (from_pipe && to_pipe && in->inode == out->inode)
        return -EINVAL;
    if ((in_offset && !in->ops->seek) || (out_offset && !out->ops->seek))
        return -EINVAL;
    if (!to_pipe && out->flags & ABI_O_APPEND)
        return -EINVAL;
    return splice_offsets(in, in_offset, out, out_offset, MIN(len, LENGTH_MAX), flags);
}

long sys_splice(int in_fd, void __app *in_offset, int out_fd, void __app *out_offset, size_t len,
                unsigned flags)
{
    struct file *in;
    struct file *out;
    long n = -EBADF;

    if (len == 0)
        return 0;
    if (flags & ~ABI_SPLICE_F_ALL)
        return -EINVAL;
    in = fd_get(in_fd);
    out = fd_get(out_fd);
    if (in && out)
        n = splice_files(in, in_offset, out, out_offset, len, flags);
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return n;
}

/* ---- tee and vmsplice --------------------------------------------------------------------------------------- */

/* What is in the pipe now, at most as much as the other has room for; nothing is consumed. */
static long tee_bytes(struct file *in, struct file *out, size_t len, bool nonblock)
{
    struct relay relay = { .in = in, .out = out };
    size_t done = 0;
    long n = wait_ready(in, ABI_POLLIN, nonblock);

    if (n)
        return n;
    relay.page = kmalloc(PAGE_SIZE, ALLOC_WAIT);
    if (!relay.page)
        return -ENOMEM;
    while (done < len) {
        struct io io;
        n = wait_ready(out, ABI_POLLOUT, nonblock || done > 0);
        if (n)
            break;
        io_init_kernel(&io, relay.page, MIN(len - done, PAGE_SIZE));
        n = in->ops->peek(in, &io, done);
        if (n > 0)
            n = relay_write(&relay, (size_t)n);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    kfree(relay.page);
    return done ? (long)done : n;
}

static long tee_files(struct file *in, struct file *out, size_t len, unsigned flags)
{
    if (!file_can_read(in) || !file_can_write(out))
        return -EBADF;
    if (!file_is_pipe(in) || !file_is_pipe(out) || in->inode == out->inode || !in->ops->peek)
        return -EINVAL;
    return tee_bytes(in, out, MIN(len, LENGTH_MAX), flags & ABI_SPLICE_F_NONBLOCK);
}

long sys_tee(int in_fd, int out_fd, size_t len, unsigned flags)
{
    struct file *in;
    struct file *out;
    long n = -EBADF;

    if (flags & ~ABI_SPLICE_F_ALL)
        return -EINVAL;
    if (len == 0)
        return 0;
    in = fd_get(in_fd);
    out = fd_get(out_fd);
    if (in && out)
        n = tee_files(in, out, len, flags);
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return n;
}

long sys_vmsplice(int fd, const void __app *vector, unsigned long count, unsigned flags)
{
    struct file *file;
    struct io io;

    if (flags & ~ABI_SPLICE_F_ALL)
        return -EINVAL;
    file = fd_get(fd);
    if (!file)
        return -EBADF;
    long n = file_is_pipe(file) ? io_init_vector(&io, vector, count) : -EBADF;
    if (!n) {
        io.nonblock = flags & ABI_SPLICE_F_NONBLOCK;
        n = file_can_write(file) ? file_write(file, &io, NULL) : file_read(file, &io, NULL);
        io_fini(&io);
    }
    file_put(file);
    return n;
}
