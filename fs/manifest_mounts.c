// SPDX-License-Identifier: MIT
/*
 * The mounts of the manifest: what the host offers to this machine, by the tool's words.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "abi/mount.h"
#include "abi/stat.h"
#include "fs/dcache.h"
#include "fs/special.h"
#include "fs/vfs.h"
#include "kernel/manifest.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

/* mkdir -p; the name is changed in between. */
static int make_folders(char *name)
{
    int err = 0;

    for (char *at = name + 1; !err && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        err = vfs_mkdir(name, 0755);
        *at = '/';
        err = err == -EEXIST ? 0 : err;
    }
    if (!err)
        err = vfs_mkdir(name, 0755);
    return err == -EEXIST ? 0 : err;
}

static int place_make(const char *place)
{
    struct path path;
    int err = path_walk(ABI_AT_FDCWD, place, WALK_FOLLOW | WALK_DIRECTORY, &path);

    if (!err)
        path_put(&path);
    if (err != -ENOENT)
        return err;
    char *name = kstrdup(place, ALLOC_WAIT);
    err = name ? make_folders(name) : -ENOMEM;
    kfree(name);
    return err;
}

/* An empty file to mount on, as runc makes it. */
static int file_make(const char *place)
{
    char *folder = kstrdup(place, ALLOC_WAIT);

    if (!folder)
        return -ENOMEM;
    *strrchr(folder, '/') = '\0';
    int err = *folder ? place_make(folder) : 0;
    if (!err)
        err = vfs_mknod(place, ABI_S_IFREG | 0644, 0);
    kfree(folder);
    return err;
}

/* A file of the image, in a folder that hides what the image has there. */
static int bind_apply(const struct manifest_mount *mount)
{
    struct path from, at;
    int err = path_walk(ABI_AT_FDCWD, mount->source, WALK_FOLLOW, &from);

    if (err)
        return err;
    err = path_walk(ABI_AT_FDCWD, mount->place, WALK_FOLLOW, &at);
    if (err == -ENOENT && (err = file_make(mount->place)) == 0)
        err = path_walk(ABI_AT_FDCWD, mount->place, WALK_FOLLOW, &at);
    if (!err) {
        err = mount_bind(&at, &from, false);
        path_put(&at);
    }
    path_put(&from);
    return err;
}

static int mount_apply(const struct manifest_mount *mount)
{
    unsigned long flags = mount->is_read_only ? ABI_MS_RDONLY : 0;
    if (strcmp(mount->type, "remount") == 0)
        return vfs_remount(mount->place, flags);
    if (strcmp(mount->type, "bind") == 0)
        return bind_apply(mount);
    int err = place_make(mount->place);
    return err ? err : vfs_mount(mount->place, mount->type, mount->source, flags, mount->options);
}

int manifest_mounts_init(const struct manifest *manifest, const char **error)
{
    static char sentence[256];

    for (size_t i = 0; i < manifest->nmounts; i++) {
        const struct manifest_mount *mount = &manifest->mounts[i];
        int err = mount_apply(mount);
        if (err) {
            format_string(sentence, sizeof(sentence), "%s (%s) cannot be mounted at %s (error %d)",
                          mount->source, mount->type, mount->place, -err);
            *error = sentence;
            return err;
        }
    }
    return 0;
}
