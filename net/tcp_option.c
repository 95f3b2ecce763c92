// SPDX-License-Identifier: MIT
/*
 * The options of SOL_TCP (tcp(7)).
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "lwip/priv/tcp_priv.h"
#include "net/net.h"
#include "net/tcp_socket.h"

#define RECEIVE_WINDOW_MIN 65535  /* what the handshake has announced */
#define CONGESTION_NAME    "reno" /* lwIP's (RFC 5681) */
#define KEEP_MAX_SECONDS   32767
#define KEEP_MAX_COUNT     127

/* ---- To the PCB -------------------------------------------------------------------- */

static void apply_keepalive(const struct tcp_socket *tcp, struct tcp_pcb *pcb)
{
    if (tcp->inet.base.keepalive)
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = tcp->keep_idle ? (u32_t)tcp->keep_idle * 1000UL : TCP_KEEPIDLE_DEFAULT;
    pcb->keep_intvl =
        tcp->keep_interval ? (u32_t)tcp->keep_interval * 1000UL : TCP_KEEPINTVL_DEFAULT;
    pcb->keep_cnt = tcp->keep_count ? (u32_t)tcp->keep_count : TCP_KEEPCNT_DEFAULT;
}

void tcp_option_limit_window(const struct tcp_socket *tcp, struct tcp_pcb *pcb)
{
    unsigned size = tcp->inet.base.receive_buffer;

    if (size == RECEIVE_BUFFER_DEFAULT)
        return;
    pcb->rcv_wnd = LWIP_MIN(pcb->rcv_wnd, (tcpwnd_size_t)LWIP_MAX(size / 2, RECEIVE_WINDOW_MIN));
}

void tcp_option_apply(struct tcp_socket *tcp, struct tcp_pcb *pcb)
{
    const struct socket *sock = &tcp->inet.base;

    assert_held(&net_lock);
    if (tcp->nodelay && !tcp->cork)
        tcp_nagle_disable(pcb);
    else
        tcp_nagle_enable(pcb);
    ip_set_option(pcb, SOF_REUSEADDR); /* net/ports.c has made lwIP's check */
    if (sock->reuse_address)
        ip_set_option(pcb, SOF_REUSEADDR_SET);
    if (sock->reuse_port)
        ip_set_option(pcb, SOF_REUSEPORT_SET);
    pcb->ttl = inet_ttl(&tcp->inet);
    pcb->tos = (u8_t)tcp->inet.tos;
    apply_keepalive(tcp, pcb);
    pcb->recovery.user_timeout = (uint32_t)tcp->user_timeout;
    pcb->recovery.syn_count = (uint8_t)tcp->syn_count;
    if (tcp->max_segment)
        pcb->mss = LWIP_MIN(pcb->mss, (u16_t)tcp->max_segment);
}

void tcp_option_inherit(struct tcp_socket *tcp, const struct tcp_socket *listener)
{
    struct socket *to = &tcp->inet.base;
    const struct socket *from = &listener->inet.base;

    to->receive_timeout = from->receive_timeout;
    to->send_timeout = from->send_timeout;
    to->receive_buffer = from->receive_buffer;
    to->send_buffer = from->send_buffer;
    to->receive_low = from->receive_low;
    to->reuse_address = from->reuse_address;
    to->reuse_port = from->reuse_port;
    to->keepalive = from->keepalive;
    to->oob_inline = from->oob_inline;
    to->linger = from->linger;
    to->priority = from->priority;
    to->mark = from->mark;
    to->owner = from->owner;
    tcp->inet.v6only = listener->inet.v6only;
    tcp->inet.ttl = listener->inet.ttl;
    tcp->inet.tos = listener->inet.tos;
    tcp->nodelay = listener->nodelay;
    tcp->cork = listener->cork;
    tcp->keep_idle = listener->keep_idle;
    tcp->keep_interval = listener->keep_interval;
    tcp->keep_count = listener->keep_count;
    tcp->user_timeout = listener->user_timeout;
    tcp->max_segment = listener->max_segment;
    tcp->notsent_low = listener->notsent_low;
}

void tcp_option_changed(struct socket *sock, int name)
{
    struct tcp_socket *tcp = tcp_of(sock);

    net_begin();
    if (tcp->pcb)
        tcp_option_apply(tcp, tcp->pcb);
    if (name == ABI_SO_SNDBUF || name == ABI_SO_SNDBUFFORCE)
        tcp_event_update_room(tcp);
    net_end();
}

/* ---- setsockopt(2) -------------------------------------------------------------------- */

static int set_range(int *field, int value, int low, int high)
{
    if (value < low || value > high)
        return -EINVAL;
    WRITE_ONCE(*field, value);
    return 0;
}

static void set_cork(struct tcp_socket *tcp, bool cork)
{
    WRITE_ONCE(tcp->cork, cork);
    net_begin();
    if (!cork)
        tcp_send_flush(tcp);
    net_end();
}

static void set_nodelay(struct tcp_socket *tcp, bool nodelay)
{
    WRITE_ONCE(tcp->nodelay, nodelay);
    net_begin();
    if (tcp->pcb && !tcp->cork) {
        if (nodelay) {
            tcp_nagle_disable(tcp->pcb);
            tcp_output(tcp->pcb); /* as Linux: what waited goes now */
        } else {
            tcp_nagle_enable(tcp->pcb);
        }
    }
    net_end();
}

static int set_number(struct tcp_socket *tcp, int name, int value)
{
    switch (name) {
    case ABI_TCP_NODELAY:
        set_nodelay(tcp, value != 0);
        return 0;
    case ABI_TCP_CORK:
        set_cork(tcp, value != 0);
        return 0;
    case ABI_TCP_KEEPIDLE:
        return set_range(&tcp->keep_idle, value, 1, KEEP_MAX_SECONDS);
    case ABI_TCP_KEEPINTVL:
        return set_range(&tcp->keep_interval, value, 1, KEEP_MAX_SECONDS);
    case ABI_TCP_KEEPCNT:
        return set_range(&tcp->keep_count, value, 1, KEEP_MAX_COUNT);
    case ABI_TCP_SYNCNT:
        return set_range(&tcp->syn_count, value, 1, KEEP_MAX_COUNT);
    case ABI_TCP_MAXSEG:
        if (value == 0) {
            tcp->max_segment = 0;
            return 0;
        }
        return set_range(&tcp->max_segment, value, 88, 32767);
    case ABI_TCP_USER_TIMEOUT:
        return set_range(&tcp->user_timeout, value, 0, INT32_MAX);
    case ABI_TCP_LINGER2:
        tcp->linger2 = value;
        return 0;
    case ABI_TCP_DEFER_ACCEPT:
        tcp->defer_accept = MAX(value, 0);
        return 0;
    case ABI_TCP_WINDOW_CLAMP:
        tcp->window_clamp = value;
        return 0;
    case ABI_TCP_QUICKACK:
        tcp->no_quick_ack = value == 0;
        return 0;
    case ABI_TCP_NOTSENT_LOWAT:
        tcp->notsent_low = value;
        return 0;
    case ABI_TCP_FASTOPEN:
        tcp->fast_open = value; /* a permission, which lwIP never makes use of */
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_congestion(const void *value, unsigned len)
{
    size_t n = MIN(len, 15U);

    if (n == 0)
        return -EINVAL;
    n = strnlen(value, n);
    bool is_known = n == strlen(CONGESTION_NAME) && memcmp(value, CONGESTION_NAME, n) == 0;
    return is_known ? 0 : -ENOENT;
}

int tcp_option_set(struct socket *sock, int level, int name, const void *value, unsigned len)
{
    struct tcp_socket *tcp = tcp_of(sock);
    int number;

    if (level != ABI_SOL_TCP)
        return inet_set_option(sock, level, name, value, len);
    if (name == ABI_TCP_CONGESTION)
        return set_congestion(value, len);
    int err = option_int(value, len, &number);
    if (!err)
        err = set_number(tcp, name, number);
    bool is_limit = name == ABI_TCP_USER_TIMEOUT || name == ABI_TCP_SYNCNT;
    if (!err && (is_limit || (name >= ABI_TCP_KEEPIDLE && name <= ABI_TCP_KEEPCNT)))
        tcp_option_changed(sock, 0);
    return err;
}

/* ---- getsockopt(2) ----------------------------------------------------------------------- */

uint8_t tcp_option_state(enum tcp_state state)
{
    static const uint8_t states[] = {
        [CLOSED] = ABI_TCP_CLOSE,
        [LISTEN] = ABI_TCP_LISTEN,
        [SYN_SENT] = ABI_TCP_SYN_SENT,
        [SYN_RCVD] = ABI_TCP_SYN_RECV,
        [ESTABLISHED] = ABI_TCP_ESTABLISHED,
        [FIN_WAIT_1] = ABI_TCP_FIN_WAIT1,
        [FIN_WAIT_2] = ABI_TCP_FIN_WAIT2,
        [CLOSE_WAIT] = ABI_TCP_CLOSE_WAIT,
        [CLOSING] = ABI_TCP_CLOSING,
        [LAST_ACK] = ABI_TCP_LAST_ACK,
        [TIME_WAIT] = ABI_TCP_TIME_WAIT,
    };

    return states[state];
}

static uint8_t socket_state(const struct tcp_socket *tcp)
{
    if (tcp->phase == TCP_PHASE_LISTENING)
        return ABI_TCP_LISTEN;
    return tcp->pcb ? tcp_option_state(tcp->pcb->state) : ABI_TCP_CLOSE;
}

static void fill_from_pcb(const struct tcp_pcb *pcb, struct abi_tcp_info *info)
{
    info->tcpi_retransmits = pcb->nrtx;
    info->tcpi_probes = pcb->persist_probe;
    info->tcpi_backoff = pcb->persist_backoff;
    if (pcb->flags & TF_WND_SCALE) {
        info->tcpi_options |= ABI_TCPI_OPT_WSCALE;
        info->tcpi_wscale = (uint8_t)(pcb->snd_scale | pcb->rcv_scale << 4);
    }
    if (pcb->flags & TF_SACK)
        info->tcpi_options |= ABI_TCPI_OPT_SACK;
    info->tcpi_rto = (uint32_t)(tcp_rto_of(&pcb->recovery.timer) / NSEC_PER_USEC);
    info->tcpi_ato = 40000;
    info->tcpi_snd_mss = pcb->mss;
    info->tcpi_rcv_mss = pcb->mss;
    info->tcpi_advmss = pcb->mss;
    info->tcpi_pmtu = (uint32_t)pcb->mss + 40;
    for (const struct tcp_seg *seg = pcb->unacked; seg; seg = seg->next)
        info->tcpi_unacked++;
    for (const struct tcp_seg *seg = pcb->unsent; seg; seg = seg->next)
        info->tcpi_notsent_bytes += seg->len;
    info->tcpi_last_data_recv = (tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL;
    info->tcpi_last_ack_recv = info->tcpi_last_data_recv;
    info->tcpi_rcv_ssthresh = pcb->rcv_ann_wnd;
    info->tcpi_rcv_space = pcb->rcv_wnd;
    info->tcpi_rtt = (uint32_t)(pcb->recovery.timer.srtt / NSEC_PER_USEC);
    info->tcpi_rttvar = (uint32_t)(pcb->recovery.timer.rttvar / NSEC_PER_USEC);
    info->tcpi_total_retrans = pcb->recovery.nresent;
    info->tcpi_snd_ssthresh = pcb->ssthresh / pcb->mss;
    info->tcpi_snd_cwnd = LWIP_MAX(pcb->cwnd / pcb->mss, 1U);
    info->tcpi_reordering = 3;
}

static int get_info(struct tcp_socket *tcp, void *value, unsigned *len)
{
    struct abi_tcp_info info = { 0 };

    net_begin();
    info.tcpi_state = socket_state(tcp);
    if (tcp->pcb)
        fill_from_pcb(tcp->pcb, &info);
    net_end();
    return option_store(value, len, &info, sizeof(info));
}

static int max_segment(struct tcp_socket *tcp)
{
    net_begin();
    int mss = tcp->pcb ? tcp->pcb->mss : 536;
    net_end();
    return tcp->max_segment && mss == 536 ? tcp->max_segment : mss;
}

static int get_number(struct tcp_socket *tcp, int name, int *value)
{
    switch (name) {
    case ABI_TCP_NODELAY:
        *value = tcp->nodelay;
        return 0;
    case ABI_TCP_CORK:
        *value = tcp->cork;
        return 0;
    case ABI_TCP_KEEPIDLE:
        *value = tcp->keep_idle ? tcp->keep_idle : (int)(TCP_KEEPIDLE_DEFAULT / 1000);
        return 0;
    case ABI_TCP_KEEPINTVL:
        *value = tcp->keep_interval ? tcp->keep_interval : (int)(TCP_KEEPINTVL_DEFAULT / 1000);
        return 0;
    case ABI_TCP_KEEPCNT:
        *value = tcp->keep_count ? tcp->keep_count : (int)TCP_KEEPCNT_DEFAULT;
        return 0;
    case ABI_TCP_SYNCNT:
        *value = tcp->syn_count ? tcp->syn_count : TCP_SYNMAXRTX - 1;
        return 0;
    case ABI_TCP_MAXSEG:
        *value = max_segment(tcp);
        return 0;
    case ABI_TCP_USER_TIMEOUT:
        *value = tcp->user_timeout;
        return 0;
    case ABI_TCP_LINGER2:
        *value = tcp->linger2 ? tcp->linger2 : 60;
        return 0;
    case ABI_TCP_DEFER_ACCEPT:
        *value = tcp->defer_accept;
        return 0;
    case ABI_TCP_WINDOW_CLAMP:
        *value = tcp->window_clamp ? tcp->window_clamp : LWIP_TCP_WND_FIRST;
        return 0;
    case ABI_TCP_QUICKACK:
        *value = !tcp->no_quick_ack;
        return 0;
    case ABI_TCP_NOTSENT_LOWAT:
        *value = tcp->notsent_low;
        return 0;
    case ABI_TCP_FASTOPEN:
        *value = tcp->fast_open;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int tcp_option_get(struct socket *sock, int level, int name, void *value, unsigned *len)
{
    struct tcp_socket *tcp = tcp_of(sock);
    int number;

    if (level != ABI_SOL_TCP)
        return inet_get_option(sock, level, name, value, len);
    if (name == ABI_TCP_INFO)
        return get_info(tcp, value, len);
    if (name == ABI_TCP_CONGESTION)
        return option_store(value, len, CONGESTION_NAME "\0\0\0\0\0\0\0\0\0\0\0", 16);
    int err = get_number(tcp, name, &number);
    return err ? err : option_store_int(value, len, number);
}
