// SPDX-License-Identifier: MIT
/*
 * Descriptor tables.
 *
 * A table is a directory of chunks of 64 descriptors.  Chunks never move, and a directory that was
 * replaced by a larger one is kept until the table goes; so fd_get() needs no lock: it reads the
 * slot, takes a reference unless the file has none left, and looks whether the slot still holds that
 * file.  A struct file is never anything else (fs/file.c), so the attempt is harmless.
 *
 * Changes are made under files->lock.  A bit in open and no file in the slot is a reservation: others
 * see a bad descriptor.
 */
#include "fs/fdtable.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/inotify.h"
#include "fs/locks.h"
#include "kernel/call.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"

#define FILES_MAX 1048576u /* fs.nr_open */

static struct fdtable *current_files(void)
{
    return thread_current()->process ? files_current() : NULL;
}

/* ---- Finding ------------------------------------------------------------------------ */

static struct fd_chunk *chunk_of(const struct fdtable *files, unsigned fd)
{
    const struct fd_directory *directory = __atomic_load_n(&files->directory, __ATOMIC_ACQUIRE);
    unsigned index = fd / FD_CHUNK_SIZE;

    if (unlikely(index >= directory->nchunks))
        return NULL;
    return __atomic_load_n(&directory->chunk[index], __ATOMIC_ACQUIRE);
}

static bool get_unless_zero(struct file *file)
{
    unsigned count = __atomic_load_n(&file->refcount, __ATOMIC_RELAXED);

    while (count != 0) {
        if (__atomic_compare_exchange_n(&file->refcount, &count, count + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

struct file *fdtable_file(struct fdtable *files, int fd)
{
    struct file *const *slot = fd_slot(files, (unsigned)fd);

    if (unlikely(!slot))
        return NULL;
    for (;;) {
        struct file *file = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (!file)
            return NULL;
        if (likely(get_unless_zero(file))) {
            if (likely(__atomic_load_n(slot, __ATOMIC_ACQUIRE) == file))
                return file;
            file_put(file);
        }
        arch_pause(); /* it is being closed, or was replaced just now */
    }
}

/* What the kernel's own call for the application has in place of a descriptor. */
static struct file *borrowed_file(int fd)
{
    const struct call_context *call = thread_current()->call;
    struct file *file = !call ? NULL : fd == FD_BORROWED ? call->file : call->file2;

    return file ? file_get(file) : NULL;
}

/* The call that wants a new file for itself, or NULL. */
static struct call_context *file_taker(void)
{
    struct call_context *call = thread_current()->call;

    return unlikely(call && call->wants_file) ? call : NULL;
}

struct file *fd_get_raw(int fd)
{
    struct fdtable *files = current_files();

    if (unlikely(fd == FD_BORROWED || fd == FD_BORROWED2))
        return borrowed_file(fd);
    return files ? fdtable_file(files, fd) : NULL;
}

struct file *fd_get(int fd)
{
    struct file *file = fd_get_raw(fd);

    if (unlikely(file && file->flags & ABI_O_PATH)) {
        file_put(file);
        return NULL;
    }
    return file;
}

/* ---- Growing -------------------------------------------------------------------------- */

/* files->lock held.  The directory has room for chunk index, whose chunk exists. */
static bool has_chunk(const struct fdtable *files, unsigned index)
{
    return index < files->directory->nchunks && files->directory->chunk[index];
}

static struct fd_directory *directory_create(unsigned nchunks)
{
    struct fd_directory *directory =
        kzalloc(sizeof(*directory) + nchunks * sizeof(directory->chunk[0]), ALLOC_WAIT);

    if (directory)
        directory->nchunks = nchunks;
    return directory;
}

/* files->lock held: enters a larger directory unless another thread was faster; false then. */
static bool directory_replace(struct fdtable *files, struct fd_directory *larger)
{
    struct fd_directory *old = files->directory;

    if (old->nchunks >= larger->nchunks)
        return false;
    memcpy(larger->chunk, old->chunk, old->nchunks * sizeof(old->chunk[0]));
    larger->older = old;
    __atomic_store_n(&files->directory, larger, __ATOMIC_RELEASE);
    return true;
}

static int directory_grow(struct fdtable *files, unsigned index)
{
    unsigned nchunks = 1;

    while (nchunks <= index)
        nchunks *= 2;
    struct fd_directory *larger = directory_create(nchunks);
    if (!larger)
        return -ENOMEM;
    spin_lock(&files->lock);
    bool is_used = directory_replace(files, larger);
    spin_unlock(&files->lock);
    if (!is_used)
        kfree(larger);
    return 0;
}

/* Makes the chunk of fd exist.  Takes the lock for itself. */
static int chunk_make(struct fdtable *files, unsigned fd)
{
    unsigned index = fd / FD_CHUNK_SIZE;
    int err = 0;

    if (index >= READ_ONCE(files->directory)->nchunks)
        err = directory_grow(files, index);
    if (err)
        return err;
    struct fd_chunk *chunk = kzalloc(sizeof(*chunk), ALLOC_WAIT);
    if (!chunk)
        return -ENOMEM;
    spin_lock(&files->lock);
    if (!files->directory->chunk[index]) {
        __atomic_store_n(&files->directory->chunk[index], chunk, __ATOMIC_RELEASE);
        chunk = NULL;
    }
    spin_unlock(&files->lock);
    kfree(chunk);
    return 0;
}

/* ---- Reserving and filling ---------------------------------------------------------------- */

static unsigned files_limit(void)
{
    return (unsigned)MIN(rlimit_current(LIMIT_NOFILE), (uint64_t)FILES_MAX);
}

/* files->lock held: the lowest free descriptor from min on; its chunk may not exist yet. */
static unsigned find_free(const struct fdtable *files, unsigned min)
{
    unsigned fd = MAX(min, files->lowest_free);

    for (;;) {
        if (!has_chunk(files, fd / FD_CHUNK_SIZE))
            return fd;
        const struct fd_chunk *chunk = files->directory->chunk[fd / FD_CHUNK_SIZE];
        uint64_t is_free = ~chunk->open & (~0ULL << fd % FD_CHUNK_SIZE);
        if (is_free)
            return fd / FD_CHUNK_SIZE * FD_CHUNK_SIZE + (unsigned)__builtin_ctzll(is_free);
        fd = (fd / FD_CHUNK_SIZE + 1) * FD_CHUNK_SIZE;
    }
}

/* files->lock held. */
static void mark_open(struct fdtable *files, unsigned fd, bool close_on_exec)
{
    struct fd_chunk *chunk = files->directory->chunk[fd / FD_CHUNK_SIZE];
    uint64_t bit = 1ULL << fd % FD_CHUNK_SIZE;

    chunk->open |= bit;
    if (close_on_exec)
        chunk->close_on_exec |= bit;
    else
        chunk->close_on_exec &= ~bit;
    if (fd == files->lowest_free)
        files->lowest_free = fd + 1;
}

/* Reserves, and fills at once if file is given. */
static int reserve(struct fdtable *files, int min, struct file *file, bool close_on_exec)
{
    unsigned limit = files_limit();

    if (min < 0 || (unsigned)min >= limit)
        return -EMFILE;
    for (;;) {
        spin_lock(&files->lock);
        unsigned fd = find_free(files, (unsigned)min);
        bool is_ready = fd < limit && has_chunk(files, fd / FD_CHUNK_SIZE);
        if (is_ready) {
            struct fd_chunk *chunk = files->directory->chunk[fd / FD_CHUNK_SIZE];
            mark_open(files, fd, close_on_exec);
            __atomic_store_n(&chunk->file[fd % FD_CHUNK_SIZE], file, __ATOMIC_RELEASE);
        }
        spin_unlock(&files->lock);
        if (is_ready)
            return (int)fd;
        if (fd >= limit)
            return -EMFILE;
        int err = chunk_make(files, fd);
        if (err)
            return err;
    }
}

int fd_install(struct file *file, bool close_on_exec, int min)
{
    struct call_context *taker = file_taker();

    if (taker) {
        taker->new_file = file;
        return 0;
    }
    return reserve(current_files(), min, file, close_on_exec);
}

int fd_reserve(int min)
{
    if (file_taker())
        return 0;
    return reserve(current_files(), min, NULL, false);
}

void fd_fill(int fd, struct file *file, bool close_on_exec)
{
    struct fdtable *files = current_files();
    struct call_context *taker = file_taker();

    if (taker) {
        taker->new_file = file;
        return;
    }
    spin_lock(&files->lock);
    struct fd_chunk *chunk = files->directory->chunk[(unsigned)fd / FD_CHUNK_SIZE];
    if (close_on_exec)
        chunk->close_on_exec |= 1ULL << (unsigned)fd % FD_CHUNK_SIZE;
    __atomic_store_n(&chunk->file[(unsigned)fd % FD_CHUNK_SIZE], file, __ATOMIC_RELEASE);
    spin_unlock(&files->lock);
}

/* files->lock held: the descriptor is free again; what it held, or NULL. */
static struct file *take_out(struct fdtable *files, unsigned fd)
{
    struct fd_chunk *chunk = files->directory->chunk[fd / FD_CHUNK_SIZE];
    struct file *file = chunk->file[fd % FD_CHUNK_SIZE];
    uint64_t bit = 1ULL << fd % FD_CHUNK_SIZE;

    chunk->open &= ~bit;
    chunk->close_on_exec &= ~bit;
    __atomic_store_n(&chunk->file[fd % FD_CHUNK_SIZE], NULL, __ATOMIC_RELEASE);
    files->lowest_free = MIN(files->lowest_free, fd);
    return file;
}

void fd_unreserve(int fd)
{
    struct fdtable *files = current_files();

    if (file_taker())
        return;
    spin_lock(&files->lock);
    (void)take_out(files, (unsigned)fd);
    spin_unlock(&files->lock);
}

/* ---- Closing --------------------------------------------------------------------------------- */

static void close_file(struct fdtable *files, struct file *file)
{
    if (!(file->flags & ABI_O_PATH)) {
        if (file->ops->flush)
            file->ops->flush(file);
        dnotify_closed(file, files);
        locks_release(file->inode, files);
    }
    file_put(file);
}

int fd_replace(int fd, struct file *file, bool close_on_exec)
{
    struct fdtable *files = current_files();
    unsigned index = (unsigned)fd / FD_CHUNK_SIZE;

    if (fd < 0 || (unsigned)fd >= files_limit())
        return -EBADF;
    int err = chunk_of(files, (unsigned)fd) ? 0 : chunk_make(files, (unsigned)fd);
    if (err)
        return err;
    spin_lock(&files->lock);
    struct fd_chunk *chunk = files->directory->chunk[index];
    struct file *old = chunk->file[(unsigned)fd % FD_CHUNK_SIZE];
    bool is_reserved = !old && chunk->open >> (unsigned)fd % FD_CHUNK_SIZE & 1;
    if (!is_reserved) {
        mark_open(files, (unsigned)fd, close_on_exec);
        __atomic_store_n(&chunk->file[(unsigned)fd % FD_CHUNK_SIZE], file, __ATOMIC_RELEASE);
    }
    spin_unlock(&files->lock);
    if (is_reserved)
        return -EBUSY; /* dup2(2): another thread is opening it just now */
    if (old)
        close_file(files, old);
    return fd;
}

int fd_close(int fd)
{
    struct fdtable *files = current_files();
    struct file *file = NULL;

    spin_lock(&files->lock);
    if (has_chunk(files, (unsigned)fd / FD_CHUNK_SIZE) &&
        files->directory->chunk[(unsigned)fd / FD_CHUNK_SIZE]->file[(unsigned)fd % FD_CHUNK_SIZE])
        file = take_out(files, (unsigned)fd);
    spin_unlock(&files->lock);
    if (!file)
        return -EBADF;
    close_file(files, file);
    return 0;
}

int fd_get_cloexec(int fd)
{
    struct fdtable *files = current_files();
    const struct fd_chunk *chunk = chunk_of(files, (unsigned)fd);

    if (!chunk || !chunk->file[(unsigned)fd % FD_CHUNK_SIZE])
        return -EBADF;
    return READ_ONCE(chunk->close_on_exec) >> (unsigned)fd % FD_CHUNK_SIZE & 1;
}

int fd_set_cloexec(int fd, bool close_on_exec)
{
    struct fdtable *files = current_files();
    struct fd_chunk *chunk = chunk_of(files, (unsigned)fd);
    int err = -EBADF;

    if (!chunk)
        return err;
    spin_lock(&files->lock);
    if (chunk->file[(unsigned)fd % FD_CHUNK_SIZE]) {
        mark_open(files, (unsigned)fd, close_on_exec);
        err = 0;
    }
    spin_unlock(&files->lock);
    return err;
}

bool fd_means(int fd, const struct file *file)
{
    struct fdtable *files = current_files();
    struct file *const *slot = fd_slot(files, (unsigned)fd);

    if (!slot)
        return false;
    spin_lock(&files->lock);
    bool result = *slot == file;
    spin_unlock(&files->lock);
    return result;
}

/* The open descriptors of set in one chunk: closed. */
static void close_set(struct fdtable *files, unsigned index, uint64_t set)
{
    while (set) {
        unsigned fd = index * FD_CHUNK_SIZE + (unsigned)__builtin_ctzll(set);
        struct file *file;

        set &= set - 1;
        spin_lock(&files->lock);
        file = files->directory->chunk[index]->file[fd % FD_CHUNK_SIZE];
        if (file)
            (void)take_out(files, fd);
        spin_unlock(&files->lock);
        if (file)
            close_file(files, file);
    }
}

/* The bits of first..last that lie in chunk index. */
static uint64_t range_in_chunk(unsigned index, unsigned first, unsigned last)
{
    unsigned start = index * FD_CHUNK_SIZE;
    uint64_t set = ~0ULL;

    if (first > start)
        set &= ~0ULL << (first - start);
    if (last < start + FD_CHUNK_SIZE - 1)
        set &= ~0ULL >> (start + FD_CHUNK_SIZE - 1 - last);
    return set;
}

void fd_close_range(unsigned first, unsigned last, bool only_mark)
{
    struct fdtable *files = current_files();

    for (unsigned index = first / FD_CHUNK_SIZE; index <= last / FD_CHUNK_SIZE; index++) {
        const struct fd_directory *directory = __atomic_load_n(&files->directory, __ATOMIC_ACQUIRE);
        if (index >= directory->nchunks)
            return;
        struct fd_chunk *chunk = directory->chunk[index];
        if (!chunk)
            continue;
        uint64_t set = range_in_chunk(index, first, last);
        if (only_mark) {
            spin_lock(&files->lock);
            chunk->close_on_exec |= set & chunk->open;
            spin_unlock(&files->lock);
        } else {
            close_set(files, index, set & READ_ONCE(chunk->open));
        }
    }
}

void fdtable_close_on_exec(struct fdtable *files)
{
    for (unsigned index = 0; index < READ_ONCE(files->directory)->nchunks; index++) {
        const struct fd_chunk *chunk = files->directory->chunk[index];
        if (chunk && chunk->close_on_exec)
            close_set(files, index, chunk->close_on_exec);
    }
}

/* ---- Tables ------------------------------------------------------------------------------------- */

int fdtable_create(struct fdtable **out)
{
    struct fdtable *files = kzalloc(sizeof(*files), ALLOC_WAIT);

    if (!files)
        return -ENOMEM;
    files->refcount = 1;
    spin_init(&files->lock, RANK_FDTABLE);
    files->directory = directory_create(1);
    if (!files->directory) {
        kfree(files);
        return -ENOMEM;
    }
    *out = files;
    return 0;
}

/* from->lock held.  Reservations are not copied. */
static void chunk_copy(const struct fd_chunk *from, struct fd_chunk *to)
{
    for (unsigned i = 0; i < FD_CHUNK_SIZE; i++) {
        if (!from->file[i])
            continue;
        to->file[i] = file_get(from->file[i]);
        to->open |= 1ULL << i;
    }
    to->close_on_exec = from->close_on_exec & to->open;
}

int fdtable_copy(struct fdtable *from, struct fdtable **out)
{
    struct fdtable *files;
    int err = fdtable_create(&files);

    for (unsigned index = 0; !err && index < READ_ONCE(from->directory)->nchunks; index++) {
        if (!chunk_of(from, index * FD_CHUNK_SIZE))
            continue;
        err = chunk_make(files, index * FD_CHUNK_SIZE);
        if (err) {
            fdtable_put(files);
            break;
        }
        spin_lock(&from->lock);
        chunk_copy(from->directory->chunk[index], files->directory->chunk[index]);
        spin_unlock(&from->lock);
    }
    if (!err)
        *out = files;
    return err;
}

struct fdtable *fdtable_get(struct fdtable *files)
{
    __atomic_fetch_add(&files->refcount, 1, __ATOMIC_RELAXED);
    return files;
}

struct fdtable *fdtable_share(struct fdtable *files)
{
    fdtable_add_user(files);
    return fdtable_get(files);
}

void fdtable_add_user(struct fdtable *files)
{
    WRITE_ONCE(files->has_many_users, true);
}

void fdtable_used_alone(struct fdtable *files)
{
    if (!fdtable_is_shared(files))
        WRITE_ONCE(files->has_many_users, false);
}

bool fdtable_is_shared(const struct fdtable *files)
{
    return __atomic_load_n(&files->refcount, __ATOMIC_ACQUIRE) > 1;
}

void fdtable_put(struct fdtable *files)
{
    if (__atomic_sub_fetch(&files->refcount, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (unsigned index = 0; index < files->directory->nchunks; index++) {
        if (files->directory->chunk[index])
            close_set(files, index, files->directory->chunk[index]->open);
        kfree(files->directory->chunk[index]);
    }
    while (files->directory) {
        struct fd_directory *older = files->directory->older;
        kfree(files->directory);
        files->directory = older;
    }
    kfree(files);
}

void fdtable_for_each(struct fdtable *files, bool (*visit)(int fd, struct file *file, void *arg),
                      void *arg)
{
    for (unsigned index = 0; index < READ_ONCE(files->directory)->nchunks; index++) {
        if (!chunk_of(files, index * FD_CHUNK_SIZE))
            continue;
        for (unsigned i = 0; i < FD_CHUNK_SIZE; i++) {
            int fd = (int)(index * FD_CHUNK_SIZE + i);
            struct file *file = fdtable_file(files, fd);
            if (!file)
                continue;
            bool goes_on = visit(fd, file, arg);
            file_put(file);
            if (!goes_on)
                return;
        }
    }
}
