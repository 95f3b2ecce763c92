// SPDX-License-Identifier: MIT
/*
 * Frames from the network, drawn from the input, against sockets of all kinds.  Half of them are raw bytes; the
 * others get headers that lead deep into the stack: this machine's addresses, known ports, the sequence
 * numbers that a listener would accept.  The device vouches for checksums, so none stands in the way.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/inet.h"
#include "abi/socket.h"
#include "kernel/syscall.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "net/net.h"
#include "tests/host/net_world.h"

#define FRAME_MAX 600
#define ROUNDS    64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static unsigned take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static size_t take_bytes(struct input *input, uint8_t *to, size_t max)
{
    size_t n = MIN(max, (size_t)(input->end - input->at));

    memcpy(to, input->at, n);
    input->at += n;
    return n;
}

/* ---- Frames -------------------------------------------------------------------------- */

struct tcp_frame {
    struct eth_hdr eth;
    struct ip_hdr ip;
    struct tcp_hdr tcp;
    uint8_t rest[80];
} __packed;

static void set_addresses(struct eth_hdr *eth, u16_t type)
{
    memcpy(eth->dest.addr, "\2\0\0\0\0\17", 6);
    memcpy(eth->src.addr, "\2\0\0\0\0\2", 6);
    eth->type = lwip_htons(type);
}

static void set_ip(struct ip_hdr *ip, size_t len, unsigned protocol)
{
    memset(ip, 0, sizeof(*ip));
    IPH_VHL_SET(ip, 4, 5);
    IPH_LEN_SET(ip, lwip_htons((u16_t)len));
    IPH_TTL_SET(ip, 64);
    IPH_PROTO_SET(ip, (u8_t)protocol);
    ip->src.addr = lwip_htonl(WORLD_PEER);
    ip->dest.addr = lwip_htonl(WORLD_ADDRESS);
    IPH_CHKSUM_SET(ip, (u16_t)~lwip_port_checksum(ip, sizeof(*ip)));
}

/* A segment for a connection that exists, or for the listener. */
static void inject_tcp(struct input *input)
{
    struct tcp_frame frame = { 0 };
    unsigned options = take(input) % 11;
    unsigned flags = take(input);
    size_t len = take(input) % 32;
    uint32_t seq = 1000, ack = 0, scale = take(input) & 1 ? 20 : 4110; /* to beyond the window */

    net_begin();
    const struct tcp_pcb *pcb = tcp_active_pcbs;
    for (unsigned skip = take(input) % 4; pcb && skip; skip--)
        pcb = pcb->next;
    if (pcb && pcb->state != SYN_SENT) {
        seq = pcb->rcv_nxt;
        ack = pcb->snd_nxt;
    } else if (pcb) {
        ack = pcb->snd_nxt;
    }
    u16_t local = pcb ? pcb->local_port : 80;
    u16_t remote = pcb ? pcb->remote_port : (u16_t)(1000 + take(input));
    net_end();
    len += (size_t)options * 4;
    set_addresses(&frame.eth, ETHTYPE_IP);
    set_ip(&frame.ip, 40 + len, IP_PROTO_TCP);
    frame.tcp.src = lwip_htons(remote);
    frame.tcp.dest = lwip_htons(local);
    frame.tcp.seqno = lwip_htonl(seq + (uint32_t)(int8_t)take(input) * scale);
    frame.tcp.ackno = lwip_htonl(ack + (uint32_t)(int8_t)take(input));
    frame.tcp.wnd = lwip_htons((u16_t)(take(input) << 8));
    TCPH_HDRLEN_FLAGS_SET(&frame.tcp, 5 + options, flags & 0x3f);
    take_bytes(input, frame.rest, len);
    net_world_inject(&frame, 54 + len, take(input));
}

static void inject_ip(struct input *input)
{
    uint8_t frame[FRAME_MAX] = { 0 };
    unsigned protocol = take(input);
    size_t len = take_bytes(input, frame + 34, take(input) * 2);

    set_addresses((void *)frame, ETHTYPE_IP);
    set_ip((void *)(frame + 14), 20 + len, protocol & 1 ? IP_PROTO_UDP : protocol >> 1);
    net_world_inject(frame, 34 + len, take(input));
}

static void inject_ethernet(struct input *input)
{
    static const u16_t types[] = { ETHTYPE_IP, ETHTYPE_ARP, ETHTYPE_IPV6, ETHTYPE_VLAN };
    uint8_t frame[FRAME_MAX] = { 0 };
    unsigned choice = take(input);
    size_t len = 14 + take_bytes(input, frame + 14, take(input) * 2);

    set_addresses((void *)frame, types[choice % 4]);
    if (choice & 0x80)
        memset(frame, 0xff, 6);
    net_world_inject(frame, len, take(input));
}

static void inject_raw(struct input *input)
{
    uint8_t frame[FRAME_MAX];
    size_t len = take_bytes(input, frame, take(input));

    if (len)
        net_world_inject(frame, len, take(input));
}

/* ---- Sockets --------------------------------------------------------------------------- */

static int fds[8];

static void open_sockets(void)
{
    struct abi_sockaddr_in any = { .sin_family = ABI_AF_INET, .sin_port = PP_HTONS(80) };
    struct abi_sockaddr_in6 any6 = { .sin6_family = ABI_AF_INET6, .sin6_port = PP_HTONS(81) };
    struct abi_sockaddr_in peer = { .sin_family = ABI_AF_INET,
                                    .sin_port = PP_HTONS(9),
                                    .sin_addr = PP_HTONL(WORLD_PEER) };
    const int one = 1;

    memset(fds, -1, sizeof(fds));
    fds[0] = (int)sys_socket(ABI_AF_INET, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0);
    (void)sys_bind(fds[0], &any, sizeof(any));
    (void)sys_listen(fds[0], 3);
    fds[1] = (int)sys_socket(ABI_AF_INET, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0);
    (void)sys_bind(fds[1], &any, sizeof(any));
    (void)sys_setsockopt(fds[1], ABI_SOL_IP, ABI_IP_PKTINFO, &one, sizeof(one));
    fds[2] = (int)sys_socket(ABI_AF_INET, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0);
    (void)sys_connect(fds[2], &peer, sizeof(peer));
    fds[3] = (int)sys_socket(ABI_AF_INET, ABI_SOCK_RAW | ABI_SOCK_NONBLOCK, ABI_IPPROTO_ICMP);
    fds[4] = (int)sys_socket(ABI_AF_INET6, ABI_SOCK_STREAM | ABI_SOCK_NONBLOCK, 0);
    (void)sys_bind(fds[4], &any6, sizeof(any6));
    (void)sys_listen(fds[4], 3);
    fds[5] = (int)sys_socket(ABI_AF_INET6, ABI_SOCK_RAW | ABI_SOCK_NONBLOCK, ABI_IPPROTO_ICMPV6);
    fds[6] = (int)sys_socket(ABI_AF_INET, ABI_SOCK_DGRAM | ABI_SOCK_NONBLOCK, 0);
    (void)sys_connect(fds[6], &peer, sizeof(peer));
}

/* What a program would do meanwhile. */
static void use_sockets(struct input *input)
{
    static char buffer[4000];
    unsigned choice = take(input);
    int fd = fds[choice % 8];

    switch (choice >> 3 & 7) {
    case 0:
        if (fds[7] >= 0)
            sys_close(fds[7]);
        fds[7] = (int)sys_accept4(fds[choice & 1 ? 4 : 0], NULL, NULL, ABI_SOCK_NONBLOCK);
        break;
    case 1:
        (void)sys_sendto(fd, buffer, take(input) * 10, ABI_MSG_NOSIGNAL, NULL, 0);
        break;
    case 2:
        (void)sys_shutdown(fd, (int)(take(input) % 3));
        break;
    case 3:
        net_world_advance((nsec_t)take(input) * 100 * NSEC_PER_MSEC);
        break;
    case 4:
        net_world_is_full = !net_world_is_full;
        break;
    default:
        (void)sys_recvfrom(fd, buffer, sizeof(buffer), 0, NULL, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const steps[])(struct input *) = { inject_tcp,      inject_tcp, inject_ip,
                                                     inject_ethernet, inject_raw, use_sockets,
                                                     use_sockets,     inject_tcp };
    static bool is_ready;
    struct input input = { data, data + size };
    static uint8_t frame[70000];

    if (!is_ready)
        net_world_init();
    is_ready = true;
    open_sockets();
    for (int i = 0; i < ROUNDS && input.at < input.end; i++)
        steps[take(&input) % ARRAY_SIZE(steps)](&input);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        if (fds[i] >= 0)
            sys_close(fds[i]);
    }
    net_world_is_full = false;
    net_world_advance(100 * NSEC_PER_SEC);
    if (net_world_nbuffers || tcp_listen_pcbs.pcbs)
        abort();
    while (net_world_sent(frame, sizeof(frame)))
        ;
    world_check_idle();
    return 0;
}
