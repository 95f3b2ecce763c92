// SPDX-License-Identifier: MIT
/*
 * Message queues.
 *
 * Who finds no message that suits him, or no room, waits on the queue as struct ipc_waiter.  A message that is sent
 * goes to the oldest receiver whom it suits, without passing through the queue; and whoever makes room sends the
 * messages of those senders whose message fits now, oldest first: a small one may overtake a big one, as on Linux.
 *
 * IPC_SET may take away a sleeper's right to the queue.  Receivers, and the senders whose messages fit into a larger
 * queue, are therefore sent back to look at their permissions again (MSG_RETRY).
 *
 * Locking: queue->lock (spinlock) for all but the permissions.  ipc.is_removed is set with it and the table's
 * lock held, so either is enough to see it.
 */
#include "kernel/ipc/msg.h"

#include <string.h>

#include "abi/process.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"

struct msg_totals msg_totals;

struct msg_sender {
    struct ipc_waiter waiter; /* on queue->senders */
    struct msg *message;
    int pid;
};

struct msg_receiver {
    struct ipc_waiter waiter; /* on queue->receivers */
    const struct msg_wish *wish;
    struct msg *message; /* with the status 0 */
    int pid;
};

/* ---- Messages ------------------------------------------------------------------------------ */

struct msg *msg_create(size_t size)
{
    struct msg *message = kmalloc(sizeof(*message) + size, ALLOC_WAIT);

    if (message)
        message->size = size;
    return message;
}

void msg_free(struct msg *message)
{
    kfree(message);
}

/* What MSG_COPY gets. */
static int message_copy(const struct msg *message, struct msg *copy)
{
    if (message->size > copy->size)
        return -EINVAL; /* MSG_NOERROR does not help here, as on Linux */
    copy->type = message->type;
    copy->size = message->size;
    memcpy(copy->text, message->text, copy->size);
    return 0;
}

static void count_add(struct msg_queue *queue, const struct msg *message, int sign)
{
    queue->qnum += (uint64_t)sign;
    queue->cbytes += (uint64_t)sign * message->size;
    __atomic_fetch_add(&msg_totals.messages, sign, __ATOMIC_RELAXED);
    __atomic_fetch_add(&msg_totals.bytes, sign * (int)message->size, __ATOMIC_RELAXED);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static bool message_suits(const struct msg *message, const struct msg_wish *wish)
{
    switch (wish->match) {
    case MSG_EQUAL:
        return message->type == wish->type;
    case MSG_NOT_EQUAL:
        return message->type != wish->type;
    case MSG_AT_MOST:
        return message->type <= wish->type;
    default:
        return true;
    }
}

static bool message_fits(const struct msg_queue *queue, const struct msg *message)
{
    return queue->cbytes + message->size <= queue->qbytes && queue->qnum < queue->qbytes;
}

static bool is_too_long(const struct msg *message, const struct msg_wish *wish)
{
    return message->size > wish->size && !wish->may_truncate;
}

static void note_receipt(struct msg_queue *queue, int pid)
{
    queue->lrpid = pid;
    queue->rtime = ipc_now();
}

/* A waiting receiver gets it; those whose buffer is too small for it get an error. */
static bool message_hand_over(struct msg_queue *queue, struct msg *message)
{
    struct msg_receiver *receiver, *following;

    list_for_each_safe (receiver, following, &queue->receivers, waiter.node) {
        if (!message_suits(message, receiver->wish))
            continue;
        if (is_too_long(message, receiver->wish)) {
            ipc_waiter_finish(&receiver->waiter, -E2BIG);
            continue;
        }
        note_receipt(queue, receiver->pid);
        receiver->message = message;
        ipc_waiter_finish(&receiver->waiter, 0);
        return true;
    }
    return false;
}

static void message_enter(struct msg_queue *queue, struct msg *message, int pid)
{
    queue->lspid = pid;
    queue->stime = ipc_now();
    if (message_hand_over(queue, message))
        return;
    list_push_back(&queue->messages, &message->node);
    count_add(queue, message, 1);
}

int msg_send(struct msg_queue *queue, struct msg *message, bool may_wait)
{
    struct msg_sender sender = { .message = message, .pid = ipc_current_pid() };
    int status = 0;

    ipc_waiter_init(&sender.waiter);
    spin_lock(&queue->lock);
    if (queue->ipc.is_removed) {
        status = -EIDRM;
    } else if (message_fits(queue, message)) {
        message_enter(queue, message, sender.pid);
    } else if (!may_wait) {
        status = -EAGAIN;
    } else {
        list_push_back(&queue->senders, &sender.waiter.node);
        status = IPC_PENDING;
    }
    spin_unlock(&queue->lock);
    if (status == IPC_PENDING)
        status = ipc_waiter_sleep(&sender.waiter, &queue->lock, false, DEADLINE_NONE);
    return status == -EINTR ? -ERESTARTNOHAND : status;
}

/* There is more room now. */
static void senders_serve(struct msg_queue *queue)
{
    struct msg_sender *sender, *following;

    list_for_each_safe (sender, following, &queue->senders, waiter.node) {
        if (!message_fits(queue, sender->message))
            continue;
        message_enter(queue, sender->message, sender->pid);
        ipc_waiter_finish(&sender->waiter, 0);
    }
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static struct msg *message_find(const struct msg_queue *queue, const struct msg_wish *wish)
{
    struct msg *message, *lowest = NULL;
    long before = 0;

    list_for_each (message, &queue->messages, node) {
        if (!message_suits(message, wish))
            continue;
        if (wish->match == MSG_AT_MOST) {
            if (!lowest || message->type < lowest->type)
                lowest = message;
        } else if (wish->match != MSG_NUMBER || before++ == wish->type) {
            return message;
        }
    }
    return lowest;
}

static int message_take(struct msg_queue *queue, struct msg *message, const struct msg_wish *wish,
                        struct msg **out)
{
    if (is_too_long(message, wish))
        return -E2BIG;
    if (wish->copy) {
        *out = wish->copy;
        return message_copy(message, wish->copy);
    }
    list_remove(&message->node);
    count_add(queue, message, -1);
    note_receipt(queue, ipc_current_pid());
    senders_serve(queue);
    *out = message;
    return 0;
}

/* IPC_PENDING: the receiver has been entered among those who wait. */
static int receive_begin(struct msg_queue *queue, struct msg_receiver *receiver)
{
    if (queue->ipc.is_removed)
        return -EIDRM;
    struct msg *message = message_find(queue, receiver->wish);
    if (message)
        return message_take(queue, message, receiver->wish, &receiver->message);
    if (!receiver->wish->may_wait)
        return -ENOMSG;
    list_push_back(&queue->receivers, &receiver->waiter.node);
    return IPC_PENDING;
}

int msg_receive(struct msg_queue *queue, const struct msg_wish *wish, struct msg **out)
{
    struct msg_receiver receiver = { .wish = wish, .pid = ipc_current_pid() };

    ipc_waiter_init(&receiver.waiter);
    spin_lock(&queue->lock);
    int status = receive_begin(queue, &receiver);
    spin_unlock(&queue->lock);
    if (status == IPC_PENDING)
        status = ipc_waiter_sleep(&receiver.waiter, &queue->lock, false, DEADLINE_NONE);
    *out = receiver.message;
    return status == -EINTR ? -ERESTARTNOHAND : status;
}

/* ---- The kind ------------------------------------------------------------------------------ */

static int queue_create(const struct ipc_request *request, struct ipc_object **out)
{
    struct msg_queue *queue = kzalloc(sizeof(*queue), ALLOC_WAIT);

    if (!queue)
        return -ENOMEM;
    spin_init(&queue->lock, RANK_MSG);
    list_init(&queue->messages);
    list_init(&queue->senders);
    list_init(&queue->receivers);
    queue->qbytes = READ_ONCE(ipc_settings.msgmnb);
    queue->ctime = ipc_now();
    *out = &queue->ipc;
    return 0;
}

static void queue_fill(struct ipc_object *object, union ipc_status *out)
{
    struct msg_queue *queue = msg_of_ipc(object);

    spin_lock(&queue->lock);
    out->msg = (struct abi_msqid_ds){
        .stime = queue->stime,
        .rtime = queue->rtime,
        .ctime = queue->ctime,
        .cbytes = queue->cbytes,
        .qnum = queue->qnum,
        .qbytes = queue->qbytes,
        .lspid = queue->lspid,
        .lrpid = queue->lrpid,
    };
    spin_unlock(&queue->lock);
}

static int queue_check_set(const union ipc_status *status)
{
    bool is_more = status->msg.qbytes > READ_ONCE(ipc_settings.msgmnb);

    return is_more && !process_is_capable(ABI_CAP_SYS_RESOURCE) ? -EPERM : 0;
}

static void waiters_finish(struct list *waiters, int status)
{
    while (!list_is_empty(waiters))
        ipc_waiter_finish(list_first(waiters, struct ipc_waiter, node), status);
}

static void queue_changed(struct ipc_object *object, const union ipc_status *status)
{
    struct msg_queue *queue = msg_of_ipc(object);
    struct msg_sender *sender, *following;

    spin_lock(&queue->lock);
    queue->qbytes = status->msg.qbytes;
    queue->ctime = ipc_now();
    waiters_finish(&queue->receivers, MSG_RETRY);
    list_for_each_safe (sender, following, &queue->senders, waiter.node)
        if (message_fits(queue, sender->message))
            ipc_waiter_finish(&sender->waiter, MSG_RETRY);
    spin_unlock(&queue->lock);
}

static void queue_remove(struct ipc_object *object)
{
    struct msg_queue *queue = msg_of_ipc(object);

    ipc_get(object);
    spin_lock(&queue->lock);
    ipc_remove_locked(object);
    waiters_finish(&queue->receivers, -EIDRM);
    waiters_finish(&queue->senders, -EIDRM);
    while (!list_is_empty(&queue->messages)) {
        struct msg *message = list_first(&queue->messages, struct msg, node);
        list_remove(&message->node);
        count_add(queue, message, -1);
        msg_free(message);
    }
    spin_unlock(&queue->lock);
    ipc_put(object);
}

static void queue_release(struct ipc_object *object)
{
    kfree(msg_of_ipc(object));
}

static const struct ipc_ops queue_ops = {
    .status_size = sizeof(struct abi_msqid_ds),
    .create = queue_create,
    .fill = queue_fill,
    .check_set = queue_check_set,
    .changed = queue_changed,
    .remove = queue_remove,
    .release = queue_release,
};

struct ipc_table msg_table = IPC_TABLE_INIT(msg_table, &ipc_settings.msgmni, &queue_ops);
