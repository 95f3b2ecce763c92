// SPDX-License-Identifier: MIT
/*
 * The three system calls of io_uring, and the rings that a thread has registered.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/time.h"
#include "fs/uring/uring.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define RING_FDS 16u

/* ---- Registered rings --------------------------------------------------------------------- */

struct ring_fds {
    struct thread_attachment attachment;
    struct file *file[RING_FDS];
};

static void ring_fds_release(struct thread_attachment *attachment)
{
    struct ring_fds *fds = container_of(attachment, struct ring_fds, attachment);

    for (unsigned i = 0; i < RING_FDS; i++) {
        if (fds->file[i])
            file_put(fds->file[i]);
    }
    kfree(fds);
}

static struct ring_fds *ring_fds_current(void)
{
    struct thread_attachment *attachment = thread_current()->ring_fds;

    return attachment ? container_of(attachment, struct ring_fds, attachment) : NULL;
}

struct file *uring_ring_fd(unsigned index)
{
    struct ring_fds *fds = ring_fds_current();

    return fds && index < RING_FDS && fds->file[index] ? file_get(fds->file[index]) : NULL;
}

/* The slot that was asked for (offset -1: any), or -errno. */
static int ring_fd_add(struct ring_fds *fds, struct abi_uring_rsrc_update *update)
{
    unsigned slot = update->offset;

    if (update->resv)
        return -EINVAL;
    if (slot == UINT32_MAX) {
        slot = 0;
        while (slot < RING_FDS && fds->file[slot])
            slot++;
        if (slot == RING_FDS)
            return -EBUSY;
    } else if (slot >= RING_FDS) {
        return -EINVAL;
    } else if (fds->file[slot]) {
        return -EBUSY;
    }
    struct file *file = fd_get((int)update->data);
    if (!file)
        return -EBADF;
    if (!uring_of(file)) {
        file_put(file);
        return -EOPNOTSUPP;
    }
    fds->file[slot] = file;
    update->offset = slot;
    return 0;
}

#define UPDATE_SIZE offsetof(struct abi_uring_rsrc_update, tags)

long uring_ring_fds_register(uint64_t arg, unsigned count)
{
    struct thread *self = thread_current();
    unsigned done = 0;
    int err = 0;

    if (!count || count > RING_FDS)
        return -EINVAL;
    if (!self->ring_fds) {
        struct ring_fds *new = kzalloc(sizeof(*new), ALLOC_WAIT);
        if (!new)
            return -ENOMEM;
        new->attachment.release = ring_fds_release;
        self->ring_fds = &new->attachment;
    }
    struct ring_fds *fds = ring_fds_current();
    while (done < count && !err) {
        void __app *at = app_pointer(arg + done * UPDATE_SIZE);
        struct abi_uring_rsrc_update update = { 0 };
        err = copy_from_app(&update, at, UPDATE_SIZE);
        if (!err)
            err = ring_fd_add(fds, &update);
        if (!err && copy_to_app(at, &update, UPDATE_SIZE)) {
            file_put(fds->file[update.offset]);
            fds->file[update.offset] = NULL;
            err = -EFAULT;
        }
        done += !err;
    }
    return done ? (long)done : err;
}

long uring_ring_fds_unregister(uint64_t arg, unsigned count)
{
    struct ring_fds *fds = ring_fds_current();
    unsigned done = 0;
    int err = 0;

    if (!count || count > RING_FDS)
        return -EINVAL;
    while (fds && done < count && !err) {
        struct abi_uring_rsrc_update update = { 0 };
        err = copy_from_app(&update, app_pointer(arg + done * UPDATE_SIZE), UPDATE_SIZE);
        if (!err && (update.resv || update.data || update.offset >= RING_FDS))
            err = -EINVAL;
        if (err)
            break;
        if (fds->file[update.offset])
            file_put(fds->file[update.offset]);
        fds->file[update.offset] = NULL;
        done++;
    }
    return done ? (long)done : err;
}

/* ---- io_uring_setup --------------------------------------------------------------------------- */

long sys_io_uring_setup(unsigned entries, void __app *at)
{
    struct abi_uring_params params;
    struct uring_pool *pool;
    struct file *file;

    if (copy_from_app(&params, at, sizeof(params)))
        return -EFAULT;
    int err = uring_pool_get(&pool);
    if (!err)
        err = uring_create(entries, &params, &file);
    if (err)
        return err;
    int fd = -EFAULT;
    if (!copy_to_app(at, &params, sizeof(params)))
        fd = fd_install(file, true, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

/* ---- io_uring_enter ------------------------------------------------------------------------------ */

/* What to wait for and how. */
struct wait_args {
    const void __app *mask;
    size_t mask_size;
    nsec_t deadline;
};

static int wait_args_load(struct wait_args *args, unsigned flags, const void __app *arg,
                          size_t size)
{
    struct abi_uring_getevents_arg extended;

    *args = (struct wait_args){ .mask = arg, .mask_size = size, .deadline = DEADLINE_NONE };
    if (!(flags & ABI_URING_ENTER_EXT_ARG))
        return 0;
    if (size != sizeof(extended))
        return -EINVAL;
    if (copy_from_app(&extended, arg, sizeof(extended)))
        return -EFAULT;
    if (extended.pad)
        return -EINVAL;
    args->mask = app_pointer(extended.sigmask);
    args->mask_size = extended.sigmask_sz;
    return deadline_from_app(app_pointer(extended.ts), &args->deadline);
}

static long wait_events(struct uring *ring, struct uring_pool *pool, unsigned min, unsigned flags,
                        const void __app *arg, size_t size)
{
    struct wait_args args;
    int err = wait_args_load(&args, flags, arg, size);

    if (!err && ring->flags & ABI_URING_SETUP_DEFER_TASKRUN)
        err = uring_check_submitter(ring);
    if (!err)
        err = signal_mask_begin(args.mask, args.mask_size);
    if (err)
        return err;
    err = uring_wait(ring, pool, min, args.deadline);
    signal_mask_end(args.mask, err == -EINTR);
    return err;
}

static bool has_room(struct uring *ring)
{
    return READ_ONCE(ring->shared->sq_tail) - READ_ONCE(ring->sq_head) < ring->sq_entries ||
           !READ_ONCE(ring->sq_pool);
}

static long submit_to_thread(struct uring *ring, unsigned count, unsigned flags)
{
    if (!READ_ONCE(ring->sq_pool))
        return -EOWNERDEAD;
    if (flags & ABI_URING_ENTER_SQ_WAKEUP)
        wake_all(&ring->sq_wait);
    if (flags & ABI_URING_ENTER_SQ_WAIT)
        (void)!wait_on(&ring->sq_room_wait, has_room(ring), DEADLINE_NONE);
    return count;
}

static long enter(struct uring *ring, unsigned count, unsigned min, unsigned flags,
                  const void __app *arg, size_t size)
{
    struct uring_pool *pool;
    long submitted = 0;
    int err = uring_pool_get(&pool);

    if (err)
        return err;
    if (READ_ONCE(ring->flags) & ABI_URING_SETUP_R_DISABLED)
        return -EBADFD;
    if (ring->flags & ABI_URING_SETUP_SQPOLL) {
        uring_flush_overflow(ring);
        submitted = submit_to_thread(ring, count, flags);
        if (submitted < 0)
            return submitted;
    } else if (count) {
        err = uring_check_submitter(ring);
        if (err)
            return err;
        mutex_lock(&ring->submit_lock);
        submitted = uring_submit(ring, pool, count);
        mutex_unlock(&ring->submit_lock);
        if (submitted != (long)count)
            return submitted;
    }
    if (!(flags & ABI_URING_ENTER_GETEVENTS))
        return submitted;
    long result = wait_events(ring, pool, min, flags, arg, size);
    return submitted ? submitted : result;
}

long sys_io_uring_enter(unsigned fd, unsigned count, unsigned min, unsigned flags,
                        const void __app *arg, size_t size)
{
    if (flags & ~ABI_URING_ENTER_FLAGS)
        return -EINVAL;
    struct file *file =
        flags & ABI_URING_ENTER_REGISTERED_RING ? uring_ring_fd(fd) : fd_get((int)fd);
    if (!file)
        return -EBADF;
    struct uring *ring = uring_of(file);
    long result = ring ? enter(ring, count, min, flags, arg, size) : -EOPNOTSUPP;
    file_put(file);
    return result;
}

/* ---- io_uring_register ------------------------------------------------------------------------------- */

long sys_io_uring_register(unsigned fd, unsigned opcode, void __app *arg, unsigned count)
{
    struct file *file = fd_get((int)fd);

    if (!file)
        return -EBADF;
    struct uring *ring = uring_of(file);
    long result = ring ? uring_register(ring, opcode, (uintptr_t)arg, count) : -EOPNOTSUPP;
    file_put(file);
    return result;
}
