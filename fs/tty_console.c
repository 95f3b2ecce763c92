// SPDX-License-Identifier: MIT
/*
 * The console terminal: the host's terminal, by way of the channels of kernel/console.h.
 *
 * A kernel thread reads the input channel, so that an interrupt character works while nobody reads.
 * It runs only when descriptor 0 is the terminal; else the input belongs to a stream, and reading
 * /dev/console finds the end of file.  Output goes to the channel of the first of descriptors 1
 * and 2 that is the terminal.
 *
 * The tool tells of its window by the option winsize=ROWSxCOLUMNS, which holds before the program can ask,
 * and when it changes by lines "winsize ROWS COLUMNS" on the control channel (kernel/control.h).
 */
#include "fs/tty_console.h"

#include <string.h>

#include "abi/fcntl.h"
#include "fs/devfs.h"
#include "fs/tty_internal.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/thread.h"

#define CONSOLE_ROOM 512

static struct tty console_tty;
static bool is_ready;
static enum console_channel output_channel = CONSOLE_STDOUT;

static size_t console_room(struct tty *tty)
{
    return CONSOLE_ROOM; /* write() below waits for the host */
}

static int console_tty_write(struct tty *tty, const char *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        long moved = console_write(output_channel, buf + done, len - done, false);
        if (moved < 0 && done > 0)
            return 0; /* a restart would repeat what the host has; the rest of a line is lost */
        if (moved < 0)
            return moved == -EINTR ? -ERESTARTSYS : (int)moved;
        done += (size_t)moved;
    }
    return 0;
}

static const struct tty_ops console_tty_ops = {
    .room = console_room,
    .write = console_tty_write,
};

/* ---- Input ------------------------------------------------------------------------------- */

static void feed(const char *buf, size_t len)
{
    while (len > 0) {
        size_t taken = tty_receive(&console_tty, buf, len);
        buf += taken;
        len -= taken;
        if (len > 0)
            (void)wait_on_always(&console_tty.receivers, tty_can_receive(&console_tty),
                                 DEADLINE_NONE);
    }
}

static void input_thread(void *arg)
{
    char buf[256];
    long len;
    while ((len = console_read(CONSOLE_STDIN, buf, sizeof(buf), false)) > 0)
        feed(buf, (size_t)len);
    WRITE_ONCE(console_tty.is_at_end, true);
    wake_all(&console_tty.readers);
    poll_wake(&console_tty.poll, 0);
    sched_exit();
}

static bool handle_winsize(const char *rest)
{
    unsigned size[2];
    if (!control_numbers(rest, ' ', UINT16_MAX, size, 2))
        return false;
    tty_console_set_size(size[0], size[1]);
    return true;
}

/* ---- Opening -------------------------------------------------------------------------------- */

int tty_console_init(void)
{
    int err = tty_init(&console_tty, &console_tty_ops, DEVICE_NUMBER(5, 1));
    if (err)
        return err;
    console_tty.is_at_end = true; /* until somebody reads for it */
    __atomic_store_n(&is_ready, true, __ATOMIC_RELEASE);
    control_register("winsize", handle_winsize);
    return 0;
}

int tty_console_start(bool has_input, enum console_channel output)
{
    const char *window = option_string("winsize");
    unsigned size[2];
    output_channel = output;
    if (window && control_numbers(window, 'x', UINT16_MAX, size, 2))
        tty_console_set_size(size[0], size[1]);
    if (!has_input) {
        console_tty.termios.c_oflag &=
            ~(uint32_t)ABI_ONLCR; /* the host's terminal is not raw, and does it */
        return 0;
    }
    console_tty.is_at_end = false;
    struct thread *thread = thread_create_kernel("tty-input", input_thread, NULL);
    if (!thread)
        return -ENOMEM;
    thread_start(thread); /* its one reference goes when it ends */
    return 0;
}

void tty_console_set_size(unsigned rows, unsigned columns)
{
    struct abi_winsize size = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)columns };
    (void)tty_set_size(&console_tty, &size);
}

int tty_console_open(struct inode *inode, struct file *file)
{
    if (!__atomic_load_n(&is_ready, __ATOMIC_ACQUIRE))
        return -ENXIO;
    tty_attach_file(tty_get(&console_tty), file);
    return 0;
}

int tty_current_open(struct inode *inode, struct file *file)
{
    struct tty *tty = tty_of_current();
    if (!tty)
        return -ENXIO;
    tty_attach_file(tty, file);
    return 0;
}
