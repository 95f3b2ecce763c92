// SPDX-License-Identifier: MIT
/*
 * The registry of the channels to the host, and what happens without one.
 *
 * Devices are registered at boot and never leave, so a channel is one pointer that is read without
 * a lock.  Output without a device goes to the log's sink (the serial console) as it is.
 */
#include "kernel/console.h"

#include <stdarg.h>

#include "abi/poll.h"
#include "kernel/log.h"
#include "lib/format.h"

struct channel {
    const struct console_ops *ops; /* [a] set last: its presence makes device valid */
    void *device;
};

static struct channel channels[CONSOLE_COUNT];

/* Never woken: without a device nothing changes. */
static struct poll_head idle_head = { .lock = SPINLOCK_INIT(RANK_POLL),
                                      .watchers = LIST_INIT(idle_head.watchers) };

static const struct console_ops *channel_ops(enum console_channel channel)
{
    return __atomic_load_n(&channels[channel].ops, __ATOMIC_ACQUIRE);
}

void console_register(enum console_channel channel, const struct console_ops *ops, void *device)
{
    __atomic_store_n(&channels[channel].ops, NULL, __ATOMIC_RELEASE);
    channels[channel].device = device;
    __atomic_store_n(&channels[channel].ops, ops, __ATOMIC_RELEASE);
}

bool console_has_device(enum console_channel channel)
{
    return channel_ops(channel) != NULL;
}

long console_write(enum console_channel channel, const void *buf, size_t len, bool nonblock)
{
    const struct console_ops *ops = channel_ops(channel);
    if (ops && ops->write)
        return ops->write(channels[channel].device, buf, len, nonblock);
    (void)log_sink_write(buf, len); /* no sink either: a machine without any output */
    return (long)len;
}

long console_read(enum console_channel channel, void *buf, size_t len, bool nonblock)
{
    const struct console_ops *ops = channel_ops(channel);
    if (ops && ops->read)
        return ops->read(channels[channel].device, buf, len, nonblock);
    return 0;
}

unsigned console_poll(enum console_channel channel)
{
    const struct console_ops *ops = channel_ops(channel);
    if (ops && ops->poll)
        return ops->poll(channels[channel].device);
    return channel == CONSOLE_STDIN ? ABI_POLLIN | ABI_POLLHUP : ABI_POLLOUT;
}

struct poll_head *console_poll_head(enum console_channel channel)
{
    const struct console_ops *ops = channel_ops(channel);
    if (ops && ops->poll_head)
        return ops->poll_head(channels[channel].device);
    return &idle_head;
}

void console_control(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int len = format_string_va(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (len > (int)sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len++] = '\n';

    const struct console_ops *ops = channel_ops(CONSOLE_CONTROL);
    if (ops && ops->write_now) {
        ops->write_now(channels[CONSOLE_CONTROL].device, line, len);
        return;
    }
    line[len - 1] = '\0';
    log_write(LOG_ERROR, "stout: %s", line);
}

void console_drain(void)
{
    for (enum console_channel channel = 0; channel < CONSOLE_COUNT; channel++) {
        const struct console_ops *ops = channel_ops(channel);
        if (ops && ops->drain)
            ops->drain(channels[channel].device);
    }
}
