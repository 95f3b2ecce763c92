// SPDX-License-Identifier: MIT
#pragma once
/*
 * flock(2), and the record locks of fcntl(2) with their two kinds of owner.
 */
#include "abi/fcntl.h"
#include "fs/file.h"

/* operation: ABI_LOCK_SH, EX or UN, and NB.  -EWOULDBLOCK, -ERESTARTSYS, -ENOLCK. */
int locks_flock(struct file *file, unsigned operation) __must_check;
/* F_GETLK, F_SETLK, F_SETLKW and F_OFD_*: lock is in and out. */
int locks_fcntl(struct file *file, int command, struct abi_flock *lock) __must_check;
/* What owner (an fdtable at each close, a file at its end) holds on inode is released; cheap if
 * there is nothing. */
void locks_release(struct inode *inode, const void *owner);
