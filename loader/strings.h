// SPDX-License-Identifier: MIT
#pragma once
/*
 * The argument and environment strings of a program to be, collected in kernel memory and then laid
 * out in its stack: argv, envp, the file's name, each string followed by its NUL.
 */
#include "kernel/mm/vmspace.h"
#include "lib/compiler.h"

#define STRINGS_CHUNKS_MAX 20
#define SCRIPT_ARGS_MAX    16 /* what scripts put in front: at most four deep, three each */

struct exec_strings {
    char *chunk[STRINGS_CHUNKS_MAX];
    unsigned nchunks;
    size_t chunk_used;  /* bytes in the last chunk */
    size_t bytes;       /* in all chunks */
    size_t limit;       /* of bytes and pointers together */
    size_t argc, envc;  /* strings collected */
    size_t args_bytes;  /* the part of bytes that argv is */
    size_t first_bytes; /* of argv[0] */
    bool skip_first;    /* a script's interpreter takes argv[0]'s place */
    char *prefix[SCRIPT_ARGS_MAX];
    unsigned nprefix;
};

void strings_init(struct exec_strings *strings);
void strings_fini(struct exec_strings *strings);
/* -E2BIG, -EFAULT, -ENOMEM.  All argv before the first env; name last. */
int strings_add_app(struct exec_strings *strings, const void __app *vector,
                    bool is_env) __must_check;
int strings_add_kernel(struct exec_strings *strings, const char *const *vector,
                       bool is_env) __must_check;
int strings_add_name(struct exec_strings *strings, const char *name) __must_check;
/* argv becomes interpreter, argument (if not NULL), script, argv[1]... */
int strings_prepend(struct exec_strings *strings, const char *interpreter, const char *argument,
                    const char *script) __must_check;

size_t strings_argc(const struct exec_strings *strings);
/* Bytes of all strings as they will stand in memory, and of the part that is argv. */
size_t strings_size(const struct exec_strings *strings);
size_t strings_args_size(const struct exec_strings *strings);

/* Lays the strings out at address; -EFAULT, -ENOMEM. */
int strings_write(const struct exec_strings *strings, struct vmspace *vm,
                  uintptr_t address) __must_check;

/* Goes over the strings in order, prefix first; tells the length of each, NUL included. */
struct strings_cursor {
    const struct exec_strings *strings;
    unsigned prefix, chunk;
    size_t at; /* in the chunk */
};
void strings_cursor_init(struct strings_cursor *cursor, const struct exec_strings *strings);
size_t strings_next(struct strings_cursor *cursor);
