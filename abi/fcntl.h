// SPDX-License-Identifier: MIT
#pragma once
/* open(2), fcntl(2), *at(2), flock(2), lseek(2), fallocate(2) (uapi/asm-generic/fcntl.h, linux/fcntl.h). */
#include <stdint.h>

#define ABI_O_RDONLY      00000000u
#define ABI_O_WRONLY      00000001u
#define ABI_O_RDWR        00000002u
#define ABI_O_ACCMODE     00000003u
#define ABI_O_CREAT       00000100u
#define ABI_O_EXCL        00000200u
#define ABI_O_NOCTTY      00000400u
#define ABI_O_TRUNC       00001000u
#define ABI_O_APPEND      00002000u
#define ABI_O_NONBLOCK    00004000u
#define ABI_O_DSYNC       00010000u
#define ABI_O_ASYNC       00020000u
#define ABI_O_DIRECT      00040000u
#define ABI_O_LARGEFILE   00100000u
#define ABI_O_DIRECTORY   00200000u
#define ABI_O_NOFOLLOW    00400000u
#define ABI_O_NOATIME     01000000u
#define ABI_O_CLOEXEC     02000000u
#define ABI_O_SYNC        04010000u
#define ABI_O_PATH        010000000u
#define ABI_O_TMPFILE_BIT 020000000u
#define ABI_O_TMPFILE     (ABI_O_TMPFILE_BIT | ABI_O_DIRECTORY)

#define ABI_AT_FDCWD            (-100)
#define ABI_AT_SYMLINK_NOFOLLOW 0x100u
#define ABI_AT_EACCESS          0x200u /* faccessat2 */
#define ABI_AT_REMOVEDIR        0x200u /* unlinkat */
#define ABI_AT_SYMLINK_FOLLOW   0x400u
#define ABI_AT_NO_AUTOMOUNT     0x800u
#define ABI_AT_EMPTY_PATH       0x1000u
#define ABI_AT_STATX_SYNC_TYPE  0x6000u

#define ABI_F_DUPFD         0
#define ABI_F_GETFD         1
#define ABI_F_SETFD         2
#define ABI_F_GETFL         3
#define ABI_F_SETFL         4
#define ABI_F_GETLK         5
#define ABI_F_SETLK         6
#define ABI_F_SETLKW        7
#define ABI_F_SETOWN        8
#define ABI_F_GETOWN        9
#define ABI_F_SETSIG        10
#define ABI_F_GETSIG        11
#define ABI_F_SETOWN_EX     15
#define ABI_F_GETOWN_EX     16
#define ABI_F_OFD_GETLK     36
#define ABI_F_OFD_SETLK     37
#define ABI_F_OFD_SETLKW    38
#define ABI_F_SETLEASE      1024
#define ABI_F_GETLEASE      1025
#define ABI_F_NOTIFY        1026
#define ABI_DN_ACCESS       0x00000001u
#define ABI_DN_MODIFY       0x00000002u
#define ABI_DN_CREATE       0x00000004u
#define ABI_DN_DELETE       0x00000008u
#define ABI_DN_RENAME       0x00000010u
#define ABI_DN_ATTRIB       0x00000020u
#define ABI_DN_MULTISHOT    0x80000000u
#define ABI_F_DUPFD_CLOEXEC 1030
#define ABI_F_SETPIPE_SZ    1031
#define ABI_F_GETPIPE_SZ    1032
#define ABI_F_ADD_SEALS     1033
#define ABI_F_GET_SEALS     1034

#define ABI_FD_CLOEXEC 1u

#define ABI_F_RDLCK 0
#define ABI_F_WRLCK 1
#define ABI_F_UNLCK 2

#define ABI_F_OWNER_TID  0
#define ABI_F_OWNER_PID  1
#define ABI_F_OWNER_PGRP 2

struct abi_f_owner_ex {
    int32_t type;
    int32_t pid;
};

struct abi_flock {
    int16_t l_type;
    int16_t l_whence;
    int64_t l_start;
    int64_t l_len;
    int32_t l_pid;
};
_Static_assert(sizeof(struct abi_flock) == 32, "struct flock");

#define ABI_LOCK_SH 1u
#define ABI_LOCK_EX 2u
#define ABI_LOCK_NB 4u
#define ABI_LOCK_UN 8u

#define ABI_SEEK_SET  0
#define ABI_SEEK_CUR  1
#define ABI_SEEK_END  2
#define ABI_SEEK_DATA 3
#define ABI_SEEK_HOLE 4

#define ABI_FALLOC_KEEP_SIZE      1
#define ABI_FALLOC_PUNCH_HOLE     2
#define ABI_FALLOC_COLLAPSE_RANGE 8
#define ABI_FALLOC_ZERO_RANGE     16
#define ABI_FALLOC_INSERT_RANGE   32
#define ABI_FALLOC_UNSHARE_RANGE  64

#define ABI_RENAME_NOREPLACE 1u
#define ABI_RENAME_EXCHANGE  2u
#define ABI_RENAME_WHITEOUT  4u

#define ABI_POSIX_FADV_NORMAL  0
#define ABI_POSIX_FADV_NOREUSE 5

#define ABI_SYNC_FILE_RANGE_ALL 7u

#define ABI_CLOSE_RANGE_UNSHARE 2u
#define ABI_CLOSE_RANGE_CLOEXEC 4u

#define ABI_R_OK 4
#define ABI_W_OK 2
#define ABI_X_OK 1

#define ABI_UTIME_NOW  0x3fffffff
#define ABI_UTIME_OMIT 0x3ffffffe

struct abi_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};
#define ABI_RESOLVE_NO_XDEV       0x01u
#define ABI_RESOLVE_NO_MAGICLINKS 0x02u
#define ABI_RESOLVE_NO_SYMLINKS   0x04u
#define ABI_RESOLVE_BENEATH       0x08u
#define ABI_RESOLVE_IN_ROOT       0x10u
#define ABI_RESOLVE_CACHED        0x20u

#define ABI_PATH_MAX 4096
#define ABI_NAME_MAX 255
