// SPDX-License-Identifier: MIT
#pragma once
/*
 * The file system on a session (fs/ninep/client.h): what its files share.
 *
 * [i] set at creation  [n] inode->lock  [s] client->lock (RANK_NINEP)  [a] atomic
 */
#include "fs/file.h"
#include "fs/ninep/client.h"

#define NINEP_BUCKETS 256
#define NINEP_NAMES   1024 /* kept to be found again */

struct ninep_fs {
    struct ninep_client *client;
    struct list inodes[NINEP_BUCKETS]; /* [s] struct ninep_inode by qid.path */
    struct dentry *names[NINEP_NAMES]; /* [s] a reference on each */
    unsigned next_name;                /* [s] */
    bool cannot_chown;                 /* [a] the server is no root */
};

struct ninep_inode {
    struct inode *inode;       /* [i] */
    struct list node;          /* [s] in its bucket */
    struct ninep_fid *fid;     /* [s] the name it was found by last; get it by ninep_inode_fid() */
    struct dentry *dentry;     /* [a] that name's; only compared */
    struct list files;         /* [s] struct ninep_file: the open ones */
    struct ninep_fid *created; /* [s] open, for the thread that has just made the file */
    struct thread *creator;    /* [s] only compared */
    bool is_stale;             /* [a] what is known of it may be old: ask before it is used */
    bool is_nameless; /* [a] fid's name was removed here: it may be another file's by now */
};

/* An open file or directory. */
struct ninep_file {
    struct list node; /* [s] */
    struct ninep_fid *fid;
    struct ninep_fid *append; /* [i] what is written to it the server appends; or NULL */
    bool can_read, can_write; /* [i] */
};

static inline struct ninep_fs *ninep_fs_of(const struct superblock *sb)
{
    return sb->private;
}

static inline struct ninep_inode *ninep_inode_of(const struct inode *inode)
{
    return inode->private;
}

/* ---- fs/ninep/inode.c ---- */

/* The inode that fid, whose reference is taken over, stands for: the one there is, or a new one.  dentry: fid's name,
 * or NULL. */
int ninep_inode_find(struct superblock *sb, struct ninep_fid *fid, struct dentry *dentry,
                     struct inode **out) __must_check;
struct ninep_fid *ninep_inode_fid(struct inode *inode); /* with a reference */
/* What the server says of it.  -ESTALE: its name is gone or another file's. */
int ninep_inode_ask(struct inode *inode, struct ninep_stat *stat) __must_check;
/* Brings the fields and the page cache up to date.  -ESTALE: its name is gone or another file's.  inode->lock held. */
int ninep_refresh(struct inode *inode) __must_check;
int ninep_lookup(struct inode *dir, struct dentry *dentry);
bool ninep_revalidate(struct dentry *dentry);
/* It was removed: whoever watches the file is to hear when its last user is gone.  The caller has a reference. */
void ninep_forget_name(struct dentry *dentry);
void ninep_forget_names(struct superblock *sb);
/* The name that the inode had its fid by is gone: another one that was kept will do. */
void ninep_find_name(struct inode *inode);
int ninep_getattr_op(struct inode *inode);
long ninep_readlink_op(struct inode *inode, char *buf, size_t size);
void ninep_evict(struct inode *inode);
extern const struct inode_ops ninep_inode_ops; /* fs/ninep/names.c */

/* ---- fs/ninep/file.c, fs/ninep/dir.c ---- */

int ninep_open(struct inode *inode, struct file *file);
void ninep_release(struct file *file);
/* The next open by this thread gets fid. */
void ninep_keep_created(struct inode *inode, struct ninep_fid *fid);
/* Bytes [from, to) of a file that is open.  inode->lock held. */
int ninep_write_zeros(struct inode *inode, uint64_t from, uint64_t to) __must_check;
int ninep_sync(struct superblock *sb);
extern const struct file_ops ninep_file_ops, ninep_dir_ops;
extern const struct pagecache_ops ninep_cache_ops;
