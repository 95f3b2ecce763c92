// SPDX-License-Identifier: MIT
/*
 * Terminals as files.
 *
 * A terminal is a line discipline (tty_line.c) between a descriptor and another side: the host's
 * console (tty_console.c) or the master of a pair (pty.c).  The other side pushes characters in with
 * tty_receive(); output goes to it through tty->ops.
 *
 * Locking: lock covers settings and input; output_lock the order of output.  Application memory is
 * touched with lock held, never with output_lock: output is copied to the stack first.  Signals are
 * sent without either, since they take the process table's lock.
 */
#include "fs/tty.h"

#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "fs/tty_internal.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"

#define CHUNK 256

int tty_init(struct tty *tty, const struct tty_ops *ops, uint64_t rdev)
{
    memset(tty, 0, sizeof(*tty));
    tty->input = kmalloc(TTY_INPUT_SIZE * sizeof(tty->input[0]), ALLOC_WAIT);
    if (!tty->input)
        return -ENOMEM;
    tty->refcount = 1;
    tty->ops = ops;
    tty->rdev = rdev;
    mutex_init(&tty->lock, RANK_TTY);
    mutex_init(&tty->output_lock, RANK_TTY_OUTPUT);
    tty_termios_init(&tty->termios);
    wait_queue_init(&tty->readers);
    wait_queue_init(&tty->writers);
    wait_queue_init(&tty->receivers);
    poll_head_init(&tty->poll);
    tty_list_add(tty);
    return 0;
}

struct tty *tty_get(struct tty *tty)
{
    __atomic_add_fetch(&tty->refcount, 1, __ATOMIC_RELAXED);
    return tty;
}

void tty_put(struct tty *tty)
{
    if (__atomic_sub_fetch(&tty->refcount, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tty_list_remove(tty);
    poll_head_fini(&tty->poll);
    kfree(tty->input);
    if (tty->ops->destroy)
        tty->ops->destroy(tty);
}

void tty_hang_up(struct tty *tty)
{
    mutex_lock(&tty->lock);
    WRITE_ONCE(tty->is_hung_up, true);
    tty_flush_input(tty);
    mutex_unlock(&tty->lock);
    wake_all(&tty->readers);
    wake_all(&tty->writers);
    poll_wake(&tty->poll, ABI_POLLIN | ABI_POLLOUT | ABI_POLLERR | ABI_POLLHUP);
    tty_leave_session(tty);
}

/* ---- Output ---------------------------------------------------------------------- */

/* What a character becomes by c_oflag, and where it leaves the column; at most two bytes. */
static size_t output_char(struct tty *tty, char c, char out[2])
{
    unsigned flags = READ_ONCE(tty->termios.c_oflag);
    size_t len = 0;
    if ((flags & ABI_OPOST) && c == '\n' && (flags & ABI_ONLCR))
        out[len++] = '\r';
    if ((flags & ABI_OPOST) && c == '\r' && (flags & ABI_OCRNL))
        c = '\n';
    out[len++] = c;
    if (c == '\r' || (c == '\n' && len == 2))
        tty->column = 0;
    else if (c == '\b')
        tty->column -= tty->column > 0;
    else if (c == '\t')
        tty->column = (tty->column | 7) + 1;
    else if ((unsigned char)c >= 0x20 && ((unsigned char)c & 0xc0) != 0x80)
        tty->column++;
    return len;
}

long tty_output(struct tty *tty, const char *buf, size_t len)
{
    char out[2 * CHUNK];
    size_t used = 0, done = 0;
    mutex_lock(&tty->output_lock);
    size_t room = MIN(tty->ops->room(tty), sizeof(out));
    while (done < len && used + 2 <= room)
        used += output_char(tty, buf[done++], out + used);
    int err = used ? tty->ops->write(tty, out, used) : 0;
    mutex_unlock(&tty->output_lock);
    return err ? err : (long)done;
}

static bool can_write(struct tty *tty)
{
    if (READ_ONCE(tty->is_hung_up))
        return true;
    if (READ_ONCE(tty->is_stopped))
        return false;
    mutex_lock(&tty->output_lock);
    bool has_room = tty->ops->room(tty) >= 2;
    mutex_unlock(&tty->output_lock);
    return has_room;
}

/* All of a chunk in kernel memory; bytes written, or -errno if none were. */
static long write_chunk(struct tty *tty, const char *buf, size_t len, bool nonblock)
{
    size_t done = 0;
    while (done < len) {
        long moved = 0;
        if (READ_ONCE(tty->is_hung_up))
            moved = -EIO;
        else if (!READ_ONCE(tty->is_stopped))
            moved = tty_output(tty, buf + done, len - done);
        if (moved < 0)
            return done ? (long)done : moved;
        done += moved;
        if (moved > 0)
            continue;
        if (nonblock)
            return done ? (long)done : -EAGAIN;
        if (wait_on(&tty->writers, can_write(tty), DEADLINE_NONE) != 0)
            return done ? (long)done : -ERESTARTSYS;
    }
    return (long)done;
}

static struct tty *tty_of(const struct file *file)
{
    return file->private;
}

static long tty_write(struct file *file, struct io *io, int64_t *pos)
{
    struct tty *tty = tty_of(file);
    int err =
        READ_ONCE(tty->termios.c_lflag) & ABI_TOSTOP ? tty_check_foreground(tty, ABI_SIGTTOU) : 0;
    if (err)
        return err;
    long total = 0;
    while (io->remaining > 0) {
        char chunk[CHUNK];
        long len = io_peek_from(io, chunk, MIN(sizeof(chunk), io->remaining));
        if (len < 0)
            return total ? total : len;
        long moved = write_chunk(tty, chunk, (size_t)len, io->nonblock);
        if (moved < 0)
            return total ? total : moved;
        io_advance(io, (size_t)moved);
        total += moved;
        if (moved < len)
            break;
    }
    return total;
}

/* ---- Input ----------------------------------------------------------------------------- */

/* Characters a raw read() waits for, and how long (termios(3), "Canonical and noncanonical mode"). */
struct read_rule {
    unsigned wanted;
    nsec_t patience;  /* DEADLINE_NONE: for ever */
    bool is_per_char; /* the time starts anew with each character, and not before the first */
};

static struct read_rule read_rule_of(const struct tty *tty, size_t len)
{
    struct read_rule rule = { .wanted = 1, .patience = DEADLINE_NONE };
    if (tty_is_canonical(tty))
        return rule;
    unsigned min = tty->termios.c_cc[ABI_VMIN], time = tty->termios.c_cc[ABI_VTIME];
    rule.wanted = (unsigned)MIN((size_t)MAX(min, 1u), len);
    if (min == 0 || time > 0)
        rule.patience = time * (NSEC_PER_SEC / 10);
    rule.is_per_char = min > 0 && time > 0;
    return rule;
}

static bool is_over(struct tty *tty)
{
    return READ_ONCE(tty->is_hung_up) || READ_ONCE(tty->is_at_end);
}

static bool has_more_than(struct tty *tty, unsigned before)
{
    return READ_ONCE(tty->head) != before || is_over(tty);
}

/* Waits as rule says.  0: look again; -ETIMEDOUT or -ERESTARTSYS: what is there has to do. */
static int wait_for_input(struct tty *tty, const struct read_rule *rule)
{
    int err;
    if (rule->is_per_char) {
        unsigned before = READ_ONCE(tty->head);
        nsec_t deadline = tty_has_input(tty, 1) ? deadline_after(rule->patience) : DEADLINE_NONE;
        err = wait_on(&tty->readers, has_more_than(tty, before), deadline);
    } else {
        nsec_t deadline =
            rule->patience == DEADLINE_NONE ? DEADLINE_NONE : deadline_after(rule->patience);
        err = wait_on(&tty->readers, tty_has_input(tty, rule->wanted) || is_over(tty), deadline);
    }
    return err == -EINTR ? -ERESTARTSYS : err;
}

static long tty_read(struct file *file, struct io *io, int64_t *pos)
{
    struct tty *tty = tty_of(file);
    if (io->remaining == 0)
        return 0;
    struct read_rule rule = read_rule_of(tty, io->remaining);
    /* Why there is no further look: then less than is wanted has to do. */
    int last = rule.patience == 0 ? -ETIMEDOUT : io->nonblock ? -EAGAIN : 0;
    for (;;) {
        int err = tty_check_foreground(tty, ABI_SIGTTIN);
        if (err)
            return err;
        mutex_lock(&tty->lock);
        bool was_over = is_over(tty);
        bool is_ready = tty_has_input(tty, last || was_over ? 1 : rule.wanted);
        long moved = is_ready ? tty_take_input(tty, io) : 0;
        mutex_unlock(&tty->lock);
        if (is_ready && tty->ops->input_taken)
            tty->ops->input_taken(tty);
        if (is_ready)
            return moved;
        if (was_over || last == -ETIMEDOUT)
            return 0;
        if (last)
            return last;
        last = wait_for_input(tty, &rule);
    }
}

static unsigned tty_poll(struct file *file)
{
    struct tty *tty = tty_of(file);
    unsigned wanted = 1, events = 0;
    if (tty->termios.c_cc[ABI_VTIME] == 0 && tty->termios.c_cc[ABI_VMIN] > 0)
        wanted = tty->termios.c_cc[ABI_VMIN];
    if (tty_has_input(tty, wanted) || is_over(tty))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (READ_ONCE(tty->is_hung_up))
        events |= ABI_POLLHUP | ABI_POLLERR;
    if (can_write(tty))
        events |= ABI_POLLOUT | ABI_POLLWRNORM;
    return events;
}

/* ---- The file ------------------------------------------------------------------------------ */

static long tty_file_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct tty *tty = tty_of(file);
    if (READ_ONCE(tty->is_hung_up))
        return -EIO;
    return tty_ioctl(tty, command, arg);
}

static void tty_release(struct file *file)
{
    struct tty *tty = tty_of(file);
    if (tty->ops->file_closed)
        tty->ops->file_closed(tty);
    tty_put(tty);
}

void tty_attach_file(struct tty *tty, struct file *file)
{
    file->ops = &tty_file_ops;
    file->private = tty;
    file->poll_head = &tty->poll;
    if (tty->ops->file_opened)
        tty->ops->file_opened(tty);
    if (!(file->flags & ABI_O_NOCTTY) && (file->flags & ABI_O_ACCMODE) != ABI_O_WRONLY)
        tty_claim_on_open(tty);
}

static int tty_own_default(struct file *file)
{
    int pgid = tty_foreground(file->private);

    return file_owner_set_default(&file->owner, pgid > 0 ? -pgid : process_current()->pid);
}

const struct file_ops tty_file_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_file_ioctl,
    .release = tty_release,
    .kind = "tty",
    .is_async = true,
    .own_default = tty_own_default,
};
