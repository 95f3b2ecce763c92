// SPDX-License-Identifier: MIT
/*
 * pidfd_open(2): a process behind a descriptor, which is readable when the process has ended.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/event_objects.h"
#include "fs/text.h"
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

static void pidfd_info(struct file *file, struct text *text)
{
    const struct process *process = file->private;
    int pid = READ_ONCE(process->state) == PROCESS_REAPED ? -1 : process->pid;
    text_printf(text, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll,
    .release = pidfd_release,
    .info = pidfd_info,
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

/* ---- For the process layer: kernel/process_files.h ---- */

int pidfd_pid(int fd, bool *is_nonblocking)
{
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    const struct process *process = pidfd_process(file);
    int pid = process ? process->pid : -EBADF;
    *is_nonblocking = READ_ONCE(file->flags) & ABI_O_NONBLOCK;
    file_put(file);
    return pid;
}

int pidfd_install(struct process *process)
{
    struct file *file;
    int err = pidfd_create(process, 0, &file);
    if (err)
        return err;
    int fd = fd_install(file, true, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

void pidfd_uninstall(int fd)
{
    (void)fd_close(fd);
}
