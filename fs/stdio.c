// SPDX-License-Identifier: MIT
/*
 * Descriptors 0-2 of the program.
 *
 * What is not a terminal for the tool is a stream: it looks like a pipe and hands bytes to and from a
 * channel of the console as they are.  A write is one copy to a kernel buffer and one call
 * of the channel; what the host has not taken yet makes the writer wait.
 */
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/pipe.h"
#include "fs/tty.h"
#include "fs/tty_console.h"
#include "kernel/console.h"
#include "kernel/mm/heap.h"

#define SMALL 512
#define LARGE 65536u

static enum console_channel channel_of(const struct file *file)
{
    return (enum console_channel)((uintptr_t)file->private - 1);
}

/* A buffer for len bytes at most: the caller's small one, or one that must be freed. */
static char *buffer_get(char *small, size_t len, size_t *size)
{
    *size = SMALL;
    if (len <= SMALL)
        return small;
    size_t large = MIN(len, (size_t)LARGE);
    char *buffer = kmalloc(large, ALLOC_WAIT);
    if (!buffer)
        return small; /* slower, but it works */
    *size = large;
    return buffer;
}

static long result_of(long err)
{
    if (err == -EPIPE)
        pipe_raise_signal();
    return err == -EINTR ? -ERESTARTSYS : err;
}

static long stream_write(struct file *file, struct io *io, int64_t *pos)
{
    char small[SMALL];
    size_t size;
    char *buffer = buffer_get(small, io->remaining, &size);
    long total = 0;
    while (io->remaining > 0) {
        long len = io_peek_from(io, buffer, MIN(size, io->remaining));
        long moved =
            len < 0 ? len : console_write(channel_of(file), buffer, (size_t)len, io->nonblock);
        if (moved < 0) {
            total = total ? total : result_of(moved);
            break;
        }
        io_advance(io, (size_t)moved);
        total += moved;
        if (moved < len)
            break;
    }
    if (buffer != small)
        kfree(buffer);
    return total;
}

static long stream_read(struct file *file, struct io *io, int64_t *pos)
{
    char small[SMALL];
    size_t size;
    if (io->remaining == 0)
        return 0;
    char *buffer = buffer_get(small, io->remaining, &size);
    long len = console_read(channel_of(file), buffer, MIN(size, io->remaining), io->nonblock);
    len = len > 0 ? io_write_to(io, buffer, (size_t)len) : result_of(len);
    if (buffer != small)
        kfree(buffer);
    return len;
}

static unsigned stream_poll(struct file *file)
{
    return console_poll(channel_of(file));
}

static int stream_open(struct inode *inode, struct file *file)
{
    file->private = inode->private;
    file->poll_head = console_poll_head(channel_of(file));
    return 0;
}

static const struct file_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .open = stream_open,
    .link_text = pipe_link_text,
    .kind = "pipe",
};

static int stream_create(enum console_channel channel, unsigned flags, struct file **out)
{
    struct inode *inode;
    int err = pipe_inode_create(&stream_ops, &inode);
    if (err)
        return err;
    inode->private = (void *)((uintptr_t)channel + 1);
    err = file_create(&stream_ops, inode->private, flags, out);
    if (err) {
        inode_put(inode);
        return err;
    }
    inode_put((*out)->inode);
    (*out)->inode = inode;
    return stream_open(inode, *out);
}

/* ---- Installation -------------------------------------------------------------------- */

/* Descriptors that are the terminal share one open file, as a login leaves them. */
static int terminal_open(const enum manifest_stdio stdio[3], struct file **terminal)
{
    bool is_used = false;
    for (int fd = 0; fd < 3; fd++)
        is_used |= stdio[fd] == STDIO_TTY;
    enum console_channel output = stdio[1] == STDIO_TTY ? CONSOLE_STDOUT : CONSOLE_STDERR;
    int err = tty_console_start(stdio[0] == STDIO_TTY, output);
    if (err || !is_used)
        return err;
    return file_open(ABI_AT_FDCWD, "/dev/console", ABI_O_RDWR, 0, terminal);
}

static int stdio_open(int fd, enum manifest_stdio kind, struct file *terminal, struct file **out)
{
    unsigned access = fd == 0 ? ABI_O_RDONLY : ABI_O_WRONLY;
    switch (kind) {
    case STDIO_TTY:
        *out = file_get(terminal);
        return 0;
    case STDIO_NULL:
        return file_open(ABI_AT_FDCWD, "/dev/null", access, 0, out);
    default:
        return stream_create((enum console_channel)(CONSOLE_STDIN + fd), access, out);
    }
}

int stdio_install(const enum manifest_stdio stdio[3])
{
    struct file *terminal = NULL;
    int err = terminal_open(stdio, &terminal);
    for (int fd = 0; fd < 3 && !err; fd++) {
        struct file *file;
        err = stdio_open(fd, stdio[fd], terminal, &file);
        if (err)
            break;
        int result = fd_install(file, false, fd);
        if (result < 0) {
            file_put(file);
            err = result;
        }
    }
    if (terminal)
        file_put(terminal);
    return err;
}
