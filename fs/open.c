// SPDX-License-Identifier: MIT
/*
 * open(2): flags, the walk, permission, creation.
 *
 * With O_CREAT the walk stops at the directory of the last part.  If the name is there it is opened
 * without the directory's lock; only a name that is missing takes the lock, looks again and creates.
 * A symbolic link at the end is walked on to the parent of where it points, so a dangling link
 * creates its target, as open(2) does.
 */
#include "fs/open.h"

#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/inotify.h"
#include "fs/vfs.h"

#define VALID_FLAGS                                                                                \
    (ABI_O_ACCMODE | ABI_O_CREAT | ABI_O_EXCL | ABI_O_NOCTTY | ABI_O_TRUNC | ABI_O_APPEND |        \
     ABI_O_NONBLOCK | ABI_O_SYNC | ABI_O_ASYNC | ABI_O_DIRECT | ABI_O_LARGEFILE |                  \
     ABI_O_DIRECTORY | ABI_O_NOFOLLOW | ABI_O_NOATIME | ABI_O_CLOEXEC | ABI_O_PATH |               \
     ABI_O_TMPFILE)

static unsigned access_mask(unsigned flags)
{
    static const unsigned char mask[4] = { ABI_R_OK, ABI_W_OK, ABI_R_OK | ABI_W_OK,
                                           ABI_R_OK | ABI_W_OK };

    return mask[flags & ABI_O_ACCMODE] | (flags & ABI_O_TRUNC ? ABI_W_OK : 0u);
}

/* What open(2) checks on a file that exists. */
static int may_open(const struct path *path, unsigned flags)
{
    struct inode *inode = path->dentry->inode;
    unsigned type = inode->mode & ABI_S_IFMT;

    if (type == ABI_S_IFLNK)
        return -ELOOP;
    if (type == ABI_S_IFDIR && access_mask(flags) & ABI_W_OK)
        return -EISDIR;
    if (access_mask(flags) & ABI_W_OK && (type == ABI_S_IFREG || type == ABI_S_IFDIR)) {
        int err = mount_want_write(path->mount);
        if (err)
            return err;
    }
    int err = inode_permission(inode, access_mask(flags));
    if (err)
        return err;
    if (flags & ABI_O_NOATIME && !inode_is_owner_or_capable(inode))
        return -EPERM;
    return 0;
}

/* Regular files that may be written by it are counted, so that none of them is run meanwhile. */
static int open_counted(const struct path *path, unsigned flags, struct file **out)
{
    struct inode *inode = path->dentry->inode;
    bool is_writer = !(flags & ABI_O_PATH) && access_mask(flags) & ABI_W_OK &&
                     (inode->mode & ABI_S_IFMT) == ABI_S_IFREG;
    int err = is_writer ? inode_begin_write(inode) : 0;

    if (err)
        return err;
    err = file_open_path(path, flags, out);
    if (!err)
        (*out)->is_writer = is_writer;
    else if (is_writer)
        inode_end_write(inode);
    return err;
}

static int open_place(const struct path *path, unsigned flags, struct file **out)
{
    int err = flags & ABI_O_PATH ? 0 : may_open(path, flags);

    if (!err)
        err = open_counted(path, flags, out);
    if (err || !(flags & ABI_O_TRUNC) || ((*out)->inode->mode & ABI_S_IFMT) != ABI_S_IFREG)
        return err;
    err = vfs_truncate((*out)->inode, 0);
    if (err)
        file_put(*out);
    else
        inotify_file_event(*out, ABI_IN_MODIFY);
    return err;
}

/* ---- Creating ------------------------------------------------------------------------- */

/* The name was missing a moment ago.  -EEXIST: it is there now, nothing was created. */
static int create_last(struct walk *walk, unsigned mode, struct path *out)
{
    struct inode *dir = walk->path.dentry->inode;
    struct dentry *last;

    mutex_lock(&dir->lock);
    int err = dentry_lookup(walk->path.dentry, walk->name, walk->len, &last);
    if (!err) {
        err = vfs_create_at(&walk->path, last, mode & ~fs_context_umask());
        if (err) {
            dentry_put(last);
        } else {
            out->mount = mount_get(walk->path.mount);
            out->dentry = last;
        }
    }
    mutex_unlock(&dir->lock);
    return err;
}

/* The name exists at place, whose references are consumed.  1: it is a link, walked on. */
static int open_found(struct walk *walk, struct path *place, unsigned flags, struct file **out)
{
    bool is_link = (place->dentry->inode->mode & ABI_S_IFMT) == ABI_S_IFLNK;
    int err;

    if (flags & ABI_O_EXCL)
        err = -EEXIST;
    else if (is_link && flags & ABI_O_NOFOLLOW)
        err = -ELOOP;
    else if (is_link)
        err = walk_follow_to_parent(walk, place);
    else if (inode_is_dir(place->dentry->inode))
        err = -EISDIR;
    else
        err = open_place(place, flags, out);
    path_put(place);
    return err ? err : is_link;
}

static int open_created(const struct path *place, unsigned flags, struct file **out)
{
    /* A new file may be opened so whatever its mode says; there is nothing to truncate. */
    return open_counted(place, flags & ~ABI_O_TRUNC, out);
}

/* One round at the walk's last part.  1: go on. */
static int open_or_create(struct walk *walk, unsigned flags, unsigned mode, struct file **out)
{
    struct path place;

    if (walk->kind == WALK_ROOT && walk->nlinks > 0 && !inode_is_dir(walk->path.dentry->inode))
        return open_place(&walk->path, flags, out); /* a link that jumped here */
    if (walk->kind != WALK_NORMAL)
        return flags & ABI_O_EXCL ? -EEXIST : -EISDIR;
    if (walk->has_trailing_slash)
        return -EISDIR;
    int err = walk_find_last(walk, &place);
    if (!err)
        return open_found(walk, &place, flags, out);
    if (err != -ENOENT)
        return err;
    err = create_last(walk, mode, &place);
    if (err == -EEXIST)
        return 1;
    if (err)
        return err;
    err = open_created(&place, flags, out);
    path_put(&place);
    return err;
}

static int open_create(int dirfd, const char *name, const struct open_request *request,
                       struct file **out)
{
    struct walk walk;
    int err = walk_begin(&walk, dirfd, NULL, name, request->walk_flags);

    if (err)
        return err;
    err = walk_to_parent(&walk);
    if (!err) {
        do {
            err = open_or_create(&walk, request->flags, request->mode, out);
        } while (err > 0);
    }
    walk_end(&walk);
    return err;
}

static int open_tmpfile(int dirfd, const char *name, const struct open_request *request,
                        struct file **out)
{
    unsigned flags = request->flags & ~(ABI_O_TMPFILE_BIT | ABI_O_TRUNC);
    struct path dir;
    struct path place;
    int err = path_walk(dirfd, name, request->walk_flags | WALK_DIRECTORY, &dir);

    if (err)
        return err;
    err = vfs_tmpfile(&dir, request->mode & ~fs_context_umask(), !(flags & ABI_O_EXCL),
                      &place.dentry);
    if (!err) {
        place.mount = dir.mount;
        err = open_counted(&place, flags & ~ABI_O_DIRECTORY, out);
        dentry_put(place.dentry);
    }
    if (!err)
        (*out)->flags |= ABI_O_TMPFILE; /* as F_GETFL shows it */
    path_put(&dir);
    return err;
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* The rules that open and openat2 share. */
static int request_check(struct open_request *request)
{
    unsigned flags = request->flags;

    if (flags & ABI_O_TMPFILE_BIT) {
        if ((flags & ABI_O_TMPFILE) != ABI_O_TMPFILE || flags & ABI_O_CREAT ||
            (flags & ABI_O_ACCMODE) == ABI_O_RDONLY)
            return -EINVAL;
    } else if (flags & ABI_O_CREAT && flags & ABI_O_DIRECTORY && !(flags & ABI_O_PATH)) {
        return -EINVAL;
    }
    if (flags & ABI_O_PATH)
        request->flags &= ABI_O_PATH | ABI_O_DIRECTORY | ABI_O_NOFOLLOW | ABI_O_CLOEXEC;
    return 0;
}

int file_open_request(int dirfd, const char *name, struct open_request *request, struct file **out)
{
    struct path place;
    int err = request_check(request);

    if (err)
        return err;
    if (!(request->flags & ABI_O_NOFOLLOW) &&
        (request->flags & (ABI_O_CREAT | ABI_O_EXCL)) != (ABI_O_CREAT | ABI_O_EXCL))
        request->walk_flags |= WALK_FOLLOW;
    if (request->flags & ABI_O_TMPFILE_BIT)
        return open_tmpfile(dirfd, name, request, out);
    if (request->flags & ABI_O_CREAT)
        return open_create(dirfd, name, request, out);
    if (request->flags & ABI_O_DIRECTORY)
        request->walk_flags |= WALK_DIRECTORY;
    err = path_walk(dirfd, name, request->walk_flags, &place);
    if (err)
        return err;
    err = open_place(&place, request->flags, out);
    path_put(&place);
    return err;
}

void open_request_init(struct open_request *request, unsigned flags, unsigned mode)
{
    /* Old programs pass bits that mean nothing; open(2) ignores them, openat2(2) does not. */
    *request = (struct open_request){ .flags = flags & VALID_FLAGS, .mode = mode & 07777 };
    if ((request->flags & ABI_O_TMPFILE_BIT) == 0 && !(request->flags & ABI_O_CREAT))
        request->mode = 0;
}

int open_request_init_how(struct open_request *request, const struct abi_open_how *how)
{
    bool creates = how->flags & (ABI_O_CREAT | ABI_O_TMPFILE_BIT);
    const uint64_t path_flags = ABI_O_PATH | ABI_O_DIRECTORY | ABI_O_NOFOLLOW | ABI_O_CLOEXEC;

    if (how->flags & ~(uint64_t)VALID_FLAGS || how->resolve & ~(uint64_t)0x3f)
        return -EINVAL;
    if (how->mode & ~(uint64_t)07777 || (how->mode && !creates))
        return -EINVAL;
    if (how->flags & ABI_O_PATH && how->flags & ~path_flags)
        return -EINVAL;
    if ((how->resolve & (ABI_RESOLVE_BENEATH | ABI_RESOLVE_IN_ROOT)) ==
        (ABI_RESOLVE_BENEATH | ABI_RESOLVE_IN_ROOT))
        return -EINVAL;
    *request = (struct open_request){ .flags = (unsigned)how->flags, .mode = (unsigned)how->mode };
    static const unsigned char resolve[] = { ABI_RESOLVE_NO_XDEV, ABI_RESOLVE_NO_MAGICLINKS,
                                             ABI_RESOLVE_NO_SYMLINKS, ABI_RESOLVE_BENEATH,
                                             ABI_RESOLVE_IN_ROOT };
    static const unsigned walk[] = { WALK_NO_XDEV, WALK_NO_MAGIC, WALK_NO_SYMLINKS | WALK_NO_MAGIC,
                                     WALK_BENEATH, WALK_IN_ROOT };
    for (unsigned i = 0; i < ARRAY_SIZE(resolve); i++) {
        if (how->resolve & resolve[i])
            request->walk_flags |= walk[i];
    }
    /* RESOLVE_CACHED: everything a walk needs is in memory here but for slow file systems, and
     * callers must expect -EAGAIN, so it may be taken as a hint only when it would succeed. */
    return 0;
}

int file_open(int dirfd, const char *name, unsigned flags, unsigned mode, struct file **out)
{
    struct open_request request;

    open_request_init(&request, flags, mode);
    return file_open_request(dirfd, name, &request, out);
}
