// SPDX-License-Identifier: MIT
/*
 * struct io: where the bytes of a read go or those of a write come from.
 *
 * Pieces are consumed from the front: piece points at the current one, whose base and len move.
 */
#include <string.h>

#include "abi/errno.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"

#define IO_LENGTH_MAX 0x7ffff000UL /* MAX_RW_COUNT of read(2) */

static void init_one(struct io *io, uint64_t base, size_t len, bool is_app)
{
    len = MIN(len, IO_LENGTH_MAX);
    io->inline_piece[0] = (struct abi_iovec){ .base = base, .len = len };
    io->piece = io->inline_piece;
    io->npieces = 1;
    io->remaining = len;
    io->is_app = is_app;
    io->nonblock = false;
    io->append = false;
    io->is_pages = false;
    io->has_more = false;
    io->is_outside = is_app && !app_range_ok((void __app *)base, len);
    io->allocated = NULL;
}

void io_init_app(struct io *io, void __app *base, size_t len)
{
    init_one(io, (uintptr_t)base, len, true);
}

void io_init_kernel(struct io *io, const void *base, size_t len)
{
    init_one(io, (uintptr_t)base, len, false);
}

/* Lengths are ssize_t by contract; more than the maximum in all is cut off at the end. */
static int check_pieces(struct io *io)
{
    const struct abi_iovec *end = io->piece + io->npieces;
    size_t total = 0;

    for (struct abi_iovec *piece = io->piece; piece < end; piece++) {
        if (piece->len > INT64_MAX)
            return -EINVAL;
        if (!app_range_ok((void __app *)(uintptr_t)piece->base, piece->len))
            return -EFAULT;
        piece->len = MIN(piece->len, IO_LENGTH_MAX - total);
        total += piece->len;
    }
    io->remaining = total;
    return 0;
}

int io_init_vector(struct io *io, const void __app *vector, unsigned long count)
{
    if (count > IOV_MAX_PIECES)
        return -EINVAL;
    io->is_app = true;
    io->nonblock = false;
    io->append = false;
    io->is_pages = false;
    io->has_more = false;
    io->is_outside = false; /* check_pieces() */
    io->allocated = NULL;
    io->piece = io->inline_piece;
    io->npieces = (unsigned)count;
    if (count > IO_INLINE_PIECES) {
        io->allocated = kcalloc(count, sizeof(*io->allocated), ALLOC_WAIT);
        if (!io->allocated)
            return -ENOMEM;
        io->piece = io->allocated;
    }
    int err = copy_from_app(io->piece, vector, count * sizeof(*io->piece));
    if (!err)
        err = check_pieces(io);
    if (err)
        io_fini(io);
    return err;
}

void io_fini(struct io *io)
{
    if (unlikely(io->allocated != NULL)) {
        kfree(io->allocated);
        io->allocated = NULL;
    }
}

static void skip_empty(struct io *io)
{
    while (io->npieces > 1 && io->piece->len == 0) {
        io->piece++;
        io->npieces--;
    }
}

void *io_front(const struct io *io, size_t *len)
{
    const struct abi_iovec *piece = io->piece;
    unsigned left = io->npieces;

    if (left == 0) {
        *len = 0;
        return NULL;
    }
    while (left > 1 && piece->len == 0) {
        piece++;
        left--;
    }
    *len = piece->len;
    return (void *)(uintptr_t)piece->base;
}

void io_advance(struct io *io, size_t len)
{
    io->remaining -= len;
    while (len > 0) {
        skip_empty(io);
        size_t step = MIN(len, (size_t)io->piece->len);
        io->piece->base += step;
        io->piece->len -= step;
        len -= step;
    }
}

enum direction { TO_IO, FROM_IO, ZERO_IO };

/* Copies one stretch of at most len bytes at the front; how many could be copied. */
static __always_inline size_t copy_front(const struct io *io, void *front, void *kernel, size_t len,
                                         enum direction direction)
{
    void __app *app = (void __app *)front;

    if (likely(io->is_app)) {
        if (direction == TO_IO)
            return len - copy_to_app_partial(app, kernel, len);
        if (direction == FROM_IO)
            return len - copy_from_app_partial(kernel, app, len);
        return zero_app(app, len) == 0 ? len : 0;
    }
    if (direction == TO_IO)
        memcpy(front, kernel, len);
    else if (direction == FROM_IO)
        memcpy(kernel, front, len);
    else
        memset(front, 0, len);
    return len;
}

static __always_inline long finish(struct io *io, size_t done, size_t len)
{
    io->remaining -= done;
    return unlikely(done == 0) && len > 0 ? -EFAULT : (long)done;
}

/* Inlined for each direction, so that the way is not asked for at each piece. */
static __always_inline long move_pieces(struct io *io, char *kernel, size_t len,
                                        enum direction direction)
{
    struct abi_iovec *piece = io->piece, *last = piece + io->npieces - 1;
    size_t done = 0;

    while (done < len) {
        while (piece->len == 0 && piece < last)
            piece++;
        size_t want = MIN((size_t)piece->len, len - done);
        char *at = direction == ZERO_IO ? NULL : kernel + done;
        void *front = (void *)(uintptr_t)piece->base;
        size_t copied;
        if (direction == FROM_IO && done > 0 && io->is_app) /* check_pieces() has seen it */
            copied = want - copy_from_app_checked(at, (void __app *)front, want);
        else
            copied = copy_front(io, front, at, want, direction);
        piece->base += copied;
        piece->len -= copied;
        done += copied;
        if (copied < want)
            break;
    }
    io->npieces = (unsigned)(last - piece) + 1;
    io->piece = piece;
    return finish(io, done, len);
}

static __always_inline long move_one(struct io *io, char *kernel, size_t len,
                                     enum direction direction)
{
    struct abi_iovec *piece = io->piece;
    size_t done = copy_front(io, (void *)(uintptr_t)piece->base, kernel, len, direction);

    piece->base += done;
    piece->len -= done;
    return finish(io, done, len);
}

static __attribute__((noinline)) long write_pieces(struct io *io, const void *from, size_t len)
{
    return move_pieces(io, (char *)(uintptr_t)from, len, TO_IO);
}

static __attribute__((noinline)) long read_pieces(struct io *io, void *to, size_t len)
{
    return move_pieces(io, to, len, FROM_IO);
}

long io_write_to(struct io *io, const void *from, size_t len)
{
    len = MIN(len, io->remaining);
    if (unlikely(io->npieces != 1))
        return write_pieces(io, from, len);
    return move_one(io, (char *)(uintptr_t)from, len, TO_IO);
}

long io_read_from(struct io *io, void *to, size_t len)
{
    len = MIN(len, io->remaining);
    if (unlikely(io->npieces != 1))
        return read_pieces(io, to, len);
    return move_one(io, to, len, FROM_IO);
}

long io_peek_from(const struct io *io, void *to, size_t len)
{
    const struct abi_iovec *piece = io->piece;
    size_t done = 0;

    len = MIN(len, io->remaining);
    for (unsigned left = io->npieces; done < len && left > 0; left--, piece++) {
        size_t want = MIN(len - done, (size_t)piece->len);
        size_t copied =
            copy_front(io, (void *)(uintptr_t)piece->base, (char *)to + done, want, FROM_IO);
        done += copied;
        if (copied < want)
            return done > 0 ? (long)done : -EFAULT;
    }
    return (long)done;
}

long io_zero(struct io *io, size_t len)
{
    return move_pieces(io, NULL, MIN(len, io->remaining), ZERO_IO);
}
