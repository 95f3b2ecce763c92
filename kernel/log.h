// SPDX-License-Identifier: MIT
#pragma once
/*
 * The kernel's log: one line a call, without the newline, prefixed with the time.
 * Any context, interrupt level included.  Lines go to a ring (dmesg, /dev/kmsg) and,
 * from the console level up (option loglevel=), to the console.
 */
#include <stdarg.h>

#include "lib/compiler.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_write(enum log_level level, const char *format, ...) __printf(2, 3);
void log_write_va(enum log_level level, const char *format, va_list args) __printf(2, 0);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

/* Once for each place in the code. */
#define log_warning_once(...)                                                                      \
    do {                                                                                           \
        static bool done_;                                                                         \
        if (!__atomic_exchange_n(&done_, true, __ATOMIC_RELAXED))                                  \
            log_warning(__VA_ARGS__);                                                              \
    } while (0)

/* The console level; lines less urgent than it only go to the ring. */
void log_set_level(enum log_level level);
/* Copies ring text from *position (0: the oldest; a place that has been overwritten moves on to
 * the oldest line that is left); advances it.  Bytes copied.  A line in the ring is what
 * syslog(2) gives: "<level>[    0.123456] text\n" with the level as Linux numbers it. */
size_t log_read(uint64_t *position, char *buf, size_t size);
/* Where the ring ends: the position of the next line. */
uint64_t log_end(void);

/* Where console lines go: registered once by a driver (uart16550, virtio-console).  The
 * function must work at interrupt level and with other CPUs stopped. */
typedef void (*log_sink)(const char *text, size_t len);
void log_set_sink(log_sink sink);
/* Text as it is to the sink only (the fallback of kernel/console.h).  False: there is none. */
bool log_sink_write(const char *text, size_t len);
/* panic() only: from now on nobody waits for another CPU to finish its line. */
void log_set_panicking(void);
