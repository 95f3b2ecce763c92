// SPDX-License-Identifier: MIT
#pragma once
/*
 * The RAM file system: the root, tmpfs, and what devfs and memfd are made of.
 */
#include "fs/file.h"

/* Mounts a tree in RAM; options size=, nr_inodes=, mode=, uid=, gid= as tmpfs(5).  For file systems
 * that are a RAM file system by another name. */
int ramfs_mount(const struct file_system *type, const char *source, unsigned long flags,
                const char *data, struct superblock **out) __must_check;
/* A new inode of any type in a RAM file system; the caller gives it a name (dentry_attach and
 * dentry_pin) or none (memfd). */
int ramfs_inode_create(struct superblock *sb, unsigned mode, uint64_t rdev,
                       struct inode **out) __must_check;
/* The root, once it holds the boot archive: it may grow by three quarters of the free memory. */
void ramfs_limit_growth(struct superblock *sb);
/* For files without a name in any tree. */
extern struct superblock *ramfs_anonymous;
/* For directories that are nothing but their pinned dentries. */
extern const struct file_ops ramfs_dir_ops;
bool inode_is_ramfs(const struct inode *inode);

/* fs/ramfs_xattr.c */
long ramfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int ramfs_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
long ramfs_listxattr(struct inode *inode, char *buf, size_t size);
void ramfs_free_xattrs(struct inode *inode);

/* fs/ramfs_file.c */
extern const struct file_ops ramfs_file_ops;
/* After the number of pages changed: what the file system uses. inode->lock held. */
void ramfs_account(struct inode *inode);

/* [a] Limits and use of one mount. */
struct ramfs {
    uint64_t max_blocks; /* of 512 bytes; 0: no limit */
    uint64_t used_blocks;
    uint64_t max_inodes; /* 0: no limit */
    uint64_t used_inodes;
    unsigned root_mode;
    uint32_t uid, gid;
};
