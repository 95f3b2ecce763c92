// SPDX-License-Identifier: MIT
/*
 * TCP sockets: connecting, shutting down, closing, readiness.
 */
#include "net/tcp_socket.h"

#include "abi/errno.h"
#include "abi/inet.h"
#include "abi/netdevice.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "lwip/priv/tcp_priv.h"
#include "net/address.h"
#include "net/net.h"
#include "net/ports.h"
#include "net/tcp_urgent.h"

struct tcp_socket *tcp_socket_alloc(int family, unsigned alloc_flags)
{
    struct tcp_socket *tcp = kzalloc(sizeof(*tcp), alloc_flags);

    if (!tcp)
        return NULL;
    inet_setup(&tcp->inet, &tcp_socket_ops, family, ABI_SOCK_STREAM, ABI_IPPROTO_TCP);
    tcp->window = LWIP_TCP_WND_FIRST;
    tcp->may_answer = true;
    list_init(&tcp->member_node);
    list_init(&tcp->batch_node);
    list_init(&tcp->accept_queue);
    list_init(&tcp->accept_node);
    return tcp;
}

int tcp_socket_create(int family, int type, int protocol, struct socket **out)
{
    if (protocol != 0 && protocol != ABI_IPPROTO_TCP)
        return -EPROTONOSUPPORT;
    struct tcp_socket *tcp = tcp_socket_alloc(family, ALLOC_WAIT);
    if (!tcp)
        return -ENOMEM;
    *out = &tcp->inet.base;
    return 0;
}

static int tcp_socket_bind(struct socket *sock, const struct socket_address *address)
{
    struct inet_socket *inet = inet_of(sock);

    /* A connection that has ended keeps no port that it was not bound to. */
    net_begin();
    if (tcp_of(sock)->phase == TCP_PHASE_ENDED && !inet->has_bound_port && inet->local_port) {
        ports_release(inet);
        inet->local_port = 0;
    }
    net_end();
    return inet_bind(inet, address);
}

/* ---- connect(2) ---------------------------------------------------------------------- */

/* What bind() set stays. */
static void forget_local(struct inet_socket *inet)
{
    if (!inet->has_bound_port) {
        ports_release(inet);
        inet->local_port = 0;
    }
    if (!inet->has_bound_address)
        inet->local = inet->base.family == ABI_AF_INET ? *IP4_ADDR_ANY : *IP6_ADDR_ANY;
}

/* Back to a socket that can connect again. */
static void forget_connection(struct tcp_socket *tcp)
{
    struct inet_socket *inet = &tcp->inet;
    struct tcp_pcb *pcb = tcp_event_detach(tcp);

    if (pcb)
        tcp_abort(pcb);
    inet->is_connected = false;
    inet->remote_port = 0;
    forget_local(inet);
    tcp->connect_pending = false;
    tcp->has_sent = false;
    tcp->is_held = false;
    tcp_urgent_forget(tcp);
    __atomic_store_n(&tcp->got_fin, false, __ATOMIC_RELEASE);
    __atomic_store_n(&tcp->is_whole, false, __ATOMIC_RELEASE);
    __atomic_store_n(&inet->base.shutdown, 0, __ATOMIC_RELEASE);
    tcp_event_update_room(tcp);
    tcp_socket_set_phase(tcp, TCP_PHASE_IDLE);
}

static int open_pcb(struct tcp_socket *tcp, const ip_addr_t *ip, uint16_t port)
{
    struct inet_socket *inet = &tcp->inet;

    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(ip));
    if (!pcb)
        return -ENOBUFS;
    tcp_option_apply(tcp, pcb);
    pcb->local_port = inet->local_port;
    pcb->netif_idx = inet->netif_index;
    if (inet->has_bound_address)
        pcb->local_ip = inet->local;
    tcp_event_attach(tcp, pcb);
    int err = inet_error(tcp_connect(pcb, ip, port, tcp_event_connected));
    if (err) {
        tcp_event_detach(tcp);
        tcp_close(pcb);
        return err;
    }
    inet->local = pcb->local_ip;
    return 0;
}

static int start(struct tcp_socket *tcp, const ip_addr_t *ip, uint16_t port)
{
    struct inet_socket *inet = &tcp->inet;

    if (ip_addr_ismulticast(ip) ||
        (inet->has_bound_address && IP_IS_V4_VAL(*ip) != IP_IS_V4_VAL(inet->local)))
        return -ENETUNREACH;
    if (!inet->local_port) {
        int err = ports_bind_for_connect(inet);
        if (err)
            return err;
    }
    __atomic_store_n(&inet->base.error, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&inet->base.shutdown, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&tcp->got_fin, false, __ATOMIC_RELEASE);
    __atomic_store_n(&tcp->is_whole, false, __ATOMIC_RELEASE);
    tcp_socket_set_phase(tcp, TCP_PHASE_CONNECTING);
    int err = open_pcb(tcp, ip, port);
    if (err) {
        forget_connection(tcp);
        return err;
    }
    inet->remote = *ip;
    inet->remote_port = port;
    tcp->connect_pending = true;
    return 0;
}

/* The outcome of a connect(2) that is over: told once. */
static int finish(struct tcp_socket *tcp)
{
    int err = 0;

    net_begin();
    tcp->connect_pending = false;
    if (tcp->phase != TCP_PHASE_CONNECTED) {
        err = socket_take_error(&tcp->inet.base);
        if (!err)
            err = -ECONNABORTED;
        forget_connection(tcp);
    }
    net_end();
    return err;
}

/* Starts or finds a connection under way: 0 if one is, else what connect(2) returns. */
static int begin(struct tcp_socket *tcp, const struct socket_address *address, bool *is_new)
{
    ip_addr_t ip;
    uint16_t port;

    *is_new = false;
    if (tcp->phase == TCP_PHASE_CONNECTING || tcp->connect_pending)
        return 0;
    if (tcp->phase != TCP_PHASE_IDLE)
        return -EISCONN; /* also after a reset: only AF_UNSPEC makes it a fresh one */
    int err = inet_destination(&tcp->inet, address, &ip, &port);
    if (err)
        return err;
    *is_new = true;
    return start(tcp, &ip, port);
}

static int disconnect(struct tcp_socket *tcp)
{
    mutex_lock(&tcp->inet.base.read_lock); /* a reader copies without net_lock */
    net_begin();
    if (tcp->phase == TCP_PHASE_LISTENING)
        tcp_listen_stop(tcp);
    forget_connection(tcp);
    tcp_receive_drop_all(tcp);
    net_end();
    mutex_unlock(&tcp->inet.base.read_lock);
    socket_wake(&tcp->inet.base, ABI_POLLHUP | ABI_POLLIN | ABI_POLLOUT);
    return 0;
}

static int tcp_socket_connect(struct socket *sock, const struct socket_address *address,
                              bool nonblock)
{
    struct tcp_socket *tcp = tcp_of(sock);
    nsec_t deadline = socket_deadline(sock->send_timeout);
    bool is_new;

    if (address->len < sizeof(address->family))
        return -EINVAL;
    if (address->family == ABI_AF_UNSPEC)
        return disconnect(tcp);
    net_begin();
    int err = begin(tcp, address, &is_new);
    net_end();
    if (err)
        return err;
    if (nonblock && (is_new || tcp_socket_phase(tcp) == TCP_PHASE_CONNECTING))
        return is_new ? -EINPROGRESS : -EALREADY;
    err = wait_on(&sock->writers, tcp_socket_phase(tcp) != TCP_PHASE_CONNECTING, deadline);
    if (err == -ETIMEDOUT)
        return -EINPROGRESS;
    if (err)
        return socket_wait_error(err, sock->send_timeout);
    return finish(tcp);
}

/* ---- shutdown(2), close(2) ------------------------------------------------------------- */

static int shutdown_locked(struct tcp_socket *tcp, unsigned how)
{
    struct socket *sock = &tcp->inet.base;
    int err = 0;

    switch (tcp->phase) {
    case TCP_PHASE_IDLE:
    case TCP_PHASE_ENDED:
        __atomic_or_fetch(&sock->shutdown, how, __ATOMIC_ACQ_REL);
        err = -ENOTCONN; /* but recv() finds an end from now on */
        break;
    case TCP_PHASE_LISTENING:
        if (how & SHUTDOWN_READ)
            tcp_listen_stop(tcp);
        break;
    case TCP_PHASE_CONNECTING:
        forget_connection(tcp);
        break;
    case TCP_PHASE_CONNECTED:
        if ((how & SHUTDOWN_WRITE) && tcp->pcb && !socket_is_shut(sock, SHUTDOWN_WRITE))
            tcp_shutdown(tcp->pcb, 0, 1);
        __atomic_or_fetch(&sock->shutdown, how, __ATOMIC_ACQ_REL);
        break;
    }
    socket_wake_later(sock, ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP | ABI_POLLOUT |
                                ABI_POLLWRNORM | ABI_POLLHUP);
    return err;
}

static int tcp_socket_shutdown(struct socket *sock, unsigned how)
{
    net_begin();
    int err = shutdown_locked(tcp_of(sock), how);
    net_end();
    return err;
}

static bool is_drained(struct tcp_socket *tcp)
{
    __atomic_store_n(&tcp->wants_room, true, __ATOMIC_SEQ_CST);
    return READ_ONCE(tcp->in_flight) == 0 || tcp_socket_phase(tcp) != TCP_PHASE_CONNECTED;
}

/* As Linux: the end of a process does not wait. */
static bool must_linger(struct tcp_socket *tcp)
{
    const struct socket *sock = &tcp->inet.base;

    return sock->linger.l_onoff && sock->linger.l_linger > 0 &&
           !(READ_ONCE(thread_current()->flags) & THREAD_EXITING) &&
           tcp_socket_phase(tcp) == TCP_PHASE_CONNECTED && !tcp->received;
}

/* SO_LINGER: close() waits until the peer has everything, or for so long. */
static void linger(struct tcp_socket *tcp)
{
    struct socket *sock = &tcp->inet.base;

    if (tcp_socket_shutdown(sock, SHUTDOWN_WRITE))
        return;
    nsec_t deadline = deadline_after(sock->linger.l_linger * NSEC_PER_SEC);
    (void)wait_on(&sock->writers, is_drained(tcp), deadline);
}

static void close_connection(struct tcp_socket *tcp)
{
    const struct socket *sock = &tcp->inet.base;
    bool is_abort = (sock->linger.l_onoff && !sock->linger.l_linger) || tcp->received;
    struct tcp_pcb *pcb = tcp_event_detach(tcp);

    if (!pcb)
        return;
    if (is_abort && pcb->state != SYN_SENT) {
        tcp_abort(pcb); /* the peer learns that what it sent was not read */
        return;
    }
    /* Everything has been read; lwIP judges that by the window, which SO_RCVBUF may have made
     * smaller. */
    if (pcb->state != SYN_SENT && !pcb->refused_data)
        pcb->rcv_wnd = TCP_WND_MAX(pcb);
    tcp_close(pcb);
}

static void tcp_socket_close(struct socket *sock)
{
    struct tcp_socket *tcp = tcp_of(sock);

    if (must_linger(tcp))
        linger(tcp);
    net_begin();
    if (tcp->phase == TCP_PHASE_LISTENING)
        tcp_listen_stop(tcp);
    sock->file = NULL;
    close_connection(tcp);
    tcp_receive_drop_all(tcp);
    inet_close(&tcp->inet);
    net_end();
}

static void tcp_socket_destroy(struct socket *sock)
{
    socket_teardown(sock);
    kfree(tcp_of(sock));
}

/* ---- Readiness ----------------------------------------------------------------------------- */

static unsigned poll_connection(struct tcp_socket *tcp, enum tcp_phase phase)
{
    struct socket *sock = &tcp->inet.base;
    bool at_end =
        __atomic_load_n(&tcp->got_fin, __ATOMIC_ACQUIRE) || socket_is_shut(sock, SHUTDOWN_READ);
    bool is_shut = socket_is_shut(sock, SHUTDOWN_WRITE);
    size_t received = __atomic_load_n(&tcp->received, __ATOMIC_ACQUIRE);
    unsigned events = 0;

    if ((at_end && is_shut) || phase != TCP_PHASE_CONNECTED)
        events |= ABI_POLLHUP;
    if (at_end)
        events |= ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP;
    bool leaves_out;
    received =
        tcp_urgent_is_at_mark(tcp, 0) ? tcp_urgent_limit(tcp, 0, received, &leaves_out) : received;
    if (tcp_urgent_is_there(tcp))
        events |= ABI_POLLPRI;
    if (received && received >= (size_t)READ_ONCE(sock->receive_low))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (is_shut || phase != TCP_PHASE_CONNECTED)
        return events | ABI_POLLOUT | ABI_POLLWRNORM;
    if (!tcp_send_is_writable(tcp)) {
        __atomic_store_n(&tcp->wants_room, true, __ATOMIC_SEQ_CST);
        if (!tcp_send_is_writable(tcp))
            return events;
    }
    return events | ABI_POLLOUT | ABI_POLLWRNORM;
}

static unsigned tcp_socket_poll(struct socket *sock)
{
    struct tcp_socket *tcp = tcp_of(sock);
    enum tcp_phase phase = tcp_socket_phase(tcp);
    unsigned events = 0;

    if (phase == TCP_PHASE_LISTENING)
        events = __atomic_load_n(&tcp->naccept, __ATOMIC_ACQUIRE) ? ABI_POLLIN | ABI_POLLRDNORM : 0;
    else if (phase != TCP_PHASE_CONNECTING)
        events = poll_connection(tcp, phase);
    if (__atomic_load_n(&sock->error, __ATOMIC_ACQUIRE))
        events |= ABI_POLLERR;
    return events;
}

static size_t unsent_bytes(struct tcp_socket *tcp)
{
    size_t n = 0;

    net_begin();
    for (const struct tcp_seg *seg = tcp->pcb ? tcp->pcb->unsent : NULL; seg; seg = seg->next)
        n += seg->len;
    net_end();
    return n;
}

/* As Linux: up to the urgent byte, if one is among them that is not part of the stream. */
static size_t readable_bytes(const struct tcp_socket *tcp)
{
    size_t received = __atomic_load_n(&tcp->received, __ATOMIC_ACQUIRE);
    bool leaves_out;

    if (READ_ONCE(tcp->inet.base.oob_inline))
        return received;
    size_t limit = tcp_urgent_limit(tcp, 0, received, &leaves_out);
    return leaves_out ? 0 : limit;
}

static long tcp_socket_ioctl(struct socket *sock, unsigned command, unsigned long arg)
{
    struct tcp_socket *tcp = tcp_of(sock);
    int value;

    if (command != ABI_FIONREAD && command != ABI_TIOCOUTQ && command != ABI_SIOCOUTQNSD &&
        command != ABI_SIOCATMARK)
        return -ENOTTY;
    if (tcp_socket_phase(tcp) == TCP_PHASE_LISTENING)
        return -EINVAL;
    if (command == ABI_FIONREAD)
        value = (int)readable_bytes(tcp);
    else if (command == ABI_TIOCOUTQ)
        value = (int)READ_ONCE(tcp->in_flight);
    else if (command == ABI_SIOCOUTQNSD)
        value = (int)unsent_bytes(tcp);
    else
        value = tcp_urgent_is_at_mark(tcp, 0);
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

const struct socket_ops tcp_socket_ops = {
    .bind = tcp_socket_bind,
    .connect = tcp_socket_connect,
    .listen = tcp_listen_start,
    .accept = tcp_listen_accept,
    .name = inet_name,
    .send = tcp_send_message,
    .receive = tcp_receive_message,
    .shutdown = tcp_socket_shutdown,
    .poll = tcp_socket_poll,
    .set_option = tcp_option_set,
    .get_option = tcp_option_get,
    .option_changed = tcp_option_changed,
    .ioctl = tcp_socket_ioctl,
    .close = tcp_socket_close,
    .destroy = tcp_socket_destroy,
};
