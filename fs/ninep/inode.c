// SPDX-License-Identifier: MIT
/*
 * A folder of the host: names, inodes and what is known about them.
 *
 * Others change the folder at any time, so nothing that was seen is trusted for long.  Each step of a walk asks the
 * server whether the name still means the same file, and takes its attributes over; so an edit, a rename or a removal
 * on the host is seen by the next open or stat.  What was found is kept (the last NINEP_NAMES names), because asking
 * about a fid costs one message and finding it three.
 *
 * A fid stands for a name rather than for a file: QEMU's server keeps the path and follows renames made through the
 * session, but not those made by others.  So an answer counts only if its qid is the inode's (else -ESTALE).  An inode
 * has one fid, of the name by which it was looked up last; a second name of the same file (a hard link) is looked
 * up anew and the fid exchanged.  Once the name was removed through us the fid is not used any more: the name
 * may come back as another file.  Another name that is known takes its place; without one the file lives on in its open
 * fids and in the inode's own fields.
 *
 * Inodes are found by qid.path, so that two names share one inode with its locks and page cache.
 *
 * Locking: fields and page cache of an inode are refreshed under inode->lock, which those who change the file hold as
 * well, so an answer from before a change is never taken for one from after it.  A walk may not wait for that lock (it
 * may hold it); if it is taken the inode is marked is_stale, and open() asks again.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "fs/ninep/ninep.h"
#include "kernel/mm/heap.h"

static struct list *bucket_of(struct ninep_fs *fs, uint64_t path)
{
    return &fs->inodes[(path * 0x9e3779b97f4a7c15ULL) >> 56];
}
_Static_assert(NINEP_BUCKETS == 256, "bucket_of() takes 8 bits");

/* ---- What is known ------------------------------------------------------------------- */

static bool time_equal(const struct abi_timespec *a, const struct abi_timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* inode->lock held, or nobody else has it yet. */
static void stat_apply(struct inode *inode, const struct ninep_stat *stat)
{
    bool is_changed = !time_equal(&inode->mtime, &stat->mtime) || inode->size != stat->size;

    inode->mode = stat->mode;
    inode->nlink = (unsigned)MIN(stat->nlink, (uint64_t)UINT32_MAX);
    inode->uid = stat->uid;
    inode->gid = stat->gid;
    inode->blocks = stat->blocks;
    inode->atime = stat->atime;
    inode->mtime = stat->mtime;
    inode->ctime = stat->ctime;
    inode->btime = stat->btime;
    if (inode->cache && is_changed) {
        pagecache_invalidate(inode->cache, 0, UINT64_MAX);
        pagecache_set_size(inode->cache, stat->size);
    }
    WRITE_ONCE(inode->size, stat->size);
    WRITE_ONCE(ninep_inode_of(inode)->is_stale, false);
}

static bool is_same_file(const struct inode *inode, const struct ninep_stat *stat)
{
    return stat->qid.path == inode->ino && ((stat->mode ^ inode->mode) & ABI_S_IFMT) == 0;
}

struct ninep_fid *ninep_inode_fid(struct inode *inode)
{
    struct ninep_client *client = ninep_fs_of(inode->sb)->client;

    spin_lock(&client->lock);
    struct ninep_fid *fid = ninep_fid_get(ninep_inode_of(inode)->fid);
    spin_unlock(&client->lock);
    return fid;
}

int ninep_inode_ask(struct inode *inode, struct ninep_stat *stat)
{
    if (READ_ONCE(ninep_inode_of(inode)->is_nameless))
        return -ESTALE;
    struct ninep_fid *fid = ninep_inode_fid(inode);
    int err = ninep_getattr(fid, stat);
    ninep_fid_put(fid);
    if (err == -ENOENT || (!err && !is_same_file(inode, stat)))
        err = -ESTALE;
    return err;
}

int ninep_refresh(struct inode *inode)
{
    struct ninep_stat stat;

    assert_held(&inode->lock);
    int err = ninep_inode_ask(inode, &stat);
    if (!err)
        stat_apply(inode, &stat);
    return err;
}

/* 0: the name means inode still; what else is known of it is up to date, or marked. */
static int try_refresh(struct inode *inode)
{
    struct ninep_stat stat;

    WRITE_ONCE(ninep_inode_of(inode)->is_stale, true);
    if (!mutex_try_lock(&inode->lock))
        return ninep_inode_ask(inode, &stat);
    int err = ninep_refresh(inode);
    mutex_unlock(&inode->lock);
    return err;
}

int ninep_getattr_op(struct inode *inode)
{
    mutex_lock(&inode->lock);
    int err = ninep_refresh(inode);
    if (err == -ESTALE) { /* removed; here its links were counted, elsewhere nobody knows */
        if (!READ_ONCE(ninep_inode_of(inode)->is_nameless))
            inode->nlink = 0;
        err = 0;
    }
    mutex_unlock(&inode->lock);
    return err;
}

long ninep_readlink_op(struct inode *inode, char *buf, size_t size)
{
    struct ninep_fid *fid = ninep_inode_fid(inode);
    long len = ninep_readlink(fid, buf, size);

    ninep_fid_put(fid);
    return len;
}

/* ---- The table ------------------------------------------------------------------------ */

/* client->lock held.  With a reference, or NULL. */
static struct inode *table_find(struct ninep_fs *fs, const struct ninep_stat *stat)
{
    struct ninep_inode *ninode;

    list_for_each (ninode, bucket_of(fs, stat->qid.path), node) {
        if (is_same_file(ninode->inode, stat) && inode_try_get(ninode->inode))
            return ninode->inode;
    }
    return NULL;
}

static int inode_make(struct superblock *sb, const struct ninep_stat *stat, struct inode **out)
{
    struct ninep_inode *ninode = kzalloc(sizeof(*ninode), ALLOC_WAIT);
    int err = ninode ? inode_create(sb, stat->mode, out) : -ENOMEM;

    if (err) {
        kfree(ninode);
        return err;
    }
    struct inode *inode = *out;
    ninode->inode = inode;
    list_init(&ninode->node);
    list_init(&ninode->files);
    inode->private = ninode;
    inode->ops = &ninep_inode_ops;
    inode->ino = stat->qid.path;
    inode->rdev = stat->rdev;
    if (inode_is_dir(inode))
        inode->file_ops = &ninep_dir_ops;
    if ((stat->mode & ABI_S_IFMT) == ABI_S_IFREG) {
        inode->file_ops = &ninep_file_ops;
        err = pagecache_create(&ninep_cache_ops, inode, &inode->cache);
    }
    if (err)
        inode_put(inode);
    else
        stat_apply(inode, stat);
    return err;
}

void ninep_evict(struct inode *inode)
{
    struct ninep_inode *ninode = ninep_inode_of(inode);
    struct ninep_client *client = ninep_fs_of(inode->sb)->client;

    if (inode->cache)
        pagecache_retire(inode->cache);
    spin_lock(&client->lock);
    list_remove(&ninode->node);
    spin_unlock(&client->lock);
    ninep_fid_put(ninode->created);
    ninep_fid_put(ninode->fid);
    kfree(ninode);
    inode->private = NULL;
}

/* fid is what the inode is asked about from now on; the one before, to be put. */
static struct ninep_fid *set_fid(struct inode *inode, struct ninep_fid *fid, struct dentry *dentry)
{
    struct ninep_inode *ninode = ninep_inode_of(inode);
    struct ninep_fid *before = ninode->fid;

    ninode->fid = fid;
    WRITE_ONCE(ninode->dentry, dentry);
    WRITE_ONCE(ninode->is_nameless, false);
    return before;
}

/* Enters made, or finds the one that is there; *before: a fid to be put. */
static struct inode *table_enter(struct ninep_fs *fs, const struct ninep_stat *stat,
                                 struct inode *made, struct ninep_fid *fid, struct dentry *dentry,
                                 struct ninep_fid **before)
{
    spin_lock(&fs->client->lock);
    struct inode *inode = table_find(fs, stat);
    if (!inode && made) {
        inode = made;
        list_push_back(bucket_of(fs, stat->qid.path), &ninep_inode_of(made)->node);
    }
    if (inode)
        *before = set_fid(inode, fid, dentry);
    spin_unlock(&fs->client->lock);
    return inode;
}

int ninep_inode_find(struct superblock *sb, struct ninep_fid *fid, struct dentry *dentry,
                     struct inode **out)
{
    struct ninep_fs *fs = ninep_fs_of(sb);
    struct ninep_fid *before = NULL;
    struct inode *made = NULL;
    struct ninep_stat stat;
    int err = ninep_getattr(fid, &stat);

    if (!err) {
        *out = table_enter(fs, &stat, NULL, fid, dentry, &before);
        if (!*out)
            err = inode_make(sb, &stat, &made);
    }
    if (err) {
        ninep_fid_put(fid);
        return err;
    }
    if (made)
        *out = table_enter(fs, &stat, made, fid, dentry, &before);
    ninep_fid_put(before);
    if (made && *out != made)
        inode_put(made);
    if (*out != made) /* it was known, perhaps otherwise */
        (void)!try_refresh(*out);
    return 0;
}

/* ---- Names ---------------------------------------------------------------------------- */

/* The name stays to be found again, in the place of the oldest one. */
static void name_keep(struct ninep_fs *fs, struct dentry *dentry)
{
    dentry_get(dentry);
    spin_lock(&fs->client->lock);
    struct dentry *oldest = fs->names[fs->next_name];
    fs->names[fs->next_name] = dentry;
    fs->next_name = (fs->next_name + 1) % NINEP_NAMES;
    spin_unlock(&fs->client->lock);
    dentry_put(oldest);
}

void ninep_forget_name(struct dentry *dentry)
{
    struct ninep_fs *fs = ninep_fs_of(dentry->sb);
    unsigned i = 0;

    spin_lock(&fs->client->lock);
    while (i < NINEP_NAMES && fs->names[i] != dentry)
        i++;
    if (i < NINEP_NAMES)
        fs->names[i] = NULL;
    spin_unlock(&fs->client->lock);
    if (i < NINEP_NAMES)
        dentry_put(dentry);
}

void ninep_forget_names(struct superblock *sb)
{
    struct ninep_fs *fs = ninep_fs_of(sb);

    for (unsigned i = 0; i < NINEP_NAMES; i++) {
        dentry_put(fs->names[i]);
        fs->names[i] = NULL;
    }
}

/* The first of the names from *i on that is kept of inode, with a reference, or NULL. */
static struct dentry *kept_name(struct inode *inode, unsigned *i)
{
    struct ninep_fs *fs = ninep_fs_of(inode->sb);
    struct dentry *found = NULL;

    spin_lock(&fs->client->lock);
    while (!found && *i < NINEP_NAMES) {
        struct dentry *dentry = fs->names[(*i)++];
        if (dentry && dentry->inode == inode)
            found = dentry_get(dentry);
    }
    spin_unlock(&fs->client->lock);
    return found;
}

/* The name may be gone, or another file's. */
static int name_try(struct inode *inode, struct dentry *dentry)
{
    char name[DENTRY_NAME_SIZE];
    struct dentry *parent = dentry_get_place(dentry, name);
    struct ninep_fid *fid, *dir_fid = ninep_inode_fid(parent->inode);
    struct ninep_stat stat;
    int err = ninep_walk(dir_fid, name, &fid);

    ninep_fid_put(dir_fid);
    dentry_put(parent);
    if (err)
        return err;
    err = ninep_getattr(fid, &stat);
    if (!err && !is_same_file(inode, &stat))
        err = -ESTALE;
    if (!err) {
        struct ninep_client *client = ninep_fs_of(inode->sb)->client;
        spin_lock(&client->lock);
        fid = set_fid(inode, fid, dentry);
        spin_unlock(&client->lock);
    }
    ninep_fid_put(fid);
    return err;
}

void ninep_find_name(struct inode *inode)
{
    struct dentry *dentry;
    unsigned i = 0;
    int err = -ESTALE;

    while (err && (dentry = kept_name(inode, &i))) {
        err = name_try(inode, dentry);
        dentry_put(dentry);
    }
}

int ninep_lookup(struct inode *dir, struct dentry *dentry)
{
    struct ninep_fid *fid, *dir_fid = ninep_inode_fid(dir);
    struct inode *inode;
    int err = ninep_walk(dir_fid, dentry->name, &fid);

    ninep_fid_put(dir_fid);
    if (!err)
        err = ninep_inode_find(dir->sb, fid, dentry, &inode);
    if (err)
        return err == -ENOENT ? 0 : err; /* the name stays negative */
    dentry_attach(dentry, inode);
    name_keep(ninep_fs_of(dir->sb), dentry);
    return 0;
}

bool ninep_revalidate(struct dentry *dentry)
{
    struct inode *inode = dentry->inode;

    if (!inode || READ_ONCE(ninep_inode_of(inode)->dentry) != dentry)
        return READ_ONCE(dentry->mounted) != NULL;
    return try_refresh(inode) == 0 || READ_ONCE(dentry->mounted);
}
