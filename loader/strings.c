// SPDX-License-Identifier: MIT
/*
 * Argument strings: see loader/strings.h.
 *
 * They may be megabytes, so they are kept in chunks that grow from 4 KiB to 512 KiB; a string may
 * run over the end of a chunk.  Limits as in execve(2): a string at most 128 KiB, all of them with
 * their pointers a quarter of the stack limit, and never more than 6 MiB.
 */
#include "loader/strings.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "kernel/rlimit.h"
#include "kernel/usercopy.h"

#define STRING_MAX    (128UL << 10)
#define TOTAL_MIN     (128UL << 10)
#define TOTAL_MAX     (6UL << 20)
#define CHUNK_FIRST   4096UL
#define CHUNK_DOUBLES 7 /* up to 512 KiB */

static size_t chunk_size(unsigned index)
{
    return CHUNK_FIRST << MIN(index, CHUNK_DOUBLES);
}

void strings_init(struct exec_strings *strings)
{
    uint64_t limit = rlimit_current(LIMIT_STACK) / 4;
    memset(strings, 0, sizeof(*strings));
    strings->limit = MAX(TOTAL_MIN, MIN(limit, TOTAL_MAX));
}

void strings_fini(struct exec_strings *strings)
{
    for (unsigned i = 0; i < strings->nchunks; i++)
        kfree(strings->chunk[i]);
    for (unsigned i = 0; i < strings->nprefix; i++)
        kfree(strings->prefix[i]);
    strings->nchunks = 0;
    strings->nprefix = 0;
}

/* ---- Collecting ----------------------------------------------------------------- */

static bool has_room(const struct exec_strings *strings, size_t more)
{
    size_t pointers = (strings->argc + strings->envc + 1) * sizeof(uint64_t);
    return strings->bytes + more + pointers <= strings->limit;
}

/* Room for the next piece of a string: a place, and how many bytes fit there. */
static int piece_begin(struct exec_strings *strings, char **place, size_t *room)
{
    if (strings->nchunks == 0 || strings->chunk_used == chunk_size(strings->nchunks - 1)) {
        if (strings->nchunks == STRINGS_CHUNKS_MAX)
            return -E2BIG;
        char *chunk = kmalloc(chunk_size(strings->nchunks), ALLOC_WAIT);
        if (!chunk)
            return -ENOMEM;
        strings->chunk[strings->nchunks++] = chunk;
        strings->chunk_used = 0;
    }
    *place = strings->chunk[strings->nchunks - 1] + strings->chunk_used;
    *room = chunk_size(strings->nchunks - 1) - strings->chunk_used;
    return 0;
}

static void piece_end(struct exec_strings *strings, size_t len)
{
    strings->chunk_used += len;
    strings->bytes += len;
}

/* Appends len bytes, the last of which becomes a NUL. */
static int bytes_add(struct exec_strings *strings, const void __app *from, size_t len, bool is_app)
{
    if (len > STRING_MAX || !has_room(strings, len))
        return -E2BIG;
    char *place = NULL;
    for (size_t done = 0; done < len;) {
        size_t room;
        int err = piece_begin(strings, &place, &room);
        if (err)
            return err;
        size_t part = MIN(room, len - done);
        const void __app *piece = (const void __app *)((uintptr_t)from + done);
        if (!is_app)
            memcpy(place, (const void *)piece, part);
        else if (copy_from_app(place, piece, part))
            return -EFAULT;
        piece_end(strings, part);
        place += part;
        done += part;
    }
    place[-1] = '\0'; /* another thread may have changed the string since it was measured */
    return 0;
}

static void string_count(struct exec_strings *strings, size_t len, bool is_env)
{
    if (is_env) {
        strings->envc++;
        return;
    }
    if (strings->argc == 0)
        strings->first_bytes = len;
    strings->argc++;
    strings->args_bytes += len;
}

int strings_add_app(struct exec_strings *strings, const void __app *vector, bool is_env)
{
    uintptr_t at = (uintptr_t)vector;
    for (; vector; at += sizeof(uint64_t)) {
        uint64_t pointer;
        if (copy_from_app(&pointer, (const void __app *)at, sizeof(pointer)))
            return -EFAULT;
        if (!pointer)
            break;
        long len = string_length_app((const char __app *)pointer, STRING_MAX);
        if (len < 0)
            return (int)len;
        if (len == (long)STRING_MAX)
            return -E2BIG;
        int err = bytes_add(strings, (const void __app *)pointer, (size_t)len + 1, true);
        if (err)
            return err;
        string_count(strings, (size_t)len + 1, is_env);
    }
    return 0;
}

static int string_add(struct exec_strings *strings, const char *text)
{
    return bytes_add(strings, (const void __app *)text, strlen(text) + 1, false);
}

int strings_add_kernel(struct exec_strings *strings, const char *const *vector, bool is_env)
{
    for (; *vector; vector++) {
        int err = string_add(strings, *vector);
        if (err)
            return err;
        string_count(strings, strlen(*vector) + 1, is_env);
    }
    return 0;
}

int strings_add_name(struct exec_strings *strings, const char *name)
{
    return string_add(strings, name);
}

/* ---- Scripts ---------------------------------------------------------------------- */

int strings_prepend(struct exec_strings *strings, const char *interpreter, const char *argument,
                    const char *script)
{
    const char *const new[] = { interpreter, argument ? argument : script,
                                argument ? script : NULL };
    char *copy[3] = { NULL };
    unsigned n = argument ? 3 : 2;
    if (strings->nprefix + n > SCRIPT_ARGS_MAX)
        return -E2BIG;
    for (unsigned i = 0; i < n; i++) {
        copy[i] = kstrdup(new[i], ALLOC_WAIT);
        if (!copy[i])
            goto free_copies;
    }
    /* The old argv[0] goes: of the prefix if there is one, else of the strings. */
    unsigned skipped = strings->nprefix ? 1 : 0;
    if (skipped)
        kfree(strings->prefix[0]);
    else
        strings->skip_first = strings->argc > 0;
    memmove(&strings->prefix[n], &strings->prefix[skipped],
            (strings->nprefix - skipped) * sizeof(strings->prefix[0]));
    memcpy(strings->prefix, copy, n * sizeof(copy[0]));
    strings->nprefix += n - skipped;
    return 0;

free_copies:
    for (unsigned i = 0; i < n; i++)
        kfree(copy[i]);
    return -ENOMEM;
}

/* ---- Laying out ---------------------------------------------------------------------- */

size_t strings_argc(const struct exec_strings *strings)
{
    return strings->nprefix + strings->argc - (strings->skip_first ? 1 : 0);
}

static size_t prefix_size(const struct exec_strings *strings)
{
    size_t size = 0;
    for (unsigned i = 0; i < strings->nprefix; i++)
        size += strlen(strings->prefix[i]) + 1;
    return size;
}

static size_t skipped_size(const struct exec_strings *strings)
{
    return strings->skip_first ? strings->first_bytes : 0;
}

size_t strings_size(const struct exec_strings *strings)
{
    return prefix_size(strings) + strings->bytes - skipped_size(strings);
}

size_t strings_args_size(const struct exec_strings *strings)
{
    return prefix_size(strings) + strings->args_bytes - skipped_size(strings);
}

static size_t chunk_bytes(const struct exec_strings *strings, unsigned index)
{
    return index + 1 == strings->nchunks ? strings->chunk_used : chunk_size(index);
}

static int piece_write(struct vmspace *vm, uintptr_t *address, const char *text, size_t len)
{
    long n = vmspace_write(vm, *address, text, len);
    if (n < 0)
        return (int)n;
    *address += len;
    return (size_t)n == len ? 0 : -EFAULT;
}

int strings_write(const struct exec_strings *strings, struct vmspace *vm, uintptr_t address)
{
    int err = 0;
    size_t skip = skipped_size(strings);
    for (unsigned i = 0; i < strings->nprefix && !err; i++)
        err = piece_write(vm, &address, strings->prefix[i], strlen(strings->prefix[i]) + 1);
    for (unsigned i = 0; i < strings->nchunks && !err; i++) {
        size_t len = chunk_bytes(strings, i), skipped = MIN(skip, len);
        skip -= skipped;
        if (len > skipped)
            err = piece_write(vm, &address, strings->chunk[i] + skipped, len - skipped);
    }
    return err;
}

/* The length of the string at the cursor in the chunks, which it passes over. */
static size_t chunked_next(struct strings_cursor *cursor)
{
    const struct exec_strings *strings = cursor->strings;
    size_t len = 0;
    while (cursor->chunk < strings->nchunks) {
        const char *start = strings->chunk[cursor->chunk] + cursor->at;
        size_t left = chunk_bytes(strings, cursor->chunk) - cursor->at;
        const char *end = memchr(start, '\0', left);
        if (end) {
            cursor->at += (size_t)(end - start) + 1;
            return len + (size_t)(end - start) + 1;
        }
        len += left;
        cursor->chunk++;
        cursor->at = 0;
    }
    return len;
}

void strings_cursor_init(struct strings_cursor *cursor, const struct exec_strings *strings)
{
    *cursor = (struct strings_cursor){ .strings = strings };
    if (strings->skip_first)
        (void)chunked_next(cursor);
}

size_t strings_next(struct strings_cursor *cursor)
{
    const struct exec_strings *strings = cursor->strings;
    if (cursor->prefix < strings->nprefix)
        return strlen(strings->prefix[cursor->prefix++]) + 1;
    return chunked_next(cursor);
}
