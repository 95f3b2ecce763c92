// SPDX-License-Identifier: MIT
/*
 * Lines from the tool.  The words are registered while the machine boots on one CPU, before the thread that
 * reads exists, so the table needs no lock.
 */
#include "kernel/control.h"

#include <stdarg.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "lib/format.h"

#define COMMANDS_MAX 9
#define LINE_MAX     256

static struct {
    const char *word;
    bool (*handle)(const char *rest);
} commands[COMMANDS_MAX];
static unsigned ncommands;
static struct mutex line_lock = MUTEX_INIT(line_lock, RANK_CONTROL); /* lines stay in one piece */

void control_register(const char *word, bool (*handle)(const char *rest))
{
    assert(ncommands < COMMANDS_MAX);
    commands[ncommands].word = word;
    commands[ncommands++].handle = handle;
}

bool control_numbers(const char *text, char separator, unsigned max, unsigned *values,
                     unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        uint64_t value = 0;
        if (*text < '0' || *text > '9')
            return false;
        for (; *text >= '0' && *text <= '9'; text++) {
            value = value * 10 + (unsigned)(*text - '0');
            if (value > max)
                return false;
        }
        if (*text++ != (n + 1 < count ? separator : '\0'))
            return false;
        values[n] = (unsigned)value;
    }
    return true;
}

void control_answer(const char *format, ...)
{
    char line[LINE_MAX];
    va_list args;
    va_start(args, format);
    int len = format_string_va(line, sizeof(line) - 1, format, args);
    va_end(args);
    len = MIN(len, (int)sizeof(line) - 2);
    line[len++] = '\n';
    control_write(line, (size_t)len);
}

void control_write(const char *text, size_t len)
{
    mutex_lock(&line_lock);
    (void)console_write(CONSOLE_CONTROL, text, len, false); /* the tool may have gone */
    mutex_unlock(&line_lock);
}

static bool handle_signal(const char *rest)
{
    unsigned signo;
    if (!control_numbers(rest, ' ', ABI_NSIG, &signo, 1) || signo == 0)
        return false;
    struct process *first = __atomic_load_n(&process_first, __ATOMIC_ACQUIRE);
    if (!first) /* it has not begun, and is not wanted any more */
        process_end_machine((int)signo);
    (void)signal_send_process(first, (int)signo, NULL); /* it is dying already */
    return true;
}

static bool handle_memory(const char *rest)
{
    struct frame_stats stats;
    frame_get_stats(&stats);
    control_answer("memory %llu %llu",
                   (unsigned long long)(stats.total_pages - stats.free_pages) * PAGE_SIZE,
                   (unsigned long long)stats.total_pages * PAGE_SIZE);
    return true;
}

static void handle_line(char *line)
{
    char *rest = line + strcspn(line, " ");
    if (*rest)
        *rest++ = '\0';
    for (unsigned i = 0; i < ncommands; i++) {
        if (strcmp(commands[i].word, line) == 0 && commands[i].handle(rest))
            return;
    }
    log_info("control: cannot understand \"%s %s\"", line, rest);
}

static void control_thread(void *arg)
{
    char line[LINE_MAX], c;
    size_t len = 0; /* of a line that is too long: LINE_MAX */
    while (console_read(CONSOLE_CONTROL, &c, 1, false) == 1) {
        if (c != '\n') {
            if (len < LINE_MAX)
                line[len++] = c;
            continue;
        }
        if (len < LINE_MAX) {
            line[len] = '\0';
            handle_line(line);
        }
        len = 0;
    }
    sched_exit();
}

int control_start(void)
{
    control_register("signal", handle_signal);
    control_register("memory", handle_memory);
    if (!console_has_device(CONSOLE_CONTROL))
        return 0;
    struct thread *thread = thread_create_kernel("control", control_thread, NULL);
    if (!thread)
        return -ENOMEM;
    thread_start(thread); /* its one reference goes when it ends */
    return 0;
}
