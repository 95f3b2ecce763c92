// SPDX-License-Identifier: MIT
/*
 * The boot archive becomes the content of the root.
 *
 * File data that begin on a page of memory are adopted where they are: the frame of the boot module
 * becomes the file's page, so a large program costs no copy.  The rest of a file's last page must read
 * as zeros, but the headers of the next entries stand there; so such tails are noted, and zeroed
 * when everything has been read.  A tail's frame is held meanwhile, in case a later entry replaces
 * the file.  What was not adopted goes to the frame allocator at the end.
 *
 * A compressed file's data stay where they are, too (fs/ramfs_packed.c).
 *
 * Everything else is copied.  Directories that the archive forgot are made.  An entry for a name that
 * exists replaces it, as Linux's initramfs does.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "arch/arch.h"
#include "fs/devfs.h"
#include "fs/ramfs.h"
#include "fs/ramfs_packed.h"
#include "fs/vfs.h"
#include "kernel/archive_use.h"
#include "kernel/boot_info.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/cpio.h"
#include "lib/format.h"

#define LINK_BUCKETS 64

/* To be done when all entries are there: a tail to zero, or a directory's mtime to set. */
struct later {
    struct frame *frame; /* with a reference */
    size_t tail;         /* offset of the first byte behind the file's end */
    struct inode *dir;   /* with a reference */
    uint32_t mtime;
};

/* A file with several names: the first one to come. */
struct link {
    struct link *next;
    uint32_t dev_major, dev_minor, ino;
    struct path place;
};

struct unpacker {
    struct cpio_reader reader;
    struct cpio_entry entry;
    paddr_t start;     /* of the module */
    paddr_t adoptable; /* [start, adoptable): whole pages that are ours alone */
    struct later *later;
    size_t nlater, later_room;
    struct link *links[LINK_BUCKETS];
    uint64_t nadopted; /* pages */
};

static char sentence[256];

/* ---- Later ---------------------------------------------------------------------------- */

static struct later *later_add(struct unpacker *u)
{
    if (u->nlater == u->later_room) {
        size_t room = u->later_room ? 2 * u->later_room : 64;
        struct later *larger = krealloc(u->later, room * sizeof(*larger), ALLOC_WAIT);
        if (!larger)
            return NULL;
        u->later = larger;
        u->later_room = room;
    }
    struct later *later = &u->later[u->nlater++];
    *later = (struct later){ 0 };
    return later;
}

static void later_run(struct unpacker *u)
{
    for (size_t i = 0; i < u->nlater; i++) {
        struct later *later = &u->later[i];
        if (later->frame) {
            memset((char *)frame_address(later->frame) + later->tail, 0, PAGE_SIZE - later->tail);
            frame_put(later->frame);
        }
        if (later->dir) {
            later->dir->mtime = (struct abi_timespec){ .tv_sec = later->mtime };
            inode_put(later->dir);
        }
    }
    kfree(u->later);
}

/* ---- Data ------------------------------------------------------------------------------- */

static int copy_range(struct inode *inode, size_t offset, const unsigned char *data, size_t len)
{
    while (len > 0) {
        long n = pagecache_write(inode->cache, offset, data, len, false);
        if (n <= 0)
            return n ? (int)n : -ENOMEM;
        offset += (size_t)n;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The frames at paddr become the file's pages from offset on.  How many did; 0: none can; -ENOMEM. */
static long adopt_run(struct unpacker *u, struct inode *inode, size_t offset, paddr_t paddr)
{
    size_t wanted = ALIGN_UP(u->entry.size - offset, PAGE_SIZE) / PAGE_SIZE;
    size_t ours = paddr < u->adoptable ? (u->adoptable - paddr) / PAGE_SIZE : 0;
    struct frame *frames;

    size_t npages = ours ? frame_adopt(paddr, MIN(wanted, ours), &frames) : 0;
    if (npages == 0)
        return 0;
    int err = pagecache_insert(inode->cache, offset / PAGE_SIZE, frames, npages);
    if (err)
        return err;
    u->nadopted += npages;
    if (npages == wanted && u->entry.size % PAGE_SIZE != 0) {
        struct later *later = later_add(u);
        if (!later)
            return -ENOMEM;
        later->frame = frame_get(&frames[npages - 1]);
        later->tail = u->entry.size % PAGE_SIZE;
    }
    return (long)npages;
}

static int adopt_or_copy(struct unpacker *u, struct inode *inode)
{
    const struct cpio_entry *entry = &u->entry;
    paddr_t paddr = u->start + (paddr_t)(entry->data - u->reader.base);
    long npages;

    for (size_t offset = 0; offset < entry->size; offset += (size_t)npages * PAGE_SIZE) {
        npages = adopt_run(u, inode, offset, paddr + offset);
        if (npages < 0)
            return (int)npages;
        if (npages > 0)
            continue;
        int err =
            copy_range(inode, offset, entry->data + offset, MIN(entry->size - offset, PAGE_SIZE));
        if (err)
            return err;
        npages = 1;
    }
    return 0;
}

/* The file's pages will come from the compressed form, which stays where it is. */
static int attach_packed(struct unpacker *u, struct inode *inode)
{
    const struct cpio_entry *entry = &u->entry;
    paddr_t paddr = u->start + (paddr_t)(entry->data - u->reader.base);
    size_t ours = paddr < u->adoptable ? (u->adoptable - paddr) / PAGE_SIZE : 0;
    struct pagecache *cache;

    int err = packed_create(paddr, entry->size, ours, entry->plain_size, &cache);
    if (err)
        return err;
    pagecache_put(inode->cache);
    inode->cache = cache;
    pagecache_set_size(cache, entry->plain_size);
    inode->size = entry->plain_size;
    ramfs_account(inode);
    u->nadopted += entry->size / PAGE_SIZE;
    return 0;
}

static int file_fill(struct unpacker *u, struct inode *inode)
{
    const struct cpio_entry *entry = &u->entry;
    paddr_t paddr = u->start + (paddr_t)(entry->data - u->reader.base);
    int err;

    if (entry->size == 0)
        return 0;
    mutex_lock(&inode->lock);
    if (entry->plain_size > 0) {
        err = attach_packed(u, inode);
        mutex_unlock(&inode->lock);
        return err;
    }
    pagecache_set_size(inode->cache, 0);
    if (paddr % PAGE_SIZE == 0)
        err = adopt_or_copy(u, inode);
    else
        err = copy_range(inode, 0, entry->data, entry->size);
    if (!err) {
        pagecache_set_size(inode->cache, entry->size);
        inode->size = entry->size;
        ramfs_account(inode);
    }
    mutex_unlock(&inode->lock);
    return err;
}

/* ---- Names -------------------------------------------------------------------------------- */

/* Makes the directories above name that are missing. */
static int make_parents(const char *name)
{
    char *prefix = kstrdup(name, ALLOC_WAIT);
    int err = prefix ? 0 : -ENOMEM;

    for (char *slash = prefix; !err && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        err = vfs_mkdir(prefix, 0755);
        if (err == -EEXIST)
            err = 0;
        *slash = '/';
    }
    kfree(prefix);
    return err;
}

static int find_parent(const char *name, struct path *dir, struct dentry **last)
{
    return path_walk_parent(ABI_AT_FDCWD, name, 0, dir, last);
}

/* An older entry gives way; a directory stays for a directory. */
static int replace_old(const struct path *dir, struct dentry **last, bool is_dir)
{
    if (!(*last)->inode)
        return 0;
    if (inode_is_dir((*last)->inode))
        return is_dir ? -EEXIST : -EISDIR;
    char name[ABI_NAME_MAX + 1];
    size_t len = (*last)->name_len;
    memcpy(name, (*last)->name, len + 1);
    int err = vfs_unlink_at(dir, *last);
    if (err)
        return err;
    struct dentry *fresh;
    err = dentry_lookup(dir->dentry, name, len, &fresh);
    if (err)
        return err;
    dentry_put(*last);
    *last = fresh;
    return 0;
}

static struct link **link_bucket(struct unpacker *u)
{
    return &u->links[(u->entry.ino ^ u->entry.dev_minor) % LINK_BUCKETS];
}

/* The earlier name of this entry's file, if it has one. */
static struct link *link_find(struct unpacker *u)
{
    struct link *link = *link_bucket(u);

    while (link && (link->ino != u->entry.ino || link->dev_major != u->entry.dev_major ||
                    link->dev_minor != u->entry.dev_minor))
        link = link->next;
    return link;
}

static int link_add(struct unpacker *u, const struct path *dir, struct dentry *last)
{
    struct link *link = kmalloc(sizeof(*link), ALLOC_WAIT);
    struct link **bucket = link_bucket(u);

    if (!link)
        return -ENOMEM;
    *link = (struct link){ .next = *bucket,
                           .dev_major = u->entry.dev_major,
                           .dev_minor = u->entry.dev_minor,
                           .ino = u->entry.ino,
                           .place = { .mount = dir->mount, .dentry = last } };
    path_get(&link->place);
    *bucket = link;
    return 0;
}

static void links_free(struct unpacker *u)
{
    for (unsigned i = 0; i < LINK_BUCKETS; i++) {
        while (u->links[i]) {
            struct link *link = u->links[i];
            u->links[i] = link->next;
            path_put(&link->place);
            kfree(link);
        }
    }
}

/* ---- Entries -------------------------------------------------------------------------------- */

static int set_attributes(struct unpacker *u, struct inode *inode)
{
    const struct cpio_entry *entry = &u->entry;

    mutex_lock(&inode->lock);
    inode->uid = entry->uid;
    inode->gid = entry->gid;
    inode->mtime = (struct abi_timespec){ .tv_sec = entry->mtime };
    inode->atime = inode->mtime;
    if (!inode->link)
        inode->mode = (inode->mode & ABI_S_IFMT) | (entry->mode & 07777);
    mutex_unlock(&inode->lock);
    if (!inode_is_dir(inode))
        return 0;
    struct later *later = later_add(u);
    if (!later)
        return -ENOMEM;
    later->dir = inode_get(inode);
    later->mtime = entry->mtime;
    return 0;
}

static int make_symlink(struct unpacker *u, const struct path *dir, struct dentry *last)
{
    const struct cpio_entry *entry = &u->entry;

    if (entry->size == 0 || entry->size >= ABI_PATH_MAX || memchr(entry->data, '\0', entry->size))
        return -EINVAL;
    char *target = kstrndup((const char *)entry->data, entry->size, ALLOC_WAIT);
    if (!target)
        return -ENOMEM;
    int err = vfs_symlink_at(dir, last, target);
    kfree(target);
    return err;
}

static int make_node(struct unpacker *u, const struct path *dir, struct dentry *last)
{
    const struct cpio_entry *entry = &u->entry;
    unsigned mode = entry->mode & (ABI_S_IFMT | 07777);

    switch (mode & ABI_S_IFMT) {
    case ABI_S_IFDIR:
        return vfs_mkdir_at(dir, last, mode);
    case ABI_S_IFREG:
        return vfs_create_at(dir, last, mode);
    case ABI_S_IFLNK:
        return make_symlink(u, dir, last);
    case ABI_S_IFCHR:
    case ABI_S_IFBLK:
        return vfs_mknod_at(dir, last, mode, DEVICE_NUMBER(entry->rdev_major, entry->rdev_minor));
    case ABI_S_IFIFO:
    case ABI_S_IFSOCK:
        return vfs_mknod_at(dir, last, mode, 0);
    default:
        return -EINVAL;
    }
}

/* A new name for this entry's file: a first one, or a further one of an earlier entry's. */
static int make_name(struct unpacker *u, const struct path *dir, struct dentry *last)
{
    unsigned type = u->entry.mode & ABI_S_IFMT;
    bool is_shared = u->entry.nlink > 1 && type != ABI_S_IFDIR;
    struct link *link = is_shared ? link_find(u) : NULL;

    if (link)
        return vfs_link_at(&link->place, dir, last);
    int err = make_node(u, dir, last);
    if (!err && is_shared)
        err = link_add(u, dir, last);
    return err;
}

/* dir is locked: makes the name; its inode in *out with a reference. */
static int enter_locked(struct unpacker *u, const struct path *dir, struct dentry **last,
                        struct inode **out)
{
    bool is_dir = (u->entry.mode & ABI_S_IFMT) == ABI_S_IFDIR;
    int err = replace_old(dir, last, is_dir);

    if (!err)
        err = make_name(u, dir, *last);
    else if (err == -EEXIST)
        err = 0; /* the directory is there already and gets the entry's attributes */
    if (!err)
        *out = inode_get((*last)->inode);
    return err;
}

static int enter(struct unpacker *u, struct inode **out)
{
    struct path dir;
    struct dentry *last;
    int err = find_parent(u->entry.name, &dir, &last);

    if (err == -ENOENT) {
        err = make_parents(u->entry.name);
        if (!err)
            err = find_parent(u->entry.name, &dir, &last);
    }
    if (err)
        return err;
    err = enter_locked(u, &dir, &last, out);
    path_end_parent(&dir, last);
    return err;
}

static int unpack_entry(struct unpacker *u)
{
    struct inode *inode;

    if (!*u->entry.name)
        return 0; /* "." fills space before an aligned file; the root is there */
    int err = enter(u, &inode);
    if (err)
        return err;
    inode->archive_entry = archive_use_add(u->entry.ino);
    if ((inode->mode & ABI_S_IFMT) == ABI_S_IFREG)
        err = file_fill(u, inode);
    if (!err)
        err = set_attributes(u, inode);
    inode_put(inode);
    return err;
}

/* ---- Archives ---------------------------------------------------------------------------------- */

static const char *reason_of(int err)
{
    switch (err) {
    case -ENOMEM:
        return "there is not enough memory for it";
    case -ENOTDIR:
        return "a part of its path is not a directory";
    case -EISDIR:
        return "a directory of that name came earlier";
    case -ENAMETOOLONG:
        return "a part of its name is longer than 255 bytes";
    case -ELOOP:
        return "its path has too many symbolic links";
    case -EBADMSG:
        return "its header says that it is compressed, and it is not";
    case -EINVAL:
        return "its type or its link's target is impossible";
    default:
        return "it cannot be made";
    }
}

static int unpack(struct unpacker *u)
{
    for (;;) {
        int more = cpio_next(&u->reader, &u->entry);
        if (more == 0)
            return 0;
        if (more < 0) {
            format_string(sentence, sizeof(sentence), "boot archive: entry %u, at byte %zu: %s",
                          u->reader.nentries + 1, u->reader.pos, u->reader.error);
            return -EINVAL;
        }
        int err = unpack_entry(u);
        if (err) {
            format_string(sentence, sizeof(sentence), "boot archive: entry %u (%.100s): %s",
                          u->reader.nentries, u->entry.name, reason_of(err));
            return err;
        }
    }
}

static int unpack_module(const struct boot_module *module)
{
    struct unpacker *u = kzalloc(sizeof(*u), ALLOC_WAIT);

    if (!u) {
        format_string(sentence, sizeof(sentence), "boot archive: there is no memory to read it");
        return -ENOMEM;
    }
    u->start = module->start;
    u->adoptable = ALIGN_DOWN(module->start + module->size, (paddr_t)PAGE_SIZE);
    cpio_init(&u->reader, arch_direct_map(module->start), module->size);
    int err = unpack(u);
    links_free(u);
    later_run(u);
    log_info("boot archive: %u entries, %llu KiB, %llu KiB of them in place", u->reader.nentries,
             (unsigned long long)module->size / 1024, (unsigned long long)u->nadopted * 4);
    kfree(u);
    if (!err)
        frame_release_range(module->start, module->start + module->size);
    return err;
}

int initrd_load(const struct boot_info *boot, const char **error)
{
    *error = sentence;
    if (boot->nmodules == 0) {
        *error = "there is no boot archive: the machine was started without an initrd or module";
        return -ENOENT;
    }
    for (unsigned i = 0; i < boot->nmodules; i++) {
        int err = unpack_module(&boot->module[i]);
        if (err)
            return err;
    }
    ramfs_limit_growth(root_path.dentry->sb);
    return 0;
}
