// SPDX-License-Identifier: MIT
/*
 * O_ASYNC.
 *
 * What wakes poll() and epoll sends the signal: a watcher on the file's poll_head, so that every kind of file that
 * has ops->is_async does it alike.  A process or a thread is told at once, whatever the context is, so that who
 * writes to itself finds the signal pending when the call returns.  A group is told by a thread of our own, since its
 * members are found under the process table lock, which sleeps.
 */
#include "fs/async.h"

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "fs/file.h"
#include "fs/pipe.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* si_code of SIGIO (sigaction(2)). */
enum reason { REASON_IN = 1, REASON_OUT, REASON_MSG, REASON_ERR, REASON_PRI, REASON_HUP, REASONS };

static const unsigned bands[REASONS] = {
    [REASON_IN] = ABI_POLLIN | ABI_POLLRDNORM,
    [REASON_OUT] = ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLWRBAND,
    [REASON_MSG] = ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLMSG,
    [REASON_ERR] = ABI_POLLERR,
    [REASON_PRI] = ABI_POLLPRI | ABI_POLLRDBAND,
    [REASON_HUP] = ABI_POLLHUP | ABI_POLLERR,
};

struct file_async {
    struct poll_watcher watcher;
    struct file *file; /* [i] */
    int fd;            /* [i] */
};

static struct mutex async_lock = MUTEX_INIT(async_lock, RANK_OBJECT); /* file->async */

static enum reason pipe_reason(const struct file *file, unsigned events)
{
    unsigned gone = ABI_POLLERR | ABI_POLLHUP;

    if (events & (ABI_POLLIN | gone) && file_can_read(file))
        return REASON_IN;
    return events & (ABI_POLLOUT | gone) && file_can_write(file) ? REASON_OUT : 0;
}

/* One signal for a wake-up; as Linux, what ends a connection goes before what was woken along with it. */
static enum reason reason_of(const struct file *file, unsigned events)
{
    if (file_is_pipe(file))
        return pipe_reason(file, events);
    if (events & ABI_POLLHUP)
        return REASON_HUP;
    if (events & ABI_POLLERR)
        return REASON_ERR;
    if (events & (ABI_POLLIN | ABI_POLLRDHUP))
        return REASON_IN;
    return events & ABI_POLLOUT ? REASON_OUT : 0;
}

static void tell(const struct file *file, int fd, enum reason reason)
{
    int signo = READ_ONCE(file->owner.signo);
    struct abi_siginfo info = { .si_signo = signo,
                                .si_code = reason,
                                .poll = { .si_band = bands[reason], .si_fd = fd } };

    /* Those that have codes of their own. */
    if (signo == ABI_SIGILL || signo == ABI_SIGFPE || signo == ABI_SIGSEGV || signo == ABI_SIGBUS ||
        signo == ABI_SIGTRAP || signo == ABI_SIGCHLD || signo == ABI_SIGSYS)
        info.si_code = ABI_SI_SIGIO;
    file_owner_tell(&file->owner, signo, signo ? &info : NULL, ABI_SIGIO);
}

static void async_notify(struct poll_watcher *watcher, unsigned events)
{
    const struct file_async *async = container_of(watcher, struct file_async, watcher);

    if (events & (ABI_POLLFREE | POLL_QUIET))
        return;
    /* SIGURG has its own way; with a signal of its own, O_ASYNC tells it besides. */
    if (events & ABI_POLLPRI && READ_ONCE(async->file->owner.signo))
        tell(async->file, async->fd, REASON_PRI);
    enum reason reason = reason_of(async->file, events);
    if (reason)
        tell(async->file, async->fd, reason);
}

void file_async_message(struct file *file, int fd)
{
    tell(file, fd, REASON_MSG);
}

static int async_begin(struct file *file, int fd)
{
    struct file_async *async = kzalloc(sizeof(*async), ALLOC_WAIT);

    if (!async)
        return -ENOMEM;
    async->file = file;
    async->fd = fd;
    async->watcher.notify = async_notify;
    file->async = async;
    poll_watch(file->poll_head, &async->watcher);
    __atomic_fetch_or(&file->flags, ABI_O_ASYNC, __ATOMIC_RELAXED);
    return 0;
}

static void async_end(struct file *file)
{
    struct file_async *async = file->async;

    __atomic_fetch_and(&file->flags, ~ABI_O_ASYNC, __ATOMIC_RELAXED);
    if (!async)
        return;
    poll_unwatch(&async->watcher);
    file->async = NULL;
    kfree(async);
}

int file_async_set(struct file *file, int fd, bool on)
{
    int err = 0;

    if (!file->ops->is_async || !file->poll_head)
        return -ENOTTY;
    if (on && !(file->flags & ABI_O_ASYNC) && file->ops->own_default)
        err = file->ops->own_default(file);
    if (err)
        return err;
    mutex_lock(&async_lock);
    if (!on)
        async_end(file);
    else if (!(file->flags & ABI_O_ASYNC))
        err = async_begin(file, fd);
    mutex_unlock(&async_lock);
    return err;
}

void file_async_release(struct file *file)
{
    if (file->async)
        async_end(file);
}
