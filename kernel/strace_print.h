// SPDX-License-Identifier: MIT
#pragma once
/*
 * The printers of kernel/strace.c: one for each kind of argument in kernel/syscall_kinds.def.
 */
#include "lib/compiler.h"

struct strace_line {
    size_t len; /* may pass the end: the text is cut there */
    char text[1024];
};

struct strace_argument {
    unsigned long value;
    unsigned long following; /* the next argument: a buffer's length */
    long result;             /* of the call; negative before it has returned */
};

void strace_add(struct strace_line *line, const char *format, ...) __printf(2, 3);
/* "-1 ENOENT" */
void strace_add_error(struct strace_line *line, int error);
/* "SIGSEGV" */
void strace_add_signal(struct strace_line *line, int signo);

void print_int(struct strace_line *line, const struct strace_argument *argument);
void print_unsigned(struct strace_line *line, const struct strace_argument *argument);
void print_long(struct strace_line *line, const struct strace_argument *argument);
void print_size(struct strace_line *line, const struct strace_argument *argument);
void print_hex(struct strace_line *line, const struct strace_argument *argument);
void print_octal(struct strace_line *line, const struct strace_argument *argument);
void print_pointer(struct strace_line *line, const struct strace_argument *argument);
void print_at_fd(struct strace_line *line, const struct strace_argument *argument);
void print_string(struct strace_line *line, const struct strace_argument *argument);
void print_out_buffer(struct strace_line *line, const struct strace_argument *argument);
void print_in_buffer(struct strace_line *line, const struct strace_argument *argument);
void print_open_flags(struct strace_line *line, const struct strace_argument *argument);
void print_prot(struct strace_line *line, const struct strace_argument *argument);
void print_map_flags(struct strace_line *line, const struct strace_argument *argument);
void print_signal(struct strace_line *line, const struct strace_argument *argument);
void print_clock(struct strace_line *line, const struct strace_argument *argument);
void print_futex_op(struct strace_line *line, const struct strace_argument *argument);
