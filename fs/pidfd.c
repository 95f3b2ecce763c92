// SPDX-License-Identifier: MIT
/*
 * pidfd_open(2): a process behind a descriptor, which is readable when the process has ended.
 */
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/event_objects.h"
#include "kernel/process.h"

static unsigned pidfd_poll(struct file *file)
{
    struct process *process = file->private;
    return READ_ONCE(process->state) != PROCESS_ALIVE ? ABI_POLLIN | ABI_POLLRDNORM : 0;
}

static void pidfd_release(struct file *file)
{
    process_put(file->private);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll,
    .release = pidfd_release,
    .kind = "pidfd",
};

int pidfd_create(struct process *process, unsigned flags, struct file **out)
{
    int err = file_create(&pidfd_ops, process_get(process), ABI_O_RDWR | flags, out);
    if (err) {
        process_put(process);
        return err;
    }
    (*out)->poll_head = &process->exit_poll;
    return 0;
}

struct process *pidfd_process(const struct file *file)
{
    return file->ops == &pidfd_ops ? file->private : NULL;
}
