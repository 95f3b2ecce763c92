// SPDX-License-Identifier: MIT
/*
 * io_uring: the table of operations.
 */
#include "fs/uring/ops.h"

#include "abi/poll.h"

#define IN  (ABI_POLLIN | ABI_POLLRDNORM)
#define OUT (ABI_POLLOUT | ABI_POLLWRNORM)

#define OP(name_, prepare_, issue_, ...)                                                           \
    {                                                                                              \
        .name = name_, .prepare = prepare_, .issue = uring_##issue_##_issue, __VA_ARGS__           \
    }
#define BY_FILE(name_, prepare_, issue_, ...)                                                      \
    OP(name_, prepare_, issue_, .needs_file = true, __VA_ARGS__)
#define NAMES(name_, prepare_, issue_) OP(name_, prepare_, issue_, .blocks = true)

const struct uring_op uring_ops[ABI_URING_OP_LAST] = {
    [ABI_URING_NOP] = OP("nop", NULL, nop, .takes_ioprio = true, .works_polled = true),
    [ABI_URING_READV] = BY_FILE("readv", uring_vector_prepare, read, .events = IN,
                                .selects_buffer = true, .takes_ioprio = true),
    [ABI_URING_WRITEV] =
        BY_FILE("writev", uring_vector_prepare, write, .events = OUT, .takes_ioprio = true),
    [ABI_URING_FSYNC] = BY_FILE("fsync", uring_fsync_prepare, fsync, .blocks = true),
    [ABI_URING_READ_FIXED] =
        BY_FILE("read_fixed", uring_fixed_prepare, read, .events = IN, .takes_ioprio = true),
    [ABI_URING_WRITE_FIXED] =
        BY_FILE("write_fixed", uring_fixed_prepare, write, .events = OUT, .takes_ioprio = true),
    [ABI_URING_POLL_ADD] = BY_FILE("poll_add", uring_poll_prepare, poll, .is_poll = true),
    [ABI_URING_POLL_REMOVE] = OP("poll_remove", uring_poll_remove_prepare, poll_remove),
    [ABI_URING_SYNC_FILE_RANGE] = BY_FILE("sync_file_range", NULL, sync_file_range, .blocks = true),
    [ABI_URING_SENDMSG] =
        BY_FILE("sendmsg", uring_message_prepare, sendmsg, .events = OUT, .takes_ioprio = true),
    [ABI_URING_RECVMSG] = BY_FILE("recvmsg", uring_message_prepare, recvmsg, .events = IN,
                                  .selects_buffer = true, .takes_ioprio = true),
    [ABI_URING_TIMEOUT] = OP("timeout", uring_timeout_prepare, timeout),
    [ABI_URING_TIMEOUT_REMOVE] = OP("timeout_remove", uring_timeout_remove_prepare, timeout_remove),
    [ABI_URING_ACCEPT] =
        BY_FILE("accept", uring_accept_prepare, accept, .events = IN, .takes_ioprio = true),
    [ABI_URING_ASYNC_CANCEL] = OP("async_cancel", uring_cancel_prepare, cancel),
    [ABI_URING_LINK_TIMEOUT] = OP("link_timeout", uring_timeout_prepare, link_timeout),
    [ABI_URING_CONNECT] = BY_FILE("connect", uring_connect_prepare, connect, .events = OUT),
    [ABI_URING_FALLOCATE] = BY_FILE("fallocate", NULL, fallocate, .blocks = true),
    [ABI_URING_OPENAT] = NAMES("openat", uring_openat_prepare, openat),
    [ABI_URING_CLOSE] = OP("close", uring_close_prepare, close),
    [ABI_URING_FILES_UPDATE] =
        OP("files_update", uring_files_update_prepare, files_update, .works_polled = true),
    [ABI_URING_STATX] = NAMES("statx", uring_statx_prepare, statx),
    [ABI_URING_READ] = BY_FILE("read", uring_buffer_prepare, read, .events = IN,
                               .selects_buffer = true, .takes_ioprio = true),
    [ABI_URING_WRITE] =
        BY_FILE("write", uring_buffer_prepare, write, .events = OUT, .takes_ioprio = true),
    [ABI_URING_FADVISE] = BY_FILE("fadvise", NULL, fadvise),
    [ABI_URING_MADVISE] = OP("madvise", NULL, madvise, .blocks = true),
    [ABI_URING_SEND] =
        BY_FILE("send", uring_send_prepare, send, .events = OUT, .takes_ioprio = true),
    [ABI_URING_RECV] = BY_FILE("recv", uring_send_prepare, recv, .events = IN,
                               .selects_buffer = true, .takes_ioprio = true),
    [ABI_URING_OPENAT2] = NAMES("openat2", uring_openat2_prepare, openat),
    [ABI_URING_EPOLL_CTL] = OP("epoll_ctl", uring_epoll_ctl_prepare, epoll_ctl),
    [ABI_URING_SPLICE] = BY_FILE("splice", uring_splice_prepare, splice, .blocks = true),
    [ABI_URING_PROVIDE_BUFFERS] =
        OP("provide_buffers", uring_provide_buffers_prepare, provide_buffers, .works_polled = true),
    [ABI_URING_REMOVE_BUFFERS] =
        OP("remove_buffers", uring_remove_buffers_prepare, remove_buffers, .works_polled = true),
    [ABI_URING_TEE] = BY_FILE("tee", uring_splice_prepare, tee, .blocks = true),
    [ABI_URING_SHUTDOWN] = BY_FILE("shutdown", NULL, shutdown),
    [ABI_URING_RENAMEAT] = NAMES("renameat", uring_two_paths_prepare, renameat),
    [ABI_URING_UNLINKAT] = NAMES("unlinkat", uring_one_path_prepare, unlinkat),
    [ABI_URING_MKDIRAT] = NAMES("mkdirat", uring_one_path_prepare, mkdirat),
    [ABI_URING_SYMLINKAT] = NAMES("symlinkat", uring_symlinkat_prepare, symlinkat),
    [ABI_URING_LINKAT] = NAMES("linkat", uring_two_paths_prepare, linkat),
    [ABI_URING_MSG_RING] =
        BY_FILE("msg_ring", uring_msg_ring_prepare, msg_ring, .works_polled = true),
    [ABI_URING_FSETXATTR] = BY_FILE("fsetxattr", uring_xattr_prepare, fsetxattr, .blocks = true),
    [ABI_URING_SETXATTR] = NAMES("setxattr", uring_xattr_prepare, setxattr),
    [ABI_URING_FGETXATTR] = BY_FILE("fgetxattr", uring_xattr_prepare, fgetxattr, .blocks = true),
    [ABI_URING_GETXATTR] = NAMES("getxattr", uring_xattr_prepare, getxattr),
    [ABI_URING_SOCKET] = OP("socket", uring_socket_prepare, socket),
    /* No file here has commands of its own. */
    [ABI_URING_CMD] = { .name = "uring_cmd" },
    [ABI_URING_SEND_ZC] =
        BY_FILE("send_zc", uring_send_prepare, send_zc, .events = OUT, .takes_ioprio = true),
    [ABI_URING_SENDMSG_ZC] = BY_FILE("sendmsg_zc", uring_message_prepare, sendmsg_zc, .events = OUT,
                                     .takes_ioprio = true),
};
