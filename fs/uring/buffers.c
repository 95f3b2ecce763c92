// SPDX-License-Identifier: MIT
/*
 * io_uring: provided buffers, of which a request takes one when it has data for it.
 *
 * A group is either a list that operations fill, or a ring in the application's memory from which the
 * kernel takes at its own head.  A request that has to wait gives its buffer back, if it still can.
 */
#include "abi/errno.h"
#include "fs/uring/ops.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"

#define RING_ENTRIES_MAX 32768u
#define BUFFERS_MAX      65536u

/* tables_lock held. */
static struct uring_group *group_find(struct uring *ring, unsigned id)
{
    struct uring_group *group;

    list_for_each (group, &ring->groups, node) {
        if (group->id == id)
            return group;
    }
    return NULL;
}

static struct uring_group *group_make(struct uring *ring, unsigned id)
{
    struct uring_group *group = group_find(ring, id);

    if (group)
        return group;
    group = kzalloc(sizeof(*group), ALLOC_WAIT);
    if (!group)
        return NULL;
    group->id = (uint16_t)id;
    list_init(&group->buffers);
    list_push_back(&ring->groups, &group->node);
    return group;
}

static unsigned group_empty(struct uring_group *group, unsigned max)
{
    unsigned n = 0;

    while (n < max && !list_is_empty(&group->buffers)) {
        struct uring_buffer *buffer = list_first(&group->buffers, struct uring_buffer, node);
        list_remove(&buffer->node);
        kfree(buffer);
        n++;
    }
    return n;
}

void uring_groups_free(struct uring *ring)
{
    while (!list_is_empty(&ring->groups)) {
        struct uring_group *group = list_first(&ring->groups, struct uring_group, node);
        list_remove(&group->node);
        (void)group_empty(group, UINT32_MAX);
        kfree(group);
    }
}

/* ---- Taking ------------------------------------------------------------------------------- */

/* tables_lock held. */
static int take_from_ring(struct uring_group *group, struct uring_buffer *out)
{
    uint64_t tail_at = group->ring_addr + offsetof(struct abi_uring_buf, resv);
    struct abi_uring_buf entry;
    uint16_t tail;

    if (copy_from_app(&tail, app_pointer(tail_at), sizeof(tail)))
        return -EFAULT;
    if (tail == group->head)
        return -ENOBUFS;
    uint64_t at = group->ring_addr + (group->head & group->mask) * sizeof(entry);
    if (copy_from_app(&entry, app_pointer(at), sizeof(entry)))
        return -EFAULT;
    *out = (struct uring_buffer){ .addr = entry.addr, .len = entry.len, .bid = entry.bid };
    group->head++;
    return 0;
}

static int take(struct uring_group *group, struct uring_buffer **out)
{
    if (!group)
        return -ENOBUFS;
    if (!group->ring_addr) {
        if (list_is_empty(&group->buffers))
            return -ENOBUFS;
        *out = list_first(&group->buffers, struct uring_buffer, node);
        list_remove(&(*out)->node);
        return 0;
    }
    *out = kzalloc(sizeof(**out), ALLOC_WAIT);
    if (!*out)
        return -ENOMEM;
    int err = take_from_ring(group, *out);
    if (err) {
        kfree(*out);
        *out = NULL;
    }
    return err;
}

int uring_buffer_select(struct uring_request *request)
{
    struct uring *ring = request->ring;

    mutex_lock(&ring->tables_lock);
    int err = take(group_find(ring, request->sqe.buf_index), &request->buffer);
    mutex_unlock(&ring->tables_lock);
    return err;
}

void uring_buffer_recycle(struct uring_request *request)
{
    struct uring *ring = request->ring;
    struct uring_buffer *buffer = request->buffer;

    if (request->done > 0)
        return; /* it holds data */
    mutex_lock(&ring->tables_lock);
    struct uring_group *group = group_find(ring, request->sqe.buf_index);
    if (group && !group->ring_addr) {
        list_push_front(&group->buffers, &buffer->node);
        request->buffer = NULL;
    } else if (group) {
        struct abi_uring_buf entry;
        uint16_t last = (uint16_t)(group->head - 1);
        uint64_t at = group->ring_addr + (last & group->mask) * sizeof(entry);
        /* Only the one that was taken last goes back; else the request keeps it. */
        if (!copy_from_app(&entry, app_pointer(at), sizeof(entry)) && entry.bid == buffer->bid) {
            group->head = last;
            kfree(buffer);
            request->buffer = NULL;
        }
    }
    mutex_unlock(&ring->tables_lock);
}

/* ---- Operations: count in fd, first number in off, length in len ------------------------------ */

int uring_provide_buffers_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;
    uint64_t end;

    if (sqe->op_flags || sqe->file_index || sqe->flags & ABI_SQE_FIXED_FILE)
        return -EINVAL;
    if (sqe->fd <= 0 || (unsigned)sqe->fd > BUFFERS_MAX)
        return -E2BIG;
    if (!sqe->len)
        return -EINVAL;
    uint64_t size = (uint64_t)sqe->len * (unsigned)sqe->fd;
    if (__builtin_add_overflow(sqe->addr, size, &end))
        return -EOVERFLOW;
    if (!app_range_ok(app_pointer(sqe->addr), size))
        return -EFAULT;
    if (sqe->off > UINT16_MAX)
        return -E2BIG;
    return sqe->off + (unsigned)sqe->fd > UINT16_MAX + 1u ? -EINVAL : 0;
}

/* tables_lock held. */
static long provide(struct uring_group *group, const struct abi_uring_sqe *sqe)
{
    for (unsigned i = 0; i < (unsigned)sqe->fd; i++) {
        struct uring_buffer *buffer = kzalloc(sizeof(*buffer), ALLOC_WAIT);
        if (!buffer)
            return i ? 0 : -ENOMEM;
        buffer->addr = sqe->addr + (uint64_t)i * sqe->len;
        buffer->len = sqe->len;
        buffer->bid = (uint16_t)(sqe->off + i);
        list_push_back(&group->buffers, &buffer->node);
    }
    return 0;
}

long uring_provide_buffers_issue(struct uring_request *request)
{
    struct uring *ring = request->ring;

    mutex_lock(&ring->tables_lock);
    struct uring_group *group = group_make(ring, request->sqe.buf_index);
    long err = !group ? -ENOMEM : group->ring_addr ? -EINVAL : provide(group, &request->sqe);
    mutex_unlock(&ring->tables_lock);
    return err;
}

int uring_remove_buffers_prepare(struct uring_request *request)
{
    const struct abi_uring_sqe *sqe = &request->sqe;

    if (sqe->op_flags || sqe->addr || sqe->len || sqe->off || sqe->file_index)
        return -EINVAL;
    return sqe->fd <= 0 || (unsigned)sqe->fd > BUFFERS_MAX ? -EINVAL : 0;
}

long uring_remove_buffers_issue(struct uring_request *request)
{
    struct uring *ring = request->ring;

    mutex_lock(&ring->tables_lock);
    struct uring_group *group = group_find(ring, request->sqe.buf_index);
    long result = !group             ? -ENOENT
                  : group->ring_addr ? -EINVAL
                                     : (long)group_empty(group, (unsigned)request->sqe.fd);
    mutex_unlock(&ring->tables_lock);
    return result;
}

/* ---- Rings of buffers --------------------------------------------------------------------------- */

static bool has_reserved(const struct abi_uring_buf_reg *args)
{
    return args->pad || args->resv[0] || args->resv[1] || args->resv[2];
}

long uring_register_buffer_ring(struct uring *ring, const struct abi_uring_buf_reg *args)
{
    unsigned n = args->ring_entries;
    long err = 0;

    if (has_reserved(args) || args->ring_addr % PAGE_SIZE || !n || n & (n - 1) ||
        n > RING_ENTRIES_MAX)
        return -EINVAL;
    if (!args->ring_addr || !app_range_ok(app_pointer(args->ring_addr), n * 16UL))
        return -EFAULT;
    for (unsigned i = 0; i < n; i += PAGE_SIZE / sizeof(struct abi_uring_buf)) {
        char byte;
        uint64_t at = args->ring_addr + i * sizeof(struct abi_uring_buf);
        if (copy_from_app(&byte, app_pointer(at), 1))
            return -EFAULT;
    }
    mutex_lock(&ring->tables_lock);
    struct uring_group *group = group_find(ring, args->bgid);
    if (group && (group->ring_addr || !list_is_empty(&group->buffers)))
        err = -EEXIST;
    else
        group = group_make(ring, args->bgid);
    if (!err && !group)
        err = -ENOMEM;
    if (!err) {
        group->ring_addr = args->ring_addr;
        group->mask = (uint16_t)(n - 1);
        group->head = 0;
    }
    mutex_unlock(&ring->tables_lock);
    return err;
}

long uring_unregister_buffer_ring(struct uring *ring, const struct abi_uring_buf_reg *args)
{
    long err = 0;

    if (has_reserved(args))
        return -EINVAL;
    mutex_lock(&ring->tables_lock);
    struct uring_group *group = group_find(ring, args->bgid);
    if (!group) {
        err = -ENOENT;
    } else if (!group->ring_addr) {
        err = -EINVAL;
    } else {
        list_remove(&group->node);
        kfree(group);
    }
    mutex_unlock(&ring->tables_lock);
    return err;
}
