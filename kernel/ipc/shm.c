// SPDX-License-Identifier: MIT
/*
 * Shared memory segments.
 *
 * A segment is a page cache without a file.  Its attach count is the number of mappings of it, kept by
 * kernel/mm through struct map_object, so fork, exec, exit, partial munmap and mremap need no code here.
 * IPC_RMID of a segment that is attached only takes its key away (SHM_DEST); it goes with the last mapping.
 *
 * Locking: shm_table.lock covers everything.  It ranks below vmspace->lock, because mappings attach under that.
 */
#include "kernel/ipc/shm.h"

#include "abi/process.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/thread.h"
#include "lib/format.h"

static uint64_t total_pages; /* [t] of all segments: SHMALL */

static struct shm_segment *segment_of_object(struct map_object *object)
{
    return container_of(object, struct shm_segment, object);
}

static uint64_t pages_of(const struct shm_segment *segment)
{
    return ALIGN_UP(segment->size, PAGE_SIZE) >> PAGE_SHIFT;
}

/* ---- Attaching ------------------------------------------------------------------------------ */

static void segment_destroy_locked(struct shm_segment *segment)
{
    total_pages -= pages_of(segment);
    ipc_remove_locked(&segment->ipc);
}

/* One user less; dtime and lpid are the caller's. */
static void segment_leave_locked(struct shm_segment *segment)
{
    segment->nattch--;
    if (segment->nattch == 0 && segment->ipc.mode & ABI_SHM_DEST)
        segment_destroy_locked(segment);
}

static void segment_attach(struct map_object *object)
{
    struct shm_segment *segment = segment_of_object(object);

    mutex_lock(&shm_table.lock);
    segment->nattch++;
    segment->atime = ipc_now();
    segment->lpid = ipc_current_pid();
    ipc_get(&segment->ipc);
    mutex_unlock(&shm_table.lock);
}

static void segment_detach(struct map_object *object)
{
    struct shm_segment *segment = segment_of_object(object);

    mutex_lock(&shm_table.lock);
    segment->dtime = ipc_now();
    segment->lpid = ipc_current_pid();
    segment_leave_locked(segment);
    mutex_unlock(&shm_table.lock);
    ipc_put(&segment->ipc);
}

static uint64_t segment_describe(struct map_object *object, char *name, size_t size)
{
    const struct shm_segment *segment = segment_of_object(object);

    format_string(name, size, "/SYSV%08x (deleted)", (unsigned)segment->name_key);
    return (uint64_t)segment->ipc.id;
}

static const struct map_object_ops segment_ops = {
    .attach = segment_attach,
    .detach = segment_detach,
    .describe = segment_describe,
};

int shm_attach(struct shm_segment *segment, struct vmspace_map_args *args, uintptr_t *out)
{
    args->length = segment->size;
    args->cache = segment->cache;
    args->object = &segment->object;
    int err = vmspace_map_object(thread_current()->vmspace, args, out);

    mutex_lock(&shm_table.lock);
    segment_leave_locked(segment);
    mutex_unlock(&shm_table.lock);
    return err == -EEXIST ? -EINVAL : err;
}

int shm_detach(struct vmspace *vm, uintptr_t address)
{
    return vmspace_unmap_object(vm, address, &segment_ops);
}

/* ---- Creation -------------------------------------------------------------------------------- */

/* Linux with huge pages, but none in its pool. */
static int refuse_huge_pages(unsigned flags)
{
    unsigned shift = flags >> ABI_SHM_HUGE_SHIFT & ABI_SHM_HUGE_MASK;

    if (shift != 0 && shift != 21 && shift != 30)
        return -EINVAL;
    if (!process_is_capable(ABI_CAP_IPC_LOCK))
        return -EPERM;
    log_warning_once("shmget: SHM_HUGETLB: there is no pool of huge pages");
    return -ENOMEM;
}

static int check_size(size_t size, unsigned flags)
{
    uint64_t npages = (size >> PAGE_SHIFT) + (size % PAGE_SIZE != 0);
    unsigned long most = READ_ONCE(ipc_settings.shmall);
    struct frame_stats stats;

    if (size < 1 || size > READ_ONCE(ipc_settings.shmmax))
        return -EINVAL;
    if (npages << PAGE_SHIFT < size)
        return -ENOSPC;
    if (npages > most || total_pages > most - npages)
        return -ENOSPC;
    if (flags & ABI_SHM_HUGETLB)
        return refuse_huge_pages(flags);
    frame_get_stats(&stats);
    return !(flags & ABI_SHM_NORESERVE) && npages > stats.total_pages ? -ENOMEM : 0;
}

static int segment_create(const struct ipc_request *request, struct ipc_object **out)
{
    int err = check_size(request->size, request->flags);
    if (err)
        return err;
    struct shm_segment *segment = kzalloc(sizeof(*segment), ALLOC_WAIT);
    if (!segment)
        return -ENOMEM;
    err = pagecache_create(NULL, NULL, &segment->cache);
    if (err) {
        kfree(segment);
        return err;
    }
    pagecache_set_size(segment->cache, request->size);
    segment->object.ops = &segment_ops;
    segment->size = request->size;
    segment->name_key = request->key;
    segment->cpid = ipc_current_pid();
    segment->ctime = ipc_now();
    *out = &segment->ipc;
    return 0;
}

static void segment_created(struct ipc_object *object)
{
    total_pages += pages_of(shm_of_ipc(object));
}

static int segment_check(const struct ipc_request *request, const struct ipc_object *object)
{
    const struct shm_segment *segment = container_of(object, struct shm_segment, ipc);

    return segment->size < request->size ? -EINVAL : 0;
}

/* ---- Control ---------------------------------------------------------------------------------- */

static void segment_remove(struct ipc_object *object)
{
    struct shm_segment *segment = shm_of_ipc(object);

    if (segment->nattch == 0) {
        segment_destroy_locked(segment);
        return;
    }
    segment->ipc.mode |= ABI_SHM_DEST;
    ipc_forget_key_locked(&segment->ipc);
}

/* Pages that SHM_LOCK holds for a user. */
static uint64_t pages_locked_by(uint32_t uid)
{
    uint64_t npages = 0;

    for (unsigned index = 0; index < shm_table.nslots; index++) {
        struct ipc_object *object = shm_table.slots[index];
        if (object && object->mode & ABI_SHM_LOCKED && shm_of_ipc(object)->locker == uid)
            npages += pages_of(shm_of_ipc(object));
    }
    return npages;
}

/* Nothing is ever swapped out here: what is left of locking is the limit and the mark. */
int shm_lock_locked(struct shm_segment *segment, bool lock)
{
    const struct credentials *creds = &process_current()->creds;
    uint64_t limit = rlimit_current(LIMIT_MEMLOCK);
    bool is_capable = process_is_capable(ABI_CAP_IPC_LOCK);

    if (!is_capable && creds->euid != segment->ipc.uid && creds->euid != segment->ipc.cuid)
        return -EPERM;
    if (!is_capable && lock && limit == 0)
        return -EPERM;
    if (!lock) {
        segment->ipc.mode &= ~ABI_SHM_LOCKED;
        return 0;
    }
    if (segment->ipc.mode & ABI_SHM_LOCKED)
        return 0;
    uint64_t npages = pages_locked_by(creds->uid) + pages_of(segment);
    if (!is_capable && limit != LIMIT_INFINITY && npages > limit >> PAGE_SHIFT)
        return -ENOMEM;
    segment->locker = creds->uid;
    segment->ipc.mode |= ABI_SHM_LOCKED;
    return 0;
}

static void segment_fill(struct ipc_object *object, union ipc_status *out)
{
    const struct shm_segment *segment = shm_of_ipc(object);

    out->shm = (struct abi_shmid_ds){
        .segsz = segment->size,
        .atime = segment->atime,
        .dtime = segment->dtime,
        .ctime = segment->ctime,
        .cpid = segment->cpid,
        .lpid = segment->lpid,
        .nattch = segment->nattch,
    };
}

static void segment_changed(struct ipc_object *object, const union ipc_status *status)
{
    shm_of_ipc(object)->ctime = ipc_now();
}

void shm_usage(struct abi_shm_info *info)
{
    *info = (struct abi_shm_info){ .used_ids = (int32_t)shm_table.nused, .tot = total_pages };
    for (unsigned index = 0; index < shm_table.nslots; index++)
        if (shm_table.slots[index])
            info->rss += READ_ONCE(shm_of_ipc(shm_table.slots[index])->cache->npages);
}

static void segment_release(struct ipc_object *object)
{
    struct shm_segment *segment = shm_of_ipc(object);

    if (segment->cache)
        pagecache_put(segment->cache);
    kfree(segment);
}

static const struct ipc_ops segment_ipc_ops = {
    .status_size = sizeof(struct abi_shmid_ds),
    .create = segment_create,
    .created = segment_created,
    .check = segment_check,
    .fill = segment_fill,
    .changed = segment_changed,
    .remove = segment_remove,
    .release = segment_release,
};

struct ipc_table shm_table = IPC_TABLE_INIT(shm_table, &ipc_settings.shmmni, &segment_ipc_ops);
