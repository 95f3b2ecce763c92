// SPDX-License-Identifier: MIT
/*
 * The system call tracer: a loop over the arguments of a table row.
 *
 * A line is printed when the call has returned, because only then are the buffers full:
 *
 *     [1] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
 *
 * Calls that do not come back (exit, execve when it works) are printed at entry.  The lines go to the
 * program's standard error, where the tool shows them; each is one write, so lines of several threads do
 * not mix.
 */
#include "kernel/strace.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "abi/syscall_nr.h"
#include "kernel/archive_use.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/strace_print.h"
#include "kernel/syscall.h"
#include "kernel/syscall_count.h"
#include "kernel/thread.h"
#include "lib/format.h"

#define TRACE_SYSCALLS 1u
#define TRACE_SIGNALS  2u
#define TRACE_COUNTS   4u
#define TRACE_FILES    8u

static unsigned classes_on;

/* Which printer shows an argument of a kind. */
#define KIND(kind, type, print) [ARG_##kind] = (print),
static void (*const printers[])(struct strace_line *line,
                                const struct strace_argument *argument) = {
#include "kernel/syscall_kinds.def"
};
#undef KIND

static unsigned class_of(const char *name, size_t len)
{
    static const struct {
        const char *name;
        unsigned classes;
    } known[] = {
        { "syscalls", TRACE_SYSCALLS | TRACE_SIGNALS },
        { "syscall", TRACE_SYSCALLS | TRACE_SIGNALS },
        { "signals", TRACE_SIGNALS },
        { "counts", TRACE_COUNTS },
        { "files", TRACE_FILES },
        { "all", TRACE_SYSCALLS | TRACE_SIGNALS },
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0)
            return known[i].classes;
    }
    return 0;
}

void strace_configure(const char *classes)
{
    while (classes && *classes) {
        size_t len = strcspn(classes, ",");
        unsigned class = class_of(classes, len);
        if (!class && len)
            log_warning("trace: unknown class \"%.*s\"", (int)len, classes);
        classes_on |= class;
        classes += len + (classes[len] == ',');
    }
    if (classes_on & TRACE_COUNTS)
        syscall_count_start();
    if (classes_on & TRACE_FILES)
        archive_use_start();
}

void strace_thread_start(struct thread *thread)
{
    uint32_t flags = classes_on & TRACE_SYSCALLS ? THREAD_TRACED : 0;
    if (classes_on & TRACE_COUNTS)
        flags |= THREAD_COUNTED;
    __atomic_fetch_or(&thread->flags, flags, __ATOMIC_RELAXED);
}

/* ---- Lines ------------------------------------------------------------------------ */

static struct strace_line *line_begin(void)
{
    struct strace_line *line = kmalloc(sizeof(*line), ALLOC_WAIT);
    if (!line)
        return NULL;
    line->len = 0;
    strace_add(line, "[%d] ", thread_current()->tid);
    return line;
}

static void line_end(struct strace_line *line)
{
    if (line->len >= sizeof(line->text))
        line->len = sizeof(line->text) - 1;
    line->text[line->len++] = '\n';
    size_t done = 0;
    while (done < line->len) {
        long n = console_write(CONSOLE_STDERR, line->text + done, line->len - done, false);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    kfree(line);
}

static void result_print(struct strace_line *line, const struct syscall *row, long result)
{
    if (result < 0 && result > -4096) {
        strace_add(line, " = ");
        strace_add_error(line, (int)-result);
    } else if (row && row->result == RESULT_ADDRESS) {
        strace_add(line, " = %#lx", (unsigned long)result);
    } else {
        strace_add(line, " = %ld", result);
    }
}

static void call_print(struct strace_line *line, const struct syscall *row,
                       const unsigned long reg[6], long result, bool has_returned)
{
    strace_add(line, "%s(", row->name);
    for (unsigned i = 0; i < row->nargs; i++) {
        struct strace_argument argument = {
            .value = reg[i],
            .following = i + 1 < row->nargs ? reg[i + 1] : 0,
            .result = has_returned ? result : -EINVAL,
        };
        if (i)
            strace_add(line, ", ");
        printers[row->kind[i]](line, &argument);
    }
    strace_add(line, ")");
}

/* Calls that may not return to strace_leave(). */
static bool is_last_words(const struct syscall *row)
{
    static const char *const names[] = { "exit",     "exit_group",   "execve",
                                         "execveat", "rt_sigreturn", "reboot" };
    for (size_t i = 0; row && i < ARRAY_SIZE(names); i++) {
        if (strcmp(row->name, names[i]) == 0)
            return true;
    }
    return false;
}

void strace_enter(const struct syscall *row, const unsigned long reg[6])
{
    if (!is_last_words(row))
        return;
    syscall_count(row, 0);
    if (!(classes_on & TRACE_SYSCALLS))
        return;
    struct strace_line *line = line_begin();
    if (!line)
        return;
    call_print(line, row, reg, 0, false);
    line_end(line);
}

/* Calls that may not return were counted as successes when they began. */
static void count_result(const struct syscall *row, long result)
{
    if (!is_last_words(row)) {
        syscall_count(row, result);
    } else if (result < 0 && strcmp(row->name, "rt_sigreturn") != 0) {
        syscall_count_take_back(row);
        syscall_count(row, result);
    }
}

void strace_leave(const struct syscall *row, long nr, const unsigned long reg[6], long result)
{
    count_result(row, result);
    if (!(classes_on & TRACE_SYSCALLS))
        return;
    struct strace_line *line = line_begin();
    if (!line)
        return;
    if (!row) {
        strace_add(line, "syscall_%ld(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)", nr, reg[0], reg[1],
                   reg[2], reg[3], reg[4], reg[5]);
    } else if (is_last_words(row)) {
        strace_add(line, "... %s", row->name);
    } else {
        call_print(line, row, reg, result, true);
    }
    result_print(line, row, result);
    line_end(line);
}

void strace_signal(const struct abi_siginfo *info)
{
    if (!(classes_on & TRACE_SIGNALS))
        return;
    struct strace_line *line = line_begin();
    if (!line)
        return;
    strace_add(line, "--- ");
    strace_add_signal(line, info->si_signo);
    if (info->si_code > 0 && info->si_code != ABI_SI_KERNEL)
        strace_add(line, " {si_code=%d, si_addr=%#lx}", info->si_code,
                   (unsigned long)info->fault.si_addr);
    else
        strace_add(line, " {si_code=%d, si_pid=%d}", info->si_code, info->si_pid);
    strace_add(line, " ---");
    line_end(line);
}

void strace_exit(int wait_status)
{
    if (!(classes_on & (TRACE_SYSCALLS | TRACE_SIGNALS)))
        return;
    struct strace_line *line = line_begin();
    if (!line)
        return;
    int signo = wait_status & 0x7f;
    if (signo) {
        strace_add(line, "+++ killed by ");
        strace_add_signal(line, signo);
        strace_add(line, " +++");
    } else {
        strace_add(line, "+++ exited with %d +++", wait_status >> 8 & 0xff);
    }
    line_end(line);
}
