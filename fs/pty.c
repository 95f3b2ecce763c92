// SPDX-License-Identifier: MIT
/*
 * Pairs of terminals: /dev/ptmx and /dev/pts.
 *
 * The slave is a terminal as any other; its other side is a ring that the master reads, and what the
 * master writes is its keyboard.  The pair lives as long as one of its files.
 *
 * Locking: pty->lock covers the output ring and what is open.  It is taken inside of the terminal's
 * output_lock and never held over application memory.
 */
#include "fs/pty.h"

#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/devfs.h"
#include "fs/pseudo.h"
#include "fs/tty_internal.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/usercopy.h"
#include "lib/format.h"

#define PTY_MAX      1024
#define OUTPUT_SIZE  8192u
#define DEVPTS_MAGIC 0x1cd1
#define TIOCPKT_DATA 0

struct pty {
    struct tty tty; /* the slave */
    int index;
    struct mutex lock; /* the rest */
    char *output;
    size_t start, used; /* used is read by waits */
    unsigned nslaves;
    bool was_opened; /* a slave file existed */
    bool is_master_open;
    bool is_locked; /* TIOCSPTLCK: the slave cannot be opened yet */
    bool is_packet;
    struct wait_queue readers; /* of the master */
    struct poll_head master_poll;
};

/* Entries have no reference: whoever looks must find refcount > 0. */
static struct pty *pty_table[PTY_MAX];
static struct spinlock pty_table_lock = SPINLOCK_INIT(RANK_TTY_LIST);

static struct pty *pty_of(struct tty *tty)
{
    return container_of(tty, struct pty, tty);
}

/* ---- The slave's other side ------------------------------------------------------------- */

static size_t pty_room(struct tty *tty)
{
    struct pty *pty = pty_of(tty);
    mutex_lock(&pty->lock);
    size_t room = OUTPUT_SIZE - pty->used;
    mutex_unlock(&pty->lock);
    return room;
}

static int pty_write(struct tty *tty, const char *buf, size_t len)
{
    struct pty *pty = pty_of(tty);
    mutex_lock(&pty->lock);
    for (size_t i = 0; i < len; i++)
        pty->output[(pty->start + pty->used + i) % OUTPUT_SIZE] = buf[i];
    WRITE_ONCE(pty->used, pty->used + len);
    mutex_unlock(&pty->lock);
    wake_all(&pty->readers);
    poll_wake(&pty->master_poll, ABI_POLLIN | ABI_POLLRDNORM);
    return 0;
}

static void pty_discard(struct tty *tty)
{
    struct pty *pty = pty_of(tty);
    mutex_lock(&pty->lock);
    WRITE_ONCE(pty->used, 0);
    mutex_unlock(&pty->lock);
    wake_all(&tty->writers);
}

static void pty_input_taken(struct tty *tty)
{
    poll_wake(&pty_of(tty)->master_poll, ABI_POLLOUT | ABI_POLLWRNORM);
}

static void pty_slave_opened(struct tty *tty)
{
    struct pty *pty = pty_of(tty);
    mutex_lock(&pty->lock);
    WRITE_ONCE(pty->nslaves, pty->nslaves + 1);
    WRITE_ONCE(pty->was_opened, true);
    mutex_unlock(&pty->lock);
}

static void pty_slave_closed(struct tty *tty)
{
    struct pty *pty = pty_of(tty);
    mutex_lock(&pty->lock);
    bool is_last = --pty->nslaves == 0;
    mutex_unlock(&pty->lock);
    if (!is_last)
        return;
    wake_all(&pty->readers);
    poll_wake(&pty->master_poll, ABI_POLLIN | ABI_POLLHUP);
}

static void pty_destroy(struct tty *tty)
{
    struct pty *pty = pty_of(tty);
    spin_lock(&pty_table_lock);
    pty_table[pty->index] = NULL;
    spin_unlock(&pty_table_lock);
    poll_head_fini(&pty->master_poll);
    kfree(pty->output);
    kfree(pty);
}

static const struct tty_ops pty_tty_ops = {
    .room = pty_room,
    .write = pty_write,
    .discard = pty_discard,
    .input_taken = pty_input_taken,
    .file_opened = pty_slave_opened,
    .file_closed = pty_slave_closed,
    .destroy = pty_destroy,
};

/* ---- The table ---------------------------------------------------------------------------- */

static int table_enter(struct pty *pty)
{
    int index = -ENOSPC;
    spin_lock(&pty_table_lock);
    for (int i = 0; i < PTY_MAX && index < 0; i++) {
        if (!pty_table[i])
            index = i;
    }
    if (index >= 0) {
        pty_table[index] = pty;
        pty->index = index;
    }
    spin_unlock(&pty_table_lock);
    return index < 0 ? index : 0;
}

static bool is_listed(long index)
{
    if (index >= PTY_MAX)
        return false;
    spin_lock(&pty_table_lock);
    bool is_open = pty_table[index] && READ_ONCE(pty_table[index]->is_master_open);
    spin_unlock(&pty_table_lock);
    return is_open;
}

/* The slave of a number whose master is open, with a reference; NULL: there is none. */
static struct pty *table_get(unsigned index)
{
    if (index >= PTY_MAX)
        return NULL;
    spin_lock(&pty_table_lock);
    struct pty *pty = pty_table[index];
    if (pty) {
        unsigned count = __atomic_load_n(&pty->tty.refcount, __ATOMIC_RELAXED);
        while (count && !__atomic_compare_exchange_n(&pty->tty.refcount, &count, count + 1, true,
                                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            ;
        if (!count)
            pty = NULL;
    }
    spin_unlock(&pty_table_lock);
    return pty;
}

static int pty_create(struct pty **out)
{
    struct pty *pty = kzalloc(sizeof(*pty), ALLOC_WAIT);
    char *output = kmalloc(OUTPUT_SIZE, ALLOC_WAIT);
    int err = pty && output ? table_enter(pty) : -ENOMEM;
    if (err)
        goto free_memory;
    int index = pty->index;
    err = tty_init(&pty->tty, &pty_tty_ops, DEVICE_NUMBER(PTY_SLAVE_MAJOR, index));
    if (err) {
        spin_lock(&pty_table_lock);
        pty_table[index] = NULL;
        spin_unlock(&pty_table_lock);
        goto free_memory;
    }
    pty->output = output;
    mutex_init(&pty->lock, RANK_PTY);
    wait_queue_init(&pty->readers);
    poll_head_init(&pty->master_poll);
    pty->is_locked = true;
    WRITE_ONCE(pty->is_master_open, true);
    *out = pty;
    return 0;

free_memory:
    kfree(output);
    kfree(pty);
    return err;
}

/* ---- The master ------------------------------------------------------------------------------ */

static bool has_lost_slave(struct pty *pty)
{
    return READ_ONCE(pty->was_opened) && READ_ONCE(pty->nslaves) == 0;
}

/* Up to size bytes of output into buf. */
static size_t output_take(struct pty *pty, char *buf, size_t size)
{
    mutex_lock(&pty->lock);
    size_t len = MIN(pty->used, size);
    for (size_t i = 0; i < len; i++)
        buf[i] = pty->output[(pty->start + i) % OUTPUT_SIZE];
    pty->start = (pty->start + len) % OUTPUT_SIZE;
    WRITE_ONCE(pty->used, pty->used - len);
    mutex_unlock(&pty->lock);
    return len;
}

static long master_move(struct pty *pty, struct io *io)
{
    char chunk[512];
    long total = 0;
    if (pty->is_packet && READ_ONCE(pty->used)) {
        char kind = TIOCPKT_DATA;
        total = io_write_to(io, &kind, 1);
        if (total < 0)
            return total;
    }
    while (io->remaining > 0) {
        size_t len = output_take(pty, chunk, MIN(sizeof(chunk), io->remaining));
        long moved = len ? io_write_to(io, chunk, len) : 0;
        if (moved <= 0)
            return total ? total : moved;
        total += moved;
    }
    return total;
}

static long master_read(struct file *file, struct io *io, int64_t *pos)
{
    struct pty *pty = file->private;
    if (io->remaining == 0)
        return 0;
    for (;;) {
        bool is_over = has_lost_slave(pty); /* before the look: its last words count */
        long moved = master_move(pty, io);
        if (moved) {
            wake_all(&pty->tty.writers);
            poll_wake(&pty->tty.poll, ABI_POLLOUT | ABI_POLLWRNORM);
            return moved;
        }
        if (is_over)
            return -EIO;
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&pty->readers, READ_ONCE(pty->used) != 0 || has_lost_slave(pty),
                    DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
}

static long master_write(struct file *file, struct io *io, int64_t *pos)
{
    struct pty *pty = file->private;
    long total = 0;
    while (io->remaining > 0) {
        char chunk[256];
        long len = io_peek_from(io, chunk, MIN(sizeof(chunk), io->remaining));
        if (len < 0)
            return total ? total : len;
        size_t taken = tty_receive(&pty->tty, chunk, (size_t)len);
        io_advance(io, taken);
        total += (long)taken;
        if (taken == (size_t)len)
            continue;
        if (io->nonblock)
            return total ? total : -EAGAIN;
        if (wait_on(&pty->tty.receivers, tty_can_receive(&pty->tty), DEADLINE_NONE) != 0)
            return total ? total : -ERESTARTSYS;
    }
    return total;
}

static unsigned master_poll(struct file *file)
{
    struct pty *pty = file->private;
    unsigned events = 0;
    if (READ_ONCE(pty->used))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (has_lost_slave(pty))
        events |= ABI_POLLHUP;
    if (tty_can_receive(&pty->tty))
        events |= ABI_POLLOUT | ABI_POLLWRNORM;
    return events;
}

static long put_int(int value, unsigned long arg)
{
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

static long get_flag(bool *flag, unsigned long arg)
{
    int value;
    if (copy_from_app(&value, (const void __app *)arg, sizeof(value)) != 0)
        return -EFAULT;
    WRITE_ONCE(*flag, value != 0);
    return 0;
}

/* TIOCGPTPEER: a descriptor of the slave, also where /dev/pts is out of reach of the caller's root. */
static long open_peer(struct pty *pty, unsigned long flags)
{
    char name[32];
    struct file *file;
    format_string(name, sizeof(name), "/dev/pts/%d", pty->index);
    int err = file_open(ABI_AT_FDCWD, name, (unsigned)flags, 0, &file);
    if (err)
        return err;
    int fd = fd_install(file, flags & ABI_O_CLOEXEC, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

static long master_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct pty *pty = file->private;
    switch (command) {
    case ABI_TIOCGPTN:
        return put_int(pty->index, arg);
    case ABI_TIOCSPTLCK:
        return get_flag(&pty->is_locked, arg);
    case ABI_TIOCGPTLCK:
        return put_int(pty->is_locked, arg);
    case ABI_TIOCPKT:
        return get_flag(&pty->is_packet, arg);
    case ABI_TIOCGPKT:
        return put_int(pty->is_packet, arg);
    case ABI_TIOCGPTPEER:
        return open_peer(pty, arg);
    case ABI_FIONREAD:
        return put_int((int)READ_ONCE(pty->used), arg);
    case ABI_TIOCGPGRP:
    case ABI_TIOCGSID:
        return tty_job_ioctl(&pty->tty, command, arg, true);
    case ABI_TIOCSCTTY:
    case ABI_TIOCNOTTY:
        return -ENOTTY;
    default:
        return tty_ioctl(&pty->tty, command, arg);
    }
}

static void master_release(struct file *file)
{
    struct pty *pty = file->private;
    WRITE_ONCE(pty->is_master_open, false);
    tty_hang_up(&pty->tty);
    tty_put(&pty->tty);
}

static int master_own_default(struct file *file)
{
    return file_owner_set_default(&file->owner, process_current()->pid);
}

static const struct file_ops master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .release = master_release,
    .kind = "ptmx",
    .is_async = true,
    .own_default = master_own_default,
};

int pty_master_open(struct inode *inode, struct file *file)
{
    struct pty *pty;
    int err = pty_create(&pty);
    if (err)
        return err;
    file->ops = &master_ops;
    file->private = pty;
    file->poll_head = &pty->master_poll;
    return 0;
}

int pty_slave_open(struct inode *inode, struct file *file)
{
    struct pty *pty = table_get(DEVICE_MINOR(inode->rdev));
    if (!pty)
        return -EIO;
    if (READ_ONCE(pty->is_locked) || !READ_ONCE(pty->is_master_open)) {
        tty_put(&pty->tty);
        return -EIO;
    }
    tty_attach_file(&pty->tty, file);
    return 0;
}

/* ---- /dev/pts --------------------------------------------------------------------------------- */

static const struct pseudo_entry slave_entry = { .mode = ABI_S_IFCHR | 0620,
                                                 .value = PTY_SLAVE_MAJOR };

static int devpts_find(const struct pseudo_ref *dir, const char *name, size_t len,
                       struct pseudo_ref *child)
{
    long index = pseudo_number(name, len);
    if (index < 0 || !is_listed(index))
        return -ENOENT;
    *child = (struct pseudo_ref){ .entry = &slave_entry, .number = index };
    return 0;
}

static long devpts_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    *entry = &slave_entry;
    for (long index = from; index < PTY_MAX; index++) {
        if (is_listed(index))
            return index;
    }
    return -1;
}

static const struct pseudo_entry devpts_root = {
    .mode = ABI_S_IFDIR | 0755,
    .find = devpts_find,
    .next = devpts_next,
};

static int devpts_mount(const struct file_system *type, const char *source, unsigned long flags,
                        const char *data, struct superblock **out)
{
    return pseudo_mount(type, &devpts_root, flags, DEVPTS_MAGIC, out);
}

const struct file_system devpts = { .name = "devpts", .mount = devpts_mount };
