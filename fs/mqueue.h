// SPDX-License-Identifier: MIT
#pragma once
/*
 * POSIX message queues (mq_overview(7)): mqueue.c is the queue, mqueue_fs.c the file system in which queues are
 * files, sys_mqueue.c the system calls.
 *
 * [i] set at creation  [m] queue->lock (RANK_MQUEUE)  [q] mqueue_count_lock (RANK_MQUEUE)
 */
#include "abi/mqueue.h"
#include "fs/file.h"
#include "lib/rbtree.h"

struct abi_sigevent;
struct process;

struct mqueue_message {
    struct rb_node node; /* [m] */
    unsigned priority;
    size_t size;
    char text[];
};

/* mq_notify(2): who wants to hear when the queue is no longer empty. */
struct mqueue_notice {
    struct process *process; /* with a reference; NULL: nobody */
    int how;                 /* ABI_SIGEV_* */
    int signo;
    uint64_t value;
    struct file *channel; /* SIGEV_THREAD, with a reference: what the cookie is delivered to */
    uint8_t cookie[ABI_MQ_COOKIE_SIZE];
};

struct mqueue {
    struct spinlock lock;
    long maxmsg, msgsize;           /* [i] */
    long curmsgs;                   /* [m] read without it by poll */
    size_t size_bytes;              /* [m] of all texts */
    struct rb_tree messages;        /* [m] */
    struct list senders, receivers; /* [m] the most urgent first */
    struct poll_head poll;
    struct mqueue_notice notice; /* [m] */
    struct list count_node;      /* [q] */
    uint32_t uid;                /* [i] whose RLIMIT_MSGQUEUE it counts against */
    uint64_t charge;             /* [i] bytes */
};

/* /proc/sys/fs/mqueue */
struct mqueue_settings {
    unsigned long queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
};
extern struct mqueue_settings mqueue_settings; /* [a] each */
#define MQUEUE_MSG_MAX     65536UL             /* what even CAP_SYS_RESOURCE cannot exceed */
#define MQUEUE_MSGSIZE_MAX 16777216UL

/* attr NULL: the defaults.  -EINVAL, -ENOSPC, -EMFILE, -EOVERFLOW, -ENOMEM. */
int mqueue_create(const struct abi_mq_attr *attr, struct mqueue **out) __must_check;
void mqueue_destroy(struct mqueue *queue);
struct mqueue_message *mqueue_message_create(size_t size) __must_check; /* NULL: no memory */
void mqueue_message_free(struct mqueue_message *message);

/* deadline is a time of CLOCK_REALTIME.  0: the queue has the message.  -EAGAIN, -ETIMEDOUT, -ERESTARTSYS. */
int mqueue_send(struct mqueue *queue, struct mqueue_message *message, bool nonblock,
                nsec_t deadline) __must_check;
int mqueue_receive(struct mqueue *queue, bool nonblock, nsec_t deadline,
                   struct mqueue_message **out) __must_check;
/* Takes notice's references over on success.  -EBUSY. */
int mqueue_set_notice(struct mqueue *queue, const struct mqueue_notice *notice) __must_check;
/* The running process does not want to hear of it any more; whether it did. */
bool mqueue_remove_notice(struct mqueue *queue);
/* The line that a read() of the file shows. */
void mqueue_describe(struct mqueue *queue, char *buf, size_t size);

/* mqueue_fs.c */
void mqueue_fs_init(void);
struct mqueue *mqueue_of_file(const struct file *file); /* NULL: it is none */
/* mq_open(2) and mq_unlink(2) by a kernel string. */
int mqueue_open(const char *name, unsigned flags, unsigned mode, const struct abi_mq_attr *attr,
                struct file **out) __must_check;
int mqueue_unlink(const char *name) __must_check;
