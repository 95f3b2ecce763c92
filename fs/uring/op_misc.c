// SPDX-License-Identifier: MIT
/*
 * io_uring: operations on descriptors and on rings.
 */
#include "abi/epoll.h"
#include "abi/errno.h"
#include "fs/uring/ops.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

long uring_nop_issue(struct uring_request *request)
{
    return 0;
}

/* ---- close -------------------------------------------------------------------------------- */

int uring_close_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->off || sqe->addr || sqe->len || sqe->op_flags || sqe->buf_index)
        return -EINVAL;
    if (sqe->flags & ABI_SQE_FIXED_FILE)
        return -EBADF;
    return sqe->file_index && sqe->fd ? -EINVAL : 0;
}

long uring_close_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->file_index)
        return uring_file_remove(request->ring, (unsigned)sqe->file_index - 1);
    struct file *file = fd_get_raw(sqe->fd);
    if (!file)
        return -EBADF;
    bool is_ring = uring_of(file);
    file_put(file);
    return is_ring ? -EBADF : sys_close(sqe->fd);
}

/* ---- epoll_ctl: the operation in len, the descriptor in off -------------------------------------- */

int uring_epoll_ctl_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->buf_index || sqe->file_index)
        return -EINVAL;
    return sqe->len == ABI_EPOLL_CTL_DEL
               ? 0
               : uring_copy_arg(request, 0, sqe->addr, sizeof(struct abi_epoll_event));
}

long uring_epoll_ctl_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_epoll_ctl(sqe->fd, (int)sqe->len, (int)sqe->off, uring_arg(request, 0));
}

/* ---- Rings ------------------------------------------------------------------------------------------ */

int uring_files_update_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->flags & (ABI_SQE_FIXED_FILE | ABI_SQE_BUFFER_SELECT) || sqe->op_flags ||
        sqe->file_index || !sqe->len)
        return -EINVAL;
    return 0;
}

/* With IORING_FILE_INDEX_ALLOC the application gets the slots back in its array. */
static long files_allocate(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    long done = 0, result = 0;

    if (!request->ring->files.is_registered)
        return -ENXIO;
    while (done < (long)sqe->len) {
        void __app *at = app_pointer(sqe->addr + (uint64_t)done * sizeof(int));
        int fd;
        result = copy_from_app(&fd, at, sizeof(fd));
        struct file *file = result ? NULL : fd_get(fd);
        if (!file) {
            result = result ? result : -EBADF;
            break;
        }
        result = uring_file_install(request->ring, file, ABI_URING_FILE_INDEX_ALLOC);
        if (result < 0)
            break;
        int slot = (int)result;
        if (copy_to_app(at, &slot, sizeof(slot))) {
            (void)uring_file_remove(request->ring, (unsigned)slot);
            result = -EFAULT;
            break;
        }
        done++;
    }
    return done ? done : result;
}

long uring_files_update_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const struct abi_uring_rsrc_update update = {
        .offset = (uint32_t)sqe->off,
        .data = sqe->addr,
        .nr = sqe->len,
    };

    if ((uint32_t)sqe->off == ABI_URING_FILE_INDEX_ALLOC)
        return files_allocate(request);
    return uring_update_files(request->ring, &update);
}

int uring_msg_ring_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sqe->buf_index || sqe->personality || sqe->op_flags & ~ABI_URING_MSG_CQE_SKIP ? -EINVAL
                                                                                         : 0;
}

static long send_file(struct uring_request *request, struct uring *target)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (target == request->ring)
        return -EINVAL;
    struct uring_resource *source =
        uring_table_get(request->ring, &request->ring->files, (unsigned)sqe->addr3);
    if (!source)
        return -EBADF;
    long slot = uring_file_install(target, file_get(source->file), (unsigned)sqe->file_index);
    uring_resource_put(source);
    if (slot >= 0 && !(sqe->op_flags & ABI_URING_MSG_CQE_SKIP))
        uring_post(target, sqe->off, (int)sqe->len, 0);
    return slot;
}

long uring_msg_ring_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    struct uring *target = uring_of(request->call.file);

    if (!target || READ_ONCE(target->flags) & ABI_URING_SETUP_R_DISABLED)
        return -EBADFD;
    if (sqe->addr == ABI_URING_MSG_SEND_FD)
        return send_file(request, target);
    if (sqe->addr != ABI_URING_MSG_DATA || sqe->addr3 || sqe->file_index ||
        sqe->op_flags & ABI_URING_MSG_CQE_SKIP)
        return -EINVAL;
    uring_post(target, sqe->off, (int)sqe->len, 0);
    return 0;
}
