// SPDX-License-Identifier: MIT
/*
 * mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2): the checks, in
 * Linux's order.  Names come without their slash: the C library takes it off.
 */
#include "abi/fcntl.h"
#include "abi/signal.h"
#include "abi/timer.h"
#include "fs/mqueue.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* ---- Names ------------------------------------------------------------------------------- */

long sys_mq_open(const char __app *name, int flags, unsigned mode, const void __app *attr_app)
{
    struct abi_mq_attr attr;
    struct path_name text;
    struct file *file;

    if (attr_app && copy_from_app(&attr, attr_app, sizeof(attr)))
        return -EFAULT;
    int err = path_name_init(&text, name);
    if (err)
        return err;
    if (text.text[0] == '\0')
        err = -ENOENT;
    else
        err = mqueue_open(text.text, (unsigned)flags, mode, attr_app ? &attr : NULL, &file);
    path_name_fini(&text);
    if (err)
        return err;
    int fd = fd_install(file, true, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

long sys_mq_unlink(const char __app *name)
{
    struct path_name text;

    int err = path_name_init(&text, name);
    if (err)
        return err;
    err = text.text[0] == '\0' ? -ENOENT : mqueue_unlink(text.text);
    path_name_fini(&text);
    return err;
}

/* ---- Messages ---------------------------------------------------------------------------- */

/* The file of a queue, with a reference; NULL: -EBADF. */
static struct file *queue_get(int fd)
{
    struct file *file = fd_get(fd);

    if (file && !mqueue_of_file(file)) {
        file_put(file);
        return NULL;
    }
    return file;
}

static int time_from_app(const void __app *from, nsec_t *out)
{
    struct abi_timespec time;

    *out = DEADLINE_NONE;
    if (!from)
        return 0;
    if (copy_from_app(&time, from, sizeof(time)))
        return -EFAULT;
    return nsec_from_timespec(&time, out);
}

static int message_send(struct file *file, const void __app *text, size_t size, unsigned priority,
                        nsec_t deadline)
{
    struct mqueue *queue = mqueue_of_file(file);

    if (size > (size_t)queue->msgsize)
        return -EMSGSIZE;
    struct mqueue_message *message = mqueue_message_create(size);
    if (!message)
        return -ENOMEM;
    message->priority = priority;
    int err = copy_from_app(message->text, text, size);
    if (!err)
        err = mqueue_send(queue, message, READ_ONCE(file->flags) & ABI_O_NONBLOCK, deadline);
    if (err)
        mqueue_message_free(message);
    return err;
}

/* Times are the inode's: its lock. */
static void touch(struct file *file, bool is_change)
{
    mutex_lock(&file->inode->lock);
    inode_touch(file->inode, true, is_change, true);
    mutex_unlock(&file->inode->lock);
}

long sys_mq_timedsend(int fd, const void __app *text, size_t size, unsigned priority,
                      const void __app *timeout)
{
    nsec_t deadline;

    int err = time_from_app(timeout, &deadline);
    if (err)
        return err;
    if (priority >= ABI_MQ_PRIO_MAX)
        return -EINVAL;
    struct file *file = queue_get(fd);
    if (!file)
        return -EBADF;
    err = file_can_write(file) ? message_send(file, text, size, priority, deadline) : -EBADF;
    if (!err)
        touch(file, true);
    file_put(file);
    return err;
}

static long message_to_app(const struct mqueue_message *message, void __app *text,
                           void __app *priority)
{
    if (priority && copy_to_app(priority, &message->priority, sizeof(message->priority)))
        return -EFAULT;
    if (copy_to_app(text, message->text, message->size))
        return -EFAULT;
    return (long)message->size;
}

static long message_receive(struct file *file, void __app *text, size_t size, void __app *priority,
                            nsec_t deadline)
{
    struct mqueue *queue = mqueue_of_file(file);
    struct mqueue_message *message;

    if (size < (size_t)queue->msgsize)
        return -EMSGSIZE;
    int err = mqueue_receive(queue, READ_ONCE(file->flags) & ABI_O_NONBLOCK, deadline, &message);
    if (err)
        return err;
    touch(file, true);
    /* A message that cannot be stored is lost, as on Linux. */
    long result = message_to_app(message, text, priority);
    mqueue_message_free(message);
    return result;
}

long sys_mq_timedreceive(int fd, void __app *text, size_t size, void __app *priority,
                         const void __app *timeout)
{
    nsec_t deadline;

    long result = time_from_app(timeout, &deadline);
    if (result)
        return result;
    struct file *file = queue_get(fd);
    if (!file)
        return -EBADF;
    result = file_can_read(file) ? message_receive(file, text, size, priority, deadline) : -EBADF;
    file_put(file);
    return result;
}

/* ---- mq_notify --------------------------------------------------------------------------- */

/* SIGEV_THREAD: signo is the descriptor, value the address of the cookie. */
static int channel_get(const struct abi_sigevent *event, struct mqueue_notice *notice)
{
    if (copy_from_app(notice->cookie, (const void __app *)event->sigev_value,
                      sizeof(notice->cookie)))
        return -EFAULT;
    struct file *file = fd_get(event->sigev_signo);
    if (!file)
        return -EBADF;
    int err = file->ops->deliver ? file->ops->deliver(file, NULL, 0) : -ENOTSOCK;
    if (err)
        file_put(file);
    else
        notice->channel = file;
    return err;
}

static int notice_fill(const struct abi_sigevent *event, struct mqueue_notice *notice)
{
    *notice = (struct mqueue_notice){ .how = event->sigev_notify };
    switch (event->sigev_notify) {
    case ABI_SIGEV_NONE:
        return 0;
    case ABI_SIGEV_SIGNAL:
        notice->signo = event->sigev_signo;
        notice->value = event->sigev_value;
        return notice->signo < 0 || notice->signo > ABI_NSIG ? -EINVAL : 0;
    case ABI_SIGEV_THREAD:
        return channel_get(event, notice);
    default:
        return -EINVAL;
    }
}

static int notice_set(struct file *file, struct mqueue_notice *notice)
{
    notice->process = process_get(process_current());
    int err = mqueue_set_notice(mqueue_of_file(file), notice);
    if (err)
        process_put(notice->process);
    else
        touch(file, false);
    return err;
}

long sys_mq_notify(int fd, const void __app *event_app)
{
    struct mqueue_notice notice = { 0 };
    struct abi_sigevent event;

    if (event_app && copy_from_app(&event, event_app, sizeof(event)))
        return -EFAULT;
    int err = event_app ? notice_fill(&event, &notice) : 0;
    if (err)
        return err;
    struct file *file = queue_get(fd);
    if (!file)
        err = -EBADF;
    else if (event_app)
        err = notice_set(file, &notice);
    else if (mqueue_remove_notice(mqueue_of_file(file)))
        touch(file, false);
    if (file)
        file_put(file);
    if (err && notice.channel)
        file_put(notice.channel);
    return err;
}

/* ---- mq_getsetattr ----------------------------------------------------------------------- */

long sys_mq_getsetattr(int fd, const void __app *new_app, void __app *old_app)
{
    struct abi_mq_attr new = { 0 };

    if (new_app && copy_from_app(&new, new_app, sizeof(new)))
        return -EFAULT;
    if (new.flags & ~(int64_t)ABI_O_NONBLOCK)
        return -EINVAL;
    struct file *file = queue_get(fd);
    if (!file)
        return -EBADF;
    const struct mqueue *queue = mqueue_of_file(file);
    struct abi_mq_attr old = {
        .flags = READ_ONCE(file->flags) & ABI_O_NONBLOCK,
        .maxmsg = queue->maxmsg,
        .msgsize = queue->msgsize,
        .curmsgs = READ_ONCE(queue->curmsgs),
    };
    if (new_app) {
        (void)file_change_flags(file, ABI_O_NONBLOCK, (unsigned)new.flags);
        touch(file, false);
    }
    file_put(file);
    return old_app && copy_to_app(old_app, &old, sizeof(old)) ? -EFAULT : 0;
}
