// SPDX-License-Identifier: MIT
/* lib/format.c against the host's snprintf(3), which is the contract. */
#include "lib/format.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/host/check.h"

static char ours[256], theirs[256];

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

#define SAME(...)                                                                                  \
    do {                                                                                           \
        int len_ = format_string(ours, sizeof(ours), __VA_ARGS__);                                 \
        CHECK_EQ(len_, snprintf(theirs, sizeof(theirs), __VA_ARGS__));                             \
        if (strcmp(ours, theirs) != 0)                                                             \
            fprintf(stderr, "ours '%s', theirs '%s'\n", ours, theirs);                             \
        CHECK(strcmp(ours, theirs) == 0);                                                          \
    } while (0)

static void test_numbers(void)
{
    static const char *const formats[] = { "%ld",   "%5ld",   "%-5ld|",   "%05ld",  "%+ld", "% ld",
                                           "%.3ld", "%8.3ld", "%-8.3ld|", "%+08ld", "%.0ld" };
    static const char *const bases[] = { "%lx",     "%lX",   "%#lx",  "%#12lx", "%-#12lx|",
                                         "%#012lx", "%lo",   "%#lo",  "%#.5lo", "%lu",
                                         "%20lu",   "%.7lx", "%#.0lo" };
    static const long values[] = { 0, 1, -1, 7, -42, 1234567, LONG_MAX, LONG_MIN };

    for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
        for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
            SAME(formats[f], values[v]);
        for (unsigned f = 0; f < ARRAY_SIZE(bases); f++)
            SAME(bases[f], values[v]);
        SAME("%d %u %x %hhd %hd %hhu %hu", (int)values[v], (unsigned)values[v], (unsigned)values[v],
             (int)values[v], (int)values[v], (unsigned)values[v], (unsigned)values[v]);
        SAME("%lld %llu %jd %zu %td", (long long)values[v], (unsigned long long)values[v],
             (intmax_t)values[v], (size_t)values[v], (ptrdiff_t)values[v]);
        SAME("%*ld|%-*ld|%.*ld", 9, values[v], 9, values[v], 4, values[v]);
        SAME("%*ld", -9, values[v]);
        SAME("%.*ld", -1, values[v]);
    }
}

static void test_text(void)
{
    SAME("%s|%10s|%-10s|%.2s|%10.2s", "text", "text", "text", "text", "text");
    SAME("%c%5c%-5c|%%", 'a', 'b', 'c');
    SAME("%.3s", "abcdef");
    SAME("%.*s", 2, "abcdef");
    SAME("%p", (void *)0x1234);
    SAME("%s", "");
    const char *volatile none = NULL;
    format_string(ours, sizeof(ours), "%s", none);
    CHECK(strcmp(ours, "(null)") == 0);
}

static void test_size(void)
{
    char small[4] = "xyz";

    CHECK_EQ(format_string(small, sizeof(small), "%s", "abcdef"), 6);
    CHECK(strcmp(small, "abc") == 0);
    CHECK_EQ(format_string(small, 1, "%d", 12345), 5);
    CHECK_EQ(small[0], 0);
    CHECK_EQ(format_string(NULL, 0, "%d", 12345), 5);
}

int main(void)
{
    test_numbers();
    test_text();
    test_size();
    return 0;
}
