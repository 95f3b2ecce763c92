// SPDX-License-Identifier: MIT
/*
 * The port tables.
 *
 * lwIP's own checks are looser than Linux's in places and stricter in others, so they are switched off
 * (every PCB has SOF_REUSEADDR) and the rules are here:
 *
 *   Two sockets may have one port if their addresses do not overlap, or if both set SO_REUSEADDR
 *   and (TCP) the other one does not listen, or if both set SO_REUSEPORT and belong to the same user.
 *
 * The table holds the sockets that were bound, not the connections that a listener accepted. Those, and
 * connections that outlive their sockets, are found in lwIP's lists; they count like bound sockets
 * (SOF_REUSEADDR_SET and SOF_REUSEPORT_SET in their options say what their socket had set).
 */
#include "net/ports.h"

#include "abi/capability.h"
#include "abi/errno.h"
#include "kernel/entropy.h"
#include "lwip/priv/tcp_priv.h"
#include "net/net.h"
#include "net/tcp_socket.h"
#include "net/tcp_table.h"

#define BUCKETS        256
#define RANGE_START    32768u
#define RANGE_END      60999u
#define PRIVILEGED_END 1024 /* net.ipv4.ip_unprivileged_port_start */

static struct list table[PORTS_COUNT][BUCKETS];

static struct list *bucket_of(enum port_protocol protocol, uint16_t port)
{
    struct list *bucket = &table[protocol][port % BUCKETS];

    if (!bucket->next)
        list_init(bucket);
    return bucket;
}

/* ---- Overlap ------------------------------------------------------------------- */

/* A wildcard of IPv6 covers IPv4 too, unless it is IPV6_V6ONLY. */
static bool is_dual(const struct inet_socket *inet)
{
    return inet->base.family == ABI_AF_INET6 && !inet->v6only && ip_addr_isany(&inet->local) &&
           !IP_IS_V4_VAL(inet->local);
}

static bool overlaps(const ip_addr_t *a, bool a_dual, const ip_addr_t *b, bool b_dual)
{
    bool same_family = IP_IS_V4_VAL(*a) == IP_IS_V4_VAL(*b);

    if (!same_family)
        return a_dual || b_dual;
    return ip_addr_isany(a) || ip_addr_isany(b) || ip_addr_cmp_zoneless(a, b);
}

static bool sockets_overlap(const struct inet_socket *a, const struct inet_socket *b)
{
    if (a->netif_index && b->netif_index && a->netif_index != b->netif_index)
        return false;
    return overlaps(&a->local, is_dual(a), &b->local, is_dual(b));
}

static bool sockets_conflict(const struct inet_socket *a, const struct inet_socket *b)
{
    const struct socket *as = &a->base;
    const struct socket *bs = &b->base;

    if (as->reuse_port && bs->reuse_port && as->owner.uid == bs->owner.uid)
        return false;
    if (as->reuse_address && bs->reuse_address && !bs->is_listening)
        return false;
    return true;
}

/* A connection that a listener accepted, or one without a socket. */
static bool conflicts_with_pcb(const struct inet_socket *inet, const struct tcp_pcb *pcb)
{
    if (!overlaps(&inet->local, is_dual(inet), &pcb->local_ip, false))
        return false;
    if (inet->base.reuse_port && (pcb->so_options & SOF_REUSEPORT_SET))
        return false;
    return !(inet->base.reuse_address && (pcb->so_options & SOF_REUSEADDR_SET));
}

static bool pcb_is_listed(const struct tcp_pcb *pcb)
{
    const struct tcp_socket *tcp = pcb->callback_arg;
    return tcp && !list_is_empty(&tcp->inet.port_node);
}

static bool pcbs_conflict(const struct inet_socket *inet, uint16_t port)
{
    struct tcp_pcb *const lists[] = { tcp_active_pcbs, tcp_tw_pcbs };

    if (!tcp_table_may_have(port))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (const struct tcp_pcb *pcb = lists[i]; pcb; pcb = pcb->next) {
            if (pcb->local_port == port && pcb->state != SYN_RCVD && !pcb_is_listed(pcb) &&
                conflicts_with_pcb(inet, pcb))
                return true;
        }
    }
    return false;
}

static bool port_conflicts(struct inet_socket *inet, uint16_t port, bool is_bound)
{
    enum port_protocol protocol = ports_protocol(inet);
    struct inet_socket *other;

    list_for_each (other, bucket_of(protocol, port), port_node) {
        if (other != inet && other->local_port == port && sockets_overlap(inet, other) &&
            sockets_conflict(inet, other))
            return true;
    }
    return protocol == PORTS_TCP && !is_bound && pcbs_conflict(inet, port);
}

/* ---- Taking and giving back ---------------------------------------------------------- */

static void take(struct inet_socket *inet, uint16_t port)
{
    inet->local_port = port;
    list_push_back(bucket_of(ports_protocol(inet), port), &inet->port_node);
}

/* Odd ports are left to connect() first, as Linux does with the even ones. */
static int take_free(struct inet_socket *inet, bool for_connect)
{
    unsigned range = RANGE_END - RANGE_START + 1;
    unsigned first = (unsigned)random64() % range;

    for (unsigned i = 0; i < 2 * range; i++) {
        uint16_t port = (uint16_t)(RANGE_START + (first + i) % range);
        if (i < range && (port & 1) == for_connect)
            continue;
        if (!port_conflicts(inet, port, false)) {
            take(inet, port);
            return 0;
        }
    }
    return for_connect ? -EADDRNOTAVAIL : -EADDRINUSE;
}

static bool may_bind_privileged(void)
{
    const struct process *process = process_current();
    return !process || (process->creds.cap_effective & 1ULL << ABI_CAP_NET_BIND_SERVICE);
}

int ports_bind(struct inet_socket *inet, uint16_t port)
{
    assert_held(&net_lock);
    if (port == 0)
        return take_free(inet, false);
    if (port < PRIVILEGED_END && !may_bind_privileged())
        return -EACCES;
    if (port_conflicts(inet, port, false))
        return -EADDRINUSE;
    take(inet, port);
    return 0;
}

int ports_bind_for_connect(struct inet_socket *inet)
{
    assert_held(&net_lock);
    return take_free(inet, true);
}

int ports_check_listen(struct inet_socket *inet)
{
    assert_held(&net_lock);
    return port_conflicts(inet, inet->local_port, true) ? -EADDRINUSE : 0;
}

void ports_release(struct inet_socket *inet)
{
    assert_held(&net_lock);
    list_remove(&inet->port_node);
}

static bool shares(const struct inet_socket *a, const struct inet_socket *b)
{
    return b->local_port == a->local_port && b->base.reuse_port && !b->is_connected &&
           IP_GET_TYPE(&a->local) == IP_GET_TYPE(&b->local) && ip_addr_cmp(&a->local, &b->local);
}

struct inet_socket *ports_share(struct inet_socket *inet, uint32_t n)
{
    struct list *bucket = bucket_of(ports_protocol(inet), inet->local_port);
    struct inet_socket *other;
    uint32_t count = 0;

    assert_held(&net_lock);
    list_for_each (other, bucket, port_node)
        count += shares(inet, other);
    if (count < 2)
        return inet;
    n %= count;
    list_for_each (other, bucket, port_node) {
        if (shares(inet, other) && n-- == 0)
            return other;
    }
    return inet;
}
