// SPDX-License-Identifier: MIT
#pragma once
/*
 * System V message queues.
 *
 * [i] set at creation  [q] queue->lock (RANK_MSG)
 */
#include "kernel/ipc/ipc_table.h"
#include "kernel/ipc/ipc_waiter.h"

/* Belongs to whoever has it; once it was sent, to the queue. */
struct msg {
    struct list node; /* [q] */
    long type;
    size_t size;
    char text[];
};

struct msg_queue {
    struct ipc_object ipc;
    struct spinlock lock;
    struct list messages;        /* [q] oldest first */
    struct list senders;         /* [q] struct msg_sender, oldest first */
    struct list receivers;       /* [q] struct msg_receiver */
    uint64_t cbytes, qnum;       /* [q] what is in it */
    uint64_t qbytes;             /* [q] how much may be in it */
    int64_t stime, rtime, ctime; /* [q] */
    int lspid, lrpid;            /* [q] who sent and received last */
};

enum msg_match { MSG_ANY, MSG_EQUAL, MSG_NOT_EQUAL, MSG_AT_MOST, MSG_NUMBER };

/* What msgrcv asks for. */
struct msg_wish {
    enum msg_match match;
    long type;   /* MSG_NUMBER: how many messages stand before it */
    size_t size; /* of the buffer: a longer message is -E2BIG, unless ... */
    bool may_truncate;
    bool may_wait;
    struct msg
        *copy; /* MSG_COPY: what the message is copied into, for it stays in the queue; or NULL */
};

/* All messages of all queues, for MSG_INFO. */
struct msg_totals {
    int messages, bytes; /* atomic */
};
extern struct msg_totals msg_totals;
extern struct ipc_table msg_table;

/* The permissions have to be looked at again (ipc_check()), and then the call is to be made again. */
#define MSG_RETRY 2

struct msg *msg_create(size_t size) __must_check; /* NULL: no memory */
void msg_free(struct msg *message);               /* NULL is fine */

/* 0: the queue has it.  -EAGAIN, -EIDRM, -ERESTARTNOHAND, MSG_RETRY. */
int msg_send(struct msg_queue *queue, struct msg *message, bool may_wait) __must_check;
/* 0: *out belongs to the caller.  -ENOMSG, -E2BIG, -EIDRM, -EINVAL, -ERESTARTNOHAND, MSG_RETRY. */
int msg_receive(struct msg_queue *queue, const struct msg_wish *wish,
                struct msg **out) __must_check;

static inline struct msg_queue *msg_of_ipc(struct ipc_object *object)
{
    return container_of(object, struct msg_queue, ipc);
}
