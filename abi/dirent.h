// SPDX-License-Identifier: MIT
#pragma once
/* getdents(2) and getdents64(2) (linux/dirent.h). */
#include <stdint.h>

/* Followed by the name and NUL; reclen is a multiple of 8. */
struct abi_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    uint16_t d_reclen;
    uint8_t d_type;
    char d_name[];
};

/* The type is in the record's last byte. */
struct abi_dirent {
    uint64_t d_ino;
    uint64_t d_off;
    uint16_t d_reclen;
    char d_name[];
};

/* d_type is the file type of the mode, shifted down. */
#define ABI_DT_OF_MODE(mode) (((mode)&0170000u) >> 12)
#define ABI_DT_UNKNOWN       0
#define ABI_DT_FIFO          1
#define ABI_DT_CHR           2
#define ABI_DT_DIR           4
#define ABI_DT_BLK           6
#define ABI_DT_REG           8
#define ABI_DT_LNK           10
#define ABI_DT_SOCK          12
