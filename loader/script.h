// SPDX-License-Identifier: MIT
#pragma once
/*
 * The first line of a script: "#!interpreter argument".  Pure.
 */
#include "lib/compiler.h"

#define SCRIPT_LINE_MAX 256 /* bytes looked at, "#!" included */

/* head is the file's start, changed in place: *interpreter and *argument (NULL: none) point into it
 * and end with NULs; it must have room for len + 1 bytes.  -ENOEXEC: not a script, or a line that
 * names no interpreter or is cut in the middle of its name. */
int script_parse(char *head, size_t len, char **interpreter, char **argument) __must_check;
