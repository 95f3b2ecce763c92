// SPDX-License-Identifier: MIT
#pragma once
/*
 * inotify(7): what the file layer reports, and the descriptor's own functions.
 *
 * Reporting costs one load while nobody watches anything.  It may be done with inode->lock held.
 */
#include "abi/inotify.h"
#include "fs/file.h"

extern unsigned inotify_nwatches; /* [a] in the whole system */

/* Something (ABI_IN_*) happened to inode, which is called name in dir.  Watches of dir hear of it
 * with the name; watches of inode itself without, if it is of the kind that concerns the object
 * (not IN_CREATE, IN_DELETE, IN_MOVED_*).  dir and name may be NULL: only the object's own (IN_DELETE_SELF,
 * which also ends its watches, IN_MOVE_SELF).  IN_ISDIR is added here. */
void inotify_report(struct inode *dir, struct inode *inode, const char *name, unsigned mask,
                    unsigned cookie);
static inline void inotify_notify(struct inode *dir, struct inode *inode, const char *name,
                                  unsigned mask, unsigned cookie)
{
    if (__atomic_load_n(&inotify_nwatches, __ATOMIC_RELAXED) != 0)
        inotify_report(dir, inode, name, mask, cookie);
}

/* The same for an open file: IN_ACCESS, IN_MODIFY, IN_OPEN, IN_CLOSE_*. */
void inotify_report_file(struct file *file, unsigned mask);
static inline void inotify_file_event(struct file *file, unsigned mask)
{
    if (__atomic_load_n(&inotify_nwatches, __ATOMIC_RELAXED) != 0)
        inotify_report_file(file, mask);
}

/* The same for a name: IN_MODIFY of truncate(), IN_ATTRIB. */
void inotify_report_dentry(struct dentry *dentry, unsigned mask);
static inline void inotify_dentry_event(struct dentry *dentry, unsigned mask)
{
    if (__atomic_load_n(&inotify_nwatches, __ATOMIC_RELAXED) != 0)
        inotify_report_dentry(dentry, mask);
}

/* The last mount of sb is gone: its watches hear of it and end.  On return nothing of them holds its inodes. */
void inotify_superblock_ends(struct superblock *sb);

unsigned inotify_next_cookie(void); /* joins IN_MOVED_FROM and IN_MOVED_TO */

/* F_NOTIFY: DN_* events in the directory file are told to its owner; none of them: no more.  -ENOTDIR, -ENOMEM. */
extern unsigned dnotify_is_enabled; /* /proc/sys/fs/dir-notify-enable */
long dnotify_set(struct file *file, int fd, const struct fdtable *table, unsigned events);
void dnotify_end(struct file *file, const struct fdtable *table);
/* table closes a descriptor of file; NULL: the file ends. */
static inline void dnotify_closed(struct file *file, const struct fdtable *table)
{
    if (__atomic_load_n(&inotify_nwatches, __ATOMIC_RELAXED) != 0 && inode_is_dir(file->inode))
        dnotify_end(file, table);
}

int inotify_create(unsigned flags, struct file **out) __must_check;
bool file_is_inotify(const struct file *file);
/* inotify_add_watch(2) and inotify_rm_watch(2): the watch number or 0; -errno. */
int inotify_add(struct file *file, struct inode *inode, unsigned mask) __must_check;
int inotify_remove(struct file *file, int number) __must_check;
