// SPDX-License-Identifier: MIT
/*
 * Queues of datagrams.
 *
 * As with TCP, the first datagram is copied out under read_lock only: arrivals go to the other end,
 * and only readers take datagrams off.
 */
#include "net/datagram.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/time.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "lwip/ip.h"
#include "lwip/pbuf.h"
#include "net/address.h"
#include "net/counts.h"
#include "net/message.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/socket_filter.h"

void datagram_queue_init(struct datagram_queue *queue)
{
    list_init(&queue->list);
}

/* ---- Arrivals ---------------------------------------------------------------------- */

static size_t chain_size(const struct pbuf *p)
{
    size_t size = sizeof(struct datagram);

    for (; p; p = p->next)
        size += netdev_true_size(p);
    return size;
}

static void read_header(struct datagram *datagram)
{
    if (ip_current_is_v6()) {
        datagram->ttl = IP6H_HOPLIM(ip6_current_header());
        datagram->tos = (uint8_t)IP6H_TC(ip6_current_header());
    } else {
        datagram->ttl = IPH_TTL(ip4_current_header());
        datagram->tos = IPH_TOS(ip4_current_header());
    }
    datagram->destination = *ip_current_dest_addr();
    datagram->netif_index = netif_get_index(ip_current_input_netif());
}

static bool is_udp(const struct inet_socket *inet)
{
    return inet->base.protocol == ABI_IPPROTO_UDP || inet->base.protocol == ABI_IPPROTO_UDPLITE;
}

void datagram_queue_push(struct inet_socket *inet, struct datagram_queue *queue, struct pbuf *p,
                         size_t header, const ip_addr_t *source, uint16_t port)
{
    size_t charge = chain_size(p);
    struct datagram *datagram = NULL;

    assert_held(&net_lock);
    bool is_filtered = !socket_filter_cut(&inet->base, p, header);
    if (!is_filtered && (queue->charge == 0 || queue->charge + charge <= inet->base.receive_buffer))
        datagram = kmalloc(sizeof(*datagram), ALLOC_ATOMIC);
    if (!datagram) {
        net_counts.udp_no_room += !is_filtered && is_udp(inet);
        pbuf_free(p);
        return;
    }
    datagram->p = p;
    datagram->source = *source;
    datagram->port = port;
    datagram->charge = charge;
    datagram->time = clock_realtime();
    read_header(datagram);
    queue->charge += charge;
    list_push_back(&queue->list, &datagram->node);
    __atomic_fetch_add(&queue->count, 1, __ATOMIC_RELEASE);
    socket_wake_later(&inet->base, ABI_POLLIN | ABI_POLLRDNORM);
}

/* ---- Control messages to the application ----------------------------------------------- */

static void put_pktinfo(const struct inet_socket *inet, const struct datagram *datagram,
                        struct message *message)
{
    if (inet->base.family == ABI_AF_INET6 && IP_IS_V6_VAL(datagram->destination)) {
        struct abi_in6_pktinfo info = { .ipi6_ifindex = datagram->netif_index };
        address_get_ip6(&datagram->destination, info.ipi6_addr);
        message_put_control(message, ABI_SOL_IPV6, ABI_IPV6_PKTINFO, &info, sizeof(info));
    } else if (inet->base.family == ABI_AF_INET6) {
        struct abi_in6_pktinfo info = { .ipi6_ifindex = datagram->netif_index };
        address_get_ip6(&datagram->destination, info.ipi6_addr);
        message_put_control(message, ABI_SOL_IPV6, ABI_IPV6_PKTINFO, &info, sizeof(info));
    } else {
        struct abi_in_pktinfo info = { .ipi_ifindex = datagram->netif_index };
        info.ipi_addr = address_get_ip4(&datagram->destination);
        info.ipi_spec_dst = info.ipi_addr;
        message_put_control(message, ABI_SOL_IP, ABI_IP_PKTINFO, &info, sizeof(info));
    }
}

void datagram_put_time(const struct socket *sock, nsec_t time, struct message *message)
{
    if (sock->timestamp_ns) {
        struct abi_timespec ts = timespec_from_nsec(time);
        message_put_control(message, ABI_SOL_SOCKET, ABI_SO_TIMESTAMPNS, &ts, sizeof(ts));
    } else if (sock->timestamp) {
        struct abi_timeval tv = { time / NSEC_PER_SEC, time % NSEC_PER_SEC / NSEC_PER_USEC };
        message_put_control(message, ABI_SOL_SOCKET, ABI_SO_TIMESTAMP, &tv, sizeof(tv));
    }
}

static void put_control(const struct inet_socket *inet, const struct datagram *datagram,
                        struct message *message)
{
    bool is_v6 = inet->base.family == ABI_AF_INET6;
    int ttl = datagram->ttl;
    int tos = datagram->tos;

    datagram_put_time(&inet->base, datagram->time, message);
    if (inet->want_pktinfo)
        put_pktinfo(inet, datagram, message);
    if (inet->want_ttl)
        message_put_control(message, is_v6 ? ABI_SOL_IPV6 : ABI_SOL_IP,
                            is_v6 ? ABI_IPV6_HOPLIMIT : ABI_IP_TTL, &ttl, sizeof(ttl));
    if (inet->want_tos && is_v6)
        message_put_control(message, ABI_SOL_IPV6, ABI_IPV6_TCLASS, &tos, sizeof(tos));
    else if (inet->want_tos)
        message_put_control(message, ABI_SOL_IP, ABI_IP_TOS, &datagram->tos, 1);
}

/* ---- recvmsg(2) -------------------------------------------------------------------------- */

static void remove_first(struct datagram_queue *queue)
{
    net_begin();
    struct datagram *datagram = list_first(&queue->list, struct datagram, node);
    list_remove(&datagram->node);
    queue->charge -= datagram->charge;
    __atomic_fetch_sub(&queue->count, 1, __ATOMIC_RELEASE);
    pbuf_free(datagram->p);
    net_end();
    kfree(datagram);
}

static long copy_out(const struct pbuf *p, struct io *io)
{
    size_t copied = 0;

    for (; p && io->remaining; p = p->next) {
        size_t part = MIN(p->len, io->remaining);
        long n = part ? io_write_to(io, p->payload, part) : 0;
        if (n < 0 || (size_t)n < part)
            return -EFAULT;
        copied += part;
    }
    return (long)copied;
}

static long take(struct inet_socket *inet, struct datagram_queue *queue, struct message *message)
{
    long result = -EAGAIN;

    mutex_lock(&inet->base.read_lock);
    if (!datagram_queue_is_empty(queue)) {
        struct datagram *datagram = list_first(&queue->list, struct datagram, node);
        size_t len = datagram->p->tot_len;
        result = copy_out(datagram->p, message->io);
        if (result >= 0) {
            if ((size_t)result < len)
                message->out_flags |= ABI_MSG_TRUNC;
            if (message->flags & ABI_MSG_TRUNC)
                result = (long)len;
            if (message->address)
                address_from_ip(inet->base.family, &datagram->source, datagram->port,
                                message->address);
            put_control(inet, datagram, message);
        }
        if (!(message->flags & ABI_MSG_PEEK))
            remove_first(queue);
    }
    mutex_unlock(&inet->base.read_lock);
    return result;
}

static bool may_return(const struct inet_socket *inet, const struct datagram_queue *queue)
{
    return !datagram_queue_is_empty(queue) ||
           __atomic_load_n(&inet->base.error, __ATOMIC_ACQUIRE) ||
           socket_is_shut(&inet->base, SHUTDOWN_READ);
}

long datagram_queue_receive(struct inet_socket *inet, struct datagram_queue *queue,
                            struct message *message)
{
    struct socket *sock = &inet->base;
    nsec_t deadline = socket_deadline(sock->receive_timeout);

    if (message->flags & ABI_MSG_ERRQUEUE)
        return -EAGAIN;
    for (;;) {
        int err = socket_take_error(sock);
        if (err)
            return err;
        long n = take(inet, queue, message);
        if (n != -EAGAIN)
            return n;
        if (message->nonblock)
            return -EAGAIN; /* shut or not: only who would wait is told of the end, as on Linux */
        if (socket_is_shut(sock, SHUTDOWN_READ))
            return 0;
        err = wait_on(&sock->readers, may_return(inet, queue), deadline);
        if (err)
            return socket_wait_error(err, sock->receive_timeout);
    }
}

size_t datagram_queue_next_len(struct inet_socket *inet, struct datagram_queue *queue)
{
    size_t len = 0;

    mutex_lock(&inet->base.read_lock);
    if (!datagram_queue_is_empty(queue))
        len = list_first(&queue->list, struct datagram, node)->p->tot_len;
    mutex_unlock(&inet->base.read_lock);
    return len;
}

void datagram_queue_clear(struct datagram_queue *queue)
{
    assert_held(&net_lock);
    while (!list_is_empty(&queue->list)) {
        struct datagram *datagram = list_first(&queue->list, struct datagram, node);
        list_remove(&datagram->node);
        pbuf_free(datagram->p);
        kfree(datagram);
    }
    queue->charge = 0;
    __atomic_store_n(&queue->count, 0, __ATOMIC_RELEASE);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static int parse_one(const struct abi_cmsghdr *header, struct datagram_route *route)
{
    const void *data = message_control_data(header);
    size_t len = header->cmsg_len - sizeof(*header);
    struct abi_in_pktinfo info;
    struct abi_in6_pktinfo info6;
    int number = 0;

    memcpy(&number, data, MIN(len, sizeof(number)));
    if (header->cmsg_level == ABI_SOL_IP && header->cmsg_type == ABI_IP_PKTINFO) {
        if (len != sizeof(info))
            return -EINVAL;
        memcpy(&info, data, sizeof(info));
        if (info.ipi_spec_dst)
            address_ip4(&route->source, info.ipi_spec_dst);
        route->netif_index = info.ipi_ifindex ? info.ipi_ifindex : route->netif_index;
    } else if (header->cmsg_level == ABI_SOL_IPV6 && header->cmsg_type == ABI_IPV6_PKTINFO) {
        if (len < sizeof(info6))
            return -EINVAL;
        memcpy(&info6, data, sizeof(info6));
        const uint32_t *word = info6.ipi6_addr;
        if (word[0] == 0 && word[1] == 0 && word[2] == PP_HTONL(0xffff))
            address_ip4(&route->source, word[3]);
        else if (word[0] | word[1] | word[2] | word[3])
            address_ip6(&route->source, word, (unsigned)info6.ipi6_ifindex);
        route->netif_index = info6.ipi6_ifindex ? info6.ipi6_ifindex : route->netif_index;
    } else if (header->cmsg_type ==
               (header->cmsg_level == ABI_SOL_IP ? ABI_IP_TTL : ABI_IPV6_HOPLIMIT)) {
        route->ttl = number;
    } else if (header->cmsg_type ==
               (header->cmsg_level == ABI_SOL_IP ? ABI_IP_TOS : ABI_IPV6_TCLASS)) {
        route->tos = number;
    }
    return 0;
}

int datagram_parse_control(const struct message *message, struct datagram_route *route)
{
    const struct abi_cmsghdr *header;
    size_t position = 0;

    while ((header = message_next_control(message, &position)) != NULL) {
        if (header->cmsg_level != ABI_SOL_IP && header->cmsg_level != ABI_SOL_IPV6)
            continue;
        int err = parse_one(header, route);
        if (err)
            return err;
    }
    if (route->ttl != -1 && (route->ttl < 0 || route->ttl > 255))
        return -EINVAL;
    return 0;
}

int datagram_copy_in(struct message *message, size_t max, struct pbuf **out)
{
    size_t len = message->io->remaining;

    if (len > max)
        return -EMSGSIZE;
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    if (len && io_read_from(message->io, p->payload, len) != (long)len) {
        pbuf_free(p);
        return -EFAULT;
    }
    *out = p;
    return 0;
}
