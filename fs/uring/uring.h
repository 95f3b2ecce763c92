// SPDX-License-Identifier: MIT
#pragma once
/*
 * io_uring: what its files share.
 *
 * A ring is two queues in memory shared with the application.  A request goes from a submission entry to
 * its completions.  A pool is what a process has for all its rings: the requests it submitted, and the
 * threads that act for it.
 *
 * uring_lock, one irq spinlock, covers who owns a request and every list that requests are on; it
 * is held for a few instructions only.
 *
 * [i] set at creation  [u] uring_lock  [c] ring->cq_lock  [s] ring->submit_lock  [t] ring->tables_lock
 * [o] whoever owns the request  [a] atomic
 */
#include "abi/uring.h"
#include "fs/file.h"
#include "kernel/call.h"
#include "kernel/timer.h"
#include "kernel/wait.h"

struct fdtable;
struct fs_context;
struct process_attachment;
struct uring;
struct uring_request;

extern struct spinlock uring_lock;

/* ---- The memory that is shared ------------------------------------------------------- */

/* The layout is free; the application learns it by io_uring_params. */
struct uring_shared {
    uint32_t sq_head __aligned(64);
    uint32_t sq_tail __aligned(64); /* the application's */
    uint32_t cq_head __aligned(64); /* the application's */
    uint32_t cq_tail __aligned(64);
    uint32_t sq_mask __aligned(64);
    uint32_t cq_mask, sq_entries, cq_entries;
    uint32_t sq_dropped;
    uint32_t sq_flags;
    uint32_t cq_flags; /* the application's */
    uint32_t cq_overflow;
    uint8_t cqes[] __aligned(64); /* then the array of the submission queue */
};

/* ---- Pools -------------------------------------------------------------------------------- */

struct uring_waiter {
    struct wait_queue queue;
    struct list ring_node; /* [u] ring->waiters */
    struct list pool_node; /* [u] pool->waiters */
};

struct uring_pool {
    struct process_attachment *attachment; /* [i] */
    struct process *process;               /* [i] lives longer */
    struct list requests;                  /* [u] pool_node */
    unsigned nrequests;                    /* [u] */
    struct list ready;                     /* [u] queue_node: to be run without blocking */
    struct list work;                      /* [u] queue_node: may block */
    struct list waiters;                   /* [u] threads in io_uring_enter() */
    struct list pollers;                   /* [u] rings with a thread of this pool: pool_node */
    struct wait_queue runner_wait;         /* the thread that runs what is ready */
    struct wait_queue worker_wait;
    struct wait_queue end_wait; /* the last request or thread is gone */
    unsigned nthreads;          /* [u] */
    unsigned nworkers, nidle;   /* [u] */
    unsigned limit[2];          /* [a] bounded and unbounded workers */
    bool is_ending;             /* [u, read anywhere] */
};

/* The running process's pool, made if need be.  -ENOMEM. */
int uring_pool_get(struct uring_pool **out) __must_check;
/* A thread that acts for the pool's process until function returns; keeps_places: with the running thread's
 * descriptors and directories if it has its own. */
int uring_pool_thread(struct uring_pool *pool, const char *name, void (*function)(void *),
                      void *arg, bool keeps_places) __must_check;
/* Runs what is ready in this thread, which is of the pool's process. */
void uring_pool_run_ready(struct uring_pool *pool);
/* uring_lock held: the request, which the caller owns, goes to who runs what is ready. */
void uring_pool_ready_locked(struct uring_request *request);
/* The request, which the caller owns, goes to a worker. */
void uring_pool_work(struct uring_request *request);
void uring_pool_wait_begin(struct uring_pool *pool, struct uring *ring,
                           struct uring_waiter *waiter);
void uring_pool_wait_end(struct uring_pool *pool, struct uring_waiter *waiter);

/* ---- Registered things --------------------------------------------------------------------- */

/* A registered file or buffer; requests hold it, so its tag comes when the last one is done. */
struct uring_resource {
    unsigned refcount; /* [a] */
    struct uring *ring;
    uint64_t tag; /* 0: nobody is told */
    struct file *file;
    uint64_t base;
    uint64_t len;
};

struct uring_table {
    struct uring_resource **slot; /* [t] */
    unsigned nslots;
    bool is_registered;
    unsigned range_first, range_end; /* where IORING_FILE_INDEX_ALLOC looks */
    unsigned next;
};

struct uring_buffer {
    struct list node;
    uint64_t addr;
    uint32_t len;
    uint16_t bid;
};

/* A group of provided buffers: a list, or a ring in the application's memory. */
struct uring_group {
    struct list node;
    uint16_t id;
    struct list buffers;
    uint64_t ring_addr; /* 0: a list */
    uint16_t mask, head;
};

/* ---- Rings ------------------------------------------------------------------------------------ */

struct uring {
    unsigned refcount;                          /* [a] the file's, and one of each request */
    unsigned flags;                             /* [i] but R_DISABLED */
    struct pagecache *rings_cache, *sqes_cache; /* [i] */
    size_t rings_size, sqes_size;               /* [i] bytes */
    struct uring_shared *shared;                /* [i] */
    uint32_t *sq_array;                         /* [i] */
    uint8_t *sqes;                              /* [i] */
    unsigned sq_entries, cq_entries;            /* [i] */
    unsigned sqe_shift, cqe_shift;              /* [i] */

    struct thread
        *submitter; /* [s] with a reference: who alone may submit and register; NULL: everybody */
    struct mutex submit_lock; /* RANK_URING_SUBMIT; also while something is registered */
    unsigned sq_head;         /* [s] */
    bool drain_next;          /* [s] a chain drained in its middle: so does what follows */

    struct spinlock cq_lock; /* RANK_URING_CQ */
    unsigned cq_tail;        /* [c] */
    struct list overflow;    /* [c] */
    unsigned nposted;        /* [c] completions so far: what timeouts count */
    struct poll_head poll;
    struct file *eventfd; /* [t] */
    bool eventfd_async;   /* [t] */

    struct list requests; /* [u] ring_node */
    struct list deferred; /* [u] queue_node: behind a drain */
    struct list waiters;  /* [u] */
    unsigned nactive;     /* [u] requests that were started */
    unsigned ncounting;   /* [u] timeouts that count completions */
    bool is_running;      /* [u] a thread runs one of its requests that became ready */
    bool is_dead;         /* [u, read anywhere] */

    struct mutex tables_lock; /* RANK_URING_TABLES */
    struct uring_table files; /* [t] */
    struct uring_table buffers;
    struct list groups;    /* [t] */
    bool is_restricted;    /* [t] */
    bool has_restrictions; /* [t] */
    uint64_t allowed_ops, allowed_registers;
    uint8_t allowed_flags, required_flags;
    uint64_t personalities; /* [t] bits */

    struct uring_pool *sq_pool;     /* SQPOLL: whose thread it is; NULL: it has ended */
    struct list pool_node;          /* [u] sq_pool->pollers */
    struct wait_queue sq_wait;      /* the thread */
    struct wait_queue sq_room_wait; /* IORING_ENTER_SQ_WAIT */
    nsec_t sq_idle;                 /* [i] */
};

struct uring *uring_of(const struct file *file); /* NULL: it is none */
int uring_create(unsigned entries, struct abi_uring_params *params, struct file **out) __must_check;
struct uring *uring_get(struct uring *ring);
void uring_put(struct uring *ring);
/* IORING_SETUP_SINGLE_ISSUER: the running thread becomes the one that submits, unless there is one. */
void uring_choose_submitter(struct uring *ring);
/* Whether it is: 0 or -EEXIST. */
int uring_check_submitter(const struct uring *ring) __must_check;
int uring_start_sqpoll(struct uring *ring) __must_check;
/* Takes up to count entries; how many were taken, or -errno.  submit_lock held. */
long uring_submit(struct uring *ring, struct uring_pool *pool, unsigned count);
void uring_sqpoll_end(struct uring *ring);

/* ---- Completions ---------------------------------------------------------------------------------- */

/* Threads only.  extra: the second half of a CQE32. */
void uring_post(struct uring *ring, uint64_t user_data, int res, unsigned flags);
/* Only if there is room. */
bool uring_try_post(struct uring *ring, uint64_t user_data, int res, unsigned flags) __must_check;
void uring_flush_overflow(struct uring *ring);
/* uring_lock held: whoever waits for the ring looks again. */
void uring_wake_locked(struct uring *ring);
unsigned uring_cq_count(const struct uring *ring);
/* io_uring_enter()'s wait.  0, -EINTR, -ETIME. */
int uring_wait(struct uring *ring, struct uring_pool *pool, unsigned min, nsec_t deadline);

/* ---- Requests --------------------------------------------------------------------------------------- */

#define URING_WAIT     (-0x10000L) /* issue(): not done; goes on when it is kicked */
#define URING_ARGS_MAX 2

struct uring_op {
    const char *name;
    /* Copies what the entry points to; 0 or -errno. */
    int (*prepare)(struct uring_request *request);
    /* The result; -EAGAIN when it would block and call.nonblock is set; URING_WAIT. */
    long (*issue)(struct uring_request *request);
    void (*finish)(struct uring_request *request); /* frees what prepare() made; may be NULL */
    unsigned events;                               /* what to wait for in the file after -EAGAIN */
    bool needs_file;
    bool blocks; /* always by a worker */
    bool selects_buffer;
    bool takes_ioprio;
    bool works_polled; /* also in a ring with IORING_SETUP_IOPOLL */
    bool is_poll;      /* watches its file before it looks */
};
extern const struct uring_op uring_ops[ABI_URING_OP_LAST];

struct uring_request {
    struct uring *ring;      /* [i] with a reference */
    struct uring_pool *pool; /* [i] */
    struct fdtable
        *files; /* [o] the submitting thread's own, with a reference; NULL: the process's */
    struct fs_context *fs; /* [o] likewise */
    const struct uring_op *op;
    struct abi_uring_sqe sqe;                               /* [o] user_data: [u] */
    struct call_context call;                               /* [o] */
    struct uring_resource *file_resource, *buffer_resource; /* [o] */
    struct uring_request *next;                             /* [o] linked behind it */
    int error;                                              /* [o] found before it was started */
    int late_error;              /* [o] its result in place of being issued */
    unsigned cqe_flags;          /* [o] */
    long expected;               /* [o] less breaks the chain; -1 */
    long done;                   /* [o] bytes of earlier attempts */
    bool is_watched;             /* [o] */
    bool no_wait;                /* [o] -EAGAIN is the result */
    bool keeps_chain;            /* [o] a failure does not break it */
    bool has_started;            /* [o] a linked timeout: [u] */
    bool in_worker;              /* [o] completes outside of a call */
    struct uring_buffer *buffer; /* [o] selected */
    struct abi_iovec *vector;    /* [o] of readv and writev */
    nsec_t deadline;             /* [o] timeouts */
    unsigned target;             /* [o] timeouts: completions */
    void *private;               /* [o] the operation's */

    struct list ring_node;         /* [u] ring->requests */
    struct list pool_node;         /* [u] pool->requests */
    struct list queue_node;        /* [u] */
    bool is_busy;                  /* [u] it has an owner */
    bool is_kicked;                /* [u] look again */
    bool is_cancelled;             /* [u] */
    bool is_expired;               /* [u] */
    bool is_counting;              /* [u] a timeout that counts completions */
    struct thread *runner;         /* [u] a worker that may be blocked in it */
    struct uring_request *timeout; /* [u] the linked timeout of it */
    struct uring_request *guarded; /* [u] what a linked timeout is for */
    struct poll_watcher watcher;
    struct timer timer;
};

/* -EAGAIN: no memory, or the process is ending. */
int uring_request_create(struct uring *ring, struct uring_pool *pool,
                         const struct abi_uring_sqe *sqe, struct uring_request **out) __must_check;
/* Checks the entry and copies its arguments. */
int uring_request_prepare(struct uring_request *request) __must_check;
/* Its turn has come; the chain behind it follows by itself. */
void uring_request_start(struct uring_request *request);
/* Goes on without blocking; the caller owns it. */
void uring_request_run(struct uring_request *request);
/* A worker's turn. */
void uring_request_work(struct uring_request *request);
void uring_request_complete(struct uring_request *request, long result);
/* It and all behind it end without having been started. */
void uring_chain_fail(struct uring_request *head);
/* uring_lock held. */
void uring_request_kick_locked(struct uring_request *request);
void uring_request_cancel_locked(struct uring_request *request);
/* Those behind a drain whose turn has come go to the ready list. */
void uring_release_deferred_locked(struct uring *ring);
/* Post a completion that is not the last. */
/* false: there is no room in the queue, and it was not posted. */
bool uring_request_post_more(struct uring_request *request, long result) __must_check;
/* Kernel copies of arguments; the pointer that a system call's function takes in *out. */
int uring_copy_arg(struct uring_request *request, unsigned i, uint64_t from, size_t len);
/* For arguments that Linux copies only when it begins: -EFAULT is then the request's result and does not end
 * the submission.  The error that is left. */
int uring_late_fault(struct uring_request *request, int err) __must_check;
int uring_copy_string(struct uring_request *request, unsigned i, uint64_t from);
void *uring_make_arg(struct uring_request *request, unsigned i, size_t len);
static inline void __app *uring_arg(const struct uring_request *request, unsigned i)
{
    return (void __app *)request->call.arg[i].start;
}
static inline void __app *app_pointer(uint64_t address)
{
    return (void __app *)address;
}

/* ---- Cancelling ----------------------------------------------------------------------------------- */

struct uring_match {
    uint64_t user_data;
    struct file *file; /* with ABI_URING_CANCEL_FD */
    unsigned flags;    /* ABI_URING_CANCEL_* */
    const struct uring_request *except;
};
/* How many were found, or -ENOENT; -EALREADY: one that is being executed. */
long uring_cancel(struct uring *ring, const struct uring_match *match);
/* uring_lock held: a request that waits, by its user_data; NULL.  A linked timeout does while its
 * request is under way. */
struct uring_request *uring_find_locked(struct uring *ring, uint64_t user_data, unsigned opcode);
/* Whether a worker is at one that was found. */
bool uring_is_running(struct uring *ring, const struct uring_match *match);
void uring_cancel_ring(struct uring *ring);
void uring_cancel_pool(struct uring_pool *pool);

/* ---- Tables ------------------------------------------------------------------------------------------ */

void uring_tables_free(struct uring *ring);
struct uring_resource *uring_table_get(struct uring *ring, struct uring_table *table,
                                       unsigned index);
void uring_resource_put(struct uring_resource *resource);
/* Puts file, whose reference is used up, into slot + 1 == index or a free one; the result of the request. */
long uring_file_install(struct uring *ring, struct file *file, unsigned index);
long uring_file_remove(struct uring *ring, unsigned index);
long uring_register(struct uring *ring, unsigned opcode, uint64_t arg, unsigned count);
long uring_register_files(struct uring *ring, const struct abi_uring_rsrc_register *args);
long uring_register_buffers(struct uring *ring, const struct abi_uring_rsrc_register *args);
long uring_unregister_files(struct uring *ring);
long uring_unregister_buffers(struct uring *ring);
long uring_update_files(struct uring *ring, const struct abi_uring_rsrc_update *args);
long uring_update_buffers(struct uring *ring, const struct abi_uring_rsrc_update *args);
long uring_file_range(struct uring *ring, const struct abi_uring_file_range *range);

/* A buffer of the request's group into request->buffer; -ENOBUFS.  recycle: it was not used. */
int uring_buffer_select(struct uring_request *request) __must_check;
void uring_buffer_recycle(struct uring_request *request);
void uring_groups_free(struct uring *ring);
long uring_register_buffer_ring(struct uring *ring, const struct abi_uring_buf_reg *args);
long uring_unregister_buffer_ring(struct uring *ring, const struct abi_uring_buf_reg *args);

/* Registered rings of the running thread. */
struct file *uring_ring_fd(unsigned index);
long uring_ring_fds_register(uint64_t arg, unsigned count);
long uring_ring_fds_unregister(uint64_t arg, unsigned count);

/* Timeouts that count completions. */
void uring_timeouts_count(struct uring *ring);
