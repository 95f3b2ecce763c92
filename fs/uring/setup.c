// SPDX-License-Identifier: MIT
/*
 * io_uring: rings, from io_uring_setup() to the last reference, and the ring as a file.
 *
 * Each of the two pieces of shared memory is one contiguous block of frames, which the kernel uses in the direct
 * map and the application through a page cache.  The file's reference and one of each request keep a ring;
 * when the file goes, its requests are cancelled and end in their own time.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/uring/uring.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/pagecache.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define SQ_ENTRIES_MAX 32768u
#define CQ_ENTRIES_MAX (2 * SQ_ENTRIES_MAX)

#define FEATURES                                                                                   \
    (ABI_URING_FEAT_SINGLE_MMAP | ABI_URING_FEAT_NODROP | ABI_URING_FEAT_SUBMIT_STABLE |           \
     ABI_URING_FEAT_RW_CUR_POS | ABI_URING_FEAT_FAST_POLL | ABI_URING_FEAT_POLL_32BITS |           \
     ABI_URING_FEAT_SQPOLL_NONFIXED | ABI_URING_FEAT_EXT_ARG | ABI_URING_FEAT_NATIVE_WORKERS |     \
     ABI_URING_FEAT_RSRC_TAGS | ABI_URING_FEAT_CQE_SKIP | ABI_URING_FEAT_LINKED_FILE)

/* ---- Life -------------------------------------------------------------------------------- */

struct uring *uring_get(struct uring *ring)
{
    __atomic_fetch_add(&ring->refcount, 1, __ATOMIC_RELAXED);
    return ring;
}

static void overflow_free(struct uring *ring)
{
    while (!list_is_empty(&ring->overflow)) {
        struct list *node = ring->overflow.next;
        list_remove(node);
        kfree(node); /* its first member */
    }
}

void uring_put(struct uring *ring)
{
    if (__atomic_sub_fetch(&ring->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    overflow_free(ring);
    uring_groups_free(ring);
    if (ring->eventfd)
        file_put(ring->eventfd);
    poll_head_fini(&ring->poll);
    if (ring->submitter)
        thread_put(ring->submitter);
    if (ring->rings_cache)
        pagecache_put(ring->rings_cache);
    if (ring->sqes_cache)
        pagecache_put(ring->sqes_cache);
    kfree(ring);
}

static void ring_release(struct file *file)
{
    struct uring *ring = file->private;
    unsigned long flags = spin_lock_irq(&uring_lock);
    __atomic_store_n(&ring->is_dead, true, __ATOMIC_SEQ_CST);
    spin_unlock_irq(&uring_lock, flags);
    wake_all(&ring->sq_wait);
    wake_all(&ring->sq_room_wait);
    uring_cancel_ring(ring);
    uring_tables_free(ring);
    uring_put(ring);
}

static unsigned ring_poll(struct file *file)
{
    struct uring *ring = file->private;
    unsigned waiting = __atomic_load_n(&ring->shared->sq_tail, __ATOMIC_ACQUIRE) - ring->sq_head;
    unsigned events = waiting < ring->sq_entries ? ABI_POLLOUT | ABI_POLLWRNORM : 0;

    if (uring_cq_count(ring) > 0 || READ_ONCE(ring->shared->sq_flags) & ABI_URING_SQ_CQ_OVERFLOW)
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    return events;
}

static int ring_map(struct file *file, size_t length, uint64_t *offset, struct pagecache **cache)
{
    struct uring *ring = file->private;
    bool is_sqes = *offset == ABI_URING_OFF_SQES;

    if (!is_sqes && *offset != ABI_URING_OFF_SQ_RING && *offset != ABI_URING_OFF_CQ_RING)
        return -EINVAL;
    if (length > (is_sqes ? ring->sqes_size : ring->rings_size))
        return -EINVAL;
    *cache = pagecache_get(is_sqes ? ring->sqes_cache : ring->rings_cache);
    *offset = 0;
    return 0;
}

static const struct file_ops ring_ops = {
    .poll = ring_poll,
    .mmap_at = ring_map,
    .release = ring_release,
    .kind = "io_uring",
};

struct uring *uring_of(const struct file *file)
{
    return file->ops == &ring_ops ? file->private : NULL;
}

/* ---- Memory --------------------------------------------------------------------------------- */

static int shared_alloc(size_t size, struct pagecache **cache, void **out)
{
    unsigned order = 0;

    while (PAGE_SIZE << order < size)
        order++;
    if (order > FRAME_ORDER_MAX)
        return -ENOMEM;
    int err = pagecache_create(NULL, NULL, cache);
    if (err)
        return err;
    struct frame *frames = frame_alloc(order, ALLOC_WAIT | ALLOC_ZERO);
    if (!frames)
        return -ENOMEM;
    frame_split(frames);
    *out = frame_address(frames);
    pagecache_set_size(*cache, PAGE_SIZE << order);
    return pagecache_insert(*cache, 0, frames, 1UL << order);
}

static int memory_create(struct uring *ring)
{
    size_t cqes = (size_t)ring->cq_entries << ring->cqe_shift;
    size_t array = offsetof(struct uring_shared, cqes) + cqes;
    void *memory;

    ring->rings_size = ALIGN_UP(array + ring->sq_entries * sizeof(uint32_t), PAGE_SIZE);
    ring->sqes_size = ALIGN_UP((size_t)ring->sq_entries << ring->sqe_shift, PAGE_SIZE);
    int err = shared_alloc(ring->rings_size, &ring->rings_cache, &memory);
    if (err)
        return err;
    ring->shared = memory;
    ring->sq_array = (void *)((uint8_t *)memory + array);
    err = shared_alloc(ring->sqes_size, &ring->sqes_cache, &memory);
    if (err)
        return err;
    ring->sqes = memory;
    ring->shared->sq_mask = ring->sq_entries - 1;
    ring->shared->sq_entries = ring->sq_entries;
    ring->shared->cq_mask = ring->cq_entries - 1;
    ring->shared->cq_entries = ring->cq_entries;
    return 0;
}

static void describe(const struct uring *ring, struct abi_uring_params *params)
{
    params->sq_entries = ring->sq_entries;
    params->cq_entries = ring->cq_entries;
    params->features = FEATURES;
    params->sq_off = (struct abi_sqring_offsets){
        .head = offsetof(struct uring_shared, sq_head),
        .tail = offsetof(struct uring_shared, sq_tail),
        .ring_mask = offsetof(struct uring_shared, sq_mask),
        .ring_entries = offsetof(struct uring_shared, sq_entries),
        .flags = offsetof(struct uring_shared, sq_flags),
        .dropped = offsetof(struct uring_shared, sq_dropped),
        .array = (uint32_t)((uint8_t *)ring->sq_array - (uint8_t *)ring->shared),
    };
    params->cq_off = (struct abi_cqring_offsets){
        .head = offsetof(struct uring_shared, cq_head),
        .tail = offsetof(struct uring_shared, cq_tail),
        .ring_mask = offsetof(struct uring_shared, cq_mask),
        .ring_entries = offsetof(struct uring_shared, cq_entries),
        .overflow = offsetof(struct uring_shared, cq_overflow),
        .cqes = offsetof(struct uring_shared, cqes),
        .flags = offsetof(struct uring_shared, cq_flags),
    };
}

/* ---- Creation ----------------------------------------------------------------------------------- */

static unsigned power_of_two(unsigned n)
{
    unsigned power = 1;

    while (power < n)
        power *= 2;
    return power;
}

static int check_flags(const struct abi_uring_params *params)
{
    unsigned flags = params->flags;
    const unsigned no_sqpoll =
        ABI_URING_SETUP_COOP_TASKRUN | ABI_URING_SETUP_TASKRUN_FLAG | ABI_URING_SETUP_DEFER_TASKRUN;

    for (unsigned i = 0; i < ARRAY_SIZE(params->resv); i++) {
        if (params->resv[i])
            return -EINVAL;
    }
    if (flags & ~ABI_URING_SETUP_FLAGS)
        return -EINVAL;
    if (flags & ABI_URING_SETUP_SQ_AFF &&
        (!(flags & ABI_URING_SETUP_SQPOLL) || params->sq_thread_cpu >= arch_cpu_count()))
        return -EINVAL;
    if (flags & ABI_URING_SETUP_SQPOLL && flags & no_sqpoll)
        return -EINVAL;
    if (flags & ABI_URING_SETUP_TASKRUN_FLAG &&
        !(flags & (ABI_URING_SETUP_COOP_TASKRUN | ABI_URING_SETUP_DEFER_TASKRUN)))
        return -EINVAL;
    if (flags & ABI_URING_SETUP_DEFER_TASKRUN && !(flags & ABI_URING_SETUP_SINGLE_ISSUER))
        return -EINVAL;
    if (flags &
        ABI_URING_SETUP_ATTACH_WQ) { /* workers are shared by all rings of a process anyway */
        struct file *other = fd_get((int)params->wq_fd);
        int err = !other ? -ENXIO : uring_of(other) ? 0 : -EINVAL;
        if (other)
            file_put(other);
        return err;
    }
    return 0;
}

static int choose_sizes(struct uring *ring, unsigned entries, const struct abi_uring_params *params)
{
    bool is_clamped = params->flags & ABI_URING_SETUP_CLAMP;
    unsigned cq = params->cq_entries;

    if (entries == 0 || (entries > SQ_ENTRIES_MAX && !is_clamped))
        return -EINVAL;
    ring->sq_entries = power_of_two(MIN(entries, SQ_ENTRIES_MAX));
    ring->cq_entries = 2 * ring->sq_entries;
    if (!(params->flags & ABI_URING_SETUP_CQSIZE))
        return 0;
    if (cq == 0 || (cq > CQ_ENTRIES_MAX && !is_clamped))
        return -EINVAL;
    ring->cq_entries = power_of_two(MIN(cq, CQ_ENTRIES_MAX));
    return ring->cq_entries < ring->sq_entries ? -EINVAL : 0;
}

static void ring_init(struct uring *ring, const struct abi_uring_params *params)
{
    ring->refcount = 1;
    ring->flags = params->flags;
    ring->sqe_shift = params->flags & ABI_URING_SETUP_SQE128 ? 7 : 6;
    ring->cqe_shift = params->flags & ABI_URING_SETUP_CQE32 ? 5 : 4;
    ring->sq_idle = (params->sq_thread_idle ? params->sq_thread_idle : 1000) * NSEC_PER_MSEC;
    mutex_init(&ring->submit_lock, RANK_URING_SUBMIT);
    mutex_init(&ring->tables_lock, RANK_URING_TABLES);
    spin_init(&ring->cq_lock, RANK_URING_CQ);
    poll_head_init(&ring->poll);
    wait_queue_init(&ring->sq_wait);
    wait_queue_init(&ring->sq_room_wait);
    list_init(&ring->overflow);
    list_init(&ring->requests);
    list_init(&ring->deferred);
    list_init(&ring->waiters);
    list_init(&ring->groups);
}

void uring_choose_submitter(struct uring *ring)
{
    if (ring->flags & ABI_URING_SETUP_SINGLE_ISSUER && !ring->submitter)
        ring->submitter = thread_get(thread_current());
}

int uring_check_submitter(const struct uring *ring)
{
    const struct thread *submitter = READ_ONCE(ring->submitter);

    return submitter && submitter != thread_current() ? -EEXIST : 0;
}

int uring_create(unsigned entries, struct abi_uring_params *params, struct file **out)
{
    int err = check_flags(params);

    if (err)
        return err;
    struct uring *ring = kzalloc(sizeof(*ring), ALLOC_WAIT);
    if (!ring)
        return -ENOMEM;
    ring_init(ring, params);
    if (!(params->flags & ABI_URING_SETUP_R_DISABLED))
        uring_choose_submitter(ring);
    err = choose_sizes(ring, entries, params);
    if (!err)
        err = memory_create(ring);
    if (!err)
        err = file_create(&ring_ops, ring, ABI_O_RDWR, out);
    if (err) {
        uring_put(ring);
        return err;
    }
    (*out)->poll_head = &ring->poll;
    if (params->flags & ABI_URING_SETUP_SQPOLL)
        err = uring_start_sqpoll(ring);
    if (err) {
        file_put(*out);
        return err;
    }
    describe(ring, params);
    return 0;
}
