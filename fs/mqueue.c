// SPDX-License-Identifier: MIT
/*
 * The queue of POSIX message queues.
 *
 * Messages are a tree in the order in which they are received: by priority, then by age.  Who finds the queue full or
 * empty waits as a struct ipc_waiter, the threads that are most urgent first: a sender hands its message to a
 * waiting receiver, and a receiver makes the queue full again with the message of a waiting sender.  So while anybody
 * waits, poll() has nothing new to hear and mq_notify(2) is silent, as on Linux.
 */
#include "fs/mqueue.h"

#include "abi/capability.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "abi/timer.h"
#include "kernel/ipc/ipc_waiter.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "lib/format.h"

/* What RLIMIT_MSGQUEUE counts for a message and for a priority (ipc/mqueue.c of Linux: mq_treesize). */
#define MESSAGE_OVERHEAD  48
#define PRIORITY_OVERHEAD 48

struct mqueue_settings mqueue_settings = {
    .queues_max = 256,
    .msg_max = 10,
    .msgsize_max = 8192,
    .msg_default = 10,
    .msgsize_default = 8192,
};

struct mqueue_waiter {
    struct ipc_waiter base; /* on queue->senders or queue->receivers */
    struct mqueue_message *message;
};

static struct spinlock count_lock = SPINLOCK_INIT(RANK_MQUEUE); /* mqueue_count_lock */
static struct list queues = LIST_INIT(queues);                  /* [q] */
static unsigned long nqueues;                                   /* [q] */

/* ---- Limits ------------------------------------------------------------------------------ */

static int attr_check(const struct abi_mq_attr *attr)
{
    bool is_capable = process_is_capable(ABI_CAP_SYS_RESOURCE);
    unsigned long msg_max = is_capable ? MQUEUE_MSG_MAX : READ_ONCE(mqueue_settings.msg_max);
    unsigned long size_max =
        is_capable ? MQUEUE_MSGSIZE_MAX : READ_ONCE(mqueue_settings.msgsize_max);

    if (attr->maxmsg <= 0 || attr->msgsize <= 0)
        return -EINVAL;
    return (uint64_t)attr->maxmsg > msg_max || (uint64_t)attr->msgsize > size_max ? -EINVAL : 0;
}

static uint64_t charge_of(const struct mqueue *queue)
{
    uint64_t nmessages = (uint64_t)queue->maxmsg;
    uint64_t npriorities = MIN(nmessages, (uint64_t)ABI_MQ_PRIO_MAX);

    return nmessages * ((uint64_t)queue->msgsize + MESSAGE_OVERHEAD) +
           npriorities * PRIORITY_OVERHEAD;
}

static int count_locked(struct mqueue *queue, uint64_t limit)
{
    uint64_t charged = queue->charge;
    const struct mqueue *other;

    list_for_each (other, &queues, count_node)
        if (other->uid == queue->uid)
            charged += other->charge;
    if (charged > limit)
        return -EMFILE;
    list_push_back(&queues, &queue->count_node);
    nqueues++;
    return 0;
}

static int queue_count(struct mqueue *queue)
{
    uint64_t limit = rlimit_current(LIMIT_MSGQUEUE);

    spin_lock(&count_lock);
    int err = count_locked(queue, limit);
    spin_unlock(&count_lock);
    return err;
}

/* ---- Life -------------------------------------------------------------------------------- */

int mqueue_create(const struct abi_mq_attr *attr, struct mqueue **out)
{
    struct abi_mq_attr defaults = {
        .maxmsg = (int64_t)MIN(mqueue_settings.msg_max, mqueue_settings.msg_default),
        .msgsize = (int64_t)MIN(mqueue_settings.msgsize_max, mqueue_settings.msgsize_default),
    };

    if (!attr)
        attr = &defaults;
    if (READ_ONCE(nqueues) >= READ_ONCE(mqueue_settings.queues_max) &&
        !process_is_capable(ABI_CAP_SYS_RESOURCE))
        return -ENOSPC;
    int err = attr_check(attr);
    if (err)
        return err;
    struct mqueue *queue = kzalloc(sizeof(*queue), ALLOC_WAIT);
    if (!queue)
        return -ENOMEM;
    spin_init(&queue->lock, RANK_MQUEUE);
    queue->maxmsg = attr->maxmsg;
    queue->msgsize = attr->msgsize;
    list_init(&queue->senders);
    list_init(&queue->receivers);
    poll_head_init(&queue->poll);
    queue->uid = process_current()->creds.uid;
    queue->charge = charge_of(queue);
    err = queue_count(queue);
    if (err) {
        kfree(queue);
        return err;
    }
    *out = queue;
    return 0;
}

void mqueue_destroy(struct mqueue *queue)
{
    struct rb_node *node;

    spin_lock(&count_lock);
    list_remove(&queue->count_node);
    nqueues--;
    spin_unlock(&count_lock);
    while ((node = rb_first(&queue->messages)) != NULL) {
        rb_remove(&queue->messages, node);
        mqueue_message_free(rb_entry(node, struct mqueue_message, node));
    }
    poll_head_fini(&queue->poll);
    kfree(queue);
}

struct mqueue_message *mqueue_message_create(size_t size)
{
    struct mqueue_message *message = kmalloc(sizeof(*message) + size, ALLOC_WAIT);

    if (message)
        message->size = size;
    return message;
}

void mqueue_message_free(struct mqueue_message *message)
{
    kfree(message);
}

/* ---- Notices ----------------------------------------------------------------------------- */

/* The notice is the caller's from now on: notice_free() once the lock is released. */
static void notice_take(struct mqueue *queue, struct mqueue_notice *out)
{
    *out = queue->notice;
    queue->notice = (struct mqueue_notice){ 0 };
}

static void notice_free(const struct mqueue_notice *notice)
{
    if (notice->channel)
        file_put(notice->channel);
    if (notice->process)
        process_put(notice->process);
}

/* A cookie that finds no room is lost, as on Linux. */
static void cookie_deliver(struct mqueue_notice *notice, uint8_t what)
{
    struct file *channel = notice->channel;

    notice->cookie[ABI_MQ_COOKIE_SIZE - 1] = what;
    (void)channel->ops->deliver(channel, notice->cookie, sizeof(notice->cookie));
}

static void signal_deliver_notice(const struct mqueue_notice *notice)
{
    const struct process *sender = process_current();
    struct abi_siginfo info = {
        .si_signo = notice->signo,
        .si_code = ABI_SI_MESGQ,
        .si_pid = sender->pid,
        .si_uid = sender->creds.uid,
        .si_value = notice->value,
    };

    if (notice->signo)
        (void)signal_send_process(notice->process, notice->signo, &info);
}

/* A message came into the empty queue, and nobody waited for it. */
static void notice_give(struct mqueue_notice *notice)
{
    if (!notice->process)
        return;
    if (notice->how == ABI_SIGEV_SIGNAL)
        signal_deliver_notice(notice);
    else if (notice->how == ABI_SIGEV_THREAD)
        cookie_deliver(notice, ABI_MQ_NOTIFY_WOKEN);
    notice_free(notice);
}

int mqueue_set_notice(struct mqueue *queue, const struct mqueue_notice *notice)
{
    spin_lock(&queue->lock);
    int err = queue->notice.process ? -EBUSY : 0;
    if (!err)
        queue->notice = *notice;
    spin_unlock(&queue->lock);
    return err;
}

bool mqueue_remove_notice(struct mqueue *queue)
{
    struct mqueue_notice notice = { 0 };

    spin_lock(&queue->lock);
    if (queue->notice.process == process_current())
        notice_take(queue, &notice);
    spin_unlock(&queue->lock);
    if (!notice.process)
        return false;
    if (notice.how == ABI_SIGEV_THREAD)
        cookie_deliver(&notice, ABI_MQ_NOTIFY_REMOVED);
    notice_free(&notice);
    return true;
}

void mqueue_describe(struct mqueue *queue, char *buf, size_t size)
{
    spin_lock(&queue->lock);
    const struct mqueue_notice *notice = &queue->notice;
    format_string(buf, size, "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                  queue->size_bytes, notice->how,
                  notice->how == ABI_SIGEV_SIGNAL ? notice->signo : 0,
                  notice->process ? notice->process->pid : 0);
    spin_unlock(&queue->lock);
}

/* ---- Messages ---------------------------------------------------------------------------- */

static void message_enter(struct mqueue *queue, struct mqueue_message *message)
{
    struct rb_node **link = &queue->messages.root, *parent = NULL;

    while (*link) {
        parent = *link;
        bool is_after =
            message->priority <= rb_entry(parent, struct mqueue_message, node)->priority;
        link = &parent->child[is_after];
    }
    rb_link(&message->node, parent, link);
    rb_insert_fixup(&queue->messages, &message->node);
    queue->size_bytes += message->size;
    WRITE_ONCE(queue->curmsgs, queue->curmsgs + 1);
}

static struct mqueue_message *message_take(struct mqueue *queue)
{
    struct rb_node *node = rb_first(&queue->messages);
    struct mqueue_message *message = rb_entry(node, struct mqueue_message, node);

    rb_remove(&queue->messages, node);
    queue->size_bytes -= message->size;
    WRITE_ONCE(queue->curmsgs, queue->curmsgs - 1);
    return message;
}

/* The oldest of the most urgent threads comes first. */
static void waiter_enter(struct list *waiters, struct mqueue_waiter *waiter)
{
    struct mqueue_waiter *other;
    int priority = sched_priority(thread_current());

    list_for_each (other, waiters, base.node)
        if (sched_priority(other->base.thread) > priority)
            break;
    list_push_back(&other->base.node, &waiter->base.node); /* before other, or at the end */
}

static struct mqueue_waiter *waiter_first(struct list *waiters)
{
    return list_is_empty(waiters) ? NULL : list_first(waiters, struct mqueue_waiter, base.node);
}

static int waiter_sleep(struct mqueue *queue, struct mqueue_waiter *waiter, nsec_t deadline)
{
    int status = ipc_waiter_sleep(&waiter->base, &queue->lock, true, deadline);

    return status == -EINTR ? -ERESTARTSYS : status;
}

/* There is room. */
static void send_now(struct mqueue *queue, struct mqueue_message *message,
                     struct mqueue_notice *notice)
{
    struct mqueue_waiter *receiver = waiter_first(&queue->receivers);

    if (receiver) {
        receiver->message = message;
        ipc_waiter_finish(&receiver->base, 0);
        return;
    }
    message_enter(queue, message);
    if (queue->curmsgs == 1)
        notice_take(queue, notice);
    poll_wake(&queue->poll, ABI_POLLIN | ABI_POLLRDNORM);
}

int mqueue_send(struct mqueue *queue, struct mqueue_message *message, bool nonblock,
                nsec_t deadline)
{
    struct mqueue_waiter sender = { .message = message };
    struct mqueue_notice notice = { 0 };
    int status = 0;

    ipc_waiter_init(&sender.base);
    spin_lock(&queue->lock);
    if (queue->curmsgs < queue->maxmsg) {
        send_now(queue, message, &notice);
    } else if (nonblock) {
        status = -EAGAIN;
    } else {
        waiter_enter(&queue->senders, &sender);
        status = IPC_PENDING;
    }
    spin_unlock(&queue->lock);
    notice_give(&notice);
    return status == IPC_PENDING ? waiter_sleep(queue, &sender, deadline) : status;
}

/* There is a message. */
static struct mqueue_message *receive_now(struct mqueue *queue)
{
    struct mqueue_message *message = message_take(queue);
    struct mqueue_waiter *sender = waiter_first(&queue->senders);

    if (sender) {
        message_enter(queue, sender->message);
        ipc_waiter_finish(&sender->base, 0);
    } else {
        poll_wake(&queue->poll, ABI_POLLOUT | ABI_POLLWRNORM);
    }
    return message;
}

int mqueue_receive(struct mqueue *queue, bool nonblock, nsec_t deadline,
                   struct mqueue_message **out)
{
    struct mqueue_waiter receiver = { 0 };
    int status = 0;

    ipc_waiter_init(&receiver.base);
    spin_lock(&queue->lock);
    if (queue->curmsgs > 0) {
        receiver.message = receive_now(queue);
    } else if (nonblock) {
        status = -EAGAIN;
    } else {
        waiter_enter(&queue->receivers, &receiver);
        status = IPC_PENDING;
    }
    spin_unlock(&queue->lock);
    if (status == IPC_PENDING)
        status = waiter_sleep(queue, &receiver, deadline);
    *out = receiver.message;
    return status;
}
