// SPDX-License-Identifier: MIT
#pragma once
/*
 * /proc.
 */
#include "fs/inode.h"
#include "fs/text.h"

extern const struct file_system procfs;
/* A file of /proc/net (and /proc/PID/net); name and show are kept.  At boot; -ENOSPC: the table is full. */
int procfs_net_register(const char *name, int (*show)(struct text *text)) __must_check;
