// SPDX-License-Identifier: MIT
/*
 * Urgent data.
 *
 * lwIP knows nothing of it: what it receives is one stream, with the urgent byte in its place.  The hook for
 * each segment tells where that place is, which may be far ahead, and here it is kept with what has become of
 * the byte in one word, so that readers need no lock: position << 2 | state.  Positions count the bytes of the
 * stream from the beginning of the connection (64 bits: they never wrap).  A newer mark replaces an older.
 */
#include "net/tcp_urgent.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "fs/file.h"
#include "lwip/priv/tcp_priv.h"
#include "net/message.h"
#include "net/net.h"

enum urgent_state { URGENT_NONE, URGENT_COMING, URGENT_THERE, URGENT_READ };

#define STATE_BITS 2
#define STATE_MASK ((1U << STATE_BITS) - 1)

/* ---- The mark ---------------------------------------------------------------------- */

static uint64_t mark_of(const struct tcp_socket *tcp)
{
    return __atomic_load_n(&tcp->urgent, __ATOMIC_ACQUIRE);
}

static enum urgent_state state_of(uint64_t mark)
{
    return mark & STATE_MASK;
}

static uint64_t place_of(uint64_t mark)
{
    return mark >> STATE_BITS;
}

static void set_mark(struct tcp_socket *tcp, uint64_t place, enum urgent_state state)
{
    __atomic_store_n(&tcp->urgent, place << STATE_BITS | state, __ATOMIC_RELEASE);
}

void tcp_urgent_forget(struct tcp_socket *tcp)
{
    assert_held(&net_lock);
    set_mark(tcp, 0, URGENT_NONE);
}

/* Bytes from the reader to the mark; negative: behind it, or there is none. */
static int64_t distance_from(const struct tcp_socket *tcp, uint64_t mark, size_t skip)
{
    if (state_of(mark) == URGENT_NONE)
        return -1;
    uint64_t reader = __atomic_load_n(&tcp->read_position, __ATOMIC_ACQUIRE) + skip;
    return (int64_t)(place_of(mark) - reader);
}

bool tcp_urgent_is_at_mark(const struct tcp_socket *tcp, size_t skip)
{
    return distance_from(tcp, mark_of(tcp), skip) == 0;
}

size_t tcp_urgent_limit(const struct tcp_socket *tcp, size_t skip, size_t available,
                        bool *leave_out)
{
    int64_t distance = distance_from(tcp, mark_of(tcp), skip);

    *leave_out = distance == 0 && available && !READ_ONCE(tcp->inet.base.oob_inline);
    if (*leave_out)
        return available - 1;
    return distance > 0 ? MIN(available, (size_t)distance) : available;
}

bool tcp_urgent_is_there(const struct tcp_socket *tcp)
{
    return state_of(mark_of(tcp)) == URGENT_THERE;
}

/* ---- Arrival ------------------------------------------------------------------------- */

static void send_signal(struct tcp_socket *tcp)
{
    const struct file *file = __atomic_load_n(&tcp->inet.base.file, __ATOMIC_ACQUIRE);

    if (file)
        file_owner_tell(&file->owner, 0, NULL, ABI_SIGURG);
}

void tcp_urgent_announced(struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
    struct tcp_socket *tcp = pcb->callback_arg;
    uint16_t pointer = lwip_ntohs(header->urgp);

    assert_held(&net_lock);
    if (!tcp || pcb->state < ESTABLISHED)
        return;
    /* It points behind the byte. */
    uint32_t sequence = header->seqno + pointer - (pointer ? 1 : 0);
    int32_t ahead = (int32_t)(sequence - pcb->rcv_nxt);
    if (ahead < 0)
        return; /* told before */
    uint64_t place = tcp->read_position + tcp->received + (uint64_t)ahead;
    uint64_t old = mark_of(tcp);
    if (state_of(old) != URGENT_NONE && place <= place_of(old))
        return;
    set_mark(tcp, place, URGENT_COMING);
    send_signal(tcp);
    socket_wake_later(&tcp->inet.base, ABI_POLLPRI);
}

void tcp_urgent_arrived(struct tcp_socket *tcp, const struct pbuf *p)
{
    uint64_t mark = mark_of(tcp);

    if (state_of(mark) != URGENT_COMING)
        return;
    uint64_t ahead = place_of(mark) - (tcp->read_position + tcp->received);
    while (p && ahead >= p->len) {
        ahead -= p->len;
        p = p->next;
    }
    if (!p)
        return;
    tcp->urgent_byte = ((const uint8_t *)p->payload)[ahead];
    set_mark(tcp, place_of(mark), URGENT_THERE);
    socket_wake_later(&tcp->inet.base, ABI_POLLPRI);
}

void tcp_urgent_consumed(struct tcp_socket *tcp, size_t n)
{
    uint64_t position = tcp->read_position + n;
    uint64_t mark = mark_of(tcp);

    __atomic_store_n(&tcp->read_position, position, __ATOMIC_RELEASE);
    if (state_of(mark) != URGENT_NONE && position > place_of(mark))
        set_mark(tcp, 0, URGENT_NONE);
}

/* ---- recv(MSG_OOB) --------------------------------------------------------------------- */

/* 1: *byte is it; else what recv() returns. */
static int take_byte(struct tcp_socket *tcp, bool is_peek, uint8_t *byte)
{
    uint64_t mark = mark_of(tcp);
    enum urgent_state state = state_of(mark);

    if (tcp->inet.base.oob_inline || state == URGENT_NONE || state == URGENT_READ)
        return -EINVAL;
    if (state == URGENT_COMING)
        return tcp->got_fin || socket_is_shut(&tcp->inet.base, SHUTDOWN_READ) ? 0 : -EAGAIN;
    *byte = tcp->urgent_byte;
    if (!is_peek)
        set_mark(tcp, place_of(mark), URGENT_READ);
    return 1;
}

long tcp_urgent_receive(struct tcp_socket *tcp, struct message *message)
{
    uint8_t byte;

    net_begin();
    int found = take_byte(tcp, message->flags & ABI_MSG_PEEK, &byte);
    net_end();
    if (found <= 0)
        return found;
    message->out_flags |= ABI_MSG_OOB;
    if (message->io->remaining == 0) {
        message->out_flags |= ABI_MSG_TRUNC;
        return 0;
    }
    if (message->flags & ABI_MSG_TRUNC)
        return 1;
    return io_write_to(message->io, &byte, 1) == 1 ? 1 : -EFAULT;
}

/* ---- send(MSG_OOB) ---------------------------------------------------------------------- */

void tcp_urgent_mark(struct tcp_pcb *pcb)
{
    assert_held(&net_lock);
    for (struct tcp_seg *seg = pcb->unsent; seg; seg = seg->next) {
        uint32_t distance = pcb->snd_lbb - lwip_ntohl(seg->tcphdr->seqno);
        TCPH_SET_FLAG(seg->tcphdr, TCP_URG);
        seg->tcphdr->urgp = lwip_htons((uint16_t)MIN(distance, 0xffffU));
    }
}
