// SPDX-License-Identifier: MIT
/*
 * File locks.
 *
 * Three kinds share the machinery: flock(2) locks (owner: the open file; the whole file), POSIX record
 * locks (owner: the descriptor table; they end at the first close of any descriptor of the file) and
 * open-file-description record locks (owner: the open file).  flock and record locks do not see
 * each other.
 *
 * An inode gets its struct file_locks at the first lock and keeps it.  One spinlock covers all of
 * them: locks are short and rare.  Records that a change may need are allocated before it is taken.
 */
#include "fs/locks.h"

#include "abi/errno.h"
#include "fs/locks_internal.h"
#include "fs/vfs.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread_files.h"

struct request {
    const struct file *file;
    struct inode *inode;
    const void *owner;
    enum lock_kind kind;
    int pid;
    int type;
    bool waits;
    int64_t start, end;
    struct record *spare[2];
    struct list dead; /* records to free after the lock is released */
    struct blocked blocked;
    int result;
};

struct spinlock locks_lock = SPINLOCK_INIT(RANK_FILE_LOCKS);
struct list locks_all = LIST_INIT(locks_all);
struct list locks_blocked = LIST_INIT(locks_blocked);
static struct slab_cache *record_cache;

void locks_init(void)
{
    record_cache = slab_cache_create("file lock", sizeof(struct record), 8);
}

static struct file_locks *locks_of(struct inode *inode)
{
    return __atomic_load_n(&inode->locks, __ATOMIC_ACQUIRE);
}

static int locks_make(struct inode *inode)
{
    if (locks_of(inode))
        return 0;
    struct file_locks *locks = kmalloc(sizeof(*locks), ALLOC_WAIT);
    void *expected = NULL;
    if (!locks)
        return -ENOLCK;
    locks->inode = inode;
    list_init(&locks->records);
    list_init(&locks->flocks);
    wait_queue_init(&locks->freed);
    spin_lock(&locks_lock);
    bool is_first = __atomic_compare_exchange_n(&inode->locks, &expected, locks, false,
                                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (is_first)
        list_push_back(&locks_all, &locks->node);
    spin_unlock(&locks_lock);
    if (!is_first)
        kfree(locks);
    return 0;
}

void inode_locks_free(struct inode *inode)
{
    struct file_locks *locks = inode->locks;

    if (likely(!locks))
        return;
    spin_lock(&locks_lock);
    list_remove(&locks->node);
    spin_unlock(&locks_lock);
    kfree(locks);
}

/* ---- Records ---------------------------------------------------------------------- */

static int spares_make(struct request *request)
{
    for (unsigned i = 0; i < 2; i++) {
        if (request->spare[i])
            continue;
        request->spare[i] = slab_alloc(record_cache, ALLOC_WAIT);
        if (!request->spare[i])
            return -ENOLCK;
        list_init(&request->spare[i]->node);
    }
    return 0;
}

static void request_init(struct request *request, const struct file *file, const void *owner,
                         int type)
{
    *request = (struct request){
        .file = file, .inode = file->inode, .owner = owner, .type = type, .end = END_OF_ALL
    };
    list_init(&request->dead);
    list_init(&request->blocked.node);
}

static void request_fini(struct request *request)
{
    struct record *record;
    struct record *following;

    for (unsigned i = 0; i < 2; i++) {
        if (request->spare[i])
            slab_free(record_cache, request->spare[i]);
    }
    list_for_each_safe (record, following, &request->dead, node) {
        list_remove(&record->node);
        slab_free(record_cache, record);
    }
}

static struct record *spare_take(struct request *request)
{
    unsigned i = request->spare[0] ? 0 : 1;
    struct record *record = request->spare[i];

    request->spare[i] = NULL;
    return record;
}

static void record_kill(struct request *request, struct record *record)
{
    list_remove(&record->node);
    list_push_back(&request->dead, &record->node);
}

static bool overlaps(const struct record *record, const struct request *request)
{
    return record->start <= request->end && record->end >= request->start;
}

static struct record *find_conflict(const struct list *list, const struct request *request)
{
    struct record *record;

    list_for_each (record, list, node) {
        if (record->owner != request->owner && overlaps(record, request) &&
            (record->type == ABI_F_WRLCK || request->type == ABI_F_WRLCK))
            return record;
    }
    return NULL;
}

static bool touches(const struct record *record, const struct request *request)
{
    return overlaps(record, request) ||
           (record->end != END_OF_ALL && record->end + 1 == request->start) ||
           (request->end != END_OF_ALL && request->end + 1 == record->start);
}

/* The owner's record loses what lies in the request's range. */
static void record_cut(struct request *request, struct record *record)
{
    if (record->start < request->start && record->end > request->end) {
        struct record *right = spare_take(request);
        *right = *record;
        right->start = request->end + 1;
        record->end = request->start - 1;
        list_insert_after(&record->node, &right->node);
    } else if (record->start < request->start) {
        record->end = request->start - 1;
    } else if (record->end > request->end) {
        record->start = request->end + 1;
    } else {
        record_kill(request, record);
    }
}

/* An owner's records stand together, by their start. */
static void record_insert(struct file_locks *locks, struct record *record)
{
    struct list *place = &locks->records;
    struct record *other;

    list_for_each (other, &locks->records, node) {
        if (other->owner != record->owner)
            continue;
        if (other->start > record->start) {
            place = &other->node;
            break;
        }
        place = other->node.next;
    }
    list_push_back(place, &record->node);
}

/* locks_lock held, no conflict: the range takes the request's type. */
static void apply(struct file_locks *locks, struct request *request)
{
    struct record *record;
    struct record *following;

    list_for_each_safe (record, following, &locks->records, node) {
        if (record->owner != request->owner)
            continue;
        if (record->type == request->type && touches(record, request)) {
            request->start = MIN(request->start, record->start);
            request->end = MAX(request->end, record->end);
            record_kill(request, record);
        } else if (overlaps(record, request)) {
            record_cut(request, record);
        }
    }
    if (request->type == ABI_F_UNLCK)
        return;
    record = spare_take(request);
    record->owner = request->owner;
    record->file = request->file;
    record->kind = request->kind;
    record->pid = request->pid;
    record->type = request->type;
    record->start = request->start;
    record->end = request->end;
    record_insert(locks, record);
}

/* locks_lock held: what it waits for may be gone, and the thread about to look again. */
static bool is_still_blocked(const struct blocked *blocked)
{
    const struct record *record;

    list_for_each (record, &locks_of(blocked->inode)->records, node) {
        if (blocked_is_by(blocked, record))
            return true;
    }
    return false;
}

/* locks_lock held: would owner wait for itself, through others? */
static bool is_deadlock(const void *owner, const void *waits_for)
{
    const struct blocked *blocked;
    unsigned steps = 0;

again:
    if (waits_for == owner)
        return true;
    if (++steps > 64)
        return false;
    list_for_each (blocked, &locks_blocked, node) {
        if (blocked->finds_deadlock && blocked->owner == waits_for && is_still_blocked(blocked)) {
            waits_for = blocked->waits_for;
            goto again;
        }
    }
    return false;
}

/* locks_lock held: the request waits for conflict's owner from now on, if it waits. */
static int note_blocked(struct request *request, const struct record *conflict)
{
    struct blocked *blocked = &request->blocked;

    if (!request->waits)
        return -EAGAIN;
    if (blocked->finds_deadlock && is_deadlock(request->owner, conflict->owner))
        return -EDEADLK;
    blocked->inode = request->inode;
    blocked->owner = request->owner;
    blocked->waits_for = conflict->owner;
    blocked->kind = request->kind;
    blocked->pid = request->pid;
    blocked->type = request->type;
    blocked->start = request->start;
    blocked->end = request->end;
    list_push_back(&locks_blocked, &blocked->node);
    return -EAGAIN;
}

/* One attempt; true if it is settled, by success or by an error. */
static bool record_try(struct request *request)
{
    struct file_locks *locks = locks_of(request->inode);

    request->result = spares_make(request);
    if (request->result)
        return true;
    spin_lock(&locks_lock);
    list_remove(&request->blocked.node);
    struct record *conflict =
        request->type != ABI_F_UNLCK ? find_conflict(&locks->records, request) : NULL;
    if (conflict)
        request->result = note_blocked(request, conflict);
    else
        apply(locks, request);
    spin_unlock(&locks_lock);
    if (!request->result && (!list_is_empty(&request->dead) || request->type != ABI_F_WRLCK))
        wake_all(&locks->freed);
    return request->result != -EAGAIN;
}

static void unblock(struct request *request)
{
    spin_lock(&locks_lock);
    list_remove(&request->blocked.node);
    spin_unlock(&locks_lock);
}

static int record_set(struct request *request, bool waits)
{
    int err = locks_make(request->inode);

    if (err)
        return err;
    request->waits = waits;
    request->blocked.finds_deadlock = request->kind == LOCK_POSIX;
    if (!waits) {
        (void)record_try(request);
    } else {
        err = wait_on(&locks_of(request->inode)->freed, record_try(request), DEADLINE_NONE);
        if (err)
            request->result = -ERESTARTSYS;
        unblock(request);
    }
    return request->result;
}

static void record_get(struct request *request, struct abi_flock *lock)
{
    struct file_locks *locks = locks_of(request->inode);
    struct record *conflict = NULL;

    spin_lock(&locks_lock);
    if (locks)
        conflict = find_conflict(&locks->records, request);
    if (conflict) {
        lock->l_type = (int16_t)conflict->type;
        lock->l_whence = ABI_SEEK_SET;
        lock->l_start = conflict->start;
        lock->l_len = conflict->end == END_OF_ALL ? 0 : conflict->end - conflict->start + 1;
        lock->l_pid = conflict->pid;
    } else {
        lock->l_type = ABI_F_UNLCK;
    }
    spin_unlock(&locks_lock);
}

/* l_whence, l_start and l_len as a range of bytes (fcntl(2)). */
static int range_of(struct file *file, const struct abi_flock *lock, struct request *request)
{
    int64_t start;
    int64_t base = 0;

    if (lock->l_whence == ABI_SEEK_CUR)
        base = file->position;
    else if (lock->l_whence == ABI_SEEK_END)
        base = (int64_t)file->inode->size;
    else if (lock->l_whence != ABI_SEEK_SET)
        return -EINVAL;
    if (__builtin_add_overflow(base, lock->l_start, &start))
        return -EOVERFLOW;
    request->start = start;
    request->end = END_OF_ALL;
    if (lock->l_len > 0) {
        if (__builtin_add_overflow(start, lock->l_len - 1, &request->end))
            return -EOVERFLOW;
    } else if (lock->l_len < 0) {
        request->end = start - 1;
        if (__builtin_add_overflow(start, lock->l_len, &request->start))
            return -EINVAL;
    }
    return request->start < 0 ? -EINVAL : 0;
}

static int check_type(const struct file *file, const struct abi_flock *lock, bool is_get)
{
    switch (lock->l_type) {
    case ABI_F_RDLCK:
        return is_get || file_can_read(file) ? 0 : -EBADF;
    case ABI_F_WRLCK:
        return is_get || file_can_write(file) ? 0 : -EBADF;
    case ABI_F_UNLCK:
        return is_get ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

int locks_fcntl(struct file *file, int command, struct abi_flock *lock)
{
    bool is_ofd = command >= ABI_F_OFD_GETLK;
    bool is_get = command == ABI_F_GETLK || command == ABI_F_OFD_GETLK;
    struct process *process = process_current();
    struct request request;

    if (is_ofd && lock->l_pid != 0)
        return -EINVAL;
    request_init(&request, file, is_ofd ? (void *)file : (void *)files_current(), lock->l_type);
    request.kind = is_ofd ? LOCK_OPEN_FILE : LOCK_POSIX;
    request.pid = is_ofd ? -1 : process->pid;
    int err = range_of(file, lock, &request);
    if (!err)
        err = check_type(file, lock, is_get);
    if (err)
        return err;
    if (is_get)
        record_get(&request, lock);
    else if (lock->l_type != ABI_F_UNLCK || locks_of(file->inode))
        err = record_set(&request, command == ABI_F_SETLKW || command == ABI_F_OFD_SETLKW);
    request_fini(&request);
    return err;
}

/* ---- flock ---------------------------------------------------------------------------- */

static struct record *flock_of(const struct file_locks *locks, const void *owner)
{
    struct record *record;

    list_for_each (record, &locks->flocks, node) {
        if (record->owner == owner)
            return record;
    }
    return NULL;
}

/* A change of kind gives the old lock up first (flock(2)), so it can be lost. */
static bool flock_try(struct request *request)
{
    struct file_locks *locks = locks_of(request->inode);
    bool has_freed = false;

    request->result = spares_make(request);
    if (request->result)
        return true;
    spin_lock(&locks_lock);
    list_remove(&request->blocked.node);
    struct record *own = flock_of(locks, request->owner);
    if (own && own->type != request->type) {
        record_kill(request, own);
        own = NULL;
        has_freed = true;
    }
    const struct record *conflict = own ? NULL : find_conflict(&locks->flocks, request);
    if (conflict) {
        request->result = note_blocked(request, conflict);
    } else if (!own) {
        struct record *record = spare_take(request);
        record->owner = request->owner;
        record->file = request->file;
        record->kind = LOCK_WHOLE;
        record->pid = request->pid;
        record->type = request->type;
        record->start = 0;
        record->end = END_OF_ALL;
        list_push_back(&locks->flocks, &record->node);
    }
    spin_unlock(&locks_lock);
    if (has_freed)
        wake_all(&locks->freed);
    return request->result != -EAGAIN;
}

static void list_release(struct list *list, const void *owner, struct list *dead)
{
    struct record *record;
    struct record *following;

    list_for_each_safe (record, following, list, node) {
        if (record->owner == owner) {
            list_remove(&record->node);
            list_push_back(dead, &record->node);
        }
    }
}

static void release(struct file_locks *locks, const void *owner, bool only_flocks)
{
    struct list dead = LIST_INIT(dead);
    struct record *record;
    struct record *following;

    spin_lock(&locks_lock);
    list_release(&locks->flocks, owner, &dead);
    if (!only_flocks)
        list_release(&locks->records, owner, &dead);
    spin_unlock(&locks_lock);
    if (list_is_empty(&dead))
        return;
    list_for_each_safe (record, following, &dead, node) {
        list_remove(&record->node);
        slab_free(record_cache, record);
    }
    wake_all(&locks->freed);
}

void locks_release(struct inode *inode, const void *owner)
{
    struct file_locks *locks = locks_of(inode);

    if (unlikely(locks != NULL))
        release(locks, owner, false);
}

int locks_flock(struct file *file, unsigned operation)
{
    struct request request;
    int err = locks_make(file->inode);

    if (err)
        return err;
    if (operation == ABI_LOCK_UN) {
        release(locks_of(file->inode), file, true);
        return 0;
    }
    request_init(&request, file, file, operation & ABI_LOCK_EX ? ABI_F_WRLCK : ABI_F_RDLCK);
    request.kind = LOCK_WHOLE;
    request.pid = process_current()->pid;
    request.waits = !(operation & ABI_LOCK_NB);
    if (!request.waits)
        (void)flock_try(&request);
    else if (wait_on(&locks_of(file->inode)->freed, flock_try(&request), DEADLINE_NONE))
        request.result = -ERESTARTSYS;
    unblock(&request);
    err = request.result;
    request_fini(&request);
    return err;
}
