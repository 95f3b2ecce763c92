// SPDX-License-Identifier: MIT
/*
 * Operations on names, as the system calls mean them: first every check, in Linux's order so that
 * the error is the one it gives; then the file system's part; then the dcache, and inotify.
 *
 * The directory's inode->lock is held from before the last name is looked up until the change is
 * done, so the checks stay true.  An inode that loses a name is locked inside its directory's.
 */
#include "fs/vfs.h"

#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "abi/signal.h"
#include "fs/inotify.h"
#include "fs/memfd.h"
#include "fs/walk.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/thread.h"
#include "lib/format.h"

#define WX (ABI_W_OK | ABI_X_OK)

/* ---- Checks ---------------------------------------------------------------------- */

static int may_create(const struct path *dir, const struct dentry *last)
{
    struct inode *inode = dir->dentry->inode;

    assert_held(&inode->lock);
    if (last->inode)
        return -EEXIST;
    int err = mount_want_write(dir->mount);
    if (err)
        return err;
    if (dir->dentry->is_unlinked)
        return -ENOENT;
    return inode_permission(inode, WX);
}

/* A sticky directory lets only the owners of file or directory remove a name. */
static bool is_sticky(const struct inode *dir, const struct inode *inode)
{
    return dir->mode & ABI_S_ISVTX && !inode_is_owner_or_capable(inode) &&
           !inode_is_owner_or_capable(dir);
}

static int may_delete(const struct path *dir, const struct dentry *last, bool is_dir)
{
    struct inode *inode = dir->dentry->inode;

    assert_held(&inode->lock);
    if (!last->inode)
        return -ENOENT;
    int err = mount_want_write(dir->mount);
    if (!err)
        err = inode_permission(inode, WX);
    if (err)
        return err;
    if (is_sticky(inode, last->inode))
        return -EPERM;
    if (is_dir && !inode_is_dir(last->inode))
        return -ENOTDIR;
    if (!is_dir && inode_is_dir(last->inode))
        return -EISDIR;
    return READ_ONCE(last->mounted) ? -EBUSY : 0;
}

/* ---- Making names ------------------------------------------------------------------- */

static void created(const struct path *dir, const struct dentry *last)
{
    inotify_notify(dir->dentry->inode, last->inode, last->name, ABI_IN_CREATE, 0);
}

int vfs_create_at(const struct path *dir, struct dentry *last, unsigned mode)
{
    struct inode *inode = dir->dentry->inode;
    int err = may_create(dir, last);

    if (err)
        return err;
    if (!inode->ops->create)
        return -EACCES;
    err = inode->ops->create(inode, last, (mode & 07777) | ABI_S_IFREG);
    if (!err)
        created(dir, last);
    return err;
}

int vfs_mkdir_at(const struct path *dir, struct dentry *last, unsigned mode)
{
    struct inode *inode = dir->dentry->inode;
    int err = may_create(dir, last);

    if (err)
        return err;
    if (!inode->ops->mkdir)
        return -EPERM;
    err = inode->ops->mkdir(inode, last, (mode & 01777) | ABI_S_IFDIR);
    if (!err)
        created(dir, last);
    return err;
}

int vfs_mknod_at(const struct path *dir, struct dentry *last, unsigned mode, uint64_t rdev)
{
    struct inode *inode = dir->dentry->inode;
    unsigned type = mode & ABI_S_IFMT;
    int err = may_create(dir, last);

    if (err)
        return err;
    if ((type == ABI_S_IFCHR || type == ABI_S_IFBLK) && !process_has_capability(ABI_CAP_MKNOD))
        return -EPERM;
    if (!inode->ops->mknod)
        return -EPERM;
    err = inode->ops->mknod(inode, last, mode, rdev);
    if (!err)
        created(dir, last);
    return err;
}

int vfs_symlink_at(const struct path *dir, struct dentry *last, const char *target)
{
    struct inode *inode = dir->dentry->inode;
    int err = may_create(dir, last);

    if (err)
        return err;
    if (!inode->ops->symlink)
        return -EPERM;
    err = inode->ops->symlink(inode, last, target);
    if (!err)
        created(dir, last);
    return err;
}

int vfs_link_at(const struct path *from, const struct path *dir, struct dentry *last)
{
    struct inode *inode = from->dentry->inode;
    struct inode *into = dir->dentry->inode;
    int err = may_create(dir, last);

    if (err)
        return err;
    if (inode->sb != into->sb)
        return -EXDEV;
    if (!into->ops->link || inode_is_dir(inode))
        return -EPERM;
    mutex_lock(&inode->lock);
    if (inode->nlink == 0 && !inode->is_linkable)
        err = -ENOENT;
    else
        err = into->ops->link(inode, into, last);
    if (!err)
        inode->is_linkable = false;
    mutex_unlock(&inode->lock);
    if (!err) {
        inotify_notify(NULL, inode, NULL, ABI_IN_ATTRIB, 0);
        created(dir, last);
    }
    return err;
}

int vfs_tmpfile(const struct path *dir, unsigned mode, bool is_linkable, struct dentry **out)
{
    struct inode *inode = dir->dentry->inode;
    struct dentry *dentry;
    int err = mount_want_write(dir->mount);

    if (!err)
        err = inode_permission(inode, WX);
    if (err)
        return err;
    if (!inode->ops->tmpfile)
        return -EOPNOTSUPP;
    static unsigned last; /* [a] */
    char name[16];
    int len =
        format_string(name, sizeof(name), "#%u", __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED));
    err = dentry_create(dir->dentry, name, (size_t)len, &dentry);
    if (err)
        return err;
    dentry->is_unlinked = true; /* it shows as "/tmp/#7 (deleted)" and cannot be found */
    err = inode->ops->tmpfile(inode, dentry, (mode & 07777) | ABI_S_IFREG);
    if (err) {
        dentry_put(dentry);
        return err;
    }
    dentry->inode->is_linkable = is_linkable;
    *out = dentry;
    return 0;
}

/* ---- Removing names ------------------------------------------------------------------- */

static void removed(const struct path *dir, struct dentry *last)
{
    inotify_notify(dir->dentry->inode, last->inode, last->name, ABI_IN_DELETE, 0);
    dentry_drop(last);
}

int vfs_unlink_at(const struct path *dir, struct dentry *last)
{
    struct inode *inode = dir->dentry->inode;
    int err = may_delete(dir, last, false);

    if (err)
        return err;
    if (!inode->ops->unlink)
        return -EPERM;
    mutex_lock(&last->inode->lock);
    err = inode->ops->unlink(inode, last);
    mutex_unlock(&last->inode->lock);
    if (!err) {
        inotify_notify(NULL, last->inode, NULL, ABI_IN_ATTRIB, 0);
        removed(dir, last);
    }
    return err;
}

int vfs_rmdir_at(const struct path *dir, struct dentry *last)
{
    struct inode *inode = dir->dentry->inode;
    int err = may_delete(dir, last, true);

    if (err)
        return err;
    if (!inode->ops->rmdir)
        return -EPERM;
    mutex_lock(&last->inode->lock);
    err = inode->ops->rmdir(inode, last);
    if (!err)
        removed(dir, last);
    mutex_unlock(&last->inode->lock);
    return err;
}

/* ---- Renaming -------------------------------------------------------------------------- */

struct rename {
    const struct path *from_dir, *to_dir;
    struct dentry *from, *to;
    unsigned flags;
};

/* rename_lock written: an ancestor first, strangers by address. */
static void lock_two(struct dentry *a, struct dentry *b)
{
    if (a == b) {
        mutex_lock(&a->inode->lock);
        return;
    }
    if (dentry_is_below(a, b) || (!dentry_is_below(b, a) && (uintptr_t)a > (uintptr_t)b)) {
        struct dentry *swap = a;
        a = b;
        b = swap;
    }
    mutex_lock(&a->inode->lock);
    mutex_lock(&b->inode->lock);
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
    mutex_unlock(&a->inode->lock);
    if (a != b)
        mutex_unlock(&b->inode->lock);
}

static int rename_check_loops(const struct rename *r)
{
    if (dentry_is_below(r->to_dir->dentry, r->from))
        return -EINVAL;
    if (r->to->inode && dentry_is_below(r->from_dir->dentry, r->to))
        return r->flags & ABI_RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    return 0;
}

/* A directory that gets another parent has its ".." rewritten: it must be writable. */
static int rename_check_dotdot(const struct rename *r, struct inode *inode)
{
    if (r->from_dir->dentry == r->to_dir->dentry || !inode_is_dir(inode))
        return 0;
    return inode_permission(inode, ABI_W_OK);
}

static int rename_check(const struct rename *r)
{
    bool is_exchange = r->flags & ABI_RENAME_EXCHANGE;
    bool is_dir = inode_is_dir(r->from->inode);
    int err = may_delete(r->from_dir, r->from, is_dir);

    if (err)
        return err;
    if (!r->to->inode)
        err = may_create(r->to_dir, r->to);
    else
        err = may_delete(r->to_dir, r->to, is_exchange ? inode_is_dir(r->to->inode) : is_dir);
    if (!err)
        err = rename_check_dotdot(r, r->from->inode);
    if (!err && is_exchange)
        err = rename_check_dotdot(r, r->to->inode);
    return err;
}

static unsigned moved_from(const struct rename *r)
{
    bool is_same = r->from_dir->dentry == r->to_dir->dentry;
    return ABI_IN_MOVED_FROM | (is_same ? ABI_IN_RENAMED : 0);
}

static void rename_report_exchange(const struct rename *r, unsigned cookie)
{
    inotify_notify(r->to_dir->dentry->inode, r->to->inode, r->to->name, moved_from(r), cookie);
    inotify_notify(r->from_dir->dentry->inode, r->to->inode, r->from->name, ABI_IN_MOVED_TO,
                   cookie);
    inotify_notify(NULL, r->to->inode, NULL, ABI_IN_MOVE_SELF, 0);
}

/* Before the dcache changes: the names are the old ones. */
static void rename_report(const struct rename *r)
{
    if (likely(__atomic_load_n(&inotify_nwatches, __ATOMIC_RELAXED) == 0))
        return;
    unsigned cookie = inotify_next_cookie();
    inotify_notify(r->from_dir->dentry->inode, r->from->inode, r->from->name, moved_from(r),
                   cookie);
    inotify_notify(r->to_dir->dentry->inode, r->from->inode, r->to->name, ABI_IN_MOVED_TO, cookie);
    inotify_notify(NULL, r->from->inode, NULL, ABI_IN_MOVE_SELF, 0);
    if (r->flags & ABI_RENAME_EXCHANGE)
        rename_report_exchange(r, inotify_next_cookie());
    else if (r->to->inode)
        inotify_notify(NULL, r->to->inode, NULL, ABI_IN_ATTRIB, 0);
}

/* Checked; both directories and rename_lock held. */
static int rename_commit(const struct rename *r)
{
    struct inode *from_dir = r->from_dir->dentry->inode;
    struct inode *to_dir = r->to_dir->dentry->inode;
    struct inode *victim = r->flags & ABI_RENAME_EXCHANGE ? NULL : r->to->inode;

    if (victim)
        mutex_lock(&victim->lock);
    int err = from_dir->ops->rename(from_dir, r->from, to_dir, r->to, r->flags);
    if (!err) {
        rename_report(r);
        if (r->flags & ABI_RENAME_EXCHANGE)
            dentry_exchange(r->from, r->to);
        else
            dentry_move(r->from, r->to);
    }
    if (victim)
        mutex_unlock(&victim->lock);
    return err;
}

static int rename_names(const struct walk *from, const struct walk *to, struct rename *r)
{
    bool is_exchange = r->flags & ABI_RENAME_EXCHANGE;

    if (!r->from->inode)
        return -ENOENT;
    if (r->flags & ABI_RENAME_NOREPLACE && r->to->inode)
        return -EEXIST;
    if (is_exchange && !r->to->inode)
        return -ENOENT;
    if (is_exchange && to->has_trailing_slash && !inode_is_dir(r->to->inode))
        return -ENOTDIR;
    if (!inode_is_dir(r->from->inode) &&
        (from->has_trailing_slash || (!is_exchange && to->has_trailing_slash)))
        return -ENOTDIR;
    int err = rename_check_loops(r);
    if (err)
        return err;
    if (r->from->inode == r->to->inode)
        return 0; /* two names of one file: rename(2) does nothing */
    err = rename_check(r);
    return err ? err : rename_commit(r);
}

static int rename_locked(const struct walk *from, const struct walk *to, unsigned flags)
{
    struct rename r = { .from_dir = &from->path, .to_dir = &to->path, .flags = flags };
    int err = dentry_lookup(from->path.dentry, from->name, from->len, &r.from);

    if (err)
        return err;
    err = dentry_lookup(to->path.dentry, to->name, to->len, &r.to);
    if (!err) {
        err = rename_names(from, to, &r);
        dentry_put(r.to);
    }
    dentry_put(r.from);
    return err;
}

/* What stands in the way of removing a name, under its directory's lock alone. */
static int name_check_delete(const struct walk *walk)
{
    struct inode *dir = walk->path.dentry->inode;
    struct dentry *last;

    mutex_lock(&dir->lock);
    int err = dentry_lookup(walk->path.dentry, walk->name, walk->len, &last);
    if (!err) {
        err = last->inode ? may_delete(&walk->path, last, inode_is_dir(last->inode)) : -ENOENT;
        dentry_put(last);
    }
    mutex_unlock(&dir->lock);
    return err;
}

/*
 * A file system without renames (/proc, /sys) says so without rename_lock: its directories' locks come before
 * that, because their lookups ask for paths.  It has no name that could come to be.
 */
static int rename_refuse(const struct walk *from, const struct walk *to)
{
    int err = name_check_delete(from);

    if (!err)
        err = name_check_delete(to);
    return err ? err : -EPERM;
}

int vfs_rename(const struct walk *from, const struct walk *to, unsigned flags)
{
    if (from->path.mount != to->path.mount)
        return -EXDEV;
    if (from->kind != WALK_NORMAL)
        return -EBUSY;
    if (to->kind != WALK_NORMAL)
        return flags & ABI_RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    int err = mount_want_write(from->path.mount);
    if (err)
        return err;
    if (!from->path.dentry->inode->ops->rename)
        return rename_refuse(from, to);
    write_lock(&rename_lock);
    lock_two(from->path.dentry, to->path.dentry);
    err = rename_locked(from, to, flags);
    unlock_two(from->path.dentry, to->path.dentry);
    write_unlock(&rename_lock);
    return err;
}

/* ---- Attributes ----------------------------------------------------------------------------- */

static int change_owner_check(const struct inode *inode, const struct inode_change *change)
{
    if (process_has_capability(ABI_CAP_CHOWN))
        return 0;
    if (thread_current()->process->creds.fsuid != inode->uid)
        return -EPERM;
    if (change->valid & CHANGE_UID && change->uid != inode->uid)
        return -EPERM;
    if (change->valid & CHANGE_GID && change->gid != inode->gid &&
        !process_is_in_group(change->gid))
        return -EPERM;
    return 0;
}

static int change_check(struct inode *inode, const struct inode_change *change)
{
    int err = 0;

    if (change->valid & (CHANGE_UID | CHANGE_GID))
        err = change_owner_check(inode, change);
    if (!err && change->valid & CHANGE_MODE && !inode_is_owner_or_capable(inode))
        err = -EPERM;
    if (!err && change->valid & (CHANGE_ATIME | CHANGE_MTIME) && !inode_is_owner_or_capable(inode))
        err = change->valid & CHANGE_NOW ? inode_permission(inode, ABI_W_OK) : -EPERM;
    return err;
}

/* What comes with a change: set-id bits that go, and ctime. */
static void change_complete(const struct inode *inode, struct inode_change *change)
{
    if (change->valid & CHANGE_MODE && !process_is_in_group(inode->gid) &&
        !process_has_capability(ABI_CAP_FSETID))
        change->mode &= ~ABI_S_ISGID;
    if (change->valid & (CHANGE_UID | CHANGE_GID) && !(change->valid & CHANGE_MODE) &&
        !inode_is_dir(inode)) {
        unsigned kill = ABI_S_ISUID | (inode->mode & 0010 ? ABI_S_ISGID : 0);
        if (inode->mode & kill) {
            change->valid |= CHANGE_MODE;
            change->mode = inode->mode & ~kill;
        }
    }
    change->valid |= CHANGE_CTIME;
}

static int change_apply(struct inode *inode, struct inode_change *change)
{
    return inode->ops && inode->ops->setattr ? inode->ops->setattr(inode, change)
                                             : inode_change_fields(inode, change);
}

int vfs_change_inode(struct inode *inode, struct inode_change *change)
{
    mutex_lock(&inode->lock);
    int err = change_check(inode, change);
    if (!err) {
        change_complete(inode, change);
        err = change_apply(inode, change);
    }
    mutex_unlock(&inode->lock);
    return err;
}

int vfs_change(const struct path *path, struct inode_change *change)
{
    int err = mount_want_write(path->mount);

    if (!err)
        err = vfs_change_inode(path->dentry->inode, change);
    if (!err)
        inotify_dentry_event(path->dentry, ABI_IN_ATTRIB);
    return err;
}

static int truncate_check(const struct inode *inode, uint64_t size)
{
    if (size < inode->size && inode->seals & ABI_F_SEAL_SHRINK)
        return -EPERM;
    if (size <= inode->size)
        return 0;
    if (inode->seals & ABI_F_SEAL_GROW)
        return -EPERM;
    if (size > rlimit_current(LIMIT_FSIZE)) {
        signal_send_thread(thread_current(), ABI_SIGXFSZ, NULL);
        return -EFBIG;
    }
    return 0;
}

int vfs_truncate(struct inode *inode, uint64_t size)
{
    struct inode_change change = { .valid = CHANGE_SIZE | CHANGE_CTIME, .size = size };

    mutex_lock(&inode->lock);
    int err = truncate_check(inode, size);
    if (!err) {
        err = change_apply(inode, &change);
        if (!err) {
            inode->mtime = inode->ctime;
            inode_kill_suid(inode);
        }
    }
    mutex_unlock(&inode->lock);
    return err;
}

/* ---- By name, for the kernel ------------------------------------------------------------------- */

int vfs_mkdir(const char *name, unsigned mode)
{
    struct path dir;
    struct dentry *last;
    int err = path_walk_parent(ABI_AT_FDCWD, name, 0, &dir, &last);

    if (err)
        return err;
    err = vfs_mkdir_at(&dir, last, mode);
    path_end_parent(&dir, last);
    return err;
}

int vfs_mknod(const char *name, unsigned mode, uint64_t rdev)
{
    struct path dir;
    struct dentry *last;
    int err = path_walk_parent(ABI_AT_FDCWD, name, 0, &dir, &last);

    if (err)
        return err;
    err = vfs_mknod_at(&dir, last, mode, rdev);
    path_end_parent(&dir, last);
    return err;
}

int path_make_node(const char *name, unsigned mode, uint64_t rdev, struct path *out)
{
    struct dentry *last;
    int err = path_walk_parent(ABI_AT_FDCWD, name, 0, out, &last);

    if (err)
        return err;
    err = vfs_mknod_at(out, last, mode & ~fs_context_umask(), rdev);
    if (err) {
        path_end_parent(out, last);
        return err;
    }
    mutex_unlock(&out->dentry->inode->lock);
    dentry_put(out->dentry);
    out->dentry = last;
    return 0;
}

int vfs_symlink(const char *target, const char *name)
{
    struct path dir;
    struct dentry *last;
    int err = path_walk_parent(ABI_AT_FDCWD, name, 0, &dir, &last);

    if (err)
        return err;
    err = vfs_symlink_at(&dir, last, target);
    path_end_parent(&dir, last);
    return err;
}

int vfs_mount(const char *name, const char *type, const char *source, unsigned long flags,
              const char *data)
{
    const struct file_system *kind = file_system_find(type);
    struct path at;

    if (!kind)
        return -ENODEV;
    int err = path_walk(ABI_AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &at);
    if (err)
        return err;
    err = mount_create(&at, kind, source, flags, data);
    path_put(&at);
    return err;
}

int vfs_remount(const char *name, unsigned long flags)
{
    struct path at;
    int err = path_walk(ABI_AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &at);
    if (err)
        return err;
    err = mount_change_flags(&at, flags);
    path_put(&at);
    return err;
}

void vfs_init(void)
{
    dcache_init();
    inode_cache_init();
    file_cache_init();
    locks_init();
    ramfs_init();
    int err = mount_create(NULL, file_system_find("rootfs"), "rootfs", 0, "mode=0755");
    if (err)
        panic("cannot mount the root file system: error %d", -err);
}
