// SPDX-License-Identifier: MIT
#pragma once
/*
 * Open files, and descriptors.  Whatever a descriptor refers to is a struct file with ops:
 * regular files, pipes, sockets, epoll, ...  A kind of file with state of its own embeds struct
 * file in a larger struct or hangs it on private.
 *
 * Data moves through a struct io: a list of pieces in application memory (or in kernel memory),
 * consumed from the front.  One read/write op so serves read, readv, pread, sendfile and the loader.
 */
#include "fs/dcache.h"
#include "fs/owner.h"
#include "kernel/poll.h"
#include "kernel/process_files.h"
#include "lib/compiler.h"

struct epoll_item;
struct text;
struct file_async;
struct fdtable;

/* An iovec as readv(2) passes it. */
struct abi_iovec {
    uint64_t base;
    uint64_t len;
};

#define IO_INLINE_PIECES 8
#define IOV_MAX_PIECES   1024

struct io {
    struct abi_iovec *piece; /* the current one; consumed ones are behind */
    unsigned npieces;
    size_t remaining; /* bytes in all pieces */
    bool is_app;      /* application memory; else kernel memory */
    bool nonblock;    /* this call must not block (O_NONBLOCK, RWF_NOWAIT, MSG_DONTWAIT) */
    bool append;      /* this write goes to the end (RWF_APPEND) */
    bool
        is_pages; /* pieces lie in single frames of the direct map: a writer may keep references to them */
    bool has_more;   /* another write follows at once (MSG_MORE) */
    bool is_outside; /* the one buffer cannot be the application's: -EFAULT before any wait */
    struct abi_iovec *allocated;
    struct abi_iovec inline_piece[IO_INLINE_PIECES];
};

/* One buffer.  Lengths over 0x7ffff000 are cut to that, as Linux does. */
void io_init_app(struct io *io, void __app *base, size_t len);
void io_init_kernel(struct io *io, const void *base, size_t len);
static inline bool io_is_possible(const struct io *io)
{
    return !io->is_outside;
}
/* From an array of iovecs in application memory: -EINVAL, -EFAULT, -ENOMEM.  io_fini() frees. */
int io_init_vector(struct io *io, const void __app *vector, unsigned long count) __must_check;
void io_fini(struct io *io);
/* Moves up to len bytes and advances; bytes moved (short only at the end of io or a bad address;
 * then -EFAULT if nothing moved). */
long io_write_to(struct io *io, const void *from, size_t len); /* a read(): kernel -> io */
long io_read_from(struct io *io, void *to, size_t len);        /* a write(): io -> kernel */
/* The same without advancing, for writers that do not know yet how much will be taken. */
long io_peek_from(const struct io *io, void *to, size_t len);
long io_zero(struct io *io, size_t len);
void io_advance(struct io *io, size_t len);
/* The first piece as one pointer and length, for code that copies pages itself. */
void *io_front(const struct io *io, size_t *len);

struct dir_context {
    /* Called for each entry; false: the buffer is full, stop before this entry. */
    bool (*emit)(struct dir_context *context, const char *name, size_t len, uint64_t ino,
                 unsigned type, int64_t next_pos);
    int64_t pos;
};

/* "." at position 0 and ".." at 1; true when both are out. */
bool dir_emit_dots(struct file *file, struct dir_context *context);

struct file_ops {
    /* pos: the offset to use and advance; for streams it is ignored.  Bytes or -errno; bytes
     * already moved win over an error.  -ERESTARTSYS when a signal ended the wait. */
    long (*read)(struct file *file, struct io *io, int64_t *pos);
    long (*write)(struct file *file, struct io *io, int64_t *pos);
    /* The new position, which it also stores; position_lock is held.  NULL: -ESPIPE. */
    int64_t (*seek)(struct file *file, int64_t offset, int whence);
    /* The events (abi/poll.h) that hold now.  NULL: always readable and writable. */
    unsigned (*poll)(struct file *file);
    long (*ioctl)(struct file *file, unsigned command, unsigned long arg); /* -ENOTTY */
    /* Fills args->cache, or sets is_zero; NULL: -ENODEV. */
    int (*mmap)(struct file *file, unsigned prot, unsigned flags, struct pagecache **cache,
                bool *is_zero);
    /* The same for what has several caches: *offset is what mmap(2) was asked for, then bytes into *cache.
     * -EINVAL: not so much there. */
    int (*mmap_at)(struct file *file, size_t length, uint64_t *offset, struct pagecache **cache);
    /* Emits the entries from context->pos on and advances it; "." and ".." by dir_emit_dots(). */
    int (*iterate)(struct file *file, struct dir_context *context);
    /* A stream's bytes from offset on without consuming them (tee, splice); 0: not so many there.
     * Never blocks.  NULL: cannot. */
    long (*peek)(struct file *file, struct io *io, size_t offset);
    int (*open)(struct inode *inode, struct file *file);
    void (*flush)(struct file *file);   /* each close() of a descriptor */
    void (*release)(struct file *file); /* the last reference */
    int (*fsync)(struct file *file, bool data_only);
    int (*fallocate)(struct file *file, int mode, int64_t offset, int64_t len);
    int (*set_flags)(struct file *file, unsigned flags); /* F_SETFL; NULL: just stored */
    /* The kernel's datagram for whoever reads the descriptor, from any context; size 0 only asks whether it could
     * be (-EINVAL).  NULL: no socket. */
    int (*deliver)(struct file *file, const void *data, size_t size);
    /* A line for /proc/self/fdinfo and the text of the /proc/self/fd link ("socket:[7]"); NULL:
     * the path, or "anon_inode:[kind]" by kind. */
    int (*link_text)(struct file *file, char *buf, size_t size);
    /* More lines of /proc/self/fdinfo.  NULL: none. */
    void (*info)(struct file *file, struct text *text);
    const char *kind; /* "eventfd", "eventpoll": anonymous inodes */
    bool is_async;    /* O_ASYNC has an effect: fs/async.h */
    bool is_memory;   /* no position and no atime, as Linux's drivers/char/mem.c */
    /* A file whose readiness is the running process's own: what tells of that.  NULL: file->poll_head does. */
    struct poll_head *(*own_poll_head)(void);
    int (*own_default)(
        struct file *file); /* O_ASYNC gives it an owner; NULL: it has none by itself */
};

struct file {
    unsigned refcount;          /* [a] */
    const struct file_ops *ops; /* [i] */
    unsigned flags;             /* [a] O_ACCMODE, O_APPEND, O_NONBLOCK, ... (abi/fcntl.h) */
    struct path path;           /* [i] empty for anonymous files */
    struct inode *inode;        /* [i] with a reference; anonymous files share one inode per kind */
    struct mutex position_lock; /* RANK_FILE_POSITION */
    int64_t position;
    struct poll_head *poll_head; /* [i] NULL: readiness never changes */
    void *private;               /* [i] the kind's own */
    struct file_owner owner;
    struct file_async *async;       /* fs/async.c; NULL: without O_ASYNC */
    bool is_writer;                 /* [i] counts as one in inode->nwriters */
    bool is_program;                /* a program runs from it: the same, negative */
    uint8_t naccesses;              /* about: file_accessed() */
    uint64_t id;                    /* for "pipe:[id]", kcmp */
    struct epoll_item *epoll_items; /* [a] fs/epoll.c: who watches it; NULL: nobody */
};

/* What tells the running process of the file's readiness; NULL: that never changes. */
static inline struct poll_head *file_poll_head(const struct file *file)
{
    return file->ops->own_poll_head ? file->ops->own_poll_head() : file->poll_head;
}

/* file may be read or written by its descriptor: not opened by O_PATH, and the access mode fits. */
bool file_can_read(const struct file *file);
bool file_can_write(const struct file *file);

/* An anonymous file (no name in the tree) with a reference; ops->kind names it. */
int file_create(const struct file_ops *ops, void *private, unsigned flags,
                struct file **out) __must_check;
/* The same with an inode of its own of that mode (sockets: fstat tells S_IFSOCK). */
int file_create_with_inode(const struct file_ops *ops, void *private, unsigned flags, unsigned mode,
                           struct file **out) __must_check;
/* It has no inode of its own but the one that all anonymous files share. */
bool file_is_anonymous(const struct file *file);
/* A place to open the file's inode anew from (/proc/self/fd/N followed): the file's path, or for
 * an anonymous file a dentry of its own; opening that asks inode->file_ops.  References taken. */
int file_place(struct file *file, struct path *out) __must_check;
/* Opens a place that exists.  Consumes nothing; takes its own references.  Checks types and mount
 * flags, not permission: open(2) and execve(2) differ in that. */
int file_open_path(const struct path *path, unsigned flags, struct file **out) __must_check;
/* From now on nobody may open or truncate the file to write (-ETXTBSY: somebody has), until the end or the last
 * file_put().  For the one who opened it. */
int file_begin_program(struct file *file) __must_check;
void file_end_program(struct file *file);
/* The whole open(2) from a kernel string. */
int file_open(int dirfd, const char *name, unsigned flags, unsigned mode,
              struct file **out) __must_check;
/* Checks access mode and ops, then calls them.  pos NULL: the file's own position, locked. */
long file_read(struct file *file, struct io *io, int64_t *pos);
long file_write(struct file *file, struct io *io, int64_t *pos);
/* Kernel-memory shorthand for the loader: exactly as read(2). */
long file_read_kernel(struct file *file, void *buf, size_t len, int64_t pos);
unsigned file_poll(struct file *file);
unsigned file_count(void); /* open files of the whole machine */
/* F_SETFL and FIONBIO, but for O_ASYNC: the flags of mask become those of flags. */
long file_change_flags(struct file *file, unsigned mask, unsigned flags);
/* seek() of a file of size bytes without holes in what it knows. */
int64_t file_seek_in(struct file *file, int64_t offset, int whence, uint64_t size);
/* How many of len bytes may be written at pos, by RLIMIT_FSIZE (and SIGXFSZ) and by what a file can hold; -EFBIG. */
long file_write_limit(uint64_t pos, size_t len);
/* A call that changed or used the file: relative atime, inotify. */
void file_accessed(struct file *file);

/* ---- Descriptors (fs/fdtable.c); those of the running process ---- */

/* With a reference; NULL: -EBADF.  An O_PATH descriptor counts as bad but for fd_get_raw(). */
struct file *fd_get(int fd);
struct file *fd_get_raw(int fd);
/* fd is a descriptor of file still: whatever closes it will see what was done before. */
bool fd_means(int fd, const struct file *file);
/* The lowest free descriptor from min on gets file (a reference is taken over on success).
 * -EMFILE, -ENOMEM. */
int fd_install(struct file *file, bool close_on_exec, int min) __must_check;
/* Two steps, for calls that must not fail after the file exists (accept, pipe2). */
int fd_reserve(int min) __must_check;
void fd_fill(int fd, struct file *file, bool close_on_exec);
void fd_unreserve(int fd);
/* Puts file at exactly fd, closing what is there (dup2). */
int fd_replace(int fd, struct file *file, bool close_on_exec) __must_check;
int fd_close(int fd);
/* FD_CLOEXEC of an open descriptor: 0, 1 or -EBADF. */
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool close_on_exec);
/* close_range(2): closes, or marks close-on-exec, what is open of first..last. */
void fd_close_range(unsigned first, unsigned last, bool only_mark);
/* Visits the open descriptors in order (/proc/PID/fd); stops on false. */
void fdtable_for_each(struct fdtable *files, bool (*visit)(int fd, struct file *file, void *arg),
                      void *arg);
struct file *fdtable_file(struct fdtable *files, int fd); /* with a reference */
