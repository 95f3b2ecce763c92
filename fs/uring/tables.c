// SPDX-License-Identifier: MIT
/*
 * io_uring: registered files and buffers.
 *
 * A slot refers to a counted resource, and each request that uses it holds it too; when the last reference
 * goes, the resource's tag is posted.  Registering is under submit_lock, so that nobody takes a table away
 * that is being filled; requests change slots under tables_lock alone.  Registered buffers are ranges of the
 * address space: they are checked to exist when they are registered and accessed like all of the
 * application's memory.
 */
#include "abi/errno.h"
#include "abi/uio.h"
#include "fs/uring/uring.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"

#define FILES_MAX      32768u
#define BUFFERS_MAX    16384u
#define BUFFER_LEN_MAX (1UL << 30)

/* ---- Resources --------------------------------------------------------------------------- */

void uring_resource_put(struct uring_resource *resource)
{
    if (__atomic_sub_fetch(&resource->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (resource->tag)
        uring_post(resource->ring, resource->tag, 0, 0);
    if (resource->file)
        file_put(resource->file);
    uring_put(resource->ring);
    kfree(resource);
}

static struct uring_resource *resource_create(struct uring *ring, uint64_t tag)
{
    struct uring_resource *resource = kzalloc(sizeof(*resource), ALLOC_WAIT);

    if (!resource)
        return NULL;
    resource->refcount = 1;
    resource->ring = uring_get(ring);
    resource->tag = tag;
    return resource;
}

/* It never was registered: nobody is told. */
static void resource_drop(struct uring_resource *resource)
{
    resource->tag = 0;
    uring_resource_put(resource);
}

struct uring_resource *uring_table_get(struct uring *ring, struct uring_table *table,
                                       unsigned index)
{
    struct uring_resource *resource = NULL;

    mutex_lock(&ring->tables_lock);
    if (index < table->nslots)
        resource = table->slot[index];
    if (resource)
        __atomic_fetch_add(&resource->refcount, 1, __ATOMIC_RELAXED);
    mutex_unlock(&ring->tables_lock);
    return resource;
}

/* ---- Tables --------------------------------------------------------------------------------- */

static long table_create(struct uring *ring, struct uring_table *table, unsigned nslots)
{
    struct uring_resource **slot = kcalloc(nslots, sizeof(*slot), ALLOC_WAIT);

    if (!slot)
        return -ENOMEM;
    mutex_lock(&ring->tables_lock);
    bool is_taken = table->is_registered;
    if (!is_taken)
        *table = (struct uring_table){
            .slot = slot, .nslots = nslots, .is_registered = true, .range_end = nslots
        };
    mutex_unlock(&ring->tables_lock);
    if (is_taken)
        kfree(slot);
    return is_taken ? -EBUSY : 0;
}

static long table_destroy(struct uring *ring, struct uring_table *table)
{
    mutex_lock(&ring->tables_lock);
    struct uring_table old = *table;
    *table = (struct uring_table){ .slot = NULL };
    mutex_unlock(&ring->tables_lock);
    for (unsigned i = 0; i < old.nslots; i++) {
        if (old.slot[i])
            uring_resource_put(old.slot[i]);
    }
    kfree(old.slot);
    return old.is_registered ? 0 : -ENXIO;
}

/* Exchanges what is in a slot; resource may be NULL. */
static int slot_set(struct uring *ring, struct uring_table *table, unsigned index,
                    struct uring_resource *resource)
{
    struct uring_resource *old = NULL;
    int err = 0;

    mutex_lock(&ring->tables_lock);
    if (!table->is_registered) {
        err = -ENXIO;
    } else if (index >= table->nslots) {
        err = -EINVAL;
    } else {
        old = table->slot[index];
        table->slot[index] = resource;
    }
    mutex_unlock(&ring->tables_lock);
    if (old)
        uring_resource_put(old);
    return err;
}

static int tag_load(uint64_t tags, unsigned i, uint64_t *tag)
{
    *tag = 0;
    return tags ? copy_from_app(tag, app_pointer(tags + i * sizeof(*tag)), sizeof(*tag)) : 0;
}

/* ---- Files ------------------------------------------------------------------------------------ */

/* fd -1: an empty slot, *out is NULL. */
static int file_resource(struct uring *ring, uint64_t data, uint64_t tags, unsigned i, int *fd,
                         struct uring_resource **out)
{
    uint64_t tag;
    int err = tag_load(tags, i, &tag);

    *out = NULL;
    if (!err)
        err = copy_from_app(fd, app_pointer(data + i * sizeof(*fd)), sizeof(*fd));
    if (err)
        return err;
    if (*fd == -1 || *fd == ABI_URING_FILES_SKIP)
        return tag ? -EINVAL : 0;
    struct file *file = fd_get(*fd);
    if (!file)
        return -EBADF;
    if (uring_of(file)) { /* a ring that holds itself would never go */
        file_put(file);
        return -EBADF;
    }
    *out = resource_create(ring, tag);
    if (!*out) {
        file_put(file);
        return -ENOMEM;
    }
    (*out)->file = file;
    return 0;
}

long uring_register_files(struct uring *ring, const struct abi_uring_rsrc_register *args)
{
    bool is_sparse = args->flags & ABI_URING_RSRC_SPARSE;

    if (ring->files.is_registered)
        return -EBUSY;
    if (!args->nr)
        return -EINVAL;
    if (args->nr > FILES_MAX)
        return -EMFILE;
    long err = table_create(ring, &ring->files, args->nr);
    for (unsigned i = 0; i < args->nr && !err && !is_sparse && args->data; i++) {
        struct uring_resource *resource;
        int fd;
        err = file_resource(ring, args->data, args->tags, i, &fd, &resource);
        if (!err && fd == ABI_URING_FILES_SKIP)
            err = -EBADF;
        if (!err)
            err = slot_set(ring, &ring->files, i, resource);
    }
    if (err && err != -EBUSY)
        (void)table_destroy(ring, &ring->files);
    return err;
}

long uring_unregister_files(struct uring *ring)
{
    return table_destroy(ring, &ring->files);
}

static int check_update(const struct uring_table *table, const struct abi_uring_rsrc_update *args)
{
    unsigned end;

    if (__builtin_add_overflow(args->offset, args->nr, &end))
        return -EOVERFLOW;
    if (!table->is_registered)
        return -ENXIO;
    return end > table->nslots ? -EINVAL : 0;
}

long uring_update_files(struct uring *ring, const struct abi_uring_rsrc_update *args)
{
    long done = 0;
    int err = check_update(&ring->files, args);

    while (!err && done < (long)args->nr) {
        struct uring_resource *resource;
        int fd;
        err = file_resource(ring, args->data, args->tags, (unsigned)done, &fd, &resource);
        if (!err && fd != ABI_URING_FILES_SKIP)
            err = slot_set(ring, &ring->files, args->offset + (unsigned)done, resource);
        if (!err)
            done++;
    }
    return done ? done : err;
}

/* tables_lock held: a free slot of the range, or -ENFILE. */
static long slot_find(struct uring_table *table)
{
    unsigned size = table->range_end - table->range_first;

    for (unsigned i = 0; i < size; i++) {
        unsigned index = table->range_first + (table->next + i) % size;
        if (!table->slot[index]) {
            table->next = (index - table->range_first + 1) % size;
            return index;
        }
    }
    return -ENFILE;
}

long uring_file_install(struct uring *ring, struct file *file, unsigned index)
{
    struct uring_table *table = &ring->files;
    struct uring_resource *old = NULL, *resource = resource_create(ring, 0);
    bool allocates = index == ABI_URING_FILE_INDEX_ALLOC;
    long slot = resource ? 0 : -ENOMEM;

    if (uring_of(file) && !slot)
        slot = -EBADF;
    if (resource)
        resource->file = file;
    else
        file_put(file);
    mutex_lock(&ring->tables_lock);
    if (!slot && !table->is_registered)
        slot = -ENXIO;
    if (!slot)
        slot = allocates ? slot_find(table) : index - 1 < table->nslots ? (long)index - 1 : -EINVAL;
    if (slot >= 0) {
        old = table->slot[slot];
        table->slot[slot] = resource;
    }
    mutex_unlock(&ring->tables_lock);
    if (old)
        uring_resource_put(old);
    if (slot < 0 && resource)
        resource_drop(resource);
    return slot < 0 || allocates ? slot : 0;
}

long uring_file_remove(struct uring *ring, unsigned index)
{
    struct uring_table *table = &ring->files;
    struct uring_resource *old = NULL;
    long err = 0;

    mutex_lock(&ring->tables_lock);
    if (!table->is_registered) {
        err = -ENXIO;
    } else if (index >= table->nslots) {
        err = -EINVAL;
    } else {
        old = table->slot[index];
        table->slot[index] = NULL;
        err = old ? 0 : -EBADF;
    }
    mutex_unlock(&ring->tables_lock);
    if (old)
        uring_resource_put(old);
    return err;
}

long uring_file_range(struct uring *ring, const struct abi_uring_file_range *range)
{
    unsigned end;
    long err = 0;

    if (__builtin_add_overflow(range->off, range->len, &end))
        return -EOVERFLOW;
    mutex_lock(&ring->tables_lock);
    if (range->resv || end > ring->files.nslots) {
        err = -EINVAL;
    } else {
        ring->files.range_first = range->off;
        ring->files.range_end = end;
        ring->files.next = 0;
    }
    mutex_unlock(&ring->tables_lock);
    return err;
}

/* ---- Buffers ---------------------------------------------------------------------------------------- */

/* Whether all of it is there: one byte of each page is read. */
static int check_memory(uint64_t base, uint64_t len)
{
    for (uint64_t at = base; at < base + len; at = ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE) {
        char byte;
        if (copy_from_app(&byte, app_pointer(at), 1))
            return -EFAULT;
    }
    return 0;
}

static int buffer_resource(struct uring *ring, uint64_t data, uint64_t tags, unsigned i,
                           struct uring_resource **out)
{
    struct abi_iovec piece;
    uint64_t tag;
    int err = tag_load(tags, i, &tag);

    *out = NULL;
    if (!err)
        err = copy_from_app(&piece, app_pointer(data + i * sizeof(piece)), sizeof(piece));
    if (err)
        return err;
    if (!piece.base)
        return piece.len ? -EFAULT : tag ? -EINVAL : 0;
    uint64_t end;
    if (!piece.len || piece.len > BUFFER_LEN_MAX)
        return -EFAULT;
    if (__builtin_add_overflow(piece.base, piece.len, &end))
        return -EOVERFLOW;
    err = check_memory(piece.base, piece.len);
    if (err)
        return err;
    *out = resource_create(ring, tag);
    if (!*out)
        return -ENOMEM;
    (*out)->base = piece.base;
    (*out)->len = piece.len;
    return 0;
}

long uring_register_buffers(struct uring *ring, const struct abi_uring_rsrc_register *args)
{
    bool is_sparse = args->flags & ABI_URING_RSRC_SPARSE;

    if (ring->buffers.is_registered)
        return -EBUSY;
    if (!args->nr || args->nr > BUFFERS_MAX)
        return -EINVAL;
    long err = table_create(ring, &ring->buffers, args->nr);
    for (unsigned i = 0; i < args->nr && !err && !is_sparse && args->data; i++) {
        struct uring_resource *resource;
        err = buffer_resource(ring, args->data, args->tags, i, &resource);
        if (!err)
            err = slot_set(ring, &ring->buffers, i, resource);
    }
    if (err && err != -EBUSY)
        (void)table_destroy(ring, &ring->buffers);
    return err;
}

long uring_unregister_buffers(struct uring *ring)
{
    return table_destroy(ring, &ring->buffers);
}

long uring_update_buffers(struct uring *ring, const struct abi_uring_rsrc_update *args)
{
    long done = 0;
    int err = check_update(&ring->buffers, args);

    while (!err && done < (long)args->nr) {
        struct uring_resource *resource;
        err = buffer_resource(ring, args->data, args->tags, (unsigned)done, &resource);
        if (!err)
            err = slot_set(ring, &ring->buffers, args->offset + (unsigned)done, resource);
        if (!err)
            done++;
    }
    return done ? done : err;
}

void uring_tables_free(struct uring *ring)
{
    (void)table_destroy(ring, &ring->files);
    (void)table_destroy(ring, &ring->buffers);
}
