// SPDX-License-Identifier: MIT
#pragma once
/* What /proc/net counts and lwIP does not.  [n] net_lock  [a] atomic */
#include <stdint.h>

struct net_counts {
    uint32_t tcp_pieces;   /* [n] packets that the device made of segments, beyond one of each */
    uint32_t tcp_resent;   /* [n] packets sent again */
    uint32_t tcp_syns;     /* [n] of them, SYNs */
    uint32_t tcp_timeouts; /* [n] the retransmission timer went off */
    uint32_t udp_no_room;  /* [n] datagrams that their socket had no room for */
    unsigned sockets;      /* [a] that there are now, of all families */
    unsigned tcp_sockets;  /* [a] */
};

extern struct net_counts net_counts;
