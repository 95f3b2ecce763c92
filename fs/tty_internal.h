// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between tty.c (files), tty_line.c (line discipline), tty_job.c (sessions), tty_ioctl.c, tty_console.c and pty.c.
 */
#include "abi/termios.h"
#include "fs/tty.h"
#include "kernel/mutex.h"
#include "kernel/wait.h"

struct tty;

struct tty_ops {
    /* Bytes that write() takes now.  output_lock is held for both. */
    size_t (*room)(struct tty *tty);
    /* Takes all len bytes, of which room() promised; may wait for the host.  0 or -errno. */
    int (*write)(struct tty *tty, const char *buf, size_t len);
    /* Forgets what the other side has not read.  May be NULL: nothing ever waits. */
    void (*discard)(struct tty *tty);
    /* These may be NULL.  A reader made room; a file was opened, closed; the last reference is gone. */
    void (*input_taken)(struct tty *tty);
    void (*file_opened)(struct tty *tty);
    void (*file_closed)(struct tty *tty);
    void (*destroy)(struct tty *tty);
};

#define TTY_INPUT_SIZE 4096u

/* An entry of the input ring: a character and marks. */
#define INPUT_CHAR 0x0ffu
#define INPUT_LINE 0x100u /* a line ends here */
#define INPUT_EOF  0x200u /* the character itself is not data: VEOF */

/* [i] set at creation  [t] lock  [o] output_lock  [s] tty_list_lock  [a] atomic */
struct tty {
    unsigned refcount;         /* [a] */
    const struct tty_ops *ops; /* [i] */
    uint64_t rdev;             /* [i] */
    void *private;             /* [i] the kind's own */
    struct mutex lock;
    struct mutex output_lock;
    struct abi_termios termios; /* [t, read anywhere] */
    struct abi_termios locked;  /* [t] the bits of termios that stay as they are (TIOCSLCKTRMIOS) */
    struct abi_winsize size;    /* [t] */
    uint16_t *input;            /* [t] ring of TTY_INPUT_SIZE */
    unsigned head, tail;        /* [t, read by waits] free running */
    unsigned line_start;        /* [t] where the unfinished line begins */
    unsigned nlines;            /* [t, read by waits] marks in the ring */
    bool is_literal;            /* [t] VLNEXT: the next character is data */
    bool is_stopped;            /* [t, read by waits] VSTOP */
    bool is_hung_up;            /* [a] */
    bool is_at_end;             /* [a] the host closed the input */
    unsigned column;            /* [o] */
    unsigned line_column;       /* [t] where the unfinished line was echoed from */
    struct wait_queue readers;
    struct wait_queue writers;
    struct wait_queue receivers; /* who feeds the input ring */
    struct poll_head poll;
    struct list node; /* [s] */
    uint64_t claim;   /* [s] by whose number processes know it as their own; 0: nobody's */
    int session;      /* [s] whose leader made that claim */
    int foreground;   /* [s] process group */
};

/* ---- tty.c ---- */
int tty_init(struct tty *tty, const struct tty_ops *ops, uint64_t rdev) __must_check;
struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);
extern const struct file_ops tty_file_ops; /* file->private is the tty, with a reference */
/* Makes file a descriptor of tty, whose reference is taken over; may become the controlling terminal. */
void tty_attach_file(struct tty *tty, struct file *file);
/* The other side is gone: reads end, writes fail, the session is told. */
void tty_hang_up(struct tty *tty);
/* Processes and writes; how many bytes of buf there was room for, or -errno. */
long tty_output(struct tty *tty, const char *buf, size_t len);

/* ---- tty_line.c ---- */
/* Characters from the keyboard; how many there was room for.  No lock held. */
size_t tty_receive(struct tty *tty, const char *buf, size_t len);
bool tty_can_receive(struct tty *tty);
bool tty_has_input(struct tty *tty, unsigned wanted);
/* Moves what a read() gets now; lock held.  Bytes, or -EFAULT. */
long tty_take_input(struct tty *tty, struct io *io);
void tty_flush_input(struct tty *tty); /* lock held */
/* After ICANON changed: lock held. */
void tty_canonical_changed(struct tty *tty);
static inline bool tty_is_canonical(const struct tty *tty)
{
    return READ_ONCE(tty->termios.c_lflag) & ABI_ICANON;
}

/* ---- tty_job.c ---- */
void tty_list_add(struct tty *tty);
void tty_list_remove(struct tty *tty);
/* May the running process read or write (signo SIGTTIN, SIGTTOU) now?  0, -EIO, -ERESTARTSYS. */
int tty_check_foreground(struct tty *tty, int signo) __must_check;
int tty_foreground(struct tty *tty); /* its group, 0: none */
void tty_signal_foreground(struct tty *tty, int signo);
/* An open() without O_NOCTTY. */
void tty_claim_on_open(struct tty *tty);
struct tty *tty_of_current(void);        /* the controlling terminal with a reference, or NULL */
void tty_leave_session(struct tty *tty); /* nobody's any more; SIGHUP, SIGCONT to the foreground */
long tty_job_ioctl(struct tty *tty, unsigned command, unsigned long arg, bool is_master);

/* ---- tty_ioctl.c ---- */
long tty_ioctl(struct tty *tty, unsigned command, unsigned long arg);
int tty_set_size(struct tty *tty, const struct abi_winsize *size);
void tty_termios_init(struct abi_termios *termios);

/* ---- tty_console.c, pty.c: what open() of the devices does ---- */
int tty_console_open(struct inode *inode, struct file *file);
int tty_current_open(struct inode *inode, struct file *file); /* /dev/tty */
int pty_master_open(struct inode *inode, struct file *file);
int pty_slave_open(struct inode *inode, struct file *file);
