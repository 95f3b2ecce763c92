// SPDX-License-Identifier: MIT
#pragma once
/* Netlink's questions about sockets (uapi/linux/sock_diag.h, uapi/linux/inet_diag.h, uapi/linux/unix_diag.h). */
#include <stdint.h>

#define ABI_DCCPDIAG_GETSOCK    19
#define ABI_SOCK_DIAG_BY_FAMILY 20

struct abi_inet_diag_sockid {
    uint16_t idiag_sport; /* network byte order, as the addresses */
    uint16_t idiag_dport;
    uint32_t idiag_src[4];
    uint32_t idiag_dst[4];
    uint32_t idiag_if;
    uint32_t idiag_cookie[2];
};

struct abi_inet_diag_req_v2 {
    uint8_t sdiag_family;
    uint8_t sdiag_protocol;
    uint8_t idiag_ext;
    uint8_t pad;
    uint32_t idiag_states;
    struct abi_inet_diag_sockid id;
};

struct abi_inet_diag_msg {
    uint8_t idiag_family;
    uint8_t idiag_state;
    uint8_t idiag_timer;
    uint8_t idiag_retrans;
    struct abi_inet_diag_sockid id;
    uint32_t idiag_expires;
    uint32_t idiag_rqueue;
    uint32_t idiag_wqueue;
    uint32_t idiag_uid;
    uint32_t idiag_inode;
};
_Static_assert(sizeof(struct abi_inet_diag_req_v2) == 56, "struct inet_diag_req_v2");
_Static_assert(sizeof(struct abi_inet_diag_msg) == 72, "struct inet_diag_msg");

#define ABI_INET_DIAG_SHUTDOWN 8

/* Attributes of a request about Internet sockets. */
#define ABI_INET_DIAG_REQ_PROTOCOL 3

/* ---- UNIX sockets ---- */

struct abi_unix_diag_req {
    uint8_t sdiag_family;
    uint8_t sdiag_protocol;
    uint16_t pad;
    uint32_t udiag_states;
    uint32_t udiag_ino;
    uint32_t udiag_show;
    uint32_t udiag_cookie[2];
};

struct abi_unix_diag_msg {
    uint8_t udiag_family;
    uint8_t udiag_type;
    uint8_t udiag_state;
    uint8_t pad;
    uint32_t udiag_ino;
    uint32_t udiag_cookie[2];
};
_Static_assert(sizeof(struct abi_unix_diag_req) == 24, "struct unix_diag_req");
_Static_assert(sizeof(struct abi_unix_diag_msg) == 16, "struct unix_diag_msg");

struct abi_unix_diag_vfs {
    uint32_t udiag_vfs_ino, udiag_vfs_dev;
};

struct abi_unix_diag_rqlen {
    uint32_t udiag_rqueue, udiag_wqueue;
};

#define ABI_UDIAG_SHOW_NAME    0x01u
#define ABI_UDIAG_SHOW_VFS     0x02u
#define ABI_UDIAG_SHOW_PEER    0x04u
#define ABI_UDIAG_SHOW_ICONS   0x08u
#define ABI_UDIAG_SHOW_RQLEN   0x10u
#define ABI_UDIAG_SHOW_MEMINFO 0x20u
#define ABI_UDIAG_SHOW_UID     0x40u

#define ABI_UNIX_DIAG_NAME     0
#define ABI_UNIX_DIAG_VFS      1
#define ABI_UNIX_DIAG_PEER     2
#define ABI_UNIX_DIAG_ICONS    3
#define ABI_UNIX_DIAG_RQLEN    4
#define ABI_UNIX_DIAG_MEMINFO  5
#define ABI_UNIX_DIAG_SHUTDOWN 6
#define ABI_UNIX_DIAG_UID      7

#define ABI_SK_MEMINFO_RCVBUF     1
#define ABI_SK_MEMINFO_WMEM_ALLOC 2
#define ABI_SK_MEMINFO_SNDBUF     3
#define ABI_SK_MEMINFO_VARS       9
