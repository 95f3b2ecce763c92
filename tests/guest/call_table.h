// SPDX-License-Identifier: MIT
#pragma once
/*
 * kernel/syscalls.def as a table for tests: each call's number and the kinds of its arguments.
 */
#include <sys/syscall.h>

#include "lib/map.h"

#define KIND(kind, type, print) KIND_##kind,
enum kind {
#include "kernel/syscall_kinds.def"
};
#undef KIND

struct call {
    const char *name;
    long number;
    int nargs;
    unsigned char kind[6];
    const char *argument[6];
};

#define KIND_OF(kind, name) KIND_##kind
#define TEXT_OF(kind, name) #name
#define ARG_KIND(i, arg)    KIND_OF arg
#define ARG_KIND_EMPTY      0
#define ARG_NAME(i, arg)    TEXT_OF arg
#define ARG_NAME_EMPTY      NULL
#define SYSCALL(name_, result_, ...)                                                               \
    { .name = #name_,                                                                              \
      .number = SYS_##name_,                                                                       \
      .nargs = COUNT_ARGS(__VA_ARGS__),                                                            \
      .kind = { MAP(ARG_KIND, ##__VA_ARGS__) },                                                    \
      .argument = { MAP(ARG_NAME, ##__VA_ARGS__) } },
static const struct call calls[] = {
#include "kernel/syscalls.def"
};
#undef SYSCALL

#define NCALLS (int)(sizeof(calls) / sizeof(calls[0]))
