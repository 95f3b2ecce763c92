// SPDX-License-Identifier: MIT
/*
 * Listening: connections that arrive, until accept(2) takes them.
 *
 * Completed connections wait in the socket's queue; while that is longer than the backlog, lwIP's limit of handshakes
 * is set to zero, so that a SYN is not answered and its sender tries again: what Linux does.
 *
 * Handshakes are bounded by memory, as Linux's tcp_max_syn_backlog is.  When there are too many, by a flood of SYNs
 * from senders who do not exist, the oldest is dropped for the new one: at 4,096 of them and 10,000 forged SYNs a
 * second a client has 0.4 seconds for its answer, and one that is slower tries again.  (Linux's SYN cookies need
 * no memory, but the options of the SYN are lost with them.)  lwIP's tick, twice a second, frees what was dropped;
 * between two of them a listener drops four times as many as it may have, and ignores further SYNs.
 *
 * Sockets with SO_REUSEPORT on one port share one PCB and take turns.
 */
#include "abi/errno.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "lwip/priv/tcp_priv.h"
#include "net/address.h"
#include "net/lwip_port.h"
#include "net/net.h"
#include "net/ports.h"
#include "net/tcp_gso.h"
#include "net/tcp_socket.h"
#include "net/tcp_table.h"

#define HANDSHAKES_MIN   128
#define HANDSHAKES_MAX   4096
#define HANDSHAKES_SHARE (64UL << 10) /* one for so much memory that is free at boot: about a KiB */
#define DROPS_MAX        4U
#define OVERRUN_MAX      255U /* handshakes that end when the queue is full already */

static uint16_t handshakes = HANDSHAKES_MIN;

/* ---- Handshakes ------------------------------------------------------------------- */

void tcp_listen_init(void)
{
    size_t share = frame_free_bytes() / HANDSHAKES_SHARE;

    handshakes = (uint16_t)MIN(MAX(share, (size_t)HANDSHAKES_MIN), (size_t)HANDSHAKES_MAX);
}

void tcp_listen_forget(struct tcp_pcb *pcb)
{
    if (!pcb->recovery.half_open.next)
        return;
    list_remove(&pcb->recovery.half_open);
    pcb->recovery.half_open.next = NULL;
}

void tcp_listen_half_open(struct tcp_pcb *pcb)
{
    struct tcp_listener *listener = pcb->listener->callback_arg;

    list_push_back(&listener->half_open, &pcb->recovery.half_open);
}

static struct tcp_pcb *oldest(const struct tcp_listener *listener)
{
    return container_of(list_first(&listener->half_open, struct tcp_recovery, half_open),
                        struct tcp_pcb, recovery);
}

/* Whoever answers it will be told that there is no such connection. */
static void drop(struct tcp_pcb *pcb)
{
    tcp_table_remove(pcb);
    tcp_backlog_accepted(pcb);
    pcb->tmr = tcp_ticks - TCP_SYN_RCVD_TIMEOUT / TCP_SLOW_INTERVAL - 1;
}

bool tcp_listen_is_full(struct tcp_pcb_listen *pcb)
{
    struct tcp_listener *listener = pcb->callback_arg;

    assert_held(&net_lock);
    if (pcb->accepts_pending < pcb->backlog)
        return false;
    if (listener->drop_tick != tcp_ticks) {
        listener->drop_tick = tcp_ticks;
        listener->ndropped = 0;
    }
    if (pcb->backlog == 0 || list_is_empty(&listener->half_open) ||
        listener->ndropped == DROPS_MAX * handshakes)
        return true;
    listener->ndropped++;
    drop(oldest(listener));
    return false;
}

/* ---- Arrivals --------------------------------------------------------------------- */

static bool has_room(const struct tcp_socket *tcp)
{
    return tcp->naccept <= tcp->backlog;
}

static void adjust_backlog(struct tcp_listener *listener)
{
    struct tcp_socket *member;
    bool any = false;

    list_for_each (member, &listener->members, member_node)
        any |= has_room(member);
    listener->pcb->backlog = any ? handshakes : 0;
}

/* The next in turn that has room, or simply the next. */
static struct tcp_socket *choose_member(struct tcp_listener *listener)
{
    struct tcp_socket *first = list_first(&listener->members, struct tcp_socket, member_node);
    struct tcp_socket *chosen = first;
    struct tcp_socket *member;

    list_for_each (member, &listener->members, member_node) {
        if (has_room(member)) {
            chosen = member;
            break;
        }
    }
    list_remove(&chosen->member_node);
    list_push_back(&listener->members, &chosen->member_node);
    return chosen;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_listener *listener = arg;

    assert_held(&net_lock);
    if (!pcb || err != ERR_OK)
        return ERR_VAL;
    tcp_listen_forget(pcb);
    struct tcp_socket *member = choose_member(listener);
    if (member->naccept > member->backlog + OVERRUN_MAX)
        return ERR_MEM; /* lwIP resets the connection */
    struct tcp_socket *tcp = tcp_socket_alloc(member->inet.base.family, ALLOC_ATOMIC);
    if (!tcp)
        return ERR_MEM;

    tcp_option_inherit(tcp, member);
    tcp->inet.local = pcb->local_ip;
    tcp->inet.local_port = pcb->local_port;
    tcp->inet.remote = pcb->remote_ip;
    tcp->inet.remote_port = pcb->remote_port;
    tcp->inet.is_connected = true;
    tcp_event_attach(tcp, pcb);
    tcp_option_apply(tcp, pcb);
    tcp_option_limit_window(tcp, pcb);
    tcp->is_cut_later = tcp_gso_is_possible(pcb);
    tcp_event_update_room(tcp);
    tcp_socket_set_phase(tcp, TCP_PHASE_CONNECTED);

    list_push_back(&member->accept_queue, &tcp->accept_node);
    __atomic_store_n(&member->naccept, member->naccept + 1, __ATOMIC_RELEASE);
    if (!has_room(member))
        adjust_backlog(listener);
    socket_wake_later(&member->inet.base, ABI_POLLIN | ABI_POLLRDNORM);
    return ERR_OK;
}

/* ---- listen(2) ------------------------------------------------------------------------ */

static int open_listener(struct tcp_socket *tcp)
{
    struct tcp_listener *listener = kzalloc(sizeof(*listener), ALLOC_ATOMIC);
    ip_addr_t address;

    if (!listener)
        return -ENOMEM;
    inet_receive_address(&tcp->inet, &address);
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address));
    if (!pcb)
        goto free_listener;
    pcb->local_ip = address;
    pcb->local_port = tcp->inet.local_port;
    pcb->netif_idx = tcp->inet.netif_index;
    struct tcp_pcb *lpcb = tcp_listen_with_backlog(pcb, 1);
    if (!lpcb)
        goto close_pcb;
    list_init(&listener->members);
    list_init(&listener->half_open);
    listener->pcb = (struct tcp_pcb_listen *)lpcb;
    listener->pcb->backlog = handshakes;
    tcp_arg(lpcb, listener);
    tcp_accept(lpcb, on_accept);
    tcp->listener = listener;
    return 0;

close_pcb:
    tcp_close(pcb);
free_listener:
    kfree(listener);
    return -ENOBUFS;
}

/* A socket that listens on the same port may share it: ports_check_listen() has said so. */
static bool join_listener(struct tcp_socket *tcp)
{
    ip_addr_t address;

    inet_receive_address(&tcp->inet, &address);
    for (struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs; pcb; pcb = pcb->next) {
        if (pcb->local_port == tcp->inet.local_port &&
            IP_GET_TYPE(&pcb->local_ip) == IP_GET_TYPE(&address) &&
            ip_addr_cmp(&pcb->local_ip, &address)) {
            tcp->listener = pcb->callback_arg;
            return true;
        }
    }
    return false;
}

static int start_locked(struct tcp_socket *tcp, unsigned backlog)
{
    int err;

    tcp->backlog = backlog;
    if (tcp->phase == TCP_PHASE_LISTENING) {
        adjust_backlog(tcp->listener);
        return 0;
    }
    if (tcp->phase != TCP_PHASE_IDLE)
        return -EINVAL;
    if (list_is_empty(&tcp->inet.port_node)) {
        err = ports_bind(&tcp->inet, 0);
        if (err)
            return err;
    }
    err = ports_check_listen(&tcp->inet);
    if (err)
        return err;
    if (!join_listener(tcp)) {
        err = open_listener(tcp);
        if (err)
            return err;
    }
    list_push_back(&tcp->listener->members, &tcp->member_node);
    adjust_backlog(tcp->listener); /* the others may be full */
    __atomic_store_n(&tcp->inet.base.is_listening, true, __ATOMIC_RELEASE);
    __atomic_store_n(&tcp->inet.base.shutdown, 0, __ATOMIC_RELEASE);
    tcp_socket_set_phase(tcp, TCP_PHASE_LISTENING);
    return 0;
}

int tcp_listen_start(struct socket *sock, int backlog)
{
    /* As Linux: a negative backlog is the largest. */
    unsigned limit = MIN((unsigned)backlog, ABI_SOMAXCONN);

    net_begin();
    int err = start_locked(tcp_of(sock), limit);
    net_end();
    return err;
}

/* ---- accept(2) ---------------------------------------------------------------------------- */

static struct tcp_socket *take_connection(struct tcp_socket *tcp)
{
    struct tcp_socket *taken = NULL;

    net_begin();
    if (!list_is_empty(&tcp->accept_queue)) {
        taken = list_first(&tcp->accept_queue, struct tcp_socket, accept_node);
        list_remove(&taken->accept_node);
        __atomic_store_n(&tcp->naccept, tcp->naccept - 1, __ATOMIC_RELEASE);
        if (tcp->listener && tcp->naccept == tcp->backlog)
            adjust_backlog(tcp->listener);
    }
    net_end();
    return taken;
}

static bool may_accept(const struct tcp_socket *tcp)
{
    return __atomic_load_n(&tcp->naccept, __ATOMIC_ACQUIRE) ||
           tcp_socket_phase(tcp) != TCP_PHASE_LISTENING;
}

int tcp_listen_accept(struct socket *sock, bool nonblock, struct socket **out,
                      struct socket_address *peer)
{
    struct tcp_socket *tcp = tcp_of(sock);
    nsec_t deadline = socket_deadline(sock->receive_timeout);

    for (;;) {
        if (tcp_socket_phase(tcp) != TCP_PHASE_LISTENING)
            return -EINVAL;
        struct tcp_socket *taken = take_connection(tcp);
        if (taken) {
            address_from_ip(sock->family, &taken->inet.remote, taken->inet.remote_port, peer);
            *out = &taken->inet.base;
            return 0;
        }
        if (nonblock)
            return -EAGAIN;
        int err = wait_on(&sock->readers, may_accept(tcp), deadline);
        if (err)
            return socket_wait_error(err, sock->receive_timeout);
    }
}

/* ---- The end -------------------------------------------------------------------------------- */

static void reset_queue(struct tcp_socket *tcp)
{
    while (!list_is_empty(&tcp->accept_queue)) {
        struct tcp_socket *child = list_first(&tcp->accept_queue, struct tcp_socket, accept_node);
        list_remove(&child->accept_node);
        struct tcp_pcb *pcb = tcp_event_detach(child);
        if (pcb)
            tcp_abort(pcb);
        inet_close(&child->inet);
        tcp_receive_drop_all(child);
        socket_put(&child->inet.base);
    }
    __atomic_store_n(&tcp->naccept, 0, __ATOMIC_RELEASE);
}

void tcp_listen_stop(struct tcp_socket *tcp)
{
    struct tcp_listener *listener = tcp->listener;

    assert_held(&net_lock);
    if (!listener)
        return;
    tcp->listener = NULL;
    list_remove(&tcp->member_node);
    if (list_is_empty(&listener->members)) {
        while (!list_is_empty(&listener->half_open))
            tcp_listen_forget(oldest(listener));
        tcp_close((struct tcp_pcb *)listener->pcb);
        kfree(listener);
    } else {
        adjust_backlog(listener);
    }
    __atomic_store_n(&tcp->inet.base.is_listening, false, __ATOMIC_RELEASE);
    tcp_socket_set_phase(tcp, TCP_PHASE_IDLE);
    reset_queue(tcp);
}
