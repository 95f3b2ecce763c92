// SPDX-License-Identifier: MIT
/*
 * io_uring: sockets.
 *
 * The system calls' own functions do the work, on kernel copies of what the entry points to, so that the
 * application may use its structures again once they were submitted.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/socket.h"
#include "fs/uring/ops.h"
#include "kernel/mm/heap.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* Bytes that come after an earlier attempt moved some. */
static long add_up(struct uring_request *request, long n)
{
    if (n < 0 && n != -EAGAIN && request->done > 0)
        return request->done;
    if (n <= 0)
        return n == 0 ? request->done : n;
    return n + request->done;
}

static bool is_stream(struct uring_request *request)
{
    int *value = request->private;

    if (!value) {
        value = uring_make_arg(request, 1, 2 * sizeof(int));
        if (!value)
            return false;
        request->private = value;
        char __app *at = uring_arg(request, 1);
        value[1] = sizeof(int);
        if (sys_getsockopt(FD_BORROWED, ABI_SOL_SOCKET, ABI_SO_TYPE, at, at + sizeof(int)))
            value[0] = 0;
    }
    return value[0] == ABI_SOCK_STREAM || value[0] == ABI_SOCK_SEQPACKET;
}

/* MSG_WAITALL without blocking: what is there is kept, the rest waited for. */
static long wait_for_all(struct uring_request *request, long n, size_t wanted)
{
    bool is_all = request->sqe.op_flags & ABI_MSG_WAITALL;

    if (is_all)
        request->expected = (long)wanted;
    if (n > 0 && is_all && request->done + n < (long)wanted && is_stream(request)) {
        request->done += n;
        return -EAGAIN;
    }
    return add_up(request, n);
}

static bool wants_poll_first(const struct uring_request *request)
{
    return request->sqe.ioprio & ABI_URING_POLL_FIRST && !request->is_watched;
}

static int check_flags(struct uring_request *request, unsigned known)
{
    struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->ioprio & ~known)
        return -EINVAL;
    request->no_wait = sqe->op_flags & ABI_MSG_DONTWAIT;
    if (sqe->ioprio & ABI_URING_RECV_MULTISHOT && known & ABI_URING_RECV_MULTISHOT &&
        (!(sqe->flags & ABI_SQE_BUFFER_SELECT) || sqe->op_flags & ABI_MSG_WAITALL))
        return -EINVAL;
    return 0;
}

/* ---- send, recv ---------------------------------------------------------------------------- */

/* Also recv: its address fields are zero. */
int uring_send_prepare(struct uring_request *request)
{
    struct abi_uring_sqe *sqe = &request->sqe;
    bool is_recv = sqe->opcode == ABI_URING_RECV, is_zc = sqe->opcode == ABI_URING_SEND_ZC;
    unsigned address_len = (uint16_t)sqe->file_index;
    int err = check_flags(request, ABI_URING_POLL_FIRST | (is_recv ? ABI_URING_RECV_MULTISHOT : 0) |
                                       (is_zc ? ABI_URING_FIXED_BUF : 0));
    if (err)
        return err;
    if (is_recv)
        return sqe->off || sqe->file_index ? -EINVAL : 0;
    if (sqe->off && address_len > ABI_SOCKADDR_MAX)
        return -EINVAL;
    if (sqe->off)
        err = uring_copy_arg(request, 0, sqe->off, address_len);
    if (!err && is_zc && sqe->ioprio & ABI_URING_FIXED_BUF) {
        struct uring_resource *buffer =
            uring_table_get(request->ring, &request->ring->buffers, sqe->buf_index);
        request->buffer_resource = buffer;
        if (!buffer || sqe->addr < buffer->base ||
            sqe->addr + sqe->len > buffer->base + buffer->len)
            err = -EFAULT;
    }
    return err;
}

long uring_send_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    size_t len = sqe->len - (size_t)request->done;
    const void __app *data = app_pointer(sqe->addr + (uint64_t)request->done);

    if (wants_poll_first(request))
        return -EAGAIN;
    long n = sys_sendto(FD_BORROWED, data, len, sqe->op_flags | ABI_MSG_NOSIGNAL,
                        sqe->off ? uring_arg(request, 0) : NULL,
                        sqe->off ? (uint16_t)sqe->file_index : 0);
    return wait_for_all(request, n, sqe->len);
}

/* The data has been copied by then, so the buffer is free at once. */
static long with_notification(struct uring_request *request, long n)
{
    if (n == -EAGAIN && !request->no_wait)
        return n;
    uring_post(request->ring, request->sqe.user_data, (int)n, ABI_CQE_F_MORE);
    request->cqe_flags = ABI_CQE_F_NOTIF;
    request->expected = n < 0 ? 1 : -1;
    return 0;
}

long uring_send_zc_issue(struct uring_request *request)
{
    return with_notification(request, uring_send_issue(request));
}

static long recv_once(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    uint64_t address = request->buffer ? request->buffer->addr : sqe->addr;
    size_t len = sqe->len;

    if (request->buffer)
        len = len ? MIN(len, request->buffer->len) : request->buffer->len;
    void __app *to = app_pointer(address + (uint64_t)request->done);
    long n = sys_recvfrom(FD_BORROWED, to, len - (size_t)request->done, sqe->op_flags, NULL, NULL);
    return wait_for_all(request, n, len);
}

/* Repeats once() until it would block, fails or the stream ends; each but the last posts a completion. */
static long multishot(struct uring_request *request, long (*once)(struct uring_request *request))
{
    for (;;) {
        long n = once(request);
        if (n <= 0)
            return n;
        if (!uring_request_post_more(request, n))
            return n; /* the last one: the application has to make room first */
        int err = uring_buffer_select(request);
        if (err)
            return err;
    }
}

long uring_recv_issue(struct uring_request *request)
{
    if (wants_poll_first(request))
        return -EAGAIN;
    return request->sqe.ioprio & ABI_URING_RECV_MULTISHOT ? multishot(request, recv_once)
                                                          : recv_once(request);
}

/* ---- sendmsg, recvmsg -------------------------------------------------------------------------- */

struct message_copy {
    struct abi_msghdr header;
    struct abi_iovec piece[];
};

static struct message_copy *copy_of(const struct uring_request *request)
{
    return (void *)request->call.arg[0].start;
}

static int copy_message(struct uring_request *request)
{
    struct abi_msghdr header;

    if (copy_from_app(&header, app_pointer(request->sqe.addr), sizeof(header)))
        return -EFAULT;
    if (header.msg_iovlen > IOV_MAX_PIECES)
        return -EMSGSIZE;
    size_t size = header.msg_iovlen * sizeof(struct abi_iovec);
    struct message_copy *copy =
        uring_make_arg(request, 0, sizeof(*copy) + MAX(size, sizeof(struct abi_iovec)));
    if (!copy)
        return -ENOMEM;
    copy->header = header;
    copy->header.msg_iov = (uintptr_t)copy->piece;
    return size ? copy_from_app(copy->piece, app_pointer(header.msg_iov), size) : 0;
}

int uring_message_prepare(struct uring_request *request)
{
    struct abi_uring_sqe *sqe = &request->sqe;
    bool is_recv = sqe->opcode == ABI_URING_RECVMSG;
    int err = check_flags(request, ABI_URING_POLL_FIRST | (is_recv ? ABI_URING_RECV_MULTISHOT : 0));

    if (!err && (sqe->off || sqe->file_index))
        err = -EINVAL;
    if (!err)
        err = uring_late_fault(request, copy_message(request));
    if (err || request->late_error)
        return err;
    struct abi_msghdr *header = &copy_of(request)->header;
    if (is_recv)
        return sqe->flags & ABI_SQE_BUFFER_SELECT && header->msg_iovlen > 1 ? -EINVAL : 0;
    if (!header->msg_name || header->msg_namelen <= 0)
        return 0;
    err = uring_copy_arg(request, 1, header->msg_name,
                         MIN((size_t)header->msg_namelen, (size_t)ABI_SOCKADDR_MAX));
    header->msg_name = request->call.arg[1].start;
    return err;
}

static size_t message_len(const struct uring_request *request)
{
    const struct message_copy *copy = copy_of(request);
    size_t total = 0;

    for (size_t i = 0; i < copy->header.msg_iovlen; i++)
        total += copy->piece[i].len;
    return total;
}

long uring_sendmsg_issue(struct uring_request *request)
{
    if (wants_poll_first(request))
        return -EAGAIN;
    long n =
        sys_sendmsg(FD_BORROWED, uring_arg(request, 0), request->sqe.op_flags | ABI_MSG_NOSIGNAL);
    if (request->sqe.op_flags & ABI_MSG_WAITALL)
        request->expected = (long)message_len(request);
    return n;
}

long uring_sendmsg_zc_issue(struct uring_request *request)
{
    return with_notification(request, uring_sendmsg_issue(request));
}

/* What the call wrote into its copy of the header goes to the application's. */
static int return_header(struct uring_request *request)
{
    const struct abi_msghdr *header = &copy_of(request)->header;
    uint64_t to = request->sqe.addr;
    int err = copy_to_app(app_pointer(to + offsetof(struct abi_msghdr, msg_namelen)),
                          &header->msg_namelen, sizeof(header->msg_namelen));

    if (!err)
        err = copy_to_app(app_pointer(to + offsetof(struct abi_msghdr, msg_controllen)),
                          &header->msg_controllen, sizeof(header->msg_controllen));
    if (!err)
        err = copy_to_app(app_pointer(to + offsetof(struct abi_msghdr, msg_flags)),
                          &header->msg_flags, sizeof(header->msg_flags));
    return err;
}

/* The pieces that n bytes have filled are behind; MSG_WAITALL waits for the others. */
static long wait_for_rest(struct uring_request *request, long n)
{
    struct message_copy *copy = copy_of(request);
    size_t wanted = message_len(request) + (size_t)request->done, left = (size_t)MAX(n, 0L);
    long total = wait_for_all(request, n, wanted);

    for (size_t i = 0; total == -EAGAIN && i < copy->header.msg_iovlen; i++) {
        size_t step = MIN(left, (size_t)copy->piece[i].len);
        copy->piece[i].base += step;
        copy->piece[i].len -= step;
        left -= step;
    }
    return total;
}

static long recvmsg_once(struct uring_request *request)
{
    struct message_copy *copy = copy_of(request);

    if (request->buffer && !request->done) {
        size_t len = copy->header.msg_iovlen ? copy->piece[0].len : 0;
        len = len ? MIN(len, request->buffer->len) : request->buffer->len;
        copy->piece[0] = (struct abi_iovec){ .base = request->buffer->addr, .len = len };
        copy->header.msg_iovlen = 1;
    }
    long n = sys_recvmsg(FD_BORROWED, uring_arg(request, 0), request->sqe.op_flags);
    if (n < 0)
        return add_up(request, n);
    n = wait_for_rest(request, n);
    int err = n < 0 ? 0 : return_header(request);
    return err ? err : n;
}

/* The buffer gets a header, the address, the control messages and the data. */
static long recvmsg_multishot_once(struct uring_request *request)
{
    struct message_copy *copy = copy_of(request);
    const struct abi_msghdr wanted = copy->header;
    struct abi_uring_recvmsg_out out;
    size_t head = sizeof(out) + (size_t)wanted.msg_namelen + wanted.msg_controllen;

    if (wanted.msg_namelen < 0 || head > request->buffer->len)
        return -EFAULT;
    uint64_t at = request->buffer->addr + sizeof(out);
    copy->header.msg_name = wanted.msg_namelen ? at : 0;
    copy->header.msg_control = wanted.msg_controllen ? at + (size_t)wanted.msg_namelen : 0;
    copy->header.msg_iovlen = 1;
    copy->piece[0] = (struct abi_iovec){ .base = request->buffer->addr + head,
                                         .len = request->buffer->len - head };
    long n = sys_recvmsg(FD_BORROWED, uring_arg(request, 0), request->sqe.op_flags);
    out = (struct abi_uring_recvmsg_out){ .namelen = (uint32_t)copy->header.msg_namelen,
                                          .controllen = (uint32_t)copy->header.msg_controllen,
                                          .payloadlen = (uint32_t)n,
                                          .flags = (uint32_t)copy->header.msg_flags };
    copy->header = wanted;
    if (n <= 0)
        return n;
    if (copy_to_app(app_pointer(request->buffer->addr), &out, sizeof(out)))
        return -EFAULT;
    return (long)head + n;
}

long uring_recvmsg_issue(struct uring_request *request)
{
    if (wants_poll_first(request))
        return -EAGAIN;
    return request->sqe.ioprio & ABI_URING_RECV_MULTISHOT
               ? multishot(request, recvmsg_multishot_once)
               : recvmsg_once(request);
}

/* ---- accept, connect, shutdown, socket ------------------------------------------------------------- */

int uring_accept_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    unsigned index = (unsigned)sqe->file_index;

    if (sqe->len || sqe->buf_index || sqe->ioprio & ~ABI_URING_ACCEPT_MULTISHOT)
        return -EINVAL;
    if (index && sqe->op_flags & ABI_SOCK_CLOEXEC)
        return -EINVAL;
    if (sqe->ioprio && index && index != ABI_URING_FILE_INDEX_ALLOC)
        return -EINVAL;
    request->call.wants_file = index;
    return 0;
}

static long accept_once(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    bool wants_name = !(sqe->ioprio & ABI_URING_ACCEPT_MULTISHOT);
    long n = sys_accept4(FD_BORROWED, wants_name ? app_pointer(sqe->addr) : NULL,
                         wants_name ? app_pointer(sqe->off) : NULL, sqe->op_flags);

    return n < 0 || !sqe->file_index ? n
                                     : uring_file_install(request->ring, request->call.new_file,
                                                          (unsigned)sqe->file_index);
}

long uring_accept_issue(struct uring_request *request)
{
    long n = accept_once(request);

    while (n >= 0 && request->sqe.ioprio & ABI_URING_ACCEPT_MULTISHOT) {
        if (!uring_request_post_more(request, n))
            return n; /* the last one, as multishot() */
        n = accept_once(request);
    }
    return n;
}

int uring_connect_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->len || sqe->buf_index || sqe->op_flags || sqe->file_index)
        return -EINVAL;
    if (sqe->off > ABI_SOCKADDR_MAX)
        return -EINVAL;
    int err = uring_late_fault(request, uring_copy_arg(request, 0, sqe->addr, sqe->off));
    return err || uring_make_arg(request, 1, 2 * sizeof(int)) ? err : -ENOMEM;
}

/* The result of a connection that was under way. */
static long connect_result(struct uring_request *request)
{
    int *value = (void *)request->call.arg[1].start;
    const unsigned events = ABI_POLLOUT | ABI_POLLERR | ABI_POLLHUP;
    char __app *at = uring_arg(request, 1);

    if (!(file_poll(request->call.file) & events))
        return -EAGAIN;
    value[1] = sizeof(int);
    long err = sys_getsockopt(FD_BORROWED, ABI_SOL_SOCKET, ABI_SO_ERROR, at, at + sizeof(int));
    return err ? err : -value[0];
}

long uring_connect_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (request->done)
        return connect_result(request);
    long n = sys_connect(FD_BORROWED, uring_arg(request, 0), (int)sqe->off);
    if (n != -EINPROGRESS)
        return n;
    request->done = 1;
    return -EAGAIN;
}

long uring_shutdown_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->off || sqe->addr || sqe->op_flags || sqe->buf_index || sqe->file_index)
        return -EINVAL;
    return sys_shutdown(FD_BORROWED, (int)sqe->len);
}

/* Domain in fd, type in off, protocol in len. */
int uring_socket_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->addr || sqe->op_flags || sqe->buf_index)
        return -EINVAL;
    request->call.wants_file = sqe->file_index;
    return sqe->file_index && sqe->off & ABI_SOCK_CLOEXEC ? -EINVAL : 0;
}

long uring_socket_issue(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    long n = sys_socket(sqe->fd, (int)sqe->off, (int)sqe->len);

    return n < 0 || !sqe->file_index ? n
                                     : uring_file_install(request->ring, request->call.new_file,
                                                          (unsigned)sqe->file_index);
}
