// SPDX-License-Identifier: MIT
/*
 * The walk along a path.
 *
 * One loop takes a part at a time.  A symbolic link does not recurse: the rest of the present text
 * waits on a small stack and the link's text is walked first.  A link that is the end of its text
 * leaves nothing to wait for, so chains of links need no stack at all; what counts against the
 * limit of 40 (path_resolution(7)) is the number of links followed.
 *
 * At every step the place we are at is held by references, so no lock is held between steps.
 */
#include "fs/walk.h"

#include <string.h>

#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/dcache_internal.h"
#include "fs/file.h"
#include "kernel/archive_use.h"
#include "kernel/mm/heap.h"

/* ---- Texts --------------------------------------------------------------------- */

static void text_release(struct walk_text *text)
{
    if (text->inode)
        inode_put(text->inode);
    if (text->buffer)
        kfree(text->buffer);
    *text = (struct walk_text){ 0 };
}

/* The target of a symbolic link: in place if the inode keeps it in memory. */
static int text_of_link(struct inode *inode, struct walk_text *out)
{
    *out = (struct walk_text){ 0 };
    if (inode->link) {
        out->next = inode->link;
        out->inode = inode_get(inode);
        return 0;
    }
    if (!inode->ops->readlink)
        return -EINVAL;
    char *buffer = kmalloc(ABI_PATH_MAX, ALLOC_WAIT);
    if (!buffer)
        return -ENOMEM;
    long len = inode->ops->readlink(inode, buffer, ABI_PATH_MAX);
    if (len < 0 || len >= ABI_PATH_MAX) {
        kfree(buffer);
        return len < 0 ? (int)len : -ENAMETOOLONG;
    }
    buffer[len] = '\0';
    out->next = buffer;
    out->buffer = buffer;
    return 0;
}

/* ---- Steps --------------------------------------------------------------------- */

static void walk_need_root(struct walk *walk)
{
    if (!walk->root.mount)
        fs_context_get_root(&walk->root);
}

static void walk_move(struct walk *walk, const struct path *to)
{
    path_put(&walk->path);
    walk->path = *to;
}

static int walk_jump_to_root(struct walk *walk)
{
    if (walk->flags & WALK_BENEATH)
        return -EXDEV;
    walk_need_root(walk);
    if (walk->flags & WALK_NO_XDEV && walk->root.mount != walk->path.mount)
        return -EXDEV;
    path_get(&walk->root);
    walk_move(walk, &walk->root);
    return 0;
}

static int walk_up_one(struct walk *walk)
{
    walk_need_root(walk);
    for (;;) {
        if (path_equal(&walk->path, &walk->root))
            return walk->flags & WALK_BENEATH ? -EXDEV : 0;
        if (walk->path.dentry != walk->path.mount->root)
            break;
        if (!walk->path.mount->mountpoint)
            return 0;
        if (walk->flags & WALK_NO_XDEV)
            return -EXDEV;
        if (!path_leave_mount(&walk->path))
            return 0;
    }
    struct dentry *parent = dentry_get_parent(walk->path.dentry);
    dentry_put(walk->path.dentry);
    walk->path.dentry = parent;
    if (walk->flags & WALK_NO_XDEV && parent->mounted)
        return -EXDEV;
    path_cross_mounts(&walk->path);
    return 0;
}

static int walk_up(struct walk *walk)
{
    int err = walk_up_one(walk);

    /* Where we are may have been moved from below the root, which then is not on the way up. */
    if (!err && walk->flags & (WALK_IN_ROOT | WALK_BENEATH) && dcache_moves() != walk->moves)
        err = -EAGAIN;
    return err;
}

static int may_search(struct walk *walk)
{
    struct inode *inode = walk->path.dentry->inode;

    if (!inode || !inode_is_dir(inode))
        return -ENOTDIR;
    if (walk->flags & WALK_REAL_IDS)
        return inode_permission_real(inode, ABI_X_OK);
    return inode_permission(inode, ABI_X_OK);
}

/* The child walk->name of the directory we are at: an existing one, or -ENOENT. */
static int child_find(struct walk *walk, struct dentry **out)
{
    struct dentry *dir = walk->path.dentry;
    struct dentry *dentry = dentry_find_hashed(dir, walk->name, walk->len, walk->hash);

    if (likely(dentry) && dentry_revalidate(dentry)) {
        *out = dentry;
        archive_use_mark(dentry->inode->archive_entry);
        return 0;
    }
    if (walk->len > ABI_NAME_MAX)
        return -ENAMETOOLONG;
    if (!dir->inode->ops->lookup)
        return -ENOENT;
    mutex_lock(&dir->inode->lock);
    int err = dentry_lookup(dir, walk->name, walk->len, &dentry);
    mutex_unlock(&dir->inode->lock);
    if (err)
        return err;
    if (!dentry->inode) {
        dentry_put(dentry);
        return -ENOENT;
    }
    *out = dentry;
    archive_use_mark(dentry->inode->archive_entry);
    return 0;
}

int walk_find_last(struct walk *walk, struct path *out)
{
    int err = child_find(walk, &out->dentry);

    if (err)
        return err;
    out->mount = mount_get(walk->path.mount);
    if (unlikely(out->dentry->mounted) && path_cross_mounts(out) && walk->flags & WALK_NO_XDEV) {
        path_put(out);
        return -EXDEV;
    }
    return 0;
}

/* A link that is a place and not a text (/proc/self/fd/3). */
static int walk_jump(struct walk *walk, struct inode *inode)
{
    struct path to;

    if (walk->flags & WALK_NO_MAGIC)
        return -ELOOP;
    if (walk->flags & (WALK_BENEATH | WALK_IN_ROOT))
        return -EXDEV;
    int err = inode->ops->follow(inode, &to.mount, &to.dentry);
    if (err)
        return err;
    if (walk->flags & WALK_NO_XDEV && to.mount != walk->path.mount) {
        path_put(&to);
        return -EXDEV;
    }
    walk_move(walk, &to);
    return 0;
}

/* Continues with the text of the link; the walk is at the link's directory. */
static int walk_enter_link(struct walk *walk, struct inode *inode, unsigned long mount_flags)
{
    struct walk_text text;

    if (walk->flags & WALK_NO_SYMLINKS || mount_flags & ABI_MS_NOSYMFOLLOW ||
        ++walk->nlinks > WALK_LINKS_MAX)
        return -ELOOP;
    if (inode->ops->follow)
        return walk_jump(walk, inode);
    int err = text_of_link(inode, &text);
    if (err)
        return err;
    if (*walk->text.next)
        walk->waiting[walk->depth++] = walk->text;
    else
        text_release(&walk->text);
    walk->text = text;
    if (!*text.next)
        return -ENOENT;
    return *text.next == '/' ? walk_jump_to_root(walk) : 0;
}

/* Cuts the next part off the text; true if it is the last one of all. */
static bool part_next(struct walk *walk)
{
    const char *c = walk->text.next;
    uint32_t hash = NAME_HASH_START;

    walk->name = c;
    for (; *c && *c != '/'; c++)
        hash = NAME_HASH_STEP(hash, *c);
    walk->len = (size_t)(c - walk->name);
    walk->hash = hash;
    const char *end = c;
    while (*c == '/')
        c++;
    walk->text.next = c;
    walk->kind = WALK_NORMAL;
    if (walk->name[0] == '.' && walk->len <= 2) {
        if (walk->len == 1)
            walk->kind = WALK_DOT;
        else if (walk->name[1] == '.')
            walk->kind = WALK_DOTDOT;
    }
    if (*c || walk->depth != 0)
        return false;
    walk->has_trailing_slash |= c != end;
    return true;
}

/* Skips slashes and finished texts; false: nothing is left. */
static bool part_has_next(struct walk *walk)
{
    for (;;) {
        while (*walk->text.next == '/')
            walk->text.next++;
        if (*walk->text.next)
            return true;
        if (walk->depth == 0)
            return false;
        text_release(&walk->text);
        walk->text = walk->waiting[--walk->depth];
    }
}

static bool must_follow(const struct walk *walk, bool is_last)
{
    return !is_last || walk->has_trailing_slash || walk->flags & WALK_FOLLOW;
}

/* Goes to the part just cut off. */
static int walk_step(struct walk *walk, bool is_last)
{
    struct path to;

    if (walk->kind == WALK_DOT)
        return 0;
    if (walk->kind == WALK_DOTDOT)
        return walk_up(walk);
    int err = child_find(walk, &to.dentry);
    if (err)
        return err;
    unsigned type = to.dentry->inode->mode & ABI_S_IFMT;
    if (type == ABI_S_IFLNK && must_follow(walk, is_last)) {
        err = walk_enter_link(walk, to.dentry->inode, walk->path.mount->flags);
        dentry_put(to.dentry);
        return err;
    }
    dentry_put(walk->path.dentry);
    walk->path.dentry = to.dentry;
    if (unlikely(to.dentry->mounted) && path_cross_mounts(&walk->path) &&
        walk->flags & WALK_NO_XDEV)
        return -EXDEV;
    return 0;
}

int walk_to_end(struct walk *walk)
{
    while (part_has_next(walk)) {
        int err = may_search(walk);
        if (err)
            return err;
        bool is_last = part_next(walk);
        err = walk_step(walk, is_last);
        if (err)
            return err;
    }
    if (walk->has_trailing_slash || walk->flags & WALK_DIRECTORY) {
        struct inode *inode = walk->path.dentry->inode;
        if (!inode || !inode_is_dir(inode))
            return -ENOTDIR;
    }
    return 0;
}

int walk_to_parent(struct walk *walk)
{
    walk->kind = WALK_ROOT;
    while (part_has_next(walk)) {
        int err = may_search(walk);
        if (err)
            return err;
        if (part_next(walk))
            return walk->len > ABI_NAME_MAX ? -ENAMETOOLONG : 0;
        err = walk_step(walk, false);
        if (err)
            return err;
    }
    return 0; /* "/" or a link to it */
}

int walk_follow_to_parent(struct walk *walk, const struct path *place)
{
    int err = walk_enter_link(walk, place->dentry->inode, place->mount->flags);

    if (err)
        return err;
    if (place->dentry->inode->ops->follow) {
        walk->kind = WALK_ROOT; /* it jumped: the place itself, not a name in a directory */
        return 0;
    }
    return walk_to_parent(walk);
}

/* ---- Begin and end ----------------------------------------------------------------- */

static int start_at_descriptor(int dirfd, bool is_empty, struct path *out)
{
    if (dirfd == ABI_AT_FDCWD) {
        fs_context_get_cwd(out);
        return 0;
    }
    struct file *file = fd_get_raw(dirfd);
    if (!file)
        return -EBADF;
    int err = 0;
    if (!file->path.dentry)
        err = is_empty ? file_place(file, out) : -ENOTDIR;
    else if (!is_empty && !inode_is_dir(file->path.dentry->inode))
        err = -ENOTDIR;
    else {
        *out = file->path;
        path_get(out);
    }
    file_put(file);
    return err;
}

/* Root and first place of a walk whose root is its start (openat2). */
static int walk_begin_scoped(struct walk *walk, const char *text)
{
    walk->root = walk->path;
    path_get(&walk->root);
    walk->moves = dcache_moves() & ~1u; /* one that is under way may be too late already */
    if (*text == '/' && walk->flags & WALK_BENEATH)
        return -EXDEV;
    return 0;
}

int walk_begin(struct walk *walk, int dirfd, const struct path *start, const char *text,
               unsigned flags)
{
    int err = 0;

    if (!*text && !(flags & WALK_EMPTY))
        return -ENOENT;
    memset(walk, 0, offsetof(struct walk, waiting));
    walk->flags = flags;
    walk->text.next = text;
    if (start) {
        walk->path = *start;
        path_get(start);
    } else if (*text == '/' && !(flags & (WALK_IN_ROOT | WALK_BENEATH))) {
        fs_context_get_root(&walk->path);
        return 0;
    } else {
        err = start_at_descriptor(dirfd, !*text, &walk->path);
        if (err)
            return err;
    }
    if (flags & (WALK_IN_ROOT | WALK_BENEATH))
        err = walk_begin_scoped(walk, text);
    else if (*text == '/')
        err = walk_jump_to_root(walk);
    if (err)
        walk_end(walk);
    return err;
}

void walk_end(struct walk *walk)
{
    text_release(&walk->text);
    while (walk->depth > 0)
        text_release(&walk->waiting[--walk->depth]);
    path_put(&walk->path);
    if (walk->root.mount)
        path_put(&walk->root);
}

/* ---- The usual ways ------------------------------------------------------------------- */

static int path_walk_any(int dirfd, const struct path *start, const char *name, unsigned flags,
                         struct path *out)
{
    struct walk walk;
    int err = walk_begin(&walk, dirfd, start, name, flags);

    if (err)
        return err;
    err = walk_to_end(&walk);
    if (!err) {
        *out = walk.path;
        path_get(out);
    }
    walk_end(&walk);
    return err;
}

int path_walk(int dirfd, const char *name, unsigned flags, struct path *out)
{
    return path_walk_any(dirfd, NULL, name, flags, out);
}

int path_walk_from(const struct path *start, const char *name, unsigned flags, struct path *out)
{
    return path_walk_any(ABI_AT_FDCWD, start, name, flags, out);
}

int path_walk_parent(int dirfd, const char *name, unsigned flags, struct path *dir,
                     struct dentry **last)
{
    struct walk walk;
    int err = walk_begin(&walk, dirfd, NULL, name, flags);

    if (err)
        return err;
    err = walk_to_parent(&walk);
    if (!err && walk.kind != WALK_NORMAL)
        err = -EEXIST;
    if (!err) {
        struct inode *inode = walk.path.dentry->inode;
        mutex_lock(&inode->lock);
        err = dentry_lookup(walk.path.dentry, walk.name, walk.len, last);
        if (err) {
            mutex_unlock(&inode->lock);
        } else {
            *dir = walk.path;
            path_get(dir);
            if ((*last)->inode)
                archive_use_mark((*last)->inode->archive_entry);
        }
    }
    walk_end(&walk);
    return err;
}

void path_end_parent(struct path *dir, struct dentry *last)
{
    mutex_unlock(&dir->dentry->inode->lock);
    dentry_put(last);
    path_put(dir);
}
