// SPDX-License-Identifier: MIT
/*
 * IOCB_CMD_POLL: one event when a file becomes ready.
 *
 * A notification comes with the poll_head's lock held, where neither the file's state can be asked nor
 * a request be freed.  So it only puts the request on a list, and a thread, made for the first
 * request that has to wait, asks and completes.  This thread alone ends requests that wait.
 *
 * is_busy is set while a request is on the list or being looked at; who comes then leaves is_kicked, and
 * the look is repeated.  A request begins busy, so that nobody ends it while it is being armed.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "fs/aio.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"

struct aio_poll {
    struct poll_watcher watcher;
    struct aio_request *request;
    unsigned events;
    struct list work_node; /* [w] */
    bool is_busy;          /* [w] */
    bool is_kicked;        /* [w] */
    bool is_cancelled;     /* [w] */
};

/* [w] */
static struct spinlock work_lock = SPINLOCK_INIT(RANK_AIO_WORK);
static struct list work = LIST_INIT(work);
static struct wait_queue work_arrived = WAIT_QUEUE_INIT(work_arrived);

static struct mutex worker_lock = MUTEX_INIT(worker_lock, RANK_OBJECT);
static struct thread *worker; /* [a] set once under worker_lock */

/* ---- The list ------------------------------------------------------------------------- */

/* work_lock held; true: the worker is to be woken. */
static bool kick_locked(struct aio_poll *poll)
{
    if (poll->is_busy) {
        poll->is_kicked = true;
        return false;
    }
    poll->is_busy = true;
    list_push_back(&work, &poll->work_node);
    return true;
}

static void kick(struct aio_poll *poll, bool is_cancelled)
{
    unsigned long flags = spin_lock_irq(&work_lock);
    poll->is_cancelled |= is_cancelled;
    bool must_wake = kick_locked(poll);
    spin_unlock_irq(&work_lock, flags);
    if (must_wake)
        wake_all(&work_arrived);
}

static void poll_notify(struct poll_watcher *watcher, unsigned events)
{
    struct aio_poll *poll = container_of(watcher, struct aio_poll, watcher);

    if (!events || events & poll->events)
        kick(poll, false);
}

/* Busy no more, unless somebody came meanwhile: then it has to be looked at again. */
static bool rest(struct aio_poll *poll)
{
    unsigned long flags = spin_lock_irq(&work_lock);
    bool was_kicked = poll->is_kicked;
    poll->is_kicked = false;
    if (!was_kicked)
        poll->is_busy = false;
    spin_unlock_irq(&work_lock, flags);
    return !was_kicked;
}

static struct aio_poll *work_take(void)
{
    struct aio_poll *poll = NULL;
    unsigned long flags = spin_lock_irq(&work_lock);
    if (!list_is_empty(&work)) {
        poll = list_first(&work, struct aio_poll, work_node);
        list_remove(&poll->work_node);
    }
    spin_unlock_irq(&work_lock, flags);
    return poll;
}

/* ---- The worker --------------------------------------------------------------------------- */

/* Nobody else frees a request that waits; once it is off its context's list and off the poll_head,
 * nobody else knows it. */
static void finish(struct aio_poll *poll, unsigned events)
{
    struct aio_request *request = poll->request;
    struct aio_context *context = request->context;

    poll_unwatch(&poll->watcher);
    spin_lock(&context->lock);
    list_remove(&request->node);
    spin_unlock(&context->lock);
    kfree(poll);
    aio_request_complete(request, events);
}

static void look(struct aio_poll *poll)
{
    do {
        bool is_cancelled = READ_ONCE(poll->is_cancelled);
        unsigned events = is_cancelled ? 0 : file_poll(poll->request->file) & poll->events;
        if (events || is_cancelled) {
            finish(poll, events);
            return;
        }
    } while (!rest(poll));
}

static void worker_run(void *arg)
{
    struct aio_poll *poll;

    (void)arg;
    for (;;) {
        (void)wait_on_always(&work_arrived, (poll = work_take()) != NULL, DEADLINE_NONE);
        look(poll);
    }
}

static int worker_make(void)
{
    if (__atomic_load_n(&worker, __ATOMIC_ACQUIRE))
        return 0;
    mutex_lock(&worker_lock);
    if (!worker) {
        struct thread *thread = thread_create_kernel("aio", worker_run, NULL);
        if (thread)
            thread_start(thread);
        __atomic_store_n(&worker, thread, __ATOMIC_RELEASE);
    }
    bool exists = worker;
    mutex_unlock(&worker_lock);
    return exists ? 0 : -ENOMEM;
}

/* ---- Starting and cancelling ----------------------------------------------------------------- */

static int poll_create(struct aio_request *request, unsigned events)
{
    struct aio_poll *poll = kzalloc(sizeof(*poll), ALLOC_WAIT);

    if (!poll)
        return -ENOMEM;
    poll->watcher.notify = poll_notify;
    poll->request = request;
    poll->events = events;
    poll->is_busy = true;
    list_init(&poll->work_node);
    request->private = poll;
    return 0;
}

/* From rest() on the worker may end the request: nothing of it is touched after that. */
static void arm(struct aio_poll *poll)
{
    struct aio_request *request = poll->request;
    struct aio_context *context = request->context;

    spin_lock(&context->lock);
    list_push_back(&context->polls, &request->node);
    bool is_dead = context->is_dead;
    spin_unlock(&context->lock);
    poll_watch(file_poll_head(request->file), &poll->watcher);
    bool is_ready = is_dead || file_poll(request->file) & poll->events;
    unsigned long flags = spin_lock_irq(&work_lock);
    bool must_look = is_ready || poll->is_kicked;
    poll->is_cancelled |= is_dead;
    poll->is_kicked = false;
    poll->is_busy = false;
    if (must_look)
        (void)kick_locked(poll);
    spin_unlock_irq(&work_lock, flags);
    if (must_look)
        wake_all(&work_arrived);
}

int aio_poll_start(struct aio_request *request, unsigned events)
{
    struct file *file = request->file;

    events |= ABI_POLLERR | ABI_POLLHUP;
    unsigned ready = file_poll(file) & events;
    if (ready) {
        aio_request_complete(request, ready);
        return 0;
    }
    int err = file_poll_head(file) ? worker_make() : -EINVAL;
    if (!err)
        err = poll_create(request, events);
    if (!err)
        arm(request->private);
    return err;
}

void aio_poll_cancel(struct aio_request *request)
{
    kick(request->private, true);
}
