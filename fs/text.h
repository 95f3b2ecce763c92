// SPDX-License-Identifier: MIT
#pragma once
/*
 * A text that grows while it is written: the content of a /proc file.  Running out of memory is kept
 * and asked for once at the end, so that writers read straight down.
 */
#include "lib/compiler.h"

struct text {
    char *buf; /* kmalloc'ed; not NUL-terminated */
    size_t len;
    size_t size;
    bool failed; /* no memory: the text is cut short */
};

void text_init(struct text *text);
void text_fini(struct text *text);
void text_append(struct text *text, const char *data, size_t len);
void text_printf(struct text *text, const char *format, ...) __printf(2, 3);
/* Blanks up to this column of the line that began at line_start. */
void text_pad(struct text *text, size_t line_start, size_t column);
/* A string with the characters of set (and '\\') as \ooo, as /proc/mounts and /proc/PID/maps have it. */
void text_escape(struct text *text, const char *string, const char *set);
