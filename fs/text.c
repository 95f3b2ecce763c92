// SPDX-License-Identifier: MIT
#include "fs/text.h"

#include <string.h>

#include "kernel/mm/heap.h"
#include "lib/format.h"

#define FIRST_SIZE 512

void text_init(struct text *text)
{
    *text = (struct text){ 0 };
}

void text_fini(struct text *text)
{
    kfree(text->buf);
    text_init(text);
}

/* Room for len more bytes. */
static bool text_reserve(struct text *text, size_t len)
{
    if (text->failed)
        return false;
    if (text->size - text->len >= len)
        return true;
    size_t size = MAX(text->size * 2, (size_t)FIRST_SIZE);
    while (size - text->len < len)
        size *= 2;
    char *buf = krealloc(text->buf, size, ALLOC_WAIT);
    if (!buf) {
        text->failed = true;
        return false;
    }
    text->buf = buf;
    text->size = size;
    return true;
}

void text_append(struct text *text, const char *data, size_t len)
{
    if (!text_reserve(text, len))
        return;
    memcpy(text->buf + text->len, data, len);
    text->len += len;
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = text->size - text->len;
    int len = format_string_va(room ? text->buf + text->len : NULL, room, format, args);
    /* The NUL needs a place too. */
    if ((size_t)len >= room && text_reserve(text, (size_t)len + 1))
        len = format_string_va(text->buf + text->len, (size_t)len + 1, format, again);
    if (!text->failed)
        text->len += (size_t)len;
    va_end(again);
    va_end(args);
}

void text_pad(struct text *text, size_t line_start, size_t column)
{
    while (!text->failed && text->len - line_start < column)
        text_append(text, " ", 1);
}

void text_escape(struct text *text, const char *string, const char *set)
{
    for (; *string; string++) {
        if (*string == '\\' || strchr(set, *string))
            text_printf(text, "\\%03o", (unsigned char)*string);
        else
            text_append(text, string, 1);
    }
}
