// SPDX-License-Identifier: MIT
#pragma once
/*
 * epoll(7).  Called by fs/sys_poll.c; fs/file.c calls the release hook.
 */
#include "abi/epoll.h"
#include "fs/file.h"
#include "lib/compiler.h"

/* file's last reference is gone (ops->release has not run yet): its watches end.  Cheap if none. */
void epoll_file_detach(struct file *file);
static inline void epoll_file_released(struct file *file)
{
    if (__atomic_load_n(&file->epoll_items, __ATOMIC_ACQUIRE))
        epoll_file_detach(file);
}

bool file_is_epoll(const struct file *file);
/* flags: ABI_O_* of the new file. */
int epoll_create(unsigned flags, struct file **out) __must_check;
/* epoll_ctl(2), arguments in the kernel; fd is the number that target was found by. */
int epoll_control(struct file *file, int op, struct file *target, int fd,
                  const struct abi_epoll_event *event) __must_check;
/* Up to max events to the application; how many, or -EFAULT, -EINTR. */
long epoll_wait(struct file *file, void __app *events, int max, nsec_t deadline);
