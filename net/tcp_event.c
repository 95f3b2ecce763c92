// SPDX-License-Identifier: MIT
/*
 * What lwIP tells about a connection.  Every function here is called with net_lock held.
 *
 * A PCB may be used only while the socket has it: lwIP frees one after the error callback, and one
 * in TIME-WAIT without any; so the socket lets go of a PCB as soon as both sides have sent FIN.
 */
#include "net/tcp_socket.h"

#include "abi/errno.h"
#include "lwip/priv/tcp_priv.h"
#include "net/net.h"
#include "net/tcp_batch.h"
#include "net/tcp_gso.h"
#include "net/tcp_memory.h"
#include "net/tcp_table.h"

#define INITIAL_WINDOW    10 /* segments (RFC 6928); lwIP begins with 3 */
#define SEND_BUFFER_FIRST (512U << 10)

static const unsigned all_events =
    ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP | ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLHUP;

/* ---- Room for sending ----------------------------------------------------------- */

/* Unless the program has set it: twice what may be under way, so that it is refilled before it runs dry. */
static size_t send_limit(const struct tcp_socket *tcp)
{
    unsigned set = READ_ONCE(tcp->inet.base.send_buffer);
    const struct tcp_pcb *pcb = tcp->pcb;

    if (set != SEND_BUFFER_DEFAULT)
        return MIN(set, TCP_SND_BUF);
    return MIN(MAX(SEND_BUFFER_FIRST, 2 * MIN(pcb->cwnd, pcb->snd_wnd_max)), TCP_SND_BUF);
}

/* What tcp_send.c makes segments of: the packets' size, and how many bytes a segment for the device to cut may have. */
static void update_sizes(struct tcp_socket *tcp, const struct tcp_pcb *pcb)
{
    tcpwnd_size_t largest = pcb->snd_wnd_max, cwnd = pcb->cwnd;
    /* Not more than half of the largest window seen: the peer could never take it whole. */
    unsigned mss = MIN(pcb->mss, TCPWND_MIN16(largest / 2));

    if (!tcp->has_sent)
        cwnd = MAX(cwnd, INITIAL_WINDOW * pcb->mss);
    WRITE_ONCE(tcp->mss, (uint16_t)(mss ? mss : pcb->mss));
    /* Not more than half of what may be under way: it would have to be cut. */
    WRITE_ONCE(tcp->segment_limit,
               tcp->is_cut_later && mss == pcb->mss ? MIN(cwnd, largest) / 2 : 0);
}

void tcp_event_update_queued(struct tcp_socket *tcp)
{
    struct tcp_pcb *pcb = tcp->pcb;
    size_t room = 0;
    size_t in_flight = pcb ? TCP_SND_BUF - pcb->snd_buf : 0;

    assert_held(&net_lock);
    tcp_memory_charge(tcp->in_flight, in_flight);
    if (pcb) {
        size_t limit = tcp_memory_limit(send_limit(tcp));
        if (in_flight < limit && pcb->snd_queuelen < TCP_SND_QUEUELEN - 64 && !tcp->is_starved)
            room = limit - in_flight;
    }
    WRITE_ONCE(tcp->in_flight, in_flight);
    __atomic_store_n(&tcp->room, room, __ATOMIC_SEQ_CST);
}

void tcp_event_update_room(struct tcp_socket *tcp)
{
    if (tcp->pcb)
        update_sizes(tcp, tcp->pcb);
    tcp_event_update_queued(tcp);
}

void tcp_event_starve(struct tcp_socket *tcp)
{
    assert_held(&net_lock);
    if (!tcp->pcb)
        return;
    tcp->is_starved = true;
    tcp_event_update_room(tcp);
    tcp_poll(tcp->pcb, tcp->pcb->poll, 1);
}

/* Something was acknowledged, or time has passed: there may be room, and memory. */
static void update_writers(struct tcp_socket *tcp)
{
    tcp->is_starved = false;
    tcp_event_update_room(tcp);
    if (__atomic_load_n(&tcp->wants_room, __ATOMIC_SEQ_CST) && tcp_send_is_writable(tcp)) {
        __atomic_store_n(&tcp->wants_room, false, __ATOMIC_SEQ_CST);
        socket_wake_later(&tcp->inet.base, ABI_POLLOUT | ABI_POLLWRNORM);
    }
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    update_writers(arg);
    return ERR_OK;
}

/* Only set while data is held back, which Linux too sends after a while, or there was no memory. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
    struct tcp_socket *tcp = arg;

    tcp_send_flush(tcp);
    tcp_poll(pcb, pcb->poll, UINT8_MAX);
    if (tcp->is_starved)
        update_writers(tcp);
    return ERR_OK;
}

/* ---- Ends -------------------------------------------------------------------------- */

static void end(struct tcp_socket *tcp, int error)
{
    struct socket *sock = &tcp->inet.base;

    tcp->pcb = NULL;
    tcp_batch_remove(tcp);
    tcp->inet.is_connected = false;
    tcp_event_update_room(tcp);
    if (error)
        __atomic_store_n(&sock->error, error, __ATOMIC_RELEASE);
    __atomic_store_n(&tcp->got_fin, true, __ATOMIC_RELEASE);
    __atomic_or_fetch(&sock->shutdown, SHUTDOWN_BOTH, __ATOMIC_ACQ_REL);
    tcp_socket_set_phase(tcp, TCP_PHASE_ENDED);
    socket_wake_later(sock, all_events | (error ? ABI_POLLERR : 0));
}

static void on_error(void *arg, err_t err)
{
    struct tcp_socket *tcp = arg;
    int error = ETIMEDOUT; /* ERR_ABRT: lwIP's timers gave up */

    if (err == ERR_CLSD)
        error = 0;
    else if (err == ERR_RST && tcp->phase == TCP_PHASE_CONNECTING)
        error = ECONNREFUSED;
    else if (err == ERR_RST)
        error = tcp->got_fin ? EPIPE : ECONNRESET;
    end(tcp, error);
}

void tcp_event_unreachable(struct tcp_pcb *pcb, int error)
{
    struct tcp_socket *tcp = pcb->callback_arg;

    if (pcb->state != SYN_SENT || !tcp)
        return; /* an established connection may survive it (RFC 1122, 4.2.3.9) */
    tcp_event_detach(tcp);
    tcp_abandon(pcb, 0);
    end(tcp, error);
}

/* ---- Arrivals ------------------------------------------------------------------------ */

static err_t on_fin(struct tcp_socket *tcp, struct tcp_pcb *pcb)
{
    __atomic_store_n(&tcp->is_whole, true, __ATOMIC_RELEASE);
    __atomic_store_n(&tcp->got_fin, true, __ATOMIC_RELEASE);
    if (pcb->state == CLOSE_WAIT) {
        socket_wake_later(&tcp->inet.base, ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLRDHUP);
        return ERR_OK;
    }
    tcp_event_detach(tcp); /* we sent our FIN before: lwIP does the rest */
    end(tcp, 0);
    return ERR_OK;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tcp_socket *tcp = arg;

    assert_held(&net_lock);
    if (!p)
        return on_fin(tcp, pcb);
    tcp_receive_append(tcp, p);
    socket_wake_later(&tcp->inet.base, ABI_POLLIN | ABI_POLLRDNORM);
    return ERR_OK;
}

err_t tcp_event_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_socket *tcp = arg;

    assert_held(&net_lock);
    pcb->cwnd = (tcpwnd_size_t)(INITIAL_WINDOW * pcb->mss);
    tcp_option_apply(tcp, pcb);
    tcp_option_limit_window(tcp, pcb);
    tcp->is_cut_later = tcp_gso_is_possible(pcb);
    tcp_event_update_room(tcp);
    tcp->inet.is_connected = true;
    tcp_socket_set_phase(tcp, TCP_PHASE_CONNECTED);
    socket_wake_later(&tcp->inet.base, ABI_POLLOUT | ABI_POLLWRNORM);
    return ERR_OK;
}

/* ---- Belonging together ----------------------------------------------------------------- */

void tcp_event_attach(struct tcp_socket *tcp, struct tcp_pcb *pcb)
{
    assert_held(&net_lock);
    tcp->pcb = pcb;
    tcp_arg(pcb, tcp);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_poll(pcb, on_poll, UINT8_MAX);
    tcp_err(pcb, on_error);
}

struct tcp_pcb *tcp_event_detach(struct tcp_socket *tcp)
{
    struct tcp_pcb *pcb = tcp->pcb;

    assert_held(&net_lock);
    if (!pcb)
        return NULL;
    tcp->pcb = NULL;
    tcp_batch_remove(tcp);
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_poll(pcb, NULL, 0);
    tcp_err(pcb, NULL);
    tcp_table_count(pcb);
    tcp_event_update_queued(tcp);
    return pcb;
}
