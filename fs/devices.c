// SPDX-License-Identifier: MIT
/*
 * The character devices that are not terminals: null, zero, full, random, kmsg; and the table of
 * what is behind a device number.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/devfs.h"
#include "fs/pty.h"
#include "fs/tty_internal.h"
#include "kernel/clock.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/usercopy.h"
#include "kernel/wait.h"
#include "lib/format.h"

/* ---- null, zero, full ------------------------------------------------------------------ */

static long null_read(struct file *file, struct io *io, int64_t *pos)
{
    return 0;
}

static long null_write(struct file *file, struct io *io, int64_t *pos)
{
    size_t len = io->remaining;
    io_advance(io, len);
    return (long)len;
}

static int64_t null_seek(struct file *file, int64_t offset, int whence)
{
    file->position = 0;
    return 0;
}

static long zero_read(struct file *file, struct io *io, int64_t *pos)
{
    return io_zero(io, io->remaining);
}

static long full_write(struct file *file, struct io *io, int64_t *pos)
{
    return -ENOSPC;
}

static int zero_mmap(struct file *file, unsigned prot, unsigned flags, struct pagecache **cache,
                     bool *is_zero)
{
    *is_zero = true;
    return 0;
}

static const struct file_ops null_ops = {
    .read = null_read,
    .write = null_write,
    .seek = null_seek,
    .kind = "null",
    .is_memory = true,
};

static const struct file_ops zero_ops = {
    .read = zero_read,
    .write = null_write,
    .seek = null_seek,
    .mmap = zero_mmap,
    .kind = "zero",
    .is_memory = true,
};

static const struct file_ops full_ops = {
    .read = zero_read,
    .write = full_write,
    .seek = null_seek,
    .kind = "full",
    .is_memory = true,
};

/* ---- random, urandom --------------------------------------------------------------------- */

#define RNDGETENTCNT   0x80045200u
#define RNDADDTOENTCNT 0x40045201u
#define RNDADDENTROPY  0x40085203u
#define RNDZAPENTCNT   0x5204u
#define RNDCLEARPOOL   0x5206u
#define RNDRESEEDCRNG  0x5207u

static long random_read(struct file *file, struct io *io, int64_t *pos)
{
    uint8_t chunk[256];
    long total = 0;
    while (io->remaining > 0) {
        size_t len = MIN(sizeof(chunk), io->remaining);
        random_bytes(chunk, len);
        long moved = io_write_to(io, chunk, len);
        if (moved <= 0)
            return total ? total : moved;
        total += moved;
        sched_check();
        if (signal_is_pending() && io->remaining > 0)
            break;
    }
    return total;
}

static long random_write(struct file *file, struct io *io, int64_t *pos)
{
    uint8_t chunk[256];
    long total = 0;
    while (io->remaining > 0) {
        long moved = io_read_from(io, chunk, MIN(sizeof(chunk), io->remaining));
        if (moved <= 0)
            return total ? total : moved;
        entropy_add(chunk, (size_t)moved, 0); /* who writes may know what it was */
        total += moved;
    }
    return total;
}

static unsigned random_poll(struct file *file)
{
    return ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLOUT | ABI_POLLWRNORM;
}

static long random_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    int bits = entropy_is_ready() ? 256 : 0;
    switch (command) {
    case RNDGETENTCNT:
        return copy_to_app((void __app *)arg, &bits, sizeof(bits));
    case RNDRESEEDCRNG:
    case RNDZAPENTCNT:
    case RNDCLEARPOOL:
        return process_is_capable(ABI_CAP_SYS_ADMIN) ? 0 : -EPERM;
    case RNDADDTOENTCNT:
    case RNDADDENTROPY:
        log_warning_once("random: the pool counts only what the kernel itself gathered");
        return -EPERM;
    default:
        return -EINVAL;
    }
}

static int64_t random_seek(struct file *file, int64_t offset, int whence)
{
    return 0;
}

static const struct file_ops random_ops = {
    .read = random_read,
    .write = random_write,
    .seek = random_seek,
    .poll = random_poll,
    .ioctl = random_ioctl,
    .kind = "random",
    .is_memory = true,
};

/* ---- kmsg ----------------------------------------------------------------------------------- */

#define KMSG_RECORD   640
#define KMSG_PATIENCE (200 * NSEC_PER_MSEC)

/* Nobody wakes this: a line may be logged where waking is not possible, so readers look again. */
static struct wait_queue kmsg_wait = WAIT_QUEUE_INIT(kmsg_wait);

static uint64_t number_skip(const char **at)
{
    uint64_t value = 0;
    while (**at == ' ')
        (*at)++;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        value = value * 10 + (uint64_t)(**at - '0');
    return value;
}

/* "<6>[    0.123456] text\n" as /dev/kmsg has it: "6,sequence,microseconds,-;text\n". */
static int kmsg_record(const char *line, uint64_t sequence, char *out, size_t size)
{
    char level = line[1];
    const char *at = line + 4; /* behind "<6>[" */
    uint64_t seconds = number_skip(&at);
    at += *at == '.';
    uint64_t microseconds = number_skip(&at);
    at += *at == ']';
    at += *at == ' ';
    unsigned long long time_us = seconds * 1000000ULL + microseconds;
    return format_string(out, size, "%c,%llu,%llu,-;%s", level, (unsigned long long)sequence,
                         time_us, at);
}

/* The line at *position as a record; its length, or 0: there is none yet. */
static size_t kmsg_next(int64_t *position, char *out, size_t size)
{
    char line[KMSG_RECORD];
    uint64_t at = (uint64_t)*position;
    size_t len = log_read(&at, line, sizeof(line) - 1);
    if (len == 0)
        return 0;
    uint64_t start = at - len; /* later than asked if lines were lost */
    line[len] = '\0';
    char *end = strchr(line, '\n');
    if (!end)
        return 0;
    end[1] = '\0';
    *position = (int64_t)(start + (uint64_t)(end - line) + 1);
    int length = kmsg_record(line, start, out, size);
    return MIN((size_t)length, size - 1);
}

static long kmsg_read(struct file *file, struct io *io, int64_t *pos)
{
    char record[KMSG_RECORD];
    for (;;) {
        int64_t next = *pos;
        size_t len = kmsg_next(&next, record, sizeof(record));
        if (len > io->remaining)
            return -EINVAL;
        if (len > 0) {
            *pos = next;
            return io_write_to(io, record, len);
        }
        if (io->nonblock)
            return -EAGAIN;
        int err = wait_on(&kmsg_wait, log_end() != (uint64_t)*pos, deadline_after(KMSG_PATIENCE));
        if (err == -EINTR)
            return -ERESTARTSYS;
    }
}

static long kmsg_write(struct file *file, struct io *io, int64_t *pos)
{
    char line[256];
    long len = io_read_from(io, line, MIN(sizeof(line) - 1, io->remaining));
    if (len < 0)
        return len;
    size_t rest = io->remaining;
    io_advance(io, rest);
    size_t end = (size_t)len;
    while (end > 0 && line[end - 1] == '\n')
        end--;
    line[end] = '\0';
    enum log_level level = LOG_INFO;
    const char *text = line;
    if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
        level = line[1] <= '3' ? LOG_ERROR : line[1] <= '5' ? LOG_WARNING : LOG_INFO;
        text = line + 3;
    }
    log_write(level, "%s", text);
    return len + (long)rest;
}

static unsigned kmsg_poll(struct file *file)
{
    unsigned events = ABI_POLLOUT | ABI_POLLWRNORM;
    if ((uint64_t)file->position < log_end())
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    return events;
}

static int64_t kmsg_seek(struct file *file, int64_t offset, int whence)
{
    if (offset != 0)
        return -ESPIPE;
    if (whence == ABI_SEEK_END)
        file->position = (int64_t)log_end();
    else if (whence == ABI_SEEK_SET || whence == ABI_SEEK_DATA)
        file->position = 0;
    else
        return -EINVAL;
    return 0;
}

static const struct file_ops kmsg_ops = {
    .read = kmsg_read,
    .write = kmsg_write,
    .seek = kmsg_seek,
    .poll = kmsg_poll,
    .kind = "kmsg",
};

/* ---- Terminals by number ------------------------------------------------------------------------ */

static const struct file_ops console_open_ops = { .open = tty_console_open, .kind = "console" };
static const struct file_ops tty_open_ops = { .open = tty_current_open, .kind = "tty" };
static const struct file_ops ptmx_open_ops = { .open = pty_master_open, .kind = "ptmx" };
static const struct file_ops pts_open_ops = { .open = pty_slave_open, .kind = "pts" };

static const struct file_ops *memory_device(unsigned minor)
{
    switch (minor) {
    case 3:
        return &null_ops;
    case 5:
        return &zero_ops;
    case 7:
        return &full_ops;
    case 8:
    case 9:
        return &random_ops;
    case 11:
        return &kmsg_ops;
    default:
        return NULL;
    }
}

static const struct file_ops *terminal_device(unsigned minor)
{
    switch (minor) {
    case 0:
        return &tty_open_ops;
    case 1:
        return &console_open_ops;
    case 2:
        return &ptmx_open_ops;
    default:
        return NULL;
    }
}

const struct file_ops *device_file_ops(unsigned mode, uint64_t rdev)
{
    if ((mode & ABI_S_IFMT) != ABI_S_IFCHR)
        return NULL; /* no block device can be opened yet */
    switch (DEVICE_MAJOR(rdev)) {
    case 1:
        return memory_device(DEVICE_MINOR(rdev));
    case 5:
        return terminal_device(DEVICE_MINOR(rdev));
    case PTY_SLAVE_MAJOR:
        return &pts_open_ops;
    default:
        return NULL;
    }
}
