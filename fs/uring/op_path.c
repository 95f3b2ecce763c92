// SPDX-License-Identifier: MIT
/*
 * io_uring: names.  Workers do these, on copies of the names.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/uring/ops.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- Opening ------------------------------------------------------------------------------ */

static int open_prepare(struct uring_request *request, const struct abi_open_how *how)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    struct abi_open_how *copy = uring_make_arg(request, 1, sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    *copy = *how;
    if (sqe->buf_index || sqe->flags & ABI_SQE_FIXED_FILE)
        return sqe->buf_index ? -EINVAL : -EBADF;
    request->call.wants_file = sqe->file_index;
    if (sqe->file_index && how->flags & ABI_O_CLOEXEC)
        return -EINVAL;
    return uring_copy_string(request, 0, sqe->addr);
}

int uring_openat_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    struct abi_open_how how = { .flags = sqe->op_flags, .mode = sqe->len };

    return open_prepare(request, &how);
}

int uring_openat2_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    struct abi_open_how how = { 0 };

    if (sqe->len < sizeof(how))
        return -EINVAL;
    if (copy_from_app(&how, app_pointer(sqe->off), sizeof(how)))
        return -EFAULT;
    return open_prepare(request, &how);
}

long uring_openat_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const struct abi_open_how *how = (void *)request->call.arg[1].start;
    long fd =
        sqe->opcode == ABI_URING_OPENAT
            ? sys_openat(sqe->fd, uring_arg(request, 0), (int)how->flags, (unsigned)how->mode)
            : sys_openat2(sqe->fd, uring_arg(request, 0), uring_arg(request, 1), sizeof(*how));

    return fd < 0 || !sqe->file_index ? fd
                                      : uring_file_install(request->ring, request->call.new_file,
                                                           (unsigned)sqe->file_index);
}

/* ---- One name --------------------------------------------------------------------------------- */

static int check_plain(const struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->flags & ABI_SQE_FIXED_FILE)
        return -EBADF;
    return sqe->buf_index || sqe->file_index ? -EINVAL : 0;
}

int uring_statx_prepare(struct uring_request *request)
{
    int err = check_plain(request);

    return err ? err : uring_copy_string(request, 0, request->sqe.addr);
}

long uring_statx_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_statx(sqe->fd, uring_arg(request, 0), sqe->op_flags, sqe->len,
                     app_pointer(sqe->off));
}

int uring_one_path_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    int err = check_plain(request);

    if (!err && (sqe->off || (sqe->opcode == ABI_URING_UNLINKAT && sqe->len) ||
                 (sqe->opcode == ABI_URING_MKDIRAT && sqe->op_flags)))
        err = -EINVAL;
    return err ? err : uring_copy_string(request, 0, sqe->addr);
}

long uring_unlinkat_issue(struct uring_request *request)
{
    return sys_unlinkat(request->sqe.fd, uring_arg(request, 0), request->sqe.op_flags);
}

long uring_mkdirat_issue(struct uring_request *request)
{
    return sys_mkdirat(request->sqe.fd, uring_arg(request, 0), request->sqe.len);
}

/* ---- Two names: addr and addr2, the second's directory in len ------------------------------------- */

int uring_two_paths_prepare(struct uring_request *request)
{
    int err = check_plain(request);

    if (!err)
        err = uring_copy_string(request, 0, request->sqe.addr);
    return err ? err : uring_copy_string(request, 1, request->sqe.off);
}

long uring_renameat_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_renameat2(sqe->fd, uring_arg(request, 0), (int)sqe->len, uring_arg(request, 1),
                         sqe->op_flags);
}

long uring_linkat_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_linkat(sqe->fd, uring_arg(request, 0), (int)sqe->len, uring_arg(request, 1),
                      sqe->op_flags);
}

int uring_symlinkat_prepare(struct uring_request *request)
{
    return request->sqe.len || request->sqe.op_flags ? -EINVAL : uring_two_paths_prepare(request);
}

long uring_symlinkat_issue(struct uring_request *request)
{
    return sys_symlinkat(uring_arg(request, 0), request->sqe.fd, uring_arg(request, 1));
}

/* ---- Extended attributes: name in addr, value in addr2, path in addr3 -------------------------------- */

int uring_xattr_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    bool has_path = sqe->opcode == ABI_URING_SETXATTR || sqe->opcode == ABI_URING_GETXATTR;
    int err = uring_copy_string(request, 0, sqe->addr);

    if (err == -ENAMETOOLONG)
        err = -ERANGE;
    return err || !has_path ? err : uring_copy_string(request, 1, sqe->addr3);
}

long uring_fsetxattr_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_fsetxattr(FD_BORROWED, uring_arg(request, 0), app_pointer(sqe->off), sqe->len,
                         (int)sqe->op_flags);
}

long uring_setxattr_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_setxattr(uring_arg(request, 1), uring_arg(request, 0), app_pointer(sqe->off),
                        sqe->len, (int)sqe->op_flags);
}

long uring_fgetxattr_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_fgetxattr(FD_BORROWED, uring_arg(request, 0), app_pointer(sqe->off), sqe->len);
}

long uring_getxattr_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    return sys_getxattr(uring_arg(request, 1), uring_arg(request, 0), app_pointer(sqe->off),
                        sqe->len);
}
