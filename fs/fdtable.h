// SPDX-License-Identifier: MIT
#pragma once
/*
 * Descriptors found without a call, for the few system calls of which programs make most.
 *
 * While one thread alone uses a table, nobody can close a descriptor under its system call: the table's reference keeps
 * the file, and the call takes none.  Only a user of a table can make another one, so that what fd_hold_raw() saw stays
 * true until the call's end; it is remembered all the same, for the release must undo what the hold did.
 */
#include "abi/fcntl.h"
#include "fs/file.h"
#include "kernel/thread_files.h"

#define FD_CHUNK_SIZE 64u

struct fd_chunk {
    uint64_t open;                    /* [f] used or reserved */
    uint64_t close_on_exec;           /* [f] */
    struct file *file[FD_CHUNK_SIZE]; /* [f] read without it */
};

struct fd_directory {
    struct fd_directory *older;
    unsigned nchunks;
    struct fd_chunk *chunk[]; /* NULL: not needed so far */
};

/* [f] files->lock */
struct fdtable {
    unsigned refcount;    /* [a] */
    bool has_many_users;  /* [a] other threads than the one that made it, now or since execve */
    struct spinlock lock; /* RANK_FDTABLE */
    struct fd_directory *directory; /* [f] read without it */
    unsigned lowest_free;           /* [f] none below is free */
};

/* A file for the time of one system call. */
struct fd_hold {
    struct file *file; /* NULL: -EBADF */
    bool has_reference;
};

/* The slot of fd, or NULL: there is none. */
static __always_inline struct file *const *fd_slot(const struct fdtable *files, unsigned fd)
{
    const struct fd_directory *directory = __atomic_load_n(&files->directory, __ATOMIC_ACQUIRE);
    unsigned index = fd / FD_CHUNK_SIZE;

    if (unlikely(index >= directory->nchunks))
        return NULL;
    const struct fd_chunk *chunk = __atomic_load_n(&directory->chunk[index], __ATOMIC_ACQUIRE);
    return likely(chunk != NULL) ? &chunk->file[fd % FD_CHUNK_SIZE] : NULL;
}

/* For a thread of a process.  O_PATH descriptors are found too, as by fd_get_raw(): file_read() and file_write() refuse
 * them. */
static __always_inline struct fd_hold fd_hold_raw(int fd)
{
    const struct fdtable *files = files_current();

    if (likely(!READ_ONCE(files->has_many_users))) {
        struct file *const *slot = fd_slot(files, (unsigned)fd);
        if (likely(slot != NULL))
            return (struct fd_hold){ .file = *slot };
    }
    return (struct fd_hold){ .file = fd_get_raw(fd), .has_reference = true };
}

static __always_inline void fd_release(struct fd_hold hold)
{
    if (unlikely(hold.has_reference) && hold.file)
        file_put(hold.file);
}

/* As fd_get(). */
static __always_inline struct fd_hold fd_hold(int fd)
{
    struct fd_hold hold = fd_hold_raw(fd);

    if (unlikely(hold.file && hold.file->flags & ABI_O_PATH)) {
        fd_release(hold);
        hold.file = NULL;
    }
    return hold;
}
