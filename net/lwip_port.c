// SPDX-License-Identifier: MIT
/*
 * What lwIP asks of its platform: memory, random numbers, checksums, and the places where its
 * behaviour is completed to Linux's.
 *
 * Memory is allocated without waiting while net_lock is held: reclaim takes locks that come
 * before net_lock.
 */
#include "net/lwip_port.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/entropy.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "lwip/sys.h"
#include "net/icmp_error.h"
#include "net/net.h"
#include "net/tcp_memory.h"
#include "net/tcp_socket.h"
#include "net/tcp_table.h"
#include "net/tcp_urgent.h"

#define TCP_OPTIONS_MAX 40 /* bytes: the length of a header is a number of 4 bits */

void *lwip_port_malloc(size_t size)
{
    return kmalloc(size, mutex_is_held(&net_lock) ? ALLOC_ATOMIC : ALLOC_WAIT);
}

void *lwip_port_calloc(size_t count, size_t size)
{
    return kcalloc(count, size, mutex_is_held(&net_lock) ? ALLOC_ATOMIC : ALLOC_WAIT);
}

void lwip_port_free(void *pointer)
{
    kfree(pointer);
}

void lwip_port_assert_locked(void)
{
    assert_held(&net_lock);
}

void lwip_port_assert_failed(const char *message)
{
    panic("lwIP: %s", message);
}

uint32_t lwip_port_random(void)
{
    return (uint32_t)random64();
}

u32_t sys_now(void)
{
    return (u32_t)(clock_monotonic() / NSEC_PER_MSEC);
}

void sys_init(void)
{
}

static inline uint32_t word32(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, 4);
    return word;
}

static inline uint64_t sum_word(uint64_t sum, const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
    sum += word;
    return sum + (sum < word); /* the carry */
}

/* The last 1 to 7 bytes as a word whose others are zero. */
static inline uint64_t sum_rest(const uint8_t *p, unsigned len)
{
    uint64_t rest = 0;
    unsigned at = 0;

    if (len & 4) {
        rest = word32(p);
        at = 4;
    }
    if (len & 2) {
        uint16_t part;
        memcpy(&part, p + at, 2);
        rest |= (uint64_t)part << 8 * at;
        at += 2;
    }
    if (len & 1)
        rest |= (uint64_t)p[at] << 8 * at;
    return rest;
}

/*
 * The Internet checksum (RFC 1071), not inverted: a one's complement sum may be taken in words of
 * any size, so it adds eight bytes at a time and folds at the end.
 */
uint16_t lwip_port_checksum(const void *data, int len)
{
    const uint8_t *p = data;
    uint64_t sum = 0;

    for (; len >= 32; len -= 32, p += 32) {
        sum = sum_word(sum, p);
        sum = sum_word(sum, p + 8);
        sum = sum_word(sum, p + 16);
        sum = sum_word(sum, p + 24);
    }
    if (len & 16) {
        sum = sum_word(sum, p);
        sum = sum_word(sum, p + 8);
        p += 16;
    }
    if (len & 8) {
        sum = sum_word(sum, p);
        p += 8;
    }
    if (len & 7) {
        uint64_t rest = len & 3 ? sum_rest(p, (unsigned)len & 7) : word32(p);
        sum += rest;
        sum += sum < rest;
    }
    uint32_t half = (uint32_t)sum + (uint32_t)(sum >> 32);
    half += half < (uint32_t)sum;
    return (uint16_t)((half + (half << 16 | half >> 16)) >>
                      16); /* the sum of both halves carries into the upper */
}

/* ---- Sequence numbers ----------------------------------------------------- */

static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

/* SipHash-1-3 rounds (Aumasson and Bernstein) over whole words. */
static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t keyed_hash(const uint64_t key[2], const uint64_t *word, size_t nwords)
{
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                      key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };

    for (size_t i = 0; i < nwords; i++) {
        v[3] ^= word[i];
        sip_round(v);
        v[0] ^= word[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void put_address(uint64_t word[2], const ip_addr_t *address)
{
    memset(word, 0, 16);
    if (IP_IS_V6(address))
        memcpy(word, ip_2_ip6(address)->addr, 16);
    else
        memcpy(word, &ip_2_ip4(address)->addr, 4);
}

u32_t lwip_port_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                        u16_t remote_port)
{
    static uint64_t key[2];
    uint64_t word[5];

    if (key[0] == 0)
        random_bytes(key, sizeof(key));
    put_address(word, local_ip);
    put_address(word + 2, remote_ip);
    word[4] = (uint64_t)local_port << 16 | remote_port;
    /* Plus a clock of 64 ns, so that a new incarnation follows the old one (RFC 6528, 3). */
    return (u32_t)keyed_hash(key, word, 5) + (u32_t)(clock_monotonic() >> 6);
}

/* ---- Packets ---------------------------------------------------------------- */

struct tcp_pcb *lwip_port_find_pcb(const struct tcp_hdr *header, bool in_time_wait)
{
    struct tcp_pcb *pcb =
        tcp_table_find(ip_current_dest_addr(), header->dest, ip_current_src_addr(), header->src);
    if (!pcb || (pcb->state == TIME_WAIT) != in_time_wait)
        return NULL;
    if (pcb->netif_idx != NETIF_NO_INDEX &&
        pcb->netif_idx != netif_get_index(ip_current_input_netif()))
        return NULL;
    return pcb;
}

/* Back to how the segment looked before tcp_input() took it apart. */
static bool restore_segment(struct tcp_hdr *header, u16_t optlen, struct pbuf *p)
{
    if ((const u8_t *)p->payload - (const u8_t *)header != (ptrdiff_t)(sizeof(*header) + optlen))
        return false; /* the options lie in the next buffer */
    if (pbuf_header_force(p, (s16_t)(sizeof(*header) + optlen)))
        return false;
    header->src = lwip_htons(header->src);
    header->dest = lwip_htons(header->dest);
    header->seqno = lwip_htonl(header->seqno);
    header->ackno = lwip_htonl(header->ackno);
    header->wnd = lwip_htons(header->wnd);
    return true;
}

/*
 * A peer may use a port again while we still hold its last connection in TIME-WAIT.  lwIP would
 * answer with an ACK and cost the peer a second; Linux takes a SYN beyond the old sequence
 * numbers as a new connection (RFC 1122, 4.2.2.13), and so do we.
 */
static err_t check_time_wait(struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t optlen,
                             struct pbuf *p)
{
    if ((TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
        return ERR_OK;
    if (!TCP_SEQ_GT(header->seqno, pcb->rcv_nxt))
        return ERR_OK;
    if (!restore_segment(header, optlen, p))
        return ERR_OK;

    /* lwIP's next tick frees it: to take it out of the list of all of them now would be a walk. */
    tcp_table_remove(pcb);
    pcb->tmr = tcp_ticks - LWIP_TIME_WAIT_MS / TCP_SLOW_INTERVAL - 1;
    pbuf_ref(p); /* tcp_input() frees it, and so does our caller */
    tcp_input(p, ip_current_input_netif());
    return ERR_ABRT;
}

/*
 * A segment out of order that reaches beyond the window: lwIP would keep it whole, and find out that it
 * does not fit when the gap before it is filled (an assertion).  No honest peer sends one.
 */
static bool overruns_window(const struct tcp_pcb *pcb, const struct tcp_hdr *header,
                            const struct pbuf *p)
{
    u32_t len = p->tot_len + ((TCPH_FLAGS(header) & (TCP_FIN | TCP_SYN)) ? 1U : 0U);

    if (pcb->state < ESTABLISHED || len == 0)
        return false;
    return TCP_SEQ_GT(header->seqno, pcb->rcv_nxt) &&
           TCP_SEQ_GT(header->seqno + len, pcb->rcv_nxt + pcb->rcv_wnd);
}

/* The machine's memory for connections may be used up. */
static bool has_memory(const struct tcp_pcb *pcb, const struct tcp_hdr *header,
                       const struct pbuf *p)
{
    const struct tcp_socket *tcp = pcb->callback_arg;

    if (p->tot_len == 0 || pcb->state < ESTABLISHED || !tcp)
        return true;
    return tcp_memory_may_receive(tcp->true_size, header->seqno == pcb->rcv_nxt);
}

err_t lwip_port_tcp_packet(struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t optlen, u16_t opt1len,
                           const u8_t *opt2, struct pbuf *p)
{
    uint8_t option[TCP_OPTIONS_MAX];

    if (pcb->state == TIME_WAIT)
        return check_time_wait(pcb, header, optlen, p);
    if (pcb->state == LISTEN)
        return ERR_OK;
    if (overruns_window(pcb, header, p) || !has_memory(pcb, header, p))
        return ERR_VAL; /* dropped */
    if (TCPH_FLAGS(header) & TCP_URG)
        tcp_urgent_announced(pcb, header);
    if (optlen)
        memcpy(option, header + 1, opt1len);
    if (opt1len < optlen)
        memcpy(option + opt1len, opt2, optlen - opt1len);
    tcp_recovery_begin(pcb, header, option, optlen);
    return ERR_OK;
}

int lwip_port_ip4_input(struct pbuf *p, struct netif *netif)
{
    icmp_error_input4(p);
    return 0;
}

int lwip_port_ip6_input(struct pbuf *p, struct netif *netif)
{
    icmp_error_input6(p);
    return 0;
}
