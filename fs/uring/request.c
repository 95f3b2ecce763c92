// SPDX-License-Identifier: MIT
/*
 * io_uring: the life of a request.
 *
 * A request has one owner at a time: who submits it, the thread that runs what is ready, or a worker.
 * While it waits (for its file to become ready, a timer, its cancellation) nobody owns it; whoever kicks it
 * then puts it on its pool's ready list and so hands it to the next owner.  A kick that finds an owner is
 * remembered, and the owner looks again before it lets go.  After it let go, and after completion,
 * the owner does not touch the request any more.
 *
 * Running is: try without blocking; if that would block, watch the file and try once more, since it may have
 * become ready in between; then rest.  Files that cannot be watched go to a worker.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "fs/uring/uring.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "kernel/thread_files.h"
#include "kernel/usercopy.h"

#define STRING_SLACK 128 /* usercopy reads strings in pieces of that size */

/* ---- Kicks -------------------------------------------------------------------------------- */

void uring_request_kick_locked(struct uring_request *request)
{
    if (request->is_busy) {
        request->is_kicked = true;
        return;
    }
    request->is_busy = true;
    uring_pool_ready_locked(request);
}

static void kick(struct uring_request *request)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    uring_request_kick_locked(request);
    spin_unlock_irq(&uring_lock, flags);
}

void uring_request_cancel_locked(struct uring_request *request)
{
    request->is_cancelled = true;
    if (request->runner)
        signal_kick(request->runner, THREAD_WORK_CANCEL);
    uring_request_kick_locked(request);
}

static void watcher_notify(struct poll_watcher *watcher, unsigned events)
{
    struct uring_request *request = container_of(watcher, struct uring_request, watcher);
    unsigned wanted = request->op->is_poll ? request->sqe.op_flags : request->op->events;

    if (!events || events & (wanted | ABI_POLLERR | ABI_POLLHUP | ABI_POLLFREE))
        kick(request);
}

static void timer_fire(struct timer *timer)
{
    struct uring_request *request = container_of(timer, struct uring_request, timer);
    unsigned long flags = spin_lock_irq(&uring_lock);
    request->is_expired = true;
    uring_request_kick_locked(request);
    spin_unlock_irq(&uring_lock, flags);
}

/* Lets go; false: it was kicked meanwhile and has to be looked at again. */
static bool rest(struct uring_request *request)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    bool was_kicked = request->is_kicked;
    request->is_kicked = false;
    if (!was_kicked)
        request->is_busy = false;
    spin_unlock_irq(&uring_lock, flags);
    return !was_kicked;
}

/* ---- Arguments -------------------------------------------------------------------------------- */

void *uring_make_arg(struct uring_request *request, unsigned i, size_t len)
{
    void *copy = kzalloc(len, ALLOC_WAIT);

    if (copy) {
        request->call.arg[i].start = (uintptr_t)copy;
        request->call.arg[i].size = len;
    }
    return copy;
}

int uring_copy_arg(struct uring_request *request, unsigned i, uint64_t from, size_t len)
{
    void *copy = uring_make_arg(request, i, MAX(len, (size_t)1));

    return copy ? copy_from_app(copy, app_pointer(from), len) : -ENOMEM;
}

int uring_copy_string(struct uring_request *request, unsigned i, uint64_t from)
{
    long len = string_length_app(app_pointer(from), 4096);

    if (len < 0)
        return (int)len;
    if (len == 4096)
        return -ENAMETOOLONG;
    char *copy = uring_make_arg(request, i, (size_t)len + 1 + STRING_SLACK);
    return copy ? copy_from_app(copy, app_pointer(from), (size_t)len) : -ENOMEM;
}

int uring_late_fault(struct uring_request *request, int err)
{
    if (err != -EFAULT)
        return err;
    request->late_error = err;
    return 0;
}

/* ---- Creation ------------------------------------------------------------------------------------ */

static void keep_places(struct uring_request *request)
{
    const struct thread *self = thread_current();

    request->files = files_take_share();
    if (self->fs)
        request->fs = fs_context_get(self->fs);
}

static void drop_places(struct uring_request *request)
{
    if (request->files)
        fdtable_put(request->files);
    if (request->fs)
        fs_context_put(request->fs);
}

int uring_request_create(struct uring *ring, struct uring_pool *pool,
                         const struct abi_uring_sqe *sqe, struct uring_request **out)
{
    struct uring_request *request = kzalloc(sizeof(*request), ALLOC_WAIT);

    if (!request)
        return -EAGAIN;
    request->ring = ring;
    request->pool = pool;
    request->sqe = *sqe;
    request->op = sqe->opcode < ABI_URING_OP_LAST ? &uring_ops[sqe->opcode] : &uring_ops[0];
    request->expected = -1;
    request->is_busy = true;
    list_init(&request->queue_node);
    request->watcher.notify = watcher_notify;
    timer_init(&request->timer, timer_fire);

    unsigned long flags = spin_lock_irq(&uring_lock);
    bool may = !pool->is_ending && !ring->is_dead;
    if (may) {
        list_push_back(&ring->requests, &request->ring_node);
        list_push_back(&pool->requests, &request->pool_node);
        pool->nrequests++;
    }
    spin_unlock_irq(&uring_lock, flags);
    if (!may) {
        kfree(request);
        return -EAGAIN;
    }
    uring_get(ring);
    keep_places(request);
    *out = request;
    return 0;
}

static bool is_forbidden(const struct uring *ring, const struct abi_uring_sqe *sqe)
{
    return ring->is_restricted && (!(ring->allowed_ops >> sqe->opcode & 1) ||
                                   sqe->flags & ~(ring->allowed_flags | ring->required_flags) ||
                                   (sqe->flags & ring->required_flags) != ring->required_flags);
}

int uring_request_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    const struct uring_op *op = request->op;

    if (sqe->opcode >= ABI_URING_OP_LAST || sqe->flags & ~ABI_SQE_FLAGS)
        return -EINVAL;
    if (!op->issue)
        return -EOPNOTSUPP;
    if (is_forbidden(request->ring, sqe))
        return -EACCES;
    if (sqe->flags & ABI_SQE_BUFFER_SELECT && !op->selects_buffer)
        return -EOPNOTSUPP;
    if (!op->takes_ioprio && sqe->ioprio)
        return -EINVAL;
    if (request->ring->flags & ABI_URING_SETUP_IOPOLL && !op->works_polled)
        return op->events && !op->blocks ? -EOPNOTSUPP
                                         : -EINVAL; /* no file here can be polled for I/O */
    if (sqe->personality &&
        (sqe->personality > 64 || !(request->ring->personalities >> (sqe->personality - 1) & 1)))
        return -EINVAL;
    return op->prepare ? op->prepare(request) : 0;
}

/* ---- Running -------------------------------------------------------------------------------------- */

/*
 * Whoever runs a request uses the descriptors and directories of the thread that submitted it.  Called again, the
 * thread has its own back.
 */
static void exchange_places(struct uring_request *request)
{
    struct thread *self = thread_current();

    if (likely(self->files == request->files && self->fs == request->fs))
        return;
    mutex_lock(&self->process->lock); /* /proc looks */
    struct fdtable *files = self->files;
    struct fs_context *fs = self->fs;
    self->files = request->files;
    self->fs = request->fs;
    request->files = files;
    request->fs = fs;
    mutex_unlock(&self->process->lock);
}

/* The file of a request that is started, as late as a linked open may provide it. */
static int find_file(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (!request->op->needs_file)
        return 0;
    if (sqe->flags & ABI_SQE_FIXED_FILE) {
        request->file_resource =
            uring_table_get(request->ring, &request->ring->files, (unsigned)sqe->fd);
        if (!request->file_resource)
            return -EBADF;
        request->call.file = file_get(request->file_resource->file);
        return 0;
    }
    exchange_places(request);
    request->call.file = fd_get(sqe->fd);
    exchange_places(request);
    return request->call.file ? 0 : -EBADF;
}

static long issue(struct uring_request *request, bool nonblock)
{
    struct thread *self = thread_current();
    struct call_context *outer = self->call;

    if (request->sqe.flags & ABI_SQE_BUFFER_SELECT && !request->buffer) {
        int err = uring_buffer_select(request);
        if (err)
            return err;
    }
    request->call.nonblock = nonblock;
    exchange_places(request);
    self->call = &request->call;
    long result = request->op->issue(request);
    self->call = outer;
    exchange_places(request);
    if (result == -ERESTARTSYS || result == -ERESTARTNOHAND || result == -ERESTARTNOINTR ||
        result == -ERESTART_RESTARTBLOCK)
        result = -EINTR;
    if (result <= 0 && request->buffer) /* it has no data */
        uring_buffer_recycle(request);
    return result;
}

static void watch(struct uring_request *request)
{
    request->is_watched = true;
    poll_watch(file_poll_head(request->call.file), &request->watcher);
}

static bool can_watch(const struct uring_request *request)
{
    return request->op->events && request->call.file && file_poll_head(request->call.file);
}

/* One try; URING_WAIT: rest, or go on if is_watched was not set before. */
static bool try_once(struct uring_request *request, long *result)
{
    bool was_watched = request->is_watched;

    if (READ_ONCE(request->is_cancelled)) {
        *result = -ECANCELED;
        return true;
    }
    if (request->op->is_poll && !was_watched && file_poll_head(request->call.file))
        watch(request);
    *result = issue(request, true);
    if (*result != -EAGAIN)
        return *result != URING_WAIT;
    if (request->no_wait || !can_watch(request))
        return true;
    *result = URING_WAIT;
    if (!was_watched) {
        watch(request);
        unsigned long flags = spin_lock_irq(&uring_lock);
        request->is_kicked = true; /* it may have become ready before it was watched */
        spin_unlock_irq(&uring_lock, flags);
    }
    return false;
}

void uring_request_run(struct uring_request *request)
{
    long result;

    if (!request->has_started) {
        uring_request_start(request);
        return;
    }
    for (;;) {
        if (try_once(request, &result))
            break;
        if (rest(request))
            return;
    }
    bool is_final =
        request->call.file && file_poll_head(request->call.file) && !request->op->blocks;
    if (result == -EAGAIN && !request->no_wait && request->op->needs_file && !is_final &&
        !request->in_worker)
        uring_pool_work(request);
    else
        uring_request_complete(request, result);
}

/* uring_lock held: the linked timeout, which its request has owned since it was submitted, is on its own. */
static void timeout_let_go(struct uring_request *timeout)
{
    if (timeout->has_started)
        return;
    timeout->has_started = true;
    timeout->is_busy = false;
}

static void timeout_start(struct uring_request *guarded)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    struct uring_request *timeout = guarded->timeout;
    if (timeout) {
        timeout_let_go(timeout);
        uring_request_kick_locked(timeout);
    }
    spin_unlock_irq(&uring_lock, flags);
}

void uring_request_start(struct uring_request *request)
{
    int err = request->error ? request->error : find_file(request);

    if (!err)
        err = request->late_error;

    request->has_started = true;
    if (err) {
        uring_request_complete(request, err);
        return;
    }
    timeout_start(request);
    bool to_worker = request->op->blocks || request->sqe.flags & ABI_SQE_ASYNC;
    if (to_worker && !request->op->is_poll && !can_watch(request))
        uring_pool_work(request);
    else
        uring_request_run(request);
}

void uring_request_work(struct uring_request *request)
{
    struct thread *self = thread_current();
    long result = -ECANCELED;

    request->in_worker = true;
    unsigned long flags = spin_lock_irq(&uring_lock);
    bool is_cancelled = request->is_cancelled;
    request->runner = self;
    spin_unlock_irq(&uring_lock, flags);
    if (!is_cancelled)
        result = issue(request, false);
    flags = spin_lock_irq(&uring_lock);
    request->runner = NULL;
    if (request->is_cancelled)
        uring_wake_locked(request->ring); /* sync_cancel() */
    __atomic_fetch_and(&self->work, ~THREAD_WORK_CANCEL, __ATOMIC_SEQ_CST);
    spin_unlock_irq(&uring_lock, flags);
    if (result == URING_WAIT)
        uring_request_run(request);
    else
        uring_request_complete(request, result);
}

/* ---- Completion ----------------------------------------------------------------------------------- */

static void free_request(struct uring_request *request)
{
    struct uring *ring = request->ring;

    if (request->op->finish)
        request->op->finish(request);
    if (request->call.file)
        file_put(request->call.file);
    if (request->call.file2)
        file_put(request->call.file2);
    if (request->file_resource)
        uring_resource_put(request->file_resource);
    if (request->buffer_resource)
        uring_resource_put(request->buffer_resource);
    for (unsigned i = 0; i < URING_ARGS_MAX; i++)
        kfree((void *)request->call.arg[i].start);
    kfree(request->vector);
    kfree(request->buffer);
    drop_places(request);
    kfree(request);
    uring_put(ring);
}

static unsigned buffer_flags(const struct uring_request *request)
{
    return request->buffer
               ? ABI_CQE_F_BUFFER | (unsigned)request->buffer->bid << ABI_CQE_BUFFER_SHIFT
               : 0;
}

bool uring_request_post_more(struct uring_request *request, long result)
{
    if (!uring_try_post(request->ring, request->sqe.user_data, (int)result,
                        request->cqe_flags | buffer_flags(request) | ABI_CQE_F_MORE))
        return false;
    kfree(request->buffer);
    request->buffer = NULL;
    return true;
}

void uring_release_deferred_locked(struct uring *ring)
{
    while (!list_is_empty(&ring->deferred)) {
        struct uring_request *request =
            list_first(&ring->deferred, struct uring_request, queue_node);
        if (request->sqe.flags & ABI_SQE_IO_DRAIN && ring->nactive > 0 && !request->is_cancelled)
            return;
        list_remove(&request->queue_node);
        for (struct uring_request *each = request; each; each = each->next)
            ring->nactive += 1 + (each->timeout != NULL);
        uring_pool_ready_locked(request);
    }
}

/* Off all lists: nobody else knows the request from here on. */
static void forget(struct uring_request *request)
{
    if (request->is_watched)
        poll_unwatch(&request->watcher);
    timer_cancel(&request->timer);
    unsigned long flags = spin_lock_irq(&uring_lock);
    struct uring *ring = request->ring;
    list_remove(&request->ring_node);
    if (request->guarded)
        request->guarded->timeout = NULL;
    if (request->timeout) {
        request->timeout->guarded = NULL;
        timeout_let_go(request->timeout);
        uring_request_cancel_locked(request->timeout);
    }
    ring->ncounting -= request->is_counting;
    ring->nactive--;
    uring_release_deferred_locked(ring);
    spin_unlock_irq(&uring_lock, flags);
}

/* The pool may be freed as soon as its last request is gone: this is the last look at it. */
static void leave_pool(struct uring_request *request)
{
    struct uring_pool *pool = request->pool;
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_remove(&request->pool_node);
    if (--pool->nrequests == 0) {
        wake_all(&pool->end_wait);
        wake_all(&pool->runner_wait);
    }
    spin_unlock_irq(&uring_lock, flags);
}

static void finish_one(struct uring_request *request, long result, bool is_quiet)
{
    if (!is_quiet)
        uring_post(request->ring, request->sqe.user_data, (int)result,
                   request->cqe_flags | buffer_flags(request));
    forget(request);
    leave_pool(request);
    free_request(request);
}

/* They end as cancelled, but for one that was wrong itself; quietly if the one that failed wanted so. */
static void fail_links(struct uring_request *request, bool is_quiet)
{
    while (request) {
        struct uring_request *next = request->next;
        finish_one(request, request->error ? request->error : -ECANCELED, is_quiet);
        request = next;
    }
}

void uring_chain_fail(struct uring_request *head)
{
    struct uring_request *next = head->next;
    bool is_quiet = head->sqe.flags & ABI_SQE_CQE_SKIP_SUCCESS;

    finish_one(head, head->error ? head->error : -ECANCELED, false);
    fail_links(next, is_quiet);
}

void uring_request_complete(struct uring_request *request, long result)
{
    struct uring_request *next = request->next;
    bool has_failed = result < 0 || (request->expected >= 0 && result < request->expected);
    bool goes_on = !has_failed || request->keeps_chain || request->sqe.flags & ABI_SQE_IO_HARDLINK;

    bool is_quiet = request->sqe.flags & ABI_SQE_CQE_SKIP_SUCCESS;

    finish_one(request, result, is_quiet && result >= 0);
    if (!next)
        return;
    if (!goes_on) {
        fail_links(next, is_quiet);
        return;
    }
    unsigned long flags = spin_lock_irq(&uring_lock);
    uring_pool_ready_locked(next);
    spin_unlock_irq(&uring_lock, flags);
}
