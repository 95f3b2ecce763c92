// SPDX-License-Identifier: MIT
#pragma once
/*
 * The file layer's start, and its operations on names: every check of permission, type and mount,
 * the file system's own part, the dcache and inotify.  System calls, the loader of the boot archive
 * and the kernel itself all go through these.
 */
#include "fs/dcache.h"

struct boot_info;
struct walk;

/* Caches, RAM file systems, and an empty root.  Once, by kernel/main.c. */
void vfs_init(void);
/* Unpacks the boot modules into the root; 0 or -errno and a sentence (static or for ever) in *error. */
int initrd_load(const struct boot_info *boot, const char **error) __must_check;

/* By name, for the kernel's own use: absolute kernel strings, umask not applied. */
int vfs_mkdir(const char *name, unsigned mode) __must_check;
int vfs_mknod(const char *name, unsigned mode, uint64_t rdev) __must_check;
int vfs_symlink(const char *target, const char *name) __must_check;
int vfs_mount(const char *name, const char *type, const char *source, unsigned long flags,
              const char *data) __must_check;
/* What is mounted at name gets these flags instead. */
int vfs_remount(const char *name, unsigned long flags) __must_check;

/* dir's inode->lock is held and last was looked up in it (path_walk_parent). */
int vfs_create_at(const struct path *dir, struct dentry *last, unsigned mode) __must_check;
int vfs_mkdir_at(const struct path *dir, struct dentry *last, unsigned mode) __must_check;
int vfs_mknod_at(const struct path *dir, struct dentry *last, unsigned mode,
                 uint64_t rdev) __must_check;
int vfs_symlink_at(const struct path *dir, struct dentry *last, const char *target) __must_check;
int vfs_unlink_at(const struct path *dir, struct dentry *last) __must_check;
int vfs_rmdir_at(const struct path *dir, struct dentry *last) __must_check;
int vfs_link_at(const struct path *from, const struct path *dir, struct dentry *last) __must_check;
/* The walks stand at the parents of the two names. */
int vfs_rename(const struct walk *from, const struct walk *to, unsigned flags) __must_check;
/* O_TMPFILE: a dentry without a name, with a reference. */
int vfs_tmpfile(const struct path *dir, unsigned mode, bool is_linkable,
                struct dentry **out) __must_check;

/* Takes inode->lock.  change->valid is completed (CTIME, set-id bits). */
int vfs_change(const struct path *path, struct inode_change *change) __must_check;
/* The same for an inode without a name (fchmod of a socket). */
int vfs_change_inode(struct inode *inode, struct inode_change *change) __must_check;
/* truncate(2) and O_TRUNC, permission already checked: limits, seals, set-id bits. */
int vfs_truncate(struct inode *inode, uint64_t size) __must_check;

/* fs/inode.c, fs/file.c, fs/fdtable.c, fs/locks.c, fs/ramfs.c: for vfs_init() and each other. */
void inode_cache_init(void);
void file_cache_init(void);
void locks_init(void);
void ramfs_init(void);
void inode_locks_free(struct inode *inode);
