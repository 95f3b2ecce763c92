// SPDX-License-Identifier: MIT
#pragma once
/* Network interfaces by ioctl (linux/if.h, linux/sockios.h, linux/if_arp.h). */
#include <stdint.h>

#include "abi/socket.h"

#define ABI_FIONREAD 0x541bu
#define ABI_FIONBIO  0x5421u
#define ABI_FIOASYNC 0x5452u
#define ABI_TIOCOUTQ 0x5411u /* SIOCOUTQ */

#define ABI_FIOSETOWN      0x8901u
#define ABI_SIOCSPGRP      0x8902u
#define ABI_FIOGETOWN      0x8903u
#define ABI_SIOCGPGRP      0x8904u
#define ABI_SIOCATMARK     0x8905u
#define ABI_SIOCGSTAMP     0x8906u
#define ABI_SIOCGIFNAME    0x8910u
#define ABI_SIOCGIFCONF    0x8912u
#define ABI_SIOCGIFFLAGS   0x8913u
#define ABI_SIOCGIFADDR    0x8915u
#define ABI_SIOCGIFDSTADDR 0x8917u
#define ABI_SIOCGIFBRDADDR 0x8919u
#define ABI_SIOCGIFNETMASK 0x891bu
#define ABI_SIOCGIFMETRIC  0x891du
#define ABI_SIOCGIFMTU     0x8921u
#define ABI_SIOCGIFHWADDR  0x8927u
#define ABI_SIOCGIFINDEX   0x8933u
#define ABI_SIOCGIFTXQLEN  0x8942u
#define ABI_SIOCOUTQNSD    0x894bu

#define ABI_IFNAMSIZ 16

struct abi_ifreq {
    char ifr_name[ABI_IFNAMSIZ];
    union {
        struct abi_sockaddr ifr_addr;
        uint8_t ifr_in[16]; /* a sockaddr_in */
        int16_t ifr_flags;
        int32_t ifr_value;
        uint8_t pad[24];
    };
};
_Static_assert(sizeof(struct abi_ifreq) == 40, "struct ifreq");

struct abi_ifconf {
    int32_t ifc_len;
    uint32_t pad;
    uint64_t ifc_buf;
};

#define ABI_IFF_UP          0x1u
#define ABI_IFF_BROADCAST   0x2u
#define ABI_IFF_LOOPBACK    0x8u
#define ABI_IFF_POINTOPOINT 0x10u
#define ABI_IFF_RUNNING     0x40u
#define ABI_IFF_MULTICAST   0x1000u
#define ABI_IFF_LOWER_UP    0x10000u

#define ABI_ARPHRD_ETHER    1
#define ABI_ARPHRD_LOOPBACK 772
