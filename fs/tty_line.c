// SPDX-License-Identifier: MIT
/*
 * The line discipline: what termios(3) says about input, in the order that Linux's n_tty uses: flow
 * control, signals, CR and NL, then editing in canonical mode.
 *
 * The input ring holds characters with marks at the ends of lines.  In canonical mode only what
 * lies before the last mark can be read; behind it is the line being edited, from line_start to head.
 *
 * Echo goes through the same processing as output; what the other side has no room for is dropped.
 */
#include "abi/poll.h"
#include "abi/signal.h"
#include "fs/tty_internal.h"

#define DELETE 0x7f

static bool is_special(const struct tty *tty, unsigned index, unsigned char c)
{
    return tty->termios.c_cc[index] != 0 && tty->termios.c_cc[index] == c;
}

static bool has_local(const struct tty *tty, unsigned flag)
{
    return tty->termios.c_lflag & flag;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == DELETE;
}

static uint16_t *entry_at(struct tty *tty, unsigned position)
{
    return &tty->input[position % TTY_INPUT_SIZE];
}

static void input_push(struct tty *tty, unsigned entry)
{
    *entry_at(tty, tty->head) = (uint16_t)entry;
    WRITE_ONCE(tty->head, tty->head + 1);
}

/* ---- Echo ------------------------------------------------------------------------- */

static void echo_text(struct tty *tty, const char *text, size_t len)
{
    (void)tty_output(tty, text, len);
}

static void echo_always(struct tty *tty, unsigned char c)
{
    if (is_control(c) && has_local(tty, ABI_ECHOCTL) && c != '\t' && c != '\n') {
        char text[2] = { '^', (char)(c ^ 0x40) };
        echo_text(tty, text, 2);
        return;
    }
    char text = (char)c;
    echo_text(tty, &text, 1);
}

static void echo_char(struct tty *tty, unsigned char c)
{
    if (has_local(tty, ABI_ECHO))
        echo_always(tty, c);
    else if (c == '\n' && has_local(tty, ABI_ECHONL) && has_local(tty, ABI_ICANON))
        echo_text(tty, "\n", 1);
}

/* ---- Editing ------------------------------------------------------------------------ */

/* A byte that continues a character of UTF-8 takes no column and is erased with what it continues. */
static bool is_continuation(const struct tty *tty, unsigned entry)
{
    return (tty->termios.c_iflag & ABI_IUTF8) && (entry & 0xc0) == 0x80;
}

static unsigned width_at(const struct tty *tty, unsigned entry, unsigned column)
{
    unsigned c = entry & INPUT_CHAR;
    if (c == '\t')
        return 8 - column % 8;
    if (is_control((unsigned char)c))
        return has_local(tty, ABI_ECHOCTL) ? 2 : 0;
    return is_continuation(tty, c) ? 0 : 1;
}

/* Columns that the last character of the line takes on the screen. */
static unsigned width_of_last(struct tty *tty)
{
    unsigned column = tty->line_column, width = 0;
    for (unsigned at = tty->line_start; at != tty->head; at++) {
        unsigned w = width_at(tty, *entry_at(tty, at), column);
        if (!is_continuation(tty, *entry_at(tty, at) & INPUT_CHAR))
            width = w;
        column += w;
    }
    return width;
}

static void erase_one(struct tty *tty)
{
    unsigned width = width_of_last(tty);
    bool is_tab = (*entry_at(tty, tty->head - 1) & INPUT_CHAR) == '\t';
    while (tty->head != tty->line_start) {
        WRITE_ONCE(tty->head, tty->head - 1);
        if (!is_continuation(tty, *entry_at(tty, tty->head) & INPUT_CHAR))
            break;
    }
    if (!has_local(tty, ABI_ECHO))
        return;
    if (!has_local(tty, ABI_ECHOE)) {
        echo_always(tty, tty->termios.c_cc[ABI_VERASE]);
        return;
    }
    while (width-- > 0)
        echo_text(tty, is_tab ? "\b" : "\b \b", is_tab ? 1 : 3);
}

static bool last_is_blank(struct tty *tty)
{
    unsigned c = *entry_at(tty, tty->head - 1) & INPUT_CHAR;
    return c == ' ' || c == '\t';
}

static void erase_word(struct tty *tty)
{
    while (tty->head != tty->line_start && last_is_blank(tty))
        erase_one(tty);
    while (tty->head != tty->line_start && !last_is_blank(tty))
        erase_one(tty);
}

static void erase_line(struct tty *tty)
{
    if (has_local(tty, ABI_ECHOKE) && has_local(tty, ABI_ECHOE)) {
        while (tty->head != tty->line_start)
            erase_one(tty);
        return;
    }
    WRITE_ONCE(tty->head, tty->line_start);
    echo_char(tty, tty->termios.c_cc[ABI_VKILL]);
    if (has_local(tty, ABI_ECHOK) && has_local(tty, ABI_ECHO))
        echo_text(tty, "\n", 1);
}

static void reprint(struct tty *tty)
{
    echo_char(tty, tty->termios.c_cc[ABI_VREPRINT]);
    echo_text(tty, "\n", 1);
    tty->line_column = 0;
    for (unsigned at = tty->line_start; at != tty->head; at++)
        echo_char(tty, (unsigned char)(*entry_at(tty, at) & INPUT_CHAR));
}

/* ---- Canonical input ------------------------------------------------------------------- */

static void line_finish(struct tty *tty, unsigned entry)
{
    input_push(tty, entry | INPUT_LINE);
    tty->line_start = tty->head;
    __atomic_store_n(&tty->nlines, tty->nlines + 1, __ATOMIC_RELEASE);
}

/* An editing character: true if c was one. */
static bool edit(struct tty *tty, unsigned char c)
{
    bool is_extended = has_local(tty, ABI_IEXTEN);
    bool is_erase = is_special(tty, ABI_VERASE, c);
    bool is_word = is_extended && is_special(tty, ABI_VWERASE, c);
    if (is_erase || is_word || is_special(tty, ABI_VKILL, c)) {
        if (tty->head == tty->line_start)
            return true;
        if (is_erase)
            erase_one(tty);
        else if (is_word)
            erase_word(tty);
        else
            erase_line(tty);
        return true;
    }
    if (is_extended && is_special(tty, ABI_VREPRINT, c) && has_local(tty, ABI_ECHO)) {
        reprint(tty);
        return true;
    }
    return false;
}

/* The end of a line: true if c was one. */
static bool end_line(struct tty *tty, unsigned char c)
{
    if (is_special(tty, ABI_VEOF, c)) {
        line_finish(tty, c | INPUT_EOF);
        return true;
    }
    bool is_end = c == '\n' || is_special(tty, ABI_VEOL, c) ||
                  (has_local(tty, ABI_IEXTEN) && is_special(tty, ABI_VEOL2, c));
    if (!is_end)
        return false;
    echo_char(tty, c);
    line_finish(tty, c);
    return true;
}

static void store(struct tty *tty, unsigned char c)
{
    /* The last place is for the end of the line. */
    if (tty_is_canonical(tty) && tty->head - tty->tail >= TTY_INPUT_SIZE - 1) {
        if (tty->termios.c_iflag & ABI_IMAXBEL)
            echo_text(tty, "\a", 1);
        return;
    }
    if (tty->head == tty->line_start)
        tty->line_column = READ_ONCE(tty->column);
    echo_char(tty, c);
    input_push(tty, c);
}

/* ---- One character ------------------------------------------------------------------------ */

/* VSTART and VSTOP: true if c was one. */
static bool control_flow(struct tty *tty, unsigned char c)
{
    if (!(tty->termios.c_iflag & ABI_IXON))
        return false;
    bool is_start = is_special(tty, ABI_VSTART, c), is_stop = is_special(tty, ABI_VSTOP, c);
    if (is_stop && !tty->is_stopped) {
        WRITE_ONCE(tty->is_stopped, true);
        return true;
    }
    if (!is_start && !is_stop && !((tty->termios.c_iflag & ABI_IXANY) && tty->is_stopped))
        return false;
    WRITE_ONCE(tty->is_stopped, false);
    wake_all(&tty->writers);
    return is_start || is_stop;
}

static int signal_of(const struct tty *tty, unsigned char c)
{
    if (!has_local(tty, ABI_ISIG))
        return 0;
    if (is_special(tty, ABI_VINTR, c))
        return ABI_SIGINT;
    if (is_special(tty, ABI_VQUIT, c))
        return ABI_SIGQUIT;
    return is_special(tty, ABI_VSUSP, c) ? ABI_SIGTSTP : 0;
}

static void prepare_signal(struct tty *tty, unsigned char c)
{
    if (!has_local(tty, ABI_NOFLSH)) {
        tty_flush_input(tty);
        if (tty->ops->discard)
            tty->ops->discard(tty);
    }
    WRITE_ONCE(tty->is_stopped, false);
    wake_all(&tty->writers);
    echo_char(tty, c);
}

/* CR and NL as c_iflag wants them; false: the character is ignored. */
static bool translate(const struct tty *tty, unsigned char *c)
{
    unsigned flags = tty->termios.c_iflag;
    if (*c == '\r') {
        if (flags & ABI_IGNCR)
            return false;
        if (flags & ABI_ICRNL)
            *c = '\n';
    } else if (*c == '\n' && (flags & ABI_INLCR)) {
        *c = '\r';
    }
    return true;
}

/* Takes one character; a signal to send, or 0. */
static int receive_char(struct tty *tty, unsigned char c)
{
    if (tty->termios.c_iflag & ABI_ISTRIP)
        c &= 0x7f;
    if (tty->is_literal) {
        tty->is_literal = false;
        store(tty, c);
        return 0;
    }
    if (control_flow(tty, c))
        return 0;
    int signo = signal_of(tty, c);
    if (signo) {
        prepare_signal(tty, c);
        return signo;
    }
    if (!translate(tty, &c))
        return 0;
    if (has_local(tty, ABI_ICANON)) {
        if (has_local(tty, ABI_IEXTEN) && is_special(tty, ABI_VLNEXT, c)) {
            tty->is_literal = true;
            if (has_local(tty, ABI_ECHO) && has_local(tty, ABI_ECHOCTL))
                echo_text(tty, "^\b", 2);
            return 0;
        }
        if (edit(tty, c) || end_line(tty, c))
            return 0;
    }
    store(tty, c);
    return 0;
}

/* A full ring stops the sender, but for a line that nobody could ever finish. */
bool tty_can_receive(struct tty *tty)
{
    unsigned used = READ_ONCE(tty->head) - READ_ONCE(tty->tail);
    return used < TTY_INPUT_SIZE - 1 || (tty_is_canonical(tty) && READ_ONCE(tty->nlines) == 0) ||
           READ_ONCE(tty->is_hung_up);
}

size_t tty_receive(struct tty *tty, const char *buf, size_t len)
{
    size_t done = 0;
    if (READ_ONCE(tty->is_hung_up))
        return len;
    while (done < len && tty_can_receive(tty)) {
        int signo = 0;
        mutex_lock(&tty->lock);
        while (done < len && !signo && tty_can_receive(tty))
            signo = receive_char(tty, (unsigned char)buf[done++]);
        mutex_unlock(&tty->lock);
        if (signo)
            tty_signal_foreground(tty, signo);
    }
    wake_all(&tty->readers);
    poll_wake(&tty->poll, 0); /* the rules for "readable" are those of poll() */
    if (tty_has_input(tty, 1))
        poll_wake(&tty->poll, ABI_POLLIN | ABI_POLLRDNORM); /* O_ASYNC does not ask */
    return done;
}

/* ---- Reading --------------------------------------------------------------------------------- */

void tty_flush_input(struct tty *tty)
{
    WRITE_ONCE(tty->tail, tty->head);
    tty->line_start = tty->head;
    WRITE_ONCE(tty->nlines, 0);
    wake_all(&tty->receivers);
}

bool tty_has_input(struct tty *tty, unsigned wanted)
{
    if (tty_is_canonical(tty))
        return __atomic_load_n(&tty->nlines, __ATOMIC_ACQUIRE) != 0;
    return READ_ONCE(tty->head) - READ_ONCE(tty->tail) >= wanted;
}

/* One character for a reader, off the ring; *is_last if a line ends with it. -1: an end of file. */
static int input_pop(struct tty *tty, bool is_canonical, bool *is_last)
{
    unsigned entry = *entry_at(tty, tty->tail);
    WRITE_ONCE(tty->tail, tty->tail + 1);
    *is_last = is_canonical && (entry & INPUT_LINE);
    if (entry & INPUT_LINE && tty->nlines > 0)
        WRITE_ONCE(tty->nlines, tty->nlines - 1);
    return is_canonical && (entry & INPUT_EOF) ? -1 : (int)(entry & INPUT_CHAR);
}

long tty_take_input(struct tty *tty, struct io *io)
{
    bool is_canonical = tty_is_canonical(tty), is_last = false;
    unsigned end = is_canonical ? tty->line_start : tty->head;
    long total = 0;
    while (io->remaining > 0 && !is_last && tty->tail != end) {
        char chunk[128];
        size_t len = 0, limit = MIN(sizeof(chunk), io->remaining);
        while (len < limit && !is_last && tty->tail != end) {
            int c = input_pop(tty, is_canonical, &is_last);
            if (c >= 0)
                chunk[len++] = (char)c;
        }
        long moved = len ? io_write_to(io, chunk, len) : 0;
        if (moved < 0)
            return total ? total : moved;
        total += moved;
    }
    if (!is_canonical)
        tty->line_start = tty->head;
    wake_all(&tty->receivers);
    return total;
}

void tty_canonical_changed(struct tty *tty)
{
    /* What was typed without lines is a line now; what was part of one can be read at once. */
    if (tty->head != tty->tail)
        *entry_at(tty, tty->head - 1) |= INPUT_LINE;
    unsigned count = 0;
    for (unsigned at = tty->tail; at != tty->head; at++)
        count += (*entry_at(tty, at) & INPUT_LINE) != 0;
    tty->line_start = tty->head;
    WRITE_ONCE(tty->nlines, count);
    wake_all(&tty->readers);
}
