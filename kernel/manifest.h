// SPDX-License-Identifier: MIT
#pragma once
/*
 * What to run: the file /.stout/manifest of the boot archive, written by scripts/stout.
 *
 * Format 1: records "key=value", each ended by a NUL byte (so that a value may hold anything that
 * argv may).  The first is "format=1".  Keys: program (path in the image), arg (each argv element,
 * argv[0] first), env (K=V), cwd, hostname, user (uid:gid), net (static:ADDRESS/BITS:GATEWAY:DNS,
 * dhcp, none), stdio (per descriptor 0-2: tty, stream or null; "tty,stream,stream"),
 * groups (supplementary ones: 10,20), rlimit (RESOURCE:SOFT:HARD, numbers of getrlimit(2)),
 * trace (class list), mount (type:source:ro|rw[,OPTIONS]:place; any number, in order; the type
 * "remount" changes the mount that is there, "bind" shows the file source of the image at place).  Unknown keys are an
 * error that names them.
 */
#include "kernel/process.h"
#include "lib/compiler.h"

#define MANIFEST_PATH "/.stout/manifest"

enum manifest_stdio { STDIO_STREAM, STDIO_TTY, STDIO_NULL };

/* What the host offers, to be mounted before the program starts: mount(2)'s words. */
struct manifest_mount {
    const char *type, *source, *place;
    const char *options; /* "" if not given */
    bool is_read_only;
};

struct manifest {
    char *text; /* the file; the strings below point into it */
    const char *program;
    const char **argv; /* NULL-terminated */
    const char **envp; /* NULL-terminated */
    size_t argc, envc;
    struct manifest_mount *mounts;
    size_t nmounts;
    const char *cwd;      /* "/" if not given */
    const char *hostname; /* "stout" if not given */
    const char *net;      /* NULL if not given */
    const char *trace;    /* NULL if not given */
    uint32_t uid, gid;
    uint32_t groups[NGROUPS];
    unsigned ngroups;
    struct abi_rlimit limits[RLIMIT_COUNT];
    uint32_t limits_given; /* a bit for each resource */
    enum manifest_stdio stdio[3];
};

/* Parses text[0, len), which must end in NUL; takes text over (kmalloc).  On error *error is
 * a static sentence and -EINVAL or -ENOMEM is returned. */
int manifest_parse(char *text, size_t len, struct manifest *manifest,
                   const char **error) __must_check;
