// SPDX-License-Identifier: MIT
/*
 * What locks there are, for /proc.
 */
#include "fs/inode.h"
#include "fs/locks_internal.h"

struct listing {
    struct lock_info *out;
    size_t room, count;
};

static struct lock_info *place(struct listing *listing, const struct inode *inode)
{
    size_t i = listing->count++;

    if (i >= listing->room)
        return NULL;
    listing->out[i] = (struct lock_info){ .device = inode->sb->device, .ino = inode->ino };
    return &listing->out[i];
}

static void add_record(struct listing *listing, const struct inode *inode,
                       const struct record *record)
{
    struct lock_info *info = place(listing, inode);

    if (!info)
        return;
    info->kind = record->kind;
    info->pid = record->pid;
    info->type = record->type;
    info->start = record->start;
    info->end = record->end;
}

static void add_waiters(struct listing *listing, const struct inode *inode,
                        const struct record *record)
{
    const struct blocked *blocked;

    list_for_each (blocked, &locks_blocked, node) {
        if (blocked->inode != inode || !blocked_is_by(blocked, record))
            continue;
        struct lock_info *info = place(listing, inode);
        if (!info)
            continue;
        info->kind = blocked->kind;
        info->is_waiter = true;
        info->pid = blocked->pid;
        info->type = blocked->type;
        info->start = blocked->start;
        info->end = blocked->end;
    }
}

size_t locks_list(struct lock_info *out, size_t room)
{
    struct listing listing = { .out = out, .room = room };
    const struct file_locks *locks;
    const struct record *record;

    spin_lock(&locks_lock);
    list_for_each (locks, &locks_all, node) {
        list_for_each (record, &locks->flocks, node) {
            add_record(&listing, locks->inode, record);
            add_waiters(&listing, locks->inode, record);
        }
        list_for_each (record, &locks->records, node) {
            add_record(&listing, locks->inode, record);
            add_waiters(&listing, locks->inode, record);
        }
    }
    spin_unlock(&locks_lock);
    return listing.count;
}

size_t locks_list_held(const struct file *file, const void *files, struct lock_info *out,
                       size_t room)
{
    const struct file_locks *locks = __atomic_load_n(&file->inode->locks, __ATOMIC_ACQUIRE);
    struct listing listing = { .out = out, .room = room };
    const struct record *record;

    if (!locks)
        return 0;
    spin_lock(&locks_lock);
    list_for_each (record, &locks->flocks, node) {
        if (record->owner == file)
            add_record(&listing, file->inode, record);
    }
    list_for_each (record, &locks->records, node) {
        if (record->file == file && (record->owner == file || record->owner == files))
            add_record(&listing, file->inode, record);
    }
    spin_unlock(&locks_lock);
    return listing.count;
}
