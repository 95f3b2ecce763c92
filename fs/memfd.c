// SPDX-License-Identifier: MIT
/*
 * memfd_create(2): a file of the RAM file system that never had a name.
 *
 * Its dentry stands alone, so its path shows as "/memfd:name (deleted)", as on Linux.  The seals are
 * kept in the inode; writing, truncating and mapping look at them there.
 */
#include "fs/memfd.h"

#include "abi/fcntl.h"
#include "fs/ramfs.h"
#include "lib/format.h"

#define ALL_SEALS                                                                                  \
    (ABI_F_SEAL_SEAL | ABI_F_SEAL_SHRINK | ABI_F_SEAL_GROW | ABI_F_SEAL_WRITE |                    \
     ABI_F_SEAL_FUTURE_WRITE)

/* Never in the list of mounts; what dentries without a place are "in". */
static struct mount memfd_mount = { .refcount = 1, .node = LIST_INIT(memfd_mount.node) };

static int memfd_dentry_create(const char *name, struct dentry **out)
{
    char text[256];
    struct inode *inode;
    int err = ramfs_inode_create(ramfs_anonymous, ABI_S_IFREG | 0777, 0, &inode);
    if (err)
        return err;
    inode->nlink = 0;
    format_string(text, sizeof(text), "memfd:%s", name);
    return dentry_create_anonymous(ramfs_anonymous, text, inode, out);
}

int memfd_create_file(const char *name, unsigned flags, struct file **out)
{
    struct path place = { .mount = &memfd_mount };
    memfd_mount.sb = ramfs_anonymous;
    int err = memfd_dentry_create(name, &place.dentry);
    if (err)
        return err;
    err = file_open_path(&place, ABI_O_RDWR | flags, out);
    dentry_put(place.dentry);
    return err;
}

static bool has_seals(const struct file *file)
{
    return inode_is_ramfs(file->inode) && (file->inode->mode & ABI_S_IFMT) == ABI_S_IFREG;
}

/* inode->lock held. */
static int seals_add_locked(struct inode *inode, unsigned seals)
{
    if (inode->seals & ABI_F_SEAL_SEAL)
        return -EPERM;
    int err = 0;
    mutex_lock(&inode->cache->lock);
    if ((seals & ABI_F_SEAL_WRITE) && !(inode->seals & ABI_F_SEAL_WRITE) &&
        inode->cache->nwritable_shared > 0)
        err = -EBUSY;
    else
        inode->seals |= seals;
    mutex_unlock(&inode->cache->lock);
    return err;
}

int memfd_add_seals(struct file *file, unsigned seals)
{
    if (!file_can_write(file))
        return -EPERM;
    if (seals & ~ALL_SEALS || !has_seals(file))
        return -EINVAL;
    mutex_lock(&file->inode->lock);
    int err = seals_add_locked(file->inode, seals);
    mutex_unlock(&file->inode->lock);
    return err;
}

long memfd_get_seals(struct file *file)
{
    return has_seals(file) ? (long)file->inode->seals : -EINVAL;
}
