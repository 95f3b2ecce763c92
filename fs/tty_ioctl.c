// SPDX-License-Identifier: MIT
/*
 * A terminal's settings (tty_ioctl(4)).
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/signal.h"
#include "fs/inode.h"
#include "fs/tty_internal.h"
#include "kernel/process.h"
#include "kernel/usercopy.h"

#define SPEED_38400 38400u

void tty_termios_init(struct abi_termios *termios)
{
    *termios = (struct abi_termios){
        .c_iflag = ABI_ICRNL | ABI_IXON | ABI_IUTF8,
        .c_oflag = ABI_OPOST | ABI_ONLCR,
        .c_cflag = ABI_B38400 | ABI_CS8 | ABI_CREAD,
        .c_lflag = ABI_ISIG | ABI_ICANON | ABI_ECHO | ABI_ECHOE | ABI_ECHOK | ABI_ECHOCTL |
                   ABI_ECHOKE | ABI_IEXTEN,
        .c_cc = { [ABI_VINTR] = 3,
                  [ABI_VQUIT] = 28,
                  [ABI_VERASE] = 127,
                  [ABI_VKILL] = 21,
                  [ABI_VEOF] = 4,
                  [ABI_VMIN] = 1,
                  [ABI_VSTART] = 17,
                  [ABI_VSTOP] = 19,
                  [ABI_VSUSP] = 26,
                  [ABI_VREPRINT] = 18,
                  [ABI_VWERASE] = 23,
                  [ABI_VLNEXT] = 22 },
    };
}

/* ---- termios ------------------------------------------------------------------------ */

static uint32_t keep_locked(uint32_t now, uint32_t wanted, uint32_t locked)
{
    return (now & locked) | (wanted & ~locked);
}

static void keep_locked_settings(const struct tty *tty, struct abi_termios *wanted)
{
    const struct abi_termios *now = &tty->termios, *locked = &tty->locked;

    wanted->c_iflag = keep_locked(now->c_iflag, wanted->c_iflag, locked->c_iflag);
    wanted->c_oflag = keep_locked(now->c_oflag, wanted->c_oflag, locked->c_oflag);
    wanted->c_cflag = keep_locked(now->c_cflag, wanted->c_cflag, locked->c_cflag);
    wanted->c_lflag = keep_locked(now->c_lflag, wanted->c_lflag, locked->c_lflag);
    if (locked->c_line)
        wanted->c_line = now->c_line;
    for (unsigned i = 0; i < ABI_NCCS; i++) {
        if (locked->c_cc[i])
            wanted->c_cc[i] = now->c_cc[i];
    }
}

static void settings_change(struct tty *tty, struct abi_termios termios, bool flushes)
{
    mutex_lock(&tty->lock);
    keep_locked_settings(tty, &termios);
    bool toggles = (tty->termios.c_lflag ^ termios.c_lflag) & ABI_ICANON;
    if (flushes)
        tty_flush_input(tty);
    tty->termios = termios;
    if (toggles)
        tty_canonical_changed(tty);
    if (!(termios.c_iflag & ABI_IXON) && tty->is_stopped)
        WRITE_ONCE(tty->is_stopped, false);
    mutex_unlock(&tty->lock);
    /* What readers and writers wait for may be another thing now. */
    wake_all(&tty->readers);
    wake_all(&tty->writers);
    poll_wake(&tty->poll, 0);
}

static long termios_set(struct tty *tty, unsigned long arg, size_t size, bool flushes)
{
    struct abi_termios2 settings;
    struct abi_termios termios;
    int err = tty_check_foreground(tty, ABI_SIGTTOU);
    if (err)
        return err;
    if (copy_from_app(&settings, (const void __app *)arg, size) != 0)
        return -EFAULT;
    memcpy(&termios, &settings, sizeof(termios)); /* speeds mean nothing to these lines */
    settings_change(tty, termios, flushes);
    return 0;
}

static long termios_get(struct tty *tty, unsigned long arg, size_t size)
{
    struct abi_termios2 settings = { .c_ispeed = SPEED_38400, .c_ospeed = SPEED_38400 };
    mutex_lock(&tty->lock);
    memcpy(&settings, &tty->termios, sizeof(tty->termios));
    mutex_unlock(&tty->lock);
    return copy_to_app((void __app *)arg, &settings, size);
}

/* System V's form: the lower half of the flags, and the first control characters. */
static long termio_set(struct tty *tty, unsigned long arg, bool flushes)
{
    struct abi_termio old;
    int err = tty_check_foreground(tty, ABI_SIGTTOU);
    if (err)
        return err;
    if (copy_from_app(&old, (const void __app *)arg, sizeof(old)) != 0)
        return -EFAULT;
    mutex_lock(&tty->lock);
    struct abi_termios termios = tty->termios;
    mutex_unlock(&tty->lock);
    termios.c_iflag = (termios.c_iflag & 0xffff0000u) | old.c_iflag;
    termios.c_oflag = (termios.c_oflag & 0xffff0000u) | old.c_oflag;
    termios.c_cflag = (termios.c_cflag & 0xffff0000u) | old.c_cflag;
    termios.c_lflag = (termios.c_lflag & 0xffff0000u) | old.c_lflag;
    termios.c_line = old.c_line;
    memcpy(termios.c_cc, old.c_cc, sizeof(old.c_cc));
    settings_change(tty, termios, flushes);
    return 0;
}

static long termio_get(struct tty *tty, unsigned long arg)
{
    mutex_lock(&tty->lock);
    struct abi_termios termios = tty->termios;
    mutex_unlock(&tty->lock);
    struct abi_termio old = { .c_iflag = (uint16_t)termios.c_iflag,
                              .c_oflag = (uint16_t)termios.c_oflag,
                              .c_cflag = (uint16_t)termios.c_cflag,
                              .c_lflag = (uint16_t)termios.c_lflag,
                              .c_line = termios.c_line };
    memcpy(old.c_cc, termios.c_cc, sizeof(old.c_cc));
    return copy_to_app((void __app *)arg, &old, sizeof(old));
}

static long locked_get(struct tty *tty, unsigned long arg)
{
    mutex_lock(&tty->lock);
    struct abi_termios locked = tty->locked;
    mutex_unlock(&tty->lock);
    return copy_to_app((void __app *)arg, &locked, sizeof(locked));
}

static long locked_set(struct tty *tty, unsigned long arg)
{
    struct abi_termios locked;

    if (!process_has_capability(ABI_CAP_SYS_ADMIN) &&
        !process_has_capability(ABI_CAP_CHECKPOINT_RESTORE))
        return -EPERM;
    if (copy_from_app(&locked, (const void __app *)arg, sizeof(locked)) != 0)
        return -EFAULT;
    mutex_lock(&tty->lock);
    tty->locked = locked;
    mutex_unlock(&tty->lock);
    return 0;
}

/* ---- Window size ----------------------------------------------------------------------- */

int tty_set_size(struct tty *tty, const struct abi_winsize *size)
{
    mutex_lock(&tty->lock);
    bool changes = memcmp(&tty->size, size, sizeof(*size)) != 0;
    tty->size = *size;
    mutex_unlock(&tty->lock);
    if (changes)
        tty_signal_foreground(tty, ABI_SIGWINCH);
    return 0;
}

static long size_set(struct tty *tty, unsigned long arg)
{
    struct abi_winsize size;
    if (copy_from_app(&size, (const void __app *)arg, sizeof(size)) != 0)
        return -EFAULT;
    return tty_set_size(tty, &size);
}

static long size_get(struct tty *tty, unsigned long arg)
{
    mutex_lock(&tty->lock);
    struct abi_winsize size = tty->size;
    mutex_unlock(&tty->lock);
    return copy_to_app((void __app *)arg, &size, sizeof(size));
}

/* ---- Queues and flow ---------------------------------------------------------------------- */

static long input_count(struct tty *tty, unsigned long arg)
{
    mutex_lock(&tty->lock);
    int count = (int)((tty_is_canonical(tty) ? tty->line_start : tty->head) - tty->tail);
    mutex_unlock(&tty->lock);
    return copy_to_app((void __app *)arg, &count, sizeof(count));
}

static long output_count(unsigned long arg)
{
    int count = 0; /* a write() has handed everything on when it returns */
    return copy_to_app((void __app *)arg, &count, sizeof(count));
}

static long flush(struct tty *tty, unsigned long which)
{
    int err = tty_check_foreground(tty, ABI_SIGTTOU);
    if (err)
        return err;
    if (which > ABI_TCIOFLUSH)
        return -EINVAL;
    if (which != ABI_TCOFLUSH) {
        mutex_lock(&tty->lock);
        tty_flush_input(tty);
        mutex_unlock(&tty->lock);
    }
    if (which != ABI_TCIFLUSH && tty->ops->discard)
        tty->ops->discard(tty);
    return 0;
}

static long flow(struct tty *tty, unsigned long action)
{
    int err = tty_check_foreground(tty, ABI_SIGTTOU);
    if (err)
        return err;
    if (action > 3)
        return -EINVAL;
    if (action <= ABI_TCOON) { /* the other two would send START and STOP to a real line */
        WRITE_ONCE(tty->is_stopped, action == ABI_TCOOFF);
        wake_all(&tty->writers);
        poll_wake(&tty->poll, 0);
    }
    return 0;
}

long tty_ioctl(struct tty *tty, unsigned command, unsigned long arg)
{
    switch (command) {
    case ABI_TCGETS:
        return termios_get(tty, arg, sizeof(struct abi_termios));
    case ABI_TCGETS2:
        return termios_get(tty, arg, sizeof(struct abi_termios2));
    case ABI_TCSETS:
    case ABI_TCSETSW: /* output is never pending */
    case ABI_TCSETSF:
        return termios_set(tty, arg, sizeof(struct abi_termios), command == ABI_TCSETSF);
    case ABI_TCSETS2:
    case ABI_TCSETSW2:
    case ABI_TCSETSF2:
        return termios_set(tty, arg, sizeof(struct abi_termios2), command == ABI_TCSETSF2);
    case ABI_TCGETA:
        return termio_get(tty, arg);
    case ABI_TCSETA:
    case ABI_TCSETAW:
    case ABI_TCSETAF:
        return termio_set(tty, arg, command == ABI_TCSETAF);
    case ABI_TIOCGLCKTRMIOS:
        return locked_get(tty, arg);
    case ABI_TIOCSLCKTRMIOS:
        return locked_set(tty, arg);
    case ABI_TIOCGWINSZ:
        return size_get(tty, arg);
    case ABI_TIOCSWINSZ:
        return size_set(tty, arg);
    case ABI_FIONREAD:
        return input_count(tty, arg);
    case ABI_TIOCOUTQ:
        return output_count(arg);
    case ABI_TCFLSH:
        return flush(tty, arg);
    case ABI_TCXONC:
        return flow(tty, arg);
    case ABI_TCSBRK:
    case ABI_TCSBRKP:
        return tty_check_foreground(tty, ABI_SIGTTOU); /* drained; a break has nowhere to go */
    default:
        return tty_job_ioctl(tty, command, arg, false);
    }
}
