// SPDX-License-Identifier: MIT
/*
 * inotify(7).
 *
 * A watch joins an inode and an inotify descriptor and is in the lists of both.  It keeps its inode;
 * the end of the last name (IN_DELETE_SELF) ends the watch.  It keeps no mount: the end of the file system
 * (IN_UNMOUNT) ends it too, and waits until the inode is let go.
 *
 * Locking: one spinlock covers all lists and queues.  Reports come with inode locks held, so nothing here may
 * sleep; events are allocated from the reserve, and when that fails the queue says that it overflowed.
 * References to inodes are dropped outside of the lock.
 *
 * dnotify (F_NOTIFY of fcntl(2)) is a watch without an inotify descriptor: the owner of the directory's open file gets
 * a signal.  It ends when the descriptor table that asked for it closes a descriptor of the file, or with the file,
 * if another thread closed it meanwhile.
 */
#include "fs/inotify.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/termios.h"
#include "fs/async.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/usercopy.h"
#include "kernel/wait.h"
#include "lib/format.h"

#define QUEUE_MAX     16384u
#define INSTANCES_MAX 1024u
#define WATCHES_MAX   524288u

/* Events that a watch of the object itself hears of. */
#define OBJECT_EVENTS                                                                              \
    (ABI_IN_ACCESS | ABI_IN_MODIFY | ABI_IN_ATTRIB | ABI_IN_CLOSE_WRITE | ABI_IN_CLOSE_NOWRITE |   \
     ABI_IN_OPEN | ABI_IN_DELETE_SELF | ABI_IN_MOVE_SELF | ABI_IN_UNMOUNT)

/* All under inotify_lock. */
struct inotify {
    struct list watches;
    struct list events;
    unsigned nevents;
    size_t queued_bytes; /* as read() would give them */
    int last_watch;
    bool has_overflowed; /* the overflow event is in the queue, or owed */
    struct poll_head poll;
    struct wait_queue wait;
};

struct inotify_watch {
    struct list inode_node;
    struct list sb_node;
    struct list owner_node;
    struct inotify *owner; /* NULL: dnotify */
    struct inode *inode;   /* with a reference */
    int number;            /* dnotify: the descriptor */
    unsigned mask;
    struct file *file;           /* dnotify: whose owner is signalled */
    const struct fdtable *table; /* dnotify: whose close ends it */
};

struct inotify_event {
    struct list node;
    struct abi_inotify_event head;
    char name[]; /* head.len bytes */
};

unsigned inotify_nwatches;
static unsigned inotify_ninstances; /* [a] */
static struct wait_queue unmounting =
    WAIT_QUEUE_INIT(unmounting); /* for the watches of a superblock */
static struct spinlock inotify_lock = SPINLOCK_INIT(RANK_INOTIFY);

unsigned inotify_next_cookie(void)
{
    static unsigned last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

/* ---- The queue of a descriptor --------------------------------------------------------- */

static bool event_equals(const struct inotify_event *event, int watch, unsigned mask,
                         const char *name)
{
    return event->head.wd == watch && event->head.mask == mask &&
           strcmp(event->head.len ? event->name : "", name) == 0;
}

/* NULL: no memory. */
static struct inotify_event *event_alloc(int watch, unsigned mask, unsigned cookie,
                                         const char *name)
{
    size_t len = strlen(name);
    size_t padded = len ? ALIGN_UP(len + 1, sizeof(struct abi_inotify_event)) : 0;
    struct inotify_event *event = kmalloc(sizeof(*event) + padded, ALLOC_ATOMIC);
    if (!event)
        return NULL;
    event->head = (struct abi_inotify_event){ watch, mask, cookie, (uint32_t)padded };
    memset(event->name, 0, padded);
    memcpy(event->name, name, len);
    return event;
}

static void queue_put_locked(struct inotify *inotify, int watch, unsigned mask, unsigned cookie,
                             const char *name)
{
    if (!list_is_empty(&inotify->events)) {
        struct inotify_event *last = list_last(&inotify->events, struct inotify_event, node);
        if (event_equals(last, watch, mask, name))
            return; /* the reader has not seen the first one yet */
    }
    struct inotify_event *event = NULL;
    if (inotify->nevents < QUEUE_MAX)
        event = event_alloc(watch, mask, cookie, name);
    if (!event) {
        if (!inotify->has_overflowed)
            event = event_alloc(-1, ABI_IN_Q_OVERFLOW, 0, "");
        if (!event)
            return;
        inotify->has_overflowed = true;
    }
    list_push_back(&inotify->events, &event->node);
    inotify->nevents++;
    inotify->queued_bytes += sizeof(event->head) + event->head.len;
    wake_all(&inotify->wait);
    poll_wake(&inotify->poll, ABI_POLLIN | ABI_POLLRDNORM);
}

/* The oldest event if it is no larger than size; *is_empty if there is none. */
static struct inotify_event *queue_take(struct inotify *inotify, size_t size, bool *is_empty)
{
    struct inotify_event *event = NULL;
    spin_lock(&inotify_lock);
    *is_empty = list_is_empty(&inotify->events);
    if (!*is_empty) {
        event = list_first(&inotify->events, struct inotify_event, node);
        size_t bytes = sizeof(event->head) + event->head.len;
        if (bytes <= size) {
            list_remove(&event->node);
            inotify->nevents--;
            inotify->queued_bytes -= bytes;
            inotify->has_overflowed &= event->head.mask != ABI_IN_Q_OVERFLOW;
        } else {
            event = NULL;
        }
    }
    spin_unlock(&inotify_lock);
    return event;
}

/* ---- Reports --------------------------------------------------------------------------- */

/* The watch is over: out of the lists, to dead; its owner hears of it. */
static void watch_end_locked(struct inotify_watch *watch, struct list *dead)
{
    list_remove(&watch->inode_node);
    list_remove(&watch->sb_node);
    list_remove(&watch->owner_node);
    list_push_back(dead, &watch->owner_node);
    __atomic_sub_fetch(&inotify_nwatches, 1, __ATOMIC_RELAXED);
    if (watch->owner)
        queue_put_locked(watch->owner, watch->number, ABI_IN_IGNORED, 0, "");
}

/* Frees ended watches, without the lock. */
static void watches_free(struct list *dead)
{
    struct inotify_watch *watch, *following;
    list_for_each_safe (watch, following, dead, owner_node) {
        struct superblock *sb = watch->inode->sb;
        inode_put(watch->inode);
        /* After this it may be gone. */
        if (__atomic_sub_fetch(&sb->nwatches, 1, __ATOMIC_ACQ_REL) == 0)
            wake_all(&unmounting);
        kfree(watch);
    }
}

static void watch_tell_locked(struct inotify_watch *watch, const char *name, unsigned mask,
                              unsigned cookie)
{
    if (watch->owner)
        queue_put_locked(watch->owner, watch->number, mask & ~ABI_IN_RENAMED, cookie, name);
    else
        file_async_message(watch->file, watch->number);
}

static void report_to_locked(struct inode *inode, const char *name, unsigned mask, unsigned cookie,
                             unsigned unwanted, struct list *dead)
{
    struct inotify_watch *watch, *following;
    list_for_each_safe (watch, following, &inode->watches, inode_node) {
        unsigned known = ABI_IN_ALL_EVENTS | (watch->owner ? 0 : ABI_IN_RENAMED);
        if (!(watch->mask & mask & known) || watch->mask & unwanted)
            continue;
        watch_tell_locked(watch, name, mask, cookie);
        if (watch->mask & ABI_IN_ONESHOT)
            watch_end_locked(watch, dead);
    }
}

static void report(struct inode *dir, struct inode *inode, const char *name, unsigned mask,
                   unsigned cookie, unsigned unwanted)
{
    struct list dead = LIST_INIT(dead);
    if (inode && inode_is_dir(inode))
        mask |= ABI_IN_ISDIR;
    spin_lock(&inotify_lock);
    if (dir && name)
        report_to_locked(dir, name, mask, cookie, unwanted, &dead);
    if (inode && mask & OBJECT_EVENTS)
        report_to_locked(inode, "", mask, cookie, 0, &dead);
    if (inode && mask & ABI_IN_DELETE_SELF) {
        while (!list_is_empty(&inode->watches))
            watch_end_locked(list_first(&inode->watches, struct inotify_watch, inode_node), &dead);
    }
    spin_unlock(&inotify_lock);
    watches_free(&dead);
}

void inotify_report(struct inode *dir, struct inode *inode, const char *name, unsigned mask,
                    unsigned cookie)
{
    report(dir, inode, name, mask, cookie, 0);
}

void inotify_superblock_ends(struct superblock *sb)
{
    struct list dead = LIST_INIT(dead);
    spin_lock(&inotify_lock);
    while (!list_is_empty(&sb->watches)) {
        struct inotify_watch *watch = list_first(&sb->watches, struct inotify_watch, sb_node);
        unsigned dir = inode_is_dir(watch->inode) ? ABI_IN_ISDIR : 0;
        watch_tell_locked(watch, "", ABI_IN_UNMOUNT | dir, 0);
        watch_end_locked(watch, &dead);
    }
    spin_unlock(&inotify_lock);
    watches_free(&dead);
    /* Others may have ended some and not let go of the inodes yet. */
    (void)wait_on_always(&unmounting, !__atomic_load_n(&sb->nwatches, __ATOMIC_ACQUIRE),
                         DEADLINE_NONE);
}

static void report_named(struct dentry *dentry, unsigned mask, unsigned unwanted)
{
    char name[DENTRY_NAME_SIZE];
    struct dentry *parent = dentry_get_place(dentry, name);
    bool has_parent = parent != dentry;

    report(has_parent ? parent->inode : NULL, dentry->inode, has_parent ? name : NULL, mask, 0,
           unwanted);
    dentry_put(parent);
}

void inotify_report_dentry(struct dentry *dentry, unsigned mask)
{
    report_named(dentry, mask, 0);
}

void inotify_report_file(struct file *file, unsigned mask)
{
    struct dentry *dentry = file->path.dentry;

    if (dentry)
        report_named(dentry, mask, dentry->is_unlinked ? ABI_IN_EXCL_UNLINK : 0);
}

/* ---- Watches ------------------------------------------------------------------------------ */

static void watch_begin_locked(struct inotify_watch *watch)
{
    struct inode *inode = watch->inode;
    list_push_back(&inode->watches, &watch->inode_node);
    list_push_back(&inode->sb->watches, &watch->sb_node);
    __atomic_add_fetch(&inode->sb->nwatches, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&inotify_nwatches, 1, __ATOMIC_RELAXED);
}

static struct inotify_watch *watch_find_locked(struct inotify *inotify, struct inode *inode)
{
    struct inotify_watch *watch;
    list_for_each (watch, &inode->watches, inode_node) {
        if (watch->owner == inotify)
            return watch;
    }
    return NULL;
}

static int watch_update_locked(struct inotify_watch *watch, unsigned mask)
{
    if (mask & ABI_IN_MASK_CREATE)
        return -EEXIST;
    watch->mask = mask & ABI_IN_MASK_ADD ? watch->mask | mask : mask;
    return watch->number;
}

int inotify_add(struct file *file, struct inode *inode, unsigned mask)
{
    struct inotify *inotify = file->private;
    struct inotify_watch *fresh = kzalloc(sizeof(*fresh), ALLOC_WAIT);
    if (!fresh)
        return -ENOMEM;
    int number;
    spin_lock(&inotify_lock);
    struct inotify_watch *watch = watch_find_locked(inotify, inode);
    if (watch) {
        number = watch_update_locked(watch, mask);
    } else if (inotify_nwatches >= WATCHES_MAX) {
        number = -ENOSPC;
    } else {
        number = ++inotify->last_watch;
        *fresh = (struct inotify_watch){
            .owner = inotify, .inode = inode_get(inode), .number = number, .mask = mask
        };
        list_push_back(&inotify->watches, &fresh->owner_node);
        watch_begin_locked(fresh);
        fresh = NULL;
    }
    spin_unlock(&inotify_lock);
    kfree(fresh);
    return number;
}

int inotify_remove(struct file *file, int number)
{
    struct inotify *inotify = file->private;
    struct list dead = LIST_INIT(dead);
    struct inotify_watch *watch;
    int err = -EINVAL;
    spin_lock(&inotify_lock);
    list_for_each (watch, &inotify->watches, owner_node) {
        if (watch->number != number)
            continue;
        watch_end_locked(watch, &dead);
        err = 0;
        break;
    }
    spin_unlock(&inotify_lock);
    watches_free(&dead);
    return err;
}

/* ---- dnotify ---------------------------------------------------------------------------------- */

static unsigned dnotify_mask(unsigned events)
{
    static const struct {
        unsigned from, to;
    } table[] = {
        { ABI_DN_ACCESS, ABI_IN_ACCESS },
        { ABI_DN_MODIFY, ABI_IN_MODIFY },
        { ABI_DN_CREATE, ABI_IN_CREATE | ABI_IN_MOVED_TO },
        { ABI_DN_DELETE, ABI_IN_DELETE | ABI_IN_MOVED_FROM },
        { ABI_DN_RENAME, ABI_IN_RENAMED },
        { ABI_DN_ATTRIB, ABI_IN_ATTRIB },
    };
    unsigned mask = events & ABI_DN_MULTISHOT ? 0 : ABI_IN_ONESHOT;
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        mask |= events & table[i].from ? table[i].to : 0;
    return mask;
}

static struct inotify_watch *dnotify_find_locked(const struct file *file,
                                                 const struct fdtable *table)
{
    struct inotify_watch *watch;
    list_for_each (watch, &file->inode->watches, inode_node) {
        if (watch->file == file && (!table || watch->table == table))
            return watch;
    }
    return NULL;
}

void dnotify_end(struct file *file, const struct fdtable *table)
{
    struct list dead = LIST_INIT(dead);
    spin_lock(&inotify_lock);
    struct inotify_watch *watch;
    while ((watch = dnotify_find_locked(file, table)) != NULL)
        watch_end_locked(watch, &dead);
    spin_unlock(&inotify_lock);
    watches_free(&dead);
}

static int dnotify_add(struct file *file, int fd, const struct fdtable *table, unsigned mask)
{
    struct inotify_watch *fresh = kzalloc(sizeof(*fresh), ALLOC_WAIT);
    int err = 0;
    if (!fresh)
        return -ENOMEM;
    spin_lock(&inotify_lock);
    struct inotify_watch *watch = dnotify_find_locked(file, table);
    if (watch) {
        unsigned oneshot = watch->mask & mask & ABI_IN_ONESHOT;
        watch->mask = ((watch->mask | mask) & ~ABI_IN_ONESHOT) | oneshot;
        watch->number = fd;
    } else if (inotify_nwatches >= WATCHES_MAX) {
        err = -ENOSPC;
    } else {
        *fresh = (struct inotify_watch){ .inode = inode_get(file->inode),
                                         .number = fd,
                                         .mask = mask,
                                         .file = file,
                                         .table = table };
        list_init(&fresh->owner_node);
        watch_begin_locked(fresh);
        fresh = NULL;
    }
    spin_unlock(&inotify_lock);
    kfree(fresh);
    return err;
}

unsigned dnotify_is_enabled = 1;

long dnotify_set(struct file *file, int fd, const struct fdtable *table, unsigned events)
{
    if (!READ_ONCE(dnotify_is_enabled))
        return -EINVAL;
    if (!(events & ~ABI_DN_MULTISHOT)) {
        dnotify_end(file, table);
        return 0;
    }
    if (!inode_is_dir(file->inode))
        return -ENOTDIR;
    int err = file_owner_set_default(&file->owner, process_current()->pid);
    return err ? err : dnotify_add(file, fd, table, dnotify_mask(events));
}

/* ---- The descriptor ------------------------------------------------------------------------- */

static long event_send(struct inotify_event *event, struct io *io)
{
    long bytes = (long)(sizeof(event->head) + event->head.len);
    bool is_sent =
        io_write_to(io, &event->head, sizeof(event->head)) == (long)sizeof(event->head) &&
        (event->head.len == 0 ||
         io_write_to(io, event->name, event->head.len) == (long)event->head.len);
    kfree(event);
    return is_sent ? bytes : -EFAULT;
}

static long inotify_read(struct file *file, struct io *io, int64_t *pos)
{
    struct inotify *inotify = file->private;
    long total = 0;
    for (;;) {
        bool is_empty;
        struct inotify_event *event = queue_take(inotify, io->remaining, &is_empty);
        if (event) {
            long sent = event_send(event, io);
            if (sent < 0)
                return total ? total : sent;
            total += sent;
            continue;
        }
        if (total)
            return total;
        if (!is_empty)
            return -EINVAL; /* the buffer is too small for the first event */
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&inotify->wait, READ_ONCE(inotify->nevents) != 0, DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
}

static unsigned inotify_poll(struct file *file)
{
    struct inotify *inotify = file->private;
    return READ_ONCE(inotify->nevents) ? ABI_POLLIN | ABI_POLLRDNORM : 0;
}

static long inotify_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct inotify *inotify = file->private;
    if (command != ABI_FIONREAD)
        return -ENOTTY;
    int bytes = (int)READ_ONCE(inotify->queued_bytes);
    return copy_to_app((void __app *)arg, &bytes, sizeof(bytes));
}

static void inotify_release(struct file *file)
{
    struct inotify *inotify = file->private;
    struct list dead = LIST_INIT(dead), events = LIST_INIT(events);
    spin_lock(&inotify_lock);
    while (!list_is_empty(&inotify->watches))
        watch_end_locked(list_first(&inotify->watches, struct inotify_watch, owner_node), &dead);
    list_splice_back(&events, &inotify->events);
    spin_unlock(&inotify_lock);
    watches_free(&dead);

    struct inotify_event *event, *following;
    list_for_each_safe (event, following, &events, node)
        kfree(event);
    poll_head_fini(&inotify->poll);
    kfree(inotify);
    __atomic_sub_fetch(&inotify_ninstances, 1, __ATOMIC_RELAXED);
}

static int inotify_link_text(struct file *file, char *buf, size_t size)
{
    return format_string(buf, size, "anon_inode:inotify");
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .link_text = inotify_link_text,
    .kind = "inotify",
    .is_async = true,
};

bool file_is_inotify(const struct file *file)
{
    return file->ops == &inotify_ops;
}

static int inotify_create_file(unsigned flags, struct file **out)
{
    struct inotify *inotify = kzalloc(sizeof(*inotify), ALLOC_WAIT);
    if (!inotify)
        return -ENOMEM;
    list_init(&inotify->watches);
    list_init(&inotify->events);
    poll_head_init(&inotify->poll);
    wait_queue_init(&inotify->wait);
    int err = file_create(&inotify_ops, inotify, ABI_O_RDONLY | flags, out);
    if (err)
        kfree(inotify);
    else
        (*out)->poll_head = &inotify->poll;
    return err;
}

int inotify_create(unsigned flags, struct file **out)
{
    int err = -EMFILE;
    if (__atomic_add_fetch(&inotify_ninstances, 1, __ATOMIC_RELAXED) <= INSTANCES_MAX)
        err = inotify_create_file(flags, out);
    if (err)
        __atomic_sub_fetch(&inotify_ninstances, 1, __ATOMIC_RELAXED);
    return err;
}
