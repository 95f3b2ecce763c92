// SPDX-License-Identifier: MIT
#pragma once
/* packet(7) */
#include <stdint.h>

struct abi_sockaddr_ll {
    uint16_t sll_family;
    uint16_t sll_protocol; /* network byte order */
    int32_t sll_ifindex;
    uint16_t sll_hatype;
    uint8_t sll_pkttype;
    uint8_t sll_halen;
    uint8_t sll_addr[8];
};
_Static_assert(sizeof(struct abi_sockaddr_ll) == 20, "struct sockaddr_ll");

#define ABI_PACKET_HOST      0
#define ABI_PACKET_BROADCAST 1
#define ABI_PACKET_MULTICAST 2
#define ABI_PACKET_OTHERHOST 3
#define ABI_PACKET_OUTGOING  4

#define ABI_ETH_P_ALL 3

#define ABI_SOL_PACKET             263
#define ABI_PACKET_ADD_MEMBERSHIP  1
#define ABI_PACKET_DROP_MEMBERSHIP 2
#define ABI_PACKET_STATISTICS      6

#define ABI_PACKET_MR_UNICAST 3 /* the last of the kinds of membership */

struct abi_packet_mreq {
    int32_t mr_ifindex;
    uint16_t mr_type;
    uint16_t mr_alen;
    uint8_t mr_address[8];
};

struct abi_tpacket_stats {
    uint32_t tp_packets;
    uint32_t tp_drops;
};
