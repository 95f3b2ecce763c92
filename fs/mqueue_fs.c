// SPDX-License-Identifier: MIT
/*
 * The file system of message queues.  There is one, however often it is mounted: mq_open(2) uses it without any mount,
 * through one that stands nowhere.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/mqueue.h"
#include "fs/ramfs.h"
#include "fs/vfs.h"
#include "kernel/panic.h"

#define MQUEUE_MAGIC 0x19800202
#define FILE_SIZE    80 /* st_size of a queue, and the room for its line */
#define ENTRY_SIZE   20 /* what a queue adds to the st_size of the directory */

static struct superblock *mqueue_sb;
static struct mount hidden_mount = { .refcount = 1, .node = LIST_INIT(hidden_mount.node) };
static const struct inode_ops queue_inode_ops, dir_inode_ops;
static const struct file_ops queue_file_ops;

/* ---- Files ------------------------------------------------------------------------------- */

struct mqueue *mqueue_of_file(const struct file *file)
{
    return file->ops == &queue_file_ops ? file->inode->private : NULL;
}

static int queue_file_open(struct inode *inode, struct file *file)
{
    struct mqueue *queue = inode->private;

    file->poll_head = &queue->poll;
    return 0;
}

static long queue_file_read(struct file *file, struct io *io, int64_t *pos)
{
    char line[FILE_SIZE];

    mqueue_describe(file->inode->private, line, sizeof(line));
    size_t len = strlen(line);
    if (*pos < 0)
        return -EINVAL;
    if ((uint64_t)*pos >= len)
        return 0;
    long n = io_write_to(io, line + *pos, MIN(len - (size_t)*pos, io->remaining));
    if (n > 0)
        *pos += n;
    return n;
}

static long queue_file_write(struct file *file, struct io *io, int64_t *pos)
{
    return -EINVAL; /* a message has a priority: mq_send(3) */
}

static int64_t queue_file_seek(struct file *file, int64_t offset, int whence)
{
    return file_seek_in(file, offset, whence, FILE_SIZE);
}

static unsigned queue_file_poll(struct file *file)
{
    const struct mqueue *queue = file->inode->private;
    long curmsgs = READ_ONCE(queue->curmsgs);

    return (curmsgs > 0 ? ABI_POLLIN | ABI_POLLRDNORM : 0) |
           (curmsgs < queue->maxmsg ? ABI_POLLOUT | ABI_POLLWRNORM : 0);
}

/* Whoever closes any descriptor of a queue is told of no more messages. */
static void queue_file_flush(struct file *file)
{
    (void)mqueue_remove_notice(file->inode->private);
}

static const struct file_ops queue_file_ops = {
    .read = queue_file_read,
    .write = queue_file_write,
    .seek = queue_file_seek,
    .poll = queue_file_poll,
    .open = queue_file_open,
    .flush = queue_file_flush,
};

/* ---- Names ------------------------------------------------------------------------------- */

static int queue_inode_create(unsigned mode, const struct abi_mq_attr *attr, struct inode **out)
{
    struct mqueue *queue;

    int err = mqueue_create(attr, &queue);
    if (err)
        return err;
    err = inode_create(mqueue_sb, mode, out);
    if (err) {
        mqueue_destroy(queue);
        return err;
    }
    (*out)->ops = &queue_inode_ops;
    (*out)->file_ops = &queue_file_ops;
    (*out)->size = FILE_SIZE;
    (*out)->private = queue;
    return 0;
}

static void queue_evict(struct inode *inode)
{
    mqueue_destroy(inode->private);
}

static const struct inode_ops queue_inode_ops = {
    .setattr = inode_change_fields,
    .evict = queue_evict,
};

/* dir's inode->lock is held. */
static int queue_enter(struct inode *dir, struct dentry *dentry, unsigned mode,
                       const struct abi_mq_attr *attr)
{
    struct inode *inode;

    int err = queue_inode_create(mode, attr, &inode);
    if (err)
        return err;
    dentry_attach(dentry, inode);
    dentry_pin(dentry);
    dir->size += ENTRY_SIZE;
    inode_touch(dir, true, true, true);
    return 0;
}

static int dir_create(struct inode *dir, struct dentry *dentry, unsigned mode)
{
    return queue_enter(dir, dentry, mode, NULL);
}

static int dir_unlink(struct inode *dir, struct dentry *dentry)
{
    dir->size -= ENTRY_SIZE;
    inode_touch(dir, true, true, true);
    dentry->inode->nlink--;
    dentry_unpin(dentry);
    return 0;
}

static int dir_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir,
                      struct dentry *to, unsigned flags)
{
    return -EPERM;
}

static const struct inode_ops dir_inode_ops = {
    .create = dir_create,
    .rename = dir_rename,
    .unlink = dir_unlink,
    .setattr = inode_change_fields,
};

/* ---- mq_open, mq_unlink ------------------------------------------------------------------ */

/* With the root's inode->lock held, which the caller releases. */
static int name_lookup(const char *name, struct dentry **out)
{
    struct dentry *root = mqueue_sb->root;
    size_t len = strlen(name);

    if (len == 0 || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return -EACCES;
    if (len > ABI_NAME_MAX)
        return -ENAMETOOLONG;
    int err = inode_permission(root->inode, ABI_X_OK);
    return err ? err : dentry_lookup(root, name, len, out);
}

/* A queue that is there already is opened by its permissions, whatever the flags ask for. */
static int name_check(const struct dentry *last, unsigned flags)
{
    static const unsigned char mask[3] = { ABI_R_OK, ABI_W_OK, ABI_R_OK | ABI_W_OK };

    if (flags & ABI_O_CREAT && flags & ABI_O_EXCL)
        return -EEXIST;
    if ((flags & ABI_O_ACCMODE) == ABI_O_ACCMODE)
        return -EINVAL;
    return inode_permission(last->inode, mask[flags & ABI_O_ACCMODE]);
}

static int name_create(struct dentry *last, unsigned mode, const struct abi_mq_attr *attr)
{
    struct inode *dir = mqueue_sb->root->inode;

    int err = inode_permission(dir, ABI_W_OK | ABI_X_OK);
    if (err)
        return err;
    mode = (mode & 07777 & ~fs_context_umask()) | ABI_S_IFREG;
    return queue_enter(dir, last, mode, attr);
}

int mqueue_open(const char *name, unsigned flags, unsigned mode, const struct abi_mq_attr *attr,
                struct file **out)
{
    struct path place = { .mount = &hidden_mount };
    struct inode *dir = mqueue_sb->root->inode;

    mutex_lock(&dir->lock);
    int err = name_lookup(name, &place.dentry);
    if (err) {
        mutex_unlock(&dir->lock);
        return err;
    }
    if (place.dentry->inode)
        err = name_check(place.dentry, flags);
    else
        err = flags & ABI_O_CREAT ? name_create(place.dentry, mode, attr) : -ENOENT;
    mutex_unlock(&dir->lock);
    if (!err)
        err = file_open_path(&place, flags & (ABI_O_ACCMODE | ABI_O_NONBLOCK), out);
    dentry_put(place.dentry);
    if (!err)
        (*out)->flags &= ~ABI_O_LARGEFILE; /* which open(2) alone adds */
    return err;
}

int mqueue_unlink(const char *name)
{
    const struct path root = { &hidden_mount, mqueue_sb->root };
    struct inode *dir = mqueue_sb->root->inode;
    struct dentry *last;

    mutex_lock(&dir->lock);
    int err = name_lookup(name, &last);
    if (!err) {
        err = vfs_unlink_at(&root, last);
        dentry_put(last);
    }
    mutex_unlock(&dir->lock);
    return err;
}

/* ---- The file system --------------------------------------------------------------------- */

static int mqueue_statfs(struct superblock *sb, struct abi_statfs *out)
{
    out->f_type = MQUEUE_MAGIC;
    return 0;
}

static const struct superblock_ops mqueue_superblock_ops = { .statfs = mqueue_statfs };

static int mqueue_mount(const struct file_system *type, const char *source, unsigned long flags,
                        const char *data, struct superblock **out)
{
    __atomic_fetch_add(&mqueue_sb->refcount, 1, __ATOMIC_RELAXED);
    *out = mqueue_sb;
    return 0;
}

static int root_make(void)
{
    struct inode *root;

    int err = inode_create(mqueue_sb, ABI_S_IFDIR | 01777, &root);
    if (err)
        return err;
    root->ops = &dir_inode_ops;
    root->file_ops = &ramfs_dir_ops;
    root->nlink = 2;
    return superblock_set_root(mqueue_sb, root);
}

void mqueue_fs_init(void)
{
    static const struct file_system type = { .name = "mqueue", .mount = mqueue_mount };

    int err = superblock_create(&type, &mqueue_superblock_ops, 0, &mqueue_sb);
    if (!err)
        err = root_make();
    if (err)
        panic("no memory for the message queues: error %d", -err);
    hidden_mount.sb = mqueue_sb;
    hidden_mount.root = mqueue_sb->root;
    file_system_register(&type);
}
