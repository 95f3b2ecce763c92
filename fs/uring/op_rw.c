// SPDX-License-Identifier: MIT
/*
 * io_uring: reading, writing, and what else acts on an open file's data.
 *
 * What the kernel has a system call for is done by that call's function, with FD_BORROWED for the file.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/uio.h"
#include "fs/uring/ops.h"
#include "kernel/mm/heap.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- Preparation -------------------------------------------------------------------------- */

static int check_rw(struct uring_request *request)
{
    unsigned class = request->sqe.ioprio >> 13;

    request->no_wait = request->sqe.op_flags & ABI_RWF_NOWAIT;
    if (class > 3 || (class == 0 && request->sqe.ioprio))
        return -EINVAL;
    if (request->sqe.op_flags & ~ABI_RWF_SUPPORTED)
        return -EOPNOTSUPP;
    return request->sqe.flags & ABI_SQE_BUFFER_SELECT && request->sqe.len > INT32_MAX ? -EINVAL : 0;
}

int uring_vector_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    unsigned count = sqe->len;
    int err = check_rw(request);

    if (err)
        return err;
    if (count > IOV_MAX_PIECES || (sqe->flags & ABI_SQE_BUFFER_SELECT && count != 1))
        return -EINVAL;
    request->vector = kcalloc(MAX(count, 1u), sizeof(*request->vector), ALLOC_WAIT);
    if (!request->vector)
        return -ENOMEM;
    err = copy_from_app(request->vector, app_pointer(sqe->addr), count * sizeof(*request->vector));
    return uring_late_fault(request, err);
}

int uring_buffer_prepare(struct uring_request *request)
{
    return check_rw(request);
}

int uring_fixed_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    struct uring_resource *buffer;
    uint64_t end;
    int err = check_rw(request);

    if (err)
        return err;
    buffer = uring_table_get(request->ring, &request->ring->buffers, sqe->buf_index);
    request->buffer_resource = buffer;
    if (!buffer || __builtin_add_overflow(sqe->addr, (uint64_t)sqe->len, &end) ||
        sqe->addr < buffer->base || end > buffer->base + buffer->len)
        return -EFAULT;
    return 0;
}

/* ---- Transfers -------------------------------------------------------------------------------- */

/* The pieces of the request, of which `done` bytes have been moved. */
static int pieces(struct uring_request *request, struct io *io)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    unsigned count = sqe->len;

    if (request->buffer) {
        size_t len = request->vector ? request->vector[0].len : sqe->len;
        len = len ? MIN(len, request->buffer->len) : request->buffer->len;
        io_init_app(io, app_pointer(request->buffer->addr), len);
        return 0;
    }
    if (!request->vector) {
        if (!app_range_ok(app_pointer(sqe->addr), sqe->len))
            return -EFAULT;
        io_init_app(io, app_pointer(sqe->addr), sqe->len);
        io_advance(io, (size_t)request->done);
        return 0;
    }
    /* The copy of the vector is kernel memory that usercopy knows. */
    request->call.arg[0].start = (uintptr_t)request->vector;
    request->call.arg[0].size = count * sizeof(*request->vector);
    int err = io_init_vector(io, app_pointer((uintptr_t)request->vector), count);
    request->call.arg[0].start = 0;
    if (!err)
        io_advance(io, MIN((size_t)request->done, io->remaining));
    return err;
}

static long transfer(struct uring_request *request, struct io *io, bool is_write)
{
    struct file *file = request->call.file;
    unsigned flags = request->sqe.op_flags;
    int64_t pos = (int64_t)request->sqe.off + request->done;
    bool has_own = request->sqe.off == UINT64_MAX || !file->ops->seek;

    if (!has_own && (int64_t)request->sqe.off < 0)
        return -EINVAL;
    io->nonblock = request->call.nonblock || flags & ABI_RWF_NOWAIT;
    io->append = is_write && flags & ABI_RWF_APPEND;
    long n = is_write ? file_write(file, io, has_own ? NULL : &pos)
                      : file_read(file, io, has_own ? NULL : &pos);
    if (n > 0 && is_write && flags & (ABI_RWF_DSYNC | ABI_RWF_SYNC) && file->ops->fsync) {
        int err = file->ops->fsync(file, !(flags & ABI_RWF_SYNC));
        n = err ? err : n;
    }
    return n;
}

static long rw(struct uring_request *request, bool is_write)
{
    struct io io;
    int err = pieces(request, &io);

    if (err)
        return err;
    size_t wanted = io.remaining;
    long n = transfer(request, &io, is_write);
    io_fini(&io);
    if (n >= 0) {
        request->expected = (long)wanted + request->done;
        n += request->done;
    }
    return n;
}

long uring_read_issue(struct uring_request *request)
{
    return rw(request, false);
}

long uring_write_issue(struct uring_request *request)
{
    return rw(request, true);
}

/* ---- By system call ------------------------------------------------------------------------------ */

int uring_fsync_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->addr || sqe->buf_index || sqe->file_index || sqe->op_flags & ~ABI_URING_FSYNC_DATASYNC)
        return -EINVAL;
    return 0;
}

long uring_fsync_issue(struct uring_request *request)
{
    return request->sqe.op_flags ? sys_fdatasync(FD_BORROWED) : sys_fsync(FD_BORROWED);
}

long uring_sync_file_range_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_sync_file_range(FD_BORROWED, (long)sqe->off, (long)sqe->len, sqe->op_flags);
}

/* Length in addr, mode in len. */
long uring_fallocate_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->buf_index || sqe->op_flags || sqe->file_index)
        return -EINVAL;
    return sys_fallocate(FD_BORROWED, (int)sqe->len, (long)sqe->off, (long)sqe->addr);
}

long uring_fadvise_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->buf_index || sqe->addr || sqe->file_index)
        return -EINVAL;
    return sys_fadvise64(FD_BORROWED, (long)sqe->off, (long)sqe->len, (int)sqe->op_flags);
}

long uring_madvise_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->buf_index || sqe->off || sqe->file_index)
        return -EINVAL;
    return sys_madvise(sqe->addr, sqe->len, (int)sqe->op_flags);
}

/* ---- splice, tee ------------------------------------------------------------------------------------ */

int uring_splice_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    int64_t *offset = uring_make_arg(request, 0, 2 * sizeof(int64_t));

    if (!offset)
        return -ENOMEM;
    if (sqe->op_flags & ~(ABI_SPLICE_F_ALL | ABI_SPLICE_F_FD_IN_FIXED))
        return -EINVAL;
    if (sqe->opcode == ABI_URING_TEE && (sqe->addr || sqe->off))
        return -EINVAL;
    offset[0] = (int64_t)sqe->addr;
    offset[1] = (int64_t)sqe->off;
    return 0;
}

static int find_source(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (request->call.file2)
        return 0;
    if (sqe->op_flags & ABI_SPLICE_F_FD_IN_FIXED) {
        request->buffer_resource =
            uring_table_get(request->ring, &request->ring->files, (unsigned)sqe->file_index);
        if (request->buffer_resource)
            request->call.file2 = file_get(request->buffer_resource->file);
    } else {
        request->call.file2 = fd_get(sqe->file_index);
    }
    return request->call.file2 ? 0 : -EBADF;
}

long uring_splice_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    char __app *offset = uring_arg(request, 0);
    int err = find_source(request);

    if (err)
        return err;
    request->expected = sqe->len;
    return sys_splice(FD_BORROWED2, sqe->addr == UINT64_MAX ? NULL : offset, FD_BORROWED,
                      sqe->off == UINT64_MAX ? NULL : offset + sizeof(int64_t), sqe->len,
                      sqe->op_flags & ~ABI_SPLICE_F_FD_IN_FIXED);
}

long uring_tee_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    int err = find_source(request);

    if (err)
        return err;
    request->expected = sqe->len;
    return sys_tee(FD_BORROWED2, FD_BORROWED, sqe->len, sqe->op_flags & ~ABI_SPLICE_F_FD_IN_FIXED);
}
