// SPDX-License-Identifier: MIT
/*
 * Mounting: the options of Linux's 9p (Documentation/filesystems/9p.rst), as far as there is a choice here.  Those
 * that ask for what is so anyway are taken, others refused.
 *
 * Ours are swapuid=SERVER/LOCAL and swapgid=SERVER/LOCAL.  A server that is an ordinary user of its host can make and
 * own files only as that user; where these numbers stand for the program's, the files that are its own to change
 * are its own to look at too, as git and tar want it.
 */
#include <string.h>

#include "abi/mount.h"
#include "fs/ninep/fs.h"
#include "fs/ninep/ninep.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

static bool option_is_known(const char *option, size_t len)
{
    static const char *const known[] = {
        "trans=virtio", "version=9p2000.L", "cache=none",
        "cache=mmap",   "access=client",    "access=user",
    };
    /* How large a message may be is agreed on with the server. */
    if (len > 6 && memcmp(option, "msize=", 6) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strlen(known[i]) == len && memcmp(option, known[i], len) == 0)
            return true;
    }
    return false;
}

/* A decimal number that the character end follows. */
static bool number_parse(const char **text, char end, uint32_t *number)
{
    const char *at = *text;
    uint64_t value = 0;

    while (*at >= '0' && *at <= '9' && value <= UINT32_MAX)
        value = value * 10 + (uint64_t)(*at++ - '0');
    if (at == *text || *at != end || value > UINT32_MAX)
        return false;
    *number = (uint32_t)value;
    *text = at + 1;
    return true;
}

struct options {
    struct ninep_swap users, groups;
};

/* option[0, len) of "swapuid=" or "swapgid=". */
static bool swap_parse(const char *option, size_t len, struct options *options)
{
    char text[32];

    if (len >= sizeof(text) || strncmp(option, "swap", 4) != 0 ||
        strncmp(option + 5, "id=", 3) != 0 || (option[4] != 'u' && option[4] != 'g'))
        return false;
    memcpy(text, option, len);
    text[len] = '\0';
    struct ninep_swap *swap = option[4] == 'u' ? &options->users : &options->groups;
    const char *at = text + strlen("swapuid=");
    return number_parse(&at, '/', &swap->server) && number_parse(&at, '\0', &swap->local);
}

static int options_parse(const char *data, struct options *options)
{
    *options = (struct options){ 0 };
    while (data && *data) {
        size_t len = strcspn(data, ",");
        if (len > 0 && !option_is_known(data, len) && !swap_parse(data, len, options)) {
            log_warning("9p: unknown mount option in \"%s\"", data);
            return -EINVAL;
        }
        data += len + (data[len] == ',');
    }
    return 0;
}

static int ninep_statfs_op(struct superblock *sb, struct abi_statfs *out)
{
    struct ninep_fid *fid = ninep_inode_fid(sb->root->inode);
    int err = ninep_statfs(fid, out);

    ninep_fid_put(fid);
    return err;
}

static void fs_destroy(struct superblock *sb)
{
    struct ninep_fs *fs = ninep_fs_of(sb);

    ninep_client_destroy(fs->client);
    kfree(fs);
}

static const struct superblock_ops superblock_ops = {
    .statfs = ninep_statfs_op,
    .sync = ninep_sync,
    .revalidate = ninep_revalidate,
    .forget_names = ninep_forget_names,
    .destroy = fs_destroy,
};

static int fs_create(const char *tag, struct ninep_fs **out)
{
    struct ninep_fs *fs = kzalloc(sizeof(*fs), ALLOC_WAIT);

    if (!fs)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(fs->inodes); i++)
        list_init(&fs->inodes[i]);
    int err = ninep_client_create(tag, &fs->client);
    if (err)
        kfree(fs);
    else
        *out = fs;
    return err;
}

static int make_root(struct superblock *sb)
{
    struct ninep_fid *fid;
    struct inode *root;
    int err = ninep_attach(ninep_fs_of(sb)->client, &fid);

    if (!err)
        err = ninep_inode_find(sb, fid, NULL, &root);
    if (!err && !inode_is_dir(root)) {
        inode_put(root);
        err = -ENOTDIR;
    }
    return err ? err : superblock_set_root(sb, root);
}

static int ninep_mount(const struct file_system *type, const char *source, unsigned long flags,
                       const char *data, struct superblock **out)
{
    struct superblock *sb;
    struct ninep_fs *fs;
    struct options options;
    int err = source ? options_parse(data, &options) : -EINVAL;

    if (!err)
        err = fs_create(source, &fs);
    if (err)
        return err;
    fs->client->users = options.users;
    fs->client->groups = options.groups;
    err = superblock_create(type, &superblock_ops, flags & ABI_MS_RDONLY, &sb);
    if (err) {
        ninep_client_destroy(fs->client);
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

const struct file_system ninep_file_system = { .name = "9p", .mount = ninep_mount };
