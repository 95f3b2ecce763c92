// SPDX-License-Identifier: MIT
/*
 * Native asynchronous I/O: contexts and their rings of events.
 *
 * A context is a ring of events in memory that it shares with the application, and its name is the
 * ring's address, so it belongs to an address space: the table hangs on the vmspace.  A name is
 * looked up by what is mapped there, hence a ring that mremap() moved keeps working under its new
 * address, and one that was unmapped is lost to the application, as on Linux.
 *
 * The kernel writes events at its own tail and shows it in the ring.  The application may consume
 * events without a call by moving head, which is why room in the ring is computed from both ends
 * and why head is taken modulo the ring's size wherever it is read.
 *
 * Requests hold their context; the context outlives io_destroy() until they are gone.
 */
#include "fs/aio.h"

#include "abi/errno.h"
#include "fs/event_objects.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

struct aio_table {
    struct vmspace_attachment attachment;
    struct mutex lock; /* RANK_OBJECT */
    struct list contexts;
};

unsigned long aio_max_requests = 65536;
static unsigned long promised; /* [a] the sum of max_requests */

unsigned long aio_requests_promised(void)
{
    return __atomic_load_n(&promised, __ATOMIC_RELAXED);
}

/* ---- The ring ----------------------------------------------------------------------- */

static struct abi_aio_ring *ring_of(const struct aio_context *context)
{
    return frame_address(context->page[0]);
}

/* The ring's header has the size of one event. */
static struct abi_io_event *slot_of(const struct aio_context *context, unsigned slot)
{
    struct abi_io_event *page = frame_address(context->page[(slot + 1) / AIO_EVENTS_PER_PAGE]);

    return &page[(slot + 1) % AIO_EVENTS_PER_PAGE];
}
_Static_assert(sizeof(struct abi_aio_ring) == sizeof(struct abi_io_event), "see slot_of()");

static unsigned ring_head(const struct aio_context *context)
{
    return __atomic_load_n(&ring_of(context)->head, __ATOMIC_ACQUIRE) % context->nslots;
}

/* context->lock held. */
static unsigned ring_count(const struct aio_context *context)
{
    return (context->tail + context->nslots - ring_head(context)) % context->nslots;
}

static void ring_free(struct aio_context *context)
{
    for (unsigned i = 0; i < context->npages; i++) {
        if (context->page[i])
            frame_put(context->page[i]);
    }
    kfree(context->page);
    if (context->cache)
        pagecache_put(context->cache);
}

static int ring_create(struct aio_context *context, unsigned nevents)
{
    size_t size = (nevents + 1UL) * sizeof(struct abi_io_event);
    int err = pagecache_create(NULL, NULL, &context->cache);

    if (err)
        return err;
    context->npages = (unsigned)(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
    context->page = kcalloc(context->npages, sizeof(context->page[0]), ALLOC_WAIT);
    if (!context->page) {
        context->npages = 0;
        return -ENOMEM;
    }
    pagecache_set_size(context->cache, context->npages * PAGE_SIZE);
    for (unsigned i = 0; i < context->npages; i++) {
        err = pagecache_page(context->cache, i, true, &context->page[i]);
        if (err)
            return err;
    }
    context->nslots = (unsigned)(context->npages * AIO_EVENTS_PER_PAGE) - 1;
    return 0;
}

static void ring_init(struct aio_context *context)
{
    *ring_of(context) = (struct abi_aio_ring){
        .nr = context->nslots,
        .magic = ABI_AIO_RING_MAGIC,
        .compat_features = ABI_AIO_RING_COMPAT_FEATURES,
        .header_length = sizeof(struct abi_aio_ring),
    };
}

static int ring_map(struct aio_context *context, struct vmspace *vm)
{
    const struct vmspace_map_args args = {
        .length = context->npages * PAGE_SIZE,
        .prot = ABI_PROT_READ | ABI_PROT_WRITE,
        .flags = ABI_MAP_SHARED,
        .cache = context->cache,
        .name = "/[aio] (deleted)",
    };

    return vmspace_map(vm, &args, &context->address);
}

/* ---- Life ----------------------------------------------------------------------------- */

/* Counts max_requests in, unless that is too much. */
static bool promise(unsigned max_requests)
{
    unsigned long sum = __atomic_add_fetch(&promised, max_requests, __ATOMIC_RELAXED);

    if (sum <= READ_ONCE(aio_max_requests) && sum >= max_requests)
        return true;
    __atomic_fetch_sub(&promised, max_requests, __ATOMIC_RELAXED);
    return false;
}

void aio_context_put(struct aio_context *context)
{
    if (__atomic_sub_fetch(&context->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    ring_free(context);
    kfree(context);
}

static int context_create(unsigned nevents, struct aio_context **out)
{
    struct aio_context *context = kzalloc(sizeof(*context), ALLOC_WAIT);

    if (!context)
        return -ENOMEM;
    context->refcount = 1;
    context->max_requests = nevents;
    mutex_init(&context->read_lock, RANK_OBJECT);
    spin_init(&context->lock, RANK_AIO);
    list_init(&context->node);
    list_init(&context->polls);
    wait_queue_init(&context->wait);
    /* As Linux, whose counters per CPU need the room: programs see nr in the ring. */
    nevents = MAX(nevents, arch_cpu_count() * 4) * 2 + 2;
    int err = ring_create(context, nevents);
    if (err) {
        aio_context_put(context);
        return err;
    }
    ring_init(context);
    *out = context;
    return 0;
}

/* Cancels the polls and waits until the last request has ended. */
static void context_drain(struct aio_context *context)
{
    struct aio_request *request;

    spin_lock(&context->lock);
    list_for_each (request, &context->polls, node)
        aio_poll_cancel(request);
    spin_unlock(&context->lock);
    wake_all(&context->wait);
    (void)wait_on_always(&context->wait, READ_ONCE(context->nrequests) == 0, DEADLINE_NONE);
}

/* No new requests from here on; false: it was dead already. */
static bool context_kill(struct aio_context *context)
{
    spin_lock(&context->lock);
    bool was_dead = context->is_dead;
    __atomic_store_n(&context->is_dead, true, __ATOMIC_RELEASE);
    spin_unlock(&context->lock);
    if (was_dead)
        return false;
    __atomic_fetch_sub(&promised, context->max_requests, __ATOMIC_RELAXED);
    return true;
}

/* ---- The table --------------------------------------------------------------------------- */

static struct aio_table *table_of(struct vmspace *vm)
{
    struct vmspace_attachment *attachment = __atomic_load_n(&vm->aio, __ATOMIC_ACQUIRE);

    return attachment ? container_of(attachment, struct aio_table, attachment) : NULL;
}

/* The address space goes: nobody can be in a call on one of its contexts. */
static void table_release(struct vmspace_attachment *attachment)
{
    struct aio_table *table = container_of(attachment, struct aio_table, attachment);

    while (!list_is_empty(&table->contexts)) {
        struct aio_context *context = list_first(&table->contexts, struct aio_context, node);
        list_remove(&context->node);
        (void)context_kill(context);
        context_drain(context);
        aio_context_put(context);
    }
    kfree(table);
}

static struct aio_table *table_make(struct vmspace *vm)
{
    struct vmspace_attachment *none = NULL;
    struct aio_table *table = table_of(vm);

    if (table)
        return table;
    table = kzalloc(sizeof(*table), ALLOC_WAIT);
    if (!table)
        return NULL;
    table->attachment.release = table_release;
    mutex_init(&table->lock, RANK_OBJECT);
    list_init(&table->contexts);
    if (!__atomic_compare_exchange_n(&vm->aio, &none, &table->attachment, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        kfree(table);
        table = container_of(none, struct aio_table, attachment);
    }
    return table;
}

int aio_context_create(struct vmspace *vm, unsigned nevents, uintptr_t *out)
{
    struct aio_table *table = table_make(vm);
    struct aio_context *context;

    if (!table)
        return -ENOMEM;
    if (nevents > READ_ONCE(aio_max_requests) || !promise(nevents))
        return -EAGAIN;
    int err = context_create(nevents, &context);
    if (!err) {
        err = ring_map(context, vm);
        if (err)
            aio_context_put(context);
    }
    if (err) {
        __atomic_fetch_sub(&promised, nevents, __ATOMIC_RELAXED);
        return err;
    }
    mutex_lock(&table->lock);
    list_push_back(&table->contexts, &context->node);
    mutex_unlock(&table->lock);
    *out = context->address;
    return 0;
}

static struct aio_context *find_by_cache(struct aio_table *table, const struct pagecache *cache)
{
    struct aio_context *context, *found = NULL;

    mutex_lock(&table->lock);
    list_for_each (context, &table->contexts, node) {
        if (context->cache == cache) {
            __atomic_fetch_add(&context->refcount, 1, __ATOMIC_RELAXED);
            found = context;
            break;
        }
    }
    mutex_unlock(&table->lock);
    return found;
}

struct aio_context *aio_context_find(uintptr_t id)
{
    struct vmspace *vm = thread_current()->vmspace;
    struct aio_table *table = table_of(vm);
    struct pagecache *cache;
    uint64_t index;

    if (!table || id % PAGE_SIZE != 0 || vmspace_shared_key(vm, id, &cache, &index) || !cache)
        return NULL;
    struct aio_context *context = index == 0 ? find_by_cache(table, cache) : NULL;
    pagecache_put(cache);
    return context;
}

int aio_context_destroy(struct vmspace *vm, struct aio_context *context, uintptr_t id)
{
    struct aio_table *table = table_of(vm);

    if (!context_kill(context))
        return -EINVAL;
    mutex_lock(&table->lock);
    list_remove(&context->node);
    mutex_unlock(&table->lock);
    context_drain(context);
    int err = vmspace_unmap(vm, id, context->npages * PAGE_SIZE);
    aio_context_put(context); /* the table's */
    return err;
}

/* ---- Requests ------------------------------------------------------------------------------ */

int aio_request_create(struct aio_context *context, struct aio_request **out)
{
    struct aio_request *request = kzalloc(sizeof(*request), ALLOC_WAIT);

    if (!request)
        return -ENOMEM;
    spin_lock(&context->lock);
    bool has_room =
        !context->is_dead && ring_count(context) + context->nrequests + 1 < context->nslots;
    context->nrequests += has_room;
    spin_unlock(&context->lock);
    if (!has_room) {
        kfree(request);
        return -EAGAIN;
    }
    __atomic_fetch_add(&context->refcount, 1, __ATOMIC_RELAXED);
    request->context = context;
    list_init(&request->node);
    *out = request;
    return 0;
}

static void request_free(struct aio_request *request)
{
    if (request->file)
        file_put(request->file);
    if (request->eventfd)
        file_put(request->eventfd);
    kfree(request);
}

void aio_request_complete(struct aio_request *request, int64_t result)
{
    struct aio_context *context = request->context;

    spin_lock(&context->lock);
    list_remove(&request->node);
    *slot_of(context, context->tail) = (struct abi_io_event){
        .data = request->data,
        .obj = request->object,
        .res = result,
    };
    context->tail = (context->tail + 1) % context->nslots;
    __atomic_store_n(&ring_of(context)->tail, context->tail, __ATOMIC_RELEASE);
    context->nrequests--;
    spin_unlock(&context->lock);
    if (request->eventfd)
        eventfd_signal(request->eventfd);
    wake_all(&context->wait);
    request_free(request);
    aio_context_put(context);
}

void aio_request_drop(struct aio_request *request)
{
    struct aio_context *context = request->context;

    spin_lock(&context->lock);
    list_remove(&request->node);
    context->nrequests--;
    spin_unlock(&context->lock);
    wake_all(&context->wait);
    request_free(request);
    aio_context_put(context);
}

long aio_read_events(struct aio_context *context, struct abi_io_event __app *to, long max)
{
    long done = 0, err = 0;

    mutex_lock(&context->read_lock);
    unsigned head = ring_head(context);
    unsigned tail = __atomic_load_n(&ring_of(context)->tail, __ATOMIC_ACQUIRE) % context->nslots;
    while (done < max && head != tail && !err) {
        struct abi_io_event event = *slot_of(context, head);
        err = copy_to_app((char __app *)to + done * (long)sizeof(event), &event, sizeof(event));
        if (!err) {
            head = (head + 1) % context->nslots;
            done++;
        }
    }
    if (done > 0)
        __atomic_store_n(&ring_of(context)->head, head, __ATOMIC_RELEASE);
    mutex_unlock(&context->read_lock);
    return done > 0 ? done : err;
}
