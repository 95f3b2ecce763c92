// SPDX-License-Identifier: MIT
/*
 * Packet sockets (packet(7)): whole frames of an interface, or of all.
 *
 * Each socket has its own copy of a frame, made when it passes (packet_tap(), called by net/netdev.c on both ways).
 * Loopback carries no Ethernet header; one of zeros stands in front of its packets here.  As with
 * datagrams, the first of the queue is copied out under read_lock only: arrivals go to the other end.
 *
 * Frames are not mapped (PACKET_RX_RING): libpcap does without.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/netdevice.h"
#include "abi/packet.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "net/datagram.h"
#include "net/interface.h"
#include "net/message.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/packet_tap.h"
#include "net/socket_filter.h"
#include "net/socket_list.h"

#define HEADER_LEN   14u /* Ethernet */
#define ETHERTYPE_AT 12u
#define RECEIVE_FLAGS                                                                              \
    (ABI_MSG_PEEK | ABI_MSG_DONTWAIT | ABI_MSG_TRUNC | ABI_MSG_CMSG_CLOEXEC | ABI_MSG_ERRQUEUE)

struct packet {
    struct list node;
    struct abi_sockaddr_ll source;
    nsec_t time;
    size_t len;     /* of data */
    uint8_t data[]; /* with the header */
};

struct packet_socket {
    struct socket base;
    struct list node;      /* [n] sockets */
    struct list queue;     /* appended to under [n]; taken from with base.read_lock and [n] */
    unsigned count;        /* [a] */
    size_t charge;         /* [n] against SO_RCVBUF */
    uint16_t protocol;     /* [n] network byte order; 0: nothing is received */
    int ifindex;           /* [n] 0: all */
    uint32_t nseen, ndrop; /* [n] since the last PACKET_STATISTICS */
};

unsigned packet_tap_users;
static struct list sockets = LIST_INIT(sockets); /* [n] */
static const struct packet_socket *sender;       /* [n] whose frame goes out: it does not see it */

static struct packet_socket *packet_of(struct socket *sock)
{
    return container_of(sock, struct packet_socket, base);
}

/* ---- Arrivals ---------------------------------------------------------------------- */

static uint16_t ethertype_of(const uint8_t *header)
{
    uint16_t type;

    memcpy(&type, header + ETHERTYPE_AT, sizeof(type));
    return type;
}

/* The Ethernet header of a frame; on loopback the one that stands for it. */
static void read_header(const struct netif *netif, const struct pbuf *p, uint8_t *header)
{
    if (netdev_of(netif)) {
        pbuf_copy_partial(p, header, HEADER_LEN, 0);
        return;
    }
    uint16_t type = pbuf_get_at(p, 0) >> 4 == 6 ? PP_HTONS(ETHTYPE_IPV6) : PP_HTONS(ETHTYPE_IP);
    memset(header, 0, HEADER_LEN);
    memcpy(header + ETHERTYPE_AT, &type, sizeof(type));
}

static uint8_t kind_of(const struct netif *netif, const uint8_t *header)
{
    static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };

    if (memcmp(header, everybody, 6) == 0)
        return ABI_PACKET_BROADCAST;
    if (header[0] & 1)
        return ABI_PACKET_MULTICAST;
    bool is_own = !netdev_of(netif) || memcmp(header, netif->hwaddr, 6) == 0;
    return is_own ? ABI_PACKET_HOST : ABI_PACKET_OTHERHOST;
}

static bool wants(const struct packet_socket *sock, const struct abi_sockaddr_ll *source)
{
    bool wants_all = sock->protocol == PP_HTONS(ABI_ETH_P_ALL);

    if (sock == sender && source->sll_pkttype == ABI_PACKET_OUTGOING)
        return false;
    if (sock->ifindex && sock->ifindex != source->sll_ifindex)
        return false;
    /* What leaves is seen only by those that see everything, as in Linux. */
    return wants_all ||
           (sock->protocol == source->sll_protocol && source->sll_pkttype != ABI_PACKET_OUTGOING);
}

static struct packet *packet_make(const uint8_t *header, const struct pbuf *p, size_t skip)
{
    size_t len = HEADER_LEN + p->tot_len - skip;
    struct packet *packet = kmalloc(sizeof(*packet) + len, ALLOC_ATOMIC);

    if (!packet)
        return NULL;
    packet->len = len;
    memcpy(packet->data, header, HEADER_LEN);
    pbuf_copy_partial(p, packet->data + HEADER_LEN, (u16_t)(len - HEADER_LEN), (u16_t)skip);
    return packet;
}

/* Cuts the packet to what the filter leaves of it; false: nothing.  It sees what the application would. */
static bool pass(const struct packet_socket *sock, struct packet *packet)
{
    size_t hidden = sock->base.type == ABI_SOCK_DGRAM ? HEADER_LEN : 0;
    size_t kept = socket_filter_run(&sock->base, packet->data + hidden, packet->len - hidden);

    packet->len = hidden + kept;
    return kept != 0 || !sock->base.filter;
}

static void push(struct packet_socket *sock, const struct abi_sockaddr_ll *source,
                 const uint8_t *header, const struct pbuf *p, size_t skip)
{
    struct packet *packet = packet_make(header, p, skip);

    if (packet && !pass(sock, packet)) {
        kfree(packet);
        return;
    }
    size_t charge = packet ? sizeof(*packet) + packet->len : 0;
    sock->nseen++;
    if (!packet || (sock->charge && sock->charge + charge > sock->base.receive_buffer)) {
        sock->ndrop++;
        kfree(packet);
        return;
    }
    packet->source = *source;
    packet->time = clock_realtime();
    sock->charge += charge;
    list_push_back(&sock->queue, &packet->node);
    __atomic_fetch_add(&sock->count, 1, __ATOMIC_RELEASE);
    socket_wake_later(&sock->base, ABI_POLLIN | ABI_POLLRDNORM);
}

static void fill_address(const struct netif *netif, struct abi_sockaddr_ll *address)
{
    address->sll_family = ABI_AF_PACKET;
    address->sll_ifindex = netif_get_index(netif);
    address->sll_hatype = interface_type(netif);
    address->sll_halen = 6;
}

/* A frame of which p is what stands behind skip bytes. */
static void tap(const struct netif *netif, const uint8_t *header, const struct pbuf *p, size_t skip,
                bool is_outgoing)
{
    struct packet_socket *sock;
    struct abi_sockaddr_ll source = { .sll_protocol = ethertype_of(header) };

    fill_address(netif, &source);
    source.sll_pkttype = is_outgoing ? ABI_PACKET_OUTGOING : kind_of(netif, header);
    memcpy(source.sll_addr, header + 6, 6);
    list_for_each (sock, &sockets, node) {
        if (wants(sock, &source))
            push(sock, &source, header, p, skip);
    }
}

void packet_tap_deliver(struct netif *netif, const struct pbuf *p, bool is_outgoing)
{
    uint8_t header[HEADER_LEN];
    size_t skip = netdev_of(netif) ? HEADER_LEN : 0;

    assert_held(&net_lock);
    if (p->tot_len < skip)
        return;
    read_header(netif, p, header);
    tap(netif, header, p, skip, is_outgoing);
}

/* ---- bind ------------------------------------------------------------------------------ */

static int read_address(const struct socket_address *address, struct abi_sockaddr_ll *ll)
{
    if (address->len < sizeof(*ll))
        return -EINVAL;
    memcpy(ll, address->bytes, sizeof(*ll));
    return 0;
}

static int packet_bind(struct socket *sock, const struct socket_address *address)
{
    struct packet_socket *packet = packet_of(sock);
    struct abi_sockaddr_ll ll;

    int err = read_address(address, &ll);
    if (err)
        return err;
    if (ll.sll_family != ABI_AF_PACKET)
        return -EINVAL;
    net_begin();
    if (ll.sll_ifindex && !interface_by_index(ll.sll_ifindex))
        err = -ENODEV;
    if (!err) {
        packet->ifindex = ll.sll_ifindex;
        if (ll.sll_protocol)
            packet->protocol = ll.sll_protocol;
    }
    net_end();
    return err;
}

static int packet_name(struct socket *sock, bool is_peer, struct socket_address *address)
{
    struct packet_socket *packet = packet_of(sock);
    struct abi_sockaddr_ll ll = { .sll_family = ABI_AF_PACKET };

    if (is_peer)
        return -EOPNOTSUPP;
    net_begin();
    const struct netif *netif = packet->ifindex ? interface_by_index(packet->ifindex) : NULL;
    ll.sll_protocol = packet->protocol;
    if (netif) {
        fill_address(netif, &ll);
        memcpy(ll.sll_addr, netif->hwaddr, MIN(netif->hwaddr_len, 6));
    }
    net_end();
    memcpy(address->bytes, &ll, sizeof(ll));
    address->len = (unsigned)offsetof(struct abi_sockaddr_ll, sll_addr) + ll.sll_halen;
    return 0;
}

/* ---- send --------------------------------------------------------------------------------- */

/* Those that look on see it, nobody else: to Linux a packet that comes in by loopback with an address of this
 * machine as its source is a martian, unless it was routed there. */
static void send_loopback(const struct netif *netif, struct pbuf *p, const uint8_t *header)
{
    pbuf_remove_header(p, HEADER_LEN);
    tap(netif, header, p, 0, true);
    tap(netif, header, p, 0, false);
}

static int send_locked(struct packet_socket *packet, struct pbuf *p,
                       const struct abi_sockaddr_ll *to)
{
    struct netif *netif = to->sll_ifindex ? interface_by_index(to->sll_ifindex) : NULL;

    if (!netif)
        return -ENXIO;
    if (!netif_is_up(netif))
        return -ENETDOWN;
    if (packet->base.type == ABI_SOCK_RAW && p->tot_len < HEADER_LEN)
        return -EINVAL;
    if (packet->base.type == ABI_SOCK_DGRAM) {
        uint8_t header[HEADER_LEN] = { 0 };
        memcpy(header, to->sll_addr, 6);
        memcpy(header + 6, netif->hwaddr, MIN(netif->hwaddr_len, 6));
        memcpy(header + ETHERTYPE_AT, &to->sll_protocol, 2);
        if (pbuf_add_header(p, HEADER_LEN))
            return -ENOBUFS;
        memcpy(p->payload, header, HEADER_LEN);
    }
    if (p->tot_len > interface_mtu(netif) + HEADER_LEN)
        return -EMSGSIZE;
    uint8_t header[HEADER_LEN];
    pbuf_copy_partial(p, header, HEADER_LEN, 0);
    sender = packet;
    int err = 0;
    if (!netdev_of(netif))
        send_loopback(netif, p, header);
    else if (netif->linkoutput(netif, p) != ERR_OK)
        err = -ENOBUFS;
    sender = NULL;
    return err;
}

static long packet_send(struct socket *sock, struct message *message)
{
    struct packet_socket *packet = packet_of(sock);
    struct abi_sockaddr_ll to = { .sll_ifindex = packet->ifindex,
                                  .sll_protocol = packet->protocol };
    size_t len = message->io->remaining;
    struct pbuf *p;

    int err = 0;
    if (message->address && message->address->len)
        err = read_address(message->address, &to);
    if (!err)
        err = datagram_copy_in(message, UINT16_MAX - HEADER_LEN, &p);
    if (err)
        return err;
    net_begin();
    err = send_locked(packet, p, &to);
    pbuf_free(p);
    net_end();
    return err ? err : (long)len;
}

/* ---- recv ---------------------------------------------------------------------------------- */

static void remove_first(struct packet_socket *sock)
{
    net_begin();
    struct packet *packet = list_first(&sock->queue, struct packet, node);
    list_remove(&packet->node);
    sock->charge -= sizeof(*packet) + packet->len;
    __atomic_fetch_sub(&sock->count, 1, __ATOMIC_RELEASE);
    net_end();
    kfree(packet);
}

static long take(struct packet_socket *sock, struct message *message)
{
    long result = -EAGAIN;

    mutex_lock(&sock->base.read_lock);
    if (__atomic_load_n(&sock->count, __ATOMIC_ACQUIRE)) {
        struct packet *packet = list_first(&sock->queue, struct packet, node);
        size_t skip = sock->base.type == ABI_SOCK_DGRAM ? HEADER_LEN : 0;
        size_t len = packet->len - skip, part = MIN(len, message->io->remaining);
        result = part ? io_write_to(message->io, packet->data + skip, part) : 0;
        if (result >= 0 && part < len)
            message->out_flags |= ABI_MSG_TRUNC;
        if (result >= 0 && (message->flags & ABI_MSG_TRUNC))
            result = (long)len;
        if (message->address) {
            memcpy(message->address->bytes, &packet->source, sizeof(packet->source));
            message->address->len = sizeof(packet->source);
        }
        datagram_put_time(&sock->base, packet->time, message);
        if (!(message->flags & ABI_MSG_PEEK))
            remove_first(sock);
    }
    mutex_unlock(&sock->base.read_lock);
    return result;
}

static long packet_receive(struct socket *sock, struct message *message)
{
    struct packet_socket *packet = packet_of(sock);
    nsec_t deadline = socket_deadline(sock->receive_timeout);

    if (message->flags & ~RECEIVE_FLAGS)
        return -EINVAL;
    for (;;) {
        long n = take(packet, message);
        if (n != -EAGAIN || message->nonblock)
            return n;
        int err =
            wait_on(&sock->readers, __atomic_load_n(&packet->count, __ATOMIC_ACQUIRE), deadline);
        if (err)
            return socket_wait_error(err, sock->receive_timeout);
    }
}

/* ---- Options ---------------------------------------------------------------------------------- */

/* Memberships ask the card for more than its own frames; what our devices pass on is not chosen. */
static int change_membership(const void *value, unsigned len)
{
    struct abi_packet_mreq request;

    if (len < sizeof(request))
        return -EINVAL;
    memcpy(&request, value, sizeof(request));
    net_begin();
    bool exists = interface_by_index(request.mr_ifindex);
    net_end();
    if (!exists)
        return -ENODEV;
    return request.mr_type <= ABI_PACKET_MR_UNICAST ? 0 : -EINVAL;
}

static int packet_set_option(struct socket *sock, int level, int name, const void *value,
                             unsigned len)
{
    if (level != ABI_SOL_PACKET)
        return -ENOPROTOOPT;
    if (name == ABI_PACKET_ADD_MEMBERSHIP || name == ABI_PACKET_DROP_MEMBERSHIP)
        return change_membership(value, len);
    return -ENOPROTOOPT;
}

static int packet_get_option(struct socket *sock, int level, int name, void *value, unsigned *len)
{
    struct packet_socket *packet = packet_of(sock);

    if (level != ABI_SOL_PACKET || name != ABI_PACKET_STATISTICS)
        return -ENOPROTOOPT;
    net_begin();
    struct abi_tpacket_stats stats = { packet->nseen, packet->ndrop };
    packet->nseen = packet->ndrop = 0;
    net_end();
    memcpy(value, &stats, MIN(*len, sizeof(stats)));
    *len = MIN(*len, sizeof(stats));
    return 0;
}

/* ---- The rest ---------------------------------------------------------------------------------- */

static unsigned packet_poll(struct socket *sock)
{
    unsigned events = ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLWRBAND;

    if (__atomic_load_n(&packet_of(sock)->count, __ATOMIC_ACQUIRE))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    return events;
}

static long packet_ioctl(struct socket *sock, unsigned command, unsigned long arg)
{
    struct packet_socket *packet = packet_of(sock);
    int value = 0;

    if (command == ABI_FIONREAD) {
        net_begin();
        if (!list_is_empty(&packet->queue))
            value = (int)list_first(&packet->queue, struct packet, node)->len;
        net_end();
    } else if (command != ABI_TIOCOUTQ) {
        return -ENOTTY;
    }
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

static void packet_close(struct socket *sock)
{
    struct packet_socket *packet = packet_of(sock);

    net_begin();
    list_remove(&packet->node);
    packet_tap_users--;
    net_end();
    while (!list_is_empty(&packet->queue))
        remove_first(packet);
}

static void packet_destroy(struct socket *sock)
{
    socket_teardown(sock);
    kfree(packet_of(sock));
}

void socket_list_packet(struct socket_list *list)
{
    struct packet_socket *packet;

    list_for_each (packet, &sockets, node) {
        struct socket_row *row = socket_list_next(list, IP4_ADDR_ANY, &packet->base);
        row->local_port = lwip_ntohs(packet->protocol);
        row->remote_port = (uint16_t)packet->ifindex;
        row->refs = READ_ONCE(packet->base.refcount);
        row->type = (unsigned)packet->base.type;
        row->unread = packet->charge;
    }
}

static const struct socket_ops packet_ops = {
    .bind = packet_bind,
    .name = packet_name,
    .send = packet_send,
    .receive = packet_receive,
    .poll = packet_poll,
    .set_option = packet_set_option,
    .get_option = packet_get_option,
    .ioctl = packet_ioctl,
    .has_filter = true,
    .close = packet_close,
    .destroy = packet_destroy,
};

int packet_socket_create(int type, int protocol, struct socket **out)
{
    const struct process *process = process_current();

    if (process && !(process->creds.cap_effective & 1ULL << ABI_CAP_NET_RAW))
        return -EPERM;
    if (type != ABI_SOCK_RAW && type != ABI_SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    struct packet_socket *packet = kzalloc(sizeof(*packet), ALLOC_WAIT);
    if (!packet)
        return -ENOBUFS;
    socket_setup(&packet->base, &packet_ops, ABI_AF_PACKET, type, protocol);
    list_init(&packet->queue);
    packet->protocol = (uint16_t)protocol;
    net_begin();
    list_push_back(&sockets, &packet->node);
    packet_tap_users++;
    net_end();
    *out = &packet->base;
    return 0;
}
