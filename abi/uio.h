// SPDX-License-Identifier: MIT
#pragma once
/* preadv2(2) and splice(2) flags (linux/fs.h, linux/splice.h). */

#define ABI_RWF_HIPRI  0x01u
#define ABI_RWF_DSYNC  0x02u
#define ABI_RWF_SYNC   0x04u
#define ABI_RWF_NOWAIT 0x08u
#define ABI_RWF_APPEND 0x10u
#define ABI_RWF_SUPPORTED                                                                          \
    (ABI_RWF_HIPRI | ABI_RWF_DSYNC | ABI_RWF_SYNC | ABI_RWF_NOWAIT | ABI_RWF_APPEND)

#define ABI_SPLICE_F_MOVE     1u
#define ABI_SPLICE_F_NONBLOCK 2u
#define ABI_SPLICE_F_MORE     4u
#define ABI_SPLICE_F_GIFT     8u
#define ABI_SPLICE_F_ALL      15u
