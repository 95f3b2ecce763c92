// SPDX-License-Identifier: MIT
/*
 * The log.
 *
 * A line is formatted on the caller's stack, appended to a 64 KiB ring under log_lock, and then
 * handed to the sink as a whole, outside that lock: the lock is the last in the order of ranks and
 * a sink may be slow.  Whole lines of several CPUs are kept apart by sink_owner, a bare lock that
 * knows its holder, because a sink that logs, or a CPU that panics in a sink, must get through.
 *
 * Positions in the ring count all bytes ever written, so a reader that was overtaken sees it.
 */
#include "kernel/log.h"

#include <string.h>

#include "arch/arch.h"
#include "kernel/percpu.h"
#include "kernel/spinlock.h"
#include "lib/format.h"

#define LOG_RING_SIZE 65536u
#define LOG_LINE_MAX  512

static struct spinlock log_lock = SPINLOCK_INIT(RANK_LOG);
static char log_ring[LOG_RING_SIZE];
static uint64_t log_head; /* under log_lock: bytes ever written */
static enum log_level log_console_level = LOG_WARNING;
static log_sink log_sink_function;
static unsigned sink_owner; /* CPU + 1 */
static bool is_panicking;

/* As syslog(2) numbers them. */
static const char level_digit[] = {
    [LOG_ERROR] = '3', [LOG_WARNING] = '4', [LOG_INFO] = '6', [LOG_DEBUG] = '7'
};

static void ring_append(const char *text, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t at = (log_head + done) % LOG_RING_SIZE;
        size_t part = MIN(len - done, LOG_RING_SIZE - at);
        memcpy(log_ring + at, text + done, part);
        done += part;
    }
    log_head += len;
}

/* True if the caller owns the sink and must release it. */
static bool sink_acquire(void)
{
    unsigned self = cpu_current() + 1;
    for (;;) {
        unsigned free = 0;
        if (__atomic_compare_exchange_n(&sink_owner, &free, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
        if (free == self || READ_ONCE(is_panicking))
            return false;
        arch_pause();
    }
}

bool log_sink_write(const char *text, size_t len)
{
    log_sink sink = __atomic_load_n(&log_sink_function, __ATOMIC_ACQUIRE);
    if (!sink)
        return false;
    unsigned long flags = arch_irq_save();
    bool is_owner = sink_acquire();
    sink(text, len);
    if (is_owner)
        __atomic_store_n(&sink_owner, 0, __ATOMIC_RELEASE);
    arch_irq_restore(flags);
    return true;
}

/* "<6>[    0.123456] text\n"; a text that is too long is cut. */
__printf(3, 0) static size_t
    line_format(char *line, enum log_level level, const char *format, va_list args)
{
    nsec_t now = arch_clock_ns();
    int len = format_string(line, LOG_LINE_MAX, "<%c>[%5lld.%06lld] ", level_digit[level],
                            (long long)(now / NSEC_PER_SEC),
                            (long long)(now % NSEC_PER_SEC / NSEC_PER_USEC));
    len += format_string_va(line + len, LOG_LINE_MAX - len, format, args);
    if (len > LOG_LINE_MAX - 2)
        len = LOG_LINE_MAX - 2;
    line[len++] = '\n';
    return len;
}

void log_write_va(enum log_level level, const char *format, va_list args)
{
    char line[LOG_LINE_MAX];
    size_t len = line_format(line, level, format, args);

    /* A panic may have interrupted the holder; a torn ring is better than silence. */
    if (READ_ONCE(is_panicking)) {
        ring_append(line, len);
    } else {
        unsigned long flags = spin_lock_irq(&log_lock);
        ring_append(line, len);
        spin_unlock_irq(&log_lock, flags);
    }
    if (level <= log_console_level)
        (void)log_sink_write(line + 3, len - 3);
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_write_va(level, format, args);
    va_end(args);
}

void log_set_level(enum log_level level)
{
    log_console_level = level;
}

void log_set_panicking(void)
{
    WRITE_ONCE(is_panicking, true);
}

void log_set_sink(log_sink sink)
{
    __atomic_store_n(&log_sink_function, sink, __ATOMIC_RELEASE);
}

uint64_t log_end(void)
{
    return __atomic_load_n(&log_head, __ATOMIC_RELAXED);
}

/* The oldest whole line that is still in the ring. */
static uint64_t ring_oldest(void)
{
    if (log_head <= LOG_RING_SIZE)
        return 0;
    uint64_t position = log_head - LOG_RING_SIZE;
    while (log_ring[position % LOG_RING_SIZE] != '\n')
        position++;
    return position + 1;
}

size_t log_read(uint64_t *position, char *buf, size_t size)
{
    unsigned long flags = spin_lock_irq(&log_lock);
    uint64_t from = *position;
    if (from > log_head || log_head - from > LOG_RING_SIZE)
        from = ring_oldest();
    size_t len = MIN(size, log_head - from);
    for (size_t i = 0; i < len; i++)
        buf[i] = log_ring[(from + i) % LOG_RING_SIZE];
    spin_unlock_irq(&log_lock, flags);
    *position = from + len;
    return len;
}
