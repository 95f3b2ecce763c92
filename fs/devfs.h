// SPDX-License-Identifier: MIT
#pragma once
/*
 * /dev, and the character devices behind its nodes.
 */
#include "fs/file.h"

#define DEVICE_NUMBER(major, minor)                                                                \
    (((uint64_t)((major)&0xfffu) << 8) | ((minor)&0xffu) | ((uint64_t)((minor) & ~0xffu) << 12))
#define DEVICE_MAJOR(rdev) ((unsigned)((rdev) >> 8 & 0xfff))
#define DEVICE_MINOR(rdev) ((unsigned)(((rdev)&0xff) | ((rdev) >> 12 & ~0xffu)))

/* What open() of a device node gives its file; NULL: there is no such device (-ENXIO).  The caller
 * sets file->ops to it and calls ops->open, which may replace file->ops once more. */
const struct file_ops *device_file_ops(unsigned mode, uint64_t rdev);
/* Fills /dev, which is mounted there by special_mounts_init(). */
void devfs_populate(void);
