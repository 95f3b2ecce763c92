// SPDX-License-Identifier: MIT
/*
 * File systems that are tables.
 *
 * The text of a file is made when it is first read, and again by a read at offset 0, so that a
 * program which keeps /proc/stat open sees news.  In between the open file keeps it, and pieces
 * of one text fit together.
 *
 * Inode numbers are hashes of the way to the entry, so that two lookups of one name agree.
 *
 * Locking: making a text may take almost any lock, the process table's first of all; so the locks
 * that are held meanwhile (position_lock, inode->lock) have ranks before that here.
 */
#include "fs/pseudo.h"

#include <string.h>

#include "abi/dirent.h"
#include "abi/fcntl.h"
#include "fs/devfs.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "lib/format.h"

#define FIRST_DYNAMIC 0x10000 /* positions of a listing from here on are numbers */
#define STORE_MAX     4096

static const struct inode_ops dir_ops, file_inode_ops, link_ops, jump_ops;
static const struct file_ops dir_file_ops, text_file_ops;

/* An inode's private part. */
struct pseudo_node {
    struct pseudo_ref ref;
};

const struct pseudo_ref *pseudo_ref_of(const struct inode *inode)
{
    return &((const struct pseudo_node *)inode->private)->ref;
}

long pseudo_number(const char *name, size_t len)
{
    long number = 0;
    if (len == 0 || len > 10 || (name[0] == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        number = number * 10 + (name[i] - '0');
    }
    return number;
}

/* ---- Inodes ------------------------------------------------------------------------ */

static uint64_t number_mix(uint64_t seed, uint64_t value)
{
    seed ^= value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2);
    seed *= 0xff51afd7ed558ccdULL;
    return seed ^ seed >> 33;
}

static uint64_t inode_number(uint64_t parent, const struct pseudo_ref *ref)
{
    uint64_t number = number_mix(parent, (uintptr_t)ref->entry);
    number = number_mix(number, (uint64_t)(ref->number < 0 ? -ref->number : ref->number));
    if (ref->process)
        number = number_mix(number, (uint64_t)ref->process->pid);
    return (number & 0x7fffffff) | 0x40000000; /* fits old 32-bit interfaces */
}

static void node_set_ops(struct inode *inode, const struct pseudo_entry *entry)
{
    switch (entry->mode & ABI_S_IFMT) {
    case ABI_S_IFDIR:
        inode->ops = &dir_ops;
        inode->file_ops = &dir_file_ops;
        inode->nlink = 2;
        break;
    case ABI_S_IFLNK:
        inode->ops = entry->follow ? &jump_ops : &link_ops;
        break;
    case ABI_S_IFCHR:
        inode->ops = &file_inode_ops; /* open() asks device_file_ops() */
        break;
    default:
        inode->ops = &file_inode_ops;
        inode->file_ops = entry->ops ? entry->ops : &text_file_ops;
        break;
    }
}

/* A process is its user's, whoever that is by now; what only he may see of one that is not dumpable is root's. */
static void node_set_owner(struct inode *inode, const struct pseudo_ref *ref)
{
    const struct process *process = ref->process;
    bool is_for_all = ref->entry->mode == (ABI_S_IFDIR | 0555);
    uint32_t uid = process ? READ_ONCE(process->creds.euid) : 0;
    uint32_t gid = process ? READ_ONCE(process->creds.egid) : 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* process_set_creds() */
    bool is_users = process && (is_for_all || READ_ONCE(process->is_dumpable));
    WRITE_ONCE(inode->uid, is_users ? uid : 0);
    WRITE_ONCE(inode->gid, is_users ? gid : 0);
}

/* Takes over ref->process, also on failure. */
static int node_create(struct superblock *sb, uint64_t parent, const struct pseudo_ref *ref,
                       struct inode **out)
{
    struct pseudo_node *node = kmalloc(sizeof(*node), ALLOC_WAIT);
    int err = node ? inode_create(sb, ref->entry->mode, out) : -ENOMEM;
    if (err) {
        kfree(node);
        if (ref->process)
            process_put(ref->process);
        return err;
    }
    struct inode *inode = *out;
    node->ref = *ref;
    inode->private = node;
    inode->ino = inode_number(parent, ref);
    inode->lock.rank = RANK_PSEUDO_INODE;
    node_set_owner(inode, ref);
    if ((ref->entry->mode & ABI_S_IFMT) == ABI_S_IFCHR)
        inode->rdev = DEVICE_NUMBER(ref->entry->value, ref->number);
    node_set_ops(inode, ref->entry);
    return 0;
}

static void node_evict(struct inode *inode)
{
    struct pseudo_node *node = inode->private;
    if (node && node->ref.process)
        process_put(node->ref.process);
    kfree(node);
    inode->private = NULL;
}

/* ---- Directories --------------------------------------------------------------------- */

static const struct pseudo_entry *entry_find(const struct pseudo_entry *entries, const char *name,
                                             size_t len)
{
    for (; entries && entries->name; entries++) {
        if (strlen(entries->name) == len && memcmp(entries->name, name, len) == 0)
            return entries;
    }
    return NULL;
}

static int child_find(const struct pseudo_ref *dir, const char *name, size_t len,
                      struct pseudo_ref *child)
{
    const struct pseudo_entry *entry = entry_find(dir->entry->entries, name, len);
    if (entry) {
        *child = (struct pseudo_ref){ .entry = entry,
                                      .process = dir->process ? process_get(dir->process) : NULL,
                                      .number = entry->is_numbered ? entry->value : dir->number };
        return 0;
    }
    return dir->entry->find ? dir->entry->find(dir, name, len, child) : -ENOENT;
}

static int pseudo_lookup(struct inode *dir, struct dentry *dentry)
{
    struct pseudo_ref child;
    struct inode *inode;
    int err = child_find(pseudo_ref_of(dir), dentry->name, dentry->name_len, &child);
    if (err)
        return err == -ENOENT ? 0 : err; /* the name stays negative */
    child.is_sealed = pseudo_ref_of(dir)->is_sealed || child.entry->is_sealed;
    err = node_create(dir->sb, dir->ino, &child, &inode);
    if (!err)
        dentry_attach(dentry, inode);
    return err;
}

/* A name that was found may mean another process, or nothing, by now. */
static bool pseudo_revalidate(struct dentry *dentry)
{
    if (!dentry->inode || !dentry->parent->inode)
        return false;
    const struct pseudo_ref *ref = pseudo_ref_of(dentry->inode);
    const struct pseudo_ref *dir = pseudo_ref_of(dentry->parent->inode);
    if (ref->process && READ_ONCE(ref->process->state) == PROCESS_REAPED)
        return false;
    if (ref->process)
        node_set_owner(dentry->inode, ref);
    if (!dir->entry->find || entry_find(dir->entry->entries, dentry->name, dentry->name_len))
        return true;
    struct pseudo_ref now;
    if (dir->entry->find(dir, dentry->name, dentry->name_len, &now) != 0)
        return false;
    bool is_same = now.entry == ref->entry && now.process == ref->process &&
                   now.number == ref->number && now.thread == ref->thread;
    if (now.process)
        process_put(now.process);
    return is_same;
}

static bool emit_entry(struct dir_context *context, uint64_t parent, const struct pseudo_ref *ref,
                       const char *name, int64_t next_pos)
{
    return context->emit(context, name, strlen(name), inode_number(parent, ref),
                         (ref->entry->mode & ABI_S_IFMT) >> 12, next_pos);
}

/* False: the buffer is full. */
static bool emit_fixed(struct file *file, struct dir_context *context, const struct pseudo_ref *dir)
{
    const struct pseudo_entry *entry = dir->entry->entries;
    for (int64_t pos = 2; entry && entry->name; entry++, pos++) {
        if (pos < context->pos)
            continue;
        struct pseudo_ref ref = { .entry = entry, .process = dir->process, .number = dir->number };
        if (!emit_entry(context, file->inode->ino, &ref, entry->name, pos + 1))
            return false;
        context->pos = pos + 1;
    }
    return true;
}

static void emit_dynamic(struct file *file, struct dir_context *context,
                         const struct pseudo_ref *dir)
{
    if (context->pos < FIRST_DYNAMIC)
        context->pos = FIRST_DYNAMIC;
    for (;;) {
        struct pseudo_ref ref = { .process = dir->process };
        ref.number = dir->entry->next(dir, context->pos - FIRST_DYNAMIC, &ref.entry);
        if (ref.number < 0)
            return;
        char name[24];
        if (ref.entry->name)
            format_string(name, sizeof(name), "%s%ld", ref.entry->name, ref.number);
        else
            format_string(name, sizeof(name), "%ld", ref.number);
        int64_t next_pos = FIRST_DYNAMIC + ref.number + 1;
        struct pseudo_ref child;
        if (ref.entry->name && dir->entry->find(dir, name, strlen(name), &child) == 0)
            ref = child; /* may have another number; never about a process */
        if (!emit_entry(context, file->inode->ino, &ref, name, next_pos))
            return;
        context->pos = next_pos;
    }
}

static int pseudo_iterate(struct file *file, struct dir_context *context)
{
    const struct pseudo_ref *dir = pseudo_ref_of(file->inode);
    if (!dir_emit_dots(file, context) || !emit_fixed(file, context, dir))
        return 0;
    if (dir->entry->next)
        emit_dynamic(file, context, dir);
    return 0;
}

/* ---- Links ------------------------------------------------------------------------------ */

static long pseudo_readlink(struct inode *inode, char *buf, size_t size)
{
    const struct pseudo_ref *ref = pseudo_ref_of(inode);
    struct text text;
    text_init(&text);
    long result = ref->entry->show(ref, &text);
    if (!result && text.failed)
        result = -ENOMEM;
    if (!result) {
        result = (long)MIN(text.len, size - 1);
        memcpy(buf, text.buf, (size_t)result);
        buf[result] = '\0';
    }
    text_fini(&text);
    return result;
}

static int pseudo_follow(struct inode *inode, struct mount **mount, struct dentry **dentry)
{
    const struct pseudo_ref *ref = pseudo_ref_of(inode);
    struct path place;
    int err = ref->entry->follow(ref, &place);
    if (!err) {
        *mount = place.mount;
        *dentry = place.dentry;
    }
    return err;
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* An open file: its text as it was made last. */
struct pseudo_file {
    struct mutex lock; /* RANK_PSEUDO_FILE */
    struct text text;
    bool is_made;
    struct vmspace *vm; /* held; of an entry with is_of_memory: what the process had, or NULL */
};

static int pseudo_open(struct inode *inode, struct file *file)
{
    const struct pseudo_ref *ref = pseudo_ref_of(inode);
    bool is_refused = ref->is_sealed && !ref->entry->store && file_can_write(file);
    if (is_refused || (!ref->entry->show && file_can_read(file)))
        return -EACCES; /* as Linux's sysctl and sysfs, even to root */
    struct pseudo_file *open = kzalloc(sizeof(*open), ALLOC_WAIT);
    if (!open)
        return -ENOMEM;
    int err = ref->entry->is_of_memory ? ptrace_hold_memory(ref->process, &open->vm) : 0;
    if (err) {
        kfree(open);
        return err;
    }
    mutex_init(&open->lock, RANK_PSEUDO_FILE);
    file->private = open;
    file->position_lock.rank = RANK_PSEUDO_POSITION;
    return 0;
}

static int dir_open(struct inode *inode, struct file *file)
{
    file->position_lock.rank = RANK_PSEUDO_POSITION;
    return 0;
}

static long dir_read(struct file *file, struct io *io, int64_t *pos)
{
    return -EISDIR;
}

static void pseudo_release(struct file *file)
{
    struct pseudo_file *open = file->private;
    text_fini(&open->text);
    vmspace_drop(open->vm);
    kfree(open);
}

/* Since it is held, no other can be at its address. */
static bool has_memory(struct process *process, const struct vmspace *vm)
{
    struct vmspace *now = process_vmspace(process);
    vmspace_put(now);
    return now == vm;
}

static int text_make(struct file *file, struct pseudo_file *open)
{
    const struct pseudo_ref *ref = pseudo_ref_of(file->inode);
    text_fini(&open->text);
    open->is_made = false;
    int err = ref->entry->show(ref, &open->text);
    if (!err && open->text.failed)
        err = -ENOMEM;
    /* Asked afterwards: what was there before and still is, the text is of. */
    if (ref->entry->is_of_memory && !has_memory(ref->process, open->vm))
        open->text.len = 0;
    open->is_made = !err;
    return err;
}

static long pseudo_read(struct file *file, struct io *io, int64_t *pos)
{
    struct pseudo_file *open = file->private;
    mutex_lock(&open->lock);
    long result = *pos == 0 || !open->is_made ? text_make(file, open) : 0;
    if (!result && *pos >= 0 && (uint64_t)*pos < open->text.len) {
        size_t len = MIN(open->text.len - (size_t)*pos, io->remaining);
        result = len ? io_write_to(io, open->text.buf + *pos, len) : 0;
    }
    if (result > 0)
        *pos += result;
    mutex_unlock(&open->lock);
    return result;
}

static long pseudo_write(struct file *file, struct io *io, int64_t *pos)
{
    const struct pseudo_ref *ref = pseudo_ref_of(file->inode);
    if (!ref->entry->store)
        return -EIO;
    size_t len = io->remaining;
    if (len >= STORE_MAX)
        return -EINVAL;
    char *buf = kmalloc(len + 1, ALLOC_WAIT);
    if (!buf)
        return -ENOMEM;
    long moved = io_read_from(io, buf, len);
    if (moved >= 0) {
        buf[moved] = '\0';
        int err = ref->entry->store(ref, buf, (size_t)moved);
        if (err)
            moved = err;
        else
            *pos += moved;
    }
    kfree(buf);
    return moved;
}

static int64_t pseudo_seek(struct file *file, int64_t offset, int whence)
{
    if (whence != ABI_SEEK_SET && whence != ABI_SEEK_CUR)
        return -EINVAL; /* a text has no size before it is made */
    return file_seek_in(file, offset, whence, 0);
}

static int64_t dir_seek(struct file *file, int64_t offset, int whence)
{
    return file_seek_in(file, offset, whence, 0);
}

/* ---- The file system ---------------------------------------------------------------------------- */

static int pseudo_setattr(struct inode *inode, const struct inode_change *change)
{
    /* Shells open with O_TRUNC to write a setting. */
    return change->valid & ~(CHANGE_SIZE | CHANGE_CTIME | CHANGE_MTIME) ? -EPERM : 0;
}

/* A process may always look into its own /proc/self/fd, and name its threads, whoever it has become. */
static bool is_open_to_self(const struct inode *inode, unsigned mask)
{
    const struct pseudo_ref *ref = pseudo_ref_of(inode);
    const struct pseudo_entry *entry = ref->entry;
    if (ref->process != process_current())
        return false;
    return entry->mode == (ABI_S_IFDIR | 0500) ||
           (entry->is_of_thread && ref->number < 0 && !(mask & ABI_X_OK));
}

static const struct inode_ops dir_ops = {
    .is_open_to_self = is_open_to_self,
    .lookup = pseudo_lookup,
    .setattr = pseudo_setattr,
    .evict = node_evict,
};

static const struct inode_ops file_inode_ops = {
    .is_open_to_self = is_open_to_self,
    .setattr = pseudo_setattr,
    .evict = node_evict,
};

static const struct inode_ops link_ops = {
    .readlink = pseudo_readlink,
    .setattr = pseudo_setattr,
    .evict = node_evict,
};

static const struct inode_ops jump_ops = {
    .readlink = pseudo_readlink,
    .follow = pseudo_follow,
    .setattr = pseudo_setattr,
    .evict = node_evict,
};

static const struct file_ops dir_file_ops = {
    .open = dir_open,
    .read = dir_read,
    .iterate = pseudo_iterate,
    .seek = dir_seek,
    .kind = "pseudo directory",
};

static const struct file_ops text_file_ops = {
    .open = pseudo_open,
    .read = pseudo_read,
    .write = pseudo_write,
    .seek = pseudo_seek,
    .release = pseudo_release,
    .kind = "pseudo file",
};

static int pseudo_statfs(struct superblock *sb, struct abi_statfs *out)
{
    *out = (struct abi_statfs){ .f_type = (int64_t)(uintptr_t)sb->private,
                                .f_bsize = PAGE_SIZE,
                                .f_frsize = PAGE_SIZE,
                                .f_namelen = 255 };
    return 0;
}

static const struct superblock_ops pseudo_superblock_ops = {
    .statfs = pseudo_statfs,
    .revalidate = pseudo_revalidate,
};

int pseudo_mount(const struct file_system *type, const struct pseudo_entry *entry,
                 unsigned long flags, uint64_t magic, struct superblock **out)
{
    struct superblock *sb;
    struct inode *root;
    int err = superblock_create(type, &pseudo_superblock_ops, flags, &sb);
    if (err)
        return err;
    sb->private = (void *)(uintptr_t)magic;
    struct pseudo_ref ref = { .entry = entry, .is_sealed = entry->is_sealed };
    err = node_create(sb, sb->device, &ref, &root);
    if (!err) {
        root->ino = 1;
        err = superblock_set_root(sb, root);
    }
    if (err) {
        superblock_put(sb);
        return err;
    }
    *out = sb;
    return 0;
}
