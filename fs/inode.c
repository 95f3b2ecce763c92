// SPDX-License-Identifier: MIT
/*
 * Inodes and superblocks: life, permission, attributes.
 *
 * Permission is Linux's: the file-system ids of the process against the mode bits, and the
 * capabilities that override them (path_resolution(7), capabilities(7)).  Credentials are read
 * without their lock: each field stands alone, and a thread that changes them at the same moment
 * may see either.
 */
#include "fs/inode.h"

#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/dcache.h"
#include "fs/inotify.h"
#include "fs/vfs.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/thread.h"

static struct slab_cache *inode_cache;

void inode_cache_init(void)
{
    inode_cache = slab_cache_create("inode", sizeof(struct inode), 16);
    if (!inode_cache)
        panic("no memory for the inode cache");
}

/* ---- Superblocks ---------------------------------------------------------------- */

uint64_t device_number_anonymous(void)
{
    static unsigned last;
    unsigned minor = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);

    return (minor & 0xff) | (uint64_t)(minor & ~0xffu) << 12;
}

int superblock_create(const struct file_system *type, const struct superblock_ops *ops,
                      unsigned long flags, struct superblock **out)
{
    struct superblock *sb = kzalloc(sizeof(*sb), ALLOC_WAIT);

    if (!sb)
        return -ENOMEM;
    sb->refcount = 1;
    sb->type = type;
    sb->ops = ops;
    sb->flags = flags;
    sb->device = device_number_anonymous();
    sb->next_ino = 1;
    list_init(&sb->watches);
    *out = sb;
    return 0;
}

int superblock_set_root(struct superblock *sb, struct inode *root)
{
    return dentry_create_anonymous(sb, "", root, &sb->root);
}

void superblock_put(struct superblock *sb)
{
    if (__atomic_sub_fetch(&sb->refcount, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    if (sb->ops && sb->ops->sync)
        (void)sb->ops->sync(sb); /* nobody is left to hear of an error */
    if (__atomic_load_n(&sb->nwatches, __ATOMIC_ACQUIRE) != 0)
        inotify_superblock_ends(sb);
    if (sb->ops && sb->ops->forget_names)
        sb->ops->forget_names(sb);
    if (sb->root) {
        dentry_tree_release(sb->root);
        dentry_put(sb->root);
    }
    if (sb->ops && sb->ops->destroy)
        sb->ops->destroy(sb);
    kfree(sb);
}

/* ---- Life ------------------------------------------------------------------------- */

static const struct credentials *credentials(void)
{
    struct process *process = thread_current()->process;

    return process ? &process->creds : NULL;
}

int inode_create(struct superblock *sb, unsigned mode, struct inode **out)
{
    const struct credentials *creds = credentials();
    struct inode *inode = slab_alloc(inode_cache, ALLOC_WAIT);

    if (!inode)
        return -ENOMEM;
    memset(inode, 0, sizeof(*inode));
    inode->refcount = 1;
    mutex_init(&inode->lock, RANK_INODE);
    inode->sb = sb;
    inode->ino = __atomic_fetch_add(&sb->next_ino, 1, __ATOMIC_RELAXED);
    inode->mode = mode;
    inode->nlink = 1;
    inode->uid = creds ? creds->fsuid : 0;
    inode->gid = creds ? creds->fsgid : 0;
    list_init(&inode->watches);
    inode->btime = timespec_from_nsec(clock_realtime());
    inode->atime = inode->mtime = inode->ctime = inode->btime;
    *out = inode;
    return 0;
}

void inode_init_owner(struct inode *inode, const struct inode *dir, unsigned mode)
{
    inode->mode = mode;
    if (!(dir->mode & ABI_S_ISGID))
        return;
    inode->gid = dir->gid;
    /* A program with the group of a folder is not for those who are not in that group. */
    if ((mode & ABI_S_IFMT) == ABI_S_IFDIR)
        inode->mode |= ABI_S_ISGID;
    else if ((mode & (ABI_S_ISGID | 0010)) == (ABI_S_ISGID | 0010) &&
             !process_is_in_group(dir->gid) && !process_has_capability(ABI_CAP_FSETID))
        inode->mode &= ~ABI_S_ISGID;
}

/* Moves nwriters by step, which must not make it cross zero. */
static int writers_move(struct inode *inode, int step)
{
    int now = __atomic_load_n(&inode->nwriters, __ATOMIC_RELAXED);

    do {
        if ((step > 0 && now < 0) || (step < 0 && now > 0))
            return -ETXTBSY;
    } while (!__atomic_compare_exchange_n(&inode->nwriters, &now, now + step, true,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return 0;
}

int inode_begin_write(struct inode *inode)
{
    return writers_move(inode, 1);
}

void inode_end_write(struct inode *inode)
{
    __atomic_fetch_sub(&inode->nwriters, 1, __ATOMIC_ACQ_REL);
}

int inode_begin_run(struct inode *inode)
{
    return writers_move(inode, -1);
}

void inode_end_run(struct inode *inode)
{
    __atomic_fetch_add(&inode->nwriters, 1, __ATOMIC_ACQ_REL);
}

struct inode *inode_get(struct inode *inode)
{
    __atomic_fetch_add(&inode->refcount, 1, __ATOMIC_RELAXED);
    return inode;
}

bool inode_try_get(struct inode *inode)
{
    unsigned count = __atomic_load_n(&inode->refcount, __ATOMIC_RELAXED);

    while (count != 0) {
        if (__atomic_compare_exchange_n(&inode->refcount, &count, count + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

void inode_put(struct inode *inode)
{
    if (__atomic_sub_fetch(&inode->refcount, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    if (inode->ops && inode->ops->evict)
        inode->ops->evict(inode);
    if (inode->cache)
        pagecache_put(inode->cache);
    inode_locks_free(inode);
    slab_free(inode_cache, inode);
}

/* ---- Permission ------------------------------------------------------------------- */

static bool is_capable(const struct credentials *creds, unsigned capability)
{
    return creds->cap_effective >> capability & 1;
}

bool process_has_capability(unsigned capability)
{
    const struct credentials *creds = credentials();

    return !creds || is_capable(creds, capability);
}

bool inode_is_owner_or_capable(const struct inode *inode)
{
    const struct credentials *creds = credentials();

    return !creds || creds->fsuid == inode->uid || is_capable(creds, ABI_CAP_FOWNER);
}

bool process_is_in_group(uint32_t gid)
{
    const struct credentials *creds = credentials();

    return !creds || creds_is_in_group(creds, creds->fsgid, gid);
}

/* What a capability gives although the mode bits refuse it. */
static bool is_overridden(const struct inode *inode, unsigned mask, uint64_t caps)
{
    const uint64_t override = 1ULL << ABI_CAP_DAC_OVERRIDE;
    const uint64_t search = 1ULL << ABI_CAP_DAC_READ_SEARCH;

    if (inode_is_dir(inode))
        return caps & override || (caps & search && !(mask & ABI_W_OK));
    if (mask == ABI_R_OK && caps & search)
        return true;
    return caps & override && (!(mask & ABI_X_OK) || inode->mode & 0111);
}

static int permission_as(const struct inode *inode, unsigned mask, const struct credentials *creds,
                         uint32_t uid, uint32_t gid, uint64_t caps)
{
    unsigned mode = inode->mode;

    if (uid == inode->uid)
        mode >>= 6;
    else if ((mode >> 3 & 7) != (mode & 7) && creds_is_in_group(creds, gid, inode->gid))
        mode >>= 3;
    if ((mask & ~mode & 7) == 0 || is_overridden(inode, mask, caps))
        return 0;
    bool is_own =
        inode->ops && inode->ops->is_open_to_self && inode->ops->is_open_to_self(inode, mask);
    return is_own ? 0 : -EACCES;
}

/* What no id and no capability changes. */
static int permission_absolute(const struct inode *inode, unsigned mask)
{
    unsigned type = inode->mode & ABI_S_IFMT;

    if (mask & ABI_W_OK && inode->sb->flags & ABI_MS_RDONLY &&
        (type == ABI_S_IFREG || type == ABI_S_IFDIR || type == ABI_S_IFLNK))
        return -EROFS;
    return 0;
}

int inode_permission_of_mode(struct inode *inode, unsigned mask)
{
    const struct credentials *creds = credentials();
    int err = mask & ABI_W_OK ? permission_absolute(inode, mask) : 0;
    if (err || !creds)
        return err;
    return permission_as(inode, mask, creds, creds->fsuid, creds->fsgid, creds->cap_effective);
}

int inode_permission(struct inode *inode, unsigned mask)
{
    if (inode->ops && unlikely(inode->ops->permission != NULL))
        return inode->ops->permission(inode, mask);
    return inode_permission_of_mode(inode, mask);
}

int inode_permission_real(struct inode *inode, unsigned mask)
{
    const struct credentials *creds = credentials();

    if (inode->ops && inode->ops->permission)
        return inode->ops->permission(inode, mask);
    int err = permission_absolute(inode, mask);
    if (err || !creds)
        return err;
    /* A real root user keeps its powers, any other has none (access(2)). */
    uint64_t caps = creds->uid == 0 ? creds->cap_permitted : 0;
    return permission_as(inode, mask, creds, creds->uid, creds->gid, caps);
}

/* ---- Attributes ---------------------------------------------------------------------- */

void inode_touch(struct inode *inode, bool atime, bool mtime, bool ctime)
{
    struct abi_timespec now = timespec_from_nsec(clock_realtime());

    if (atime)
        inode->atime = now;
    if (mtime)
        inode->mtime = now;
    if (ctime)
        inode->ctime = now;
}

void inode_kill_suid(struct inode *inode)
{
    unsigned kill = inode->mode & ABI_S_ISUID;

    if ((inode->mode & (ABI_S_ISGID | 0010)) == (ABI_S_ISGID | 0010))
        kill |= ABI_S_ISGID;
    if (likely(!kill) || (inode->mode & ABI_S_IFMT) != ABI_S_IFREG ||
        process_has_capability(ABI_CAP_FSETID))
        return;
    inode->mode &= ~kill;
}

int inode_change_fields(struct inode *inode, const struct inode_change *change)
{
    assert_held(&inode->lock);
    if (change->valid & CHANGE_SIZE && inode->cache) {
        pagecache_set_size(inode->cache, change->size);
        inode->size = change->size;
    }
    if (change->valid & CHANGE_MODE)
        inode->mode = (inode->mode & ABI_S_IFMT) | (change->mode & 07777);
    if (change->valid & CHANGE_UID)
        inode->uid = change->uid;
    if (change->valid & CHANGE_GID)
        inode->gid = change->gid;
    if (change->valid & CHANGE_ATIME)
        inode->atime = change->atime;
    if (change->valid & CHANGE_MTIME)
        inode->mtime = change->mtime;
    if (change->valid & CHANGE_CTIME)
        inode_touch(inode, false, false, true);
    return 0;
}

static struct abi_statx_timestamp statx_time(const struct abi_timespec *time)
{
    return (struct abi_statx_timestamp){ .tv_sec = time->tv_sec,
                                         .tv_nsec = (uint32_t)time->tv_nsec };
}

static uint32_t device_major(uint64_t device)
{
    return device >> 8 & 0xfff;
}

static uint32_t device_minor(uint64_t device)
{
    return (device & 0xff) | (device >> 12 & ~0xffu);
}

int inode_refresh(struct inode *inode)
{
    return inode->ops && unlikely(inode->ops->getattr != NULL) ? inode->ops->getattr(inode) : 0;
}

uint64_t inode_blocks(const struct inode *inode)
{
    bool is_in_ram = inode->cache && !inode->cache->ops;

    return is_in_ram ? READ_ONCE(inode->cache->npages) * (PAGE_SIZE / 512) : inode->blocks;
}

int inode_getattr(struct inode *inode, struct abi_statx *out)
{
    int err = inode_refresh(inode);

    if (err)
        return err;
    memset(out, 0, sizeof(*out));
    out->stx_mask = ABI_STATX_BASIC_STATS | ABI_STATX_BTIME;
    out->stx_blksize = PAGE_SIZE;
    out->stx_nlink = inode->nlink;
    out->stx_uid = inode->uid;
    out->stx_gid = inode->gid;
    out->stx_mode = (uint16_t)inode->mode;
    out->stx_ino = inode->ino;
    out->stx_size = inode->size;
    out->stx_blocks = inode_blocks(inode);
    out->stx_atime = statx_time(&inode->atime);
    out->stx_btime = statx_time(&inode->btime);
    out->stx_ctime = statx_time(&inode->ctime);
    out->stx_mtime = statx_time(&inode->mtime);
    out->stx_rdev_major = device_major(inode->rdev);
    out->stx_rdev_minor = device_minor(inode->rdev);
    out->stx_dev_major = device_major(inode->sb->device);
    out->stx_dev_minor = device_minor(inode->sb->device);
    return 0;
}
