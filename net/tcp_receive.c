// SPDX-License-Identifier: MIT
/*
 * Receiving on a TCP connection.
 *
 * The queue is a chain of pbufs as they came from lwIP.  lwIP appends to it; the reader, one at
 * a time under read_lock, copies to the application without net_lock, since the pbufs that the count
 * covers do not change any more.  Then it takes them off under net_lock and opens the window.
 *
 * A pbuf may keep much more memory than its bytes (a 2 KiB device buffer for 300 bytes).  When the
 * queue's memory grows beyond twice the window, small arrivals are copied to blocks of their size.
 *
 * The window begins with what a gigabit a second over some milliseconds needs. Each time a whole one has been read by a
 * program that keeps up it is doubled, as Linux does where it knows no better measure of the round trip
 * (tcp_rcv_space_adjust()): a line that is faster or longer is filled after a few of them.
 *
 * An acknowledgement waits for an answer that may take it along, at most for a quarter of a second.  Where the program
 * has read all and has answered nothing since it last had, none is coming, and a peer with a small buffer or with
 * Nagle's rule would wait each time: it is acknowledged at once, as Linux does (tcp_cleanup_rbuf()).
 */
#include "abi/errno.h"
#include "lwip/priv/tcp_priv.h"
#include "net/message.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/tcp_memory.h"
#include "net/tcp_socket.h"
#include "net/tcp_urgent.h"

/* ---- The queue ------------------------------------------------------------------- */

static struct pbuf *compact(struct pbuf *p)
{
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);

    if (!copy)
        return p;
    pbuf_free(p);
    return copy;
}

void tcp_receive_append(struct tcp_socket *tcp, struct pbuf *p)
{
    size_t len = p->tot_len, true_size = tcp->true_size;

    assert_held(&net_lock);
    tcp_urgent_arrived(tcp, p);
    /* What a filled hole releases comes as one chain. */
    for (const struct pbuf *part = p; part; part = part->next)
        tcp->is_pushed |= (part->flags & PBUF_FLAG_PUSH) != 0;
    if (tcp->true_size > 2UL * tcp->window && (p->flags & PBUF_FLAG_IS_CUSTOM))
        p = compact(p);
    struct pbuf *last = p;
    for (;;) {
        true_size += netdev_true_size(last);
        if (!last->next)
            break;
        last = last->next;
    }
    tcp_memory_charge(tcp->true_size, true_size);
    tcp->true_size = true_size;
    if (tcp->tail)
        tcp->tail->next = p;
    else
        tcp->head = p;
    tcp->tail = last;
    __atomic_fetch_add(&tcp->received, len, __ATOMIC_RELEASE);
}

static void free_head(struct tcp_socket *tcp)
{
    struct pbuf *p = tcp->head;

    tcp->head = p->next;
    if (!tcp->head)
        tcp->tail = NULL;
    tcp->head_consumed = 0;
    size_t true_size = netdev_true_size(p);
    tcp_memory_charge(true_size, 0);
    tcp->true_size -= true_size;
    p->next = NULL;
    p->tot_len = p->len;
    pbuf_free(p);
}

void tcp_receive_drop_all(struct tcp_socket *tcp)
{
    assert_held(&net_lock);
    while (tcp->head)
        free_head(tcp);
    __atomic_store_n(&tcp->received, 0, __ATOMIC_RELEASE);
}

static void open_window(struct tcp_pcb *pcb, size_t n)
{
    while (n) {
        u16_t part = (u16_t)MIN(n, 0xffffU);
        tcp_recved(pcb, part);
        n -= part;
    }
    /* lwIP waits until there is room for a whole segment; a small SO_RCVBUF never has as much. */
    if (pcb->rcv_ann_wnd < pcb->rcv_wnd / 2) {
        pcb->rcv_ann_wnd = pcb->rcv_wnd;
        tcp_ack_now(pcb);
        tcp_output(pcb);
    }
}

/* Something has been read. */
static void widen_window(struct tcp_socket *tcp)
{
    struct tcp_pcb *pcb = tcp->pcb;
    unsigned wider = 2 * tcp->window;

    if (tcp->read_position - tcp->window_begin < tcp->window || wider > TCP_WND)
        return;
    tcp->window_begin = tcp->read_position;
    if (!(pcb->flags & TF_WND_SCALE) || tcp->received > tcp->window / 2 ||
        tcp->inet.base.receive_buffer != RECEIVE_BUFFER_DEFAULT || tcp_memory_limit(wider) < wider)
        return;
    pcb->rcv_wnd += tcp->window;
    tcp->window = wider;
}

/* Something has been read, perhaps all. */
static void acknowledge(struct tcp_socket *tcp)
{
    if (tcp->received)
        return;
    /* Not tcp_output(): it sends none while held data or Nagle's wait.  Without memory lwIP's timer tries again. */
    if (tcp->is_pushed && !tcp->may_answer && (tcp->pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW)))
        (void)tcp_send_empty_ack(tcp->pcb);
    tcp->is_pushed = tcp->may_answer = false;
}

/* The first n bytes have been read. */
static void consume(struct tcp_socket *tcp, size_t n)
{
    size_t left = n;

    net_begin();
    while (left) {
        size_t here = MIN(left, (size_t)(tcp->head->len - tcp->head_consumed));
        tcp->head_consumed = (uint16_t)(tcp->head_consumed + here);
        left -= here;
        if (tcp->head_consumed == tcp->head->len)
            free_head(tcp);
    }
    __atomic_fetch_sub(&tcp->received, n, __ATOMIC_RELEASE);
    tcp_urgent_consumed(tcp, n);
    if (tcp->pcb) {
        widen_window(tcp);
        open_window(tcp->pcb, n);
        acknowledge(tcp);
    }
    net_end();
}

/* ---- Copying ------------------------------------------------------------------------ */

/* Copies up to available bytes from offset skip on; bytes, or -EFAULT if none. */
static long copy_out(const struct tcp_socket *tcp, struct io *io, size_t available, size_t skip)
{
    const struct pbuf *p = tcp->head;
    size_t offset = tcp->head_consumed + skip;
    size_t copied = 0;

    while (available && io->remaining) {
        while (offset >= p->len) {
            offset -= p->len;
            p = p->next;
        }
        size_t part = MIN(available, p->len - offset);
        long n = io_write_to(io, (const uint8_t *)p->payload + offset, part);
        if (n < 0)
            return copied ? (long)copied : n;
        copied += (size_t)n;
        if ((size_t)n < MIN(part, (size_t)n + io->remaining))
            break; /* a bad address behind a good one */
        available -= (size_t)n;
        offset += (size_t)n;
    }
    return (long)copied;
}

/* What is there, up to the room in message and the urgent mark; 0: nothing.  skip: bytes that MSG_PEEK has shown. */
static long take(struct tcp_socket *tcp, struct message *message, size_t skip)
{
    struct socket *sock = &tcp->inet.base;
    bool leave_out = false;
    long n = 0;

    mutex_lock(&sock->read_lock);
    size_t received = __atomic_load_n(&tcp->received, __ATOMIC_ACQUIRE);
    if (received > skip) {
        size_t available = tcp_urgent_limit(tcp, skip, received - skip, &leave_out);
        size_t from = skip + leave_out;
        if (available == 0) {
            n = 0;
        } else if (message->flags & ABI_MSG_TRUNC) {
            n = (long)MIN(available, message->io->remaining);
            io_advance(message->io, (size_t)n);
        } else {
            n = copy_out(tcp, message->io, available, from);
        }
        if (n >= 0 && (n || leave_out) && !(message->flags & ABI_MSG_PEEK))
            consume(tcp, (size_t)n + leave_out);
    }
    mutex_unlock(&sock->read_lock);
    return n;
}

/* ---- recv(2) -------------------------------------------------------------------------- */

static bool is_at_end(const struct tcp_socket *tcp)
{
    return __atomic_load_n(&tcp->got_fin, __ATOMIC_ACQUIRE) ||
           socket_is_shut(&tcp->inet.base, SHUTDOWN_READ);
}

/* Something behind the first skip bytes, besides an urgent byte that is left out. */
static bool has_more(const struct tcp_socket *tcp, size_t skip)
{
    size_t received = __atomic_load_n(&tcp->received, __ATOMIC_ACQUIRE);
    bool leave_out;

    return received > skip && tcp_urgent_limit(tcp, skip, received - skip, &leave_out) > 0;
}

static bool may_return(const struct tcp_socket *tcp, size_t skip)
{
    return has_more(tcp, skip) || is_at_end(tcp) ||
           __atomic_load_n(&tcp->inet.base.error, __ATOMIC_ACQUIRE) ||
           tcp_socket_phase(tcp) == TCP_PHASE_IDLE;
}

/* Nothing was queued: 1 to wait, else what recv() returns. */
static int nothing_there(struct tcp_socket *tcp, size_t skip, bool nonblock)
{
    enum tcp_phase phase = tcp_socket_phase(tcp);

    /* All has been read of a stream that has ended: what befell the connection since then is for who sends. */
    if (__atomic_load_n(&tcp->is_whole, __ATOMIC_ACQUIRE) && phase != TCP_PHASE_IDLE)
        return has_more(tcp, skip);
    int err = socket_take_error(&tcp->inet.base);
    if (err)
        return err;
    if (is_at_end(tcp)) /* perhaps behind data that has come just now */
        return has_more(tcp, skip);
    if (phase == TCP_PHASE_IDLE || phase == TCP_PHASE_LISTENING)
        return -ENOTCONN;
    return nonblock ? -EAGAIN : 1;
}

static size_t wanted_bytes(const struct socket *sock, const struct message *message)
{
    size_t len = message->io->remaining;

    if (message->flags & ABI_MSG_WAITALL)
        return len;
    return MIN(len, (size_t)MAX(READ_ONCE(sock->receive_low), 1));
}

long tcp_receive_message(struct socket *sock, struct message *message)
{
    struct tcp_socket *tcp = tcp_of(sock);
    size_t target = wanted_bytes(sock, message);
    nsec_t deadline = socket_deadline(sock->receive_timeout);
    bool is_peek = message->flags & ABI_MSG_PEEK;
    size_t copied = 0;

    if (message->flags & ABI_MSG_ERRQUEUE)
        return -EAGAIN;
    if (tcp_socket_phase(tcp) == TCP_PHASE_LISTENING)
        return -ENOTCONN;
    if (message->flags & ABI_MSG_OOB)
        return tcp_urgent_receive(tcp, message);
    for (;;) {
        size_t skip = is_peek ? copied : 0;
        if (copied && tcp_urgent_is_at_mark(tcp, skip))
            return (long)copied;
        long n = take(tcp, message, skip);
        if (n < 0)
            return copied ? (long)copied : n;
        copied += (size_t)n;
        if (message->io->remaining == 0 || copied >= target)
            return (long)copied;
        if (n > 0)
            continue; /* more may have come meanwhile */
        if (copied && __atomic_load_n(&sock->error, __ATOMIC_ACQUIRE))
            return (long)copied; /* the next call tells */
        skip = is_peek ? copied : 0;
        int err = nothing_there(tcp, skip, message->nonblock);
        if (err <= 0)
            return copied ? (long)copied : err;
        err = wait_on(&sock->readers, may_return(tcp, skip), deadline);
        if (err)
            return copied ? (long)copied : socket_wait_error(err, sock->receive_timeout);
    }
}
