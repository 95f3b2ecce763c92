// SPDX-License-Identifier: MIT
/*
 * Listening: connections that arrive, until accept(2) takes them.
 *
 * lwIP limits the connections whose handshake is not complete (255).  Completed ones wait in
 * the socket's queue; while that is longer than the backlog, lwIP's limit is set to zero, so that
 * a SYN is not answered and its sender tries again: what Linux does.
 *
 * Sockets with SO_REUSEPORT on one port share one PCB and take turns.
 */
#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "lwip/priv/tcp_priv.h"
#include "net/address.h"
#include "net/net.h"
#include "net/ports.h"
#include "net/tcp_gso.h"
#include "net/tcp_socket.h"

#define HANDSHAKES_MAX 255

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
    listener->pcb->backlog = any ? HANDSHAKES_MAX : 0;
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
    struct tcp_socket *member = choose_member(listener);
    struct tcp_socket *tcp = tcp_socket_alloc(member->inet.base.family, ALLOC_ATOMIC);
    if (!tcp)
        return ERR_MEM; /* lwIP resets the connection */

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
    struct tcp_pcb *lpcb = tcp_listen_with_backlog(pcb, HANDSHAKES_MAX);
    if (!lpcb)
        goto close_pcb;
    list_init(&listener->members);
    listener->pcb = (struct tcp_pcb_listen *)lpcb;
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
        tcp_close((struct tcp_pcb *)listener->pcb);
        kfree(listener);
    } else {
        adjust_backlog(listener);
    }
    __atomic_store_n(&tcp->inet.base.is_listening, false, __ATOMIC_RELEASE);
    tcp_socket_set_phase(tcp, TCP_PHASE_IDLE);
    reset_queue(tcp);
}
