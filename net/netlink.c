// SPDX-License-Identifier: MIT
/*
 * Netlink sockets (netlink(7)), for the families NETLINK_ROUTE and NETLINK_SOCK_DIAG.
 *
 * send() works the requests off and puts the answers into the queue of the same socket; recv()
 * takes them from there, one datagram a call.  Groups may be joined; nothing is announced to them.
 */
#include "net/netlink.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/netdevice.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/spinlock.h"
#include "kernel/usercopy.h"
#include "net/message.h"
#include "net/socket_list.h"

#define REQUEST_MAX  65536u
#define MESSAGE_ROOM 1024 /* what netlink_begin() promises */

struct netlink_datagram {
    struct list node;
    size_t len;
    uint8_t data[];
};

struct netlink_socket {
    struct socket base;
    struct list node;  /* [l] all netlink sockets */
    struct list queue; /* [l] appended to; taken from with base.read_lock as well */
    unsigned count;    /* [a] */
    size_t queued;     /* [l] bytes */
    uint32_t port;     /* [l] 0: not bound */
    uint32_t groups;   /* [l] */
};

static struct spinlock netlink_lock = SPINLOCK_INIT(RANK_NETLINK); /* [l] */
static struct list sockets = LIST_INIT(sockets);                   /* [l] */

static struct netlink_socket *netlink_of(struct socket *sock)
{
    return container_of(sock, struct netlink_socket, base);
}

/* ---- Ports ---------------------------------------------------------------------------- */

static bool is_port_taken(const struct netlink_socket *netlink, uint32_t port)
{
    struct netlink_socket *other;

    assert_held(&netlink_lock);
    list_for_each (other, &sockets, node) {
        if (other->port == port && other->base.protocol == netlink->base.protocol)
            return true;
    }
    return false;
}

static int take_port(struct netlink_socket *netlink, uint32_t wanted)
{
    const struct process *process = process_current();
    uint32_t port = wanted ? wanted : process ? (uint32_t)process->pid : 1;
    int err = 0;

    spin_lock(&netlink_lock);
    if (netlink->port) {
        err = wanted && wanted != netlink->port ? -EINVAL : 0;
    } else if (wanted && is_port_taken(netlink, wanted)) {
        err = -EADDRINUSE;
    } else {
        for (uint32_t next = (uint32_t)-4097; is_port_taken(netlink, port); next--)
            port = next; /* as Linux: "negative" numbers, which no process has */
        netlink->port = port;
    }
    spin_unlock(&netlink_lock);
    return err;
}

static int read_address(const struct socket_address *address, struct abi_sockaddr_nl *nl)
{
    if (address->len < sizeof(*nl))
        return -EINVAL;
    memcpy(nl, address->bytes, sizeof(*nl));
    return nl->nl_family == ABI_AF_NETLINK ? 0 : -EINVAL;
}

static int netlink_bind(struct socket *sock, const struct socket_address *address)
{
    struct netlink_socket *netlink = netlink_of(sock);
    struct abi_sockaddr_nl nl;

    int err = read_address(address, &nl);
    if (!err)
        err = take_port(netlink, nl.nl_pid);
    if (!err)
        netlink->groups = nl.nl_groups;
    return err;
}

static int netlink_connect(struct socket *sock, const struct socket_address *address, bool nonblock)
{
    struct abi_sockaddr_nl nl;

    if (address->len >= sizeof(address->family) && address->family == ABI_AF_UNSPEC)
        return 0;
    int err = read_address(address, &nl);
    if (err)
        return err;
    if (nl.nl_pid)
        return -ECONNREFUSED; /* other processes do not listen */
    return take_port(netlink_of(sock), 0);
}

static int netlink_name(struct socket *sock, bool is_peer, struct socket_address *address)
{
    const struct netlink_socket *netlink = netlink_of(sock);
    struct abi_sockaddr_nl nl = { .nl_family = ABI_AF_NETLINK };

    if (!is_peer) {
        nl.nl_pid = netlink->port;
        nl.nl_groups = netlink->groups;
    }
    memcpy(address->bytes, &nl, sizeof(nl));
    address->len = sizeof(nl);
    return 0;
}

/* ---- Writing answers --------------------------------------------------------------------- */

static int queue_datagram(struct netlink_socket *netlink, const void *data, size_t len)
{
    struct netlink_datagram *datagram = kmalloc(sizeof(*datagram) + len, ALLOC_ATOMIC);

    if (!datagram)
        return -ENOBUFS;
    datagram->len = len;
    memcpy(datagram->data, data, len);
    spin_lock(&netlink_lock);
    bool fits = netlink->queued == 0 || netlink->queued + len <= netlink->base.receive_buffer;
    if (fits) {
        netlink->queued += len;
        list_push_back(&netlink->queue, &datagram->node);
        __atomic_fetch_add(&netlink->count, 1, __ATOMIC_RELEASE);
    }
    spin_unlock(&netlink_lock);
    if (!fits) {
        kfree(datagram);
        return -ENOBUFS;
    }
    socket_wake(&netlink->base, ABI_POLLIN | ABI_POLLRDNORM);
    return 0;
}

static int netlink_deliver(struct socket *sock, const void *data, size_t size)
{
    return size ? queue_datagram(netlink_of(sock), data, size) : 0;
}

static void flush(struct netlink_writer *writer)
{
    if (writer->len && queue_datagram(writer->sock, writer->buf, writer->len))
        writer->failed = true;
    writer->len = 0;
}

void *netlink_begin(struct netlink_writer *writer, uint16_t type, size_t size)
{
    if (writer->len + MESSAGE_ROOM > sizeof(writer->buf))
        flush(writer);
    writer->begin = writer->len;
    struct abi_nlmsghdr *header = (void *)(writer->buf + writer->begin);
    memset(header, 0, sizeof(*header) + ABI_NLMSG_ALIGN(size));
    header->nlmsg_type = type;
    header->nlmsg_flags = writer->is_multi ? ABI_NLM_F_MULTI : 0;
    header->nlmsg_seq = writer->seq;
    header->nlmsg_pid = writer->sock->port;
    writer->len += sizeof(*header) + ABI_NLMSG_ALIGN(size);
    return header + 1;
}

void netlink_attribute(struct netlink_writer *writer, uint16_t type, const void *data, size_t len)
{
    struct abi_rtattr attribute = { .rta_len = (uint16_t)(sizeof(attribute) + len),
                                    .rta_type = type };
    size_t size = ABI_NLMSG_ALIGN(attribute.rta_len);

    if (writer->len + size > sizeof(writer->buf)) {
        writer->failed = true;
        return;
    }
    memset(writer->buf + writer->len, 0, size);
    memcpy(writer->buf + writer->len, &attribute, sizeof(attribute));
    memcpy(writer->buf + writer->len + sizeof(attribute), data, len);
    writer->len += size;
}

void netlink_attribute32(struct netlink_writer *writer, uint16_t type, uint32_t value)
{
    netlink_attribute(writer, type, &value, sizeof(value));
}

void netlink_end(struct netlink_writer *writer)
{
    struct abi_nlmsghdr *header = (void *)(writer->buf + writer->begin);
    header->nlmsg_len = (uint32_t)(writer->len - writer->begin);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void write_done(struct netlink_writer *writer)
{
    int32_t *result = netlink_begin(writer, ABI_NLMSG_DONE, sizeof(*result));
    *result = 0;
    netlink_end(writer);
}

static void write_error(struct netlink_writer *writer, const struct abi_nlmsghdr *request, int err)
{
    writer->is_multi = false;
    struct abi_nlmsgerr *error = netlink_begin(writer, ABI_NLMSG_ERROR, sizeof(*error));
    error->error = err;
    error->msg = *request;
    netlink_end(writer);
}

static void answer(struct netlink_writer *writer, const struct abi_nlmsghdr *request)
{
    bool is_dump = (request->nlmsg_flags & ABI_NLM_F_DUMP) == ABI_NLM_F_DUMP;
    int err = -EOPNOTSUPP;

    writer->len = 0;
    writer->seq = request->nlmsg_seq;
    writer->is_multi = is_dump;
    if (writer->sock->base.protocol == ABI_NETLINK_SOCK_DIAG)
        err = sock_diag_answer(writer, request);
    else if (request->nlmsg_type >= ABI_RTM_NEWLINK && request->nlmsg_type <= ABI_RTM_MAX)
        err = rtnetlink_answer(writer, request);
    if (!err && is_dump)
        write_done(writer);
    else if (err || (request->nlmsg_flags & ABI_NLM_F_ACK))
        write_error(writer, request, err);
    flush(writer);
}

static void answer_all(struct netlink_writer *writer, const uint8_t *data, size_t len)
{
    while (len >= sizeof(struct abi_nlmsghdr)) {
        const struct abi_nlmsghdr *request = (const void *)data;
        if (request->nlmsg_len < sizeof(*request) || request->nlmsg_len > len)
            return;
        /* Types below are control messages, which ask for nothing. */
        if ((request->nlmsg_flags & ABI_NLM_F_REQUEST) && request->nlmsg_type >= ABI_RTM_NEWLINK)
            answer(writer, request);
        size_t step = MIN(ABI_NLMSG_ALIGN(request->nlmsg_len), len);
        data += step;
        len -= step;
    }
}

static long netlink_send(struct socket *sock, struct message *message)
{
    struct netlink_socket *netlink = netlink_of(sock);
    size_t len = message->io->remaining;

    if (message->flags & ABI_MSG_OOB)
        return -EOPNOTSUPP;
    if (len > REQUEST_MAX)
        return -EMSGSIZE;
    int err = take_port(netlink, 0);
    if (err)
        return err;
    struct netlink_writer *writer = kzalloc(sizeof(*writer), ALLOC_WAIT);
    uint8_t *data = kmalloc(MAX(len, 1U), ALLOC_WAIT);
    if (!writer || !data) {
        err = -ENOBUFS;
    } else if (len && io_read_from(message->io, data, len) != (long)len) {
        err = -EFAULT;
    } else {
        writer->sock = netlink;
        answer_all(writer, data, len);
        if (writer->failed)
            socket_set_error(sock, ENOBUFS); /* answers were lost */
    }
    kfree(data);
    kfree(writer);
    return err ? err : (long)len;
}

/* ---- recv ---------------------------------------------------------------------------------------- */

static void remove_first(struct netlink_socket *netlink)
{
    spin_lock(&netlink_lock);
    struct netlink_datagram *datagram = list_first(&netlink->queue, struct netlink_datagram, node);
    list_remove(&datagram->node);
    netlink->queued -= datagram->len;
    __atomic_fetch_sub(&netlink->count, 1, __ATOMIC_RELEASE);
    spin_unlock(&netlink_lock);
    kfree(datagram);
}

static long take(struct netlink_socket *netlink, struct message *message)
{
    struct abi_sockaddr_nl kernel = { .nl_family = ABI_AF_NETLINK };
    long result = -EAGAIN;

    mutex_lock(&netlink->base.read_lock);
    if (__atomic_load_n(&netlink->count, __ATOMIC_ACQUIRE)) {
        struct netlink_datagram *datagram =
            list_first(&netlink->queue, struct netlink_datagram, node);
        size_t part = MIN(datagram->len, message->io->remaining);
        result = part ? io_write_to(message->io, datagram->data, part) : 0;
        if (result >= 0 && part < datagram->len)
            message->out_flags |= ABI_MSG_TRUNC;
        if (result >= 0 && (message->flags & ABI_MSG_TRUNC))
            result = (long)datagram->len;
        if (message->address) {
            memcpy(message->address->bytes, &kernel, sizeof(kernel));
            message->address->len = sizeof(kernel);
        }
        if (!(message->flags & ABI_MSG_PEEK))
            remove_first(netlink);
    }
    mutex_unlock(&netlink->base.read_lock);
    return result;
}

static long netlink_receive(struct socket *sock, struct message *message)
{
    struct netlink_socket *netlink = netlink_of(sock);
    nsec_t deadline = socket_deadline(sock->receive_timeout);

    if (message->flags & ABI_MSG_OOB)
        return -EOPNOTSUPP;
    for (;;) {
        int err = socket_take_error(sock);
        if (err)
            return err;
        long n = take(netlink, message);
        if (n != -EAGAIN)
            return n;
        if (message->nonblock)
            return -EAGAIN;
        err = wait_on(&sock->readers,
                      __atomic_load_n(&netlink->count, __ATOMIC_ACQUIRE) ||
                          __atomic_load_n(&sock->error, __ATOMIC_ACQUIRE),
                      deadline);
        if (err)
            return socket_wait_error(err, sock->receive_timeout);
    }
}

/* ---- The rest ---------------------------------------------------------------------------------------- */

static unsigned netlink_poll(struct socket *sock)
{
    const struct netlink_socket *netlink = netlink_of(sock);
    unsigned events = ABI_POLLOUT | ABI_POLLWRNORM;

    if (__atomic_load_n(&netlink->count, __ATOMIC_ACQUIRE))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (__atomic_load_n(&sock->error, __ATOMIC_ACQUIRE))
        events |= ABI_POLLERR;
    return events;
}

static int netlink_set_option(struct socket *sock, int level, int name, const void *value,
                              unsigned len)
{
    int number;

    if (level != ABI_SOL_NETLINK)
        return -ENOPROTOOPT;
    int err = option_int(value, len, &number);
    if (err)
        return err;
    switch (name) {
    case ABI_NETLINK_ADD_MEMBERSHIP:
    case ABI_NETLINK_DROP_MEMBERSHIP:
    case ABI_NETLINK_PKTINFO:
    case ABI_NETLINK_BROADCAST_ERROR:
    case ABI_NETLINK_NO_ENOBUFS:
    case ABI_NETLINK_EXT_ACK:
    case ABI_NETLINK_GET_STRICT_CHK:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static long netlink_ioctl(struct socket *sock, unsigned command, unsigned long arg)
{
    struct netlink_socket *netlink = netlink_of(sock);
    int value = 0;

    if (command != ABI_FIONREAD)
        return -ENOTTY;
    spin_lock(&netlink_lock);
    if (!list_is_empty(&netlink->queue))
        value = (int)list_first(&netlink->queue, struct netlink_datagram, node)->len;
    spin_unlock(&netlink_lock);
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

static void netlink_close(struct socket *sock)
{
    struct netlink_socket *netlink = netlink_of(sock);

    spin_lock(&netlink_lock);
    list_remove(&netlink->node);
    spin_unlock(&netlink_lock);
    while (!list_is_empty(&netlink->queue))
        remove_first(netlink);
}

static void netlink_destroy(struct socket *sock)
{
    socket_teardown(sock);
    kfree(netlink_of(sock));
}

void socket_list_netlink(struct socket_list *list)
{
    struct netlink_socket *netlink;

    spin_lock(&netlink_lock);
    list_for_each (netlink, &sockets, node) {
        if (!netlink->port)
            continue;
        struct socket_row *row = socket_list_next(list, IP4_ADDR_ANY, &netlink->base);
        row->type = (unsigned)netlink->base.protocol;
        row->refs = READ_ONCE(netlink->base.refcount);
        row->netlink_port = netlink->port;
        row->groups = netlink->groups;
        row->unread = netlink->queued;
    }
    spin_unlock(&netlink_lock);
}

static const struct socket_ops netlink_ops = {
    .bind = netlink_bind,
    .connect = netlink_connect,
    .name = netlink_name,
    .send = netlink_send,
    .receive = netlink_receive,
    .poll = netlink_poll,
    .set_option = netlink_set_option,
    .ioctl = netlink_ioctl,
    .close = netlink_close,
    .deliver = netlink_deliver,
    .destroy = netlink_destroy,
};

int netlink_create(int family, int type, int protocol, struct socket **out)
{
    if (type != ABI_SOCK_RAW && type != ABI_SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != ABI_NETLINK_ROUTE && protocol != ABI_NETLINK_SOCK_DIAG)
        return -EPROTONOSUPPORT;
    struct netlink_socket *netlink = kzalloc(sizeof(*netlink), ALLOC_WAIT);
    if (!netlink)
        return -ENOMEM;
    socket_setup(&netlink->base, &netlink_ops, family, type, protocol);
    list_init(&netlink->queue);
    spin_lock(&netlink_lock);
    list_push_back(&sockets, &netlink->node);
    spin_unlock(&netlink_lock);
    *out = &netlink->base;
    return 0;
}
