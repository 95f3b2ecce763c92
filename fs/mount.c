// SPDX-License-Identifier: MIT
/*
 * Mounts: which file system stands where.
 *
 * There is one mount namespace.  A dentry lists the mounts on top of it; which of them counts
 * depends on the mount one comes from, since a bind mount shows the same dentries at a second place.
 *
 * References: a mount holds its superblock, its root dentry, the dentry below it and its parent
 * mount; the tree holds one reference on each mount in it.  So a mount whose only users are the tree
 * and the caller can be unmounted.
 *
 * Locking: rename_lock written for every change of the tree; dcache_tree_lock for dentry->mounted,
 * which the walk reads without rename_lock.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/mount.h"
#include "fs/dcache_internal.h"
#include "fs/vfs.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "lib/format.h"

#define FILE_SYSTEMS_MAX 32

/* The flags that belong to a mount and not to the file system. */
#define MOUNT_FLAGS                                                                                \
    (ABI_MS_RDONLY | ABI_MS_NOSUID | ABI_MS_NODEV | ABI_MS_NOEXEC | ABI_MS_NOATIME |               \
     ABI_MS_NODIRATIME | ABI_MS_RELATIME | ABI_MS_STRICTATIME | ABI_MS_NOSYMFOLLOW)

struct path root_path;
static const struct file_system *file_systems[FILE_SYSTEMS_MAX];
static struct list mounts = LIST_INIT(mounts); /* rename_lock */
static int next_mount_id = 1;                  /* rename_lock */

/* ---- Kinds of file systems -------------------------------------------------------- */

void file_system_register(const struct file_system *type)
{
    for (unsigned i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (!file_systems[i]) {
            file_systems[i] = type;
            return;
        }
    }
    panic("no room to register the file system %s", type->name);
}

const struct file_system *file_system_find(const char *name)
{
    for (unsigned i = 0; i < FILE_SYSTEMS_MAX && file_systems[i]; i++) {
        if (strcmp(file_systems[i]->name, name) == 0)
            return file_systems[i];
    }
    return NULL;
}

void file_system_for_each(bool (*visit)(const struct file_system *type, void *arg), void *arg)
{
    for (unsigned i = 0; i < FILE_SYSTEMS_MAX && file_systems[i]; i++) {
        if (!visit(file_systems[i], arg))
            return;
    }
}

/* ---- References --------------------------------------------------------------------- */

struct mount *mount_get(struct mount *mount)
{
    if (mount)
        __atomic_fetch_add(&mount->refcount, 1, __ATOMIC_RELAXED);
    return mount;
}

static void mount_destroy(struct mount *mount)
{
    if (mount->mountpoint)
        dentry_put(mount->mountpoint);
    dentry_put(mount->root);
    superblock_put(mount->sb);
    kfree(mount);
}

void mount_put(struct mount *mount)
{
    while (mount && __atomic_sub_fetch(&mount->refcount, 1, __ATOMIC_ACQ_REL) == 0) {
        struct mount *parent = mount->parent;

        mount_destroy(mount);
        mount = parent;
    }
}

int mount_want_write(const struct mount *mount)
{
    if (mount && (READ_ONCE(mount->flags) | READ_ONCE(mount->sb->flags)) & ABI_MS_RDONLY)
        return -EROFS;
    return 0;
}

/* ---- Crossing ------------------------------------------------------------------------ */

/* dcache_tree_lock held. */
static struct mount *mounted_on(const struct dentry *dentry, const struct mount *parent)
{
    struct mount *mount = dentry->mounted;

    while (mount && mount->parent != parent)
        mount = mount->next_on_dentry;
    return mount;
}

bool path_cross_mounts(struct path *path)
{
    bool has_crossed = false;

    while (READ_ONCE(path->dentry->mounted)) {
        spin_lock(&dcache_tree_lock);
        struct mount *mount = mount_get(mounted_on(path->dentry, path->mount));
        spin_unlock(&dcache_tree_lock);
        if (!mount)
            break;
        path_put(path);
        path->mount = mount;
        path->dentry = dentry_get(mount->root);
        has_crossed = true;
    }
    return has_crossed;
}

bool path_leave_mount(struct path *path)
{
    spin_lock(&dcache_tree_lock);
    struct mount *parent = path->mount->parent;
    struct dentry *mountpoint = path->mount->mountpoint;
    if (parent) {
        mount_get(parent);
        dentry_get(mountpoint);
    }
    spin_unlock(&dcache_tree_lock);
    if (!parent)
        return false;
    path_put(path);
    path->mount = parent;
    path->dentry = mountpoint;
    return true;
}

/* ---- The tree ---------------------------------------------------------------------------- */

static struct mount *mount_alloc(struct superblock *sb, struct dentry *root, const char *source,
                                 unsigned long flags)
{
    struct mount *mount = kzalloc(sizeof(*mount), ALLOC_WAIT);

    if (!mount)
        return NULL;
    mount->refcount = 1;
    mount->sb = sb;
    mount->root = dentry_get(root);
    mount->flags = flags & MOUNT_FLAGS;
    list_init(&mount->node);
    format_string(mount->source, sizeof(mount->source), "%s", source && *source ? source : "none");
    return mount;
}

/* rename_lock written.  Takes its own references on at. */
static void mount_attach(struct mount *mount, const struct path *at)
{
    dcache_move_begin();
    spin_lock(&dcache_tree_lock);
    mount->parent = mount_get(at->mount);
    mount->mountpoint = dentry_get(at->dentry);
    mount->next_on_dentry = at->dentry->mounted;
    at->dentry->mounted = mount;
    spin_unlock(&dcache_tree_lock);
    dcache_move_end();
}

/* rename_lock written.  The place's references are left to the caller: in *at. */
static void mount_detach(struct mount *mount, struct path *at)
{
    dcache_move_begin();
    spin_lock(&dcache_tree_lock);
    struct mount **link = &mount->mountpoint->mounted;
    while (*link != mount)
        link = &(*link)->next_on_dentry;
    *link = mount->next_on_dentry;
    at->mount = mount->parent;
    at->dentry = mount->mountpoint;
    mount->parent = NULL;
    mount->mountpoint = NULL;
    spin_unlock(&dcache_tree_lock);
    dcache_move_end();
}

static void mount_list(struct mount *mount)
{
    mount->id = next_mount_id++;
    list_push_back(&mounts, &mount->node);
}

/* rename_lock written: at is still there and of the right kind for root. */
static int mount_check_place(const struct path *at, const struct dentry *root)
{
    if (inode_is_dir(at->dentry->inode) != inode_is_dir(root->inode))
        return -ENOTDIR;
    return at->dentry->is_unlinked ? -ENOENT : 0;
}

/* rename_lock written: enters a new mount at a place, or above what stands there by now (*at follows). */
static int mount_enter_locked(struct mount *mount, struct path *at)
{
    path_cross_mounts(at); /* somebody may have been faster */
    int err = mount_check_place(at, mount->root);
    if (err)
        return err;
    mount_attach(mount, at);
    mount_list(mount);
    return 0;
}

/* Enters a new mount at a place (NULL: the first of all); the mount's reference becomes the tree's. */
static int mount_enter(struct mount *mount, const struct path *where)
{
    struct path at;
    int err = 0;

    if (where) {
        at = *where;
        path_get(&at);
    }
    write_lock(&rename_lock);
    if (where)
        err = mount_enter_locked(mount, &at);
    else
        mount_list(mount);
    write_unlock(&rename_lock);
    if (where)
        path_put(&at);
    return err;
}

int mount_create(const struct path *at, const struct file_system *type, const char *source,
                 unsigned long flags, const char *data)
{
    struct superblock *sb;
    int err = type->mount(type, source, flags, data, &sb);

    if (err)
        return err;
    struct mount *mount = mount_alloc(sb, sb->root, source, flags);
    if (!mount) {
        superblock_put(sb);
        return -ENOMEM;
    }
    err = mount_enter(mount, at);
    if (err) {
        mount_put(mount);
        return err;
    }
    if (!at) {
        root_path.mount = mount;
        root_path.dentry = mount->root;
        path_get(&root_path);
    }
    return 0;
}

static struct mount *mount_clone(const struct mount *from, struct dentry *root)
{
    struct mount *mount = mount_alloc(from->sb, root, from->source, from->flags);

    if (mount)
        __atomic_fetch_add(&from->sb->refcount, 1, __ATOMIC_RELAXED);
    return mount;
}

/*
 * MS_REC: what is mounted below from goes to the same places below top, a copy of from's mount.  All copies are made
 * before any is in the tree, since the place they go to may be below from.  Until then parent and mountpoint are
 * without references.  rename_lock written.
 */
static int submounts_copy(const struct path *from, struct mount *top, struct list *copies)
{
    const struct list *done = copies;
    struct mount *copy = top;
    struct mount *mount;

    top->origin = from->mount;
    for (;;) {
        list_for_each (mount, &mounts, node) {
            if (mount->parent != copy->origin ||
                (copy == top && !dentry_is_below(mount->mountpoint, from->dentry)))
                continue;
            struct mount *sub = mount_clone(mount, mount->root);
            if (!sub)
                return -ENOMEM;
            sub->origin = mount;
            sub->parent = copy;
            sub->mountpoint = mount->mountpoint;
            list_push_back(copies, &sub->node);
        }
        if (done->next == copies)
            return 0;
        done = done->next;
        copy = list_entry(done, struct mount, node);
    }
}

/* The copies in order, parents first, each out of the list and without its place. */
static struct mount *copy_take(struct list *copies, struct path *at)
{
    if (list_is_empty(copies))
        return NULL;
    struct mount *copy = list_first(copies, struct mount, node);
    list_remove(&copy->node);
    *at = (struct path){ .mount = copy->parent, .dentry = copy->mountpoint };
    copy->parent = NULL;
    copy->mountpoint = NULL;
    return copy;
}

int mount_bind(const struct path *where, const struct path *from, bool recursive)
{
    struct list copies = LIST_INIT(copies);
    struct mount *mount = mount_clone(from->mount, from->dentry), *sub;
    struct path at = *where, below;

    if (!mount)
        return -ENOMEM;
    path_get(&at);
    write_lock(&rename_lock);
    int err = recursive ? submounts_copy(from, mount, &copies) : 0;
    if (!err)
        err = mount_enter_locked(mount, &at);
    while (!err && (sub = copy_take(&copies, &below)) != NULL) {
        mount_attach(sub, &below);
        mount_list(sub);
    }
    write_unlock(&rename_lock);
    path_put(&at);
    if (err) {
        while ((sub = copy_take(&copies, &below)) != NULL)
            mount_put(sub);
        mount_put(mount);
    }
    return err;
}

static bool is_inside(const struct mount *mount, const struct mount *of)
{
    while (mount && mount != of)
        mount = mount->parent;
    return mount != NULL;
}

int mount_move(const struct path *at, const struct path *from)
{
    struct mount *mount = from->mount;
    struct path old;

    if (from->dentry != mount->root || !mount->parent)
        return -EINVAL;
    write_lock(&rename_lock);
    int err = mount_check_place(at, mount->root);
    if (!err && is_inside(at->mount, mount))
        err = -ELOOP;
    if (!err && !mount->parent)
        err = -EINVAL;
    if (!err) {
        mount_detach(mount, &old);
        mount_attach(mount, at);
    }
    write_unlock(&rename_lock);
    if (!err)
        path_put(&old);
    return err;
}

int mount_change_flags(const struct path *at, unsigned long flags)
{
    if (at->dentry != at->mount->root)
        return -EINVAL;
    write_lock(&rename_lock);
    WRITE_ONCE(at->mount->flags, flags & MOUNT_FLAGS);
    write_unlock(&rename_lock);
    return 0;
}

/* ---- Unmounting ----------------------------------------------------------------------------- */

/* rename_lock written: takes mount and all below it out of the tree; they go to dead. */
static void unmount_tree(struct mount *top, struct list *dead)
{
    struct mount *mount;
    struct mount *following;

    list_for_each_safe (mount, following, &mounts, node) {
        if (is_inside(mount, top)) {
            list_remove(&mount->node);
            list_push_back(dead, &mount->node);
        }
    }
}

static bool has_submounts(const struct mount *parent)
{
    struct mount *mount;

    list_for_each (mount, &mounts, node) {
        if (mount->parent == parent)
            return true;
    }
    return false;
}

static int unmount_check(const struct path *at, unsigned flags)
{
    const struct mount *mount = at->mount;

    if (at->dentry != mount->root || list_is_empty(&mount->node))
        return -EINVAL;
    if (!mount->parent)
        return -EBUSY; /* the root of all */
    if (flags & ABI_MNT_DETACH)
        return 0;
    /* The tree's reference and the caller's. */
    return has_submounts(mount) || __atomic_load_n(&mount->refcount, __ATOMIC_ACQUIRE) > 2 ? -EBUSY
                                                                                           : 0;
}

int mount_remove(const struct path *at, unsigned flags)
{
    struct list dead = LIST_INIT(dead);
    struct mount *mount;
    struct mount *following;

    write_lock(&rename_lock);
    int err = unmount_check(at, flags);
    if (!err)
        unmount_tree(at->mount, &dead);
    write_unlock(&rename_lock);
    list_for_each_safe (mount, following, &dead, node) {
        struct path place;

        list_remove(&mount->node);
        write_lock(&rename_lock);
        mount_detach(mount, &place);
        write_unlock(&rename_lock);
        path_put(&place);
        mount_put(mount);
    }
    return err;
}

void mount_for_each(bool (*visit)(struct mount *mount, void *arg), void *arg)
{
    struct mount *mount;

    read_lock(&rename_lock);
    list_for_each (mount, &mounts, node) {
        if (!visit(mount, arg))
            break;
    }
    read_unlock(&rename_lock);
}
