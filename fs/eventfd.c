// SPDX-License-Identifier: MIT
/*
 * eventfd(2): a 64-bit counter behind a descriptor.
 *
 * Locking: the counter is changed under a spinlock and copied outside of it, so nothing here
 * sleeps but the waits.
 */
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/event_objects.h"
#include "kernel/mm/heap.h"
#include "kernel/wait.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct spinlock lock;
    uint64_t count; /* [a] changed under lock */
    bool is_semaphore;
    struct poll_head poll;
    struct wait_queue wait; /* readers and writers: few wait on one eventfd */
};

/* Takes the count, or one of it; 0: there is none. */
static uint64_t count_take(struct eventfd *event)
{
    spin_lock(&event->lock);
    uint64_t taken = event->is_semaphore ? event->count != 0 : event->count;
    WRITE_ONCE(event->count, event->count - taken);
    spin_unlock(&event->lock);
    return taken;
}

static bool count_add(struct eventfd *event, uint64_t value)
{
    spin_lock(&event->lock);
    bool fits = COUNT_MAX - event->count >= value;
    if (fits)
        WRITE_ONCE(event->count, event->count + value);
    spin_unlock(&event->lock);
    return fits;
}

static long eventfd_read(struct file *file, struct io *io, int64_t *pos)
{
    struct eventfd *event = file->private;
    if (io->remaining < sizeof(uint64_t))
        return -EINVAL;
    uint64_t value;
    while ((value = count_take(event)) == 0) {
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&event->wait, READ_ONCE(event->count) != 0, DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
    wake_all(&event->wait);
    poll_wake(&event->poll, ABI_POLLOUT);
    long size = sizeof(value);
    return io_write_to(io, &value, sizeof(value)) == size ? size : -EFAULT;
}

static long eventfd_write(struct file *file, struct io *io, int64_t *pos)
{
    struct eventfd *event = file->private;
    uint64_t value;
    if (io->remaining < sizeof(value))
        return -EINVAL;
    long moved = io_read_from(io, &value, sizeof(value));
    if (moved != (long)sizeof(value))
        return -EFAULT;
    if (value == UINT64_MAX)
        return -EINVAL;
    while (!count_add(event, value)) {
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&event->wait, COUNT_MAX - READ_ONCE(event->count) >= value, DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
    wake_all(&event->wait);
    poll_wake(&event->poll, ABI_POLLIN);
    return sizeof(value);
}

static unsigned eventfd_poll(struct file *file)
{
    struct eventfd *event = file->private;
    uint64_t count = READ_ONCE(event->count);
    return (count > 0 ? ABI_POLLIN : 0) | (count < COUNT_MAX ? ABI_POLLOUT : 0);
}

static void eventfd_release(struct file *file)
{
    struct eventfd *event = file->private;
    poll_head_fini(&event->poll);
    kfree(event);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .kind = "eventfd",
};

bool file_is_eventfd(const struct file *file)
{
    return file->ops == &eventfd_ops;
}

void eventfd_signal(struct file *file)
{
    struct eventfd *event = file->private;

    spin_lock(&event->lock);
    if (event->count < UINT64_MAX)
        WRITE_ONCE(event->count, event->count + 1);
    spin_unlock(&event->lock);
    wake_all(&event->wait);
    poll_wake(&event->poll, ABI_POLLIN);
}

int eventfd_create(uint64_t count, unsigned flags, bool is_semaphore, struct file **out)
{
    struct eventfd *event = kzalloc(sizeof(*event), ALLOC_WAIT);
    if (!event)
        return -ENOMEM;
    spin_init(&event->lock, RANK_EVENT);
    event->count = count;
    event->is_semaphore = is_semaphore;
    poll_head_init(&event->poll);
    wait_queue_init(&event->wait);
    int err = file_create(&eventfd_ops, event, ABI_O_RDWR | flags, out);
    if (err) {
        kfree(event);
        return err;
    }
    (*out)->poll_head = &event->poll;
    return 0;
}
