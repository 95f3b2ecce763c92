// SPDX-License-Identifier: MIT
#pragma once
/*
 * Inodes and file systems: one shape for all of them.
 *
 * Names live in dentries (fs/dcache.h).  The RAM file systems have no directory data of their
 * own: their dentries are pinned and are the directory, as in Linux's ramfs.
 *
 * [i] set at creation  [n] inode->lock (mutex, RANK_INODE)  [a] atomic
 */
#include "abi/errno.h"
#include "abi/stat.h"
#include "abi/time.h"
#include "kernel/mm/pagecache.h"
#include "kernel/mutex.h"

struct dentry;
struct file;
struct inode;
struct mount;
struct superblock;

struct file_system {
    const char *name; /* "ramfs", "proc": as mount(2) and /proc/filesystems name it */
    /* Makes the superblock and its root inode.  data: mount options text or NULL. */
    int (*mount)(const struct file_system *type, const char *source, unsigned long flags,
                 const char *data, struct superblock **out);
};

struct superblock_ops {
    int (*statfs)(struct superblock *sb, struct abi_statfs *out);
    int (*sync)(struct superblock *sb);
    /* The last mount goes: drop the names that are held only to be found again.  May be NULL. */
    void (*forget_names)(struct superblock *sb);
    void (*destroy)(struct superblock *sb);
    /* Whether a name that the dcache found still means the same; false: look it up anew.  NULL:
     * always (/proc/PID comes and goes without the dcache). */
    bool (*revalidate)(struct dentry *dentry);
};

struct superblock {
    unsigned refcount; /* [a] mounts; static ones never go */
    const struct file_system *type;
    const struct superblock_ops *ops;
    struct dentry *root;
    uint64_t device;     /* st_dev */
    uint64_t next_ino;   /* [a] */
    unsigned long flags; /* ABI_MS_RDONLY ... */
    struct list watches; /* of its inodes: fs/inotify.c */
    unsigned nwatches;   /* [a] those that hold an inode, also after their end */
    void *private;
};

struct inode_change;

struct inode_ops {
    /* Fills in dentry's inode if the name exists (dentry_attach), else leaves it negative: 0; -errno.
     * NULL: names are only what the dcache holds (RAM file systems). */
    int (*lookup)(struct inode *dir, struct dentry *dentry);
    int (*create)(struct inode *dir, struct dentry *dentry, unsigned mode);
    int (*mkdir)(struct inode *dir, struct dentry *dentry, unsigned mode);
    /* O_TMPFILE: dentry has no place in the tree. NULL: -EOPNOTSUPP. */
    int (*tmpfile)(struct inode *dir, struct dentry *dentry, unsigned mode);
    int (*mknod)(struct inode *dir, struct dentry *dentry, unsigned mode, uint64_t rdev);
    int (*symlink)(struct inode *dir, struct dentry *dentry, const char *target);
    int (*link)(struct inode *inode, struct inode *dir, struct dentry *dentry);
    int (*unlink)(struct inode *dir, struct dentry *dentry);
    int (*rmdir)(struct inode *dir, struct dentry *dentry);
    int (*rename)(struct inode *from_dir, struct dentry *from, struct inode *to_dir,
                  struct dentry *to, unsigned flags);
    /* The target, NUL-terminated, into buf; its length.  */
    long (*readlink)(struct inode *inode, char *buf, size_t size);
    /* A link that jumps (/proc/self/fd/3): the place itself, with references; NULL for text links. */
    int (*follow)(struct inode *inode, struct mount **mount, struct dentry **dentry);
    int (*setattr)(struct inode *inode, const struct inode_change *change);
    /* Somebody else may have changed the file: brings the inode's fields up to date.  NULL: they are. */
    int (*getattr)(struct inode *inode);
    int (*permission)(struct inode *inode, unsigned mask); /* NULL: mode bits */
    /* The running process's own: the mode bits do not bar it.  NULL: they do. */
    bool (*is_open_to_self)(const struct inode *inode, unsigned mask);
    long (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
    int (*setxattr)(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
    long (*listxattr)(struct inode *inode, char *buf, size_t size);
    void (*evict)(struct inode *inode); /* the last reference is gone */
};

struct inode {
    unsigned refcount; /* [a] */
    struct mutex lock;
    struct superblock *sb;                          /* [i] */
    const struct inode_ops *ops;                    /* [i] */
    const struct file_ops *file_ops;                /* [i] what open() gives its files */
    uint64_t ino;                                   /* [i] */
    unsigned mode;                                  /* [n] S_IFMT and permissions */
    unsigned nlink;                                 /* [n] */
    uint32_t uid, gid;                              /* [n] */
    uint64_t rdev;                                  /* [i] device nodes */
    uint64_t size;                                  /* [n] */
    uint64_t blocks;                                /* in 512 bytes; ramfs derives it */
    struct abi_timespec atime, mtime, ctime, btime; /* [n] */
    struct pagecache *cache;                        /* [i] regular files; NULL else */
    void *private;                                  /* [i] the file system's */
    void *pipe;                                     /* [n] a FIFO's pipe */
    void *socket;                                   /* [n] a UNIX socket bound here (net/unix.c) */
    struct list watches;                            /* fs/inotify.c */
    void *locks;                                    /* flock and record locks; NULL until used */
    void *xattrs;           /* ramfs: extended attributes; NULL until used */
    unsigned seals;         /* memfd */
    uint32_t archive_entry; /* [i] its number in the boot archive, or 0: kernel/archive_use.h */
    const char *link; /* [i] a symbolic link's target kept in memory, or NULL: ops->readlink */
    int nwriters; /* [a] > 0: open files that may write; < 0: programs that are being run from it */
    bool is_linkable; /* [n] O_TMPFILE without O_EXCL: linkat() may give it a name */
};

struct inode_change {
    unsigned valid; /* CHANGE_* */
    unsigned mode;
    uint32_t uid, gid;
    uint64_t size;
    struct abi_timespec atime, mtime;
};
#define CHANGE_MODE  1u
#define CHANGE_UID   2u
#define CHANGE_GID   4u
#define CHANGE_SIZE  8u
#define CHANGE_ATIME 16u
#define CHANGE_MTIME 32u
#define CHANGE_CTIME 64u  /* to now; vfs_change() adds it */
#define CHANGE_NOW   128u /* the times are the present one: whoever may write may set it */

/* A superblock with a reference and no root yet; superblock_set_root() makes the root dentry (inode's
 * reference is taken over, also on failure). */
int superblock_create(const struct file_system *type, const struct superblock_ops *ops,
                      unsigned long flags, struct superblock **out) __must_check;
int superblock_set_root(struct superblock *sb, struct inode *root) __must_check;
void superblock_put(struct superblock *sb);
uint64_t device_number_anonymous(void); /* a fresh st_dev (major 0) */

/* nlink 1, the running process's ids, all times now.  Dying inodes go to ops->evict. */
int inode_create(struct superblock *sb, unsigned mode, struct inode **out) __must_check;
/* The owner and mode of a new inode in dir: a set-group-id directory hands its group on. */
void inode_init_owner(struct inode *inode, const struct inode *dir, unsigned mode);
struct inode *inode_get(struct inode *inode);
/* For file systems that find their inodes by number: false if the last reference is gone (evict is on its way). */
bool inode_try_get(struct inode *inode) __must_check;
/* A file is written or run, never both (-ETXTBSY), as on Linux.  Each begin that returned 0 needs its end. */
int inode_begin_write(struct inode *inode) __must_check;
void inode_end_write(struct inode *inode);
int inode_begin_run(struct inode *inode) __must_check;
void inode_end_run(struct inode *inode);
void inode_put(struct inode *inode);
/* The running process may access it so (mask of 4 read, 2 write, 1 execute); -EACCES, -EROFS. */
int inode_permission(struct inode *inode, unsigned mask) __must_check;
/* By the real instead of the file-system ids: access(2). */
int inode_permission_of_mode(struct inode *inode,
                             unsigned mask) __must_check; /* what ops say aside */
int inode_permission_real(struct inode *inode, unsigned mask) __must_check;
bool process_has_capability(unsigned capability); /* ABI_CAP_*; true in a kernel thread */
bool process_is_in_group(uint32_t gid);
bool inode_is_owner_or_capable(const struct inode *inode);
/* Applies change to the fields; the size goes to the page cache.  inode->lock held. */
int inode_change_fields(struct inode *inode, const struct inode_change *change) __must_check;
/* By ops->getattr: the fields are what they are now. */
int inode_refresh(struct inode *inode) __must_check;
/* In 512 bytes: the pages of a file in RAM, else the field. */
uint64_t inode_blocks(const struct inode *inode);
/* statx's view. */
int inode_getattr(struct inode *inode, struct abi_statx *out) __must_check;
/* After a write or a change of owner: set-user-id and set-group-id go.  inode->lock held. */
void inode_kill_suid(struct inode *inode);
void inode_touch(struct inode *inode, bool atime, bool mtime, bool ctime);
static inline bool inode_is_dir(const struct inode *inode)
{
    return (inode->mode & ABI_S_IFMT) == ABI_S_IFDIR;
}
