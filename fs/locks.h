// SPDX-License-Identifier: MIT
#pragma once
/*
 * flock(2), and the record locks of fcntl(2) with their two kinds of owner.
 */
#include "abi/fcntl.h"
#include "fs/file.h"

enum lock_kind { LOCK_POSIX, LOCK_OPEN_FILE, LOCK_WHOLE };

/* A lock, or a thread that waits for the lock listed before it. */
struct lock_info {
    enum lock_kind kind;
    bool is_waiter;
    int pid;            /* whose; -1: of an open file */
    int type;           /* ABI_F_RDLCK, ABI_F_WRLCK */
    int64_t start, end; /* inclusive; INT64_MAX: all */
    uint64_t device, ino;
};

/* operation: ABI_LOCK_SH, EX or UN, and NB.  -EWOULDBLOCK, -ERESTARTSYS, -ENOLCK. */
int locks_flock(struct file *file, unsigned operation) __must_check;
/* F_GETLK, F_SETLK, F_SETLKW and F_OFD_*: lock is in and out. */
int locks_fcntl(struct file *file, int command, struct abi_flock *lock) __must_check;
/* What owner (an fdtable at each close, a file at its end) holds on inode is released; cheap if
 * there is nothing. */
void locks_release(struct inode *inode, const void *owner);

/* Fills in up to room of the locks there are, and returns how many there are: all of them with their
 * waiters, or what a file and a descriptor table hold on the file's inode. */
size_t locks_list(struct lock_info *out, size_t room);
size_t locks_list_held(const struct file *file, const void *files, struct lock_info *out,
                       size_t room);
