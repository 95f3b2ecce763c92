// SPDX-License-Identifier: MIT
/*
 * /proc/PID/mounts and mountinfo: what is mounted, as the reader's root sees it.
 *
 * The mounts are collected first, with references, because making a path takes the lock that
 * the list is walked under.
 */
#include "abi/dirent.h"
#include "abi/mount.h"
#include "fs/dcache.h"
#include "fs/devfs.h"
#include "fs/procfs_internal.h"
#include "kernel/mm/heap.h"

#define MOUNTS_MAX 256
#define PATH_BYTES 4096

struct mount_set {
    struct mount *mount[MOUNTS_MAX];
    unsigned count;
};

static bool mount_collect(struct mount *mount, void *arg)
{
    struct mount_set *set = arg;
    if (set->count < MOUNTS_MAX)
        set->mount[set->count++] = mount_get(mount);
    return true;
}

static void text_options(struct text *text, unsigned long flags)
{
    static const struct {
        unsigned long flag;
        const char *name;
    } options[] = { { ABI_MS_NOSUID, ",nosuid" },
                    { ABI_MS_NODEV, ",nodev" },
                    { ABI_MS_NOEXEC, ",noexec" },
                    { ABI_MS_NOATIME, ",noatime" } };
    text_printf(text, flags & ABI_MS_RDONLY ? "ro" : "rw");
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (flags & options[i].flag)
            text_printf(text, "%s", options[i].name);
    }
    if (!(flags & ABI_MS_NOATIME))
        text_printf(text, ",relatime");
}

static const char *source_of(const struct mount *mount)
{
    return mount->source[0] ? mount->source : mount->sb->type->name;
}

static void mounts_line(struct text *text, struct mount *mount, const char *place)
{
    text_escape(text, source_of(mount), " \t\n#");
    text_printf(text, " ");
    text_escape(text, place, " \t\n#");
    text_printf(text, " %s ", mount->sb->type->name);
    text_options(text, mount->flags | mount->sb->flags);
    text_printf(text, " 0 0\n");
}

static void mountinfo_line(struct text *text, struct mount *mount, const char *place)
{
    int parent = mount->parent ? mount->parent->id : 0;
    text_printf(text, "%d %d %u:%u / ", mount->id, parent, DEVICE_MAJOR(mount->sb->device),
                DEVICE_MINOR(mount->sb->device));
    text_escape(text, place, " \t\n#");
    text_printf(text, " ");
    text_options(text, mount->flags);
    text_printf(text, " - %s ", mount->sb->type->name);
    text_escape(text, source_of(mount), " \t\n#");
    text_printf(text, " %s\n", mount->sb->flags & ABI_MS_RDONLY ? "ro" : "rw");
}

static void set_print(struct mount_set *set, struct text *text, char *place,
                      void (*line)(struct text *, struct mount *, const char *))
{
    for (unsigned i = 0; i < set->count; i++) {
        struct path path = { set->mount[i], set->mount[i]->root };
        /* Out of the reader's root: it cannot be named. */
        if (path_text_marked(&path, place, PATH_BYTES) > 0 && place[0] == '/')
            line(text, set->mount[i], place);
        mount_put(set->mount[i]);
    }
}

static int mounts_print(struct text *text,
                        void (*line)(struct text *, struct mount *, const char *))
{
    struct mount_set *set = kzalloc(sizeof(*set), ALLOC_WAIT);
    char *place = kmalloc(PATH_BYTES, ALLOC_WAIT);
    int err = set && place ? 0 : -ENOMEM;
    if (!err) {
        mount_for_each(mount_collect, set);
        set_print(set, text, place, line);
    }
    kfree(place);
    kfree(set);
    return err;
}

int proc_mounts(const struct pseudo_ref *ref, struct text *text)
{
    return mounts_print(text, mounts_line);
}

int proc_mountinfo(const struct pseudo_ref *ref, struct text *text)
{
    return mounts_print(text, mountinfo_line);
}
