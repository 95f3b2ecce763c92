// SPDX-License-Identifier: MIT
#pragma once
/* Netlink and its routing family (linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, ...). */
#include <stdint.h>

struct abi_sockaddr_nl {
    uint16_t nl_family;
    uint16_t nl_pad;
    uint32_t nl_pid; /* port */
    uint32_t nl_groups;
};

#define ABI_NETLINK_ROUTE          0
#define ABI_NETLINK_SOCK_DIAG      4
#define ABI_NETLINK_KOBJECT_UEVENT 15

struct abi_nlmsghdr {
    uint32_t nlmsg_len;
    uint16_t nlmsg_type;
    uint16_t nlmsg_flags;
    uint32_t nlmsg_seq;
    uint32_t nlmsg_pid;
};
#define ABI_NLMSG_ALIGN(len) (((len) + 3u) & ~3u)

#define ABI_NLMSG_NOOP  1
#define ABI_NLMSG_ERROR 2
#define ABI_NLMSG_DONE  3

#define ABI_NLM_F_REQUEST 0x001u
#define ABI_NLM_F_MULTI   0x002u
#define ABI_NLM_F_ACK     0x004u
#define ABI_NLM_F_CAPPED  0x100u
#define ABI_NLM_F_ROOT    0x100u
#define ABI_NLM_F_MATCH   0x200u
#define ABI_NLM_F_DUMP    0x300u

struct abi_nlmsgerr {
    int32_t error;
    struct abi_nlmsghdr msg;
};

#define ABI_NETLINK_ADD_MEMBERSHIP  1
#define ABI_NETLINK_DROP_MEMBERSHIP 2
#define ABI_NETLINK_PKTINFO         3
#define ABI_NETLINK_BROADCAST_ERROR 4
#define ABI_NETLINK_NO_ENOBUFS      5
#define ABI_NETLINK_EXT_ACK         11
#define ABI_NETLINK_GET_STRICT_CHK  12

#define ABI_RTM_NEWLINK  16
#define ABI_RTM_GETLINK  18
#define ABI_RTM_NEWADDR  20
#define ABI_RTM_GETADDR  22
#define ABI_RTM_NEWROUTE 24
#define ABI_RTM_GETROUTE 26
#define ABI_RTM_NEWNEIGH 28
#define ABI_RTM_GETNEIGH 30
#define ABI_RTM_GETRULE  34
#define ABI_RTM_MAX      123

struct abi_rtattr {
    uint16_t rta_len;
    uint16_t rta_type;
};

struct abi_ifinfomsg {
    uint8_t ifi_family;
    uint8_t pad;
    uint16_t ifi_type;
    int32_t ifi_index;
    uint32_t ifi_flags;
    uint32_t ifi_change;
};

struct abi_ifaddrmsg {
    uint8_t ifa_family;
    uint8_t ifa_prefixlen;
    uint8_t ifa_flags;
    uint8_t ifa_scope;
    uint32_t ifa_index;
};

struct abi_rtmsg {
    uint8_t rtm_family;
    uint8_t rtm_dst_len;
    uint8_t rtm_src_len;
    uint8_t rtm_tos;
    uint8_t rtm_table;
    uint8_t rtm_protocol;
    uint8_t rtm_scope;
    uint8_t rtm_type;
    uint32_t rtm_flags;
};

struct abi_ndmsg {
    uint8_t ndm_family;
    uint8_t pad[3];
    int32_t ndm_ifindex;
    uint16_t ndm_state;
    uint8_t ndm_flags;
    uint8_t ndm_type;
};

#define ABI_IFLA_ADDRESS   1
#define ABI_IFLA_BROADCAST 2
#define ABI_IFLA_IFNAME    3
#define ABI_IFLA_MTU       4
#define ABI_IFLA_LINK      5
#define ABI_IFLA_QDISC     6
#define ABI_IFLA_STATS     7
#define ABI_IFLA_TXQLEN    13
#define ABI_IFLA_OPERSTATE 16
#define ABI_IFLA_LINKMODE  17
#define ABI_IFLA_STATS64   23
#define ABI_IFLA_GROUP     27
#define ABI_IFLA_CARRIER   33

#define ABI_IFA_ADDRESS     1
#define ABI_IFA_LOCAL       2
#define ABI_IFA_LABEL       3
#define ABI_IFA_BROADCAST   4
#define ABI_IFA_CACHEINFO   6
#define ABI_IFA_FLAGS       8
#define ABI_IFA_F_TENTATIVE 0x40
#define ABI_IFA_F_PERMANENT 0x80

struct abi_ifa_cacheinfo {
    uint32_t ifa_prefered;
    uint32_t ifa_valid;
    uint32_t cstamp;
    uint32_t tstamp;
};

#define ABI_RTA_DST      1
#define ABI_RTA_IIF      3
#define ABI_RTA_OIF      4
#define ABI_RTA_GATEWAY  5
#define ABI_RTA_PRIORITY 6
#define ABI_RTA_PREFSRC  7
#define ABI_RTA_TABLE    15

#define ABI_RT_TABLE_MAIN     254
#define ABI_RT_TABLE_LOCAL    255
#define ABI_RTPROT_KERNEL     2
#define ABI_RTPROT_BOOT       3
#define ABI_RTN_UNICAST       1
#define ABI_RTN_LOCAL         2
#define ABI_RT_SCOPE_UNIVERSE 0
#define ABI_RT_SCOPE_LINK     253
#define ABI_RT_SCOPE_HOST     254

#define ABI_NDA_DST       1
#define ABI_NDA_LLADDR    2
#define ABI_NUD_REACHABLE 0x02
#define ABI_NUD_STALE     0x04
#define ABI_NUD_PERMANENT 0x80

struct abi_rtnl_link_stats64 {
    uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors;
    uint64_t rx_dropped, tx_dropped, multicast, collisions;
    uint64_t rx_errors_detail[6];
    uint64_t tx_errors_detail[5];
    uint64_t compressed[2];
    uint64_t rx_nohandler, rx_otherhost_dropped;
};
