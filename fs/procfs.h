// SPDX-License-Identifier: MIT
#pragma once
/*
 * /proc.
 */
#include "fs/inode.h"
#include "fs/text.h"

struct file;
struct process;

extern const struct file_system procfs;
/* The process if file is an open /proc/PID, which pidfd_send_signal(2) takes for a pidfd; else NULL. */
struct process *procfs_directory_process(const struct file *file);
/* A file of /proc/net (and /proc/PID/net); name and show are kept.  At boot; -ENOSPC: the table is full. */
int procfs_net_register(const char *name, int (*show)(struct text *text)) __must_check;
