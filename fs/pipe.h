// SPDX-License-Identifier: MIT
#pragma once
/*
 * Pipes and FIFOs.
 */
#include "fs/file.h"

#define PIPE_ATOMIC_BYTES 4096 /* PIPE_BUF */

/* The open() of a FIFO: file's inode, path and flags are set, inode->lock is not held.  Sets ops,
 * private and poll_head.  May sleep for the other end.  -ENXIO, -ERESTARTSYS, -ENOMEM. */
int fifo_open(struct inode *inode, struct file *file) __must_check;
/* Both ends of a new pipe; flags: ABI_O_NONBLOCK, ABI_O_DIRECT.  -ENOMEM. */
int pipe_create(unsigned flags, struct file **read_end, struct file **write_end) __must_check;
/* SIGPIPE to the running thread, as a write() to a closed pipe or stream sends it. */
void pipe_raise_signal(void);
/* An inode that fstat() shows as a pipe, for streams that are not rings; -ENOMEM. */
int pipe_inode_create(const struct file_ops *ops, struct inode **out) __must_check;
/* "pipe:[N]". */
int pipe_link_text(struct file *file, char *buf, size_t size);
bool file_is_pipe(const struct file *file);
/* F_SETPIPE_SZ and F_GETPIPE_SZ: the size in bytes, -EBADF (not a pipe), -EINVAL, -EPERM, -EBUSY, -ENOMEM. */
long pipe_set_size(struct file *file, unsigned long size);
long pipe_get_size(struct file *file);
extern unsigned long pipe_max_size; /* /proc/sys/fs/pipe-max-size */
