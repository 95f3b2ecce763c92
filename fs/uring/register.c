// SPDX-License-Identifier: MIT
/*
 * io_uring_register(2).
 */
#include "abi/errno.h"
#include "abi/time.h"
#include "fs/event_objects.h"
#include "fs/uring/uring.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"

#define PROBE_OPS_MAX    256u
#define RESTRICTIONS_MAX 32u /* Linux: as many as there are operations */

/* ---- Files and buffers --------------------------------------------------------------------- */

static long files_old(struct uring *ring, uint64_t arg, unsigned count)
{
    const struct abi_uring_rsrc_register args = { .nr = count, .data = arg };

    return arg ? uring_register_files(ring, &args) : -EFAULT;
}

static long buffers_old(struct uring *ring, uint64_t arg, unsigned count)
{
    const struct abi_uring_rsrc_register args = { .nr = count, .data = arg };

    return arg ? uring_register_buffers(ring, &args) : -EFAULT;
}

static int load_register(struct abi_uring_rsrc_register *args, uint64_t arg, unsigned size)
{
    if (size != sizeof(*args))
        return -EINVAL;
    if (copy_from_app(args, app_pointer(arg), sizeof(*args)))
        return -EFAULT;
    if (!args->nr || args->resv2 || args->flags & ~ABI_URING_RSRC_SPARSE)
        return -EINVAL;
    return args->flags & ABI_URING_RSRC_SPARSE && args->data ? -EINVAL : 0;
}

static long files_new(struct uring *ring, uint64_t arg, unsigned size)
{
    struct abi_uring_rsrc_register args;
    int err = load_register(&args, arg, size);

    return err ? err : uring_register_files(ring, &args);
}

static long buffers_new(struct uring *ring, uint64_t arg, unsigned size)
{
    struct abi_uring_rsrc_register args;
    int err = load_register(&args, arg, size);

    return err ? err : uring_register_buffers(ring, &args);
}

static long files_update_old(struct uring *ring, uint64_t arg, unsigned count)
{
    struct abi_uring_rsrc_update args = { 0 };

    if (!count)
        return -EINVAL;
    if (copy_from_app(&args, app_pointer(arg), offsetof(struct abi_uring_rsrc_update, tags)))
        return -EFAULT;
    args.nr = count;
    return args.resv ? -EINVAL : uring_update_files(ring, &args);
}

static int load_update(struct abi_uring_rsrc_update *args, uint64_t arg, unsigned size)
{
    if (size != sizeof(*args))
        return -EINVAL;
    if (copy_from_app(args, app_pointer(arg), sizeof(*args)))
        return -EFAULT;
    return !args->nr || args->resv || args->resv2 ? -EINVAL : 0;
}

static long files_update(struct uring *ring, uint64_t arg, unsigned size)
{
    struct abi_uring_rsrc_update args;
    int err = load_update(&args, arg, size);

    return err ? err : uring_update_files(ring, &args);
}

static long buffers_update(struct uring *ring, uint64_t arg, unsigned size)
{
    struct abi_uring_rsrc_update args;
    int err = load_update(&args, arg, size);

    return err ? err : uring_update_buffers(ring, &args);
}

static long files_end(struct uring *ring, uint64_t arg, unsigned count)
{
    return arg || count ? -EINVAL : uring_unregister_files(ring);
}

static long buffers_end(struct uring *ring, uint64_t arg, unsigned count)
{
    return arg || count ? -EINVAL : uring_unregister_buffers(ring);
}

static long file_range(struct uring *ring, uint64_t arg, unsigned count)
{
    struct abi_uring_file_range range;

    if (!arg || count)
        return -EINVAL;
    if (copy_from_app(&range, app_pointer(arg), sizeof(range)))
        return -EFAULT;
    return uring_file_range(ring, &range);
}

/* ---- Eventfd -------------------------------------------------------------------------------- */

static long eventfd_set(struct uring *ring, uint64_t arg, unsigned count)
{
    int fd;

    if (count != 1)
        return -EINVAL;
    if (copy_from_app(&fd, app_pointer(arg), sizeof(fd)))
        return -EFAULT;
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    if (!file_is_eventfd(file)) {
        file_put(file);
        return -EINVAL;
    }
    mutex_lock(&ring->tables_lock);
    bool is_taken = ring->eventfd;
    if (!is_taken)
        ring->eventfd = file;
    mutex_unlock(&ring->tables_lock);
    if (is_taken)
        file_put(file);
    return is_taken ? -EBUSY : 0;
}

static long eventfd_end(struct uring *ring, uint64_t arg, unsigned count)
{
    if (arg || count)
        return -EINVAL;
    mutex_lock(&ring->tables_lock);
    struct file *file = ring->eventfd;
    ring->eventfd = NULL;
    mutex_unlock(&ring->tables_lock);
    if (file)
        file_put(file);
    return file ? 0 : -ENXIO;
}

/* ---- Probe, personalities, restrictions --------------------------------------------------------- */

static long probe(struct uring *ring, uint64_t arg, unsigned count)
{
    const struct abi_uring_probe head = { .last_op = ABI_URING_OP_LAST - 1,
                                          .ops_len = ABI_URING_OP_LAST };
    struct abi_uring_probe given;

    if (!arg || count > PROBE_OPS_MAX)
        return -EINVAL;
    if (copy_from_app(&given, app_pointer(arg), sizeof(given)))
        return -EFAULT;
    if (given.last_op || given.ops_len || given.resv || given.resv2[0] || given.resv2[1] ||
        given.resv2[2])
        return -EINVAL;
    count = MIN(count, (unsigned)ABI_URING_OP_LAST);
    struct abi_uring_probe reply = head;
    reply.ops_len = (uint8_t)count;
    if (copy_to_app(app_pointer(arg), &reply, sizeof(reply)))
        return -EFAULT;
    for (unsigned i = 0; i < count; i++) {
        struct abi_uring_probe_op op = { .op = (uint8_t)i };
        op.flags = uring_ops[i].issue ? ABI_URING_OP_SUPPORTED : 0;
        uint64_t at = arg + sizeof(reply) + i * sizeof(op);
        if (copy_to_app(app_pointer(at), &op, sizeof(op)))
            return -EFAULT;
    }
    return 0;
}

/* All requests run with the process's present credentials, which the feature flags say. */
static long personality_add(struct uring *ring, uint64_t arg, unsigned count)
{
    if (arg || count)
        return -EINVAL;
    mutex_lock(&ring->tables_lock);
    int free = ring->personalities == ~0ULL ? -ENOSPC : __builtin_ctzll(~ring->personalities);
    if (free >= 0)
        ring->personalities |= 1ULL << free;
    mutex_unlock(&ring->tables_lock);
    return free < 0 ? free : free + 1;
}

static long personality_remove(struct uring *ring, uint64_t arg, unsigned id)
{
    if (arg)
        return -EINVAL;
    mutex_lock(&ring->tables_lock);
    bool exists = id >= 1 && id <= 64 && ring->personalities >> (id - 1) & 1;
    if (exists)
        ring->personalities &= ~(1ULL << (id - 1));
    mutex_unlock(&ring->tables_lock);
    return exists ? 0 : -EINVAL;
}

static int restrict_one(struct uring *ring, const struct abi_uring_restriction *restriction)
{
    switch (restriction->opcode) {
    case ABI_URING_RESTRICTION_REGISTER_OP:
        if (restriction->value >= ABI_URING_REGISTER_LAST)
            return -EINVAL;
        ring->allowed_registers |= 1ULL << restriction->value;
        return 0;
    case ABI_URING_RESTRICTION_SQE_OP:
        if (restriction->value >= ABI_URING_OP_LAST)
            return -EINVAL;
        ring->allowed_ops |= 1ULL << restriction->value;
        return 0;
    case ABI_URING_RESTRICTION_SQE_FLAGS_ALLOWED:
        ring->allowed_flags = restriction->value;
        return 0;
    case ABI_URING_RESTRICTION_SQE_FLAGS_REQUIRED:
        ring->required_flags = restriction->value;
        return 0;
    default:
        return -EINVAL;
    }
}

static long restrictions(struct uring *ring, uint64_t arg, unsigned count)
{
    int err = 0;

    if (!(ring->flags & ABI_URING_SETUP_R_DISABLED))
        return -EBADFD;
    if (ring->has_restrictions)
        return -EBUSY;
    if (!arg || count > RESTRICTIONS_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count && !err; i++) {
        struct abi_uring_restriction one;
        err = copy_from_app(&one, app_pointer(arg + i * sizeof(one)), sizeof(one));
        if (!err)
            err = restrict_one(ring, &one);
    }
    if (err) {
        ring->allowed_ops = ring->allowed_registers = 0;
        ring->allowed_flags = ring->required_flags = 0;
        return err;
    }
    ring->has_restrictions = true;
    return 0;
}

static long enable(struct uring *ring, uint64_t arg, unsigned count)
{
    if (arg || count)
        return -EINVAL;
    if (!(ring->flags & ABI_URING_SETUP_R_DISABLED))
        return -EBADFD;
    uring_choose_submitter(ring);
    ring->is_restricted = ring->has_restrictions;
    __atomic_fetch_and(&ring->flags, ~ABI_URING_SETUP_R_DISABLED, __ATOMIC_SEQ_CST);
    wake_all(&ring->sq_wait);
    return 0;
}

/* ---- Workers, rings, buffers, cancelling ----------------------------------------------------------- */

static long max_workers(struct uring *ring, uint64_t arg, unsigned count)
{
    struct uring_pool *pool;
    unsigned limit[2], old[2];

    if (!arg || count != 2)
        return -EINVAL;
    if (copy_from_app(limit, app_pointer(arg), sizeof(limit)))
        return -EFAULT;
    if (limit[0] > INT32_MAX || limit[1] > INT32_MAX)
        return -EINVAL;
    int err = uring_pool_get(&pool);
    if (err)
        return err;
    for (unsigned i = 0; i < 2; i++) {
        old[i] = READ_ONCE(pool->limit[i]);
        if (limit[i])
            WRITE_ONCE(pool->limit[i], limit[i]);
    }
    return copy_to_app(app_pointer(arg), old, sizeof(old));
}

/* Workers may run anywhere; where they may is a hint here. */
static long affinity(struct uring *ring, uint64_t arg, unsigned count)
{
    uint64_t mask;

    if (!arg || !count)
        return -EINVAL;
    return copy_from_app(&mask, app_pointer(arg), MIN(count, (unsigned)sizeof(mask)));
}

static long affinity_end(struct uring *ring, uint64_t arg, unsigned count)
{
    return arg || count ? -EINVAL : 0;
}

static long ring_fds(struct uring *ring, uint64_t arg, unsigned count)
{
    return uring_ring_fds_register(arg, count);
}

static long ring_fds_end(struct uring *ring, uint64_t arg, unsigned count)
{
    return uring_ring_fds_unregister(arg, count);
}

static long buffer_ring(struct uring *ring, uint64_t arg, unsigned count)
{
    struct abi_uring_buf_reg args;

    if (!arg || count != 1)
        return -EINVAL;
    if (copy_from_app(&args, app_pointer(arg), sizeof(args)))
        return -EFAULT;
    return uring_register_buffer_ring(ring, &args);
}

static long buffer_ring_end(struct uring *ring, uint64_t arg, unsigned count)
{
    struct abi_uring_buf_reg args;

    if (!arg || count != 1)
        return -EINVAL;
    if (copy_from_app(&args, app_pointer(arg), sizeof(args)))
        return -EFAULT;
    return uring_unregister_buffer_ring(ring, &args);
}

/* The waiter runs what is ready, as in io_uring_enter(). */
static bool is_left_alone(struct uring *ring, struct uring_pool *pool,
                          const struct uring_match *match)
{
    uring_pool_run_ready(pool);
    return !uring_is_running(ring, match);
}

/* Until no worker is at what was cancelled; others may submit meanwhile. */
static int await_workers(struct uring *ring, const struct uring_match *match, nsec_t deadline)
{
    struct uring_pool *pool;
    struct uring_waiter waiter;
    int err = uring_pool_get(&pool);

    if (err)
        return err;
    mutex_unlock(&ring->submit_lock);
    uring_pool_wait_begin(pool, ring, &waiter);
    err = wait_on(&waiter.queue, is_left_alone(ring, pool, match), deadline);
    uring_pool_wait_end(pool, &waiter);
    mutex_lock(&ring->submit_lock);
    return err == -ETIMEDOUT ? -ETIME : err;
}

/* As IORING_OP_ASYNC_CANCEL, and waits until workers have ended what was found. */
static long sync_cancel(struct uring *ring, uint64_t arg, unsigned count)
{
    struct abi_uring_sync_cancel args;
    struct uring_match match = { 0 };
    struct uring_resource *resource = NULL;

    if (!arg || count != 1)
        return -EINVAL;
    if (copy_from_app(&args, app_pointer(arg), sizeof(args)))
        return -EFAULT;
    if (args.flags & ~(ABI_URING_CANCEL_ALL | ABI_URING_CANCEL_FD | ABI_URING_CANCEL_ANY |
                       ABI_URING_CANCEL_FD_FIXED) ||
        args.pad[0] || args.pad[1] || args.pad[2] || args.pad[3])
        return -EINVAL;
    const struct abi_timespec timeout = { args.timeout_sec, args.timeout_nsec };
    nsec_t time, deadline = DEADLINE_NONE;
    if (timeout.tv_sec != -1 && timeout.tv_nsec != -1) {
        if (nsec_from_timespec(&timeout, &time))
            return -EINVAL;
        deadline = deadline_after(time);
    }
    match.user_data = args.addr;
    match.flags = args.flags;
    if (args.flags & ABI_URING_CANCEL_FD_FIXED) {
        resource = uring_table_get(ring, &ring->files, (unsigned)args.fd);
        match.file = resource ? file_get(resource->file) : NULL;
    } else if (args.flags & ABI_URING_CANCEL_FD) {
        match.file = fd_get(args.fd);
    }
    if (args.flags & ABI_URING_CANCEL_FD && !match.file)
        return -EBADF;
    long result = uring_cancel(ring, &match);
    if (result == -EALREADY)
        result = await_workers(ring, &match, deadline);
    if (match.file)
        file_put(match.file);
    if (resource)
        uring_resource_put(resource);
    return result > 0 ? 0 : result;
}

static long (*const handler[])(struct uring *ring, uint64_t arg, unsigned count) = {
    [ABI_URING_REGISTER_BUFFERS] = buffers_old,
    [ABI_URING_UNREGISTER_BUFFERS] = buffers_end,
    [ABI_URING_REGISTER_FILES] = files_old,
    [ABI_URING_UNREGISTER_FILES] = files_end,
    [ABI_URING_REGISTER_EVENTFD] = eventfd_set,
    [ABI_URING_UNREGISTER_EVENTFD] = eventfd_end,
    [ABI_URING_REGISTER_FILES_UPDATE] = files_update_old,
    [ABI_URING_REGISTER_EVENTFD_ASYNC] = eventfd_set,
    [ABI_URING_REGISTER_PROBE] = probe,
    [ABI_URING_REGISTER_PERSONALITY] = personality_add,
    [ABI_URING_UNREGISTER_PERSONALITY] = personality_remove,
    [ABI_URING_REGISTER_RESTRICTIONS] = restrictions,
    [ABI_URING_REGISTER_ENABLE_RINGS] = enable,
    [ABI_URING_REGISTER_FILES2] = files_new,
    [ABI_URING_REGISTER_FILES_UPDATE2] = files_update,
    [ABI_URING_REGISTER_BUFFERS2] = buffers_new,
    [ABI_URING_REGISTER_BUFFERS_UPDATE] = buffers_update,
    [ABI_URING_REGISTER_IOWQ_AFF] = affinity,
    [ABI_URING_UNREGISTER_IOWQ_AFF] = affinity_end,
    [ABI_URING_REGISTER_IOWQ_MAX_WORKERS] = max_workers,
    [ABI_URING_REGISTER_RING_FDS] = ring_fds,
    [ABI_URING_UNREGISTER_RING_FDS] = ring_fds_end,
    [ABI_URING_REGISTER_PBUF_RING] = buffer_ring,
    [ABI_URING_UNREGISTER_PBUF_RING] = buffer_ring_end,
    [ABI_URING_REGISTER_SYNC_CANCEL] = sync_cancel,
    [ABI_URING_REGISTER_FILE_ALLOC_RANGE] = file_range,
};

long uring_register(struct uring *ring, unsigned opcode, uint64_t arg, unsigned count)
{
    if (opcode >= ARRAY_SIZE(handler))
        return -EINVAL;
    if (uring_check_submitter(ring))
        return -EEXIST;
    if (ring->is_restricted && !(ring->allowed_registers >> opcode & 1))
        return -EACCES;
    mutex_lock(&ring->submit_lock);
    long result = handler[opcode](ring, arg, count);
    mutex_unlock(&ring->submit_lock);
    return result;
}
