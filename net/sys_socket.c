// SPDX-License-Identifier: MIT
/*
 * The system calls of sockets: arguments are checked and copied here, the work is done by the
 * socket's ops.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/signal.h"
#include "abi/time.h"
#include "fs/file.h"
#include "kernel/call.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "net/address.h"
#include "net/message.h"
#include "net/socket.h"

#define CONTROL_MAX 20480 /* net.core.optmem_max */
#define OPTION_MAX  512

/* The socket of a descriptor; the file's reference keeps it. */
static int get_socket(int fd, struct file **file, struct socket **sock)
{
    *file = fd_get(fd);
    if (!*file)
        return -EBADF;
    *sock = socket_of(*file);
    if (*sock)
        return 0;
    file_put(*file);
    return -ENOTSOCK;
}

static bool is_nonblocking(const struct file *file, unsigned flags)
{
    const struct call_context *call = thread_current()->call;

    return (flags & ABI_MSG_DONTWAIT) || (call && call->nonblock) ||
           (__atomic_load_n(&file->flags, __ATOMIC_RELAXED) & ABI_O_NONBLOCK);
}

/* ---- socket(2), socketpair(2) ----------------------------------------------------- */

static int split_type(int *type, unsigned *flags)
{
    *flags = (unsigned)*type & ~(unsigned)ABI_SOCK_TYPE_MASK;
    *type &= ABI_SOCK_TYPE_MASK;
    return *flags & ~(unsigned)(ABI_SOCK_CLOEXEC | ABI_SOCK_NONBLOCK) ? -EINVAL : 0;
}

long sys_socket(int family, int type, int protocol)
{
    struct socket *sock;
    struct file *file;
    unsigned flags;

    int err = split_type(&type, &flags);
    if (!err)
        err = socket_create(family, type, protocol, &sock);
    if (!err)
        err = socket_file(sock, flags, &file);
    if (err)
        return err;
    int fd = fd_install(file, flags & ABI_SOCK_CLOEXEC, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

/* Two descriptors, or none. */
static int reserve_two(int fd[2])
{
    fd[0] = fd_reserve(0);
    if (fd[0] < 0)
        return fd[0];
    fd[1] = fd_reserve(0);
    if (fd[1] < 0) {
        fd_unreserve(fd[0]);
        return fd[1];
    }
    return 0;
}

static int pair_files(int type, unsigned flags, struct file *file[2])
{
    struct socket *pair[2];

    int err = unix_socket_pair(type, pair);
    if (err)
        return err;
    err = socket_file(pair[0], flags, &file[0]);
    if (err) {
        pair[1]->ops->close(pair[1]);
        socket_put(pair[1]);
        return err;
    }
    err = socket_file(pair[1], flags, &file[1]);
    if (err)
        file_put(file[0]);
    return err;
}

long sys_socketpair(int family, int type, int protocol, void __app *fds)
{
    struct file *file[2];
    unsigned flags;
    int fd[2];

    int err = split_type(&type, &flags);
    if (err)
        return err;
    if (family != ABI_AF_UNIX)
        return family == ABI_AF_INET || family == ABI_AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
    if (protocol != 0 && protocol != ABI_AF_UNIX)
        return -EPROTONOSUPPORT;
    err = reserve_two(fd);
    if (err)
        return err;
    err = copy_to_app(fds, fd, sizeof(fd));
    if (!err)
        err = pair_files(type, flags, file);
    if (err) {
        fd_unreserve(fd[0]);
        fd_unreserve(fd[1]);
        return err;
    }
    fd_fill(fd[0], file[0], flags & ABI_SOCK_CLOEXEC);
    fd_fill(fd[1], file[1], flags & ABI_SOCK_CLOEXEC);
    return 0;
}

/* ---- Connections --------------------------------------------------------------------- */

long sys_bind(int fd, const void __app *from, int len)
{
    struct socket_address address;
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    err = address_from_app(&address, from, len);
    if (!err)
        err = sock->ops->bind ? sock->ops->bind(sock, &address) : -EOPNOTSUPP;
    file_put(file);
    return err;
}

long sys_listen(int fd, int backlog)
{
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    err = sock->ops->listen ? sock->ops->listen(sock, backlog) : -EOPNOTSUPP;
    file_put(file);
    return err;
}

long sys_connect(int fd, const void __app *from, int len)
{
    struct socket_address address;
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    err = address_from_app(&address, from, len);
    if (!err)
        err = sock->ops->connect ? sock->ops->connect(sock, &address, is_nonblocking(file, 0))
                                 : -EOPNOTSUPP;
    file_put(file);
    return err;
}

static int accept_file(struct socket *sock, bool nonblock, void __app *to, void __app *len,
                       unsigned flags, struct file **out)
{
    struct socket_address peer = { 0 };
    struct socket *connection;

    int err = sock->ops->accept(sock, nonblock, &connection, &peer);
    if (err)
        return err;
    err = socket_file(connection, flags, out);
    if (err)
        return err;
    if (to) {
        err = address_to_app(&peer, to, len);
        if (err)
            file_put(*out);
    }
    return err;
}

long sys_accept4(int fd, void __app *to, void __app *len, unsigned flags)
{
    struct file *file;
    struct file *accepted;
    struct socket *sock;

    if (flags & ~(unsigned)(ABI_SOCK_CLOEXEC | ABI_SOCK_NONBLOCK))
        return -EINVAL;
    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    int new_fd = sock->ops->accept ? fd_reserve(0) : -EOPNOTSUPP;
    if (new_fd >= 0) {
        err = accept_file(sock, is_nonblocking(file, 0), to, len, flags, &accepted);
        if (err) {
            fd_unreserve(new_fd);
            new_fd = err;
        } else {
            fd_fill(new_fd, accepted, flags & ABI_SOCK_CLOEXEC);
        }
    }
    file_put(file);
    return new_fd;
}

long sys_accept(int fd, void __app *to, void __app *len)
{
    return sys_accept4(fd, to, len, 0);
}

static long get_name(int fd, bool is_peer, void __app *to, void __app *len)
{
    struct socket_address address = { 0 };
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    err = sock->ops->name(sock, is_peer, &address);
    if (!err)
        err = address_to_app(&address, to, len);
    file_put(file);
    return err;
}

long sys_getsockname(int fd, void __app *to, void __app *len)
{
    return get_name(fd, false, to, len);
}

long sys_getpeername(int fd, void __app *to, void __app *len)
{
    return get_name(fd, true, to, len);
}

long sys_shutdown(int fd, int how)
{
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    if (how < ABI_SHUT_RD || how > ABI_SHUT_RDWR)
        err = -EINVAL;
    else
        err = sock->ops->shutdown ? sock->ops->shutdown(sock, (unsigned)how + 1) : -EOPNOTSUPP;
    file_put(file);
    return err;
}

/* ---- Sending ------------------------------------------------------------------------------ */

static long send_message(struct file *file, struct socket *sock, struct message *message)
{
    message->nonblock = is_nonblocking(file, message->flags);
    long n = sock->ops->send(sock, message);
    if (n == -EPIPE && !(message->flags & ABI_MSG_NOSIGNAL) && sock->type == ABI_SOCK_STREAM)
        (void)signal_send_thread(thread_current(), ABI_SIGPIPE, NULL);
    return n;
}

long sys_sendto(int fd, const void __app *buf, size_t count, unsigned flags, const void __app *to,
                int len)
{
    struct socket_address address;
    struct message message = { .flags = flags };
    struct socket *sock;
    struct file *file;
    struct io io;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    if (to) {
        err = address_from_app(&address, to, len);
        message.address = &address;
    }
    long n = err;
    if (!err) {
        io_init_app(&io, (void __app *)buf, count);
        message.io = &io;
        n = io_is_possible(&io) ? send_message(file, sock, &message) : -EFAULT;
        io_fini(&io);
    }
    file_put(file);
    return n;
}

/* Linux checks all headers before any is looked at. */
static int check_control(const uint8_t *control, size_t len)
{
    size_t position = 0;

    while (len - position >= sizeof(struct abi_cmsghdr)) {
        const struct abi_cmsghdr *header = (const void *)(control + position);
        if (header->cmsg_len < sizeof(*header) || header->cmsg_len > len - position)
            return -EINVAL;
        position += ABI_CMSG_ALIGN(header->cmsg_len);
        if (position > len)
            break;
    }
    return 0;
}

static int copy_control(const struct abi_msghdr *header, struct message *message)
{
    if (!header->msg_control || !header->msg_controllen)
        return 0;
    if (header->msg_controllen > CONTROL_MAX)
        return -ENOBUFS;
    uint8_t *control = kmalloc(header->msg_controllen, ALLOC_WAIT);
    if (!control)
        return -ENOBUFS;
    int err =
        copy_from_app(control, (const void __app *)header->msg_control, header->msg_controllen);
    if (!err)
        err = check_control(control, header->msg_controllen);
    if (err) {
        kfree(control);
        return err;
    }
    message->control = control;
    message->control_len = header->msg_controllen;
    return 0;
}

static int copy_header(struct abi_msghdr *header, const void __app *from)
{
    if (copy_from_app(header, from, sizeof(*header)))
        return -EFAULT;
    if (!header->msg_name)
        header->msg_namelen = 0;
    if (header->msg_namelen < 0)
        return -EINVAL;
    header->msg_namelen = MIN(header->msg_namelen, ABI_SOCKADDR_MAX);
    return header->msg_iovlen > ABI_UIO_MAXIOV ? -EMSGSIZE : 0;
}

static long send_one(struct file *file, struct socket *sock, const void __app *from, unsigned flags)
{
    struct message message = { .flags = flags };
    struct socket_address address;
    struct abi_msghdr header;
    struct io io;

    int err = copy_header(&header, from);
    if (err)
        return err;
    if (header.msg_namelen) {
        err = address_from_app(&address, (const void __app *)header.msg_name, header.msg_namelen);
        message.address = &address;
    }
    if (!err)
        err = io_init_vector(&io, (const void __app *)header.msg_iov, header.msg_iovlen);
    if (err)
        return err;
    message.io = &io;
    long n = copy_control(&header, &message);
    if (n == 0)
        n = send_message(file, sock, &message);
    kfree((void *)message.control);
    io_fini(&io);
    return n;
}

long sys_sendmsg(int fd, const void __app *from, unsigned flags)
{
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    long n = send_one(file, sock, from, flags);
    file_put(file);
    return n;
}

long sys_sendmmsg(int fd, void __app *messages, unsigned count, unsigned flags)
{
    uint8_t __app *at = messages;
    struct socket *sock;
    struct file *file;
    long done = 0;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    count = MIN(count, ABI_UIO_MAXIOV);
    while ((unsigned long)done < count) {
        long n = send_one(file, sock, at, flags);
        uint32_t len = (uint32_t)n;
        if (n < 0) {
            err = (int)n;
            break;
        }
        err = copy_to_app(at + offsetof(struct abi_mmsghdr, msg_len), &len, sizeof(len));
        if (err)
            break;
        done++;
        at += sizeof(struct abi_mmsghdr);
        if (signal_is_pending())
            break;
    }
    file_put(file);
    return done ? done : err;
}

/* ---- Receiving ------------------------------------------------------------------------------ */

long sys_recvfrom(int fd, void __app *buf, size_t count, unsigned flags, void __app *from,
                  void __app *len)
{
    struct socket_address address = { 0 };
    struct message message = { .flags = flags, .address = &address };
    struct socket *sock;
    struct file *file;
    struct io io;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    io_init_app(&io, buf, count);
    message.io = &io;
    message.nonblock = is_nonblocking(file, flags);
    long n = io_is_possible(&io) ? sock->ops->receive(sock, &message) : -EFAULT;
    io_fini(&io);
    if (n >= 0 && from) {
        err = address_to_app(&address, from, len);
        n = err ? err : n;
    }
    file_put(file);
    return n;
}

/* What recvmsg() tells besides the data. */
static int put_header(const struct abi_msghdr *header, const struct message *message,
                      uint8_t __app *to)
{
    uint64_t control_len = message->control_used;
    uint32_t flags = message->out_flags | (message->flags & ABI_MSG_CMSG_CLOEXEC);
    int len = header->msg_namelen;

    if (header->msg_name) {
        int err = address_copy_out(message->address, (void __app *)header->msg_name, &len);
        if (!err)
            err = copy_to_app(to + offsetof(struct abi_msghdr, msg_namelen), &len, sizeof(len));
        if (err)
            return err;
    }
    if (copy_to_app(to + offsetof(struct abi_msghdr, msg_flags), &flags, sizeof(flags)))
        return -EFAULT;
    return copy_to_app(to + offsetof(struct abi_msghdr, msg_controllen), &control_len,
                       sizeof(control_len));
}

static long receive_one(struct file *file, struct socket *sock, void __app *to, unsigned flags)
{
    struct socket_address address = { 0 };
    struct message message = { .flags = flags, .address = &address, .wants_control = true };
    struct abi_msghdr header;
    struct io io;

    int err = copy_header(&header, to);
    if (!err)
        err = io_init_vector(&io, (const void __app *)header.msg_iov, header.msg_iovlen);
    if (err)
        return err;
    message.io = &io;
    message.nonblock = is_nonblocking(file, flags);
    message.control_out = (uint8_t __app *)header.msg_control;
    message.control_room = header.msg_control ? header.msg_controllen : 0;
    long n = sock->ops->receive(sock, &message);
    io_fini(&io);
    if (n >= 0) {
        err = put_header(&header, &message, to);
        n = err ? err : n;
    }
    return n;
}

long sys_recvmsg(int fd, void __app *to, unsigned flags)
{
    struct socket *sock;
    struct file *file;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    long n = receive_one(file, sock, to, flags);
    file_put(file);
    return n;
}

static long receive_many(struct file *file, struct socket *sock, uint8_t __app *at, unsigned count,
                         unsigned flags, nsec_t deadline)
{
    long done = 0;

    while ((unsigned long)done < MIN(count, ABI_UIO_MAXIOV)) {
        long n = receive_one(file, sock, at, flags & ~ABI_MSG_WAITFORONE);
        uint32_t len = (uint32_t)n;
        if (n >= 0)
            n = copy_to_app(at + offsetof(struct abi_mmsghdr, msg_len), &len, sizeof(len));
        if (n < 0) {
            if (done && n != -EAGAIN && n != -ERESTARTSYS && n != -EINTR)
                __atomic_store_n(&sock->error, (int)-n, __ATOMIC_RELEASE); /* the next call tells */
            return done ? done : n;
        }
        done++;
        at += sizeof(struct abi_mmsghdr);
        if (flags & ABI_MSG_WAITFORONE)
            flags |= ABI_MSG_DONTWAIT;
        if (clock_monotonic() >= deadline || signal_is_pending())
            break;
    }
    return done;
}

long sys_recvmmsg(int fd, void __app *messages, unsigned count, unsigned flags, void __app *timeout)
{
    nsec_t deadline;
    struct socket *sock;
    struct file *file;

    /* As Linux: the timeout is looked at after each message only. */
    int err = deadline_from_app(timeout, &deadline);
    if (err)
        return err;
    err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    err = socket_take_error(sock);
    long n = err ? err : receive_many(file, sock, messages, count, flags, deadline);
    file_put(file);
    if (timeout && n > 0) {
        struct abi_timespec left = timespec_from_nsec(MAX(deadline - clock_monotonic(), 0));
        if (copy_to_app(timeout, &left, sizeof(left)))
            n = -EFAULT;
    }
    return n;
}

/* ---- Options ---------------------------------------------------------------------------------- */

long sys_setsockopt(int fd, int level, int name, const void __app *value, int len)
{
    uint64_t buf[OPTION_MAX / 8];
    struct socket *sock;
    struct file *file;

    if (len < 0)
        return -EINVAL;
    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    unsigned size = MIN((unsigned)len, (unsigned)sizeof(buf));
    err = size ? copy_from_app(buf, value, size) : 0;
    if (!err && level == ABI_SOL_SOCKET)
        err = socket_set_option(sock, name, buf, size);
    else if (!err)
        err = sock->ops->set_option ? sock->ops->set_option(sock, level, name, buf, size)
                                    : -EOPNOTSUPP;
    file_put(file);
    return err;
}

long sys_getsockopt(int fd, int level, int name, void __app *value, void __app *len_at)
{
    uint64_t buf[OPTION_MAX / 8] = { 0 };
    struct socket *sock;
    struct file *file;
    int len;

    int err = get_socket(fd, &file, &sock);
    if (err)
        return err;
    if (copy_from_app(&len, len_at, sizeof(len)))
        err = -EFAULT;
    else if (len < 0)
        err = -EINVAL;
    unsigned size = err ? 0 : MIN((unsigned)len, (unsigned)sizeof(buf));
    if (!err && level == ABI_SOL_SOCKET)
        err = socket_get_option(sock, name, buf, &size);
    else if (!err)
        err = sock->ops->get_option ? sock->ops->get_option(sock, level, name, buf, &size)
                                    : -EOPNOTSUPP;
    file_put(file);
    if (err)
        return err;
    len = (int)size;
    if (size && copy_to_app(value, buf, size))
        return -EFAULT;
    return copy_to_app(len_at, &len, sizeof(len));
}
