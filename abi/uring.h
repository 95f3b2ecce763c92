// SPDX-License-Identifier: MIT
#pragma once
/* io_uring (include/uapi/linux/io_uring.h of Linux 6.1). */
#include <stdint.h>

/* The fields' other names: addr2 for off; each operation's flags for op_flags; buf_group for
 * buf_index; splice_fd_in and addr_len for file_index. */
struct abi_uring_sqe {
    uint8_t opcode;
    uint8_t flags;
    uint16_t ioprio;
    int32_t fd;
    uint64_t off;
    uint64_t addr;
    uint32_t len;
    uint32_t op_flags;
    uint64_t user_data;
    uint16_t buf_index;
    uint16_t personality;
    int32_t file_index;
    uint64_t addr3;
    uint64_t pad2;
};

struct abi_uring_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

#define ABI_SQE_FIXED_FILE       0x01u
#define ABI_SQE_IO_DRAIN         0x02u
#define ABI_SQE_IO_LINK          0x04u
#define ABI_SQE_IO_HARDLINK      0x08u
#define ABI_SQE_ASYNC            0x10u
#define ABI_SQE_BUFFER_SELECT    0x20u
#define ABI_SQE_CQE_SKIP_SUCCESS 0x40u
#define ABI_SQE_FLAGS            0x7fu

#define ABI_CQE_F_BUFFER     1u
#define ABI_CQE_F_MORE       2u
#define ABI_CQE_F_NOTIF      8u
#define ABI_CQE_BUFFER_SHIFT 16

#define ABI_URING_FILE_INDEX_ALLOC (~0u)

#define ABI_URING_SETUP_IOPOLL        0x0001u
#define ABI_URING_SETUP_SQPOLL        0x0002u
#define ABI_URING_SETUP_SQ_AFF        0x0004u
#define ABI_URING_SETUP_CQSIZE        0x0008u
#define ABI_URING_SETUP_CLAMP         0x0010u
#define ABI_URING_SETUP_ATTACH_WQ     0x0020u
#define ABI_URING_SETUP_R_DISABLED    0x0040u
#define ABI_URING_SETUP_SUBMIT_ALL    0x0080u
#define ABI_URING_SETUP_COOP_TASKRUN  0x0100u
#define ABI_URING_SETUP_TASKRUN_FLAG  0x0200u
#define ABI_URING_SETUP_SQE128        0x0400u
#define ABI_URING_SETUP_CQE32         0x0800u
#define ABI_URING_SETUP_SINGLE_ISSUER 0x1000u
#define ABI_URING_SETUP_DEFER_TASKRUN 0x2000u
#define ABI_URING_SETUP_FLAGS         0x3fffu

enum abi_uring_op {
    ABI_URING_NOP,
    ABI_URING_READV,
    ABI_URING_WRITEV,
    ABI_URING_FSYNC,
    ABI_URING_READ_FIXED,
    ABI_URING_WRITE_FIXED,
    ABI_URING_POLL_ADD,
    ABI_URING_POLL_REMOVE,
    ABI_URING_SYNC_FILE_RANGE,
    ABI_URING_SENDMSG,
    ABI_URING_RECVMSG,
    ABI_URING_TIMEOUT,
    ABI_URING_TIMEOUT_REMOVE,
    ABI_URING_ACCEPT,
    ABI_URING_ASYNC_CANCEL,
    ABI_URING_LINK_TIMEOUT,
    ABI_URING_CONNECT,
    ABI_URING_FALLOCATE,
    ABI_URING_OPENAT,
    ABI_URING_CLOSE,
    ABI_URING_FILES_UPDATE,
    ABI_URING_STATX,
    ABI_URING_READ,
    ABI_URING_WRITE,
    ABI_URING_FADVISE,
    ABI_URING_MADVISE,
    ABI_URING_SEND,
    ABI_URING_RECV,
    ABI_URING_OPENAT2,
    ABI_URING_EPOLL_CTL,
    ABI_URING_SPLICE,
    ABI_URING_PROVIDE_BUFFERS,
    ABI_URING_REMOVE_BUFFERS,
    ABI_URING_TEE,
    ABI_URING_SHUTDOWN,
    ABI_URING_RENAMEAT,
    ABI_URING_UNLINKAT,
    ABI_URING_MKDIRAT,
    ABI_URING_SYMLINKAT,
    ABI_URING_LINKAT,
    ABI_URING_MSG_RING,
    ABI_URING_FSETXATTR,
    ABI_URING_SETXATTR,
    ABI_URING_FGETXATTR,
    ABI_URING_GETXATTR,
    ABI_URING_SOCKET,
    ABI_URING_CMD,
    ABI_URING_SEND_ZC,
    ABI_URING_SENDMSG_ZC,
    ABI_URING_OP_LAST
};

#define ABI_URING_FSYNC_DATASYNC 1u

#define ABI_URING_TIMEOUT_ABS           0x01u
#define ABI_URING_TIMEOUT_UPDATE        0x02u
#define ABI_URING_TIMEOUT_BOOTTIME      0x04u
#define ABI_URING_TIMEOUT_REALTIME      0x08u
#define ABI_URING_LINK_TIMEOUT_UPDATE   0x10u
#define ABI_URING_TIMEOUT_ETIME_SUCCESS 0x20u

#define ABI_SPLICE_F_FD_IN_FIXED 0x80000000u

#define ABI_URING_POLL_MULTI            1u
#define ABI_URING_POLL_UPDATE_EVENTS    2u
#define ABI_URING_POLL_UPDATE_USER_DATA 4u
#define ABI_URING_POLL_LEVEL            8u

#define ABI_URING_CANCEL_ALL      1u
#define ABI_URING_CANCEL_FD       2u
#define ABI_URING_CANCEL_ANY      4u
#define ABI_URING_CANCEL_FD_FIXED 8u

#define ABI_URING_POLL_FIRST       1u /* in ioprio of send and receive */
#define ABI_URING_RECV_MULTISHOT   2u
#define ABI_URING_FIXED_BUF        4u
#define ABI_URING_ACCEPT_MULTISHOT 1u /* in ioprio of accept */

#define ABI_URING_MSG_DATA     0
#define ABI_URING_MSG_SEND_FD  1
#define ABI_URING_MSG_CQE_SKIP 1u

#define ABI_URING_OFF_SQ_RING 0ULL
#define ABI_URING_OFF_CQ_RING 0x8000000ULL
#define ABI_URING_OFF_SQES    0x10000000ULL

#define ABI_URING_SQ_NEED_WAKEUP      1u
#define ABI_URING_SQ_CQ_OVERFLOW      2u
#define ABI_URING_CQ_EVENTFD_DISABLED 1u

#define ABI_URING_ENTER_GETEVENTS       0x01u
#define ABI_URING_ENTER_SQ_WAKEUP       0x02u
#define ABI_URING_ENTER_SQ_WAIT         0x04u
#define ABI_URING_ENTER_EXT_ARG         0x08u
#define ABI_URING_ENTER_REGISTERED_RING 0x10u
#define ABI_URING_ENTER_FLAGS           0x1fu

struct abi_sqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    uint64_t resv2;
};

struct abi_cqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    uint64_t resv2;
};

struct abi_uring_params {
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t flags;
    uint32_t sq_thread_cpu;
    uint32_t sq_thread_idle;
    uint32_t features;
    uint32_t wq_fd;
    uint32_t resv[3];
    struct abi_sqring_offsets sq_off;
    struct abi_cqring_offsets cq_off;
};

#define ABI_URING_FEAT_SINGLE_MMAP     0x0001u
#define ABI_URING_FEAT_NODROP          0x0002u
#define ABI_URING_FEAT_SUBMIT_STABLE   0x0004u
#define ABI_URING_FEAT_RW_CUR_POS      0x0008u
#define ABI_URING_FEAT_FAST_POLL       0x0020u
#define ABI_URING_FEAT_POLL_32BITS     0x0040u
#define ABI_URING_FEAT_SQPOLL_NONFIXED 0x0080u
#define ABI_URING_FEAT_EXT_ARG         0x0100u
#define ABI_URING_FEAT_NATIVE_WORKERS  0x0200u
#define ABI_URING_FEAT_RSRC_TAGS       0x0400u
#define ABI_URING_FEAT_CQE_SKIP        0x0800u
#define ABI_URING_FEAT_LINKED_FILE     0x1000u

enum abi_uring_register {
    ABI_URING_REGISTER_BUFFERS,
    ABI_URING_UNREGISTER_BUFFERS,
    ABI_URING_REGISTER_FILES,
    ABI_URING_UNREGISTER_FILES,
    ABI_URING_REGISTER_EVENTFD,
    ABI_URING_UNREGISTER_EVENTFD,
    ABI_URING_REGISTER_FILES_UPDATE,
    ABI_URING_REGISTER_EVENTFD_ASYNC,
    ABI_URING_REGISTER_PROBE,
    ABI_URING_REGISTER_PERSONALITY,
    ABI_URING_UNREGISTER_PERSONALITY,
    ABI_URING_REGISTER_RESTRICTIONS,
    ABI_URING_REGISTER_ENABLE_RINGS,
    ABI_URING_REGISTER_FILES2,
    ABI_URING_REGISTER_FILES_UPDATE2,
    ABI_URING_REGISTER_BUFFERS2,
    ABI_URING_REGISTER_BUFFERS_UPDATE,
    ABI_URING_REGISTER_IOWQ_AFF,
    ABI_URING_UNREGISTER_IOWQ_AFF,
    ABI_URING_REGISTER_IOWQ_MAX_WORKERS,
    ABI_URING_REGISTER_RING_FDS,
    ABI_URING_UNREGISTER_RING_FDS,
    ABI_URING_REGISTER_PBUF_RING,
    ABI_URING_UNREGISTER_PBUF_RING,
    ABI_URING_REGISTER_SYNC_CANCEL,
    ABI_URING_REGISTER_FILE_ALLOC_RANGE,
    ABI_URING_REGISTER_LAST
};

struct abi_uring_rsrc_register {
    uint32_t nr;
    uint32_t flags;
    uint64_t resv2;
    uint64_t data;
    uint64_t tags;
};

struct abi_uring_rsrc_update {
    uint32_t offset;
    uint32_t resv;
    uint64_t data;
    uint64_t tags;
    uint32_t nr;
    uint32_t resv2;
};

#define ABI_URING_RSRC_SPARSE 1u
#define ABI_URING_FILES_SKIP  (-2)

struct abi_uring_probe_op {
    uint8_t op;
    uint8_t resv;
    uint16_t flags;
    uint32_t resv2;
};

struct abi_uring_probe {
    uint8_t last_op;
    uint8_t ops_len;
    uint16_t resv;
    uint32_t resv2[3];
    struct abi_uring_probe_op ops[];
};
#define ABI_URING_OP_SUPPORTED 1u

struct abi_uring_restriction {
    uint16_t opcode;
    uint8_t value;
    uint8_t resv;
    uint32_t resv2[3];
};
#define ABI_URING_RESTRICTION_REGISTER_OP        0
#define ABI_URING_RESTRICTION_SQE_OP             1
#define ABI_URING_RESTRICTION_SQE_FLAGS_ALLOWED  2
#define ABI_URING_RESTRICTION_SQE_FLAGS_REQUIRED 3
#define ABI_URING_RESTRICTION_LAST               4

struct abi_uring_buf {
    uint64_t addr;
    uint32_t len;
    uint16_t bid;
    uint16_t resv; /* in the first one: the ring's tail */
};

struct abi_uring_buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid;
    uint16_t pad;
    uint64_t resv[3];
};

struct abi_uring_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_sz;
    uint32_t pad;
    uint64_t ts;
};

struct abi_uring_sync_cancel {
    uint64_t addr;
    int32_t fd;
    uint32_t flags;
    int64_t timeout_sec;
    int64_t timeout_nsec;
    uint64_t pad[4];
};

struct abi_uring_file_range {
    uint32_t off;
    uint32_t len;
    uint64_t resv;
};

/* What recvmsg with multishot puts before the data in the selected buffer. */
struct abi_uring_recvmsg_out {
    uint32_t namelen;
    uint32_t controllen;
    uint32_t payloadlen;
    uint32_t flags;
};
