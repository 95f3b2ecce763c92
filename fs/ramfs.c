// SPDX-License-Identifier: MIT
/*
 * The RAM file system: names, inodes and mounting.
 *
 * A directory has no data of its own: its pinned dentries are the directory.  A regular file is a
 * page cache and nothing else (fs/ramfs_file.c), so reading, writing and mapping it meet the same
 * frames.  A symbolic link's target hangs on inode->link.
 *
 * A file that grows for ever must meet ENOSPC before the machine is out of memory and the program is
 * killed, so every mount has a limit unless it says size=0: half of the memory, as tmpfs(5) has it;
 * the root, which begins with the boot archive in it, that and three quarters of what is free then.
 * The limits (size=, nr_inodes=) are kept as counters; the pages of a file are counted
 * when a call has changed their number, so pages that came by faults in a shared mapping count from
 * the next write or truncate on.
 *
 * Locking: the callers' (fs/vfs.c): the directory's inode->lock, and the victim's.
 */
#include "fs/ramfs.h"

#include <string.h>

#include "abi/dirent.h"
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/memfd.h"
#include "fs/vfs.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"

struct superblock *ramfs_anonymous;

static const struct inode_ops ramfs_inode_ops;

bool inode_is_ramfs(const struct inode *inode)
{
    return inode->ops == &ramfs_inode_ops;
}

static struct ramfs *ramfs_of(const struct superblock *sb)
{
    return sb->private;
}

/* ---- Inodes ---------------------------------------------------------------------- */

static int count_inode(struct ramfs *fs)
{
    uint64_t used = __atomic_add_fetch(&fs->used_inodes, 1, __ATOMIC_RELAXED);

    if (!fs->max_inodes || used <= fs->max_inodes)
        return 0;
    __atomic_sub_fetch(&fs->used_inodes, 1, __ATOMIC_RELAXED);
    return -ENOSPC;
}

int ramfs_inode_create(struct superblock *sb, unsigned mode, uint64_t rdev, struct inode **out)
{
    struct inode *inode;
    int err = count_inode(ramfs_of(sb));

    if (err)
        return err;
    err = inode_create(sb, mode, &inode);
    if (err) {
        __atomic_sub_fetch(&ramfs_of(sb)->used_inodes, 1, __ATOMIC_RELAXED);
        return err;
    }
    inode->ops = &ramfs_inode_ops;
    inode->rdev = rdev;
    inode->seals = ABI_F_SEAL_SEAL;
    if (inode_is_dir(inode)) {
        inode->file_ops = &ramfs_dir_ops;
        inode->nlink = 2;
    } else if ((mode & ABI_S_IFMT) == ABI_S_IFREG) {
        inode->file_ops = &ramfs_file_ops;
        err = pagecache_create(NULL, inode, &inode->cache);
        if (err) {
            inode_put(inode);
            return err;
        }
    }
    *out = inode;
    return 0;
}

static void ramfs_evict(struct inode *inode)
{
    struct ramfs *fs = ramfs_of(inode->sb);

    ramfs_free_xattrs(inode);
    kfree((void *)(uintptr_t)inode->link);
    __atomic_sub_fetch(&fs->used_blocks, inode->blocks, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&fs->used_inodes, 1, __ATOMIC_RELAXED);
}

/* ---- Names ------------------------------------------------------------------------- */

static int make(struct inode *dir, unsigned mode, uint64_t rdev, struct inode **out)
{
    int err = ramfs_inode_create(dir->sb, mode, rdev, out);

    if (!err)
        inode_init_owner(*out, dir, mode);
    return err;
}

/* The name exists from now on. */
static void enter(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
    dentry_attach(dentry, inode);
    dentry_pin(dentry);
    inode_touch(dir, false, true, true);
}

static int ramfs_mknod(struct inode *dir, struct dentry *dentry, unsigned mode, uint64_t rdev)
{
    struct inode *inode;
    int err = make(dir, mode, rdev, &inode);

    if (!err)
        enter(dir, dentry, inode);
    return err;
}

static int ramfs_create(struct inode *dir, struct dentry *dentry, unsigned mode)
{
    return ramfs_mknod(dir, dentry, mode, 0);
}

static int ramfs_mkdir(struct inode *dir, struct dentry *dentry, unsigned mode)
{
    int err = ramfs_mknod(dir, dentry, mode, 0);

    if (!err)
        dir->nlink++;
    return err;
}

static int ramfs_tmpfile(struct inode *dir, struct dentry *dentry, unsigned mode)
{
    struct inode *inode;
    int err = make(dir, mode, 0, &inode);

    if (err)
        return err;
    inode->nlink = 0;
    dentry_attach(dentry, inode);
    return 0;
}

static int ramfs_symlink(struct inode *dir, struct dentry *dentry, const char *target)
{
    struct inode *inode;
    int err = make(dir, ABI_S_IFLNK | 0777, 0, &inode);

    if (err)
        return err;
    inode->link = kstrdup(target, ALLOC_WAIT);
    if (!inode->link) {
        inode_put(inode);
        return -ENOMEM;
    }
    inode->size = strlen(target);
    enter(dir, dentry, inode);
    return 0;
}

static int ramfs_link(struct inode *inode, struct inode *dir, struct dentry *dentry)
{
    inode->nlink++;
    inode_touch(inode, false, false, true);
    enter(dir, dentry, inode_get(inode));
    return 0;
}

/* The name goes: all that the pin stood for.  The caller still holds dentry. */
static void leave(struct inode *dir, struct dentry *dentry)
{
    inode_touch(dir, false, true, true);
    dentry->inode->ctime = dir->ctime;
    dentry_unpin(dentry);
}

static int ramfs_unlink(struct inode *dir, struct dentry *dentry)
{
    dentry->inode->nlink--;
    leave(dir, dentry);
    return 0;
}

static int ramfs_rmdir(struct inode *dir, struct dentry *dentry)
{
    if (!list_is_empty(&dentry->children))
        return -ENOTEMPTY;
    dentry->inode->nlink = 0;
    dir->nlink--;
    leave(dir, dentry);
    return 0;
}

/* A directory that changes its parent takes a link (its "..") with it. */
static void move_dotdot(struct inode *inode, struct inode *from_dir, struct inode *to_dir)
{
    if (!inode_is_dir(inode))
        return;
    from_dir->nlink--;
    to_dir->nlink++;
}

static int ramfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir,
                        struct dentry *to, unsigned flags)
{
    if (flags & ~(ABI_RENAME_NOREPLACE | ABI_RENAME_EXCHANGE))
        return -EINVAL;
    if (flags & ABI_RENAME_EXCHANGE) {
        move_dotdot(to->inode, to_dir, from_dir);
        inode_touch(to->inode, false, false, true);
    } else if (to->inode) {
        int err = inode_is_dir(to->inode) ? ramfs_rmdir(to_dir, to) : ramfs_unlink(to_dir, to);
        if (err)
            return err;
    }
    move_dotdot(from->inode, from_dir, to_dir);
    inode_touch(from_dir, false, true, true);
    inode_touch(to_dir, false, true, true);
    inode_touch(from->inode, false, false, true);
    return 0;
}

static int ramfs_setattr(struct inode *inode, const struct inode_change *change)
{
    int err = inode_change_fields(inode, change);

    if (!err && change->valid & CHANGE_SIZE)
        ramfs_account(inode);
    return err;
}

static long ramfs_readlink(struct inode *inode, char *buf, size_t size)
{
    size_t len = MIN((size_t)inode->size, size);

    memcpy(buf, inode->link, len);
    return (long)len;
}

static const struct inode_ops ramfs_inode_ops = {
    .create = ramfs_create,
    .mkdir = ramfs_mkdir,
    .tmpfile = ramfs_tmpfile,
    .mknod = ramfs_mknod,
    .symlink = ramfs_symlink,
    .link = ramfs_link,
    .unlink = ramfs_unlink,
    .rmdir = ramfs_rmdir,
    .rename = ramfs_rename,
    .readlink = ramfs_readlink,
    .setattr = ramfs_setattr,
    .getxattr = ramfs_getxattr,
    .setxattr = ramfs_setxattr,
    .listxattr = ramfs_listxattr,
    .evict = ramfs_evict,
};

/* ---- Directories ---------------------------------------------------------------------- */

static long dir_read(struct file *file, struct io *io, int64_t *pos)
{
    return -EISDIR;
}

/*
 * Children are in the order of their positions, which never change while the name lives; so a
 * position stays good whatever is made or removed between two calls.
 */
static int dir_iterate(struct file *file, struct dir_context *context)
{
    struct dentry *dir = file->path.dentry;
    struct dentry *child;

    if (!dir_emit_dots(file, context))
        return 0;
    mutex_lock(&dir->inode->lock);
    list_for_each (child, &dir->children, sibling_node) {
        if ((int64_t)child->position < context->pos)
            continue;
        int64_t next = (int64_t)child->position + 1;
        if (!context->emit(context, child->name, child->name_len, child->inode->ino,
                           ABI_DT_OF_MODE(child->inode->mode), next))
            break;
        context->pos = next;
    }
    mutex_unlock(&dir->inode->lock);
    return 0;
}

static int64_t dir_seek(struct file *file, int64_t offset, int whence)
{
    if (whence == ABI_SEEK_CUR)
        offset += file->position;
    else if (whence != ABI_SEEK_SET)
        return -EINVAL;
    if (offset < 0)
        return -EINVAL;
    file->position = offset;
    return offset;
}

static int dir_fsync(struct file *file, bool data_only)
{
    return 0; /* the memory is the medium */
}

const struct file_ops ramfs_dir_ops = {
    .read = dir_read,
    .seek = dir_seek,
    .iterate = dir_iterate,
    .fsync = dir_fsync,
};

/* ---- Mounting ----------------------------------------------------------------------------- */

static int ramfs_statfs(struct superblock *sb, struct abi_statfs *out)
{
    struct ramfs *fs = ramfs_of(sb);
    struct frame_stats stats;
    uint64_t total;
    uint64_t used = __atomic_load_n(&fs->used_blocks, __ATOMIC_RELAXED) / (PAGE_SIZE / 512);

    frame_get_stats(&stats);
    total = fs->max_blocks ? fs->max_blocks / (PAGE_SIZE / 512) : stats.total_pages;
    out->f_type = ABI_TMPFS_MAGIC;
    out->f_blocks = total;
    out->f_bfree = total > used ? total - used : 0;
    if (!fs->max_blocks)
        out->f_bfree = MIN(out->f_bfree, stats.free_pages);
    out->f_bavail = out->f_bfree;
    out->f_files = fs->max_inodes ? fs->max_inodes : stats.total_pages;
    out->f_ffree = out->f_files - MIN(out->f_files, fs->used_inodes);
    return 0;
}

static void ramfs_destroy(struct superblock *sb)
{
    kfree(sb->private);
}

static const struct superblock_ops ramfs_superblock_ops = {
    .statfs = ramfs_statfs,
    .destroy = ramfs_destroy,
};

/* A number with k, m, g or %, as tmpfs(5) takes sizes; false: not a number. */
static bool parse_size(const char *text, const char *end, uint64_t *out)
{
    uint64_t value = 0;
    struct frame_stats stats;

    if (text == end)
        return false;
    for (; text < end && *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    if (text < end && *text == '%') {
        frame_get_stats(&stats);
        *out = stats.total_pages * PAGE_SIZE / 100 * MIN(value, (uint64_t)100);
        return text + 1 == end;
    }
    static const char units[] = "kmgt";
    const char *unit = text < end ? memchr(units, *text | 0x20, sizeof(units) - 1) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    *out = value << shift;
    return (*out >> shift) == value && text + (unit != NULL) == end;
}

static bool parse_octal(const char *text, const char *end, unsigned *out)
{
    *out = 0;
    if (text == end)
        return false;
    for (; text < end; text++) {
        if (*text < '0' || *text > '7' || *out > 07777)
            return false;
        *out = *out * 8 + (unsigned)(*text - '0');
    }
    return true;
}

static bool option_is(const char *option, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(option, name, len) == 0;
}

static bool set_number(uint64_t number, uint64_t scale, uint64_t *out)
{
    *out = number / scale;
    return true;
}

/* One "name=value" of the mount options. */
static bool parse_option(struct ramfs *fs, const char *option, const char *end)
{
    const char *equals = memchr(option, '=', (size_t)(end - option));
    size_t len = (size_t)((equals ? equals : end) - option);
    const char *value = equals ? equals + 1 : end;
    uint64_t number;

    if (option_is(option, len, "mode"))
        return parse_octal(value, end, &fs->root_mode);
    if (option_is(option, len, "mpol") || option_is(option, len, "huge") ||
        option_is(option, len, "inode64") || option_is(option, len, "inode32"))
        return true; /* hints; inode numbers are 64 bits wide here in any case */
    if (!parse_size(value, end, &number))
        return false;
    if (option_is(option, len, "size"))
        return set_number(ALIGN_UP(number, PAGE_SIZE), 512, &fs->max_blocks);
    if (option_is(option, len, "nr_blocks"))
        return set_number(number * PAGE_SIZE, 512, &fs->max_blocks);
    if (option_is(option, len, "nr_inodes"))
        return set_number(number, 1, &fs->max_inodes);
    if (option_is(option, len, "uid"))
        fs->uid = (uint32_t)number;
    else if (option_is(option, len, "gid"))
        fs->gid = (uint32_t)number;
    else
        return false;
    return true;
}

static int parse_options(struct ramfs *fs, const char *data)
{
    while (data && *data) {
        const char *end = strchr(data, ',');

        if (!end)
            end = data + strlen(data);
        if (end != data && !parse_option(fs, data, end)) {
            log_warning("tmpfs: bad mount option in \"%s\"", data);
            return -EINVAL;
        }
        data = *end ? end + 1 : end;
    }
    return 0;
}

static int make_root(struct superblock *sb)
{
    struct ramfs *fs = ramfs_of(sb);
    struct inode *root;
    int err = ramfs_inode_create(sb, ABI_S_IFDIR | (fs->root_mode & 07777), 0, &root);

    if (err)
        return err;
    root->uid = fs->uid;
    root->gid = fs->gid;
    return superblock_set_root(sb, root);
}

/* tmpfs(5): the default of size=. */
static uint64_t half_of_memory(void)
{
    struct frame_stats stats;

    frame_get_stats(&stats);
    return stats.total_pages / 2 * (PAGE_SIZE / 512);
}

void ramfs_limit_growth(struct superblock *sb)
{
    struct ramfs *fs = ramfs_of(sb);
    uint64_t room = frame_free_bytes() / 4 * 3;

    fs->max_blocks = fs->used_blocks + ALIGN_DOWN(room, PAGE_SIZE) / 512;
}

int ramfs_mount(const struct file_system *type, const char *source, unsigned long flags,
                const char *data, struct superblock **out)
{
    struct ramfs *fs = kzalloc(sizeof(*fs), ALLOC_WAIT);
    struct superblock *sb;

    if (!fs)
        return -ENOMEM;
    fs->root_mode = 01777;
    fs->max_blocks = half_of_memory();
    int err = parse_options(fs, data);
    if (!err)
        err = superblock_create(type, &ramfs_superblock_ops, flags & ABI_MS_RDONLY, &sb);
    if (err) {
        kfree(fs);
        return err;
    }
    sb->private = fs;
    err = make_root(sb);
    if (err)
        superblock_put(sb);
    else
        *out = sb;
    return err;
}

void ramfs_init(void)
{
    static const struct file_system rootfs = { .name = "rootfs", .mount = ramfs_mount };
    static const struct file_system tmpfs = { .name = "tmpfs", .mount = ramfs_mount };
    static const struct file_system ramfs = { .name = "ramfs", .mount = ramfs_mount };

    file_system_register(&rootfs);
    file_system_register(&tmpfs);
    file_system_register(&ramfs);
    int err = ramfs_mount(&tmpfs, "memfd", 0, "size=0", &ramfs_anonymous);
    if (err)
        panic("no memory for the RAM file system: error %d", -err);
}
