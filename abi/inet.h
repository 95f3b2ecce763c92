// SPDX-License-Identifier: MIT
#pragma once
/* The Internet families (linux/in.h, linux/in6.h, linux/tcp.h, linux/udp.h, linux/icmp.h). */
#include <stdint.h>

#define ABI_IPPROTO_IP      0
#define ABI_IPPROTO_ICMP    1
#define ABI_IPPROTO_TCP     6
#define ABI_IPPROTO_UDP     17
#define ABI_IPPROTO_ICMPV6  58
#define ABI_IPPROTO_UDPLITE 136
#define ABI_IPPROTO_RAW     255
#define ABI_IPPROTO_MPTCP   262

#define ABI_UDPLITE_SEND_CSCOV 10
#define ABI_UDPLITE_RECV_CSCOV 11

struct abi_sockaddr_in {
    uint16_t sin_family;
    uint16_t sin_port; /* big endian, as are all addresses here */
    uint32_t sin_addr;
    uint8_t sin_zero[8];
};
_Static_assert(sizeof(struct abi_sockaddr_in) == 16, "struct sockaddr_in");

struct abi_sockaddr_in6 {
    uint16_t sin6_family;
    uint16_t sin6_port;
    uint32_t sin6_flowinfo;
    uint32_t sin6_addr[4];
    uint32_t sin6_scope_id;
};
_Static_assert(sizeof(struct abi_sockaddr_in6) == 28, "struct sockaddr_in6");
#define ABI_SIN6_LEN_RFC2133 24 /* without sin6_scope_id: still accepted */

#define ABI_IP_TOS                  1
#define ABI_IP_TTL                  2
#define ABI_IP_HDRINCL              3
#define ABI_IP_OPTIONS              4
#define ABI_IP_RECVOPTS             6
#define ABI_IP_PKTINFO              8
#define ABI_IP_PKTOPTIONS           9
#define ABI_IP_MTU_DISCOVER         10
#define ABI_IP_RECVERR              11
#define ABI_IP_RECVTTL              12
#define ABI_IP_RECVTOS              13
#define ABI_IP_MTU                  14
#define ABI_IP_FREEBIND             15
#define ABI_IP_TRANSPARENT          19
#define ABI_IP_RECVORIGDSTADDR      20
#define ABI_IP_BIND_ADDRESS_NO_PORT 24
#define ABI_IP_MULTICAST_IF         32
#define ABI_IP_MULTICAST_TTL        33
#define ABI_IP_MULTICAST_LOOP       34
#define ABI_IP_ADD_MEMBERSHIP       35
#define ABI_IP_DROP_MEMBERSHIP      36
#define ABI_IP_MULTICAST_ALL        49
#define ABI_MCAST_JOIN_GROUP        42
#define ABI_MCAST_LEAVE_GROUP       45

#define ABI_IPV6_UNICAST_HOPS    16
#define ABI_IPV6_MULTICAST_IF    17
#define ABI_IPV6_MULTICAST_HOPS  18
#define ABI_IPV6_MULTICAST_LOOP  19
#define ABI_IPV6_ADD_MEMBERSHIP  20
#define ABI_IPV6_DROP_MEMBERSHIP 21
#define ABI_IPV6_MTU_DISCOVER    23
#define ABI_IPV6_MTU             24
#define ABI_IPV6_RECVERR         25
#define ABI_IPV6_V6ONLY          26
#define ABI_IPV6_MULTICAST_ALL   29
#define ABI_IPV6_RECVPKTINFO     49
#define ABI_IPV6_PKTINFO         50
#define ABI_IPV6_RECVHOPLIMIT    51
#define ABI_IPV6_HOPLIMIT        52
#define ABI_IPV6_DONTFRAG        62
#define ABI_IPV6_RECVTCLASS      66
#define ABI_IPV6_TCLASS          67
#define ABI_IPV6_FREEBIND        78

struct abi_in_pktinfo {
    int32_t ipi_ifindex;
    uint32_t ipi_spec_dst;
    uint32_t ipi_addr;
};

struct abi_in6_pktinfo {
    uint32_t ipi6_addr[4];
    int32_t ipi6_ifindex;
};

struct abi_ip_mreqn {
    uint32_t imr_multiaddr;
    uint32_t imr_address;
    int32_t imr_ifindex; /* not in the older struct ip_mreq */
};

struct abi_ipv6_mreq {
    uint32_t ipv6mr_multiaddr[4];
    int32_t ipv6mr_interface;
};

#define ABI_ICMP_FILTER 1

#define ABI_TCP_NODELAY          1
#define ABI_TCP_MAXSEG           2
#define ABI_TCP_CORK             3
#define ABI_TCP_KEEPIDLE         4
#define ABI_TCP_KEEPINTVL        5
#define ABI_TCP_KEEPCNT          6
#define ABI_TCP_SYNCNT           7
#define ABI_TCP_LINGER2          8
#define ABI_TCP_DEFER_ACCEPT     9
#define ABI_TCP_WINDOW_CLAMP     10
#define ABI_TCP_INFO             11
#define ABI_TCP_QUICKACK         12
#define ABI_TCP_CONGESTION       13
#define ABI_TCP_USER_TIMEOUT     18
#define ABI_TCP_FASTOPEN         23
#define ABI_TCP_NOTSENT_LOWAT    25
#define ABI_TCP_FASTOPEN_CONNECT 30

/* Linux's connection states. */
#define ABI_TCP_ESTABLISHED 1
#define ABI_TCP_SYN_SENT    2
#define ABI_TCP_SYN_RECV    3
#define ABI_TCP_FIN_WAIT1   4
#define ABI_TCP_FIN_WAIT2   5
#define ABI_TCP_TIME_WAIT   6
#define ABI_TCP_CLOSE       7
#define ABI_TCP_CLOSE_WAIT  8
#define ABI_TCP_LAST_ACK    9
#define ABI_TCP_LISTEN      10
#define ABI_TCP_CLOSING     11

#define ABI_TCPI_OPT_TIMESTAMPS 1
#define ABI_TCPI_OPT_SACK       2
#define ABI_TCPI_OPT_WSCALE     4

/* The part of struct tcp_info that Linux 4.1 had: callers take any length. */
struct abi_tcp_info {
    uint8_t tcpi_state, tcpi_ca_state, tcpi_retransmits, tcpi_probes, tcpi_backoff, tcpi_options;
    uint8_t tcpi_wscale; /* send in the low 4 bits, receive in the high */
    uint8_t tcpi_flags;
    uint32_t tcpi_rto, tcpi_ato, tcpi_snd_mss, tcpi_rcv_mss;
    uint32_t tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans, tcpi_fackets;
    uint32_t tcpi_last_data_sent, tcpi_last_ack_sent, tcpi_last_data_recv, tcpi_last_ack_recv;
    uint32_t tcpi_pmtu, tcpi_rcv_ssthresh, tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd;
    uint32_t tcpi_advmss, tcpi_reordering;
    uint32_t tcpi_rcv_rtt, tcpi_rcv_space, tcpi_total_retrans;
    uint64_t tcpi_pacing_rate, tcpi_max_pacing_rate, tcpi_bytes_acked, tcpi_bytes_received;
    uint32_t tcpi_segs_out, tcpi_segs_in;
    uint32_t tcpi_notsent_bytes, tcpi_min_rtt, tcpi_data_segs_in, tcpi_data_segs_out;
    uint64_t tcpi_delivery_rate, tcpi_busy_time, tcpi_rwnd_limited, tcpi_sndbuf_limited;
};
_Static_assert(sizeof(struct abi_tcp_info) == 192, "struct tcp_info");
