// SPDX-License-Identifier: MIT
#pragma once
/* Netlink's questions about sockets (uapi/linux/sock_diag.h, uapi/linux/inet_diag.h). */
#include <stdint.h>

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
