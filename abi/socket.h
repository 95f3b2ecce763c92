// SPDX-License-Identifier: MIT
#pragma once
/* socket(2) and its kin (linux/socket.h, uapi/asm-generic/socket.h, linux/un.h). */
#include <stdint.h>

#define ABI_AF_UNSPEC  0
#define ABI_AF_UNIX    1
#define ABI_AF_INET    2
#define ABI_AF_INET6   10
#define ABI_AF_NETLINK 16
#define ABI_AF_PACKET  17
#define ABI_AF_VSOCK   40
#define ABI_AF_MAX     46

#define ABI_SOCK_STREAM    1
#define ABI_SOCK_DGRAM     2
#define ABI_SOCK_RAW       3
#define ABI_SOCK_RDM       4
#define ABI_SOCK_SEQPACKET 5
#define ABI_SOCK_TYPE_MASK 0xf
#define ABI_SOCK_CLOEXEC   02000000
#define ABI_SOCK_NONBLOCK  00004000

#define ABI_SOL_IP      0
#define ABI_SOL_SOCKET  1
#define ABI_SOL_TCP     6
#define ABI_SOL_UDP     17
#define ABI_SOL_UDPLITE 136
#define ABI_SOL_IPV6    41
#define ABI_SOL_ICMPV6  58
#define ABI_SOL_RAW     255
#define ABI_SOL_NETLINK 270

#define ABI_SO_DEBUG            1
#define ABI_SO_REUSEADDR        2
#define ABI_SO_TYPE             3
#define ABI_SO_ERROR            4
#define ABI_SO_DONTROUTE        5
#define ABI_SO_BROADCAST        6
#define ABI_SO_SNDBUF           7
#define ABI_SO_RCVBUF           8
#define ABI_SO_KEEPALIVE        9
#define ABI_SO_OOBINLINE        10
#define ABI_SO_NO_CHECK         11
#define ABI_SO_PRIORITY         12
#define ABI_SO_LINGER           13
#define ABI_SO_BSDCOMPAT        14
#define ABI_SO_REUSEPORT        15
#define ABI_SO_PASSCRED         16
#define ABI_SO_PEERCRED         17
#define ABI_SO_RCVLOWAT         18
#define ABI_SO_SNDLOWAT         19
#define ABI_SO_RCVTIMEO         20
#define ABI_SO_SNDTIMEO         21
#define ABI_SO_BINDTODEVICE     25
#define ABI_SO_ATTACH_FILTER    26
#define ABI_SO_DETACH_FILTER    27
#define ABI_SO_PEERNAME         28
#define ABI_SO_TIMESTAMP        29
#define ABI_SO_ACCEPTCONN       30
#define ABI_SO_PEERSEC          31
#define ABI_SO_SNDBUFFORCE      32
#define ABI_SO_RCVBUFFORCE      33
#define ABI_SO_PASSSEC          34
#define ABI_SO_TIMESTAMPNS      35
#define ABI_SO_MARK             36
#define ABI_SO_PROTOCOL         38
#define ABI_SO_DOMAIN           39
#define ABI_SO_RXQ_OVFL         40
#define ABI_SO_NOFCS            43
#define ABI_SO_LOCK_FILTER      44
#define ABI_SO_BUSY_POLL        46
#define ABI_SO_INCOMING_CPU     49
#define ABI_SO_INCOMING_NAPI_ID 56
#define ABI_SO_COOKIE           57
#define ABI_SO_PEERGROUPS       59
#define ABI_SO_ZEROCOPY         60
#define ABI_SO_TIMESTAMP_NEW    63
#define ABI_SO_TIMESTAMPNS_NEW  64
#define ABI_SO_RCVTIMEO_NEW     66
#define ABI_SO_SNDTIMEO_NEW     67

#define ABI_SHUT_RD   0
#define ABI_SHUT_WR   1
#define ABI_SHUT_RDWR 2

#define ABI_MSG_OOB          0x1u
#define ABI_MSG_PEEK         0x2u
#define ABI_MSG_DONTROUTE    0x4u
#define ABI_MSG_CTRUNC       0x8u
#define ABI_MSG_TRUNC        0x20u
#define ABI_MSG_DONTWAIT     0x40u
#define ABI_MSG_EOR          0x80u
#define ABI_MSG_WAITALL      0x100u
#define ABI_MSG_CONFIRM      0x800u
#define ABI_MSG_ERRQUEUE     0x2000u
#define ABI_MSG_NOSIGNAL     0x4000u
#define ABI_MSG_MORE         0x8000u
#define ABI_MSG_WAITFORONE   0x10000u
#define ABI_MSG_ZEROCOPY     0x4000000u
#define ABI_MSG_FASTOPEN     0x20000000u
#define ABI_MSG_CMSG_CLOEXEC 0x40000000u

#define ABI_SCM_RIGHTS      1
#define ABI_SCM_CREDENTIALS 2
#define ABI_SCM_MAX_FD      253

#define ABI_SOMAXCONN  4096
#define ABI_UIO_MAXIOV 1024

struct abi_sockaddr {
    uint16_t sa_family;
    uint8_t sa_data[14];
};

#define ABI_SOCKADDR_MAX 128 /* struct sockaddr_storage */

#define ABI_UNIX_PATH_MAX 108
struct abi_sockaddr_un {
    uint16_t sun_family;
    char sun_path[ABI_UNIX_PATH_MAX];
};

struct abi_msghdr {
    uint64_t msg_name;
    int32_t msg_namelen;
    uint32_t pad0;
    uint64_t msg_iov;
    uint64_t msg_iovlen;
    uint64_t msg_control;
    uint64_t msg_controllen;
    uint32_t msg_flags;
    uint32_t pad1;
};
_Static_assert(sizeof(struct abi_msghdr) == 56, "struct msghdr");

struct abi_mmsghdr {
    struct abi_msghdr msg_hdr;
    uint32_t msg_len;
    uint32_t pad;
};
_Static_assert(sizeof(struct abi_mmsghdr) == 64, "struct mmsghdr");

struct abi_cmsghdr {
    uint64_t cmsg_len; /* this header included, padding behind the data not */
    int32_t cmsg_level;
    int32_t cmsg_type;
};
#define ABI_CMSG_ALIGN(len) (((len) + 7UL) & ~7UL)

struct abi_linger {
    int32_t l_onoff;
    int32_t l_linger; /* seconds */
};

struct abi_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};
