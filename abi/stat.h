// SPDX-License-Identifier: MIT
#pragma once
/* stat(2), statx(2), statfs(2) and file modes on x86-64 (uapi/asm/stat.h, linux/stat.h). */
#include <stdint.h>

#define ABI_S_IFMT   0170000u
#define ABI_S_IFSOCK 0140000u
#define ABI_S_IFLNK  0120000u
#define ABI_S_IFREG  0100000u
#define ABI_S_IFBLK  0060000u
#define ABI_S_IFDIR  0040000u
#define ABI_S_IFCHR  0020000u
#define ABI_S_IFIFO  0010000u
#define ABI_S_ISUID  0004000u
#define ABI_S_ISGID  0002000u
#define ABI_S_ISVTX  0001000u

struct abi_stat {
    uint64_t st_dev;
    uint64_t st_ino;
    uint64_t st_nlink;
    uint32_t st_mode;
    uint32_t st_uid;
    uint32_t st_gid;
    uint32_t pad0;
    uint64_t st_rdev;
    int64_t st_size;
    int64_t st_blksize;
    int64_t st_blocks;
    uint64_t st_atime_sec;
    uint64_t st_atime_nsec;
    uint64_t st_mtime_sec;
    uint64_t st_mtime_nsec;
    uint64_t st_ctime_sec;
    uint64_t st_ctime_nsec;
    int64_t reserved[3];
};
_Static_assert(sizeof(struct abi_stat) == 144, "struct stat");

struct abi_statx_timestamp {
    int64_t tv_sec;
    uint32_t tv_nsec;
    int32_t reserved;
};

struct abi_statx {
    uint32_t stx_mask;
    uint32_t stx_blksize;
    uint64_t stx_attributes;
    uint32_t stx_nlink;
    uint32_t stx_uid;
    uint32_t stx_gid;
    uint16_t stx_mode;
    uint16_t pad0;
    uint64_t stx_ino;
    uint64_t stx_size;
    uint64_t stx_blocks;
    uint64_t stx_attributes_mask;
    struct abi_statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    uint32_t stx_rdev_major, stx_rdev_minor;
    uint32_t stx_dev_major, stx_dev_minor;
    uint64_t stx_mnt_id;
    uint32_t stx_dio_mem_align, stx_dio_offset_align;
    uint64_t spare[12];
};
_Static_assert(sizeof(struct abi_statx) == 256, "struct statx");

struct abi_statfs {
    int64_t f_type;
    int64_t f_bsize;
    uint64_t f_blocks;
    uint64_t f_bfree;
    uint64_t f_bavail;
    uint64_t f_files;
    uint64_t f_ffree;
    int32_t f_fsid[2];
    int64_t f_namelen;
    int64_t f_frsize;
    int64_t f_flags;
    int64_t f_spare[4];
};
_Static_assert(sizeof(struct abi_statfs) == 120, "struct statfs");

/* statx(2): what of the structure is valid, and attributes. */
#define ABI_STATX_BASIC_STATS     0x000007ffu
#define ABI_STATX_BTIME           0x00000800u
#define ABI_STATX_MNT_ID          0x00001000u
#define ABI_STATX_RESERVED        0x80000000u
#define ABI_STATX_ATTR_MOUNT_ROOT 0x00002000u
