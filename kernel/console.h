// SPDX-License-Identifier: MIT
#pragma once
/*
 * The channels to the host: the program's stdin, stdout and stderr, and control.  Drivers
 * (virtio-console ports named stout.stdin, stout.stdout, stout.stderr, stout.control; the 16550)
 * register what they have; fs/tty.c and the streams of descriptors 0-2 use them.  A channel that no
 * driver provides falls back to the serial console (output) or reads as end of file (stdin).
 */
#include "kernel/poll.h"
#include "kernel/wait.h"
#include "lib/compiler.h"

enum console_channel {
    CONSOLE_STDIN,
    CONSOLE_STDOUT,
    CONSOLE_STDERR,
    CONSOLE_CONTROL,
    CONSOLE_COUNT
};

struct console_ops {
    /* Blocks until all len bytes were taken by the host, or a signal (-EINTR if none were).  nonblock:
     * -EAGAIN.  buf is kernel memory.  Bytes taken or -errno (-EPIPE: the host closed it). */
    long (*write)(void *device, const void *buf, size_t len, bool nonblock);
    /* Waits for input; 0 at end of file.  Bytes or -errno. */
    long (*read)(void *device, void *buf, size_t len, bool nonblock);
    /* POLLIN, POLLOUT, POLLHUP as they hold now. */
    unsigned (*poll)(void *device);
    struct poll_head *(*poll_head)(void *device);
    /* Polled output for the last words before power off; interrupts may be off. */
    void (*write_now)(void *device, const void *buf, size_t len);
    /* Waits, polling, until the host has taken everything written.  May be NULL. */
    void (*drain)(void *device);
};

/* A later registration replaces an earlier one (virtio-console after the serial port). */
void console_register(enum console_channel channel, const struct console_ops *ops, void *device);
/* The same contract as the ops, with the fallback. */
long console_write(enum console_channel channel, const void *buf, size_t len, bool nonblock);
long console_read(enum console_channel channel, void *buf, size_t len, bool nonblock);
bool console_has_device(enum console_channel channel);
unsigned console_poll(enum console_channel channel);
struct poll_head *console_poll_head(enum console_channel channel);
/* "exit N" and the like to the tool: one line without newline, polled. */
void console_control(const char *format, ...) __printf(1, 2);
/* Waits until everything written has reached the host (before power off). */
void console_drain(void);
