// SPDX-License-Identifier: MIT
#pragma once
/*
 * Names: the tree of dentries, their mounts, and the walk along a path.
 *
 * A dentry with an inode is a name that exists; one without (negative) a name that is known not to.
 * Child lookup is by a hash of (parent, name).  RANK_DCACHE covers the hash and child lists;
 * RANK_RENAME (held for writing by rename, mount and umount) the shape of the tree.
 */
#include "abi/fcntl.h"
#include "fs/inode.h"
#include "kernel/rwlock.h"
#include "lib/list.h"

struct dentry {
    unsigned refcount;     /* [a] a child holds its parent; RAM file systems hold one more */
    struct dentry *parent; /* [d] itself at a file system's root */
    struct inode *inode;   /* NULL: negative */
    struct superblock *sb;
    struct list children;     /* [d] */
    struct list sibling_node; /* [d] */
    struct dentry *hash_next; /* [d] */
    struct mount *mounted;    /* [d] the mounts on top of this name, by next_on_dentry */
    uint64_t position;        /* [n] cookie in the parent's listing; RAM file systems */
    uint64_t next_position;   /* [n] of the directory's inode: the next child's */
    uint32_t hash;
    uint16_t name_len;
    bool is_hashed;   /* [d] */
    bool is_unlinked; /* "(deleted)" */
    const char *name; /* [d] inline_name, or in a struct long_name */
    char inline_name[32];
};

struct mount {
    unsigned refcount;
    struct superblock *sb;
    struct dentry *root;
    struct dentry *mountpoint; /* in parent; NULL for the root mount */
    struct mount *parent;
    struct list node;             /* all mounts in order, for /proc/mounts */
    struct mount *next_on_dentry; /* [d] */
    const struct mount *origin;   /* while it is copied: of what */
    int id;                       /* mountinfo, statx */
    unsigned long flags;          /* ABI_MS_RDONLY, NOSUID, NODEV, NOEXEC, ... of this mount */
    char source[64];
};

/* A place: a name in a mount.  Both references are held by whoever owns the struct. */
struct path {
    struct mount *mount;
    struct dentry *dentry;
};

struct fs_context {
    unsigned refcount;
    struct spinlock lock; /* RANK_FS_CONTEXT */
    struct path root;
    struct path cwd;
    unsigned umask;
};

void path_get(const struct path *path);
void path_put(const struct path *path);
static inline bool path_equal(const struct path *a, const struct path *b)
{
    return a->mount == b->mount && a->dentry == b->dentry;
}

/* A path argument of a system call, copied once: short ones to the caller's stack. */
struct path_name {
    char *text;
    char inline_text[256];
};
/* -EFAULT, -ENAMETOOLONG, -ENOMEM.  path_name_fini() follows success only. */
int path_name_init(struct path_name *name, const char __app *from) __must_check;
void path_name_fini(struct path_name *name);

/* Root and current directory of the running process, with references (the first mount without one). */
void fs_context_get_root(struct path *out);
void fs_context_get_cwd(struct path *out);
unsigned fs_context_umask(void);
/* Sets fs->root or fs->cwd; to's references are taken over. */
void fs_context_replace(struct path *which, struct fs_context *fs, const struct path *to);

/* Walk flags. */
#define WALK_FOLLOW      1u  /* follow a symbolic link at the end */
#define WALK_PARENT      2u  /* stop at the directory of the last part; path_walk_parent */
#define WALK_DIRECTORY   4u  /* the end must be a directory */
#define WALK_EMPTY       8u  /* AT_EMPTY_PATH: "" means the start itself */
#define WALK_NO_MAGIC    16u /* and the RESOLVE_* of openat2 */
#define WALK_BENEATH     32u
#define WALK_IN_ROOT     64u
#define WALK_NO_SYMLINKS 128u
#define WALK_NO_XDEV     256u
#define WALK_REAL_IDS    512u /* search permission by the real ids: access(2) */

/* Resolves name from dirfd (ABI_AT_FDCWD: cwd) to an existing place, references taken.
 * -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG, -EBADF. */
int path_walk(int dirfd, const char *name, unsigned flags, struct path *out) __must_check;
/* The same from a given place instead of a descriptor. */
int path_walk_from(const struct path *start, const char *name, unsigned flags,
                   struct path *out) __must_check;
/* The directory of name and its last part (a dentry, possibly negative, with a reference and the
 * directory's inode->lock HELD).  path_end_parent() undoes both. */
int path_walk_parent(int dirfd, const char *name, unsigned flags, struct path *dir,
                     struct dentry **last) __must_check;
void path_end_parent(struct path *dir, struct dentry *last);
/* Makes a node of the running process, umask applied (bind(2) of a UNIX socket); its place in *out.
 * -EEXIST and what mknod(2) says. */
int path_make_node(const char *name, unsigned mode, uint64_t rdev, struct path *out) __must_check;
/* The absolute path of a place as seen from the process's root: text in buf; length or -errno
 * (-ENAMETOOLONG).  An unlinked one has " (deleted)" appended. */
long path_text(const struct path *path, char *buf, size_t size);
/* The same with "(unreachable)" in front of one outside the root, as getcwd(2) has it. */
long path_text_marked(const struct path *path, char *buf, size_t size);

/* For file systems.
 *
 * dentry_create() gives a negative dentry that nobody can find yet; dentry_attach() makes it the name
 * of an inode and visible.  dir's inode->lock is held for all changes of dir's entries. */
int dentry_create(struct dentry *parent, const char *name, size_t len,
                  struct dentry **out) __must_check;
struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);
/* The name gets an inode (its reference is taken over). */
void dentry_attach(struct dentry *dentry, struct inode *inode);
/* A dentry without a place in the tree (anonymous inodes, roots); takes inode's reference over. */
int dentry_create_anonymous(struct superblock *sb, const char *name, struct inode *inode,
                            struct dentry **out) __must_check;
/* The name is gone: nobody finds it any more; users keep it as "(deleted)".  dir's lock held. */
void dentry_drop(struct dentry *dentry);
/* from takes the place of to, which is dropped if it was a name; or the two swap.  rename_lock written,
 * both directories locked. */
void dentry_move(struct dentry *from, struct dentry *to);
void dentry_exchange(struct dentry *a, struct dentry *b);
/* Whether ancestor is dentry or above it.  rename_lock held. */
bool dentry_is_below(const struct dentry *dentry, const struct dentry *ancestor);
/* The parent, with a reference. */
struct dentry *dentry_get_parent(struct dentry *dentry);
/* The same with the name that it has there. */
#define DENTRY_NAME_SIZE (ABI_NAME_MAX + 1)
struct dentry *dentry_get_place(struct dentry *dentry, char name[DENTRY_NAME_SIZE]);
/* Drops a whole file system's names (umount of a RAM file system). */
void dentry_tree_release(struct dentry *root);
void dcache_init(void);
extern struct rwlock rename_lock; /* RANK_RENAME */
/* A RAM file system's name that exists is pinned by one reference; unpinned by unlink. */
void dentry_pin(struct dentry *dentry);
void dentry_unpin(struct dentry *dentry);
/* Child by name out of the dcache only, with a reference; NULL: not there. dir->inode->lock held. */
struct dentry *dentry_find_child(struct dentry *dir, const char *name, size_t len);
/* Child through the file system's lookup; possibly negative. dir's inode->lock held. */
int dentry_lookup(struct dentry *dir, const char *name, size_t len,
                  struct dentry **out) __must_check;

/* Mounts. */
int mount_create(const struct path *at, const struct file_system *type, const char *source,
                 unsigned long flags, const char *data) __must_check; /* at NULL: the root */
int mount_remove(const struct path *at, unsigned flags) __must_check;
int mount_bind(const struct path *where, const struct path *from, bool recursive) __must_check;
int mount_move(const struct path *at, const struct path *from) __must_check;
int mount_change_flags(const struct path *at, unsigned long flags) __must_check;
struct mount *mount_get(struct mount *mount);
void mount_put(struct mount *mount);
/* path becomes the root of what is mounted there, if anything is; true if it did. */
bool path_cross_mounts(struct path *path);
/* One step up out of mounts whose root path is; false at the top of all. */
bool path_leave_mount(struct path *path);
/* Changes below mount are allowed: 0 or -EROFS. */
int mount_want_write(const struct mount *mount) __must_check;
const struct file_system *file_system_find(const char *name);
void file_system_register(const struct file_system *type);
void file_system_for_each(bool (*visit)(const struct file_system *type, void *arg), void *arg);
/* Visits with rename_lock held for reading. */
void mount_for_each(bool (*visit)(struct mount *mount, void *arg), void *arg);
extern struct path root_path; /* the first mount */
