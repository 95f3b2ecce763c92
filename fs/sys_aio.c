// SPDX-License-Identifier: MIT
/*
 * io_setup(2) and its kin.
 *
 * Reading and writing are done within io_submit(), as Linux does for buffered files; their results,
 * errors included, come as events all the same.  What is wrong with the request itself is io_submit()'s
 * own error.  Only IOCB_CMD_POLL outlasts the call.
 */
#include "abi/aio.h"
#include "abi/poll.h"
#include "abi/uio.h"
#include "fs/aio.h"
#include "fs/event_objects.h"
#include "kernel/clock.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define EVENTS_MAX (0x10000000u / sizeof(struct abi_io_event))
#define IOCB_KEY   0u

/* ---- Contexts ------------------------------------------------------------------------- */

long sys_io_setup(unsigned nevents, void __app *to)
{
    struct vmspace *vm = thread_current()->vmspace;
    uint64_t id;
    uintptr_t address;

    if (copy_from_app(&id, to, sizeof(id)))
        return -EFAULT;
    if (id != 0 || nevents == 0 || nevents > EVENTS_MAX)
        return -EINVAL;
    int err = aio_context_create(vm, nevents, &address);
    if (err)
        return err;
    id = address;
    if (copy_to_app(to, &id, sizeof(id)) == 0)
        return 0;
    (void)sys_io_destroy(address);
    return -EFAULT;
}

long sys_io_destroy(unsigned long id)
{
    struct aio_context *context = aio_context_find(id);

    if (!context)
        return -EINVAL;
    int err = aio_context_destroy(thread_current()->vmspace, context, id);
    aio_context_put(context);
    return err;
}

/* ---- Reading and writing ----------------------------------------------------------------- */

static int io_prepare(struct io *io, const struct abi_iocb *iocb, bool is_vector)
{
    if (is_vector)
        return io_init_vector(io, (const void __app *)iocb->aio_buf, iocb->aio_nbytes);
    if (!app_range_ok((void __app *)iocb->aio_buf, iocb->aio_nbytes))
        return -EFAULT;
    io_init_app(io, (void __app *)iocb->aio_buf, iocb->aio_nbytes);
    return 0;
}

/* A class that ioprio_set(2) would take. */
static int check_priority(const struct abi_iocb *iocb)
{
    unsigned class = (uint16_t)iocb->aio_reqprio >> 13;

    return !(iocb->aio_flags & ABI_IOCB_FLAG_IOPRIO) || class <= 3 ? 0 : -EINVAL;
}

static long transfer(struct aio_request *request, struct io *io, const struct abi_iocb *iocb,
                     bool is_write)
{
    struct file *file = request->file;
    int64_t pos = iocb->aio_offset;
    long n = is_write ? file_write(file, io, &pos) : file_read(file, io, &pos);

    if (n > 0 && is_write && iocb->aio_rw_flags & (ABI_RWF_DSYNC | ABI_RWF_SYNC) &&
        file->ops->fsync) {
        int err = file->ops->fsync(file, !(iocb->aio_rw_flags & ABI_RWF_SYNC));
        if (err)
            n = err;
    }
    return n == -ERESTARTSYS ? -EINTR : n;
}

static int start_transfer(struct aio_request *request, const struct abi_iocb *iocb, bool is_write,
                          bool is_vector)
{
    struct file *file = request->file;
    struct io io;
    int err = check_priority(iocb);

    if (err)
        return err;
    if (iocb->aio_rw_flags & ~ABI_RWF_SUPPORTED)
        return -EOPNOTSUPP;
    if (is_write ? !file_can_write(file) : !file_can_read(file))
        return -EBADF;
    if (is_write ? !file->ops->write : !file->ops->read)
        return -EINVAL;
    err = io_prepare(&io, iocb, is_vector);
    if (err)
        return err;
    if (iocb->aio_offset < 0) {
        io_fini(&io);
        return -EINVAL;
    }
    io.nonblock = iocb->aio_rw_flags & ABI_RWF_NOWAIT;
    io.append = is_write && iocb->aio_rw_flags & ABI_RWF_APPEND;
    long n = transfer(request, &io, iocb, is_write);
    io_fini(&io);
    aio_request_complete(request, n);
    return 0;
}

static int start_pread(struct aio_request *request, const struct abi_iocb *iocb)
{
    return start_transfer(request, iocb, false, false);
}

static int start_pwrite(struct aio_request *request, const struct abi_iocb *iocb)
{
    return start_transfer(request, iocb, true, false);
}

static int start_preadv(struct aio_request *request, const struct abi_iocb *iocb)
{
    return start_transfer(request, iocb, false, true);
}

static int start_pwritev(struct aio_request *request, const struct abi_iocb *iocb)
{
    return start_transfer(request, iocb, true, true);
}

/* ---- Fsync, poll ------------------------------------------------------------------------------ */

static int start_sync(struct aio_request *request, const struct abi_iocb *iocb, bool data_only)
{
    const struct file_ops *ops = request->file->ops;

    if (iocb->aio_buf || iocb->aio_offset || iocb->aio_nbytes || iocb->aio_rw_flags || !ops->fsync)
        return -EINVAL;
    aio_request_complete(request, ops->fsync(request->file, data_only));
    return 0;
}

static int start_fsync(struct aio_request *request, const struct abi_iocb *iocb)
{
    return start_sync(request, iocb, false);
}

static int start_fdsync(struct aio_request *request, const struct abi_iocb *iocb)
{
    return start_sync(request, iocb, true);
}

static int start_poll(struct aio_request *request, const struct abi_iocb *iocb)
{
    if (iocb->aio_buf > UINT16_MAX || iocb->aio_offset || iocb->aio_nbytes || iocb->aio_rw_flags)
        return -EINVAL;
    return aio_poll_start(request, (unsigned)iocb->aio_buf);
}

/* Each ends in aio_request_complete() now or later, or returns -errno. */
static int (*const start[])(struct aio_request *request, const struct abi_iocb *iocb) = {
    [ABI_IOCB_CMD_PREAD] = start_pread,     [ABI_IOCB_CMD_PWRITE] = start_pwrite,
    [ABI_IOCB_CMD_FSYNC] = start_fsync,     [ABI_IOCB_CMD_FDSYNC] = start_fdsync,
    [ABI_IOCB_CMD_POLL] = start_poll,       [ABI_IOCB_CMD_PREADV] = start_preadv,
    [ABI_IOCB_CMD_PWRITEV] = start_pwritev,
};

/* ---- io_submit -------------------------------------------------------------------------------- */

/* The files of a new request. */
static int request_open(struct aio_request *request, const struct abi_iocb *iocb)
{
    request->file = fd_get((int)iocb->aio_fildes);
    if (!request->file)
        return -EBADF;
    if (!(iocb->aio_flags & ABI_IOCB_FLAG_RESFD))
        return 0;
    request->eventfd = fd_get((int)iocb->aio_resfd);
    if (!request->eventfd)
        return -EBADF;
    return file_is_eventfd(request->eventfd) ? 0 : -EINVAL;
}

static int submit_one(struct aio_context *context, uint64_t address)
{
    uint64_t key = address + offsetof(struct abi_iocb, aio_key);
    const uint32_t kernel_key = IOCB_KEY;
    struct aio_request *request;
    struct abi_iocb iocb;

    if (copy_from_app(&iocb, (const void __app *)address, sizeof(iocb)))
        return -EFAULT;
    if (iocb.aio_reserved2 || (int64_t)iocb.aio_nbytes < 0)
        return -EINVAL;
    int err = aio_request_create(context, &request);
    if (err)
        return err;
    request->data = iocb.aio_data;
    request->object = address;
    err = request_open(request, &iocb);
    if (!err)
        err = copy_to_app((void __app *)key, &kernel_key, sizeof(kernel_key));
    if (!err && (iocb.aio_lio_opcode >= ARRAY_SIZE(start) || !start[iocb.aio_lio_opcode]))
        err = -EINVAL;
    if (!err)
        err = start[iocb.aio_lio_opcode](request, &iocb);
    if (err)
        aio_request_drop(request);
    return err;
}

long sys_io_submit(unsigned long id, long count, const void __app *iocbs)
{
    long done = 0;
    int err = 0;

    if (count < 0)
        return -EINVAL;
    struct aio_context *context = aio_context_find(id);
    if (!context)
        return -EINVAL;
    count = MIN(count, (long)context->nslots);
    while (done < count) {
        uint64_t address;
        err = copy_from_app(&address, (const char __app *)iocbs + done * 8, sizeof(address));
        if (!err)
            err = submit_one(context, address);
        if (err)
            break;
        done++;
    }
    aio_context_put(context);
    return done > 0 ? done : err;
}

/* context->lock held. */
static struct aio_request *find_poll(struct aio_context *context, uint64_t object)
{
    struct aio_request *request;

    list_for_each (request, &context->polls, node) {
        if (request->object == object)
            return request;
    }
    return NULL;
}

long sys_io_cancel(unsigned long id, const void __app *iocb, void __app *result)
{
    uint64_t key_address = (uintptr_t)iocb + offsetof(struct abi_iocb, aio_key);
    uint32_t key;

    if (copy_from_app(&key, (const void __app *)key_address, sizeof(key)))
        return -EFAULT;
    if (key != IOCB_KEY)
        return -EINVAL;
    struct aio_context *context = aio_context_find(id);
    if (!context)
        return -EINVAL;
    spin_lock(&context->lock);
    struct aio_request *request = find_poll(context, (uintptr_t)iocb);
    if (request)
        aio_poll_cancel(request);
    spin_unlock(&context->lock);
    aio_context_put(context);
    return request ? -EINPROGRESS : -EINVAL; /* the event comes through the ring */
}

/* ---- io_getevents ------------------------------------------------------------------------------- */

struct collect {
    struct aio_context *context;
    char __app *to;
    long min, max;
    long got; /* or -errno */
};

/* Takes what is there; true: that is enough. */
static bool collect_some(struct collect *collect)
{
    const long size = (long)sizeof(struct abi_io_event);
    void __app *to = collect->to + collect->got * size;
    long n = aio_read_events(collect->context, to, collect->max - collect->got);

    if (n > 0)
        collect->got += n;
    if (n < 0 && collect->got == 0)
        collect->got = n;
    if (collect->got == 0 && READ_ONCE(collect->context->is_dead))
        collect->got = -EINVAL;
    return n < 0 || collect->got < 0 || collect->got >= collect->min ||
           READ_ONCE(collect->context->is_dead);
}

/* An optional relative time; Linux does not look whether it is normalised.  0: do not wait. */
static int deadline_load(const void __app *timeout, nsec_t *deadline)
{
    struct abi_timespec time;
    nsec_t nsec;

    *deadline = DEADLINE_NONE;
    if (!timeout)
        return 0;
    if (copy_from_app(&time, timeout, sizeof(time)))
        return -EFAULT;
    if (__builtin_mul_overflow(time.tv_sec, NSEC_PER_SEC, &nsec) ||
        __builtin_add_overflow(nsec, time.tv_nsec, &nsec))
        nsec = time.tv_sec < 0 ? 0 : DEADLINE_NONE;
    *deadline = nsec <= 0 ? 0 : deadline_after(nsec);
    return 0;
}

/* Events, or -errno; 0 also when a signal ended the wait. */
static long get_events(unsigned long id, long min, long max, void __app *events, nsec_t deadline)
{
    struct collect collect = { .to = events, .min = min, .max = max };

    collect.context = aio_context_find(id);
    if (!collect.context)
        return -EINVAL;
    if (min > max || min < 0) {
        collect.got = -EINVAL;
    } else if (deadline == 0) {
        (void)collect_some(&collect);
    } else {
        (void)wait_on(&collect.context->wait, collect_some(&collect), deadline);
    }
    aio_context_put(collect.context);
    return collect.got;
}

long sys_io_getevents(unsigned long id, long min, long max, void __app *events,
                      const void __app *timeout)
{
    nsec_t deadline;
    int err = deadline_load(timeout, &deadline);
    long got = err ? err : get_events(id, min, max, events, deadline);

    return got == 0 && signal_is_pending() ? -EINTR : got;
}

long sys_io_pgetevents(unsigned long id, long min, long max, void __app *events,
                       const void __app *timeout, const void __app *argument)
{
    struct abi_aio_sigset set = { 0, 0 };
    nsec_t deadline;
    int err = deadline_load(timeout, &deadline);

    if (!err && argument)
        err = copy_from_app(&set, argument, sizeof(set));
    if (!err)
        err = signal_mask_begin((const void __app *)set.mask, set.size);
    if (err)
        return err;
    long got = get_events(id, min, max, events, deadline);
    bool was_interrupted = signal_is_pending();
    signal_mask_end((const void __app *)set.mask, was_interrupted);
    return got == 0 && was_interrupted ? -ERESTARTNOHAND : got;
}
