// SPDX-License-Identifier: MIT
#pragma once
/*
 * io_uring: the operations, for the table in ops.c.
 */
#include "fs/uring/uring.h"

#define PREPARE(name) int uring_##name##_prepare(struct uring_request *request) __must_check
#define ISSUE(name)   long uring_##name##_issue(struct uring_request *request)

/* op_timeout.c */
PREPARE(timeout);
ISSUE(timeout);
ISSUE(link_timeout);
PREPARE(timeout_remove);
ISSUE(timeout_remove);
PREPARE(poll);
ISSUE(poll);
PREPARE(poll_remove);
ISSUE(poll_remove);
PREPARE(cancel);
ISSUE(cancel);

/* op_rw.c */
PREPARE(vector);
PREPARE(buffer);
PREPARE(fixed);
ISSUE(read);
ISSUE(write);
PREPARE(fsync);
ISSUE(fsync);
ISSUE(sync_file_range);
ISSUE(fallocate);
ISSUE(fadvise);
ISSUE(madvise);
PREPARE(splice);
ISSUE(splice);
ISSUE(tee);

/* op_net.c */
PREPARE(message);
ISSUE(sendmsg);
ISSUE(recvmsg);
PREPARE(send);
ISSUE(send);
ISSUE(send_zc);
ISSUE(sendmsg_zc);
ISSUE(recv);
PREPARE(accept);
ISSUE(accept);
PREPARE(connect);
ISSUE(connect);
ISSUE(shutdown);
PREPARE(socket);
ISSUE(socket);

/* op_path.c */
PREPARE(openat);
PREPARE(openat2);
ISSUE(openat);
PREPARE(statx);
ISSUE(statx);
PREPARE(one_path);
ISSUE(unlinkat);
ISSUE(mkdirat);
PREPARE(two_paths);
ISSUE(renameat);
ISSUE(linkat);
PREPARE(symlinkat);
ISSUE(symlinkat);
PREPARE(xattr);
ISSUE(fsetxattr);
ISSUE(setxattr);
ISSUE(fgetxattr);
ISSUE(getxattr);

/* op_misc.c */
ISSUE(nop);
PREPARE(close);
ISSUE(close);
PREPARE(epoll_ctl);
ISSUE(epoll_ctl);
PREPARE(files_update);
ISSUE(files_update);
PREPARE(msg_ring);
ISSUE(msg_ring);

/* buffers.c */
PREPARE(provide_buffers);
ISSUE(provide_buffers);
PREPARE(remove_buffers);
ISSUE(remove_buffers);
