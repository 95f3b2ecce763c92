// SPDX-License-Identifier: MIT
#pragma once
/* Native asynchronous I/O (include/uapi/linux/aio_abi.h). */
#include <stdint.h>

#define ABI_IOCB_CMD_PREAD   0
#define ABI_IOCB_CMD_PWRITE  1
#define ABI_IOCB_CMD_FSYNC   2
#define ABI_IOCB_CMD_FDSYNC  3
#define ABI_IOCB_CMD_POLL    5
#define ABI_IOCB_CMD_NOOP    6
#define ABI_IOCB_CMD_PREADV  7
#define ABI_IOCB_CMD_PWRITEV 8

#define ABI_IOCB_FLAG_RESFD  1u
#define ABI_IOCB_FLAG_IOPRIO 2u

struct abi_iocb {
    uint64_t aio_data;
    uint32_t aio_key;
    uint32_t aio_rw_flags;
    uint16_t aio_lio_opcode;
    int16_t aio_reqprio;
    uint32_t aio_fildes;
    uint64_t aio_buf;
    uint64_t aio_nbytes;
    int64_t aio_offset;
    uint64_t aio_reserved2;
    uint32_t aio_flags;
    uint32_t aio_resfd;
};

struct abi_io_event {
    uint64_t data;
    uint64_t obj;
    int64_t res;
    int64_t res2;
};

/* The start of the memory that io_setup() maps; libaio and others read events from it directly. */
struct abi_aio_ring {
    uint32_t id;
    uint32_t nr;   /* slots */
    uint32_t head; /* [app and kernel] where the next event is read */
    uint32_t tail; /* [kernel] where the next event is written */
    uint32_t magic;
    uint32_t compat_features;
    uint32_t incompat_features;
    uint32_t header_length;
    struct abi_io_event event[];
};

#define ABI_AIO_RING_MAGIC           0xa10a10a1u
#define ABI_AIO_RING_COMPAT_FEATURES 1u

/* io_pgetevents()'s last argument. */
struct abi_aio_sigset {
    uint64_t mask; /* pointer */
    uint64_t size;
};
