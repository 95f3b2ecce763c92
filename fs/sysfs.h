// SPDX-License-Identifier: MIT
#pragma once
/*
 * /sys and /sys/fs/cgroup, as far as C libraries and language runtimes look at them.
 */
#include "fs/inode.h"
#include "fs/pseudo.h"

#define SYSFS_DIRECTORY (ABI_S_IFDIR | 0755)
#define SYSFS_FILE      (ABI_S_IFREG | 0444)
#define SYSFS_LINK      (ABI_S_IFLNK | 0777)

/* A show() of what data says, a text. */
int sysfs_show_fixed(const struct pseudo_ref *ref, struct text *text);
/* An interface; its files, which find index as their number.  At boot, by net.  -ENOSPC. */
int sysfs_net_register(const char *name, int index, bool is_device,
                       const struct pseudo_entry *files) __must_check;

extern const struct file_system sysfs;
extern const struct file_system cgroup2;
