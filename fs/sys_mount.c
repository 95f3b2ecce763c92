// SPDX-License-Identifier: MIT
/*
 * System calls about mounts.
 */
#include "abi/capability.h"
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/file.h"
#include "fs/vfs.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

#define PROPAGATION (ABI_MS_SHARED | ABI_MS_PRIVATE | ABI_MS_SLAVE | ABI_MS_UNBINDABLE)

struct mount_request {
    struct path at;
    struct path_name source;
    struct path_name type;
    struct path_name data;
    bool has_source, has_type, has_data;
    unsigned long flags;
};

/* An optional string; too long is EINVAL, although it may be a path. */
static int string_init(struct path_name *text, const char __app *from, bool *has)
{
    if (!from)
        return 0;
    int err = path_name_init(text, from);
    *has = !err;
    return err == -ENAMETOOLONG ? -EINVAL : err;
}

static void request_free(struct mount_request *request)
{
    if (request->has_source)
        path_name_fini(&request->source);
    if (request->has_type)
        path_name_fini(&request->type);
    if (request->has_data)
        path_name_fini(&request->data);
    kfree(request);
}

static int source_walk(const struct mount_request *request, struct path *out)
{
    if (!request->has_source)
        return -EINVAL;
    return path_walk(ABI_AT_FDCWD, request->source.text, WALK_FOLLOW, out);
}

static int bind_or_move(const struct mount_request *request)
{
    struct path from;
    int err = source_walk(request, &from);

    if (err)
        return err;
    if (request->flags & ABI_MS_BIND)
        err = mount_bind(&request->at, &from, request->flags & ABI_MS_REC);
    else
        err = mount_move(&request->at, &from);
    path_put(&from);
    return err;
}

/* There is one mount namespace and nothing propagates: private is what every mount is. */
static int set_propagation(const struct mount_request *request)
{
    if (request->at.dentry != request->at.mount->root)
        return -EINVAL;
    if (request->flags & (ABI_MS_PRIVATE | ABI_MS_UNBINDABLE))
        return 0;
    log_warning_once("mount: shared and slave mounts do not exist here");
    return -EINVAL;
}

static int remount(const struct mount_request *request)
{
    struct superblock *sb = request->at.mount->sb;

    int err = mount_change_flags(&request->at, request->flags);
    if (!err && !(request->flags & ABI_MS_BIND))
        sb->flags = (sb->flags & ~ABI_MS_RDONLY) | (request->flags & ABI_MS_RDONLY);
    return err;
}

static int mount_new(const struct mount_request *request)
{
    if (!request->has_type)
        return -EINVAL;
    const struct file_system *type = file_system_find(request->type.text);
    if (!type) {
        log_warning("mount: there is no file system \"%s\" here", request->type.text);
        return -ENODEV;
    }
    return mount_create(&request->at, type, request->has_source ? request->source.text : NULL,
                        request->flags, request->has_data ? request->data.text : NULL);
}

static int mount_do(struct mount_request *request)
{
    if (!process_has_capability(ABI_CAP_SYS_ADMIN))
        return -EPERM;
    if (request->flags & ABI_MS_REMOUNT)
        return remount(request);
    if (request->flags & (ABI_MS_BIND | ABI_MS_MOVE))
        return bind_or_move(request);
    if (request->flags & PROPAGATION)
        return set_propagation(request);
    return mount_new(request);
}

static int walk_app(const char __app *name, unsigned flags, struct path *out)
{
    struct path_name text;
    int err = path_name_init(&text, name);

    if (err)
        return err;
    err = path_walk(ABI_AT_FDCWD, text.text, flags, out);
    path_name_fini(&text);
    return err;
}

long sys_mount(const char __app *source, const char __app *target, const char __app *type,
               unsigned long flags, const void __app *data)
{
    struct mount_request *request = kzalloc(sizeof(*request), ALLOC_WAIT);

    if (!request)
        return -ENOMEM;
    if ((flags & ABI_MS_MGC_MSK) == ABI_MS_MGC_VAL)
        flags &= ~ABI_MS_MGC_MSK;
    request->flags = flags;
    int err = string_init(&request->type, type, &request->has_type);
    if (!err)
        err = string_init(&request->source, source, &request->has_source);
    if (!err)
        err = string_init(&request->data, (const char __app *)data, &request->has_data);
    if (!err)
        err = walk_app(target, WALK_FOLLOW, &request->at);
    if (!err) {
        err = mount_do(request);
        path_put(&request->at);
    }
    request_free(request);
    return err;
}

long sys_umount2(const char __app *target, unsigned flags)
{
    struct path at;

    if (flags & ~(ABI_MNT_FORCE | ABI_MNT_DETACH | ABI_UMOUNT_NOFOLLOW))
        return -EINVAL;
    if (!process_has_capability(ABI_CAP_SYS_ADMIN))
        return -EPERM;
    int err = walk_app(target, flags & ABI_UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &at);
    if (err)
        return err;
    err = mount_remove(&at, flags);
    path_put(&at);
    return err;
}

/* The root is an initial RAM file system, which Linux does not pivot either. */
long sys_pivot_root(const char __app *new_root, const char __app *put_old)
{
    struct path path;

    if (!process_has_capability(ABI_CAP_SYS_ADMIN))
        return -EPERM;
    int err = walk_app(new_root, WALK_FOLLOW | WALK_DIRECTORY, &path);
    if (err)
        return err;
    path_put(&path);
    err = walk_app(put_old, WALK_FOLLOW | WALK_DIRECTORY, &path);
    if (err)
        return err;
    path_put(&path);
    log_warning_once("pivot_root: not possible on an initial RAM file system; use chroot");
    return -EINVAL;
}
