// SPDX-License-Identifier: MIT
/*
 * The kernel command line, kept as it came: options are few and looked for at boot, so a scan of
 * the text is all the index there is.  One copy has its blanks replaced by NULs, so that values
 * can be handed out as strings.
 */
#include "kernel/options.h"

#include <string.h>

#include "kernel/boot_info.h"

static char words[BOOT_CMDLINE_MAX + 1]; /* NUL-separated */
static size_t words_len;
static const char *original = "";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void options_init(const char *cmdline)
{
    original = cmdline;
    words_len = strnlen(cmdline, BOOT_CMDLINE_MAX);
    memcpy(words, cmdline, words_len);
    for (size_t i = 0; i < words_len; i++) {
        if (is_blank(words[i]))
            words[i] = '\0';
    }
    words[words_len] = '\0';
}

const char *options_text(void)
{
    return original;
}

/* The value if word is name or name=value, else NULL. */
static const char *word_value(const char *word, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0)
        return NULL;
    if (word[len] == '\0')
        return word + len;
    return word[len] == '=' ? word + len + 1 : NULL;
}

const char *option_string(const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < words_len; i += strlen(words + i) + 1) {
        const char *value = word_value(words + i, name);
        if (value)
            found = value;
    }
    return found;
}

bool option_bool(const char *name, bool otherwise)
{
    static const char *const yes[] = { "", "1", "on", "yes", "true" };
    static const char *const no[] = { "0", "off", "no", "false" };
    const char *value = option_string(name);
    if (!value)
        return otherwise;
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (strcmp(value, yes[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
        if (strcmp(value, no[i]) == 0)
            return false;
    }
    return otherwise;
}

static int digit_value(char c, unsigned base)
{
    int digit = -1;
    if (c >= '0' && c <= '9')
        digit = c - '0';
    else if (c >= 'a' && c <= 'f')
        digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        digit = c - 'A' + 10;
    return digit < (int)base ? digit : -1;
}

static unsigned suffix_shift(char c)
{
    switch (c) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    default:
        return 0;
    }
}

uint64_t option_number(const char *name, uint64_t otherwise)
{
    const char *value = option_string(name);
    if (!value)
        return otherwise;
    unsigned base = 10;
    if (value[0] == '0' && (value[1] == 'x' || value[1] == 'X')) {
        base = 16;
        value += 2;
    }
    if (digit_value(*value, base) < 0)
        return otherwise;
    uint64_t number = 0;
    for (; digit_value(*value, base) >= 0; value++)
        number = number * base + (unsigned)digit_value(*value, base);
    unsigned shift = suffix_shift(*value);
    if (value[shift ? 1 : 0] != '\0')
        return otherwise;
    return number << shift;
}

const char *option_next(const char *name, const char **cursor, size_t *len)
{
    const char *at = *cursor ? *cursor : original;
    size_t name_len = strlen(name);
    for (;;) {
        while (is_blank(*at))
            at++;
        if (!*at)
            return NULL;
        const char *end = at;
        while (*end && !is_blank(*end))
            end++;
        if ((size_t)(end - at) > name_len && strncmp(at, name, name_len) == 0 &&
            at[name_len] == '=') {
            *cursor = end;
            *len = (size_t)(end - at) - name_len - 1;
            return at + name_len + 1;
        }
        at = end;
    }
}
