// SPDX-License-Identifier: MIT
/*
 * io_uring: the threads that act for a process.
 *
 * A pool belongs to a process from its first ring to its end or its execve.  Its threads are kernel
 * threads with the process's address space, descriptors and credentials, in none of its lists: signals and
 * wait4() do not know them.  Requests that became ready are run by a thread that waits in
 * io_uring_enter(), if there is one, else by the pool's runner; what may block goes to workers, which are made
 * when none is idle and leave after a while without work.
 *
 * The end: no new requests, everything is cancelled, and the ending thread waits for the last request and
 * the last thread.  Only then may the process's address space and descriptors go.
 */
#include "abi/errno.h"
#include "fs/uring/uring.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/thread_files.h"
#include "kernel/thread_fs.h"

#define WORKER_IDLE (5 * NSEC_PER_SEC)

struct spinlock uring_lock = SPINLOCK_INIT(RANK_URING);

/* ---- Threads ---------------------------------------------------------------------------- */

struct pool_thread {
    struct uring_pool *pool;
    void (*function)(void *);
    void *arg;
};

static void thread_leave(struct uring_pool *pool)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    pool->nthreads--;
    /* Under the lock: the pool may be freed once it is released. */
    wake_all(&pool->end_wait);
    spin_unlock_irq(&uring_lock, flags);
}

static void thread_run(void *arg)
{
    struct pool_thread start = *(struct pool_thread *)arg;

    kfree(arg);
    start.function(start.arg);
    thread_current()->vmspace = NULL;
    thread_fs_leave(thread_current());
    thread_files_discard(thread_current());
    thread_leave(start.pool);
}

/* For what the thread submits itself; requests of others bring theirs along (keep_places()). */
static void places_inherit(struct thread *thread)
{
    const struct thread *self = thread_current();

    thread->files = files_take_share();
    if (self->fs)
        thread->fs = fs_context_get(self->fs);
}

int uring_pool_thread(struct uring_pool *pool, const char *name, void (*function)(void *),
                      void *arg, bool keeps_places)
{
    struct pool_thread *start = kzalloc(sizeof(*start), ALLOC_WAIT);

    if (!start)
        return -ENOMEM;
    *start = (struct pool_thread){ .pool = pool, .function = function, .arg = arg };
    struct thread *thread = thread_create_kernel(name, thread_run, start);
    if (!thread) {
        kfree(start);
        return -ENOMEM;
    }
    /* As process_create_thread(): a thread's end drops two. */
    thread->process = process_get(process_get(pool->process));
    thread->vmspace = pool->process->vmspace;
    thread->signals.blocked = ~0ULL;
    if (keeps_places)
        places_inherit(thread);
    unsigned long flags = spin_lock_irq(&uring_lock);
    pool->nthreads++;
    spin_unlock_irq(&uring_lock, flags);
    thread_start(thread);
    return 0;
}

/* ---- What is ready ------------------------------------------------------------------------ */

void uring_pool_ready_locked(struct uring_request *request)
{
    struct uring_pool *pool = request->pool;

    list_push_back(&pool->ready, &request->queue_node);
    if (list_is_empty(&pool->waiters))
        wake_one(&pool->runner_wait);
    else
        wake_all(&list_first(&pool->waiters, struct uring_waiter, pool_node)->queue);
}

/* uring_lock held.  The first whose ring no other thread runs: what became ready in one ring is run in its order. */
static struct uring_request *first_ready(struct uring_pool *pool)
{
    struct uring_request *request;

    list_for_each (request, &pool->ready, queue_node)
        if (!request->ring->is_running)
            return request;
    return NULL;
}

/* ring: the one that was run before, or NULL. */
static struct uring_request *take_ready(struct uring_pool *pool, struct uring *ring)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    if (ring)
        ring->is_running = false;
    struct uring_request *request = first_ready(pool);
    if (request) {
        list_remove(&request->queue_node);
        request->ring->is_running = true;
    }
    spin_unlock_irq(&uring_lock, flags);
    return request;
}

/* Whoever finds a ring being run leaves the rest to the thread that runs it, which looks again after each request. */
void uring_pool_run_ready(struct uring_pool *pool)
{
    struct uring *ring = NULL;
    struct uring_request *request;

    while ((request = take_ready(pool, ring)) != NULL) {
        if (ring)
            uring_put(ring);
        ring = uring_get(request->ring);
        uring_request_run(request);
        sched_check();
    }
    if (ring)
        uring_put(ring);
}

static bool has_ready(struct uring_pool *pool)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    bool has_any = first_ready(pool) || (pool->is_ending && pool->nrequests == 0);
    spin_unlock_irq(&uring_lock, flags);
    return has_any;
}

static void runner_run(void *arg)
{
    struct uring_pool *pool = arg;

    for (;;) {
        (void)wait_on_always(&pool->runner_wait, has_ready(pool), DEADLINE_NONE);
        uring_pool_run_ready(pool);
        if (READ_ONCE(pool->is_ending) && READ_ONCE(pool->nrequests) == 0)
            return;
    }
}

void uring_pool_wait_begin(struct uring_pool *pool, struct uring *ring, struct uring_waiter *waiter)
{
    wait_queue_init(&waiter->queue);
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_push_back(&pool->waiters, &waiter->pool_node);
    list_push_back(&ring->waiters, &waiter->ring_node);
    spin_unlock_irq(&uring_lock, flags);
}

/* What became ready meanwhile and was left for this thread is for the others. */
void uring_pool_wait_end(struct uring_pool *pool, struct uring_waiter *waiter)
{
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_remove(&waiter->pool_node);
    list_remove(&waiter->ring_node);
    if (!list_is_empty(&pool->ready)) {
        if (list_is_empty(&pool->waiters))
            wake_one(&pool->runner_wait);
        else
            wake_all(&list_first(&pool->waiters, struct uring_waiter, pool_node)->queue);
    }
    spin_unlock_irq(&uring_lock, flags);
}

/* ---- Workers --------------------------------------------------------------------------------- */

static bool has_work(struct uring_pool *pool)
{
    return !list_is_empty(&pool->work) || READ_ONCE(pool->is_ending);
}

static struct uring_request *take_work(struct uring_pool *pool)
{
    struct uring_request *request = NULL;
    unsigned long flags = spin_lock_irq(&uring_lock);
    if (!list_is_empty(&pool->work)) {
        request = list_first(&pool->work, struct uring_request, queue_node);
        list_remove(&request->queue_node);
    }
    spin_unlock_irq(&uring_lock, flags);
    return request;
}

/* False: nothing to do for long, or the end. */
static bool worker_wait(struct uring_pool *pool)
{
    nsec_t deadline = deadline_after(WORKER_IDLE);
    unsigned long flags = spin_lock_irq(&uring_lock);
    pool->nidle++;
    spin_unlock_irq(&uring_lock, flags);
    int err = wait_on_always(&pool->worker_wait, has_work(pool), deadline);
    flags = spin_lock_irq(&uring_lock);
    pool->nidle--;
    /* Counted out under the lock that work is queued under: nobody relies on a worker that leaves. */
    bool leaves = list_is_empty(&pool->work) && (err || pool->is_ending);
    pool->nworkers -= leaves;
    spin_unlock_irq(&uring_lock, flags);
    return !leaves;
}

static void worker_run(void *arg)
{
    struct uring_pool *pool = arg;
    struct uring_request *request;

    do {
        while ((request = take_work(pool)) != NULL)
            uring_request_work(request);
    } while (worker_wait(pool));
}

static void worker_make(struct uring_pool *pool)
{
    if (!uring_pool_thread(pool, "iou-wrk", worker_run, pool, false))
        return;
    unsigned long flags = spin_lock_irq(&uring_lock);
    pool->nworkers--;
    bool has_others = pool->nworkers > 0;
    spin_unlock_irq(&uring_lock, flags);
    struct uring_request *request;
    while (!has_others && (request = take_work(pool)) != NULL)
        uring_request_complete(request, -ENOMEM);
}

/*
 * uring_lock held.  The idle ones are counted as such until they have taken something, so what they were
 * woken for and is still in the list counts as well: one of them may block for ever.
 */
static bool needs_worker(const struct uring_pool *pool)
{
    unsigned nwork = 0;

    for (const struct list *each = pool->work.next; each != &pool->work; each = each->next)
        if (++nwork > pool->nidle)
            return true;
    return false;
}

void uring_pool_work(struct uring_request *request)
{
    struct uring_pool *pool = request->pool;
    unsigned limit = MAX(READ_ONCE(pool->limit[0]) + READ_ONCE(pool->limit[1]), 1u);
    unsigned long flags = spin_lock_irq(&uring_lock);
    list_push_back(&pool->work, &request->queue_node);
    bool must_make = pool->nworkers < limit && needs_worker(pool);
    pool->nworkers += must_make;
    spin_unlock_irq(&uring_lock, flags);
    if (must_make)
        worker_make(pool);
    else
        wake_one(&pool->worker_wait);
}

/* ---- Life --------------------------------------------------------------------------------------- */

struct pool_attachment {
    struct process_attachment base;
    struct uring_pool pool;
};

static bool is_over(struct uring_pool *pool)
{
    return READ_ONCE(pool->nrequests) == 0 && READ_ONCE(pool->nthreads) == 0;
}

/* The process ends or gets another program; only the calling thread is left. */
static void pool_release(struct process_attachment *attachment)
{
    struct pool_attachment *whole = container_of(attachment, struct pool_attachment, base);
    struct uring_pool *pool = &whole->pool;
    unsigned long flags = spin_lock_irq(&uring_lock);
    __atomic_store_n(&pool->is_ending, true, __ATOMIC_SEQ_CST);
    spin_unlock_irq(&uring_lock, flags);
    uring_cancel_pool(pool);
    wake_all(&pool->runner_wait);
    wake_all(&pool->worker_wait);
    (void)wait_on_always(&pool->end_wait, is_over(pool), DEADLINE_NONE);
    /* Whoever told so has left the section. */
    flags = spin_lock_irq(&uring_lock);
    spin_unlock_irq(&uring_lock, flags);
    kfree(whole);
}

static void pool_init(struct pool_attachment *whole)
{
    struct uring_pool *pool = &whole->pool;

    whole->base.release = pool_release;
    pool->process = process_current();
    list_init(&pool->requests);
    list_init(&pool->ready);
    list_init(&pool->work);
    list_init(&pool->waiters);
    list_init(&pool->pollers);
    wait_queue_init(&pool->runner_wait);
    wait_queue_init(&pool->worker_wait);
    wait_queue_init(&pool->end_wait);
    pool->limit[0] = 4 * arch_cpu_count();
    pool->limit[1] = (unsigned)MIN(rlimit_current(LIMIT_NPROC), (uint64_t)TID_MAX);
}

int uring_pool_get(struct uring_pool **out)
{
    struct process *process = process_current();
    static struct mutex lock = MUTEX_INIT(lock, RANK_URING_TABLES);
    int err = 0;

    mutex_lock(&lock);
    struct process_attachment *attachment = process->uring;
    if (!attachment) {
        struct pool_attachment *whole = kzalloc(sizeof(*whole), ALLOC_WAIT);
        err = whole ? 0 : -ENOMEM;
        if (!err) {
            pool_init(whole);
            err = uring_pool_thread(&whole->pool, "iou-run", runner_run, &whole->pool, false);
        }
        if (err)
            kfree(whole);
        else
            attachment = &whole->base;
        __atomic_store_n(&process->uring, attachment, __ATOMIC_RELEASE);
    }
    mutex_unlock(&lock);
    if (!err)
        *out = &container_of(attachment, struct pool_attachment, base)->pool;
    return err;
}
