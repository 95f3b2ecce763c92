// SPDX-License-Identifier: MIT
/*
 * printf-style formatting.
 *
 * A conversion is parsed into a struct spec, the digits or text are made without padding, and
 * emit_padded() lays sign, prefix, zeros and text out in the field.  Characters beyond the buffer
 * are only counted, so the caller learns how much room the whole text would need.
 */
#include "lib/format.h"

#include <limits.h>
#include <string.h>

struct output {
    char *buf;
    size_t size;
    size_t len; /* of the whole text, may exceed size */
};

enum length { LENGTH_INT, LENGTH_CHAR, LENGTH_SHORT, LENGTH_LONG };

struct spec {
    bool left, zero, alternate, plus, space;
    int width;
    int precision; /* -1: none given */
    enum length length;
};

static void emit(struct output *out, char c)
{
    if (out->len < out->size)
        out->buf[out->len] = c;
    out->len++;
}

static void emit_repeat(struct output *out, char c, int count)
{
    while (count-- > 0)
        emit(out, c);
}

static void emit_text(struct output *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        emit(out, text[i]);
}

/* prefix: sign or 0x; zeros: digits that the precision asks for. */
static void emit_padded(struct output *out, const struct spec *spec, const char *prefix, int zeros,
                        const char *text, size_t len)
{
    int padding = spec->width - (int)(strlen(prefix) + len) - zeros;

    if (!spec->left && !spec->zero)
        emit_repeat(out, ' ', padding);
    emit_text(out, prefix, strlen(prefix));
    if (!spec->left && spec->zero)
        emit_repeat(out, '0', padding);
    emit_repeat(out, '0', zeros);
    emit_text(out, text, len);
    if (spec->left)
        emit_repeat(out, ' ', padding);
}

static void emit_number(struct output *out, struct spec *spec, uint64_t value, unsigned base,
                        bool upper, const char *prefix)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char buf[24]; /* 22 octal digits */
    size_t pos = sizeof(buf);

    for (uint64_t rest = value; rest != 0; rest /= base)
        buf[--pos] = digits[rest % base];
    int len = (int)(sizeof(buf) - pos);
    int least = spec->precision >= 0 ? spec->precision : 1;
    if (base == 8 && spec->alternate && least <= len)
        least = len + 1;
    if (spec->precision >= 0)
        spec->zero = false;
    emit_padded(out, spec, prefix, least > len ? least - len : 0, buf + pos, (size_t)len);
}

static void emit_signed(struct output *out, struct spec *spec, int64_t value)
{
    const char *prefix = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    emit_number(out, spec, magnitude, 10, false, prefix);
}

static void emit_string(struct output *out, struct spec *spec, const char *text)
{
    if (!text)
        text = "(null)";
    size_t len = spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text);
    spec->zero = false;
    emit_padded(out, spec, "", 0, text, len);
}

static int parse_count(const char **format)
{
    int count = 0;

    while (**format >= '0' && **format <= '9') {
        int digit = *(*format)++ - '0';
        count = count > (INT_MAX - digit) / 10 ? INT_MAX / 2 : count * 10 + digit;
    }
    return count;
}

static const char *parse_flags(const char *format, struct spec *spec)
{
    for (;; format++) {
        switch (*format) {
        case '-':
            spec->left = true;
            break;
        case '0':
            spec->zero = true;
            break;
        case '#':
            spec->alternate = true;
            break;
        case '+':
            spec->plus = true;
            break;
        case ' ':
            spec->space = true;
            break;
        default:
            return format;
        }
    }
}

static const char *parse_length(const char *format, struct spec *spec)
{
    for (;; format++) {
        switch (*format) {
        case 'h':
            spec->length = spec->length == LENGTH_SHORT ? LENGTH_CHAR : LENGTH_SHORT;
            break;
        case 'l': /* long, long long, intmax_t, size_t and ptrdiff_t are all 64 bits wide */
        case 'j':
        case 'z':
        case 't':
            spec->length = LENGTH_LONG;
            break;
        default:
            return format;
        }
    }
}

static int64_t signed_argument(const struct spec *spec, va_list *args)
{
    if (spec->length == LENGTH_LONG)
        return va_arg(*args, int64_t);
    int value = va_arg(*args, int);
    if (spec->length == LENGTH_SHORT)
        return (short)value;
    return spec->length == LENGTH_CHAR ? (signed char)value : value;
}

static uint64_t unsigned_argument(const struct spec *spec, va_list *args)
{
    if (spec->length == LENGTH_LONG)
        return va_arg(*args, uint64_t);
    unsigned value = va_arg(*args, unsigned);
    if (spec->length == LENGTH_SHORT)
        return (unsigned short)value;
    return spec->length == LENGTH_CHAR ? (unsigned char)value : value;
}

static void emit_hex(struct output *out, struct spec *spec, uint64_t value, bool upper)
{
    const char *prefix = !spec->alternate || value == 0 ? "" : upper ? "0X" : "0x";

    emit_number(out, spec, value, 16, upper, prefix);
}

static void emit_conversion(struct output *out, struct spec *spec, char conversion, va_list *args)
{
    char c;

    switch (conversion) {
    case 'd':
    case 'i':
        emit_signed(out, spec, signed_argument(spec, args));
        break;
    case 'u':
        emit_number(out, spec, unsigned_argument(spec, args), 10, false, "");
        break;
    case 'o':
        emit_number(out, spec, unsigned_argument(spec, args), 8, false, "");
        break;
    case 'x':
    case 'X':
        emit_hex(out, spec, unsigned_argument(spec, args), conversion == 'X');
        break;
    case 'p':
        emit_number(out, spec, (uintptr_t)va_arg(*args, void *), 16, false, "0x");
        break;
    case 'c':
        c = (char)va_arg(*args, int);
        spec->zero = false;
        emit_padded(out, spec, "", 0, &c, 1);
        break;
    case 's':
        emit_string(out, spec, va_arg(*args, const char *));
        break;
    case '%':
        emit(out, '%');
        break;
    default: /* not a conversion: shown as it stands, so the mistake is seen */
        emit(out, '%');
        if (conversion != '\0')
            emit(out, conversion);
        break;
    }
}

static const char *parse_spec(const char *format, struct spec *spec, va_list *args)
{
    *spec = (struct spec){ .precision = -1 };
    format = parse_flags(format, spec);
    if (*format == '*') {
        spec->width = va_arg(*args, int);
        format++;
        if (spec->width < 0) {
            spec->left = true;
            spec->width = spec->width == INT_MIN ? INT_MAX : -spec->width;
        }
    } else {
        spec->width = parse_count(&format);
    }
    if (*format == '.') {
        format++;
        if (*format == '*') {
            spec->precision = va_arg(*args, int);
            format++;
        } else {
            spec->precision = parse_count(&format);
        }
    }
    return parse_length(format, spec);
}

int format_string_va(char *buf, size_t size, const char *format, va_list args)
{
    struct output out = { .buf = buf, .size = size };
    va_list rest;

    va_copy(rest, args);
    while (*format != '\0') {
        struct spec spec;

        if (*format != '%') {
            emit(&out, *format++);
            continue;
        }
        format = parse_spec(format + 1, &spec, &rest);
        emit_conversion(&out, &spec, *format, &rest);
        if (*format != '\0')
            format++;
    }
    va_end(rest);
    if (size > 0)
        buf[MIN(out.len, size - 1)] = '\0';
    return (int)out.len;
}

int format_string(char *buf, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = format_string_va(buf, size, format, args);
    va_end(args);
    return len;
}
