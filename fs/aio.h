// SPDX-License-Identifier: MIT
#pragma once
/*
 * Native asynchronous I/O: what the files of it share.
 *
 * [i] set at creation  [m] the table's lock  [l] context->lock  [a] atomic
 */
#include "abi/aio.h"
#include "fs/file.h"
#include "kernel/wait.h"

struct pagecache;
struct vmspace;

#define AIO_EVENTS_PER_PAGE (PAGE_SIZE / sizeof(struct abi_io_event))

struct aio_context {
    unsigned refcount;       /* [a] the table's, one of each request and of each call */
    struct list node;        /* [m] */
    struct pagecache *cache; /* [i] the ring's memory, with a reference */
    struct frame **page;     /* [i] its pages, with references */
    unsigned npages;         /* [i] */
    uintptr_t address;       /* [i] where it was mapped */
    unsigned nslots;         /* [i] of the ring; one always stays free */
    unsigned max_requests;   /* [i] what it counts for in aio-nr */
    struct mutex read_lock;  /* RANK_OBJECT: one reader of events at a time */
    struct spinlock lock;
    unsigned tail;          /* [l] */
    unsigned nrequests;     /* [l] accepted and not completed */
    bool is_dead;           /* [l, read anywhere] */
    struct list polls;      /* [l] struct aio_request */
    struct wait_queue wait; /* an event came, or the last request went */
};

/* A request from io_submit() to its event. */
struct aio_request {
    struct aio_context *context; /* with a reference */
    uint64_t data, object;       /* for the event */
    struct file *file;           /* with a reference */
    struct file *eventfd;        /* with a reference, or NULL */
    struct list node;            /* [l] context->polls */
    void *private;               /* [i] fs/aio_poll.c */
};

/* io_setup(): the context's address in *out.  -EAGAIN (aio-max-nr), -ENOMEM. */
int aio_context_create(struct vmspace *vm, unsigned nevents, uintptr_t *out) __must_check;
/* The running process's context, with a reference; NULL: none. */
struct aio_context *aio_context_find(uintptr_t id);
void aio_context_put(struct aio_context *context);
/* io_destroy(): cancels what can be cancelled, waits for the rest.  -EINVAL: another thread was first. */
int aio_context_destroy(struct vmspace *vm, struct aio_context *context, uintptr_t id) __must_check;

/* A new request, counted; NULL with -EAGAIN (no room for its event) or -ENOMEM. */
int aio_request_create(struct aio_context *context, struct aio_request **out) __must_check;
/* The event goes into the ring; the request is freed. */
void aio_request_complete(struct aio_request *request, int64_t result);
/* It never was: no event. */
void aio_request_drop(struct aio_request *request);

/* Up to max events to the application; how many, or -EFAULT. */
long aio_read_events(struct aio_context *context, struct abi_io_event __app *to, long max);

/* IOCB_CMD_POLL: completes at once or when one of events holds.  0: it is under way.  -EINVAL, -ENOMEM. */
int aio_poll_start(struct aio_request *request, unsigned events) __must_check;
/* context->lock held: the request, which is on context->polls, ends with result 0. */
void aio_poll_cancel(struct aio_request *request);

extern unsigned long aio_max_requests;     /* [a] /proc/sys/fs/aio-max-nr */
unsigned long aio_requests_promised(void); /* /proc/sys/fs/aio-nr */
