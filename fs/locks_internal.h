// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between fs/locks.c and fs/locks_list.c.   [l] locks_lock
 */
#include "fs/locks.h"
#include "kernel/spinlock.h"
#include "kernel/wait.h"
#include "lib/list.h"

#define END_OF_ALL INT64_MAX

struct record {
    struct list node;
    const void *owner;
    const struct file *file; /* it was made through; only compared */
    enum lock_kind kind;
    int pid;            /* whose; -1: an open-file-description lock */
    int type;           /* ABI_F_RDLCK, ABI_F_WRLCK */
    int64_t start, end; /* inclusive */
};

struct file_locks {
    struct list node; /* [l] in locks_all */
    const struct inode *inode;
    struct list records;     /* [l] an owner's together, by their start */
    struct list flocks;      /* [l] */
    struct wait_queue freed; /* something was released */
};

/* A thread that waits for a lock; POSIX ones are searched for deadlocks. */
struct blocked {
    struct list node; /* [l] in locks_blocked, or alone */
    struct inode *inode;
    const void *owner;
    const void *waits_for;
    bool finds_deadlock;
    enum lock_kind kind;
    int pid, type;
    int64_t start, end;
};

/* The record is in the way of the waiting thread, and of the owner that it waits for. */
static inline bool blocked_is_by(const struct blocked *blocked, const struct record *record)
{
    return blocked->waits_for == record->owner &&
           (blocked->kind == LOCK_WHOLE) == (record->kind == LOCK_WHOLE) &&
           (blocked->type == ABI_F_WRLCK || record->type == ABI_F_WRLCK) &&
           blocked->start <= record->end && blocked->end >= record->start;
}

extern struct spinlock locks_lock;
extern struct list locks_all;     /* [l] struct file_locks */
extern struct list locks_blocked; /* [l] struct blocked */
