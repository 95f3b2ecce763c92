// SPDX-License-Identifier: MIT
/*
 * loader/script.c: "#!" lines.
 */
#include "loader/script.h"

#include <string.h>

#include "abi/errno.h"
#include "tests/host/check.h"

static int parse(const char *line, char **interpreter, char **argument)
{
    static char head[SCRIPT_LINE_MAX];
    size_t len = strlen(line);
    if (len > SCRIPT_LINE_MAX - 1)
        len = SCRIPT_LINE_MAX - 1;
    memset(head, 'x', sizeof(head));
    memcpy(head, line, len);
    return script_parse(head, len, interpreter, argument);
}

static void check_line(const char *line, const char *interpreter, const char *argument)
{
    char *a, *b;
    CHECK_EQ(parse(line, &a, &b), 0);
    CHECK(strcmp(a, interpreter) == 0);
    CHECK(argument ? b && strcmp(b, argument) == 0 : !b);
}

static void test_good(void)
{
    check_line("#!/bin/sh\n", "/bin/sh", NULL);
    check_line("#!/bin/sh", "/bin/sh", NULL);
    check_line("#! \t/bin/sh \t\nrest", "/bin/sh", NULL);
    check_line("#!/usr/bin/env python3\nimport", "/usr/bin/env", "python3");
    check_line("#!/usr/bin/env -S a b  \n", "/usr/bin/env", "-S a b");
    check_line("#!/bin/sh \t-e", "/bin/sh", "-e");
}

static void test_bad(void)
{
    char *a, *b, line[400];
    CHECK_EQ(parse("", &a, &b), -ENOEXEC);
    CHECK_EQ(parse("#", &a, &b), -ENOEXEC);
    CHECK_EQ(parse("!#/bin/sh\n", &a, &b), -ENOEXEC);
    CHECK_EQ(parse("#!\n", &a, &b), -ENOEXEC);
    CHECK_EQ(parse("#!  \t \n", &a, &b), -ENOEXEC);
    memset(line, 'a', sizeof(line));
    memcpy(line, "#!/", 3);
    line[sizeof(line) - 1] = '\0';
    CHECK_EQ(parse(line, &a, &b), -ENOEXEC); /* its name is cut */
    line[20] = ' ';
    CHECK_EQ(parse(line, &a, &b), 0); /* only its argument is */
    CHECK_EQ(strlen(a), 18);
    CHECK_EQ(strlen(b), SCRIPT_LINE_MAX - 1 - 21);
}

int main(void)
{
    test_good();
    test_bad();
    return 0;
}
