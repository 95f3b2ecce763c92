// SPDX-License-Identifier: MIT
/*
 * The "#!" line, as Linux reads it (fs/binfmt_script.c describes it): blanks around the interpreter are
 * skipped, the rest of the line up to trailing blanks is one argument.  A line longer than the
 * buffer loses the end of its argument, but never a part of the interpreter's name.
 */
#include "loader/script.h"

#include <string.h>

#include "abi/errno.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int script_parse(char *head, size_t len, char **interpreter, char **argument)
{
    if (len < 2 || head[0] != '#' || head[1] != '!')
        return -ENOEXEC;
    head[len] = '\0';
    char *end = head + 2 + strcspn(head + 2, "\n");
    bool is_cut = *end != '\n' && len >= SCRIPT_LINE_MAX - 1;
    while (end > head + 2 && is_blank(end[-1]))
        end--;
    char *name = head + 2;
    while (name < end && is_blank(*name))
        name++;
    if (name == end)
        return -ENOEXEC;
    char *name_end = name;
    while (name_end < end && !is_blank(*name_end))
        name_end++;
    if (is_cut && name_end == end)
        return -ENOEXEC;
    char *rest = name_end;
    while (rest < end && is_blank(*rest))
        rest++;
    *end = '\0';
    *name_end = '\0';
    *interpreter = name;
    *argument = rest < end ? rest : NULL;
    return 0;
}
