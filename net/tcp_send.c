// SPDX-License-Identifier: MIT
/*
 * Sending on a TCP connection.
 *
 * The application's bytes are copied once, into pbufs with room for the headers in front, before
 * net_lock is taken; each pbuf becomes a segment of lwIP's queue.  (lwIP's own tcp_write() would copy
 * again.)  The last segment may keep spare room, which later small writes fill while it waits.
 *
 * Pages of files (sendfile) are not copied where the device makes the packets and their checksums: a segment refers to
 * them (net/tcp_pages.c).  A segment that waits takes up what follows it, be it the head of an answer or a file's end.
 *
 * TCP_CORK and MSG_MORE: the segment that is not full stays back, by Nagle's rule and by not asking
 * for output, until more comes, the cork is pulled, there is no room for more, or half a second has passed.  (It goes
 * earlier when everything before it has just been acknowledged: lwIP sends then of its own accord.)
 */
#include <string.h>

#include "abi/errno.h"
#include "lwip/memp.h"
#include "lwip/priv/tcp_priv.h"
#include "net/message.h"
#include "net/net.h"
#include "net/tcp_batch.h"
#include "net/tcp_gso.h"
#include "net/tcp_pages.h"
#include "net/tcp_socket.h"
#include "net/tcp_urgent.h"

#define CHUNK_MAX     (128 << 10) /* one trip through the loop */
#define SPARE_MAX     1460        /* room for later small writes */
#define JOINED_MAX    8      /* writes that wait as one packet; more than that are worth copying */
#define REFERENCE_MIN 4096UL /* a copy of less is cheaper than references */

/* Segments that have been filled but not queued. */
struct chunk {
    struct tcp_seg *first, *last;
    size_t len;
    uint16_t spare; /* room behind the last one's data */
};

/* ---- Filling (without net_lock) ----------------------------------------------------- */

static void free_chunk(struct chunk *chunk)
{
    tcp_segs_free(chunk->first);
}

/* A segment with p, which is freed if there is no memory for it (NULL). */
static struct tcp_seg *make_segment(struct pbuf *p)
{
    struct tcp_seg *seg = p ? memp_malloc(MEMP_TCP_SEG) : NULL;

    if (seg)
        *seg = (struct tcp_seg){ .p = p, .len = p->tot_len };
    else if (p)
        pbuf_free(p);
    return seg;
}

/* A segment with len bytes of io and room for capacity; -ENOBUFS, -EFAULT. */
static int fill_segment(struct io *io, size_t len, size_t capacity, struct tcp_seg **out)
{
    struct tcp_seg *seg = make_segment(pbuf_alloc(PBUF_TRANSPORT, (u16_t)capacity, PBUF_RAM));

    if (!seg)
        return -ENOBUFS;
    long n = io_read_from(io, seg->p->payload, len);
    if (n <= 0) {
        tcp_seg_free(seg);
        return -EFAULT;
    }
    seg->p->len = seg->p->tot_len = seg->len = (u16_t)n;
    *out = seg;
    return (size_t)n < len ? 1 : 0; /* 1: a bad address follows */
}

/* One that refers to the pages of io; -ENOBUFS. */
static int refer_segment(struct io *io, size_t len, struct tcp_seg **out)
{
    *out = make_segment(tcp_pages_wrap(io, (uint16_t)len));
    return *out ? 0 : -ENOBUFS;
}

/*
 * Spare room costs memory, so it is made only where it will be used: when the segment will wait for
 * more, by Nagle's rule or because it is held.
 */
static bool wants_spare(const struct tcp_socket *tcp, bool is_held)
{
    return is_held || (!READ_ONCE(tcp->nodelay) && READ_ONCE(tcp->in_flight));
}

/* The size of segments for len bytes, of at most limit. */
static size_t segment_size(const struct tcp_socket *tcp, size_t len, size_t mss, unsigned limit)
{
    if (len <= mss)
        return mss;
    return MAX(MIN(limit, READ_ONCE(tcp->segment_limit)) / mss, 1U) * mss;
}

/* What of len bytes goes into the next segment.  A packet that is not full waits (wants_spare()) in one of its own. */
static size_t next_part(size_t len, size_t mss, size_t segment, bool has_spare)
{
    if (len >= segment)
        return segment;
    return has_spare && len > mss ? len / mss * mss : len;
}

static int fill_chunk(struct tcp_socket *tcp, struct io *io, size_t len, bool is_held,
                      struct chunk *chunk)
{
    bool is_pages = io->is_pages && len >= REFERENCE_MIN && READ_ONCE(tcp->is_cut_later);
    size_t mss = READ_ONCE(tcp->mss);
    size_t segment = segment_size(tcp, len, mss, is_pages ? TCP_GSO_PAGES_MAX : TCP_GSO_MAX);
    int err = 0;

    while (chunk->len < CHUNK_MAX && len && !err) {
        struct tcp_seg *seg;
        bool has_spare = wants_spare(tcp, is_held);
        size_t part = next_part(len, mss, segment, has_spare);
        size_t capacity = has_spare && !is_pages ? MAX(part, MIN(mss, part + SPARE_MAX)) : part;
        err = is_pages ? refer_segment(io, part, &seg) : fill_segment(io, part, capacity, &seg);
        if (err < 0)
            break;
        if (chunk->last)
            chunk->last->next = seg;
        else
            chunk->first = seg;
        chunk->last = seg;
        chunk->len += seg->len;
        chunk->spare = (uint16_t)(capacity - seg->len);
        len -= seg->len;
    }
    return chunk->len ? 0 : err;
}

/* ---- Queueing (with net_lock) ----------------------------------------------------------- */

static struct tcp_seg *last_unsent(const struct tcp_pcb *pcb)
{
    struct tcp_seg *seg = pcb->unsent;

    while (seg && seg->next)
        seg = seg->next;
    return seg;
}

/* Moves the beginning of seg to the spare room of last. */
static void fill_spare(struct tcp_pcb *pcb, struct tcp_seg *last, struct tcp_seg *seg)
{
    u16_t n = LWIP_MIN(pcb->unsent_oversize, seg->len);
    struct pbuf *p = last->p;

    for (; p->next; p = p->next)
        p->tot_len = (u16_t)(p->tot_len + n);
    memcpy((uint8_t *)p->payload + p->len, seg->p->payload, n);
    p->len = (u16_t)(p->len + n);
    p->tot_len = (u16_t)(p->tot_len + n);
    last->len = (u16_t)(last->len + n);
    pcb->unsent_oversize = (u16_t)(pcb->unsent_oversize - n);
    pcb->snd_lbb += n;
    pbuf_remove_header(seg->p, n);
    seg->len = (u16_t)(seg->len - n);
}

/* A segment that waits takes the whole of seg, without a copy; false: they are more than a packet. */
static bool join_last(struct tcp_pcb *pcb, struct tcp_seg *last, struct tcp_seg *seg)
{
    if (last->len == 0 || last->len + seg->len > pcb->mss || last->p->ref != 1 ||
        (TCPH_FLAGS(last->tcphdr) & (TCP_URG | TCP_FIN | TCP_SYN)) ||
        pbuf_clen(last->p) >= JOINED_MAX)
        return false;
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen + pbuf_clen(seg->p));
    pbuf_cat(last->p, seg->p);
    last->len = (u16_t)(last->len + seg->len);
    pcb->snd_lbb += seg->len;
    seg->p = NULL;
    tcp_seg_free(seg);
    return true;
}

/* Moves pages from the beginning of seg to the end of last, which then has up to limit bytes. */
static void extend(struct tcp_pcb *pcb, struct tcp_seg *last, struct tcp_seg *seg, size_t limit)
{
    u16_t n = (u16_t)MIN(seg->len, limit > last->len ? limit - last->len : 0);
    u16_t npieces = pbuf_clen(last->p);
    struct pbuf *rest = NULL;

    if (n == 0 || last->p->ref != 1 || npieces + pbuf_clen(seg->p) > TCP_PAGES_PIECES_MAX ||
        (TCPH_FLAGS(last->tcphdr) & (TCP_SYN | TCP_FIN | TCP_URG)))
        return;
    if (n < seg->len) {
        rest = tcp_pages_split(seg->p, n);
        if (!rest)
            return;
    }
    pbuf_cat(last->p, seg->p->next);
    seg->p->next = NULL; /* it was empty itself */
    pbuf_free(seg->p);
    seg->p = rest;
    seg->len = (u16_t)(seg->len - n);
    last->len = (u16_t)(last->len + n);
    pcb->snd_lbb += n;
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen + pbuf_clen(last->p) - npieces);
    pcb->unsent_oversize = 0;
}

/* What the last segment can take of the next. */
static void fill_last(const struct tcp_socket *tcp, struct tcp_seg *last, struct tcp_seg *seg)
{
    if (!last || last->len == 0)
        return;
    if (seg->p->next)
        extend(tcp->pcb, last, seg, segment_size(tcp, SIZE_MAX, tcp->mss, TCP_GSO_PAGES_MAX));
    else if (tcp->pcb->unsent_oversize)
        fill_spare(tcp->pcb, last, seg);
}

static void queue_chunk(struct tcp_socket *tcp, struct chunk *chunk, bool is_held)
{
    struct tcp_pcb *pcb = tcp->pcb;
    struct tcp_seg *last = last_unsent(pcb);

    pcb->snd_buf -= (tcpwnd_size_t)chunk->len;
    while (chunk->first) {
        struct tcp_seg *seg = chunk->first;
        chunk->first = seg->next;
        seg->next = NULL;
        fill_last(tcp, last, seg);
        if (seg->len == 0) {
            tcp_seg_free(seg); /* went to the last one whole */
            continue;
        }
        if (last && !chunk->first && join_last(pcb, last, seg)) {
            pcb->unsent_oversize = chunk->spare;
            break;
        }
        tcp_gso_set_header(pcb, seg, pcb->snd_lbb, 0);
        pcb->snd_lbb += seg->len;
        pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen + pbuf_clen(seg->p));
        if (last)
            last->next = seg;
        else
            pcb->unsent = seg;
        last = seg;
        pcb->unsent_oversize = chunk->first ? 0 : chunk->spare;
    }
    if (!is_held)
        TCPH_SET_FLAG(last->tcphdr, TCP_PSH);
}

/* Sends full segments only. */
static void output_held(struct tcp_socket *tcp, struct tcp_pcb *pcb)
{
    if (!tcp->is_held) {
        tcp_poll(pcb, pcb->poll, 2); /* half a second at least */
        pcb->polltmr = 0;
    }
    WRITE_ONCE(tcp->is_held, true);
    tcp_nagle_enable(pcb);
    if (pcb->unsent && (pcb->unsent->next || pcb->unsent->len >= pcb->mss))
        tcp_output(pcb);
}

/* Whatever Nagle's rule says. */
static void output_now(struct tcp_socket *tcp)
{
    tcp_nagle_disable(tcp->pcb);
    tcp_output(tcp->pcb);
    if (!tcp->nodelay)
        tcp_nagle_enable(tcp->pcb);
}

void tcp_send_flush(struct tcp_socket *tcp)
{
    struct tcp_pcb *pcb = tcp->pcb;
    struct tcp_seg *last;

    assert_held(&net_lock);
    if (!pcb || !tcp->is_held)
        return;
    WRITE_ONCE(tcp->is_held, false);
    tcp_poll(pcb, pcb->poll, tcp->is_starved ? 1 : UINT8_MAX);
    last = last_unsent(pcb);
    if (last)
        TCPH_SET_FLAG(last->tcphdr, TCP_PSH);
    output_now(tcp);
}

static int submit(struct tcp_socket *tcp, struct chunk *chunk, bool is_held, bool is_urgent)
{
    struct tcp_pcb *pcb = tcp->pcb;

    if (!pcb || (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT))
        return -EPIPE;
    /* An accepted connection: lwIP set its own idea after on_accept(). */
    if (!tcp->has_sent)
        pcb->cwnd = LWIP_MAX(pcb->cwnd, (tcpwnd_size_t)(10 * pcb->mss));
    tcp->has_sent = tcp->may_answer = true;
    queue_chunk(tcp, chunk, is_held);
    if (is_urgent)
        tcp_urgent_mark(pcb);
    if (is_urgent && !tcp->is_held) {
        output_now(tcp);
    } else if (is_held) {
        output_held(tcp, pcb);
    } else if (tcp->is_held) {
        tcp_send_flush(tcp);
    } else if (!tcp_batch_add(tcp)) {
        tcp_output(pcb);
    }
    tcp_event_update_queued(tcp);
    return 0;
}

/* There is no memory now; what is under way will give some back. */
static int starve(struct tcp_socket *tcp)
{
    net_begin();
    tcp_event_starve(tcp);
    net_end();
    return -EAGAIN;
}

/* Bytes queued, or -errno. */
static long send_chunk(struct tcp_socket *tcp, struct message *message)
{
    struct socket *sock = &tcp->inet.base;
    bool is_held = (READ_ONCE(tcp->cork) || (message->flags & ABI_MSG_MORE)) &&
                   !(message->flags & ABI_MSG_OOB);
    struct chunk chunk = { 0 };

    mutex_lock(&sock->write_lock);
    size_t room = __atomic_load_n(&tcp->room, __ATOMIC_ACQUIRE);
    int err = room
                  ? fill_chunk(tcp, message->io, MIN(room, message->io->remaining), is_held, &chunk)
                  : -EAGAIN;
    if (err == -ENOBUFS)
        err = starve(tcp);
    if (!err) {
        net_begin();
        bool is_urgent = (message->flags & ABI_MSG_OOB) && !message->io->remaining;
        err = submit(tcp, &chunk, is_held, is_urgent);
        net_end();
        if (err)
            free_chunk(&chunk);
    }
    mutex_unlock(&sock->write_lock);
    return err ? err : (long)chunk.len;
}

/* ---- send(2) ----------------------------------------------------------------------------- */

bool tcp_send_is_writable(const struct tcp_socket *tcp)
{
    size_t room = __atomic_load_n(&tcp->room, __ATOMIC_SEQ_CST);
    return room > 0 && room >= READ_ONCE(tcp->in_flight) / 2;
}

static bool has_ended(const struct tcp_socket *tcp)
{
    const struct socket *sock = &tcp->inet.base;

    return __atomic_load_n(&sock->error, __ATOMIC_ACQUIRE) ||
           tcp_socket_phase(tcp) != TCP_PHASE_CONNECTED || socket_is_shut(sock, SHUTDOWN_WRITE);
}

static bool may_continue(struct tcp_socket *tcp)
{
    __atomic_store_n(&tcp->wants_room, true, __ATOMIC_SEQ_CST);
    return tcp_send_is_writable(tcp) || has_ended(tcp);
}

/* 0: the connection takes data. */
static int check(struct tcp_socket *tcp, bool nonblock, nsec_t deadline)
{
    struct socket *sock = &tcp->inet.base;

    if (tcp_socket_phase(tcp) == TCP_PHASE_CONNECTING) {
        if (nonblock)
            return -EAGAIN;
        int err = wait_on(&sock->writers, tcp_socket_phase(tcp) != TCP_PHASE_CONNECTING, deadline);
        if (err)
            return socket_wait_error(err, sock->send_timeout);
    }
    int err = socket_take_error(sock);
    if (err)
        return err;
    if (tcp_socket_phase(tcp) != TCP_PHASE_CONNECTED || socket_is_shut(sock, SHUTDOWN_WRITE))
        return -EPIPE;
    return 0;
}

/* More does not fit, and with less than two packets under way no acknowledgement that makes room may come soon. */
static void flush_full(struct tcp_socket *tcp)
{
    const struct tcp_pcb *pcb;

    net_begin();
    pcb = tcp->pcb;
    if (pcb && (!pcb->unacked || !pcb->unacked->next))
        tcp_send_flush(tcp);
    net_end();
}

/* No room: 0 to try again. */
static int wait_for_room(struct tcp_socket *tcp, bool nonblock, nsec_t deadline)
{
    struct socket *sock = &tcp->inet.base;

    if (READ_ONCE(tcp->is_held))
        flush_full(tcp);
    if (nonblock) {
        /* Whoever polls for room is to hear of it; it may have come just now. */
        __atomic_store_n(&tcp->wants_room, true, __ATOMIC_SEQ_CST);
        return __atomic_load_n(&tcp->room, __ATOMIC_SEQ_CST) ? 0 : -EAGAIN;
    }
    int err = wait_on(&sock->writers, may_continue(tcp), deadline);
    return err ? socket_wait_error(err, sock->send_timeout) : 0;
}

long tcp_send_message(struct socket *sock, struct message *message)
{
    struct tcp_socket *tcp = tcp_of(sock);
    nsec_t deadline = socket_deadline(sock->send_timeout);
    size_t sent = 0;

    int err = check(tcp, message->nonblock, deadline);
    if (err)
        return err;
    while (message->io->remaining) {
        long n = send_chunk(tcp, message);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        err = (int)n;
        if (err == -EAGAIN)
            err = wait_for_room(tcp, message->nonblock, deadline);
        if (sent) {
            if (err || has_ended(tcp))
                return (long)sent; /* the next call tells why */
            continue;
        }
        if (!err || err == -EPIPE) {
            int state = check(tcp, message->nonblock, deadline);
            err = state ? state : err;
        }
        if (err)
            return err;
    }
    return (long)sent;
}
