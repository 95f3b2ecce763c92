// SPDX-License-Identifier: MIT
#pragma once
/*
 * lwIP's options.  Its raw API is used alone, under net_lock (net/net.h); sockets, threads,
 * timers and memory are ours.
 */

/* ---- No threads of its own; our lock, our timers (net/timers.c) ------------- */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_TIMERS          1
#define LWIP_TIMERS_CUSTOM   1
#ifdef STOUT_DEBUG
#define LWIP_ASSERT_CORE_LOCKED() lwip_port_assert_locked()
#endif

/* ---- Memory: everything comes from the kernel's heap ------------------------- */
#define MEM_LIBC_MALLOC              1
#define MEMP_MEM_MALLOC              1
#define MEM_ALIGNMENT                16
#define mem_clib_malloc(size)        lwip_port_malloc(size)
#define mem_clib_calloc(count, size) lwip_port_calloc(count, size)
#define mem_clib_free(pointer)       lwip_port_free(pointer)
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define LWIP_PBUF_REF_T              unsigned int
#define PBUF_POOL_FREE_OOSEQ         0
#define MEMP_NUM_SYS_TIMEOUT         32 /* unused: net/timers.c */

/* ---- Ethernet, IPv4 ------------------------------------------------------------ */
#define LWIP_IPV4                 1
#define LWIP_ARP                  1
#define LWIP_ETHERNET             1
#define ARP_TABLE_SIZE            127
#define ARP_QUEUEING              1
#define ARP_QUEUE_LEN             64
#define IP_DEFAULT_TTL            64
#define IP_REASSEMBLY             1
#define IP_REASS_MAX_PBUFS        1024
#define MEMP_NUM_REASSDATA        64
#define IP_FRAG                   1
#define IP_SOF_BROADCAST          1
#define IP_SOF_BROADCAST_RECV     0
#define LWIP_ICMP                 1
#define LWIP_IGMP                 1
#define LWIP_RAW                  1
#define LWIP_MULTICAST_TX_OPTIONS 1
#define LWIP_DHCP                 1
#define DHCP_DOES_ARP_CHECK                                                                        \
    0 /* it would cost a second at every start; Linux's clients do not either */
/* The DNS client is not built: its hooks give net/config.c the servers DHCP names. */
#define LWIP_DNS                  1
#define DNS_MAX_SERVERS           3
#define LWIP_DHCP_MAX_DNS_SERVERS 3

/* ---- IPv6 ------------------------------------------------------------------------ */
#define LWIP_IPV6                      1
#define LWIP_IPV6_NUM_ADDRESSES        5
#define LWIP_IPV6_SCOPES               1
#define IPV6_FRAG_COPYHEADER           1 /* pointers do not fit into the fragment header */
#define LWIP_IPV6_AUTOCONFIG           1
#define LWIP_IPV6_MLD                  1
#define LWIP_ICMP6                     1
#define LWIP_ND6_NUM_NEIGHBORS         64
#define LWIP_ND6_NUM_DESTINATIONS      64
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 0

/* ---- Transport --------------------------------------------------------------------- */
#define LWIP_UDP                          1
#define LWIP_UDPLITE                      1
#define LWIP_TCP                          1
#define SO_REUSE                          1 /* the rules of bind(2) are checked in net/ports.c */
#define SO_REUSE_RXTOALL                  1
/* An interface's MTU makes it smaller (1460 on Ethernet); this is loopback's, so that a segment with all
 * headers fits into four pages. */
#define TCP_MSS                           16256
#define TCP_OVERSIZE                      1460
#define PBUF_POOL_BUFSIZE                 1600
#define LWIP_WND_SCALE                    1
#define TCP_RCV_SCALE                     7
#define TCP_WND                           (4 * 1024 * 1024) /* the most; Linux's tcp_rmem[2] allows as much */
#define LWIP_TCP_WND_FIRST                (512 * 1024) /* net/tcp_receive.c widens it */
#define TCP_WND_UPDATE_THRESHOLD          (8 * 1460)
#define TCP_SND_BUF                       (4 * 1024 * 1024) /* Linux's tcp_wmem[2]; net/tcp_event.c begins with less */
#define TCP_SND_QUEUELEN                  4096
#define TCP_SNDLOWAT                      256 /* of lwIP's own API; ours is in net/tcp_send.c */
#define TCP_SNDQUEUELOWAT                 (TCP_SND_QUEUELEN / 2)
#define TCP_QUEUE_OOSEQ                   1
#define TCP_OOSEQ_MAX_BYTES               (1024 * 1024)
#define TCP_OOSEQ_MAX_PBUFS               1024
#define LWIP_TCP_SACK_OUT                 1
#define LWIP_TCP_TIMESTAMPS               0
#define LWIP_TCP_KEEPALIVE                1
#define TCP_LISTEN_BACKLOG                1
#define TCP_MSL                           30000UL /* also how long an unanswered FIN is kept */
#define LWIP_TIME_WAIT_MS                 2000UL
#define LWIP_TCP_PCB_NUM_EXT_ARGS         3  /* net/tcp_table.c, net/tcp_rto.c */
#define TCP_MAXRTX                        12 /* of window probes */
#define TCP_SYNMAXRTX                     7 /* the last one only waits: Linux sends 6, and 15 of data */
#define LWIP_TCP_MAXRTX                   16
#define TCP_LOCAL_PORT_RANGE_START        32768
#define TCP_LOCAL_PORT_RANGE_END          60999
#define TCP_ENSURE_LOCAL_PORT_RANGE(port) ((u16_t)(32768 + (port) % (60999 - 32768)))
#define UDP_LOCAL_PORT_RANGE_START        32768
#define UDP_LOCAL_PORT_RANGE_END          60999
#define UDP_ENSURE_LOCAL_PORT_RANGE(port) ((u16_t)(32768 + (port) % (60999 - 32768)))

/* ---- Interfaces --------------------------------------------------------------------- */
#define LWIP_NETIF_LOOPBACK          1
#define LWIP_HAVE_LOOPIF             1
#define LWIP_LOOPIF_MULTICAST        1
#define LWIP_NETIF_HOSTNAME          1
#define LWIP_NETIF_STATUS_CALLBACK   1
#define LWIP_NETIF_LINK_CALLBACK     1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY        0
#define LWIP_STATS                   1
#define LWIP_STATS_LARGE             1
#define LWIP_STATS_DISPLAY           0
#define MIB2_STATS                   1 /* net/proc_snmp.c */

/* ---- Hooks (net/lwip_port.h) ---------------------------------------------------------- */
#define LWIP_HOOK_FILENAME "net/lwip_port.h"
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port)                            \
    lwip_port_tcp_isn(local_ip, local_port, remote_ip, remote_port)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, optlen, opt1len, opt2, p)                          \
    lwip_port_tcp_packet(pcb, header, optlen, opt1len, opt2, p)
#define LWIP_HOOK_IP4_INPUT(p, netif)                lwip_port_ip4_input(p, netif)
#define LWIP_HOOK_IP6_INPUT(p, netif)                lwip_port_ip6_input(p, netif)
/* Ours: the .sed scripts of net/lwip. */
#define LWIP_HOOK_TCP_FIND_PCB(header, in_time_wait) lwip_port_find_pcb(header, in_time_wait)
#define LWIP_HOOK_TCP_REGISTERED(pcb)                tcp_table_insert(pcb)
#define LWIP_HOOK_TCP_HALF_OPEN(pcb)                 tcp_listen_half_open(pcb)
#define LWIP_HOOK_TCP_LISTEN_IS_FULL(pcb)            tcp_listen_is_full(pcb)
#define LWIP_HOOK_TCP_FIT(pcb, seg, window, netif)   tcp_gso_fit(pcb, seg, window, netif)
#define LWIP_HOOK_TCP_WINDOW(pcb)                    tcp_recovery_window(pcb)
#define LWIP_HOOK_TCP_SENT(pcb, seg)                 tcp_rto_sent(pcb, seg)
#define LWIP_HOOK_TCP_DONE(pcb)                      tcp_recovery_end(pcb)
#define LWIP_HOOK_TCP_HAS_OUTPUT(pcb)                ((pcb)->unsent || ((pcb)->flags & TF_ACK_NOW))
#define LWIP_HOOK_RAW_INPUT(p, netif)                (raw_socket_count ? raw_input(p, netif) : RAW_INPUT_NONE)
#define LWIP_HOOK_IS_CUT_LATER(p)                    ((p)->flags & TCP_GSO_FLAG)
#define LWIP_HOOK_TCP_IS_TAKEN(pcb)                  tcp_table_has(pcb)
#define LWIP_HOOK_UNRESOLVED(tag, queue, netif)                                                    \
    for (const struct tag *waiting = (queue); waiting; waiting = waiting->next)                    \
    icmp_error_unresolved(waiting->p, netif)
