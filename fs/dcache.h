// SPDX-License-Identifier: MIT
#pragma once
/*
 * Names: the tree of dentries, their mounts, and the walk along a path.
 *
 * A dentry with an inode is a name that exists; one without (negative) a name that is known not to.
 * Child lookup is by a hash of (parent, name).  RANK_DCACHE covers the hash and child lists;
 * RANK_RENAME (held for writing by rename, mount and umount) the shape of the tree.
 */
#include "fs/inode.h"
#include "lib/list.h"

struct dentry {
    unsigned refcount;           /* [a] a child holds its parent; RAM file systems hold one more */
    struct dentry *parent;       /* itself at a file system's root */
    struct inode *inode;         /* NULL: negative */
    struct superblock *sb;
    struct list children;        /* [d] */
    struct list sibling_node;    /* [d] */
    struct list hash_node;       /* [d] */
    struct mount *mounted;       /* a mount on top of this name */
    uint32_t hash;
    uint16_t name_len;
    bool is_unlinked;            /* "(deleted)" */
    char *name;                  /* in inline_name, or kmalloc'ed */
    char inline_name[32];
};

struct mount {
    unsigned refcount;
    struct superblock *sb;
    struct dentry *root;
    struct dentry *mountpoint;   /* in parent; NULL for the root mount */
    struct mount *parent;
    struct list node;            /* all mounts in order, for /proc/mounts */
    unsigned long flags;
    char source[64];
};

/* A place: a name in a mount.  Both references are held by whoever owns the struct. */
struct path {
    struct mount *mount;
    struct dentry *dentry;
};

struct fs_context {
    unsigned refcount;
    struct spinlock lock;        /* RANK_FS_CONTEXT */
    struct path root;
    struct path cwd;
    unsigned umask;
};

void path_get(const struct path *path);
void path_put(const struct path *path);

/* Walk flags. */
#define WALK_FOLLOW    1u  /* follow a symbolic link at the end */
#define WALK_PARENT    2u  /* stop at the directory of the last part; path_walk_parent */
#define WALK_DIRECTORY 4u  /* the end must be a directory */
#define WALK_EMPTY     8u  /* AT_EMPTY_PATH: "" means the start itself */
#define WALK_NO_MAGIC  16u /* and the RESOLVE_* of openat2 */
#define WALK_BENEATH   32u
#define WALK_IN_ROOT   64u
#define WALK_NO_SYMLINKS 128u
#define WALK_NO_XDEV   256u

/* Resolves name from dirfd (ABI_AT_FDCWD: cwd) to an existing place, references taken.
 * -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG, -EBADF. */
int path_walk(int dirfd, const char *name, unsigned flags, struct path *out) __must_check;
/* The same from a given place instead of a descriptor. */
int path_walk_from(const struct path *start, const char *name, unsigned flags, struct path *out)
    __must_check;
/* The directory of name and its last part (a dentry, possibly negative, with a reference and the
 * directory's inode->lock HELD).  path_end_parent() undoes both. */
int path_walk_parent(int dirfd, const char *name, unsigned flags, struct path *dir,
                     struct dentry **last) __must_check;
void path_end_parent(struct path *dir, struct dentry *last);
/* The absolute path of a place as seen from the process's root: text in buf; length or -errno
 * (-ENAMETOOLONG).  An unlinked one has " (deleted)" appended. */
long path_text(const struct path *path, char *buf, size_t size);

/* For file systems. */
int dentry_create(struct dentry *parent, const char *name, size_t len, struct dentry **out) __must_check;
struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);
/* The name gets an inode (its reference is taken over). */
void dentry_attach(struct dentry *dentry, struct inode *inode);
/* A RAM file system's name that exists is pinned by one reference; unpinned by unlink. */
void dentry_pin(struct dentry *dentry);
void dentry_unpin(struct dentry *dentry);
/* Child by name out of the dcache only, with a reference; NULL: not there. dir->inode->lock held. */
struct dentry *dentry_find_child(struct dentry *dir, const char *name, size_t len);
/* Child through the file system's lookup; possibly negative. dir's inode->lock held. */
int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out) __must_check;

/* Mounts. */
int mount_create(const struct path *at, const struct file_system *type, const char *source,
                 unsigned long flags, const char *data) __must_check; /* at NULL: the root */
int mount_remove(const struct path *at, unsigned flags) __must_check;
const struct file_system *file_system_find(const char *name);
void file_system_register(const struct file_system *type);
void mount_for_each(bool (*visit)(struct mount *mount, void *arg), void *arg);
extern struct path root_path; /* the first mount */
