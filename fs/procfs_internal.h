// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between the files of /proc: procfs.c (the root), procfs_pid.c and procfs_stat.c (processes), procfs_maps.c
 * (their memory), procfs_fd.c (their descriptors), procfs_locks.c, procfs_mounts.c, procfs_ipc.c,
 * procfs_slab.c, procfs_irq.c, procfs_sys.c (settings), procfs_limits.c (those that are limits).
 */
#include "fs/procfs.h"
#include "fs/pseudo.h"

struct process;
struct thread;

#define PROC_DIR  (ABI_S_IFDIR | 0555)
#define PROC_FILE (ABI_S_IFREG | 0444)
#define PROC_LINK (ABI_S_IFLNK | 0777)

#define TICKS_PER_SEC 100 /* USER_HZ, AT_CLKTCK */

static inline unsigned long long ticks_of(nsec_t time)
{
    return (unsigned long long)(time / (NSEC_PER_SEC / TICKS_PER_SEC));
}

/* ---- procfs.c ---- */
int proc_fixed_text(const struct pseudo_ref *ref, struct text *text); /* entry->data */
extern struct pseudo_entry proc_net_table[];                          /* filled at boot */

/* ---- procfs_pid.c ---- */
int proc_pid_find(const struct pseudo_ref *dir, const char *name, size_t len,
                  struct pseudo_ref *child);
long proc_pid_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry);
/* The thread of an entry below task/, or the leader; with a reference, NULL if it has ended. */
struct thread *proc_thread_of(const struct pseudo_ref *ref);
/* Whether ref stands for one thread (below task/) and not for the process. */
bool proc_is_thread(const struct pseudo_ref *ref);
int proc_tid(const struct pseudo_ref *ref);

/* ---- procfs_stat.c ---- */
int proc_pid_stat(const struct pseudo_ref *ref, struct text *text);
int proc_pid_status(const struct pseudo_ref *ref, struct text *text);
int proc_pid_statm(const struct pseudo_ref *ref, struct text *text);
int proc_pid_limits(const struct pseudo_ref *ref, struct text *text);
char proc_state_of(struct process *process, struct thread *thread);

/* ---- procfs_maps.c ---- */
int proc_pid_maps(const struct pseudo_ref *ref, struct text *text);
int proc_pid_smaps(const struct pseudo_ref *ref, struct text *text);
int proc_pid_smaps_rollup(const struct pseudo_ref *ref, struct text *text);
int proc_pid_numa_maps(const struct pseudo_ref *ref, struct text *text);
extern const struct file_ops proc_pid_mem_ops;
int proc_pid_mem_open(struct inode *inode, struct file *file);
void proc_pid_mem_release(struct file *file);
int64_t proc_pid_mem_seek(struct file *file, int64_t offset, int whence);

/* ---- procfs_pagemap.c ---- */
extern const struct file_ops proc_pid_pagemap_ops;

/* ---- procfs_irq.c ---- */
int proc_interrupts(const struct pseudo_ref *ref, struct text *text);
int proc_softirqs(const struct pseudo_ref *ref, struct text *text);

/* ---- procfs_fd.c ---- */
int proc_fd_find(const struct pseudo_ref *dir, const char *name, size_t len,
                 struct pseudo_ref *child);
long proc_fd_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry);
int proc_fdinfo_find(const struct pseudo_ref *dir, const char *name, size_t len,
                     struct pseudo_ref *child);
long proc_fdinfo_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry);
int proc_link_exe(const struct pseudo_ref *ref, struct text *text);
int proc_link_cwd(const struct pseudo_ref *ref, struct text *text);
int proc_link_root(const struct pseudo_ref *ref, struct text *text);
int proc_follow_exe(const struct pseudo_ref *ref, struct path *out);
int proc_follow_cwd(const struct pseudo_ref *ref, struct path *out);
int proc_follow_root(const struct pseudo_ref *ref, struct path *out);

/* ---- procfs_locks.c ---- */
int proc_locks(const struct pseudo_ref *ref, struct text *text);
/* Those of file and of the descriptor table files, which is only compared. */
int proc_locks_held(const struct file *file, const void *files, struct text *text);

/* ---- procfs_mounts.c ---- */
int proc_mounts(const struct pseudo_ref *ref, struct text *text);
int proc_mountinfo(const struct pseudo_ref *ref, struct text *text);

/* ---- procfs_ipc.c ---- */
extern const struct pseudo_entry proc_sysvipc_entries[];

/* ---- procfs_limits.c ---- */
enum proc_limit_number { /* entry->value */
                         PROC_SHMMAX,
                         PROC_SHMALL,
                         PROC_SHMMNI,
                         PROC_SEM,
                         PROC_MSGMAX,
                         PROC_MSGMNB,
                         PROC_MSGMNI,
                         PROC_MQ_QUEUES_MAX,
                         PROC_MQ_MSG_MAX,
                         PROC_MQ_MSG_DEFAULT,
                         PROC_MQ_MSGSIZE_MAX,
                         PROC_MQ_MSGSIZE_DEFAULT,
                         PROC_MAX_MAP_COUNT,
};
int proc_limit_show(const struct pseudo_ref *ref, struct text *text);
int proc_limit_store(const struct pseudo_ref *ref, char *buf, size_t len);

/* ---- procfs_slab.c ---- */
int proc_slabinfo(const struct pseudo_ref *ref, struct text *text);

/* ---- procfs_sys.c ---- */
extern const struct pseudo_entry proc_sys_entries[];
