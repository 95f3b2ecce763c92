// SPDX-License-Identifier: MIT
/*
 * Pipes and FIFOs.
 *
 * A pipe is a byte ring of pages between open files, so dup(), poll() and close() need no code here.
 * It hangs on an inode: of its own for pipe(2), the FIFO's for a name.  Pages come with the first byte
 * written to them and go when the ring is empty again, so an idle pipe costs nothing.
 *
 * A write of PIPE_BUF bytes or fewer must appear whole (POSIX write(2)), so such a writer
 * waits for room for all of it; a longer write copies what fits.  In packet mode (O_DIRECT) each
 * write is kept apart by a length in front of its bytes.
 *
 * Locking: pipe->lock covers the ring.  It is a mutex and not a spinlock because it is held while
 * copying to and from the application, and that copy may fault.  inode->lock covers inode->pipe.
 */
#include "fs/pipe.h"

#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "abi/termios.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "lib/format.h"

#define PIPE_PAGES_DEFAULT 16u

unsigned long pipe_max_size = 1048576;

/* [p] pipe->lock  [w] pipe->lock, and read without it by those who wait  [n] inode->lock */
struct pipe {
    struct mutex lock;
    struct frame **page;   /* [p] npages of them, each NULL until it holds bytes */
    unsigned npages;       /* [p] */
    size_t start;          /* [p] where the oldest byte is in the ring */
    size_t used;           /* [w] bytes in the ring */
    unsigned nreaders;     /* [w] open files that read */
    unsigned nwriters;     /* [w] */
    unsigned reader_opens; /* [w] ever: an open() that waits for the other end sees it come */
    unsigned writer_opens; /* [w] */
    unsigned nfiles;       /* [n] */
    bool is_packet;        /* set at creation */
    struct poll_head poll; /* of both ends */
    struct wait_queue readers;
    struct wait_queue writers;
};

static size_t pipe_capacity(const struct pipe *pipe)
{
    return (size_t)READ_ONCE(pipe->npages) * PAGE_SIZE;
}

static struct pipe *pipe_of(const struct file *file)
{
    return file->private;
}

/* ---- The ring ---------------------------------------------------------------- */

/* The memory of ring position at, and how much of it is contiguous; NULL: no memory. */
static char *ring_place(struct pipe *pipe, size_t at, size_t *contiguous)
{
    at %= pipe_capacity(pipe);
    struct frame **page = &pipe->page[at / PAGE_SIZE];
    if (!*page)
        *page = frame_alloc(0, ALLOC_WAIT);
    if (!*page)
        return NULL;
    *contiguous = PAGE_SIZE - at % PAGE_SIZE;
    return (char *)frame_address(*page) + at % PAGE_SIZE;
}

/* Appends len bytes of io, for which there is room.  Bytes, or -errno if none. */
static long ring_put(struct pipe *pipe, struct io *io, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t part = 0;
        char *place = ring_place(pipe, pipe->start + pipe->used, &part);
        if (!place)
            return done ? (long)done : -ENOMEM;
        long moved = io_read_from(io, place, MIN(part, len - done));
        if (moved < 0)
            return done ? (long)done : moved;
        WRITE_ONCE(pipe->used, pipe->used + moved);
        done += moved;
        if ((size_t)moved < MIN(part, len - (done - moved)))
            break;
    }
    return (long)done;
}

/* Copies len bytes that begin offset bytes behind the oldest; nothing is consumed. */
static long ring_peek(struct pipe *pipe, size_t offset, struct io *io, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t part = 0;
        char *place = ring_place(pipe, pipe->start + offset + done, &part);
        if (!place)
            return done ? (long)done : -ENOMEM; /* cannot be: bytes are there */
        part = MIN(part, len - done);
        long moved = io_write_to(io, place, part);
        if (moved < 0)
            return done ? (long)done : moved;
        done += moved;
        if ((size_t)moved < part)
            break;
    }
    return (long)done;
}

/* Drops all pages but one, which the next small write will want. */
static void ring_trim(struct pipe *pipe)
{
    pipe->start = 0;
    for (unsigned i = 1; i < pipe->npages; i++) {
        if (pipe->page[i])
            frame_put(pipe->page[i]);
        pipe->page[i] = NULL;
    }
}

static void ring_consume(struct pipe *pipe, size_t len)
{
    pipe->start = (pipe->start + len) % pipe_capacity(pipe);
    WRITE_ONCE(pipe->used, pipe->used - len);
    if (pipe->used == 0)
        ring_trim(pipe);
}

static void ring_free(struct pipe *pipe)
{
    for (unsigned i = 0; i < pipe->npages; i++) {
        if (pipe->page[i])
            frame_put(pipe->page[i]);
    }
    kfree(pipe->page);
}

/* ---- Packets (pipe(2), O_DIRECT) ----------------------------------------------- */

static long packet_put(struct pipe *pipe, struct io *io, size_t len)
{
    size_t before = pipe->used;
    uint32_t header = (uint32_t)len;
    struct io header_io;
    io_init_kernel(&header_io, &header, sizeof(header));
    long moved = ring_put(pipe, &header_io, sizeof(header));
    if (moved == (long)sizeof(header))
        moved = ring_put(pipe, io, len);
    else if (moved >= 0)
        moved = -ENOMEM;
    if (moved != (long)len) { /* a packet is whole or it is not there */
        WRITE_ONCE(pipe->used, before);
        return moved < 0 ? moved : -EFAULT;
    }
    return moved;
}

static long packet_take(struct pipe *pipe, struct io *io)
{
    uint32_t header = 0;
    struct io header_io;
    io_init_kernel(&header_io, &header, sizeof(header));
    long moved = ring_peek(pipe, 0, &header_io, sizeof(header));
    if (moved != (long)sizeof(header))
        return -EIO;
    moved = ring_peek(pipe, sizeof(header), io, MIN((size_t)header, io->remaining));
    if (moved >= 0)
        ring_consume(pipe, sizeof(header) + header); /* what did not fit is lost */
    return moved;
}

/* ---- Reading and writing --------------------------------------------------------- */

static bool can_read(struct pipe *pipe)
{
    return READ_ONCE(pipe->used) != 0 || READ_ONCE(pipe->nwriters) == 0;
}

static long pipe_take_locked(struct pipe *pipe, struct io *io)
{
    if (pipe->is_packet)
        return packet_take(pipe, io);
    long moved = ring_peek(pipe, 0, io, MIN(pipe->used, io->remaining));
    if (moved > 0)
        ring_consume(pipe, moved);
    return moved;
}

static long pipe_read(struct file *file, struct io *io, int64_t *pos)
{
    struct pipe *pipe = pipe_of(file);
    if (io->remaining == 0)
        return 0;
    for (;;) {
        mutex_lock(&pipe->lock);
        if (pipe->used != 0) {
            long moved = pipe_take_locked(pipe, io);
            mutex_unlock(&pipe->lock);
            wake_all(&pipe->writers);
            poll_wake(&pipe->poll, ABI_POLLOUT | ABI_POLLWRNORM);
            return moved;
        }
        bool is_over = pipe->nwriters == 0;
        mutex_unlock(&pipe->lock);
        if (is_over)
            return 0;
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&pipe->readers, can_read(pipe), DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
}

/* For tee() and splice(); packets are not looked into. */
static long pipe_peek(struct file *file, struct io *io, size_t offset)
{
    struct pipe *pipe = pipe_of(file);
    long moved = 0;
    mutex_lock(&pipe->lock);
    if (pipe->is_packet)
        moved = -EINVAL;
    else if (pipe->used > offset)
        moved = ring_peek(pipe, offset, io, MIN(pipe->used - offset, io->remaining));
    mutex_unlock(&pipe->lock);
    return moved;
}

/* Room that a writer of len bytes waits for: all of a small write, anything for a large one. */
static size_t room_needed(const struct pipe *pipe, size_t len)
{
    if (pipe->is_packet)
        return MIN(len, (size_t)PIPE_ATOMIC_BYTES) + sizeof(uint32_t);
    return len <= PIPE_ATOMIC_BYTES ? len : 1;
}

static size_t pipe_room(struct pipe *pipe)
{
    size_t used = READ_ONCE(pipe->used), capacity = pipe_capacity(pipe);
    return capacity > used ? capacity - used : 0;
}

void pipe_raise_signal(void)
{
    struct thread *thread = thread_current();
    if (!thread->process)
        return; /* a kernel thread */
    struct abi_siginfo info = { .si_signo = ABI_SIGPIPE, .si_code = ABI_SI_USER };
    info.si_pid = thread->process->pid;
    info.si_uid = thread->process->creds.uid;
    (void)signal_send_thread(thread, ABI_SIGPIPE, &info);
}

/* One turn of a write with the lock held: bytes moved, 0: no room, or -errno. */
static long pipe_put_locked(struct pipe *pipe, struct io *io, size_t needed)
{
    if (pipe->nreaders == 0) {
        pipe_raise_signal();
        return -EPIPE;
    }
    size_t room = pipe_room(pipe);
    if (room < needed)
        return 0;
    if (pipe->is_packet)
        return packet_put(pipe, io, MIN(io->remaining, (size_t)PIPE_ATOMIC_BYTES));
    return ring_put(pipe, io, MIN(room, io->remaining));
}

static long pipe_write(struct file *file, struct io *io, int64_t *pos)
{
    struct pipe *pipe = pipe_of(file);
    size_t len = io->remaining;
    long total = 0;
    while (io->remaining > 0) {
        size_t needed = room_needed(pipe, pipe->is_packet ? io->remaining : len);
        mutex_lock(&pipe->lock);
        long moved = pipe_put_locked(pipe, io, needed);
        mutex_unlock(&pipe->lock);
        if (moved > 0) {
            total += moved;
            wake_all(&pipe->readers);
            poll_wake(&pipe->poll, ABI_POLLIN | ABI_POLLRDNORM);
            continue;
        }
        if (moved < 0)
            return total ? total : moved;
        if (io->nonblock)
            return total ? total : -EAGAIN;
        bool is_small = len <= PIPE_ATOMIC_BYTES && total > 0; /* the rest after a bad address */
        if (is_small)
            return total;
        if (wait_on(&pipe->writers, pipe_room(pipe) >= needed || READ_ONCE(pipe->nreaders) == 0,
                    DEADLINE_NONE) != 0)
            return total ? total : -ERESTARTSYS;
    }
    return total;
}

static unsigned pipe_poll(struct file *file)
{
    struct pipe *pipe = pipe_of(file);
    unsigned access = file->flags & ABI_O_ACCMODE, events = 0;
    if (access != ABI_O_WRONLY) {
        if (READ_ONCE(pipe->used) != 0)
            events |= ABI_POLLIN | ABI_POLLRDNORM;
        /* A FIFO opened before any writer came has not been hung up on. */
        if (READ_ONCE(pipe->nwriters) == 0 &&
            (unsigned)file->position != READ_ONCE(pipe->writer_opens))
            events |= ABI_POLLHUP;
    }
    if (access != ABI_O_RDONLY) {
        if (pipe_room(pipe) >= PIPE_ATOMIC_BYTES)
            events |= ABI_POLLOUT | ABI_POLLWRNORM;
        if (READ_ONCE(pipe->nreaders) == 0)
            events |= ABI_POLLERR;
    }
    return events;
}

static long pipe_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct pipe *pipe = pipe_of(file);
    if (command != ABI_FIONREAD)
        return -ENOTTY;
    int count = (int)READ_ONCE(pipe->used);
    return copy_to_app((void __app *)arg, &count, sizeof(count));
}

/* ---- Creation and end --------------------------------------------------------------- */

static struct pipe *pipe_alloc(void)
{
    struct pipe *pipe = kzalloc(sizeof(*pipe), ALLOC_WAIT);
    if (!pipe)
        return NULL;
    pipe->npages = PIPE_PAGES_DEFAULT;
    pipe->page = kcalloc(pipe->npages, sizeof(pipe->page[0]), ALLOC_WAIT);
    if (!pipe->page) {
        kfree(pipe);
        return NULL;
    }
    mutex_init(&pipe->lock, RANK_PIPE);
    poll_head_init(&pipe->poll);
    wait_queue_init(&pipe->readers);
    wait_queue_init(&pipe->writers);
    return pipe;
}

static void pipe_free(struct pipe *pipe)
{
    poll_head_fini(&pipe->poll);
    ring_free(pipe);
    kfree(pipe);
}

/* One open file more, or less; the pipe goes with the last. */
static struct pipe *pipe_join(struct inode *inode)
{
    mutex_lock(&inode->lock);
    if (!inode->pipe)
        inode->pipe = pipe_alloc();
    struct pipe *pipe = inode->pipe;
    if (pipe)
        pipe->nfiles++;
    mutex_unlock(&inode->lock);
    return pipe;
}

static void pipe_leave(struct inode *inode)
{
    mutex_lock(&inode->lock);
    struct pipe *pipe = inode->pipe;
    bool is_last = --pipe->nfiles == 0;
    if (is_last)
        inode->pipe = NULL;
    mutex_unlock(&inode->lock);
    if (is_last)
        pipe_free(pipe);
}

/* What an open() found: the other side may have come and gone again before it looks. */
struct pipe_view {
    unsigned nreaders, nwriters;
    unsigned reader_opens, writer_opens;
};

/* The ends that file opens; waiters of the other side look again. */
static struct pipe_view ends_open(struct pipe *pipe, unsigned access)
{
    mutex_lock(&pipe->lock);
    if (access != ABI_O_WRONLY) {
        WRITE_ONCE(pipe->nreaders, pipe->nreaders + 1);
        WRITE_ONCE(pipe->reader_opens, pipe->reader_opens + 1);
    }
    if (access != ABI_O_RDONLY) {
        WRITE_ONCE(pipe->nwriters, pipe->nwriters + 1);
        WRITE_ONCE(pipe->writer_opens, pipe->writer_opens + 1);
    }
    struct pipe_view view = { pipe->nreaders, pipe->nwriters, pipe->reader_opens,
                              pipe->writer_opens };
    mutex_unlock(&pipe->lock);
    wake_all(&pipe->readers);
    wake_all(&pipe->writers);
    return view;
}

static void ends_close(struct pipe *pipe, unsigned access)
{
    mutex_lock(&pipe->lock);
    if (access != ABI_O_WRONLY)
        WRITE_ONCE(pipe->nreaders, pipe->nreaders - 1);
    if (access != ABI_O_RDONLY)
        WRITE_ONCE(pipe->nwriters, pipe->nwriters - 1);
    bool is_half = pipe->nreaders == 0 || pipe->nwriters == 0;
    mutex_unlock(&pipe->lock);
    if (!is_half)
        return;
    wake_all(&pipe->readers);
    wake_all(&pipe->writers);
    poll_wake(&pipe->poll, ABI_POLLIN | ABI_POLLOUT | ABI_POLLERR | ABI_POLLHUP);
}

static void pipe_release(struct file *file)
{
    struct pipe *pipe = pipe_of(file);
    ends_close(pipe, file->flags & ABI_O_ACCMODE);
    pipe_leave(file->inode);
}

int pipe_link_text(struct file *file, char *buf, size_t size)
{
    return format_string(buf, size, "pipe:[%llu]", (unsigned long long)file->inode->ino);
}

static const struct file_ops pipe_file_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .peek = pipe_peek,
    .open = fifo_open,
    .release = pipe_release,
    .link_text = pipe_link_text,
    .kind = "pipe",
    .is_async = true,
};

static const struct file_ops fifo_file_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .peek = pipe_peek,
    .open = fifo_open,
    .release = pipe_release,
    .kind = "fifo",
    .is_async = true,
};

bool file_is_pipe(const struct file *file)
{
    return file->ops == &pipe_file_ops || file->ops == &fifo_file_ops;
}

/* Pipes of pipe(2) have inodes of a file system that is never mounted, so fstat() tells them apart. */
static const struct file_system pipefs = { .name = "pipefs" };
static const struct superblock_ops pipefs_ops;
static struct superblock pipefs_superblock = { .refcount = 1,
                                               .type = &pipefs,
                                               .ops = &pipefs_ops,
                                               .device = 0xd,
                                               .watches = LIST_INIT(pipefs_superblock.watches),
                                               .next_ino = 1 };

/* fifo(7): an open for reading or writing alone waits for the other side. */
static int fifo_wait_peer(struct pipe *pipe, struct file *file, struct pipe_view found)
{
    unsigned access = file->flags & ABI_O_ACCMODE;
    bool is_nonblock = file->flags & ABI_O_NONBLOCK;
    int err = 0;
    if (access == ABI_O_RDONLY && found.nwriters == 0) {
        file->position = found.writer_opens;
        if (is_nonblock)
            return 0;
        err = wait_on(&pipe->readers, READ_ONCE(pipe->writer_opens) != found.writer_opens,
                      DEADLINE_NONE);
        file->position = (int64_t)found.writer_opens - 1;
    }
    if (access == ABI_O_WRONLY && found.nreaders == 0) {
        if (is_nonblock)
            return -ENXIO;
        err = wait_on(&pipe->writers, READ_ONCE(pipe->reader_opens) != found.reader_opens,
                      DEADLINE_NONE);
    }
    return err ? -ERESTARTSYS : 0;
}

int pipe_inode_create(const struct file_ops *ops, struct inode **out)
{
    int err = inode_create(&pipefs_superblock, ABI_S_IFIFO | 0600, out);
    if (!err)
        (*out)->file_ops = ops;
    return err;
}

int fifo_open(struct inode *inode, struct file *file)
{
    unsigned access = file->flags & ABI_O_ACCMODE;
    bool is_named = inode->sb != &pipefs_superblock; /* /proc/self/fd opens the others, at once */
    struct pipe *pipe = pipe_join(inode);
    if (!pipe)
        return -ENOMEM;
    file->position = -1; /* matches no count of writers: see pipe_poll() */
    struct pipe_view found = ends_open(pipe, access);
    int err = is_named ? fifo_wait_peer(pipe, file, found) : 0;
    if (err) {
        ends_close(pipe, access);
        pipe_leave(inode);
        return err;
    }
    file->ops = is_named ? &fifo_file_ops : &pipe_file_ops;
    file->private = pipe;
    file->poll_head = &pipe->poll;
    return 0;
}

static int end_create(struct inode *inode, unsigned flags, struct file **out)
{
    struct pipe *pipe = pipe_join(inode);
    if (!pipe)
        return -ENOMEM;
    int err = file_create(&pipe_file_ops, pipe, flags, out);
    if (err) {
        pipe_leave(inode);
        return err;
    }
    struct file *file = *out;
    inode_put(file->inode);
    file->inode = inode_get(inode);
    file->poll_head = &pipe->poll;
    file->position = -1;
    (void)ends_open(pipe, flags & ABI_O_ACCMODE);
    return 0;
}

int pipe_create(unsigned flags, struct file **read_end, struct file **write_end)
{
    struct inode *inode;
    int err = pipe_inode_create(&pipe_file_ops, &inode);
    if (err)
        return err;
    err = end_create(inode, ABI_O_RDONLY | flags, read_end);
    if (err)
        goto put_inode;
    pipe_of(*read_end)->is_packet = flags & ABI_O_DIRECT;
    err = end_create(inode, ABI_O_WRONLY | flags, write_end);
    if (err)
        file_put(*read_end);
put_inode:
    inode_put(inode);
    return err;
}

/* ---- F_SETPIPE_SZ --------------------------------------------------------------------- */

/* A full ring that does not begin at a page has its end in the page of its beginning: that end. */
static int resize_split(struct pipe *pipe, struct frame **page, size_t end_bytes)
{
    page[pipe->npages] = frame_alloc(0, ALLOC_WAIT);
    if (!page[pipe->npages])
        return -ENOMEM;
    struct frame *shared = pipe->page[pipe->start / PAGE_SIZE];
    memcpy(frame_address(page[pipe->npages]), frame_address(shared), end_bytes);
    return 0;
}

static int pipe_resize_locked(struct pipe *pipe, unsigned npages)
{
    size_t span = pipe->start % PAGE_SIZE + pipe->used; /* from the first page's start */
    unsigned held = (unsigned)((span + PAGE_SIZE - 1) / PAGE_SIZE);
    if (npages == pipe->npages)
        return 0;
    if (held > npages)
        return -EBUSY;
    struct frame **page = kcalloc(npages, sizeof(page[0]), ALLOC_WAIT);
    if (!page)
        return -ENOMEM;
    if (held > pipe->npages) {
        held = pipe->npages;
        int err = resize_split(pipe, page, span - (size_t)held * PAGE_SIZE);
        if (err) {
            kfree(page);
            return err;
        }
    }
    for (unsigned i = 0; i < held; i++) {
        unsigned from = (pipe->start / PAGE_SIZE + i) % pipe->npages;
        page[i] = pipe->page[from];
        pipe->page[from] = NULL;
    }
    ring_free(pipe);
    pipe->page = page;
    pipe->start %= PAGE_SIZE;
    WRITE_ONCE(pipe->npages, npages);
    return 0;
}

long pipe_set_size(struct file *file, unsigned long size)
{
    if (!file_is_pipe(file))
        return -EBADF;
    if (size > 1UL << 31)
        return -EINVAL;
    unsigned npages = 1;
    while ((size_t)npages * PAGE_SIZE < size)
        npages *= 2;
    struct pipe *pipe = pipe_of(file);
    struct process *process = process_current();
    bool is_privileged = process && process->creds.euid == 0;
    if (npages > pipe->npages && (size_t)npages * PAGE_SIZE > pipe_max_size && !is_privileged)
        return -EPERM;
    mutex_lock(&pipe->lock);
    int err = pipe_resize_locked(pipe, npages);
    mutex_unlock(&pipe->lock);
    if (err)
        return err;
    wake_all(&pipe->writers);
    poll_wake(&pipe->poll, ABI_POLLOUT | ABI_POLLWRNORM);
    return (long)npages * (long)PAGE_SIZE;
}

long pipe_get_size(struct file *file)
{
    return file_is_pipe(file) ? (long)pipe_capacity(pipe_of(file)) : -EBADF;
}
