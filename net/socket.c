// SPDX-License-Identifier: MIT
/*
 * Sockets as files, and what all families share: waiting, waking, errors, lifetime.
 *
 * State that poll() and the wait conditions read is kept in words that are stored after the
 * change and before the wake-up; they are read without a lock.
 */
#include "net/socket.h"

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/inet.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"
#include "lib/format.h"
#include "net/counts.h"
#include "net/message.h"
#include "net/net.h"
#include "net/net_ioctl.h"
#include "net/socket_filter.h"

static struct list wakes = LIST_INIT(wakes); /* [n] sockets with wake_events */
static uint64_t next_id = 1;                 /* [a] */

void socket_init(void)
{
}

struct net_counts net_counts;

/* ---- Lifetime ------------------------------------------------------------------ */

static void count_socket(const struct socket *sock, unsigned change)
{
    __atomic_fetch_add(&net_counts.sockets, change, __ATOMIC_RELAXED);
    if (sock->type == ABI_SOCK_STREAM && sock->family != ABI_AF_UNIX)
        __atomic_fetch_add(&net_counts.tcp_sockets, change, __ATOMIC_RELAXED);
}

void socket_setup(struct socket *sock, const struct socket_ops *ops, int family, int type,
                  int protocol)
{
    sock->refcount = 1;
    sock->ops = ops;
    sock->family = family;
    sock->type = type;
    sock->protocol = protocol;
    sock->id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
    count_socket(sock, 1);
    poll_head_init(&sock->poll);
    wait_queue_init(&sock->readers);
    wait_queue_init(&sock->writers);
    mutex_init(&sock->read_lock, RANK_SOCKET);
    mutex_init(&sock->write_lock, RANK_SOCKET);
    list_init(&sock->wake_node);
    sock->receive_timeout = DEADLINE_NONE;
    sock->send_timeout = DEADLINE_NONE;
    sock->receive_buffer = RECEIVE_BUFFER_DEFAULT;
    sock->send_buffer = SEND_BUFFER_DEFAULT;
    sock->receive_low = 1;
    sock->owner = message_own_credentials();
    sock->peer = (struct abi_ucred){ 0, UINT32_MAX, UINT32_MAX };
}

struct socket *socket_get(struct socket *sock)
{
    __atomic_fetch_add(&sock->refcount, 1, __ATOMIC_RELAXED);
    return sock;
}

void socket_put(struct socket *sock)
{
    if (__atomic_sub_fetch(&sock->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        sock->ops->destroy(sock);
}

void socket_teardown(struct socket *sock)
{
    poll_head_fini(&sock->poll);
    socket_filter_free(sock);
    count_socket(sock, -1U);
}

/* ---- Wake-ups --------------------------------------------------------------------- */

#define READ_EVENTS                                                                                \
    (ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP | ABI_POLLHUP | ABI_POLLERR | ABI_POLLPRI)
#define WRITE_EVENTS (ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLHUP | ABI_POLLERR)

void socket_wake(struct socket *sock, unsigned events)
{
    poll_wake(&sock->poll, events);
    if (events & READ_EVENTS)
        wake_all(&sock->readers);
    if (events & WRITE_EVENTS)
        wake_all(&sock->writers);
}

void socket_wake_later(struct socket *sock, unsigned events)
{
    assert_held(&net_lock);
    if (sock->wake_events == 0)
        list_push_back(&wakes, &sock->wake_node);
    sock->wake_events |= events;
}

void socket_flush_wakes(void)
{
    assert_held(&net_lock);
    while (!list_is_empty(&wakes)) {
        struct socket *sock = list_first(&wakes, struct socket, wake_node);
        unsigned events = sock->wake_events;
        list_remove(&sock->wake_node);
        sock->wake_events = 0;
        socket_wake(sock, events);
    }
}

void socket_set_error(struct socket *sock, int error)
{
    __atomic_store_n(&sock->error, error, __ATOMIC_RELEASE);
    socket_wake(sock, ABI_POLLERR | ABI_POLLIN | ABI_POLLOUT);
}

int socket_take_error(struct socket *sock)
{
    if (!__atomic_load_n(&sock->error, __ATOMIC_ACQUIRE))
        return 0;
    return -__atomic_exchange_n(&sock->error, 0, __ATOMIC_ACQ_REL);
}

nsec_t socket_deadline(nsec_t timeout)
{
    return timeout == DEADLINE_NONE ? DEADLINE_NONE : deadline_after(timeout);
}

int socket_wait_error(int err, nsec_t timeout)
{
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    if (err == -EINTR)
        return timeout == DEADLINE_NONE ? -ERESTARTSYS : -EINTR;
    return err;
}

/* ---- The file ------------------------------------------------------------------------ */

static const struct file_ops socket_file_ops;

struct socket *socket_of(const struct file *file)
{
    return file->ops == &socket_file_ops ? file->private : NULL;
}

static long socket_file_read(struct file *file, struct io *io, int64_t *pos)
{
    struct socket *sock = file->private;
    struct message message = { .io = io, .nonblock = io->nonblock };

    if (io->remaining == 0)
        return 0;
    return sock->ops->receive(sock, &message);
}

static long socket_file_write(struct file *file, struct io *io, int64_t *pos)
{
    struct socket *sock = file->private;
    struct message message = { .io = io, .nonblock = io->nonblock };

    if (sock->type == ABI_SOCK_SEQPACKET)
        message.flags = ABI_MSG_EOR;
    if (io->has_more)
        message.flags |= ABI_MSG_MORE;
    long n = sock->ops->send(sock, &message);
    if (n == -EPIPE && sock->type == ABI_SOCK_STREAM)
        (void)signal_send_thread(thread_current(), ABI_SIGPIPE, NULL);
    return n;
}

static unsigned socket_file_poll(struct file *file)
{
    struct socket *sock = file->private;
    return sock->ops->poll(sock);
}

static long socket_file_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct socket *sock = file->private;
    long result = sock->ops->ioctl ? sock->ops->ioctl(sock, command, arg) : -ENOTTY;

    if (result != -ENOTTY)
        return result;
    return net_ioctl(file, command, arg);
}

static void socket_file_release(struct file *file)
{
    struct socket *sock = file->private;

    sock->ops->close(sock);
    socket_put(sock);
}

static int socket_file_link_text(struct file *file, char *buf, size_t size)
{
    const struct socket *sock = file->private;
    return format_string(buf, size, "socket:[%llu]", (unsigned long long)sock->id);
}

static int socket_file_deliver(struct file *file, const void *data, size_t size)
{
    struct socket *sock = file->private;

    return sock->ops->deliver ? sock->ops->deliver(sock, data, size) : -EINVAL;
}

static const struct file_ops socket_file_ops = {
    .deliver = socket_file_deliver,
    .read = socket_file_read,
    .write = socket_file_write,
    .poll = socket_file_poll,
    .ioctl = socket_file_ioctl,
    .release = socket_file_release,
    .link_text = socket_file_link_text,
    .kind = "socket",
    .is_async = true,
};

int socket_file(struct socket *sock, unsigned flags, struct file **out)
{
    int err = file_create_with_inode(&socket_file_ops, sock, ABI_O_RDWR | (flags & ABI_O_NONBLOCK),
                                     ABI_S_IFSOCK | 0777, out);
    if (err) {
        sock->ops->close(sock);
        socket_put(sock);
        return err;
    }
    (*out)->poll_head = &sock->poll;
    __atomic_store_n(&sock->file, *out, __ATOMIC_RELEASE);
    (*out)->inode->ino = sock->id; /* as in "socket:[7]" and /proc/net */
    return 0;
}

/* ---- socket(2) --------------------------------------------------------------------------- */

static int inet_create(int family, int type, int protocol, struct socket **out)
{
    switch (type) {
    case ABI_SOCK_STREAM:
        if (protocol == ABI_IPPROTO_MPTCP)
            return -EPROTONOSUPPORT;
        return tcp_socket_create(family, type, protocol, out);
    case ABI_SOCK_DGRAM:
        if (protocol == (family == ABI_AF_INET ? ABI_IPPROTO_ICMP : ABI_IPPROTO_ICMPV6))
            return raw_socket_create(family, type, protocol, out);
        return udp_socket_create(family, type, protocol, out);
    case ABI_SOCK_RAW:
        return raw_socket_create(family, type, protocol, out);
    default:
        return -ESOCKTNOSUPPORT;
    }
}

int socket_create(int family, int type, int protocol, struct socket **out)
{
    if (family < 0 || family >= ABI_AF_MAX)
        return -EAFNOSUPPORT;
    if (type < 0 || type > 10)
        return -EINVAL;
    switch (family) {
    case ABI_AF_INET:
    case ABI_AF_INET6:
        return inet_create(family, type, protocol, out);
    case ABI_AF_UNIX:
        return unix_socket_create(family, type, protocol, out);
    case ABI_AF_NETLINK:
        return netlink_create(family, type, protocol, out);
    case ABI_AF_PACKET:
        return packet_socket_create(type, protocol, out);
    default:
        log_warning_once("socket: address family %d is not supported", family);
        return -EAFNOSUPPORT;
    }
}
